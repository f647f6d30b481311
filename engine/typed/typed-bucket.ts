/**
 * A bucket whose keys and values are values of the program instead of bytes.
 *
 * It is a cover over the bucket, which can be used beside it, and stores nothing of its own: which codecs a bucket has, the program knows.
 * What it takes may be readonly, `Given<K>`: a tuple that a caller must not change is one of its type. Names of nested buckets are bytes or
 * text as ever; cursors and `forEach` decode them as keys, for they stand among the keys.
 */
import { requireFunction } from "../base/errors.js";
import type { BytesLike } from "../base/bytes.js";
import type { BucketStats, BucketStructure } from "../tx/bucket-stats.js";
import type { Bucket, ReadBucket } from "../tx/bucket.js";
import type { Cursor, CursorEntry } from "../tx/cursor.js";
import type { Tx } from "../tx/tx.js";
import { Coding, type Codecs, type Given, type TypedRange } from "./coding.js";

/** What a typed cursor is on; `value` is undefined for a nested bucket. */
export interface TypedEntry<K, V> {
  readonly key: K;
  readonly value: V | undefined;
}

/** The members of a typed bucket that write. */
type WriteMembers = "put" | "delete" | "createBucket" | "createBucketIfNotExists" | "deleteBucket" | "moveBucket" | "nextSequence" | "setSequence";

/** A typed bucket of a read transaction: no member that writes, as in `ReadBucket`. */
export interface ReadTypedBucket<K, V> extends Omit<TypedBucket<K, V>, WriteMembers | "bucket" | "fillPercent" | "untyped" | "tx"> {
  readonly untyped: ReadBucket;
  readonly fillPercent: number;
  readonly tx: ReadBucket["tx"];
  bucket(name: BytesLike): ReadBucket | undefined;
  [Symbol.iterator](): IterableIterator<[K, V]>;
}

/** Covers a bucket with codecs for its keys and values; the types follow from the codecs. @throws TypeError for a codec that is none */
export function typed<K, V>(bucket: Bucket, codecs: Codecs<K, V>): TypedBucket<K, V>;
export function typed<K, V>(bucket: ReadBucket, codecs: Codecs<K, V>): ReadTypedBucket<K, V>;
export function typed<K, V>(bucket: Bucket | ReadBucket, codecs: Codecs<K, V>): TypedBucket<K, V> | ReadTypedBucket<K, V> {
  // The engine has one class for both; the type only hides what would throw TX_NOT_WRITABLE.
  return new TypedBucket(bucket as Bucket, codecs);
}

/**
 * A bucket with the members of `Bucket` and decoded types. What they say there holds here.
 *
 * A key or value that its codec refuses throws a TypeError, bytes that it cannot decode BoltError INCOMPATIBLE_VALUE; either names the bucket
 * and the key, and the codec's own error is its `cause`.
 */
export class TypedBucket<K, V> {
  /** The bucket itself, keys and values as bytes. */
  readonly untyped: Bucket;
  readonly #coding: Coding<K, V>;

  /** Use `typed`. */
  constructor(bucket: Bucket, codecs: Codecs<K, V>) {
    this.untyped = bucket;
    this.#coding = new Coding(bucket, codecs);
  }

  get tx(): Tx {
    return this.untyped.tx;
  }

  get writable(): boolean {
    return this.untyped.writable;
  }

  get root(): number {
    return this.untyped.root;
  }

  /** The names of the buckets around it and its own, from the top level down. */
  get path(): Buffer[] {
    return this.untyped.path;
  }

  get fillPercent(): number {
    return this.untyped.fillPercent;
  }

  set fillPercent(value: number) {
    this.untyped.fillPercent = value;
  }

  // ---- values

