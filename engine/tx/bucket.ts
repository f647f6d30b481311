/** The bucket that callers get: checks arguments and states, in bbolt's order, and copies what goes in and out. @see bbolt bucket.go */
import { compareBytes, toBytes, toLookUp, type BytesLike } from "../base/bytes.js";
import { boltError, requireFunction } from "../base/errors.js";
import { BUCKET_FLAG, BUCKET_HEADER_SIZE, MAX_INLINE_FRACTION, MAX_KEY_SIZE, MAX_VALUE_SIZE, type Pgid } from "../format/constants.js";
import { requireValue } from "../tree/pages.js";
import { bucketStats, inlineBucketStats, inspectBucket, inspectInlineBucket, type BucketStats, type BucketStructure } from "./bucket-stats.js";
import { EMPTY_BUCKET, type BucketState } from "./bucket-state.js";
import { Cursor } from "./cursor.js";
import { encodeInline, type InlinePair } from "./inline-value.js";
import { bufferOn, type Decode, NestedReader } from "./nested-reader.js";
import type { Place } from "./place.js";
import { RangeScan, ScanIterator, type Range } from "./range.js";
import type { ReadTx, Tx } from "./tx.js";

const takePair = (place: Place): [Buffer, Buffer] => place.copyPair();
const takeKey = (place: Place): Buffer => place.copyKey();
const takeValue = (place: Place): Buffer => place.copyValue();
const takePairView = (place: Place): [Uint8Array, Uint8Array] => place.viewPair();

const MAX_SEQUENCE = 0xffff_ffff_ffff_ffffn;

/** The members of a bucket that write. */
type WriteMembers = "put" | "delete" | "createBucket" | "createBucketIfNotExists" | "createBucketOf" | "deleteBucket" | "moveBucket" | "nextSequence" | "setSequence";

/** A bucket of a read transaction, without `put`, `delete`, the members that make, delete and move buckets, `nextSequence` and `setSequence`. By value such a call throws TX_NOT_WRITABLE. */
export interface ReadBucket extends Omit<Bucket, WriteMembers | "bucket" | "fillPercent" | "tx"> {
  readonly tx: ReadTx;
  readonly fillPercent: number;
  bucket(name: BytesLike): ReadBucket | undefined;
  [Symbol.iterator](): IterableIterator<[Buffer, Buffer]>;
}

/**
 * A collection of keys in byte order, each with a value or a nested bucket. Valid while its transaction is open.
 *
 * Everything handed out belongs to the caller, except by the `…View` members: those give views that must not be changed and are valid
 * while the transaction is open. Every member that looks into it throws BoltError TX_CLOSED after the transaction, CORRUPT for a page that cannot be, IO when a
 * read fails; the writing ones TX_NOT_WRITABLE in a read transaction; all TypeError for arguments of another type.
 */
export class Bucket {
  readonly tx: Tx;
  readonly #state: BucketState;

  /** Buckets come from a transaction or another bucket. @internal */
  constructor(tx: Tx, state: BucketState) {
    this.tx = tx;
    this.#state = state;
  }

  /** Whether the transaction can write. */
  get writable(): boolean {
    return this.#state.tx.isWritable;
  }

