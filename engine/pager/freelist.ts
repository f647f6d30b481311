/**
 * Which pages are free, and from when on a page that a transaction gave up may be used again.
 *
 * Transactions are numbered here by `serial`, counted from the transaction that the file was opened at (0).
 *
 * 1. A page is free, pending or in use; it is never two of them.
 * 2. A page freed by transaction N is handed out from N + 2 on at the earliest: until N + 1 is durable, the tree before N stays whole.
 * 3. It is handed out only when no open reader can reach it: none whose snapshot lies between its allocation and N - 1.
 *    Who allocated a page is noted while readers are open, so pages that came and went between two readers are not kept for either.
 * 4. What is stored is free and pending together: after a reopen nobody reads the old snapshots.
 *
 * Each pending page waits in one place: with the transaction that freed it until that is old enough, then with the newest reader that
 * can reach it. It is looked at again only when that reader ends.
 */
import { assert } from "../base/assert.js";
import { corrupt } from "../base/errors.js";
import type { Pgid } from "../format/constants.js";
import { without } from "../format/pgid-list.js";
import { Allocations } from "./allocations.js";
import { FreelistEncoder } from "./freelist-encoder.js";
import { PageSet, type Run } from "./page-set.js";

/** Transactions that a freed page waits before it is used again. */
const QUARANTINE = 2;

interface FreedPages {
  readonly serial: number;
  readonly pgids: Pgid[];
}

/** The free and pending pages of an open database. */
export class Freelist {
  readonly #free = new PageSet();
  readonly #pending = new PageSet();
  /** Freed pages by transaction, oldest first, not yet out of quarantine. */
  #quarantine: FreedPages[] = [];
  /** By reader: pages kept for it, each followed by the serial that allocated it. */
  readonly #held = new Map<number, number[]>();
  /** Open readers: distinct serials in ascending order, and how many of each. */
  readonly #readerSerials: number[] = [];
  readonly #readerCounts: number[] = [];
  /** Who allocated a page, for pages allocated while readers were open. */
  readonly #allocatedBy = new Allocations();
  // The open write transaction.
  #freed: Pgid[] = [];
  #allocated: Run[] = [];
  /** Pages that the file ends before, once the transaction is committed. */
  #cut: Run[] = [];
  readonly #encoder = new FreelistEncoder();
  readonly #discard: (pgid: Pgid) => void;

  /** @param discard is told each page that nobody can reach any more */
  constructor(discard: (pgid: Pgid) => void) {
    this.#discard = discard;
  }

  /** Pages that can be handed out now. */
  get freeCount(): number {
    return this.#free.size;
  }

  /** Pages given up that must still wait. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Ids that the freelist page has to hold. */
  get storedCount(): number {
    return this.#free.size + this.#pending.size;
  }

  /**
   * Takes over what a file says is free.
   * @param ids in ascending order
   * @param waiting those of them that the transaction before the last still reaches, in ascending order
   * @throws BoltError CORRUPT for an id that is a meta page, not below the high-water mark, or listed twice
   */
  load(ids: Float64Array, waiting: Float64Array, highWaterMark: Pgid): void {
    const outside = ids[0]! < 2 ? ids[0] : ids.at(-1)! >= highWaterMark ? ids.find((pgid) => pgid >= highWaterMark) : undefined;
    if (outside !== undefined) throw corrupt(outside, `listed as free, but out of bounds: ${highWaterMark}`);
    const twice = this.#free.addAscending(without(ids, waiting)) ?? this.#pending.addAscending(waiting);
    if (twice !== undefined) throw corrupt(twice, "already freed");
    if (waiting.length > 0) this.#quarantine.push({ serial: 0, pgids: [...waiting] });
  }

  get hasReaders(): boolean {
    return this.#readerSerials.length > 0;
  }

  /** What the open write transaction has given up. */
  get released(): readonly Pgid[] {
    return this.#freed;
  }

  isFree(pgid: Pgid): boolean {
    return this.#free.has(pgid) || this.#pending.has(pgid);
  }

