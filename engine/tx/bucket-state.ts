/**
 * One bucket of a transaction: its tree, its sequence, and the nested buckets that were opened.
 *
 * 1. In a write transaction a bucket that was opened once is the same BucketState for every handle, so that changes meet.
 * 2. The parent's leaf holds the bucket as it was; it is brought up to date at commit (commit.ts), not before.
 * 3. A deleted bucket is marked with all that is nested in it; its handles say BUCKET_NOT_FOUND from then on.
 */
import { copyOut, copyToKeep } from "../base/memory.js";
import { boltError, corrupt, shown } from "../base/errors.js";
import { BUCKET_FLAG, BUCKET_HEADER_SIZE, FLAG_LEAF, PAGE_HEADER_SIZE, type Pgid } from "../format/constants.js";
import { readBucketHeader, writeBucketHeader } from "../format/bucket-header.js";
import { writePageHeader } from "../format/page.js";
import { isInlineOfPairs } from "../tree/inline-page.js";
import { forEachPage } from "../tree/tree-pages.js";
import { NOTHING, Tree } from "../tree/tree.js";
import { TreeCursor } from "../tree/tree-cursor.js";
import type { TxState } from "./tx-state.js";

const DEFAULT_FILL_PERCENT = 0.5;

const NO_NAME: Uint8Array = new Uint8Array(0);

const NO_CHILDREN: Map<string, BucketState> = new Map();

/** The value of a new bucket: inline, without a key. */
export const EMPTY_BUCKET: Uint8Array = emptyBucketValue();

/** A bucket to the parts of its transaction. */
export class BucketState {
  readonly tx: TxState;
  readonly tree: Tree;
  parent: BucketState | undefined;
  name: Uint8Array;
  sequence: bigint;
  /** The sequence is another than the stored one. */
  isSequenceNew = false;
  isDeleted = false;
  fillPercent: number = DEFAULT_FILL_PERCENT;
  /** Nested buckets that were opened, by name; only in a write transaction. */
  children: Map<string, BucketState> = NO_CHILDREN;

  private constructor(tx: TxState, tree: Tree, parent: BucketState | undefined, name: Uint8Array, sequence: bigint) {
    this.tx = tx;
    this.tree = tree;
    this.parent = parent;
    this.name = name;
    this.sequence = sequence;
  }

  /** The bucket that holds the top-level buckets. */
  static ofRoot(tx: TxState): BucketState {
    const { meta, cache } = tx.snapshot;
    return new BucketState(tx, new Tree(cache, tx.arena, meta.root, undefined, meta.root), undefined, NO_NAME, meta.sequence);
  }

  /** @throws BoltError TX_CLOSED, BUCKET_NOT_FOUND */
  requireReadable(): void {
    this.tx.requireOpen();
    this.#requireThere();
  }

  /** @throws BoltError TX_CLOSED, TX_NOT_WRITABLE, BUCKET_NOT_FOUND */
  requireWritable(): void {
    this.tx.requireWritable();
    this.#requireThere();
  }

