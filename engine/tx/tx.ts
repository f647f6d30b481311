/** The transaction that callers get. @see bbolt tx.go */
import type { BytesLike } from "../base/bytes.js";
import { inCallersContext } from "../base/caller-context.js";
import { boltError, isCorrupt, requireFunction, requireListed } from "../base/errors.js";
import { requireStack } from "../base/stack.js";
import { FLAG_FREELIST, type Pgid } from "../format/constants.js";
import { readFreelistCount } from "../format/freelist-page.js";
import { pageTypeName, readPageHeader } from "../format/page.js";
import type { PgidSet } from "../format/pgid-set.js";
import { Bucket, type ReadBucket } from "./bucket.js";
import { check } from "./check.js";
import type { Cursor } from "./cursor.js";
import type { TxStats } from "./stats.js";
import type { TxState } from "./tx-state.js";

/** What a page is. @see bbolt PageInfo */
export interface PageInfo {
  readonly id: Pgid;
  /** branch, leaf, meta, freelist, free, or unknown<flags>. */
  readonly type: string;
  readonly count: number;
  readonly overflowCount: number;
}

// index.ts says what it is: this folder does not import that of the database.
/** The database as its transactions show it: a `DB`. */
export interface Database {}

/** Who ends transactions: the database behind them. @internal */
export interface TxOwner {
  readonly db: Database;
  commit(state: TxState): void;
  rollback(state: TxState): void;
  copyTo(state: TxState, path: string): void;
  /** Told what a check found. */
  checked(state: TxState, problemCount: number): void;
}

/** The members of a transaction that write. */
type WriteMembers = "createBucket" | "createBucketIfNotExists" | "deleteBucket" | "moveBucket" | "onCommit" | "commit";

/** A read transaction: a snapshot, without `createBucket`, `createBucketIfNotExists`, `deleteBucket`, `moveBucket`, `onCommit` and `commit`. By value such a call throws TX_NOT_WRITABLE. */
export interface ReadTx extends Omit<Tx, WriteMembers | "bucket" | "forEach"> {
  bucket(name: BytesLike): ReadBucket | undefined;
  forEach(visit: (name: Buffer, bucket: ReadBucket) => void): void;
}

/**
 * A transaction: one consistent state of the database, and for a write transaction the changes to it, which all become durable at once
 * or leave no trace. Every member that looks into the database throws BoltError TX_CLOSED after its end; the writing ones TX_NOT_WRITABLE in a read transaction.
 */
export class Tx {
  readonly #state: TxState;
  readonly #owner: TxOwner;
  readonly #root: Bucket;
  /** Of the snapshot; read when a page is asked for. */
  #freePages: PgidSet | undefined;

  /** Transactions come from `begin`, `view`, `update`, `batch` and `updateAsync`. @internal */
  constructor(owner: TxOwner, state: TxState) {
    this.#owner = owner;
    this.#state = state;
    this.#root = new Bucket(this, state.root);
  }

  /** The transaction's id: of the snapshot, or the one that the commit will have. */
  get id(): bigint {
    return this.#state.id;
  }

  /** Bytes up to the high-water mark of the snapshot. */
  get size(): number {
    const { highWaterMark, pageSize } = this.#state.snapshot.meta;
    return highWaterMark * pageSize;
  }

  get writable(): boolean {
    return this.#state.isWritable;
  }

  get db(): Database {
    return this.#owner.db;
  }

  /** The counter of the root bucket. */
  get sequence(): bigint {
    return this.#root.sequence;
  }