  /** Gives the page, with `overflow` pages behind it, that holds every id to be stored. */
  encodePage(pgid: Pgid, overflow: number, pageSize: number): Uint8Array {
    const changes = { removed: [...this.#allocated, ...this.#cut], added: [...this.#freed] };
    return this.#encoder.encode(pgid, overflow, pageSize, this.#free, this.#pending, changes);
  }

  /** Every id to be stored, in ascending order. */
  storedIds(): Float64Array {
    const ids = new Float64Array(this.storedCount);
    let count = 0;
    for (const set of [this.#free, this.#pending]) set.forEach((pgid) => (ids[count++] = pgid));
    return ids.sort();
  }

  // ---- readers

  /** @param serial that of the newest committed state */
  addReader(serial: number): void {
    const last = this.#readerSerials.length - 1;
    if (this.#readerSerials[last] === serial) {
      this.#readerCounts[last] = this.#readerCounts[last]! + 1;
      return;
    }
    this.#readerSerials.push(serial);
    this.#readerCounts.push(1);
  }

  removeReader(serial: number): void {
    const at = this.#newestReaderBefore(serial + 1);
    if (this.#readerCounts[at]! > 1) {
      this.#readerCounts[at] = this.#readerCounts[at]! - 1;
      return;
    }
    this.#removeReaderAt(at);
    if (this.#readerSerials.length === 0) this.#allocatedBy.clear();
    const held = this.#held.get(serial);
    this.#held.delete(serial);
    if (held !== undefined) for (let i = 0; i < held.length; i += 2) this.#hold(held[i]!, held[i + 1]!, serial);
  }

  #removeReaderAt(at: number): void {
    if (at === this.#readerSerials.length - 1) {
      this.#readerSerials.pop();
      this.#readerCounts.pop();
      return;
    }
    this.#readerSerials.splice(at, 1);
    this.#readerCounts.splice(at, 1);
  }

  // ---- the write transaction

  /** Starts transaction `serial`: pages that are old enough and that no reader needs become free. */
  begin(serial: number): void {
    assert(this.#freed.length === 0 && this.#allocated.length === 0, "one write transaction at a time");
    let matured = 0;
    while (matured < this.#quarantine.length && this.#quarantine[matured]!.serial + QUARANTINE <= serial) matured++;
    for (const { serial: freedBy, pgids } of this.#quarantine.splice(0, matured)) {
      for (const pgid of pgids) {
        const allocatedBy = this.#allocatedBy.get(pgid);
        this.#allocatedBy.delete(pgid);
        this.#hold(pgid, allocatedBy, freedBy);
      }
    }
  }

  /** Hands out `length` neighbouring pages, or nothing. */
  allocateRun(length: number): Pgid | undefined {
    const start = this.#free.takeRun(length);
    if (start !== undefined) this.#allocated.push({ start, length });
    return start;
  }

  /** Hands out up to `count` pages in ascending runs: long ones first, or with `lowest` the pages with the lowest ids. */
  allocateRuns(count: number, lowest = false): Run[] {
    const runs = lowest ? this.#free.takeLowest(count) : this.#free.takeRuns(count);
    for (const run of runs) this.#allocated.push(run);
    return runs;
  }

  /**
   * Gives up a page and the overflow pages behind it.
   * @throws BoltError CORRUPT when one of them is free already: two places of the tree lead to it
   */
  release(pgid: Pgid, pageCount: number): void {
    for (let id = pgid; id < pgid + pageCount; id++) {
      if (this.#free.has(id) || !this.#pending.add(id)) throw corrupt(id, "already freed");
      this.#freed.push(id);
    }
  }

  /** Takes back pages that this transaction was handed out and does not need. */
  giveBack(start: Pgid, length: number): void {
    const at = this.#allocated.findLastIndex((run) => run.start === start && run.length === length);
    assert(at >= 0, "only what was handed out is given back");
    this.#allocated.splice(at, 1);
    for (let id = start; id < start + length; id++) this.#free.add(id);
  }

  /** Counts the pages below `end` that can be handed out. */
  freeCountBelow(end: Pgid): number {
    return this.#free.countBelow(end);
  }

  /** Forgets the free pages right below the high-water mark; gives the mark without them. Nobody can reach them: no reader, no older state. */
  cutTail(highWaterMark: Pgid): Pgid {
    const run = this.#free.takeRunBefore(highWaterMark);
    if (run.length > 0) this.#cut.push(run);
    return run.start;
  }

  /**
   * Ends the transaction well. `grownFrom`..`grownTo` are the pages it took behind the high-water mark. (Those that a shrinking one took behind the mark
   * that it had lowered are kept for older readers as if these could know them.)
   */
  commit(serial: number, grownFrom: Pgid, grownTo: Pgid): void {
    if (this.#freed.length > 0) this.#quarantine.push({ serial, pgids: this.#freed });
    if (this.#readerSerials.length > 0) {
      for (const { start, length } of this.#allocated) this.#allocatedBy.set(start, start + length, serial);
      this.#allocatedBy.set(grownFrom, grownTo, serial);
    }
    this.#encoder.commit();
    this.#end();
  }

  /** Ends the transaction as if it had not been. */
  rollback(): void {
    for (const pgid of this.#freed) this.#pending.delete(pgid);
    for (const runs of [this.#allocated, this.#cut]) {
      for (const { start, length } of runs) for (let id = start; id < start + length; id++) this.#free.add(id);
    }
    this.#encoder.rollback();
    this.#end();
  }

  #end(): void {
    this.#freed = [];
    this.#allocated = [];
    this.#cut = [];
  }

  // ---- waiting

  /** Frees a page, or lets it wait for the newest reader before `before` that can reach it. */
  #hold(pgid: Pgid, allocatedBy: number, before: number): void {
    const at = this.#newestReaderBefore(before);
    const reader = at < 0 ? -1 : this.#readerSerials[at]!;
    if (reader < allocatedBy) {
      this.#pending.delete(pgid);
      this.#free.add(pgid);
      this.#discard(pgid);
      return;
    }
    const held = this.#held.get(reader);
    if (held === undefined) this.#held.set(reader, [pgid, allocatedBy]);
    else held.push(pgid, allocatedBy);
  }

  /** Index of the newest open reader with a serial below `serial`, -1 when there is none. */
  #newestReaderBefore(serial: number): number {
    let low = 0;
    let high = this.#readerSerials.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#readerSerials[middle]! < serial) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