  #requireThere(): void {
    if (this.isDeleted) throw boltError("BUCKET_NOT_FOUND", "it was deleted in this transaction");
  }

  /**
   * Opens a nested bucket; undefined when there is none of that name.
   * @param isOwned nobody will change the bytes of the name: they need not be copied
   */
  open(name: Uint8Array, isOwned = false): BucketState | undefined {
    const { tx, tree } = this;
    const id = tx.isWritable ? childId(name) : "";
    const known = this.children.get(id);
    if (known !== undefined) return known;
    if (!tree.lookup(name) || tree.flags !== BUCKET_FLAG) return undefined;
    const holder = tree.leafPage;
    const valueStart = tree.keyStart + tree.keySize;
    const header = readBucketHeader(tree.bytes, valueStart);
    const inline = header.root === 0 ? copyToKeep(tree.bytes, valueStart, tree.valueSize) : undefined;
    if (inline === undefined) this.#refuseCycle(header.root);
    const child = new BucketState(tx, new Tree(tree.pages, tx.arena, header.root, inline, holder), this, isOwned ? name : copyToKeep(name, 0, name.length), header.sequence);
    if (tx.isWritable) this.#noteChild(id, child);
    return child;
  }

  /** Whether a nested bucket was opened in this write transaction: then its state, and not the value in the tree, says what it holds. */
  hasOpened(name: Uint8Array): boolean {
    return this.children.has(childId(name));
  }

  /** A damaged file can nest a bucket in itself, without end. */
  #refuseCycle(root: Pgid): void {
    for (let bucket: BucketState | undefined = this; bucket !== undefined; bucket = bucket.parent) {
      if (bucket.tree.root === root) throw corrupt(root, "bucket is nested in itself");
    }
  }

  /** @throws BoltError BUCKET_NAME_REQUIRED, BUCKET_EXISTS, INCOMPATIBLE_VALUE */
  create(name: Uint8Array): BucketState {
    if (!this.putNew(name, EMPTY_BUCKET)) throw boltError("BUCKET_EXISTS", shown(name));
    return this.#noteNew(name);
  }

  /** Opens a nested bucket, or makes it. @throws BoltError BUCKET_NAME_REQUIRED, INCOMPATIBLE_VALUE */
  openOrCreate(name: Uint8Array): BucketState {
    const known = this.children.get(childId(name));
    if (known !== undefined) return known;
    return this.putNew(name, EMPTY_BUCKET) ? this.#noteNew(name) : this.open(name)!;
  }

  /**
   * Puts the value of a nested bucket.
   * @returns false, with nothing done, when there is a bucket of that name
   * @throws BoltError BUCKET_NAME_REQUIRED, INCOMPATIBLE_VALUE when the key has a value
   */
  putNew(name: Uint8Array, value: Uint8Array): boolean {
    if (name.length === 0) throw boltError("BUCKET_NAME_REQUIRED");
    const flags = this.tree.putNew(name, value, BUCKET_FLAG);
    if (flags !== NOTHING && flags !== BUCKET_FLAG) throw boltError("INCOMPATIBLE_VALUE", `the key ${shown(name)} has a value`);
    return flags === NOTHING;
  }

  #noteNew(name: Uint8Array): BucketState {
    const { tx, tree } = this;
    const child = new BucketState(tx, new Tree(tree.pages, tx.arena, 0, undefined, 0), this, copyToKeep(name, 0, name.length), 0n);
    this.#noteChild(childId(name), child);
    return child;
  }

  /** The map is made for the first: most buckets hold none. */
  #noteChild(id: string, child: BucketState): void {
    if (this.children === NO_CHILDREN) this.children = new Map();
    this.children.set(id, child);
  }

  /** @throws BoltError BUCKET_NOT_FOUND, INCOMPATIBLE_VALUE */
  delete(name: Uint8Array): void {
    const child = this.#require(name);
    this.#changeWholly(() => {
      child.#dismantle();
      this.children.delete(childId(name));
      this.tree.remove(name, BUCKET_FLAG);
    });
  }

  /** Makes a change of several steps, of which any may have to read a page: where one fails the transaction can only be rolled back. */
  #changeWholly(change: () => void): void {
    // Begun once more it would meet its own half, and take it for a damaged file.
    if (this.tx.damage !== undefined) throw this.tx.damage;
    try {
      change();
    } catch (error) {
      this.tx.damage = error as Error;
      throw error;
    }
  }

  /**
   * Moves a nested bucket into another bucket, with all that was changed in it.
   * @throws BoltError SAME_BUCKETS when that is where it is, or is the bucket itself or one nested in it; BUCKET_NOT_FOUND, BUCKET_EXISTS, INCOMPATIBLE_VALUE
   */
  move(name: Uint8Array, target: BucketState): void {
    const child = this.#require(name);
    if (target === this) throw boltError("SAME_BUCKETS");
    for (let bucket: BucketState | undefined = target; bucket !== undefined; bucket = bucket.parent) {
      if (bucket === child) throw boltError("SAME_BUCKETS", "a bucket cannot be moved into itself or a bucket nested in it");
    }
    if (target.tree.lookup(name)) {
      throw target.tree.flags === BUCKET_FLAG ? boltError("BUCKET_EXISTS", `${shown(name)} in the target`) : boltError("INCOMPATIBLE_VALUE", `the key ${shown(name)} has a value in the target`);
    }
    this.tree.lookup(name);
    const { bytes, keyStart, keySize, valueSize } = this.tree;
    const value = copyOut(bytes, keyStart + keySize, valueSize);
    this.#changeWholly(() => {
      this.tree.remove(name, BUCKET_FLAG);
      this.children.delete(childId(name));
      target.tree.put(name, value, BUCKET_FLAG);
      target.#noteChild(childId(name), child);
      child.parent = target;
    });
  }

  #require(name: Uint8Array): BucketState {
    if (!this.tree.lookup(name)) throw boltError("BUCKET_NOT_FOUND", shown(name));
    if (this.tree.flags !== BUCKET_FLAG) throw boltError("INCOMPATIBLE_VALUE", `the key ${shown(name)} has a value`);
    return this.open(name)!;
  }

  /**
   * The nested buckets of which a deletion must know: those that have pages, and those that were opened. An inline one goes with its value, and a
   * bucket may hold many of them (measured with 500,000 images: 0.3 s, with all of them opened 5.4).
   */
  #childrenToDismantle(): BucketState[] {
    const names: Buffer[] = [];
    const cursor = new TreeCursor(this.tree);
    for (let found = cursor.first(); found; found = cursor.next()) {
      if (cursor.flags !== BUCKET_FLAG) continue;
      const { bytes, keyStart, keySize, valueSize } = cursor;
      const goesWithItsValue = isInlineOfPairs(bytes, keyStart + keySize, valueSize);
      if (goesWithItsValue && this.children.size === 0) continue;
      const name = copyOut(bytes, keyStart, keySize);
      if (!goesWithItsValue || this.hasOpened(name)) names.push(name);
    }
    return names.map((name) => this.open(name)!);
  }

  /** Releases every page of the bucket and of all that is nested in it, however deep. */
  #dismantle(): void {
    const { freelist } = this.tx.pager;
    const waiting: BucketState[] = [this];
    for (let bucket = waiting.pop(); bucket !== undefined; bucket = waiting.pop()) {
      for (const child of bucket.#childrenToDismantle()) waiting.push(child);
      const { root, pages } = bucket.tree;
      if (root !== 0) forEachPage(pages, root, (pgid, pageCount) => freelist.release(pgid, pageCount));
      bucket.tree.forget();
      bucket.isDeleted = true;
    }
  }
}

function childId(name: Uint8Array): string {
  return Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString("latin1");
}

function emptyBucketValue(): Uint8Array {
  const value = new Uint8Array(BUCKET_HEADER_SIZE + PAGE_HEADER_SIZE);
  writeBucketHeader(value, 0, 0, 0n);
  writePageHeader(value, BUCKET_HEADER_SIZE, 0, FLAG_LEAF, 0, 0);
  return value;
}