  /** Counters of this transaction. */
  stats(): TxStats {
    return { ...this.#state.stats };
  }

  // ---- top-level buckets: what Bucket says of the same members holds

  /** Opens a top-level bucket; undefined when there is none of that name. */
  bucket(name: BytesLike): Bucket | undefined {
    return this.#root.bucket(name);
  }

  /** Makes a top-level bucket. @throws BoltError BUCKET_NAME_REQUIRED, BUCKET_EXISTS, INCOMPATIBLE_VALUE */
  createBucket(name: BytesLike): Bucket {
    return this.#root.createBucket(name);
  }

  /** Opens a top-level bucket, making it where it is missing. @throws BoltError BUCKET_NAME_REQUIRED, INCOMPATIBLE_VALUE */
  createBucketIfNotExists(name: BytesLike): Bucket {
    return this.#root.createBucketIfNotExists(name);
  }

  /** Deletes a top-level bucket with all in it. @throws BoltError BUCKET_NOT_FOUND, INCOMPATIBLE_VALUE */
  deleteBucket(name: BytesLike): void {
    this.#root.deleteBucket(name);
  }

  /**
   * Moves a bucket from `source` to `target`; undefined or the transaction stand for the top level.
   * @throws BoltError SAME_BUCKETS, DIFFERENT_DB, BUCKET_NOT_FOUND, BUCKET_EXISTS, INCOMPATIBLE_VALUE
   */
  moveBucket(name: BytesLike, source?: Bucket | Tx | null, target?: Bucket | Tx | null): void {
    this.#state.requireWritable();
    const from = source ?? this;
    const to = target ?? this;
    if (!(from instanceof Bucket || from instanceof Tx)) throw new TypeError("the source must be a bucket or a transaction");
    (from instanceof Tx ? from.#root : from).moveBucket(name, to instanceof Tx ? to.#root : to);
  }

  /** Iterates over the names of the top-level buckets. */
  buckets(): IterableIterator<Buffer> {
    return this.#root.buckets();
  }

  /** Calls back with each top-level bucket. */
  forEach(visit: (name: Buffer, bucket: Bucket) => void): void {
    const names = this.buckets();
    requireFunction(visit, "forEach");
    for (const name of names) visit(name, requireListed(this.bucket(name), name));
  }

  /** A cursor over the top-level buckets. */
  cursor(): Cursor {
    return this.#root.cursor();
  }

  // ---- the end

  /** Has a function called after the commit, when it is durable. What it throws, its caller gets: `commit`, `update` or that call of `batch`; the commit stays. A promise that it gives is nobody's. */
  onCommit(fn: () => void): void {
    this.#state.requireWritable();
    this.#state.commitHooks.push(inCallersContext<void, void>(fn, "onCommit"));
  }

  /** Gives what `onCommit` was given so far; to call it after the commit is the taker's business. @internal */
  takeCommitHooks(): (() => void)[] {
    this.#state.requireOpen();
    return this.#state.commitHooks.splice(0);
  }

  /**
   * Makes the changes durable and ends the transaction. When it throws, nothing has changed and the transaction is over.
   * @throws BoltError TX_CLOSED, TX_MANAGED, TX_NOT_WRITABLE, MAX_SIZE_REACHED, IO, CORRUPT; after the commit, what a function of `onCommit` throws
   */
  commit(): void {
    this.#state.requireOpen();
    if (this.#state.isManaged) throw boltError("TX_MANAGED");
    this.#state.requireWritable();
    requireStack();
    this.#owner.commit(this.#state);
  }

  /** Ends the transaction and drops the changes. @throws BoltError TX_CLOSED, TX_MANAGED */
  rollback(): void {
    this.#state.requireOpen();
    if (this.#state.isManaged) throw boltError("TX_MANAGED");
    requireStack();
    this.#owner.rollback(this.#state);
  }

  /** `using tx = db.begin(true)`: rolls back, unless it has ended. */
  [Symbol.dispose](): void {
    if (this.#state.isOpen) this.rollback();
  }

  // ---- inspection

  /**
   * Finds what is wrong with the committed state that the transaction began with: one line a problem, none when all is well.
   * Never throws on a broken tree. Changes of this transaction are not looked at, and large values, which nothing refers from, are not read.
   * @see bbolt Tx.Check
   */
  check(): Generator<string, void, undefined> {
    this.#state.requireOpen();
    return this.#problems();
  }

  *#problems(): Generator<string, void, undefined> {
    this.#state.requireOpen();
    const { pager, snapshot } = this.#state;
    let freeIds: Iterable<number> | undefined;
    let freelistProblem: string | undefined;
    try {
      freeIds = pager.freeIds(snapshot);
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      freelistProblem = error.message;
    }
    // In live read the size may be that of a newer snapshot by now.
    snapshot.watch?.requireUnmoved();
    const input = { pages: pager.rawPages(snapshot), meta: snapshot.meta, fileSize: pager.fileSize, freeIds, freelistProblem };
    let problemCount = 0;
    for (const problem of check(input)) {
      problemCount++;
      yield problem;
      this.#state.requireOpen();
    }
    this.#owner.checked(this.#state, problemCount);
  }

  /**
   * Says what page `id` is in the committed state that the transaction began with; undefined from the high-water mark on. The first call of a
   * transaction reads the freelist, or walks the tree where none is stored.
   * @throws BoltError FREE_PAGES_NOT_LOADED when what the file says of them is broken
   * @see bbolt Tx.Page
   */
  page(id: Pgid): PageInfo | undefined {
    this.#state.requireOpen();
    const { pager, snapshot } = this.#state;
    if (!Number.isSafeInteger(id) || id < 0) throw new TypeError(`a page id must be a whole number from 0 on, got ${id}`);
    if (id >= snapshot.meta.highWaterMark) return undefined;
    const bytes = pager.rawPages(snapshot).read(id, 1);
    if (bytes === undefined) return undefined;
    const { flags, count, overflow } = readPageHeader(bytes, 0);
    this.#freePages ??= pager.freePages(snapshot);
    return {
      id,
      type: this.#freePages.has(id) ? "free" : pageTypeName(flags),
      count: flags === FLAG_FREELIST ? readFreelistCount(bytes, 0).count : count,
      overflowCount: overflow,
    };
  }

  /** Writes the snapshot as a database file of its own, by way of a temporary name. @throws BoltError IO, TIMEOUT when the file at `path` is a database that somebody has open */
  copyTo(path: string): void {
    this.#state.requireOpen();
    this.#owner.copyTo(this.#state, path);
  }
}
