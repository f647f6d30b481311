/**
 * The pager: the file as pages, and the one way from a committed state to the next.
 *
 * States: `open` (no writer) → `writing` → `open`; a failed sync, or a failed commit that could not be undone, leads to `poisoned` (reads go on, writes are refused), `close` to `closed`.
 *
 * 1. `meta` is the newest committed meta, in memory as on disk; it changes only after the meta page is durable (or, without syncs, written).
 * 2. Until then nothing on disk that `meta`, or the meta before it, reaches has been overwritten.
 * 3. A commit that fails leaves `meta`, the freelist and the cache as they were, and the file shows `meta` again. If the failed step was a
 *    sync, nobody knows which of the two states the disk holds, so no further write is accepted until the file is opened again.
 * 4. Transactions are counted by `serial` from the one the file was opened at; readers are known to the freelist by it.
 */
import { boltError, corrupt, ioError, isCorrupt, wrapIo } from "../base/errors.js";
import { atOnce, inTurns } from "../base/turns.js";
import { assert } from "../base/assert.js";
import { newMemory } from "../base/memory.js";
import type { Recovery } from "../base/recovery.js";
import { MIN_PAGE_SIZE, type Pgid } from "../format/constants.js";
import { requireStack } from "../base/stack.js";
import { closeMark } from "../format/manifest.js";
import { decodeMeta, encodeMeta, MAX_TXID, metaPageOf, type Meta } from "../format/meta.js";
import { ascending } from "../format/pgid-list.js";
import { PgidSet } from "../format/pgid-set.js";
import { collectReachable, requirePages, type RawPages } from "../format/walk.js";
import type { Storage } from "../storage/storage.js";
import { type Step, stepsOfCommit, SYNC, type WriteStep } from "./commit-steps.js";
import { Freelist } from "./freelist.js";
import { grownFileSize } from "./growth.js";
import { makeIfMissing, readMetaSlots } from "./meta-pages.js";
import { MetaWatch } from "./meta-watch.js";
import type { PageReader } from "./overflow-pages.js";
import { PageCache } from "./page-cache.js";
import { chooseMeta, type ChosenMeta, isOwnState, newestMeta } from "./recovery.js";
import { readStoredFreelist, unreachedPages, waitingAfter } from "./stored-freelist.js";

/** What of the database's options concerns the file. */
export interface PagerOptions {
  readonly readOnly: boolean;
  /** The storage is read while somebody else writes it. */
  readonly live: boolean;
  readonly noSync: boolean;
  readonly durability: "two-sync" | "one-sync";
  readonly noFreelistSync: boolean;
  /** For a new file. */
  readonly pageSize: number;
  readonly cacheSize: number;
  readonly maxSize: number;
}

/** One committed state and the pages it is read through. */
export interface Snapshot {
  readonly meta: Meta;
  readonly serial: number;
  readonly cache: PageCache;
  /** Live read only: tells whether the file still is at this state. */
  readonly watch: MetaWatch | undefined;
}

/** An open file of pages. */
export class Pager {
  readonly options: PagerOptions;
  readonly storage: Storage;
  readonly freelist: Freelist;
  meta: Meta;
  serial = 0;
  cache: PageCache;
  /** What opening found damaged. */
  recovery: Recovery | undefined;
  /** Pages that the stored freelist of `meta` takes. */
  freelistPageCount = 0;
  #fileSize: number;
  #watch: MetaWatch | undefined;
  #state: "open" | "writing" | "poisoned" | "closed" = "open";
  /** The write transaction's commit has begun to write its meta page. */
  #isMetaWritten = false;
  #poison: unknown;
  /** Nothing that `meta` leads to can be in the system's memory alone. */
  #isDurable = false;

  private constructor(storage: Storage, options: PagerOptions, meta: Meta) {
    this.storage = storage;
    this.options = options;
    this.meta = meta;
    this.#fileSize = storage.size();
    this.cache = this.#newCache(meta, undefined);
    this.freelist = new Freelist((pgid) => this.cache.drop(pgid));
  }

  /**
   * Opens a storage; makes a database of an empty one unless read-only.
   * @throws BoltError INVALID, VERSION_MISMATCH, CHECKSUM, CORRUPT, IO; STALE_SNAPSHOT in live read, when its writer has moved on
   */
  static open(storage: Storage, options: PagerOptions): Pager {
    return wrapIo("open", () => {
      const { slots, isNew = false } = options.readOnly ? { slots: readMetaSlots(storage) } : makeIfMissing(storage, options.pageSize);
      // A file that is being written is never closed in order: its pages are trusted as far as its writer's own.
      const { meta, older, recovery, isDurable = false }: ChosenMeta = options.live ? { meta: newestMeta(slots, Infinity) } : chooseMeta(storage, slots);
      const pager = new Pager(storage, options, meta);
      pager.recovery = recovery;
      if (options.live) pager.#followWriter();
      pager.#isDurable = isNew || isDurable;
      if (!options.readOnly) pager.#loadFreelist(older);
      return pager;
    });
  }

