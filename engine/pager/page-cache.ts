/**
 * Clean pages in memory, with the key index of each, bounded by `cacheSize`.
 *
 * Memory comes in slabs of about 1 MiB: `slabBytes[s]` holds the pages, `slabIndex[s]` their key indexes (see key-indexes.ts). A frame is one place:
 * frame f is slot `f & frameMask` of slab `f >>> frameBits`. A page with overflow pages has a slab of its own, with one frame.
 *
 * 1. The table leads from a page id to the frame with its committed bytes. A page id that any open snapshot can reach has one version
 *    only (the freelist sees to that), so readers of different snapshots share the cache.
 * 2. The bytes in a frame never change while the table leads to it. A new version of a page goes to another frame.
 * 3. A frame into which a view was handed out (ESCAPED) is not used again. Once more than half of a slab's frames are lost this way, the slab gets new memory;
 *    the views keep the old memory alive, and the garbage collector frees it after them.
 * 4. A PINNED frame is not evicted, nor its slab given new memory: pages that the writer's nodes point into, those it is writing, one being read.
 *    PRIVATE frames, pages that the writer changes in place, are pinned from the first change to the end of the commit, or until they are empty.
 * 5. Another `locate` may evict any frame that is not pinned: whoever keeps a frame across one must test it with `holds`.
 * 6. Of a leaf with one large value only the first page is read, until somebody wants the value. See overflow-pages.ts.
 */
import { assert } from "../base/assert.js";
import { LookUpMemory, readU16, readU32 } from "../base/bytes.js";
import { newMemory, requireMemory } from "../base/memory.js";
import { SpareMemory } from "../base/spare-memory.js";
import { corrupt } from "../base/errors.js";
import { FLAG_LEAF, PAGE_COUNT, PAGE_OVERFLOW, type Pgid } from "../format/constants.js";
import { requireTreePage, writePageHeader } from "../format/page.js";
import { indexPage } from "../format/page-index.js";
import { EMPTY, ENCODED, ESCAPED, Frames, INDEXED, NO_FRAME, PINNED, PRIVATE, REFERENCED } from "./frames.js";
import { KeyIndexes } from "./key-indexes.js";
import { OverflowPages, type PageReader } from "./overflow-pages.js";
import { PageTable } from "./page-table.js";
import { Slabs } from "./slabs.js";

const SLAB_SIZE = 1 << 20;
/** With fewer the tree could not hold a path and its neighbours. One slab stays always: a limit below it would be looked after in vain. */
const MIN_CAPACITY_PAGES = 64;
const LARGE = -1;

/** The clean pages of an open database. */
export class PageCache {
  readonly lookUpMemory: LookUpMemory = new LookUpMemory();
  readonly pageSize: number;
  readonly frameBits: number;
  readonly frameMask: number;
  readonly slabBytes: readonly Uint8Array[];
  readonly slabBuffers: readonly ArrayBufferLike[];
  readonly slabWords: readonly DataView[];
  readonly slabIndex: readonly Uint32Array[];
  /** Pages from here on do not exist. */
  highWaterMark: Pgid = 0;

  readonly #reader: PageReader;
  readonly #slotCount: number;
  readonly #capacity: number;
  readonly #table = new PageTable();
  readonly #slabs: Slabs;
  readonly #frames: Frames;
  /** By slab: frames that views keep from being used again; LARGE for a slab of one large page. */
  readonly #lost: number[] = [];
  #freeFrames: number[] = [];
  readonly #spareMemory = new SpareMemory();
  readonly #overflowPages: OverflowPages;
  #pinnedCount = 0;

