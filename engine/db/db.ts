/**
 * The database that callers get: begins, runs and ends transactions. @see bbolt db.go
 *
 * One write transaction at a time, any number of read transactions beside it. Synchronous writers never wait (that would block the thread
 * that has to end the other one): they run or throw TX_WRITER_BUSY. Asynchronous ones queue.
 */
import { inCallersContext } from "../base/caller-context.js";
import { boltError, BoltError, orClose, quietly } from "../base/errors.js";
import { freelistByteSize } from "../format/freelist-page.js";
import type { Pager } from "../pager/pager.js";
import type { Recovery } from "../base/recovery.js";
import { writeFileAtomically } from "../storage/atomic-file.js";
import { Arena } from "../tree/arena.js";
import { abandon, commitLater, commitNow, type CommitReport } from "../tx/commit.js";
import { storeElsewhere, storeInTurns } from "../tx/storing.js";
import { copySnapshot } from "../tx/copy.js";
import { addTxStats, newTxStats, type Stats, type TxStats } from "../tx/stats.js";
import { Tx, type ReadTx, type TxOwner } from "../tx/tx.js";
import { OpenTxs, TxState } from "../tx/tx-state.js";
import { backUp, type BackupResult } from "./backup.js";
import { Batch } from "./batch.js";
import { refusePromise, runHooks } from "./callback.js";
import { compactTo, type CompactOptions, type CompactResult } from "./compact.js";
import { publish, warnOfRecovery } from "./events.js";
import { untilWhole } from "./live-view.js";
import { openPager } from "./opening.js";
import type { Settings } from "./options.js";
import { modeOfCopy, requireTarget } from "./target.js";
import { Shrinker, type ShrinkOptions, type ShrinkResult } from "./shrink.js";
import { WriterQueue } from "./writer-queue.js";

/** An open transaction: what it is to the engine and to the caller. */
interface OpenTx {
  readonly state: TxState;
  readonly tx: Tx;
}

/** A database. Made by `open` and `openMemory`; to be closed. */
export class DB {
  readonly path: string;
  readonly #settings: Settings;
  readonly #pager: Pager;
  readonly #arena: Arena;
  readonly #openTxs = new OpenTxs();
  readonly #owner: TxOwner;
  readonly #queue: WriterQueue;
  readonly #batch: Batch<Tx>;
  readonly #txStats: TxStats = newTxStats();
  readonly #shrinker: Shrinker;
  #writer: TxState | undefined;
  #readTxCount = 0;
  #isOpen = true;
  /** Asynchronous writers may still come. */
  #isAccepting = true;

