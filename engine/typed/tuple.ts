/**
 * Tuples as keys: several parts in a row, ordered by the first, then the second, and so on.
 *
 * A part of fixed size stands as it is. Any other part ends with 00 01, and a zero byte within it becomes 00 ff. So a part that is the
 * beginning of another sorts first (01 and every following byte that can stand there sort below ff), and where a part ends is never in doubt.
 */
import { toBytes } from "../base/bytes.js";
import { describeBytes, refuse, requireCodec, type Codec } from "./codec.js";

const END_MARK = 0x01;
const ESCAPED_ZERO = 0xff;

/** The parts of a tuple codec, from those of the tuple. */
export type PartCodecs<T extends readonly unknown[]> = { readonly [I in keyof T]: Codec<T[I]> };

/**
 * Gives the codec of a tuple. Keeps the order where the codecs of all parts do. `prefix` of a range takes the first parts:
 * `{ prefix: ["ada"] }` is every key whose first part is "ada".
 * @throws TypeError for a part that is no codec
 */
export function tuple<T extends readonly unknown[]>(...parts: PartCodecs<T>): Codec<T> {
  const codecs: readonly Codec<unknown>[] = parts;
  for (const [i, codec] of codecs.entries()) requireCodec(`part ${i} of a tuple`, codec);
  const sizes = codecs.map(({ size }) => size);
  const encodeParts = (values: readonly unknown[]): Buffer => Buffer.concat(Array.from(values, (value, i) => encodePart(codecs[i]!, value, i)));
  return {
    // A tuple of parts of fixed size is one itself.
    size: sizes.every((size) => size !== undefined) ? sizes.reduce((sum, size) => sum! + size!, 0) : undefined,
    encode(value: T): Buffer {
      if (!Array.isArray(value) || value.length !== codecs.length) refuse(`this tuple takes an array of ${codecs.length} parts`, value);
      return encodeParts(value);
    },
    encodePrefix(values: readonly unknown[]): Buffer {
      if (!Array.isArray(values) || values.length > codecs.length) refuse(`a prefix of this tuple is an array of at most ${codecs.length} parts`, values);
      return encodeParts(values);
    },
    decode(bytes: Buffer): T {
      return decodeParts(codecs, bytes) as readonly unknown[] as T;
    },
  };
}

function encodePart(codec: Codec<unknown>, value: unknown, i: number): Uint8Array {
  const encoded = withPart(i, () => toBytes(codec.encode(value), "what encode gives"));
  if (codec.size === undefined) return escape(encoded);
  if (encoded.length !== codec.size) throw new TypeError(`part ${i}: its codec gave ${encoded.length} bytes, its size is ${codec.size}`);
  return encoded;
}

function escape(part: Uint8Array): Buffer {
  let zeroCount = 0;
  for (const byte of part) if (byte === 0) zeroCount++;
  const escaped = Buffer.allocUnsafe(part.length + zeroCount + 2);
  let at = 0;
  for (const byte of part) {
    escaped[at++] = byte;
    if (byte === 0) escaped[at++] = ESCAPED_ZERO;
  }
  escaped[at++] = 0;
  escaped[at] = END_MARK;
  return escaped;
}

function decodeParts(codecs: readonly Codec<unknown>[], bytes: Buffer): unknown[] {
  const values: unknown[] = [];
  let at = 0;
  for (const [i, codec] of codecs.entries()) {
    const end = codec.size === undefined ? endOfPart(bytes, at, i) : at + codec.size;
    if (end > bytes.length) throw new TypeError(`part ${i} is cut off in ${describeBytes(bytes)}`);
    const part = codec.size === undefined ? unescape(bytes, at, end - 2) : bytes.subarray(at, end);
    values.push(withPart(i, () => codec.decode(part)));
    at = end;
  }
  if (at !== bytes.length) throw new TypeError(`${bytes.length - at} bytes are left behind the ${codecs.length} parts of ${describeBytes(bytes)}`);
  return values;
}

/** Where the part that starts at `from` ends, its end mark included. */
function endOfPart(bytes: Buffer, from: number, i: number): number {
  for (let zero = bytes.indexOf(0, from); zero >= 0; zero = bytes.indexOf(0, zero + 2)) {
    const next = bytes[zero + 1];
    if (next === END_MARK) return zero + 2;
    if (next !== ESCAPED_ZERO) break;
  }
  throw new TypeError(`part ${i} has no end in ${describeBytes(bytes)}`);
}

function unescape(bytes: Buffer, from: number, to: number): Buffer {
  const part = Buffer.allocUnsafe(to - from);
  let size = 0;
  for (let at = from; at < to; at++) {
    part[size++] = bytes[at]!;
    if (bytes[at] === 0) at++;
  }
  return part.subarray(0, size);
}

function withPart<T>(i: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new TypeError(`part ${i}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
