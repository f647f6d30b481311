/**
 * A storage that is nothing but memory.
 *
 * Bytes live in blocks of 64 KiB that come into being when something is written there, so a file of some TiB with a few
 * bytes in it costs a few blocks. Kept true: what no write has reached reads as zero, also after a cut and a new growth.
 * It does not fail, lock or sync: `SimulatedDisk` is the one that does.
 */
import { types } from "node:util";
import type { Storage } from "./storage.js";
import { checkPosition, totalLength } from "./transfer.js";

const BLOCK_SIZE = 65_536;

/**
 * Keeps its bytes in memory. It outlives `close`: the same object may be opened again and holds what it held.
 *
 * Two openings at one time are not kept apart: the lock is always granted.
 */
export class MemoryStorage implements Storage {
  /** By block index; a block that is missing is all zero. */
  readonly #blocks = new Map<number, Uint8Array>();
  #size = 0;

  /** @param initial the bytes to begin with; they are copied */
  constructor(initial?: Uint8Array) {
    if (initial === undefined) return;
    if (!types.isUint8Array(initial)) throw new TypeError(`the bytes to begin with must be a Uint8Array, got ${initial === null ? "null" : typeof initial}`);
    this.write([initial], 0);
  }

  size(): number {
    return this.#size;
  }

  read(target: Uint8Array, position: number): number {
    checkPosition(position);
    const length = Math.max(0, Math.min(target.length, this.#size - position));
    for (let done = 0; done < length; ) {
      const offset = (position + done) % BLOCK_SIZE;
      const count = Math.min(length - done, BLOCK_SIZE - offset);
      const block = this.#blocks.get((position + done - offset) / BLOCK_SIZE);
      if (block === undefined) target.fill(0, done, done + count);
      else target.set(block.subarray(offset, offset + count), done);
      done += count;
    }
    return length;
  }

  write(chunks: readonly Uint8Array[], position: number): void {
    checkPosition(position);
    checkPosition(position + totalLength(chunks));
    let end = position;
    for (const chunk of chunks) {
      this.#put(chunk, end);
      end += chunk.length;
    }
    // Writing no bytes behind the end does not grow a file either.
    if (end > position) this.#size = Math.max(this.#size, end);
  }

  truncate(size: number): void {
    checkPosition(size);
    if (size < this.#size) this.#dropFrom(size);
    this.#size = size;
  }

  sync(): void {}

  async writeAsync(chunks: readonly Uint8Array[], position: number): Promise<void> {
    this.write(chunks, position);
  }

  async syncAsync(): Promise<void> {}

  lock(): boolean {
    return true;
  }

  close(): void {}

  /** Copies all bytes out. */
  bytes(): Uint8Array {
    const copy = new Uint8Array(this.#size);
    this.read(copy, 0);
    return copy;
  }

  #put(chunk: Uint8Array, position: number): void {
    for (let done = 0; done < chunk.length; ) {
      const offset = (position + done) % BLOCK_SIZE;
      const count = Math.min(chunk.length - done, BLOCK_SIZE - offset);
      this.#block((position + done - offset) / BLOCK_SIZE).set(chunk.subarray(done, done + count), offset);
      done += count;
    }
  }

  #block(index: number): Uint8Array {
    const present = this.#blocks.get(index);
    if (present !== undefined) return present;
    const block = new Uint8Array(BLOCK_SIZE);
    this.#blocks.set(index, block);
    return block;
  }

  #dropFrom(size: number): void {
    const lastIndex = Math.floor(size / BLOCK_SIZE);
    this.#blocks.get(lastIndex)?.fill(0, size % BLOCK_SIZE);
    for (const index of this.#blocks.keys()) if (index > lastIndex) this.#blocks.delete(index);
  }
}
