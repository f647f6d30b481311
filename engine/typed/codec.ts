/**
 * Codecs: how the keys and values of a typed bucket become bytes and come back.
 *
 * 1. A key codec must give equal values equal bytes, and different values different bytes. The codecs here do, `json` aside.
 * 2. Where a codec says that it keeps the order, bytes compare as the values do: ranges and iteration then follow the values.
 * 3. What a codec here does not take it refuses with a TypeError, rather than storing something else than was given.
 */
import { isUtf8 } from "node:buffer";
import { types } from "node:util";
import type { BytesLike } from "../base/bytes.js";

/**
 * A pair of functions between values and bytes. Any object with the two is one: `decode` is the place for a validator.
 * Both throw what they like for what they do not take; the typed bucket names the bucket and the key.
 */
export interface Codec<T> {
  /** Gives the bytes of a value; a string stands for its UTF-8. Memory of its own each time: several values may be encoded before one is stored. */
  encode(value: T): BytesLike;
  /** Gives the value back. The bytes may be kept, except those that `getView` and `entriesView` decode, and must not be changed: these are the database's own. */
  decode(bytes: Buffer): T;
  /** How many bytes every value takes, where that is always the same: such parts of a tuple need no end mark. */
  readonly size?: number | undefined;
  /** Gives the bytes that all values with these first parts start with: what makes `prefix` work for tuples. */
  encodePrefix?(parts: readonly unknown[]): BytesLike;
}

/** @throws TypeError unless it is a codec */
export function requireCodec(name: string, codec: Partial<Codec<unknown>> | undefined): void {
  if (typeof codec?.encode !== "function" || typeof codec.decode !== "function") throw new TypeError(`${name} must be a codec: an object with encode and decode`);
}

/** Says what a value is, for messages: short, also of an array that is in itself, and without running code of its own. */
export function describeValue(value: unknown, depth: number = 0): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
    case "bigint":
      return `${value}n`;
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "object":
      if (value === null) return "null";
      if (types.isUint8Array(value)) return describeBytes(value);
      if (types.isDate(value)) return Number.isNaN(value.getTime()) ? "an invalid Date" : value.toISOString();
      if (Array.isArray(value)) return depth === DEPTH_SHOWN ? "[…]" : `[${value.slice(0, 8).map((part) => describeValue(part, depth + 1)).join(", ")}${value.length > 8 ? ", …" : ""}]`;
      return "an object";
    case "function":
    case "symbol":
      return `a ${typeof value}`;
    default:
      return String(value);
  }
}

/** Arrays in arrays that a message shows. */
const DEPTH_SHOWN = 3;

/** Says what bytes are, for messages. */
export function describeBytes(bytes: Uint8Array): string {
  // It may have no memory any more.
  if (bytes.length === 0) return "(hex)";
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 32)).toString("hex");
  return `(hex)${hex}${bytes.length > 32 ? "…" : ""}`;
}

/** Refuses a value. @param takes what takes which values @throws TypeError */
export function refuse(takes: string, got: unknown): never {
  throw new TypeError(`${takes}, got ${describeValue(got)}`);
}

function requireSize(name: string, bytes: Buffer, size: number): void {
  if (bytes.length !== size) throw new TypeError(`${name} has ${size} bytes, got ${bytes.length}: ${describeBytes(bytes)}`);
}

/**
 * Text as UTF-8. Keeps the order of code points, which is that of `<` on strings except between U+E000–U+FFFF and what lies above.
 * Refuses strings with half a surrogate pair, and bytes that are no UTF-8: both would come back as something else.
 */
export const utf8: Codec<string> = {
  encode(value: string): string {
    if (typeof value !== "string") refuse("utf8 takes a string", value);
    if (!value.isWellFormed()) throw new TypeError("utf8 takes a string of whole characters, got one with half a surrogate pair");
    return value;
  },
  decode(bytes: Buffer): string {
    if (!isUtf8(bytes)) refuse("utf8 takes bytes that are UTF-8", bytes);
    return bytes.toString("utf8");
  },
};

/** Bytes as they are; what comes back is a Buffer. Keeps the order of bytes. */
export const bytes: Codec<Uint8Array> = {
  encode(value: Uint8Array): Uint8Array {
    if (!types.isUint8Array(value)) refuse("bytes takes a Uint8Array", value);
    return value;
  },
  decode(stored: Buffer): Uint8Array {
    return stored;
  },
};

/**
 * Values as JSON text. For values rather than keys: two objects that are equal may have different texts, and order is lost.
 * What JSON changes on its way (a Date, undefined in an object, NaN) comes back changed.
 */