  /** @param cacheSize bytes of pages to keep */
  constructor(pageSize: number, cacheSize: number, reader: PageReader) {
    this.pageSize = pageSize;
    this.#slotCount = Math.max(1, SLAB_SIZE / pageSize);
    this.frameBits = Math.log2(this.#slotCount);
    this.frameMask = this.#slotCount - 1;
    this.#frames = new Frames(this.frameBits);
    const indexes = new KeyIndexes(this.#slotCount, pageSize);
    this.#slabs = new Slabs(indexes);
    this.slabBytes = this.#slabs.bytes;
    this.slabBuffers = this.#slabs.buffers;
    this.slabWords = this.#slabs.words;
    this.slabIndex = indexes.slabs;
    this.#capacity = Math.max(cacheSize, MIN_CAPACITY_PAGES * pageSize, this.#slotCount * pageSize + indexes.largestSlabSize);
    this.#reader = reader;
    this.#overflowPages = new OverflowPages(pageSize, reader);
  }

  /** Bytes of memory in use for pages and their indexes. */
  get memorySize(): number {
    return this.#slabs.memorySize;
  }

  /**
   * Gives the frame of a branch or leaf page, its index built; reads and validates the page where it is not here.
   * @throws BoltError CORRUPT, IO, STALE_SNAPSHOT
   */
  locate(pgid: Pgid): number {
    const frame = this.#table.get(pgid) - 1;
    if (frame < 0) return this.#load(pgid);
    const state = this.#frames.state(frame);
    if ((state & (INDEXED | REFERENCED)) !== (INDEXED | REFERENCED)) {
      if ((state & INDEXED) === 0) this.#buildIndex(frame, pgid);
      this.#frames.setState(frame, this.#frames.state(frame) | REFERENCED);
    }
    return frame;
  }

  /** Whether the frame still holds the page it was located for. */
  holds(frame: number, pgid: Pgid): boolean {
    return this.#frames.pgid(frame) === pgid;
  }

  /** Where the page starts in its slab's bytes. */
  pageStart(frame: number): number {
    return (frame & this.frameMask) * this.pageSize;
  }

  /** The bytes of the single page in a frame. */
  pageView(frame: number): Uint8Array {
    const memory = this.slabBuffers[frame >>> this.frameBits]!;
    return this.#frames.view(frame) ?? this.#frames.setView(frame, new Uint8Array(memory, this.pageStart(frame), this.pageSize));
  }

  /** Bytes of the page in a frame, overflow pages included. */
  pageBytes(frame: number): number {
    return this.#isLarge(frame) ? this.slabBytes[frame >>> this.frameBits]!.length : this.pageSize;
  }

  /** Reads the overflow pages of the large page whose slab this is, where that was left to do. @throws BoltError CORRUPT, IO, STALE_SNAPSHOT */
  complete(slab: Uint8Array): void {
    this.#overflowPages.complete(slab);
  }

  /** Says that a view into the frame was handed out: see rule 3. */
  markEscaped(frame: number): void {
    this.#frames.setState(frame, this.#frames.state(frame) | ESCAPED);
  }

  isEscaped(frame: number): boolean {
    return (this.#frames.state(frame) & ESCAPED) !== 0;
  }

  pin(frame: number): void {
    const state = this.#frames.state(frame);
    if (state & PINNED) return;
    this.#frames.setState(frame, state | PINNED);
    this.#pinnedCount++;
  }

  /** Ends a pin. With the last one goes the memory beyond the limit that a large transaction has taken. */
  unpin(frame: number): void {
    const state = this.#frames.state(frame);
    if (state & PINNED) this.#pinnedCount--;
    this.#frames.setState(frame, state & ~PINNED);
    this.#giveBackExcess();
  }

  #giveBackExcess(): void {
    if (this.#pinnedCount > 0 || this.memorySize <= this.#capacity) return;
    // First what a transaction that failed has emptied: the hand passes it by.
    for (let slab = this.slabBytes.length - 1; slab >= 0 && this.memorySize > this.#capacity; slab--) {
      if (!this.#slabs.isRemoved(slab) && this.#frames.isEmpty(slab)) this.#dropSlab(slab);
    }
    while (this.memorySize > this.#capacity && this.#shrinkOnce());
  }

  /** Takes a pinned frame for a new version of the page, bytes still to be written; drops the version that was here. */
  allocate(pgid: Pgid, pageCount: number): number {
    this.drop(pgid);
    const frame = pageCount === 1 ? this.#takeFrame() : this.#addLargeSlab(pgid, pageCount);
    this.adopt(frame, pgid);
    return frame;
  }

  /** Whether the writer may `take` the frame: no view leads into it, and no node. */
  isTakeable(frame: number): boolean {
    return (this.#frames.state(frame) & (ESCAPED | PINNED)) === 0;
  }

  /**
   * Makes the frame of a single page the writer's, pinned; no page id leads to it until `adopt`. Whoever wants the page as it was, an older reader or
   * all after a rollback, reads it again (measured: 1 µs less a page than a copy).
   * @param size bytes of the page that are in use; behind them come zeros
   */
  take(frame: number, size: number): void {
    this.#table.set(this.#frames.pgid(frame), 0);
    this.#frames.setPgid(frame, PRIVATE);
    const start = this.pageStart(frame);
    if ((this.#frames.state(frame) & ENCODED) === 0) this.slabBytes[frame >>> this.frameBits]!.fill(0, start + size, start + this.pageSize);
    this.pin(frame);
  }

  /** Gives the writer a frame with an empty leaf page. */
  takeEmpty(): number {
    const frame = this.#takeFrame();
    writePageHeader(this.pageView(frame).fill(0), 0, 0, FLAG_LEAF, 0, 0);
    this.#frames.setPgid(frame, PRIVATE);
    this.#buildIndex(frame, 0);
    // For the writer alone: it will know of no prefix, however many keys come. The first search after the commit has another one built.
    this.#frames.setState(frame, ENCODED);
    this.pin(frame);
    return frame;
  }

  /** Makes a frame of the writer's the new version of a page; drops the version that was here. It stays pinned. */
  adopt(frame: number, pgid: Pgid): void {
    this.drop(pgid);
    this.#install(frame, pgid, REFERENCED | ENCODED | (this.#frames.state(frame) & (ESCAPED | INDEXED)));
    this.pin(frame);
  }

  /** Ends the use of a frame of the writer's: gives it back, or unpins it where a page id leads to it. */
  discard(frame: number): void {
    if (this.#frames.pgid(frame) !== PRIVATE) return this.unpin(frame);
    this.#release(frame);
    this.#giveBackExcess();
  }

  /** Forgets a page. */
  drop(pgid: Pgid): void {
    const frame = this.#table.get(pgid) - 1;
    if (frame < 0) return;
    this.#table.set(pgid, 0);
    this.#release(frame);
  }

  // ---- filling

  #load(pgid: Pgid): number {
    if (pgid < 2 || pgid >= this.highWaterMark) throw corrupt(pgid, `out of bounds: ${this.highWaterMark}`);
    let frame = this.#takeFrame();
    // Room for overflow pages may be made below: by no means with the memory of this slab.
    this.pin(frame);
    try {
      const start = this.pageStart(frame);
      const bytes = this.slabBytes[frame >>> this.frameBits]!;
      // A view for this once: most pages are only read, and one that is kept takes a hundred bytes.
      this.#reader.readPages(pgid, new Uint8Array(bytes.buffer, start, this.pageSize));
      requireTreePage(bytes, start, pgid, this.highWaterMark);
      const overflow = readU32(bytes, start + PAGE_OVERFLOW);
      if (overflow > 0) {
        frame = this.#moveToOwnSlab(frame, pgid, overflow);
        this.#overflowPages.read(pgid, this.slabBytes[frame >>> this.frameBits]!);
      }
      this.#buildIndex(frame, pgid);
    } catch (error) {
      this.#release(frame);
      throw error;
    }
    this.#install(frame, pgid, INDEXED | REFERENCED);
    return frame;
  }

  #moveToOwnSlab(first: number, pgid: Pgid, overflow: number): number {
    const frame = this.#addLargeSlab(pgid, 1 + overflow);
    this.slabBytes[frame >>> this.frameBits]!.set(this.pageView(first));
    this.#release(first);
    return frame;
  }

  /**
   * Makes room for the index of the page in a frame, which keeps what stands in it. The slab's array of indexes may be another one after it.
   * @returns where in that array the index begins
   */
  reserveIndex(frame: number, keyCount: number): number {
    return this.#slabs.indexes.reserve(frame >>> this.frameBits, frame & this.frameMask, keyCount);
  }

  #buildIndex(frame: number, pgid: Pgid): void {
    const slab = frame >>> this.frameBits;
    const bytes = this.slabBytes[slab]!;
    const start = this.pageStart(frame);
    const keyCount = readU16(bytes, start + PAGE_COUNT);
    const at = this.#isLarge(frame) ? this.#slabs.indexes.setLarge(slab, keyCount) : this.reserveIndex(frame, keyCount);
    const isOurs = (this.#frames.state(frame) & ENCODED) !== 0;
    indexPage(bytes, start, this.pageBytes(frame), pgid, this.slabIndex[slab]!, at, isOurs);
    this.#frames.setState(frame, this.#frames.state(frame) | INDEXED);
  }

  #install(frame: number, pgid: Pgid, state: number): void {
    this.#table.set(pgid, frame + 1);
    this.#frames.setPgid(frame, pgid);
    if (this.#frames.state(frame) & PINNED) this.#pinnedCount--;
    this.#frames.setState(frame, state);
  }

  // ---- frames

  #isLarge(frame: number): boolean {
    return this.#lost[frame >>> this.frameBits] === LARGE;
  }

  #takeFrame(): number {
    // So it is where indexes have grown.
    if (this.memorySize > this.#capacity) this.#giveBackExcess();
    while (this.#freeFrames.length === 0) {
      const slabSize = this.#slotCount * this.pageSize + this.#slabs.indexes.slabSize;
      // Where most frames are pinned, looking for one that is not would take longer with every page that a large transaction changes.
      const isCrowded = this.#pinnedCount * 4 > (this.#slabs.indexes.slabCount << this.frameBits) * 3;
      if (isCrowded || this.memorySize + slabSize <= this.#capacity || !this.#evictOne()) this.#addSlab();
    }
    return this.#freeFrames.pop()!;
  }

  /** Gives a frame back to the free ones, or its slab to the garbage collector. */
  #release(frame: number): void {
    const slab = frame >>> this.frameBits;
    const state = this.#frames.state(frame);
    if (state & PINNED) this.#pinnedCount--;
    this.#frames.setPgid(frame, EMPTY);
    this.#frames.setState(frame, 0);
    if (this.#isLarge(frame)) {
      this.#overflowPages.forget(this.slabBytes[slab]!);
      if ((state & ESCAPED) === 0) this.#spareMemory.keep(this.slabBytes[slab]!);
      this.#giveUp(slab);
      return;
    }
    if ((state & ESCAPED) === 0) this.#freeFrames.push(frame);
    else {
      this.#frames.setState(frame, ESCAPED);
      this.#lost[slab] = this.#lost[slab]! + 1;
    }
    // Tried with every frame: a pinned one may have stood in the way when half of them had gone.
    if (this.#lost[slab]! * 2 > this.#slotCount) this.#renewSlab(slab);
  }

  /** Gives a slab new memory and all its frames back, unless the writer points into it. */
  #renewSlab(slab: number): void {
    const memory = this.#frames.isAnyPinned(slab) ? undefined : newMemory(this.#slotCount * this.pageSize);
    if (memory === undefined) return;
    this.#emptySlab(slab);
    this.#freeFramesOf(slab);
    this.#slabs.setMemory(slab, memory);
    this.#lost[slab] = 0;
  }

  /** Drops a page that was not looked at lately. Gives false when every frame is pinned. */
  #evictOne(): boolean {
    for (let steps = 2 * this.#frames.count; steps > 0; steps--) {
      const frame = this.#frames.advanceHand();
      if (frame === NO_FRAME) continue;
      this.drop(this.#frames.pgid(frame));
      return true;
    }
    return false;
  }

  #addSlab(): void {
    const slab = this.#newSlab(requireMemory(this.#slotCount * this.pageSize), this.#slotCount, 0);
    this.#freeFramesOf(slab);
  }

  /** The last frame first, so that they are taken in ascending order and a commit's pages lie side by side. */
  #freeFramesOf(slab: number): void {
    const first = slab << this.frameBits;
    for (let slot = this.#slotCount - 1; slot >= 0; slot--) this.#freeFrames.push(first + slot);
  }

  #addLargeSlab(pgid: Pgid, pageCount: number): number {
    const bytes = this.#spareMemory.take(pageCount * this.pageSize);
    if (bytes === undefined) throw corrupt(pgid, `page of ${pageCount * this.pageSize} bytes: there is not so much memory`);
    const isCrowded = this.#pinnedCount * 4 > this.#frames.count * 3; // as in #takeFrame
    while (!isCrowded && this.memorySize + bytes.length > this.#capacity && this.#shrinkOnce());
    return this.#newSlab(bytes, 1, LARGE) << this.frameBits;
  }

  /** Gives memory back: of the next large page that was not looked at lately, or the whole slab of such a single one. False when there is none to give. */
  #shrinkOnce(): boolean {
    for (let steps = 2 * this.#frames.count; steps > 0; steps--) {
      const frame = this.#frames.advanceHand();
      if (frame === NO_FRAME) continue;
      if (this.#isLarge(frame)) this.drop(this.#frames.pgid(frame));
      else if (!this.#dropSlab(frame >>> this.frameBits)) continue;
      return true;
    }
    return false;
  }

  /** Gives up a slab with all pages in it, unless the writer points into it or it is the only one. */
  #dropSlab(slab: number): boolean {
    if (this.#slabs.indexes.slabCount === 1 || this.#frames.isAnyPinned(slab)) return false;
    this.#emptySlab(slab);
    this.#giveUp(slab);
    return true;
  }

  #giveUp(slab: number): void {
    this.#slabs.remove(slab);
    this.#frames.reset(slab, 0);
  }

  /** Forgets the pages of a slab, and its free frames. */
  #emptySlab(slab: number): void {
    this.#frames.forEachPage(slab, (pgid) => this.#table.set(pgid, 0));
    this.#frames.reset(slab, this.#slotCount);
    this.#freeFrames = this.#freeFrames.filter((frame) => frame >>> this.frameBits !== slab);
  }

  #newSlab(bytes: Uint8Array, slotCount: number, lost: number): number {
    const slab = this.#slabs.add(bytes, lost === LARGE);
    assert(slab < 2 ** (31 - this.frameBits), "the cache has room for more frames");
    this.#lost[slab] = lost;
    this.#frames.reset(slab, slotCount);
    return slab;
  }
}
