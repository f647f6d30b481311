/**
 * Go's signed varint, the form in which an image's size is stored: zigzag, then base 128 with the low group first,
 * one to ten bytes. Covers the whole of int64; a number comes back where a number is exact.
 *
 * @see Go encoding/binary, PutVarint and Varint
 */

const MIN_INT64 = -(1n << 63n);
const MAX_INT64 = (1n << 63n) - 1n;
const MAX_BYTES = 10;

/** Encodes an int64. @throws RangeError outside int64 or for a number that is no safe integer */
export function encodeVarint(value: number | bigint): Buffer {
  if (!isInt64(value)) throw new RangeError(`${value} is not a 64-bit integer`);
  if (typeof value === "number" && Math.abs(value) < FAST_LIMIT) return encodeShort(value);
  const signed = BigInt(value);
  let rest = signed < 0n ? (-signed << 1n) - 1n : signed << 1n;
  const bytes: number[] = [];
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

/** Sizes below 2^48 stay in doubles, which are exact there; a bigint a byte costs ten times as much. */
const FAST_LIMIT = 2 ** 48;

function encodeShort(value: number): Buffer {
  let rest = value < 0 ? -2 * value - 1 : 2 * value;
  const bytes = Buffer.allocUnsafe(MAX_BYTES);
  let length = 0;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes[length++] = (rest % 0x80) | 0x80;
  bytes[length++] = rest;
  return bytes.subarray(0, length);
}

/**
 * Decodes the int64 that starts at `start` and ends before `end`; what follows it is ignored, as Go does.
 * @returns undefined when the bytes end too early or hold more than 64 bits
 */
export function decodeVarint(bytes: Uint8Array, start: number = 0, end: number = bytes.length): number | bigint | undefined {
  let value = 0;
  let scale = 1;
  const fastEnd = Math.min(end, start + 7);
  for (let index = start; index < fastEnd; index++) {
    const byte = bytes[index] ?? 0;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    scale *= 0x80;
  }
  return decodeLong(bytes, start, end);
}

function decodeLong(bytes: Uint8Array, start: number, end: number): number | bigint | undefined {
  let value = 0n;
  for (let index = start; index < end && index < start + MAX_BYTES; index++) {
    const byte = bytes[index] ?? 0;
    // The tenth byte holds the last of the 64 bits: more than that is an overflow.
    if (index === start + MAX_BYTES - 1 && byte > 1) return undefined;
    value |= BigInt(byte & 0x7f) << BigInt(7 * (index - start));
    if (byte < 0x80) return narrow((value & 1n) === 0n ? value >> 1n : -((value + 1n) >> 1n));
  }
  return undefined;
}

/** Gives a number where a number is exact, else the bigint. */
export function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Tells whether a value is a whole number that int64 holds. */
export function isInt64(value: number | bigint): boolean {
  if (typeof value === "number") return Number.isSafeInteger(value);
  return value >= MIN_INT64 && value <= MAX_INT64;
}