  get fileSize(): number {
    return this.#fileSize;
  }

  // ---- reading

  /** Starts a snapshot of the newest committed state; to be ended with `endRead`. */
  beginRead(): Snapshot {
    if (this.options.live) this.#followWriter();
    this.freelist.addReader(this.serial);
    return { meta: this.meta, serial: this.serial, cache: this.cache, watch: this.#watch };
  }

  endRead(snapshot: Snapshot): void {
    this.freelist.removeReader(snapshot.serial);
  }

  /** Raw pages of a snapshot, for whoever walks a tree that may be broken. */
  rawPages({ meta, watch }: Pick<Snapshot, "meta"> & Partial<Pick<Snapshot, "watch">>): RawPages {
    const { pageSize, highWaterMark } = meta;
    return {
      pageSize,
      highWaterMark,
      read: (pgid, pageCount) => {
        const end = (pgid + pageCount) * pageSize;
        if (end > this.#fileSize && end > this.storage.size()) {
          watch?.requireUnmoved();
          return undefined;
        }
        const bytes = newMemory(pageCount * pageSize);
        if (bytes === undefined) throw corrupt(pgid, `page of ${pageCount * pageSize} bytes: there is not so much memory`);
        return this.#readPages(pgid, bytes, pageSize, watch) ? bytes : undefined;
      },
    };
  }

  /**
   * The ids that are free and pending beside a snapshot; undefined when nobody knows: the file does not store them.
   * What is in memory serves for the newest state while no writer is changing it, else what the snapshot's freelist page says.
   * @throws BoltError CORRUPT when that page is no freelist
   */
  freeIds(snapshot: Snapshot): Iterable<Pgid> | undefined {
    const { meta } = snapshot;
    if (!this.options.readOnly && this.#state === "open" && meta === this.meta) return this.freelist.storedIds();
    return meta.freelist === undefined ? undefined : readStoredFreelist(this.rawPages(snapshot), meta.freelist).ids;
  }

  /**
   * `freeIds` as a set; where nobody knows them, all that the snapshot's tree does not reach.
   * @throws BoltError FREE_PAGES_NOT_LOADED when the freelist page, or the tree in its place, is broken
   */
  freePages(snapshot: Snapshot): PgidSet {
    const { highWaterMark, root } = snapshot.meta;
    const free = new PgidSet();
    try {
      const known = this.freeIds(snapshot);
      const lists = known === undefined ? unreachedPages(collectReachable(this.rawPages(snapshot), root), highWaterMark) : [known];
      for (const ids of lists) for (const pgid of ids) if (pgid < highWaterMark) free.add(pgid);
    } catch (error) {
      throw isCorrupt(error) ? boltError("FREE_PAGES_NOT_LOADED", error.message, error) : error;
    }
    return free;
  }

  #newCache(meta: Meta, watch: MetaWatch | undefined): PageCache {
    const reader: PageReader = {
      readPages: (pgid, target) => {
        if (this.#state === "closed") throw boltError("DATABASE_NOT_OPEN");
        if (!this.#readPages(pgid, target, meta.pageSize, watch)) throw corrupt(pgid, "beyond the end of the file");
      },
    };
    const cache = new PageCache(meta.pageSize, this.options.cacheSize, reader);
    cache.highWaterMark = meta.highWaterMark;
    return cache;
  }

  /** Fills `target`; gives false where the file ends before. In live read the bytes are those of the snapshot, or this throws STALE_SNAPSHOT. */
  #readPages(pgid: Pgid, target: Uint8Array, pageSize: number, watch: MetaWatch | undefined): boolean {
    return wrapIo(`read page ${pgid}`, () => {
      const size = this.storage.read(target, pgid * pageSize);
      watch?.requireUnmoved();
      return size === target.length;
    });
  }

  /**
   * Live read: takes the newest committed state for the next snapshot. Pages read before belong to another one, so the cache starts empty.
   * @throws BoltError STALE_SNAPSHOT when the writer has cut the file meanwhile, as it does only after further commits; as `newestMeta`, and then nothing has changed
   */
  #followWriter(): void {
    wrapIo("read the meta pages", () => {
      // Not under a snapshot: the other file's meta pages may be the same. Nothing is known of that file, not even the page size.
      if (!this.freelist.hasReaders && this.storage.follow?.() === true) this.#watch = undefined;
      if (this.#watch?.isUnmoved()) return;
      const watch = new MetaWatch(this.storage, (this.#watch === undefined ? newestMeta(readMetaSlots(this.storage), Infinity) : this.meta).pageSize);
      const size = this.storage.size();
      try {
        this.meta = newestMeta(watch.slots, size);
      } catch (error) {
        watch.requireUnmoved();
        throw error;
      }
      this.#fileSize = size;
      this.#watch = watch;
      this.serial++;
      this.cache = this.#newCache(this.meta, watch);
    });
  }

  // ---- opening

  #loadFreelist(olderMeta: Meta | undefined): void {
    const { meta } = this;
    const pages = this.rawPages({ meta });
    const older = olderMeta && { meta: olderMeta, pages: this.rawPages({ meta: olderMeta }) };
    if (meta.freelist === undefined) {
      const reachable = collectReachable(pages, meta.root);
      const waitingOf = waitingAfter(older, reachable);
      for (const ids of unreachedPages(reachable, meta.highWaterMark)) this.freelist.load(ids, waitingOf(ids), meta.highWaterMark);
      return;
    }
    const stored = readStoredFreelist(pages, meta.freelist);
    const ids = ascending(stored.ids);
    this.freelist.load(ids, waitingAfter(older)(ids), meta.highWaterMark);
    this.freelistPageCount = stored.pageCount;
  }

  // ---- writing

  /** @throws BoltError DATABASE_READ_ONLY, TX_WRITER_BUSY, IO when poisoned, MAX_SIZE_REACHED after the last transaction id */
  beginWrite(): Snapshot {
    requireStack();
    if (this.options.readOnly) throw boltError("DATABASE_READ_ONLY");
    if (this.#state === "writing") throw boltError("TX_WRITER_BUSY", "updateAsync and batch wait for their turn");
    this.#requireUnpoisoned();
    assert(this.#state === "open", "a closed pager has no transactions");
    if (this.meta.txid === MAX_TXID) throw boltError("MAX_SIZE_REACHED", "transaction 2^64 - 1 is the last; compact begins a new file");
    this.#state = "writing";
    this.#isMetaWritten = false;
    this.freelist.begin(this.serial + 1);
    return { meta: this.meta, serial: this.serial, cache: this.cache, watch: this.#watch };
  }

  /** Ends the write transaction without a trace. `failure` is set when a commit got as far as the storage. */
  endWrite(failure?: { readonly step: Step; readonly cause: unknown }): void {
    this.freelist.rollback();
    if (this.#state === "writing") this.#state = "open";
    if (failure === undefined) return;
    if (failure.step.kind === "sync") this.#poisonWith(failure.cause);
    if (this.#isMetaWritten) this.#restoreMeta(failure.cause);
  }

  #poisonWith(cause: unknown): void {
    if (this.#state !== "poisoned") this.#poison = cause;
    this.#state = "poisoned";
  }

  /**
   * Puts the state that counts, under the number of the one before it, where the failed commit has written its meta or a part of it: what was
   * reported as failed must not be found later. After a failed sync the system may even show pages of it that will never reach the disk,
   * and whoever opened the file before the next power cut would build on them.
   */
  #restoreMeta(cause: unknown): void {
    const { pageSize, txid } = this.meta;
    const page = Buffer.alloc(pageSize);
    // Before the first transaction there is none; then no meta at all stands there.
    if (txid > 0n) encodeMeta(page, 0, { ...this.meta, txid: txid - 1n });
    try {
      this.storage.write([page], metaPageOf(txid + 1n) * pageSize);
      if (!this.options.noSync) this.storage.sync();
    } catch {
      this.#poisonWith(cause);
    }
  }

  /** The steps that make the new state durable, in order. @throws as `#requireWholeFile` and `requirePages`; BoltError MAX_SIZE_REACHED */
  commitSteps(newMeta: Meta, writes: readonly WriteStep[]): Step[] {
    this.#requireWholeFile();
    const { pageSize, txid } = newMeta;
    const size = grownFileSize(this.#fileSize, newMeta.highWaterMark * pageSize, this.options.maxSize);
    const steps = stepsOfCommit(newMeta, size > this.#fileSize ? size : undefined, writes, this.options);
    if (this.#isDurable || this.options.noSync) return steps;
    // What a killed process left must be durable before older states are overwritten; so must what undid a failed commit, and a sync may have dropped that.
    const page = requirePages(this.rawPages({ meta: newMeta }), metaPageOf(txid), 1);
    if (!isOwnState(decodeMeta(page, 0), this.meta)) steps.unshift({ kind: "write", position: metaPageOf(txid) * pageSize, chunks: [page] }, SYNC);
    return [SYNC, ...steps];
  }

  /**
   * A commit reports what a file holds that somebody has cut in the meantime: it may not. Pages in the cache would hide that.
   * @throws BoltError CORRUPT; IO when a sync has failed during the transaction
   */
  #requireWholeFile(): void {
    this.#requireUnpoisoned();
    const size = wrapIo("size of the file", () => this.storage.size());
    if (size < this.#fileSize) throw corrupt(Math.floor(size / this.meta.pageSize), `the file has been cut to ${size} bytes while it was open; it had ${this.#fileSize}`);
  }

  #requireUnpoisoned(): void {
    if (this.#state === "poisoned") throw ioError("a sync failed, or a failed commit could not be undone, so nobody knows what the disk holds; close and open the database again", this.#poison);
  }

  /** Does one step. @throws whatever the storage throws; BoltError IO when a sync that the application asked for has failed since the commit began */
  run(step: Step): void {
    this.#requireUnpoisoned();
    this.#isMetaWritten ||= step.kind === "meta";
    switch (step.kind) {
      case "truncate":
        return this.#truncate(step.size);
      case "compute":
        return atOnce(step.pieces());
      case "startSync":
        return this.storage.startSync?.();
      case "sync":
        return this.storage.sync();
      default:
        return this.storage.write(step.chunks, step.position);
    }
  }

  #truncate(size: number): void {
    try {
      this.storage.truncate(size);
      this.#fileSize = size;
    } catch (error) {
      // It may have been done all the same: a file that is shorter than it should be has been cut by somebody else, as far as the next commit knows.
      this.#fileSize = Math.min(this.#fileSize, this.storage.size());
      throw error;
    }
  }

  /** Does one step off the calling thread, where it can wait. */
  async runAsync(step: Step): Promise<void> {
    if (step.kind === "truncate" || step.kind === "startSync") return this.run(step);
    if (step.kind === "compute") return inTurns(step.pieces());
    this.#requireUnpoisoned();
    this.#isMetaWritten ||= step.kind === "meta";
    if (step.kind === "sync") await this.storage.syncAsync();
    else await this.storage.writeAsync(step.chunks, step.position);
    // With a sync that failed meanwhile, this step's bytes may be lost although it went well.
    this.#requireUnpoisoned();
  }

  /** Takes over the new state once all steps are done. */
  finishWrite(newMeta: Meta, freelistPageCount: number): void {
    // What nobody reads is forgotten at once, not when its place is used again: so its memory serves the next transaction while it is in the
    // processor's caches.
    if (!this.freelist.hasReaders) for (const pgid of this.freelist.released) this.cache.drop(pgid);
    this.freelist.commit(this.serial + 1, this.meta.highWaterMark, newMeta.highWaterMark);
    this.meta = newMeta;
    this.#isDurable = true;
    this.freelistPageCount = freelistPageCount;
    this.cache.highWaterMark = newMeta.highWaterMark;
    this.serial++;
    if (this.#state === "writing") this.#state = "open";
  }

  /** @throws BoltError IO, also when an earlier sync has failed: the system may have forgotten what it could not write, and say that all is well */
  sync(): void {
    this.#requireUnpoisoned();
    wrapIo("sync", () => {
      try {
        this.storage.sync();
      } catch (error) {
        if (this.#state !== "closed") this.#poisonWith(error);
        throw error;
      }
    });
  }

  /** Gives up the storage. Everything committed being durable, the newest meta page is marked, so that the next opening has nothing to verify. @throws BoltError IO */
  close(): void {
    if (this.#state === "closed") return;
    const isDurable = this.#state === "open" && this.serial > 0 && !this.options.readOnly && !this.options.noSync;
    this.#state = "closed";
    try {
      if (isDurable) this.#markClosed();
    } finally {
      wrapIo("close", () => this.storage.close());
    }
  }

  #markClosed(): void {
    const { pageSize, txid } = this.meta;
    if (pageSize < MIN_PAGE_SIZE) return;
    const { bytes, offset } = closeMark(pageSize, txid);
    try {
      // A file that was emptied meanwhile would become one that is neither empty nor a database.
      if (this.storage.size() < this.#fileSize) return;
      this.storage.write([bytes], metaPageOf(txid) * pageSize + offset);
    } catch {
      // Without the mark the next opening verifies the last commit: slower, not wrong.
    }
  }
}