  /** The names of the buckets around it and its own, from the top level down. */
  get path(): Buffer[] {
    const names: Buffer[] = [];
    for (let at = this.#state; at.parent !== undefined; at = at.parent) names.push(Buffer.from(at.name));
    return names.reverse();
  }

  /** Whether this still is the bucket of that path: neither deleted nor moved. @internal */
  isAt(path: readonly Uint8Array[]): boolean {
    let state = this.#state;
    if (state.isDeleted) return false;
    for (let i = path.length - 1; i >= 0; i--) {
      const name = path[i]!;
      if (state.parent === undefined || compareBytes(state.name, 0, state.name.length, name, 0, name.length) !== 0) return false;
      state = state.parent;
    }
    return state.parent === undefined;
  }

  /** The page id of the bucket's root page; 0 when it is inline or new. */
  get root(): Pgid {
    return this.#state.tree.root;
  }

  /** How full pages are made when one is split, 0.1 to 1, default 0.5; of this transaction only, not stored. */
  get fillPercent(): number {
    return this.#state.fillPercent;
  }

  set fillPercent(value: number) {
    this.#state.requireWritable();
    if (typeof value !== "number" || Number.isNaN(value)) throw new TypeError(`fillPercent must be a number, got ${value}`);
    this.#state.fillPercent = value;
  }

  // ---- values

  /** Gives a copy of a key's value; undefined when the key is not there or is a nested bucket. @see bbolt Bucket.Get */
  get(key: BytesLike): Buffer | undefined {
    const state = this.#state;
    state.requireReadable();
    const { tree } = state;
    if (!tree.lookup(toLookUp(key, "key", tree.pages.lookUpMemory)) || tree.flags === BUCKET_FLAG) return undefined;
    return tree.copyValue();
  }

  /** `get` without the copy: a view that must not be changed, valid while the transaction is open. */
  getView(key: BytesLike): Uint8Array | undefined {
    const state = this.#state;
    state.requireReadable();
    const { tree } = state;
    if (!tree.lookup(toLookUp(key, "key", tree.pages.lookUpMemory)) || tree.flags === BUCKET_FLAG) return undefined;
    return tree.viewValue();
  }

  /** Decodes a key's value in place; undefined when the key is not there or is a nested bucket. @internal */
  read<T>(key: Uint8Array, decode: Decode<T>): T | undefined {
    const state = this.#state;
    state.requireReadable();
    const { tree } = state;
    if (!tree.lookup(key) || tree.flags === BUCKET_FLAG) return undefined;
    requireValue(tree.pages, tree.bytes, tree.valueSize);
    const start = tree.keyStart + tree.keySize;
    return decode(bufferOn(tree.pages, tree.bytes, tree.frame), start, start + tree.valueSize);
  }

  /** Whether the key has a value; a nested bucket is none. */
  has(key: BytesLike): boolean {
    const state = this.#state;
    state.requireReadable();
    return state.tree.lookup(toLookUp(key, "key", state.tree.pages.lookUpMemory)) && state.tree.flags !== BUCKET_FLAG;
  }

  /**
   * Sets a key to a value. Neither is kept: both may be changed afterwards.
   * @throws BoltError KEY_REQUIRED, KEY_TOO_LARGE (over 32,768 bytes), VALUE_TOO_LARGE (over 2^31 - 2), INCOMPATIBLE_VALUE when the key is a nested bucket
   * @see bbolt Bucket.Put
   */
  put(key: BytesLike, value: BytesLike): void {
    const state = this.#state;
    state.requireWritable();
    const keyBytes = toBytes(key, "key");
    const valueBytes = toBytes(value, "value");
    if (keyBytes.length === 0) throw boltError("KEY_REQUIRED");
    if (keyBytes.length > MAX_KEY_SIZE) throw boltError("KEY_TOO_LARGE", `${keyBytes.length} bytes, at most ${MAX_KEY_SIZE} are allowed`);
    if (valueBytes.length > MAX_VALUE_SIZE) throw boltError("VALUE_TOO_LARGE", `${valueBytes.length} bytes, at most ${MAX_VALUE_SIZE} are allowed`);
    state.tree.put(keyBytes, valueBytes, 0);
  }

  /** Deletes a key; it is no error when it is not there. @throws BoltError INCOMPATIBLE_VALUE when it is a nested bucket */
  delete(key: BytesLike): void {
    const state = this.#state;
    state.requireWritable();
    state.tree.remove(toBytes(key, "key"), 0);
  }

  // ---- nested buckets

  /** Opens a nested bucket; undefined when there is none of that name. */
  bucket(name: BytesLike): Bucket | undefined {
    this.#state.requireReadable();
    const child = this.#state.open(toBytes(name, "bucket name"), typeof name === "string");
    return child === undefined ? undefined : new Bucket(this.tx, child);
  }

  /** Makes a nested bucket. @throws BoltError BUCKET_NAME_REQUIRED, BUCKET_EXISTS, INCOMPATIBLE_VALUE when the key has a value */
  createBucket(name: BytesLike): Bucket {
    this.#state.requireWritable();
    return new Bucket(this.tx, this.#state.create(toBytes(name, "bucket name")));
  }

  /** Opens a nested bucket, making it where it is missing. @throws BoltError BUCKET_NAME_REQUIRED, INCOMPATIBLE_VALUE */
  createBucketIfNotExists(name: BytesLike): Bucket {
    this.#state.requireWritable();
    const nameBytes = toBytes(name, "bucket name");
    return new Bucket(this.tx, this.#state.openOrCreate(nameBytes));
  }

  /**
   * Makes a nested bucket that holds these pairs, which must be in ascending key order. For many small buckets: faster than `createBucket` and `put`.
   * @returns false when there is one of that name: then nothing is done
   * @throws BoltError BUCKET_NAME_REQUIRED, INCOMPATIBLE_VALUE when the key has a value; the errors of `put`
   * @internal
   */
  createBucketOf(name: BytesLike, pairs: readonly InlinePair[]): boolean {
    const state = this.#state;
    state.requireWritable();
    const nameBytes = toBytes(name, "bucket name");
    const value = encodeInline(pairs, state.tx.pager.meta.pageSize / MAX_INLINE_FRACTION);
    if (value !== undefined) return state.putNew(nameBytes, value);
    if (state.open(nameBytes) !== undefined) return false;
    const bucket = this.createBucket(nameBytes);
    for (const [key, pairValue] of pairs) bucket.put(key, pairValue);
    return true;
  }

  /** A walk that reads inline nested buckets in place. @internal */
  nestedReader(): NestedReader {
    this.#state.requireReadable();
    return new NestedReader(this.#state);
  }

  /** Deletes a nested bucket with all in it. @throws BoltError BUCKET_NOT_FOUND, INCOMPATIBLE_VALUE when the key has a value */
  deleteBucket(name: BytesLike): void {
    this.#state.requireWritable();
    this.#state.delete(toBytes(name, "bucket name"));
  }

  /**
   * Moves a nested bucket, with what was changed in it, into another bucket (or, with the transaction, to the top level).
   * @throws BoltError SAME_BUCKETS, DIFFERENT_DB, BUCKET_NOT_FOUND, BUCKET_EXISTS, INCOMPATIBLE_VALUE
   */
  moveBucket(name: BytesLike, target: Bucket | Tx): void {
    this.#state.requireWritable();
    const nameBytes = toBytes(name, "bucket name");
    if (!(target instanceof Bucket)) {
      // A typed bucket can move buckets, too, but it is no transaction.
      if (typeof target?.commit !== "function") throw new TypeError("the target must be a bucket or a transaction");
      return target.moveBucket(name, this, target);
    }
    const targetState = target.#state;
    targetState.requireWritable();
    if (targetState.tx !== this.#state.tx) {
      throw boltError("DIFFERENT_DB", targetState.tx.pager === this.#state.tx.pager ? "they belong to different transactions" : undefined);
    }
    this.#state.move(nameBytes, targetState);
  }

  // ---- walking

  /** A cursor over all keys, nested buckets among them. */
  cursor(): Cursor {
    this.#state.requireReadable();
    return new Cursor(this.#state);
  }

  /** Calls back with each key and its value, undefined for a nested bucket. */
  forEach(visit: (key: Buffer, value: Buffer | undefined) => void): void {
    const cursor = this.cursor();
    requireFunction(visit, "forEach");
    for (let entry = cursor.first(); entry !== undefined; entry = cursor.next()) visit(entry.key, entry.value);
  }

  /** Iterates over the pairs of a range; nested buckets are skipped. */
  entries(range?: Range): IterableIterator<[Buffer, Buffer]> {
    return new ScanIterator(this.#scan(range), takePair);
  }

  /** `entries` without copies: views that must not be changed, valid while the transaction is open. */
  entriesView(range?: Range): IterableIterator<[Uint8Array, Uint8Array]> {
    return new ScanIterator(this.#scan(range), takePairView);
  }

  /** Iterates over the keys of a range that have values. */
  keys(range?: Range): IterableIterator<Buffer> {
    return new ScanIterator(this.#scan(range), takeKey);
  }

  /** Iterates over the values of a range. */
  values(range?: Range): IterableIterator<Buffer> {
    return new ScanIterator(this.#scan(range), takeValue);
  }

  [Symbol.iterator](): IterableIterator<[Buffer, Buffer]> {
    return this.entries();
  }

  /** Iterates over the names of the nested buckets. */
  buckets(): IterableIterator<Buffer> {
    this.#state.requireReadable();
    return new ScanIterator(new RangeScan(this.#state, undefined, "buckets"), takeKey);
  }

  /** Counts the pairs of a range. */
  count(range?: Range): number {
    const scan = this.#scan(range);
    let count = 0;
    while (scan.step()) count++;
    return count;
  }

  #scan(range: Range | undefined): RangeScan {
    this.#state.requireReadable();
    return new RangeScan(this.#state, range, "pairs");
  }

  // ---- sequence

  /** The bucket's counter, an unsigned 64-bit integer. */
  get sequence(): bigint {
    this.#state.requireReadable();
    return this.#state.sequence;
  }

  /** Adds one to the counter (after 2^64 - 1 comes 0) and gives it. */
  nextSequence(): bigint {
    this.#state.requireWritable();
    return this.#setSequence((this.#state.sequence + 1n) & MAX_SEQUENCE);
  }

  /** Sets the counter. @throws TypeError unless it is a bigint of 0 to 2^64 - 1 */
  setSequence(sequence: bigint): void {
    this.#state.requireWritable();
    if (typeof sequence !== "bigint" || sequence < 0n || sequence > MAX_SEQUENCE) throw new TypeError(`a sequence must be a bigint from 0 to 2^64 - 1, got ${String(sequence)}`);
    this.#setSequence(sequence);
  }

  #setSequence(sequence: bigint): bigint {
    this.#state.isSequenceNew = true;
    return (this.#state.sequence = sequence);
  }

  // ---- structure

  /** Counts pages, keys and bytes of the bucket and of all nested in it, as committed. @see bbolt Bucket.Stats */
  stats(): BucketStats {
    this.#state.requireReadable();
    const { tx, tree } = this.#state;
    if (tree.root !== 0) return bucketStats(tx.pager.rawPages(tx.snapshot), tree.root);
    return inlineBucketStats((tree.inline ?? EMPTY_BUCKET).subarray(BUCKET_HEADER_SIZE), 0);
  }

  /** Gives the tree of nested buckets with the number of keys in each, as committed. @see bbolt Bucket.Inspect */
  inspect(): BucketStructure {
    this.#state.requireReadable();
    const { tx, tree, parent, name } = this.#state;
    const label = parent === undefined ? "root" : Buffer.from(name).toString("utf8");
    if (tree.root !== 0) return inspectBucket(tx.pager.rawPages(tx.snapshot), tree.root, label);
    return inspectInlineBucket((tree.inline ?? EMPTY_BUCKET).subarray(BUCKET_HEADER_SIZE), 0, label);
  }
}
