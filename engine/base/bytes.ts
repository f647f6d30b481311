/** Bytes in and out: comparing, little-endian integers, and what callers pass as keys and values. */

/** What callers pass: bytes, or a string that stands for its UTF-8 (in which half a surrogate pair is U+FFFD: two such strings can be one key). */
export type BytesLike = Uint8Array | string;

const TWO_POW_32 = 0x1_0000_0000;

/** Whether words of this machine are little-endian, as those of a file are. */
export const IS_LITTLE_ENDIAN: boolean = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Gives `count` little-endian words of four bytes: as a view where the machine can read them where they are, else as a copy. */
export function wordsOf(bytes: Uint8Array, start: number, count: number): Uint32Array {
  const at = bytes.byteOffset + start;
  if (IS_LITTLE_ENDIAN && at % 4 === 0) return new Uint32Array(bytes.buffer, at, count);
  const copy = new Uint8Array(bytes.subarray(start, start + 4 * count));
  if (!IS_LITTLE_ENDIAN) Buffer.from(copy.buffer).swap32();
  return new Uint32Array(copy.buffer);
}

/**
 * Strings up to this length are remembered: names of fields are, which a program asks for again and again. (Longer ones may be slices of
 * large texts, which they would keep in memory.)
 */
const SHORT_TEXT = 12;
const REMEMBERED_COUNT = 64;
const rememberedTexts: string[] = Array.from({ length: REMEMBERED_COUNT }, () => "");
const rememberedBytes: Uint8Array[] = Array.from({ length: REMEMBERED_COUNT }, () => new Uint8Array(0));

/** The UTF-8 of a short text (measured where it is remembered: 14 ns, Buffer.from 97). */
function bytesOfShort(text: string): Uint8Array {
  const size = text.length;
  const slot = (31 * size + 7 * text.charCodeAt(size >>> 1) + text.charCodeAt(size - 1)) & (REMEMBERED_COUNT - 1);
  if (rememberedTexts[slot] === text) return rememberedBytes[slot]!;
  const bytes = Buffer.from(text, "utf8");
  rememberedTexts[slot] = text;
  rememberedBytes[slot] = bytes;
  return bytes;
}

/**
 * Gives the bytes of a key or value. Those of a string are nobody's to change: they may be given again.
 * @throws TypeError naming `what` when it is neither bytes nor a string
 */
export function toBytes(value: BytesLike, what: string): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") return value.length > 0 && value.length <= SHORT_TEXT ? bytesOfShort(value) : Buffer.from(value, "utf8");
  throw new TypeError(`${what} must be a string or a Uint8Array, got ${value === null ? "null" : typeof value}`);
}

const LOOK_UP_SIZE = 3072;
const lookUpBytes: Uint8Array = new Uint8Array(LOOK_UP_SIZE);
const lookUpViews: Uint8Array[] = [];
const encoder = new TextEncoder();

/**
 * `toBytes` for a key that is only looked up: what it gives is valid until it is called again. (Measured for 48 characters: 50 ns,
 * Buffer.from 115; gets by such keys take 7 % less, those in a transaction of their own a tenth.)
 * @throws TypeError naming `what` when it is neither bytes nor a string
 */
export function toLookUp(key: BytesLike, what: string): Uint8Array {
  if (typeof key !== "string" || key.length <= SHORT_TEXT || key.length * 3 > LOOK_UP_SIZE) return toBytes(key, what);
  const { written } = encoder.encodeInto(key, lookUpBytes);
  return (lookUpViews[written] ??= lookUpBytes.subarray(0, written));
}

/** Ranges from here on are looked through eight bytes a step before the first difference is looked for. */
const LONG_SIZE = 12;

/**
 * Compares two byte ranges as unsigned bytes, the shorter first when one starts with the other.
 * A loop, eight bytes a step: equal 16 bytes take 27 ns, by single bytes 41, by Buffer.compare 130; equal 160 bytes take 175 ns, 243 and 90. (Deno's
 * Buffer.compare refuses parts of ranges of unlike lengths.)
 * @returns negative, 0 or positive
 */
export function compareBytes(a: Uint8Array, aStart: number, aSize: number, b: Uint8Array, bStart: number, bSize: number): number {
  const size = aSize < bSize ? aSize : bSize;
  for (let i = size < LONG_SIZE ? 0 : skipEqual(a, aStart, b, bStart, size); i < size; i++) {
    const difference = a[aStart + i]! - b[bStart + i]!;
    if (difference !== 0) return difference;
  }
  return aSize - bSize;
}

