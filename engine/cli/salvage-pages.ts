/**
 * The branch and leaf pages of a file, each read as far as it is there, however damaged: cut off by the end of the file, with flags or a number of overflow
 * pages that cannot be.
 *
 * Overflow pages that several pages claim are read again, but all in all no more than a few times what the file has.
 */
import { BoltError } from "../base/errors.js";
import { readU16, readU32, readU64 } from "../base/bytes.js";
import { FLAG_BRANCH, FLAG_FREELIST, FLAG_LEAF, PAGE_COUNT, PAGE_FLAGS, PAGE_HEADER_SIZE, PAGE_ID, PAGE_OVERFLOW, type Pgid } from "../format/constants.js";
import { readPageHeader } from "../format/page.js";
import { PgidSet } from "../format/pgid-set.js";
import type { RawFile } from "./raw-file.js";
import { leafElement } from "./page-elements.js";
import { childOf, elementData, elementsEnd, readElements, typesOf, type Reading } from "./salvage-page.js";

/** Page headers that are looked at to find where overflow pages end, for each page of the file, at most. */
const LOOKS_PER_PAGE = 4;
/** How often a file may be read again: once for its other state, and once more for what pages claim in turn. */
const AGAIN_PER_BYTE = 2;

/** Levels of a tree that are gone down. */
const MAX_LEVELS = 32;

/** A page as it was found. */
export interface FoundPage extends Reading {
  /** Its header's id. */
  readonly id: Pgid;
}

/** Finds pages. */
export class SalvagePages {
  /** Pages of the file, one that is cut off included. */
  readonly pageCount: number;
  readonly #file: RawFile;
  readonly #pageSize: number;
  #looksLeft: number;
  readonly #readAsOverflow: PgidSet = new PgidSet();
  /** Bytes that may still be read another time. */
  #againSize: number;

  constructor(file: RawFile, pageSize: number) {
    this.#file = file;
    this.#pageSize = pageSize;
    this.pageCount = Math.ceil(file.size / pageSize);
    this.#looksLeft = LOOKS_PER_PAGE * this.pageCount;
    this.#againSize = AGAIN_PER_BYTE * file.size;
  }

