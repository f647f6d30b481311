/**
 * Memory of the engine's own, and the copies that callers get.
 *
 * Kept true: what callers get for their own never lies beside what the engine keeps. Callers may do what they like with their copies, and a `postMessage`
 * that transfers the buffer of one takes the whole memory behind it away from everything else that lies there.
 */
import { markAsUntransferable } from "node:worker_threads";

/**
 * Gives memory that is not cleared first; undefined when there is not so much: a damaged or hostile file can ask for any amount.
 * No Buffer: its fill, set and subarray cost several times those of the plain array. Callers may see views of it; what `postMessage` transfers does not take it away.
 */
export function newMemory(size: number): Uint8Array | undefined {
  try {
    const memory = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
    markAsUntransferable(memory.buffer);
    return memory;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Gives the caller a copy of a byte range. */
export function copyOut(bytes: Uint8Array, start: number, size: number): Buffer {
  return size <= TINY_SIZE ? copyTiny(bytes, start, size) : copyFrom(bytes.buffer, bytes.byteOffset + start, size);
}

/**
 * Small copies stand side by side in chunks of this size: under half of Buffer.poolSize, so that a chunk lies in Node's own pool. What a kept copy
 * keeps in memory is that pool, as with Buffer.allocUnsafe, and it cannot be transferred to another thread, which would take it from the other copies.
 * Where there is no such pool (Bun; a smaller Buffer.poolSize), a copy is alone in its memory.
 */
const CHUNK_SIZE = 4000;
/** Larger copies get memory of their own: a chunk would be left half empty. */
const MAX_CHUNKED_SIZE = 1000;

let chunk: Uint8Array = new Uint8Array(0);
let chunkMemory: ArrayBufferLike = chunk.buffer;
let chunkWords = new DataView(chunkMemory);
let chunkStart = 0;
let chunkUsed = 0;
let chunkEnd = 0;

const HAS_POOL = Buffer.allocUnsafe(8).buffer.byteLength > 8;

/** Whether `Buffer.allocUnsafe` takes so many bytes of the pool that everything of the process shares and nothing can transfer. */
export function isPooled(size: number): boolean {
  return HAS_POOL && size < Buffer.poolSize >>> 1;
}

/**
 * Gives the caller a copy of `size` bytes from `start` of `memory`.
 * Measured for 100 bytes: 62 ns, Buffer.allocUnsafe with set(subarray) 102. To ask an array for its buffer costs 30 of it, hence the argument.
 */
export function copyFrom(memory: ArrayBufferLike, start: number, size: number): Buffer {
  if (size > MAX_CHUNKED_SIZE) {
    const copy = Buffer.allocUnsafe(size);
    copy.set(new Uint8Array(memory, start, size));
    return copy;
  }
  const at = takeOfChunk(size);
  chunk.set(new Uint8Array(memory, start, size), at);
  return bufferAt(chunkMemory, chunkStart + at, size);
}

/** Up to this size a loop is faster than `set`. */
export const TINY_SIZE = 16;

/** `copyOut` of TINY_SIZE bytes at most (measured: a tenth less than `set` for 8 bytes). */
function copyTiny(bytes: Uint8Array, start: number, size: number): Buffer {
  const at = takeOfChunk(size);
  for (let i = 0; i < size; i++) chunk[at + i] = bytes[start + i]!;
  return bufferAt(chunkMemory, chunkStart + at, size);
}

/** Up to this size words copied one by one are faster than `set`, for which an array has to be made on what it copies. */
export const SMALL_SIZE = 128;

/** `copyFrom` of SMALL_SIZE bytes at most (measured: gets of 100 bytes take 0.91 of the time, of 8 bytes as long as with `copyTiny`). */
export function copySmall(memory: DataView, start: number, size: number): Buffer {
  const at = takeOfChunk(size);
  const end = at + size;
  let from = start;
  let to = at;
  for (; to + 4 <= end; to += 4, from += 4) chunkWords.setUint32(to, memory.getUint32(from, true), true);
  for (; to < end; to++, from++) chunkWords.setUint8(to, memory.getUint8(from));
  return bufferAt(chunkMemory, chunkStart + at, size);
}

/** Takes bytes of the chunk; gives where in it. Starts are multiples of eight, as Buffer's are. */
function takeOfChunk(size: number): number {
  let at = chunkUsed;
  if (at + size > chunkEnd) {
    startChunk(isPooled(CHUNK_SIZE) ? CHUNK_SIZE : size);
    at = 0;
  }
  chunkUsed = (at + size + 7) & ~7;
  return at;
}

function startChunk(size: number): void {
  // A program that is broken off in here (`vm` with a timeout) must not leave one chunk's memory with another one's start.
  chunkEnd = 0;
  const fresh = Buffer.allocUnsafe(size);
  chunkMemory = fresh.buffer;
  chunkStart = fresh.byteOffset;
  chunk = new Uint8Array(chunkMemory, chunkStart, size);
  chunkWords = new DataView(chunkMemory, chunkStart, size);
  chunkEnd = size === CHUNK_SIZE ? size : -1;
}

/** Bytes that are kept stand side by side in chunks of this size. */
const KEPT_CHUNK_SIZE = 8192;

let kept: Uint8Array = new Uint8Array(0);
let keptUsed = 0;

/** Copies bytes that the engine keeps. @throws RangeError as `requireMemory` */
export function copyToKeep(bytes: Uint8Array, start: number, size: number): Uint8Array {
  const copy = memoryToKeep(size);
  if (size <= TINY_SIZE) for (let i = 0; i < size; i++) copy[i] = bytes[start + i]!;
  else copy.set(new Uint8Array(bytes.buffer, bytes.byteOffset + start, size));
  return copy;
}

function memoryToKeep(size: number): Uint8Array {
  if (size > KEPT_CHUNK_SIZE / 4) return requireMemory(size);
  if (keptUsed + size > kept.length) {
    kept = requireMemory(KEPT_CHUNK_SIZE);
    keptUsed = 0;
  }
  const at = keptUsed;
  keptUsed = (at + size + 7) & ~7;
  return new Uint8Array(kept.buffer, at, size);
}

/** There is not so much memory: what needed it was refused, and nothing else. V8 has RangeErrors of its own, for a full stack too. */
export class NoMemoryError extends RangeError {}

/** `newMemory` that throws. @throws NoMemoryError when there is not so much memory */
export function requireMemory(size: number): Uint8Array {
  const memory = newMemory(size);
  if (memory === undefined) throw new NoMemoryError(`there is no memory for ${size} bytes`);
  return memory;
}

/** What makes Buffers on given memory. */
type BufferConstructor = new (memory: ArrayBufferLike, start: number, size: number) => Buffer;

/**
 * The class behind Buffer, which Buffer names for the methods of arrays to make their results with: `new` costs 28 ns, Buffer.from 48, subarray 54.
 * Undefined where a Buffer is made otherwise.
 */
function bufferConstructor(): BufferConstructor | undefined {
  const species: unknown = Reflect.get(Buffer, Symbol.species);
  if (!isConstructor(species)) return undefined;
  const sample = new species(new ArrayBuffer(4), 1, 2);
  return Object.getPrototypeOf(sample) === Buffer.prototype && sample.byteOffset === 1 && sample.length === 2 ? species : undefined;
}

function isConstructor(value: unknown): value is BufferConstructor {
  return typeof value === "function";
}

const FastBuffer: BufferConstructor | undefined = bufferConstructor();

/** Gives a Buffer on memory. */
export const bufferAt: (memory: ArrayBufferLike, start: number, size: number) => Buffer =
  FastBuffer === undefined ? (memory, start, size) => Buffer.from(memory, start, size) : (memory, start, size) => new FastBuffer(memory, start, size);