  /** Gives the value of a key; undefined when the key is not there or is a nested bucket. */
  get(key: Given<K>): V | undefined {
    const value = this.untyped.get(this.#coding.encodeKey(key));
    return value === undefined ? undefined : this.#coding.decodeValue(() => key, value);
  }

  /** `get`, decoded from the page without a copy: a value in which the codec keeps the bytes is valid while the transaction is open. */
  getView(key: Given<K>): V | undefined {
    const view = this.untyped.getView(this.#coding.encodeKey(key));
    return view === undefined ? undefined : this.#coding.decodeValue(() => key, asBuffer(view));
  }

  /** Whether the key has a value. */
  has(key: Given<K>): boolean {
    return this.untyped.has(this.#coding.encodeKey(key));
  }

  /** Sets a key to a value. */
  put(key: Given<K>, value: Given<V>): void {
    this.untyped.put(this.#coding.encodeKey(key), this.#coding.encodeValue(key, value));
  }

  /** Deletes a key; it is no error when it is not there. */
  delete(key: Given<K>): void {
    this.untyped.delete(this.#coding.encodeKey(key));
  }

  // ---- walking

  /** A cursor over all keys, nested buckets among them. */
  cursor(): TypedCursor<K, V> {
    return new TypedCursor(this.untyped.cursor(), this.#coding);
  }

  /** Calls back with each key and its value, undefined for a nested bucket. */
  forEach(visit: (key: K, value: V | undefined) => void): void {
    requireFunction(visit, "forEach");
    this.untyped.forEach((bytes, value) => {
      const key = this.#coding.decodeKey(bytes, value === undefined);
      visit(key, value === undefined ? undefined : this.#coding.decodeValue(() => key, value));
    });
  }

  /** Iterates over the pairs of a range; nested buckets are skipped. */
  entries(range?: TypedRange<K>): IterableIterator<[K, V]> {
    return new MappedIterator(this.untyped.entries(this.#coding.encodeRange(range)), ([key, value]) => this.#pair(key, value));
  }

  /** `entries`, decoded from the pages without copies: see `getView`. */
  entriesView(range?: TypedRange<K>): IterableIterator<[K, V]> {
    return new MappedIterator(this.untyped.entriesView(this.#coding.encodeRange(range)), ([key, value]) => this.#pair(asBuffer(key), asBuffer(value)));
  }

  /** Iterates over the keys of a range that have values. */
  keys(range?: TypedRange<K>): IterableIterator<K> {
    return new MappedIterator(this.untyped.keys(this.#coding.encodeRange(range)), (key) => this.#coding.decodeKey(key));
  }

  /** Iterates over the values of a range. */
  values(range?: TypedRange<K>): IterableIterator<V> {
    // With the keys, for an error has to name the one whose value it is.
    return new MappedIterator(this.untyped.entries(this.#coding.encodeRange(range)), ([key, value]) => this.#coding.decodeValue(() => this.#coding.decodeKey(key), value));
  }

  [Symbol.iterator](): IterableIterator<[K, V]> {
    return this.entries();
  }

  /** Counts the pairs of a range. */
  count(range?: TypedRange<K>): number {
    return this.untyped.count(this.#coding.encodeRange(range));
  }

  #pair(keyBytes: Buffer, value: Buffer): [K, V] {
    const key = this.#coding.decodeKey(keyBytes);
    return [key, this.#coding.decodeValue(() => key, value)];
  }

  // ---- nested buckets

  /** Opens a nested bucket, untyped; undefined when there is none of that name. */
  bucket(name: BytesLike): Bucket | undefined {
    return this.untyped.bucket(name);
  }

  /** Makes a nested bucket. */
  createBucket(name: BytesLike): Bucket {
    return this.untyped.createBucket(name);
  }

  /** Opens a nested bucket, making it where it is missing. */
  createBucketIfNotExists(name: BytesLike): Bucket {
    return this.untyped.createBucketIfNotExists(name);
  }

  /** Deletes a nested bucket with all in it. */
  deleteBucket(name: BytesLike): void {
    this.untyped.deleteBucket(name);
  }

  /** Moves a nested bucket into another bucket, or with the transaction to the top level. */
  moveBucket(name: BytesLike, target: Bucket | Tx | { readonly untyped: Bucket }): void {
    const isTyped = typeof target === "object" && target !== null && "untyped" in target;
    this.untyped.moveBucket(name, isTyped ? target.untyped : target);
  }

  /** Iterates over the names of the nested buckets. */
  buckets(): IterableIterator<Buffer> {
    return this.untyped.buckets();
  }

  // ---- sequence and structure

  /** The bucket's counter. */
  get sequence(): bigint {
    return this.untyped.sequence;
  }

  /** Adds one to the counter and gives it: a fresh `uint64` key. */
  nextSequence(): bigint {
    return this.untyped.nextSequence();
  }

  /** Sets the counter. */
  setSequence(sequence: bigint): void {
    this.untyped.setSequence(sequence);
  }

  /** Counts pages, keys and bytes. */
  stats(): BucketStats {
    return this.untyped.stats();
  }

  /** Gives the tree of nested buckets. */
  inspect(): BucketStructure {
    return this.untyped.inspect();
  }
}

/** Moves over the keys of a typed bucket: `Cursor` with decoded types. */
export class TypedCursor<K, V> {
  readonly #cursor: Cursor;
  readonly #coding: Coding<K, V>;

  /** Comes from `TypedBucket.cursor`. */
  constructor(cursor: Cursor, coding: Coding<K, V>) {
    this.#cursor = cursor;
    this.#coding = coding;
  }

  /** Goes to the first key. */
  first(): TypedEntry<K, V> | undefined {
    return this.#decoded(this.#cursor.first());
  }

  /** Goes to the last key. */
  last(): TypedEntry<K, V> | undefined {
    return this.#decoded(this.#cursor.last());
  }

  /** Goes to the key, or the next one. */
  seek(key: Given<K>): TypedEntry<K, V> | undefined {
    return this.#decoded(this.#cursor.seek(this.#coding.encodeKey(key)));
  }

  /** Goes to the next key; undefined at the end, where it stays. */
  next(): TypedEntry<K, V> | undefined {
    return this.#decoded(this.#cursor.next());
  }

  /** Goes to the key before; undefined at the start, where it stays. */
  prev(): TypedEntry<K, V> | undefined {
    return this.#decoded(this.#cursor.prev());
  }

  /** Deletes the key it is on. */
  delete(): void {
    this.#cursor.delete();
  }

  #decoded(entry: CursorEntry | undefined): TypedEntry<K, V> | undefined {
    if (entry === undefined) return undefined;
    const key = this.#coding.decodeKey(entry.key, entry.value === undefined);
    return { key, value: entry.value === undefined ? undefined : this.#coding.decodeValue(() => key, entry.value) };
  }
}

/** Gives what a function makes of each item. No generator: one that has thrown, for an item that cannot be decoded say, gives nothing more. */
class MappedIterator<A, B> implements IterableIterator<B> {
  readonly #items: Iterator<A>;
  readonly #map: (item: A) => B;

  constructor(items: Iterator<A>, map: (item: A) => B) {
    this.#items = items;
    this.#map = map;
  }

  next(): IteratorResult<B, undefined> {
    const item = this.#items.next();
    return item.done === true ? { done: true, value: undefined } : { done: false, value: this.#map(item.value) };
  }

  [Symbol.iterator](): this {
    return this;
  }
}

function asBuffer(view: Uint8Array): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}