  /** Use `open`. @internal */
  constructor(path: string, settings: Settings) {
    this.path = path;
    this.#settings = settings;
    this.#pager = openPager(path, settings);
    this.#arena = new Arena(this.#pager.meta.pageSize);
    this.#owner = {
      db: this,
      commit: (state) => this.#commit(state),
      rollback: (state) => this.#rollback(state),
      copyTo: (state, target) => {
        requireTarget(target, this.#pager.storage);
        writeFileAtomically(target, modeOfCopy(this.#pager.storage), (storage) => copySnapshot(state, storage));
      },
      checked: (state, problemCount) => publish("check", () => ({ path, txid: state.id, problemCount })),
    };
    this.#shrinker = new Shrinker({
      pager: this.#pager,
      begin: () => this.#beginWrite().state,
      commit: (state) => this.#commit(state),
      rollback: (state) => this.#rollback(state),
      openMetas: () => this.#openTxs.list().map(({ snapshot }) => snapshot.meta),
    });
    this.#queue = new WriterQueue(() => this.#writer === undefined);
    this.#batch = new Batch((work) => this.#enqueue(work, storeInTurns));
    publish("open", () => ({ path, readOnly: settings.readOnly, pageSize: this.pageSize, txid: this.#pager.meta.txid }));
    if (this.recovery !== undefined) warnOfRecovery(path, this.recovery);
    this.#settle();
  }

  /**
   * A file whose free pages were not stored gets a commit that stores them, as bbolt does. So does one that had to go back to an older state:
   * the commit takes the place of the lost one, which other programs would still open.
   */
  #settle(): void {
    const { readOnly, noFreelistSync } = this.#settings;
    const isLost = this.#pager.recovery?.lostTxid !== undefined;
    if (readOnly || (!isLost && (noFreelistSync || this.#pager.meta.freelist !== undefined))) return;
    orClose(this, () => this.update(() => undefined));
  }

  /** What opening found damaged: a commit of which pages are missing, or a meta page that cannot be read. */
  get recovery(): Recovery | undefined {
    return this.#pager.recovery;
  }

  get pageSize(): number {
    return this.#pager.meta.pageSize;
  }

  get readOnly(): boolean {
    return this.#settings.readOnly;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  // ---- transactions

  /**
   * Runs a function on a snapshot and ends it. On a file that is read live, begins again (up to 100 times) when the writer has moved on.
   * @throws BoltError DATABASE_NOT_OPEN, TX_ASYNC_CALLBACK, and what the function throws
   */
  view<T>(fn: (tx: ReadTx) => T): T {
    return this.#pager.options.live ? untilWhole(() => this.#viewOnce(fn)) : this.#viewOnce(fn);
  }

  #viewOnce<T>(fn: (tx: ReadTx) => T): T {
    const { state, tx } = this.#beginRead();
    state.isManaged = true;
    try {
      return refusePromise(fn(tx));
    } finally {
      if (state.isOpen) this.#rollback(state);
      state.requireNoRefusal();
    }
  }

  /**
   * Runs a function in a write transaction and commits it. When the function throws, nothing has changed.
   * @throws BoltError DATABASE_NOT_OPEN, DATABASE_READ_ONLY, TX_WRITER_BUSY, TX_ASYNC_CALLBACK, what `Tx.commit` throws, and what the function throws
   */
  update<T>(fn: (tx: Tx) => T): T {
    const { state, tx } = this.#beginWrite();
    state.isManaged = true;
    let result: T;
    try {
      result = refusePromise(fn(tx));
    } catch (error) {
      if (state.isOpen) this.#rollback(state);
      throw error;
    }
    state.requireOpen();
    this.#commit(state);
    return result;
  }

  /**
   * Runs a function in a write transaction together with those of other callers: many calls, up to 1,000, one commit. Resolves when it is durable.
   * A function that throws has its own call rejected; the others commit without it. So a function may run more than once.
   * @throws (rejects with) what `updateAsync` rejects with
   */
  batch<T>(fn: (tx: Tx) => T): Promise<T> {
    return this.#isAccepting ? this.#batch.add(fn) : Promise.reject(boltError("DATABASE_NOT_OPEN"));
  }

  /**
   * Runs a function, which may await, in a write transaction when it is its turn, and commits it with the disk's work off the calling thread.
   * Calls run one after the other in the order they came. Until this one has ended, synchronous writers get TX_WRITER_BUSY, and a call
   * awaited inside another's function would wait for itself.
   * @throws (rejects with) BoltError DATABASE_NOT_OPEN, DATABASE_READ_ONLY, what `Tx.commit` throws, and what the function throws
   */
  updateAsync<T>(fn: (tx: Tx) => T | Promise<T>): Promise<T> {
    return this.#isAccepting ? this.#enqueue(fn, storeElsewhere) : Promise.reject(boltError("DATABASE_NOT_OPEN"));
  }

  #enqueue<T>(fn: (tx: Tx) => T | Promise<T>, store: typeof storeElsewhere): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const work = inCallersContext(fn, "updateAsync");
      this.#queue.add(() => this.#runAsync(work, store).then(resolve, reject));
    });
  }

  async #runAsync<T>(fn: (tx: Tx) => T | Promise<T>, store: typeof storeElsewhere): Promise<T> {
    const { state, tx } = this.#beginWrite();
    state.isManaged = true;
    let result: T;
    try {
      result = await fn(tx);
      state.requireOpen();
    } catch (error) {
      if (state.isOpen) this.#rollback(state);
      throw this.#isOpen ? error : boltError("DATABASE_NOT_OPEN", "it was closed during the transaction", error);
    }
    await this.#commitAsync(state, store);
    return result;
  }

  begin(writable?: false): ReadTx;
  begin(writable: true): Tx;
  begin(writable: boolean): ReadTx | Tx;
  /**
   * Begins a transaction that the caller ends with `commit` or `rollback`.
   * @throws BoltError DATABASE_NOT_OPEN, DATABASE_READ_ONLY, TX_WRITER_BUSY, STALE_SNAPSHOT, IO
   */
  begin(writable = false): ReadTx | Tx {
    this.#requireOpen();
    if (typeof writable !== "boolean") throw new TypeError(`begin takes true or false, got ${String(writable)}`);
    if (writable && !this.#isAccepting) throw boltError("DATABASE_NOT_OPEN", "it is being closed");
    return writable ? this.#beginWrite().tx : this.#beginRead().tx;
  }

  #beginRead(): OpenTx {
    this.#requireOpen();
    const state = new TxState(this.#pager, this.#pager.beginRead(), undefined);
    this.#readTxCount++;
    return this.#opened(state);
  }

  #beginWrite(): OpenTx {
    this.#requireOpen();
    const state = new TxState(this.#pager, this.#pager.beginWrite(), this.#arena);
    this.#writer = state;
    return this.#opened(state);
  }

  #opened(state: TxState): OpenTx {
    this.#openTxs.add(state);
    publish("begin", () => ({ path: this.path, txid: state.id, writable: state.isWritable }));
    return { state, tx: new Tx(this.#owner, state) };
  }

  #requireOpen(): void {
    if (!this.#isOpen) throw boltError("DATABASE_NOT_OPEN");
  }

  #commit(state: TxState): void {
    let report: CommitReport;
    try {
      report = commitNow(state);
    } catch (error) {
      throw this.#commitFailed(state, error);
    }
    this.#committed(state, report);
  }

  async #commitAsync(state: TxState, store: typeof storeElsewhere): Promise<void> {
    let report: CommitReport;
    try {
      report = await commitLater(state, store);
    } catch (error) {
      throw this.#commitFailed(state, error);
    }
    this.#committed(state, report);
  }

  #commitFailed(state: TxState, error: unknown): unknown {
    this.#writerEnded(state);
    this.#publishRollback(state);
    return error;
  }

