/** The freelist that a file stores, or what is free where it stores none. */
import { corrupt, isCorrupt } from "../base/errors.js";
import type { Pgid } from "../format/constants.js";
import { readFreelistPage } from "../format/freelist-page.js";
import type { Meta } from "../format/meta.js";
import { readPageHeader, requireOverflow } from "../format/page.js";
import { ascending, without } from "../format/pgid-list.js";
import type { PgidSet } from "../format/pgid-set.js";
import { collectReachable, requirePages, type RawPages } from "../format/walk.js";

const NO_IDS = new Float64Array(0);

/** A freelist as a file has it. */
export interface StoredFreelist {
  /** As stored: normally in ascending order. */
  readonly ids: Float64Array;
  /** Pages that the list takes. */
  readonly pageCount: number;
}

/**
 * Reads the freelist at page `pgid` with its overflow pages.
 * @throws BoltError CORRUPT when it is none or lies outside the file
 */
export function readStoredFreelist(pages: RawPages, pgid: Pgid): StoredFreelist {
  const { highWaterMark } = pages;
  if (pgid < 2 || pgid >= highWaterMark) throw corrupt(pgid, `freelist is out of bounds: ${highWaterMark}`);
  const first = requirePages(pages, pgid, 1);
  const { overflow } = readPageHeader(first, 0);
  requireOverflow(pgid, overflow, highWaterMark);
  const pageCount = 1 + overflow;
  return { ids: readFreelistPage(overflow === 0 ? first : requirePages(pages, pgid, pageCount), pgid), pageCount };
}

/**
 * Gives the pages that nothing reaches, in ascending order and in lists of some thousands, for all of them could be more than memory holds. A list is valid until
 * the next one is asked for.
 */
export function* unreachedPages(reachable: PgidSet, highWaterMark: Pgid): Generator<Float64Array> {
  const ids = new Float64Array(1 << 16);
  let count = 0;
  for (let pgid = 2; pgid < highWaterMark; pgid++) {
    if (reachable.has(pgid)) continue;
    ids[count++] = pgid;
    if (count < ids.length) continue;
    yield ids;
    count = 0;
  }
  yield ids.subarray(0, count);
}

/**
 * Tells which of free pages the tree before the newest still reaches: they must wait one transaction more (docs/format.md, rule 8).
 * @param older the state before the newest; undefined when there is none
 * @param reachedNow what the newest tree reaches, where that is known
 */
export function waitingAfter(older: { readonly meta: Meta; readonly pages: RawPages } | undefined, reachedNow?: PgidSet): (ids: Float64Array) => Float64Array {
  if (older === undefined) return () => NO_IDS;
  const { meta, pages } = older;
  try {
    if (meta.freelist !== undefined) {
      const freeBefore = ascending(readStoredFreelist(pages, meta.freelist).ids);
      return (ids) => without(ids, freeBefore, meta.highWaterMark);
    }
    const reachable = collectReachable(pages, meta.root, reachedNow);
    return (ids) => ids.filter((pgid) => reachable.has(pgid));
  } catch (error) {
    // A Go writer that died in a commit has overwritten it. There is nothing to keep then, but nothing that could be told apart either.
    if (isCorrupt(error)) return () => NO_IDS;
    throw error;
  }
}
