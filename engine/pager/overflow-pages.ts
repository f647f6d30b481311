/**
 * Reading overflow pages: with the first page, or, where they hold nothing but the end of one large value, when somebody wants that value. A search, a
 * scan of keys and a put beside it need only the first page (measured with values of 1 MiB, bench/large-values.mjs: a durable put beside them takes four
 * fifths of the time, a walk over the keys a tenth).
 *
 * A slab whose overflow pages were left out has its whole length, so nothing moves when they come.
 */
import { readU16, readU32 } from "../base/bytes.js";
import { FLAG_LEAF, LEAF_FLAGS, LEAF_KEY_SIZE, LEAF_POS, LEAF_VALUE_SIZE, PAGE_COUNT, PAGE_FLAGS, type Pgid } from "../format/constants.js";
import { elementAt } from "../format/page-index.js";

/** What the cache fills itself from. */
export interface PageReader {
  /** Fills `target` with the bytes from the start of page `pgid` on; throws when they cannot be had. */
  readPages(pgid: Pgid, target: Uint8Array): void;
}

/** The overflow pages of the large pages in a cache. */
export class OverflowPages {
  readonly #pageSize: number;
  readonly #reader: PageReader;
  /** Large pages of which only the first is in memory, by their slabs. */
  readonly #missing = new Map<Uint8Array, Pgid>();

  constructor(pageSize: number, reader: PageReader) {
    this.#pageSize = pageSize;
    this.#reader = reader;
  }

  /** Reads the pages behind the first of the slab, or leaves it to `complete`. */
  read(pgid: Pgid, slab: Uint8Array): void {
    this.#missing.set(slab, pgid);
    if (!holdsKeyOfLargeValue(slab, this.#pageSize)) this.complete(slab);
  }

  /** Reads what was left out, if anything was. */
  complete(slab: Uint8Array): void {
    const pgid = this.#missing.get(slab);
    if (pgid === undefined) return;
    this.#reader.readPages(pgid + 1, slab.subarray(this.#pageSize));
    this.#missing.delete(slab);
  }

  /** The slab serves other pages from now on. */
  forget(slab: Uint8Array): void {
    this.#missing.delete(slab);
  }
}

/**
 * Whether the first page of a leaf has all that can be asked for but one value, which is not smaller than a page. Not of a nested bucket: of that the value
 * is looked at in many places. Whatever else may be wrong with the element, its fields tell: they are in the first page.
 */
function holdsKeyOfLargeValue(slab: Uint8Array, pageSize: number): boolean {
  if (readU16(slab, PAGE_FLAGS) !== FLAG_LEAF || readU16(slab, PAGE_COUNT) !== 1) return false;
  const element = elementAt(0, 0);
  const keyEnd = element + readU32(slab, element + LEAF_POS) + readU32(slab, element + LEAF_KEY_SIZE);
  return readU32(slab, element + LEAF_FLAGS) === 0 && keyEnd <= pageSize && readU32(slab, element + LEAF_VALUE_SIZE) >= pageSize;
}
