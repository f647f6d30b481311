/**
 * Moves all bytes of a read or a write through calls that may each move fewer: the system's calls stop short at their
 * own limits, at signals and at a full disk. What a single call is, the caller supplies; so the loops know no file.
 *
 * Kept true: every byte is moved exactly once and in order, or an error is thrown; a call that moves nothing ends the
 * loop instead of repeating for ever.
 */
import { SystemError } from "./system-error.js";

/** How much one call may be given. */
export interface CallLimits {
  readonly chunkCount: number;
  readonly byteCount: number;
  /** Bytes of several chunks written together; a larger chunk is written by itself. */
  readonly joinedSize: number;
}

/**
 * Bytes of neighbouring pages that are written by one call. Not more, though a page of 4 KiB costs 1.7 µs less by 1 MiB: what came by one call,
 * ext4 and XFS may keep as one large folio, and walk through all of it with each later write of a page in it. Measured on Linux 6.18 with ext4:
 * a scattered write of 4 KiB takes 4.9 µs in a file written by 1 MiB, 2.4 in one written by 8 KiB (bench/write-sizes.mjs); random loads are a fifth faster by it.
 */
export const MAX_JOINED_SIZE = 8192;

/**
 * What every system takes: IOV_MAX is 1024 on Linux, macOS and the BSDs; Node's lengths are int32 and Linux moves at
 * most 2^31 - 4096 bytes a call.
 */
const CALL_LIMITS: CallLimits = { chunkCount: 1024, byteCount: 2 ** 30, joinedSize: MAX_JOINED_SIZE };

/** A call that returns later costs ten times what it saves. */
const ASYNC_CALL_LIMITS: CallLimits = { ...CALL_LIMITS, joinedSize: CALL_LIMITS.byteCount };

/** Refuses a position or size that is no whole number of bytes from the start; -1 would mean "here" to the system. */
export function checkPosition(position: number): void {
  if (!Number.isSafeInteger(position) || position < 0) throw new RangeError(`${position} is no position in a storage`);
}

/** Adds up the lengths of the chunks. */
export function totalLength(chunks: readonly Uint8Array[]): number {
  let length = 0;
  for (const chunk of chunks) length += chunk.length;
  return length;
}

/**
 * Reads until `target` is full or a call reads nothing, which means the end.
 * @param readOnce reads some bytes at a position into the part it is given and returns how many
 * @returns the number of bytes read
 */
export function readWhole(
  target: Uint8Array,
  position: number,
  readOnce: (part: Uint8Array, position: number) => number,
  limits: CallLimits = CALL_LIMITS,
): number {
  let done = 0;
  while (done < target.length) {
    const end = Math.min(target.length, done + limits.byteCount);
    const part = done === 0 && end === target.length ? target : target.subarray(done, end);
    const count = readOnce(part, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** What is left of one write: hands out batches within the limits and takes note of how much of each was done. */
class WriteQueue {
  readonly #chunks: readonly Uint8Array[];
  readonly #limits: CallLimits;
  #index = 0;
  /** Bytes of the chunk at #index that are done. */
  #offset = 0;
  #remaining: number;
  position: number;

  constructor(chunks: readonly Uint8Array[], position: number, limits: CallLimits) {
    this.#chunks = chunks;
    this.#limits = limits;
    this.#remaining = totalLength(chunks);
    this.position = position;
  }

  get isEmpty(): boolean {
    return this.#remaining === 0;
  }

  batch(): readonly Uint8Array[] {
    const batch: Uint8Array[] = [];
    let offset = this.#offset;
    let room = this.#limits.byteCount;
    let size = 0;
    for (let index = this.#index; batch.length < this.#limits.chunkCount && room > 0; index++) {
      const chunk = this.#chunks[index];
      const isJoinable = chunk !== undefined && (batch.length === 0 || size + chunk.length <= this.#limits.joinedSize);
      if (!isJoinable) break;
      size += chunk.length - offset;
      const end = Math.min(chunk.length, offset + room);
      if (end > offset) batch.push(offset === 0 && end === chunk.length ? chunk : chunk.subarray(offset, end));
      room -= end - offset;
      offset = 0;
    }
    return batch;
  }

  advance(byteCount: number): void {
    if (byteCount <= 0) throw new SystemError("EIO", "write", "the system wrote nothing and gave no error");
    this.#remaining -= byteCount;
    this.position += byteCount;
    this.#offset += byteCount;
    for (let chunk = this.#chunks[this.#index]; chunk !== undefined; chunk = this.#chunks[this.#index]) {
      if (this.#offset < chunk.length) break;
      this.#offset -= chunk.length;
      this.#index++;
    }
  }
}

/**
 * Writes all chunks one behind the other from `position` on.
 * @param writeOnce writes some bytes of a batch at a position and returns how many
 */
export function writeWhole(
  chunks: readonly Uint8Array[],
  position: number,
  writeOnce: (batch: readonly Uint8Array[], position: number) => number,
  limits: CallLimits = CALL_LIMITS,
): void {
  const queue = new WriteQueue(chunks, position, limits);
  while (!queue.isEmpty) queue.advance(writeOnce(queue.batch(), queue.position));
}

/** `writeWhole` for calls that promise their count. */
export async function writeWholeAsync(
  chunks: readonly Uint8Array[],
  position: number,
  writeOnce: (batch: readonly Uint8Array[], position: number) => Promise<number>,
  limits: CallLimits = ASYNC_CALL_LIMITS,
): Promise<void> {
  const queue = new WriteQueue(chunks, position, limits);
  while (!queue.isEmpty) queue.advance(await writeOnce(queue.batch(), queue.position));
}
