/**
 * Where a commit puts its pages: side by side as far as there is room, for to the disk neighbours are one request, and scattered pages are one each.
 *
 * 1. Few pages, or any number in a small file: all in one run of free pages, where there is one.
 * 2. Many pages in a small file: new ones at its end, as long as less than half of it is free (measured, durable, 134 pages a commit: 1.2 ms a commit for
 *    writing and syncs in place of 1.9).
 * 3. Few pages: as many as there is a run for, the upper levels of the tree and the freelist rather than the leaves below. The next commits give these up
 *    together, so that there will be room for theirs (a durable put in a large file full of holes: four writes in place of five).
 * 4. Else each kind by itself: the freelist, then pages with overflow, each in the lowest run that holds it (when single pages went first, a fragmented file grew with
 *    every commit); then branch pages and the root, in the longest runs; then leaves, in the lowest free pages. A branch page is changed again within a few
 *    commits, a leaf of a large tree within hundreds. Among leaves, branch pages leave holes of one page each. By themselves they leave runs for the branch
 *    pages of later commits, for what is free gathers at the end of the file, where no leaf goes: 100 puts in a million entries, 5 % of the file free, took 106 writes in
 *    place of 189 (bench/placement.mjs). Where an eighth of the file or more is free, there are long runs for leaves, too.
 *
 * With a large value among the pages, or where the file has reached half of its limit, only 4 applies: a single run for all pages is longer than the
 * hole that a large value of that size has left, so the file would grow by a third; and pages placed side by side would use up runs that the next
 * large value needs.
 */
import type { Pgid } from "../format/constants.js";
import type { Freelist } from "./freelist.js";

/** Up to here a file grows rather than that a commit of many pages is scattered: bolt's own step of growth. */
const SMALL_FILE_SIZE = 16 << 20;
const MANY_PAGES = 32;

/** So many pages, most of them the freelist's and those of the upper levels, are kept together rather than told apart. */
const FEW_PAGES = 15;

/** The part of a file that has to be free for leaves to get the longest runs. */
const MUCH_FREE = 1 / 8;

/** A page, and its overflow pages, to be given a place. */
export interface Placeable {
  readonly pageCount: number;
  /** Set when the page is placed. */
  pgid: Pgid;
}

/** A page of a tree. */
export interface PlaceableTreePage extends Placeable {
  readonly isBranch: boolean;
}

/** How pages are placed. */
export interface PlacementOptions {
  readonly pageSize: number;
  /** Bytes that the file may have. */
  readonly maxSize: number;
  /** Places every page as low as it can. @see shrink.ts */
  readonly isShrinking: boolean;
}

/** Gives the pages of one commit their places. */
export class Placement {
  readonly #freelist: Freelist;
  readonly #options: PlacementOptions;
  highWaterMark: Pgid;

  constructor(freelist: Freelist, options: PlacementOptions, highWaterMark: Pgid) {
    this.#freelist = freelist;
    this.#options = options;
    this.highWaterMark = highWaterMark;
  }

  /** @param tree pages of the trees, children before parents, the root of all last */
  place(tree: readonly PlaceableTreePage[], freelistPage: Placeable | undefined): void {
    const pages: readonly Placeable[] = freelistPage === undefined ? tree : [...tree, freelistPage];
    let pageCount = 0;
    for (const page of pages) pageCount += page.pageCount;
    if (pageCount === 0) return;
    const isTight = this.#isTight(tree);
    const start = isTight ? undefined : this.#findRoom(pageCount);
    if (start !== undefined) placeFrom(start, pages);
    else if (pageCount > FEW_PAGES || isTight || !this.#placeTop(pages, pageCount)) this.#placeApart(tree, freelistPage);
  }

  /** Whether room counts for more than the number of writes. */
  #isTight(tree: readonly Placeable[]): boolean {
    const { isShrinking, maxSize, pageSize } = this.#options;
    return isShrinking || this.highWaterMark * pageSize * 2 > maxSize || tree.some(({ pageCount }) => pageCount > 1);
  }

  /** The start of a run for all pages. */
  #findRoom(pageCount: number): Pgid | undefined {
    const { pageSize, maxSize } = this.#options;
    const isSmall = (this.highWaterMark + pageCount) * pageSize <= Math.min(SMALL_FILE_SIZE, maxSize);
    if (pageCount > FEW_PAGES && !isSmall) return undefined;
    const run = this.#freelist.allocateRun(pageCount);
    const mayGrow = pageCount >= MANY_PAGES && isSmall && this.#freelist.storedCount * 2 < this.highWaterMark;
    return run === undefined && mayGrow ? this.#grow(pageCount) : run;
  }

  /** False, with nothing done, when there is no room for two. */
  #placeTop(pages: readonly Placeable[], pageCount: number): boolean {
    for (let apart = 1; apart < pages.length - 1 && pages[apart - 1]!.pageCount === 1; apart++) {
      const start = this.#freelist.allocateRun(pageCount - apart);
      if (start === undefined) continue;
      placeFrom(start, pages.slice(apart));
      this.#placeSingles(pages.slice(0, apart), false);
      return true;
    }
    return false;
  }

  #placeApart(tree: readonly PlaceableTreePage[], freelistPage: Placeable | undefined): void {
    if (freelistPage !== undefined) freelistPage.pgid = this.#allocate(freelistPage.pageCount);
    for (const page of tree) if (page.pageCount > 1) page.pgid = this.#allocate(page.pageCount);
    const root = tree.at(-1);
    const upper: Placeable[] = [];
    const leaves: Placeable[] = [];
    for (const page of tree) if (page.pageCount === 1) (page.isBranch || page === root ? upper : leaves).push(page);
    const { isShrinking } = this.#options;
    this.#placeSingles(upper, isShrinking);
    this.#placeSingles(leaves, isShrinking || this.#freelist.freeCount < this.highWaterMark * MUCH_FREE);
  }

  #placeSingles(pages: readonly Placeable[], lowest: boolean): void {
    let next = 0;
    for (const { start, length } of this.#freelist.allocateRuns(pages.length, lowest)) {
      for (let i = 0; i < length; i++) pages[next++]!.pgid = start + i;
    }
    while (next < pages.length) pages[next++]!.pgid = this.#grow(1);
  }

  #allocate(pageCount: number): Pgid {
    return this.#freelist.allocateRun(pageCount) ?? this.#grow(pageCount);
  }

  #grow(pageCount: number): Pgid {
    const pgid = this.highWaterMark;
    this.highWaterMark += pageCount;
    return pgid;
  }
}

function placeFrom(start: Pgid, pages: readonly Placeable[]): void {
  let next = start;
  for (const page of pages) {
    page.pgid = next;
    next += page.pageCount;
  }
}