export function json<T>(): Codec<T> {
  return {
    encode(value: T): string {
      const text = JSON.stringify(value) as string | undefined;
      return text ?? refuse("json takes what JSON has a text for", value);
    },
    decode(stored: Buffer): T {
      return JSON.parse(utf8.decode(stored)) as T;
    },
  };
}

const MAX_UINT32 = 0xffff_ffff;
const MAX_UINT64 = 0xffff_ffff_ffff_ffffn;
const MIN_INT64 = -(1n << 63n);
const MAX_INT64 = (1n << 63n) - 1n;

/** A whole number from 0 to 2^32 − 1 in four bytes. Keeps the order. */
export const uint32: Codec<number> = {
  size: 4,
  encode(value: number): Buffer {
    if (!Number.isInteger(value) || value < 0 || value > MAX_UINT32) refuse("uint32 takes a whole number from 0 to 2^32 - 1", value);
    const encoded = Buffer.allocUnsafe(4);
    encoded.writeUInt32BE(value);
    return encoded;
  },
  decode(stored: Buffer): number {
    requireSize("uint32", stored, 4);
    return stored.readUInt32BE();
  },
};

/** A bigint from 0 to 2^64 − 1 in eight bytes, big-endian, as sequences are stored by Go programs. Keeps the order. */
export const uint64: Codec<bigint> = {
  size: 8,
  encode(value: bigint): Buffer {
    if (typeof value !== "bigint" || value < 0n || value > MAX_UINT64) refuse("uint64 takes a bigint from 0 to 2^64 - 1", value);
    const encoded = Buffer.allocUnsafe(8);
    encoded.writeBigUInt64BE(value);
    return encoded;
  },
  decode(stored: Buffer): bigint {
    requireSize("uint64", stored, 8);
    return stored.readBigUInt64BE();
  },
};

/** A bigint from −2^63 to 2^63 − 1 in eight bytes, big-endian with the sign bit turned. Keeps the order. */
export const int64: Codec<bigint> = {
  size: 8,
  encode(value: bigint): Buffer {
    if (typeof value !== "bigint" || value < MIN_INT64 || value > MAX_INT64) refuse("int64 takes a bigint from -2^63 to 2^63 - 1", value);
    return encodeInt64(value);
  },
  decode(stored: Buffer): bigint {
    requireSize("int64", stored, 8);
    return stored.readBigUInt64BE() + MIN_INT64;
  },
};

function encodeInt64(value: bigint): Buffer {
  const encoded = Buffer.allocUnsafe(8);
  encoded.writeBigUInt64BE(value - MIN_INT64);
  return encoded;
}

const SIGN_BIT = 0x80;

/**
 * A number in eight bytes: IEEE 754, big-endian, the sign bit turned, the other bits of negative numbers too. Keeps the order, infinities
 * included. −0 stays −0 and sorts right before 0, so as keys they are two. NaN is allowed: it sorts behind Infinity, and all NaNs are one.
 */
export const float64: Codec<number> = {
  size: 8,
  encode(value: number): Buffer {
    if (typeof value !== "number") refuse("float64 takes a number", value);
    const encoded = Buffer.allocUnsafe(8);
    encoded.writeDoubleBE(value);
    // The bits of a NaN are the machine's choice, its sign too.
    if (Number.isNaN(value)) encoded.writeBigUInt64BE(0x7ff8_0000_0000_0000n);
    return turnFloatBits(encoded, (encoded[0]! & SIGN_BIT) !== 0);
  },
  decode(stored: Buffer): number {
    requireSize("float64", stored, 8);
    return turnFloatBits(Buffer.from(stored), (stored[0]! & SIGN_BIT) === 0).readDoubleBE();
  },
};

function turnFloatBits(bits: Buffer, isNegative: boolean): Buffer {
  if (isNegative) for (let i = 0; i < 8; i++) bits[i] = ~bits[i]!;
  else bits[0]! ^= SIGN_BIT;
  return bits;
}

/** A Date in eight bytes: milliseconds since 1970 as `int64`. Keeps the order, years before 1970 included. */
export const date: Codec<Date> = {
  size: 8,
  encode(value: Date): Buffer {
    if (!types.isDate(value) || Number.isNaN(value.getTime())) refuse("date takes a valid Date", value);
    return encodeInt64(BigInt(value.getTime()));
  },
  decode(stored: Buffer): Date {
    requireSize("date", stored, 8);
    const decoded = new Date(Number(stored.readBigUInt64BE() + MIN_INT64));
    if (Number.isNaN(decoded.getTime())) refuse("date takes bytes of a time that Date can hold", stored);
    return decoded;
  },
};