  #committed(state: TxState, report: CommitReport): void {
    this.#writerEnded(state);
    publish("commit", () => ({ path: this.path, ...report }));
    if (this.#settings.strict && this.#isOpen) state.commitHooks.unshift(() => this.#checkStrictly());
    runHooks(state.commitHooks);
  }

  #checkStrictly(): void {
    const problems = this.view((tx) => [...tx.check()]);
    if (problems.length > 0) throw new BoltError("CORRUPT", `${problems.slice(0, 5).join("; ")}: found by the check after the commit, which stays`);
  }

  #rollback(state: TxState): void {
    if (state.isWritable) {
      abandon(state);
      this.#writerEnded(state);
    } else {
      state.isOpen = false;
      this.#pager.endRead(state.snapshot);
      this.#openTxs.remove(state);
    }
    this.#publishRollback(state);
  }

  #publishRollback(state: TxState): void {
    publish("rollback", () => ({ path: this.path, txid: state.id, writable: state.isWritable }));
  }

  #writerEnded(state: TxState): void {
    this.#writer = undefined;
    this.#openTxs.remove(state);
    addTxStats(this.#txStats, state.stats);
    // What `close` has left to this commit. Should it fail, the commit is none the less what it is.
    if (state.isCommittingLater && !this.#isOpen) quietly(() => this.#pager.close());
    this.#queue.kick();
  }

  // ---- the database

  /** Counters. @throws BoltError DATABASE_NOT_OPEN @see bbolt DB.Stats */
  stats(): Stats {
    this.#requireOpen();
    const { freelist, meta, options } = this.#pager;
    return {
      freePageN: freelist.freeCount,
      pendingPageN: freelist.pendingCount,
      freeAlloc: freelist.storedCount * meta.pageSize,
      freelistInuse: options.readOnly ? 0 : freelistByteSize(freelist.storedCount),
      txN: this.#readTxCount,
      openTxN: this.#openTxs.size - (this.#writer === undefined ? 0 : 1),
      txStats: { ...this.#txStats },
    };
  }

  /** Makes everything that was committed durable: of use with `noSync`. @throws BoltError DATABASE_NOT_OPEN, IO */
  sync(): void {
    this.#requireOpen();
    if (!this.readOnly) this.#pager.sync();
  }

  /**
   * Copies all buckets, keys and sequences into a new file with full pages and none free. The file appears whole or not at all, and replaces one
   * that is there; the calling thread is busy until it is done.
   * @throws BoltError DATABASE_NOT_OPEN, CORRUPT, IO, TIMEOUT when the file at `path` is a database that somebody has open
   * @throws TypeError for an option that is none
   */
  compact(path: string, options?: CompactOptions): CompactResult {
    this.#requireOpen();
    requireTarget(path, this.#pager.storage);
    return this.view((tx) => compactTo(tx, { path, mode: modeOfCopy(this.#pager.storage), sizeBefore: this.#pager.fileSize }, options));
  }

  /**
   * Copies the newest committed state, page for page up to the last in use, while readers and writers go on; both meta pages of the copy lead to that state.
   * The copy is checked and made durable before it gets its name; it replaces a file that is there.
   * @throws (rejects with) BoltError DATABASE_NOT_OPEN, also when it is closed meanwhile; CORRUPT when the check finds a problem; IO; TIMEOUT when
   * the file at `path` is a database that somebody has open; STALE_SNAPSHOT on a file that is read live, when its writer has moved on
   */
  async backup(path: string): Promise<BackupResult> {
    this.#requireOpen();
    requireTarget(path, this.#pager.storage);
    const { state } = this.#beginRead();
    try {
      return await backUp(state, path);
    } finally {
      if (state.isOpen) this.#rollback(state);
    }
  }

  /**
   * Makes the file smaller in place: moves pages from its end into free ones, in ordinary transactions, and cuts it. Stops when its time is over;
   * the next call goes on. Open readers keep the pages they need, so it gains most without any. A doubtful file is to be checked before: pages in use that
   * the freelist lists are overwritten where it does not meet them first.
   * @throws BoltError DATABASE_NOT_OPEN, DATABASE_READ_ONLY, TX_WRITER_BUSY, CORRUPT, and what `Tx.commit` throws: what was committed before stays
   * @throws TypeError for an option that is none
   */
  shrink(options?: ShrinkOptions): ShrinkResult {
    return this.#shrinker.run(options);
  }

  /**
   * Rolls back what is open, gives up the lock and the file. A commit that is on its way to the disk (of `updateAsync` or `batch`) still ends as it will;
   * the lock is held until then. Idempotent.
   * @throws BoltError IO when the system says that closing the file failed; all the same it is done
   */
  close(): void {
    this.#isOpen = this.#isAccepting = false;
    // All of it also for one that was closed: a `vm` timeout may have broken that off.
    try {
      for (const state of this.#openTxs.list()) if (state.isOpen && !state.isCommitting) this.#rollback(state);
      if (this.#writer?.isCommittingLater !== true) this.#pager.close();
    } finally {
      this.#queue.close();
    }
  }

  /** Rolls back what `begin(true)` has left open, lets queued batches and asynchronous updates finish, then closes. Awaited inside one of these it would wait for itself. */
  async closeAsync(): Promise<void> {
    this.#isAccepting = false;
    const writer = this.#writer;
    if (writer !== undefined && !writer.isManaged && !writer.isCommitting) this.#rollback(writer);
    await this.#batch.drained();
    await this.#queue.drained();
    this.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.closeAsync();
  }
}