/** Gives a number of equal bytes at the start of two ranges: none of the eight behind them decides nothing. */
function skipEqual(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number, size: number): number {
  let i = 0;
  for (; i + 8 <= size; i += 8) {
    const x = aStart + i;
    const y = bStart + i;
    const first = (a[x]! ^ b[y]!) | (a[x + 1]! ^ b[y + 1]!) | (a[x + 2]! ^ b[y + 2]!) | (a[x + 3]! ^ b[y + 3]!);
    const second = (a[x + 4]! ^ b[y + 4]!) | (a[x + 5]! ^ b[y + 5]!) | (a[x + 6]! ^ b[y + 6]!) | (a[x + 7]! ^ b[y + 7]!);
    if ((first | second) !== 0) break;
  }
  return i;
}

/** Reads an unsigned 16-bit integer. */
export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

/** Reads an unsigned 32-bit integer; any alignment, any host byte order. */
export function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

/** Reads an unsigned 64-bit integer as a number: exact up to 2^53 - 1, rounded above (and then beyond the end of every file). */
export function readU64(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at + 4) * TWO_POW_32 + readU32(bytes, at);
}

/** Reads an unsigned 64-bit integer exactly. */
export function readBigU64(bytes: Uint8Array, at: number): bigint {
  const value = readU64(bytes, at);
  // Sequences are small, mostly 0, and arithmetic on bigints is slow.
  if (value <= Number.MAX_SAFE_INTEGER) return value === 0 ? 0n : BigInt(value);
  return (BigInt(readU32(bytes, at + 4)) << 32n) | BigInt(readU32(bytes, at));
}

/** Writes an unsigned 16-bit integer. */
export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

/** Writes an unsigned 32-bit integer; any alignment, any host byte order. */
export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** Writes an integer of at most 2^53 - 1 as 64 bits. */
export function writeU64(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, value >>> 0);
  writeU32(bytes, at + 4, Math.floor(value / TWO_POW_32));
}

/** Writes the low 64 bits of a bigint. */
export function writeBigU64(bytes: Uint8Array, at: number, value: bigint): void {
  writeU32(bytes, at, Number(value & 0xffffffffn));
  writeU32(bytes, at + 4, Number((value >> 32n) & 0xffffffffn));
}

/**
 * The first four bytes from `start` as one big-endian word, zeros where the range is shorter: words sort as the bytes do,
 * except that a range and the same range with zeros behind it give equal words.
 */
export function keyWord(bytes: Uint8Array, start: number, size: number): number {
  if (size >= 4) {
    return ((bytes[start]! << 24) | (bytes[start + 1]! << 16) | (bytes[start + 2]! << 8) | bytes[start + 3]!) >>> 0;
  }
  let word = 0;
  for (let i = 0; i < size; i++) word |= bytes[start + i]! << (24 - 8 * i);
  return word >>> 0;
}

/** Gives the caller a copy of a byte range. */
export function copyOut(bytes: Uint8Array, start: number, size: number): Buffer {
  return size <= TINY_SIZE ? copyTiny(bytes, start, size) : copyFrom(bytes.buffer, bytes.byteOffset + start, size);
}

/**
 * Small copies stand side by side in chunks of this size: under half of Buffer.poolSize, so that a chunk lies in Node's own pool. What a kept copy
 * keeps in memory is that pool, as with Buffer.allocUnsafe, and it cannot be transferred to another thread, which would take it from the other copies.
 */
const CHUNK_SIZE = 4000;
/** Larger copies get memory of their own: a chunk would be left half empty. */
const MAX_CHUNKED_SIZE = 1000;

let chunk: Uint8Array = new Uint8Array(0);
let chunkMemory: ArrayBufferLike = chunk.buffer;
let chunkWords = new DataView(chunkMemory);
let chunkStart = 0;
let chunkUsed = 0;

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
  if (at + size > chunk.length) {
    const fresh = Buffer.allocUnsafe(CHUNK_SIZE);
    chunkMemory = fresh.buffer;
    chunkStart = fresh.byteOffset;
    chunk = new Uint8Array(chunkMemory, chunkStart, CHUNK_SIZE);
    chunkWords = new DataView(chunkMemory, chunkStart, CHUNK_SIZE);
    at = 0;
  }
  chunkUsed = (at + size + 7) & ~7;
  return at;
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

/**
 * Gives memory that is not cleared first; undefined when there is not so much: a damaged or hostile file can ask for any amount.
 * No Buffer: its fill, set and subarray cost several times those of the plain array.
 */
export function newMemory(size: number): Uint8Array | undefined {
  try {
    return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