  /**
   * Reads the page that is at `pgid`.
   * @param claimed pages that others use as overflow; those of this page are added
   * @param problem told what is wrong with a page, be it this one or one of its overflow pages
   * @returns undefined when there is no branch or leaf page
   */
  find(pgid: Pgid, claimed: PgidSet, problem: (pgid: Pgid, fault: string) => void): FoundPage | undefined {
    const first = pgid < this.pageCount ? this.#read(pgid, 1) : undefined;
    if (first === undefined || first.length < PAGE_HEADER_SIZE) {
      problem(pgid, "lies beyond the end of the file");
      return undefined;
    }
    if (first.length < this.#pageSize) problem(pgid, "is cut off by the end of the file");
    const flags = readU16(first, PAGE_FLAGS);
    const types = typesOf(flags);
    if (flags !== types[0]) problem(pgid, `invalid type: unknown<${flags.toString(16).padStart(2, "0")}>`);
    const id = readU64(first, PAGE_ID);
    for (const type of types) {
      const isLeaf = type === FLAG_LEAF;
      // Of flags that are wrong, what the elements say must be right.
      if (flags !== type && !isPlainlyOf(isLeaf, first, this.#pageSize)) continue;
      const reading = readElements(this.#withOverflow(pgid, first, isLeaf, claimed, problem), isLeaf);
      for (const fault of reading.problems) problem(pgid, fault);
      return { ...reading, id };
    }
    return undefined;
  }

  /** The key that a page at its place begins with; undefined when there is none. */
  firstKey(pgid: Pgid): Buffer | undefined {
    const first = this.isAtItsPlace(pgid) ? this.#read(pgid, 1) : undefined;
    if (first === undefined || readU16(first, PAGE_COUNT) === 0 || first.length < this.#pageSize) return undefined;
    const { keyEnd, start } = elementData(first, readU16(first, PAGE_FLAGS) === FLAG_LEAF, 0);
    return start < keyEnd && keyEnd <= first.length ? first.subarray(start, keyEnd) : undefined;
  }

  /** Says whether a page stands at its place, as far as its header tells. */
  isAtItsPlace(pgid: Pgid): boolean {
    if (pgid < 2 || pgid >= this.pageCount) return false;
    const header = this.#file.readBytes(pgid * this.#pageSize, PAGE_HEADER_SIZE);
    if (header.length < PAGE_HEADER_SIZE) return false;
    const { flags, id } = readPageHeader(header, 0);
    return id === pgid && (flags === FLAG_BRANCH || flags === FLAG_LEAF || flags === FLAG_FREELIST);
  }

  /** Says whether the page at `home` shows that the one at `pgid`, which has its id, is misplaced: it is the same, or it is a page with the id of another one itself. */
  isCopyOrSwapped(pgid: Pgid, home: Pgid): boolean {
    const [here, there] = [pgid, home].map((at) => (at >= 2 && at < this.pageCount ? this.#read(at, 1) : undefined));
    if (here === undefined || there === undefined || there.length < PAGE_HEADER_SIZE) return false;
    const { flags, id } = readPageHeader(there, 0);
    if (id === home) return here.equals(there);
    return (flags === FLAG_BRANCH || flags === FLAG_LEAF) && id >= 2 && id < this.pageCount;
  }

  /** Says whether most of what a page holds, or the first leaf below it, are buckets: so it is in the root bucket. */
  holdsBuckets(page: Reading): boolean {
    let at = page;
    for (let level = 0; !at.isLeaf; level++) {
      const child = at.elements.length > 0 ? childOf(at.bytes, at.elements[0]!) : 0;
      const first = level < MAX_LEVELS && this.isAtItsPlace(child) ? this.#read(child, 1) : undefined;
      if (first === undefined) return false;
      at = readElements(first, readU16(first, PAGE_FLAGS) === FLAG_LEAF);
    }
    const bucketCount = at.elements.filter((index) => leafElement(at.bytes, index).bucket !== undefined).length;
    return bucketCount * 2 >= at.elements.length;
  }

  /** A page with its overflow pages: those that it says it has, or those that its elements take, where these stand side by side and say something else. */
  #withOverflow(pgid: Pgid, first: Buffer, isLeaf: boolean, claimed: PgidSet, problem: (pgid: Pgid, fault: string) => void): Buffer {
    const overflow = readU32(first, PAGE_OVERFLOW);
    const says = 1 + overflow;
    const end = elementsEnd(first, isLeaf);
    let count = end === undefined ? says : Math.ceil(end / this.#pageSize);
    if (says === 1 && count === 1) return first;
    const isInFile = (pgid + says) * this.#pageSize <= this.#file.size;
    if (!isInFile) {
      problem(pgid, `${overflow} overflow pages do not fit into the file`);
      count = this.#room(pgid, count);
    } else if (count > says) {
      count = Math.max(says, this.#room(pgid, count));
      if (count > says) problem(pgid, `its overflow is ${overflow}, and ${count - 1} seems right`);
    } else if (count < says && this.#room(pgid + count - 1, 1 + says - count) < 1 + says - count) {
      problem(pgid, `its overflow is ${overflow}, and other pages begin among those`);
    } else if (end !== undefined && says > Math.floor(end / this.#pageSize) + 1) {
      // Go allocates one page more where elements end with a page; no writer more than that.
      problem(pgid, `its overflow is ${overflow}, and its elements take ${count - 1}`);
    }
    return this.#read(pgid, this.#claim(pgid, count, claimed, problem)) ?? first;
  }

  /** How many pages from `pgid` on, `wanted` at most, there are before the end of the file or the next page that is one for itself. */
  #room(pgid: Pgid, wanted: number): number {
    const limit = Math.min(wanted, this.pageCount - pgid);
    for (let count = 1; count < limit; count++) if (--this.#looksLeft < 0 || this.isAtItsPlace(pgid + count)) return count;
    return limit;
  }

  /** Claims overflow pages. @returns how many pages may be read: all, or those before one that was read already, once there was too much of that */
  #claim(pgid: Pgid, wanted: number, claimed: PgidSet, problem: (pgid: Pgid, fault: string) => void): number {
    let count = 1;
    while (count < wanted && this.#readAsOverflow.add(pgid + count)) count++;
    const size = wanted * this.#pageSize;
    if (count < wanted && size <= this.#againSize) {
      this.#againSize -= size;
      count = wanted;
    }
    let own = 1;
    while (own < count && claimed.add(pgid + own)) own++;
    if (own < wanted && claimed.has(pgid + own)) problem(pgid + own, "multiple references");
    return count;
  }

  /** Bytes of pages, fewer at the end of the file; undefined when there is not so much memory: a page that claims it must not end the salvage of the others. */
  #read(pgid: Pgid, count: number): Buffer | undefined {
    try {
      return this.#file.readBytes(pgid * this.#pageSize, count * this.#pageSize);
    } catch (error) {
      if (error instanceof BoltError && error.code === "CORRUPT") return undefined;
      throw error;
    }
  }
}

/** Says whether the elements of a page are all right as those of a leaf, or of a branch. */
function isPlainlyOf(isLeaf: boolean, first: Buffer, pageSize: number): boolean {
  return readU16(first, PAGE_COUNT) > 0 && (readElements(first, isLeaf).problems.length === 0 || (elementsEnd(first, isLeaf) ?? 0) > pageSize);
}
