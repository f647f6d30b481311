/** The two codecs of a typed bucket at work: what they refuse becomes an error that names the bucket and the key. */
import { toBytes } from "../base/bytes.js";
import type { BytesLike } from "../base/bytes.js";
import { BoltError } from "../base/errors.js";
import type { Bucket } from "../tx/bucket.js";
import type { Range } from "../tx/range.js";
import { describeBytes, describeValue, refuse, requireCodec, type Codec } from "./codec.js";

/** The codecs of a typed bucket. */
export interface Codecs<K, V> {
  readonly key: Codec<K>;
  readonly value: Codec<V>;
}

/** What `prefix` takes: bytes (or text) that the encoded key starts with, and for tuples the first parts: of `[A, B]` also `[A]`. */
export type KeyPrefix<K> = BytesLike | (K extends readonly unknown[] ? Readonly<LeadingParts<K>> : never);

type LeadingParts<T extends readonly unknown[]> = T extends readonly [...infer Head, unknown] ? T | LeadingParts<Head> : T;

/** A key or value as it is given: a tuple may be readonly, for it is only read. */
export type Given<T> = T | (T extends readonly unknown[] ? Readonly<T> : never);

/** Which keys: as `Range`, with bounds of the key's type. */
export interface TypedRange<K> {
  readonly gt?: Given<K> | undefined;
  readonly gte?: Given<K> | undefined;
  readonly lt?: Given<K> | undefined;
  readonly lte?: Given<K> | undefined;
  readonly prefix?: KeyPrefix<K> | undefined;
  readonly reverse?: boolean | undefined;
  readonly limit?: number | undefined;
}

const BOUNDS = ["gt", "gte", "lt", "lte"] as const;

/** Encodes and decodes for one bucket. */
export class Coding<K, V> {
  readonly #bucket: Bucket;
  readonly #key: Codec<K>;
  readonly #value: Codec<V>;

  /** @throws TypeError for a bucket or codec that is none */
  constructor(bucket: Bucket, codecs: Codecs<K, V>) {
    // Not by its class: a bundler may have made two of it.
    if (typeof (bucket as Partial<Bucket> | undefined)?.createBucketOf !== "function") refuse("typed takes a bucket (undefined: there is none of that name)", bucket);
    for (const part of ["key", "value"] as const) requireCodec(part, codecs?.[part]);
    this.#bucket = bucket;
    this.#key = codecs.key;
    this.#value = codecs.value;
  }

  /** @throws TypeError */
  encodeKey(key: Given<K>): Uint8Array {
    try {
      return toBytes(this.#key.encode(key as K), "what encode gives");
    } catch (error) {
      throw this.#refused(`key ${describeValue(key)}`, error);
    }
  }

  /** @throws TypeError */
  encodeValue(key: Given<K>, value: Given<V>): Uint8Array {
    try {
      return toBytes(this.#value.encode(value as V), "what encode gives");
    } catch (error) {
      throw this.#refused(`value of key ${describeValue(key)}`, error);
    }
  }

  /** @param isBucket the key is the name of a nested bucket. @throws BoltError INCOMPATIBLE_VALUE */
  decodeKey(bytes: Buffer, isBucket: boolean = false): K {
    try {
      return this.#key.decode(bytes);
    } catch (error) {
      // A name is text as a rule, though the keys beside it are not.
      throw this.#undecodable(isBucket ? `key ${describeName(bytes)}, the name of a nested bucket` : `key ${describeBytes(bytes)}`, error);
    }
  }

  /** @throws BoltError INCOMPATIBLE_VALUE */
  decodeValue(key: () => Given<K>, bytes: Buffer): V {
    try {
      return this.#value.decode(bytes);
    } catch (error) {
      throw this.#undecodable(`value of key ${describeValue(key())}`, error);
    }
  }

  /** @throws TypeError */
  encodeRange(range: TypedRange<K> | undefined): Range | undefined {
    if (typeof range !== "object" || range === null || Array.isArray(range)) return range as Range | undefined;
    // What it has of its own may be no member of a range, and is refused as such; what is inherited counts too.
    const encoded: Record<string, unknown> = { ...range };
    for (const bound of BOUNDS) {
      const key = range[bound];
      if (key !== undefined) encoded[bound] = this.encodeKey(key);
    }
    const { limit, prefix, reverse } = range;
    if (limit !== undefined) encoded["limit"] = limit;
    if (reverse !== undefined) encoded["reverse"] = reverse;
    if (prefix !== undefined) encoded["prefix"] = Array.isArray(prefix) ? this.#encodePrefix(prefix) : prefix;
    return encoded;
  }

  #encodePrefix(parts: readonly unknown[]): BytesLike {
    try {
      if (this.#key.encodePrefix === undefined) throw new TypeError("this key codec has no parts; give the prefix as bytes or text");
      return this.#key.encodePrefix(parts);
    } catch (error) {
      throw this.#refused(`prefix ${describeValue(parts)}`, error);
    }
  }

  #refused(what: string, cause: unknown): TypeError {
    return new TypeError(this.#message(what, cause), { cause });
  }

  #undecodable(what: string, cause: unknown): BoltError {
    return new BoltError("INCOMPATIBLE_VALUE", `incompatible value: ${this.#message(what, cause)}`, { cause });
  }

  #message(what: string, cause: unknown): string {
    const path = this.#bucket.path.map(describeName).join("/");
    return `bucket ${path}, ${what}: ${cause instanceof Error ? cause.message : String(cause)}`;
  }
}

function describeName(name: Buffer): string {
  return describeValue(isText(name) ? name.toString() : name);
}

function isText(name: Buffer): boolean {
  return Buffer.from(name.toString()).equals(name);
}
