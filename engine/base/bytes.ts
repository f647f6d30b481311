/** Bytes in and out: comparing, little-endian integers, and what callers pass as keys and values. */
import { types } from "node:util";

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

/** Asks an array for its length by no name that its class may have taken. (`byteLength` takes 9 ns more on Node 20.) */
const lengthOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), "length")!.get!;

/**
 * Gives the bytes of a key or value. Those of a string are nobody's to change: they may be given again.
 * @throws TypeError naming `what` when it is neither bytes nor a string, or its memory is gone
 */
export function toBytes(value: BytesLike, what: string): Uint8Array {
  if (value instanceof Uint8Array) return value.length > 0 && value.length === lengthOf.call(value) ? value : requireNoBytes(value, what);
  if (typeof value === "string") return value.length > 0 && value.length <= SHORT_TEXT ? bytesOfShort(value) : Buffer.from(value, "utf8");
  if (types.isUint8Array(value)) return ofOtherRealm(value);
  throw new TypeError(`${what} must be a string or a Uint8Array, got ${value === null ? "null" : typeof value}`);
}

/** An array of a vm context has another class by that name: the same bytes as one of ours. */
function ofOtherRealm(value: Uint8Array): Uint8Array {
  return new Uint8Array(value.buffer, value.byteOffset, value.length);
}

/** An array whose memory was transferred to another thread, or has shrunk, says that it is empty. */
function requireNoBytes(empty: Uint8Array, what: string): Uint8Array {
  if (empty.length !== 0) throw new TypeError(`${what} has a length of its own, ${empty.length}`);
  try {
    Uint8Array.prototype.values.call(empty);
    return empty;
  } catch {
    throw new TypeError(`${what} has no bytes any more: its memory was transferred, or has shrunk`);
  }
}

const LOOK_UP_SIZE = 3072;

/** Memory for the text that is looked up. Each database has its own: a page may be read from a storage that looks into another one. */
export class LookUpMemory {
  readonly bytes: Uint8Array = new Uint8Array(LOOK_UP_SIZE);
  /** Of `bytes`, by size. */
  readonly views: Uint8Array[] = [];
}

const encoder = new TextEncoder();

/**
 * `toBytes` for a key that is only looked up: what it gives is valid until it is called again. (Measured for 48 characters: 50 ns,
 * Buffer.from 115; gets by such keys take 7 % less, those in a transaction of their own a tenth.)
 * @throws TypeError naming `what` when it is neither bytes nor a string
 */
export function toLookUp(key: BytesLike, what: string, { bytes, views }: LookUpMemory): Uint8Array {
  if (typeof key !== "string" || key.length <= SHORT_TEXT || key.length * 3 > LOOK_UP_SIZE) return toBytes(key, what);
  const { written } = encoder.encodeInto(key, bytes);
  return (views[written] ??= bytes.subarray(0, written));
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

/** Copies a byte range. Short ranges by a loop: the call and the view it needs cost as much as 40 bytes. */
export function copyBytes(target: Uint8Array, at: number, source: Uint8Array, start: number, size: number): void {
  if (size <= 40) for (let i = 0; i < size; i++) target[at + i] = source[start + i]!;
  else target.set(start === 0 && size === source.length ? source : source.subarray(start, start + size), at);
}
