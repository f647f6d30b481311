/**
 * The one walker over the pages that a bucket's root reaches, nested buckets included: check, freelist rebuild, bucket
 * statistics and the command's page map all read a tree through it.
 *
 * What it keeps true, whatever the file holds:
 *
 * 1. It never throws by itself. What cannot be is reported as a problem, and the walk goes on with what can still be read.
 *    (`read` may throw, IO or STALE_SNAPSHOT: that passes through.)
 * 2. Each page is visited at most once and belongs to one visited page at most, so it ends, and reads each byte about once,
 *    also when pages point at each other in a circle or claim each other as overflow.
 * 3. A length found in the file is used only after `read` has shown that those bytes are there.
 * 4. Its own stack is bounded: a tree has at most MAX_LEVELS levels, nested buckets wait in a list until the tree that names
 *    them is done. So it holds one branch page a level, and of each waiting bucket the name and the root.
 *
 * Order: a tree depth first, in key order; the inline buckets of a leaf right behind it; the nested buckets of a tree behind it,
 * in key order, each with all that is below it before the next.
 *
 * It does not judge the order of keys, empty pages or branches with too few children: those hide no page (tx/check does).
 */
import { readU16, readU32, readU64 } from "../base/bytes.js";
import { copyOut } from "../base/memory.js";
import { corrupt } from "../base/errors.js";
import {
  BRANCH_CHILD, BRANCH_KEY_SIZE, BRANCH_POS, BUCKET_FLAG, BUCKET_HEADER_SIZE, FLAG_BRANCH, FLAG_FREELIST, FLAG_LEAF, FLAG_META,
  LEAF_FLAGS, LEAF_KEY_SIZE, LEAF_POS, LEAF_VALUE_SIZE, PAGE_COUNT, PAGE_FLAGS, PAGE_HEADER_SIZE, PAGE_ID, PAGE_OVERFLOW, type Pgid,
} from "./constants.js";
import { examineBranch, examineLeaf, type ElementReport } from "./element-faults.js";
import { elementAt } from "./page-index.js";
import { pageTypeName } from "./page.js";
import { PgidSet } from "./pgid-set.js";
import type { KeyRange, PageVisit, Problem, WalkedBucket, WalkVisitor } from "./walk-visitor.js";

/** Pages as they are, true or not. */
export interface RawPages {
  readonly pageSize: number;
  readonly highWaterMark: Pgid;
  /**
   * Gives the bytes of the page and the pages after it, `pageCount` in all; valid until the next read.
   * @returns undefined when they are not all inside the file
   * @throws BoltError IO, STALE_SNAPSHOT
   */
  read(pgid: Pgid, pageCount: number): Uint8Array | undefined;
}

/** Reads pages that have to be there. @throws BoltError CORRUPT when they are not all inside the file, and what `RawPages.read` throws */
export function requirePages(pages: RawPages, pgid: Pgid, pageCount: number): Uint8Array {
  const bytes = pages.read(pgid, pageCount);
  if (bytes === undefined) throw corrupt(pgid, "beyond the end of the file");
  return bytes;
}

/** A branch needs two children, so 64 levels would take more pages than a pgid can count: a deeper tree is none. */
const MAX_LEVELS = 64;

interface MutableBucket extends WalkedBucket {
  levels: number;
  levelsAbove: number;
}

/** A branch page on the way down, with a copy of its bytes: the walk reads other pages before it comes back. */
interface Frame {
  bytes: Uint8Array;
  count: number;
  next: number;
  unreadable: ReadonlySet<number> | undefined;
  minKey: KeyRange | undefined;
  maxKey: KeyRange | undefined;
}

/** A page as far as it can be told to be one. */
interface Extent {
  readonly bytes: Uint8Array;
  /** Bytes that the page has, of which `bytes` may be the first. */
  readonly size: number;
  /** Bytes behind these may belong to the page too: what lies outside is then no fault of its own. */
  readonly isCut: boolean;
}

/** One walk, a page a step, so that a caller can hand out what it found in between. */
export class PageWalk {
  readonly #pages: RawPages;
  readonly #visitor: WalkVisitor;
  readonly #claimed: PgidSet;
  readonly #visited: PgidSet = new PgidSet();
  readonly #skipped: PgidSet | undefined;
  readonly #frames: Frame[] = [];
  /** Page ids from the bucket's root down, one a frame, and the page being visited. */
  readonly #stack: Pgid[] = [];
  /** Buckets to walk yet, the next one last. */
  readonly #waiting: MutableBucket[] = [];
  /** Nested buckets that the present tree names, in key order. */
  #found: MutableBucket[] = [];
  #bucketOrdinal = 0;
  #depth = 0;
  #bucket: MutableBucket;

  /**
   * @param claimed pages that something else uses; the walk adds the meta pages and all pages it reaches, overflow pages too
   * @param skipped pages that are passed by, with all below them, wherever something leads to them
   */
  constructor(pages: RawPages, root: Pgid, visitor: WalkVisitor, claimed: PgidSet = new PgidSet(), skipped?: PgidSet) {
    this.#pages = pages;
    this.#visitor = visitor;
    this.#claimed = claimed;
    this.#skipped = skipped;
    claimed.add(0);
    claimed.add(1);
    this.#bucket = { name: Buffer.alloc(0), parent: undefined, root, ordinal: 0, levels: 0, levelsAbove: 0 };
    this.#waiting.push(this.#bucket);
  }

  /**
   * Looks at one more page.
   * @returns false when there is none
   */
  step(): boolean {
    const frame = this.#depth === 0 ? undefined : this.#frames[this.#depth - 1];
    if (frame === undefined) return this.#nextBucket();
    if (frame.next === frame.count) {
      this.#depth--;
      this.#stack.pop();
      return true;
    }
    const index = frame.next++;
    const child = readU64(frame.bytes, elementAt(0, index) + BRANCH_CHILD);
    const key = readableKey(frame, index);
    this.#visitor.child?.({ child, index, key, minKey: frame.minKey, maxKey: frame.maxKey, stack: this.#stack });
    const nextKey = index + 1 < frame.count ? readableKey(frame, index + 1) : undefined;
    this.#reach(child, key, nextKey ?? frame.maxKey);
    return true;
  }

  #nextBucket(): boolean {
    for (let bucket = this.#found.pop(); bucket !== undefined; bucket = this.#found.pop()) {
      bucket.levelsAbove = this.#bucket.levelsAbove + this.#bucket.levels;
      this.#waiting.push(bucket);
    }
    const next = this.#waiting.pop();
    if (next === undefined) return false;
    this.#bucket = next;
    this.#bucketOrdinal = 0;
    this.#reach(next.root, undefined, undefined);
    return true;
  }

  /** Follows a reference to a page. */
  #reach(pgid: Pgid, minKey: KeyRange | undefined, maxKey: KeyRange | undefined): void {
    this.#stack.push(pgid);
    const isBranch = this.#visit(pgid, minKey, maxKey);
    // A branch stays on the stack until all its children were looked at.
    if (!isBranch) this.#stack.pop();
  }

  #problem(pgid: Pgid, fault: string, again = false, minKey?: KeyRange): void {
    this.#visitor.problem({ pgid, fault, stack: this.#stack, again, minKey });
  }

  /** @returns true when the page is a branch whose children come next */
  #visit(pgid: Pgid, minKey: KeyRange | undefined, maxKey: KeyRange | undefined): boolean {
    if (this.#skipped?.has(pgid) === true) return false;
    if (this.#visited.has(pgid)) {
      this.#problem(pgid, "multiple references", true, minKey);
      return false;
    }
    const first = this.#pages.read(pgid, 1);
    if (pgid >= this.#pages.highWaterMark) this.#problem(pgid, `out of bounds: ${this.#pages.highWaterMark}`);
    else if (first === undefined) this.#problem(pgid, "lies beyond the end of the file");
    if (first === undefined) return false;
    this.#visited.add(pgid);
    if (!this.#claimed.add(pgid)) this.#problem(pgid, "multiple references");
    const flags = readU16(first, PAGE_FLAGS);
    if (flags !== FLAG_LEAF && flags !== FLAG_BRANCH) {
      this.#problem(pgid, `invalid type: ${typeName(flags)}`);
      return false;
    }
    const id = readU64(first, PAGE_ID);
    if (id !== pgid) this.#problem(pgid, `self identifies as page ${id}`);
    if (this.#stack.length > MAX_LEVELS) {
      this.#problem(pgid, `lies below ${MAX_LEVELS} levels of branch pages`);
      return false;
    }
    return this.#visitElements(pgid, flags === FLAG_LEAF, first, minKey, maxKey);
  }

  #visitElements(pgid: Pgid, isLeaf: boolean, first: Uint8Array, minKey: KeyRange | undefined, maxKey: KeyRange | undefined): boolean {
    const headerCount = readU16(first, PAGE_COUNT);
    const overflow = readU32(first, PAGE_OVERFLOW);
    const extent = overflow === 0 ? { bytes: first, size: first.length, isCut: false } : this.#extent(pgid, overflow, this.#visitor.needsKeysOnly === true && isLeaf && isOneValue(first));
    if (extent === undefined) return false;
    const { bytes, isCut, size } = extent;
    const report = isLeaf ? examineLeaf(bytes, size, headerCount) : examineBranch(bytes, size, headerCount);
    this.#reportFaults(pgid, report, isCut);
    const count = arrayFits(report) ? headerCount : 0;
    const unreadable = unreadableKeys(report);
    const bucket = this.#bucket;
    bucket.levels = Math.max(bucket.levels, this.#stack.length);
    this.#visitor.page?.({ pgid, isLeaf, bytes, count, overflow, unreadable, bucket, stack: this.#stack, minKey, maxKey });
    if (isLeaf) {
      if (report.bucketCount > 0) this.#visitBuckets(pgid, bytes, count, report);
      return false;
    }
    this.#push(bytes, count, unreadable, minKey, maxKey);
    return true;
  }

  #reportFaults(pgid: Pgid, report: ElementReport, isCut: boolean, prefix = ""): void {
    if (report.faults === undefined) return;
    for (const { fault, outside } of report.faults) if (!(isCut && outside)) this.#problem(pgid, prefix + fault);
  }

  /**
   * Claims the overflow pages of a page and reads it, whole or up to its first overflow page. Stops at a page that belongs to another one, so that
   * pages which claim each other are not read again and again.
   */
  #extent(pgid: Pgid, overflow: number, isFirstEnough: boolean): Extent | undefined {
    const { highWaterMark, pageSize } = this.#pages;
    let isCut = false;
    let pageCount = 1 + overflow;
    // The last page first: nothing may be counted up to a length that the file does not have.
    if (this.#pages.read(pgid + overflow, 1) === undefined) {
      this.#problem(pgid, `${overflow} overflow pages do not fit into the file`);
      isCut = true;
      pageCount = 1;
    } else if (pgid < highWaterMark && pgid + overflow >= highWaterMark) {
      this.#problem(pgid, `${overflow} overflow pages reach out of bounds: ${highWaterMark}`);
    }
    for (let i = 1; i < pageCount; i++) {
      if (this.#claimed.add(pgid + i)) continue;
      this.#problem(pgid + i, "multiple references");
      isCut = true;
      pageCount = i;
    }
    const bytes = this.#pages.read(pgid, isFirstEnough ? 1 : pageCount);
    return bytes === undefined ? undefined : { bytes, size: pageCount * pageSize, isCut };
  }

  #push(bytes: Uint8Array, count: number, unreadable: ReadonlySet<number> | undefined, minKey?: KeyRange, maxKey?: KeyRange): void {
    const reused = this.#frames[this.#depth];
    // The buffer of an earlier page of this level serves again, unless that page was an oversized one.
    const buffer = reused?.bytes.length === bytes.length ? reused.bytes : new Uint8Array(bytes.length);
    buffer.set(bytes);
    this.#frames[this.#depth++] = { bytes: buffer, count, next: 0, unreadable, minKey, maxKey };
  }

  #visitBuckets(pgid: Pgid, bytes: Uint8Array, count: number, report: ElementReport): void {
    const faulty = new Set(report.faults?.map((fault) => fault.index));
    for (let i = 0; i < count; i++) {
      const element = elementAt(0, i);
      if (readU32(bytes, element + LEAF_FLAGS) !== BUCKET_FLAG) continue;
      const ordinal = this.#bucketOrdinal++;
      if (faulty.has(i)) continue;
      const key = element + readU32(bytes, element + LEAF_POS);
      const keySize = readU32(bytes, element + LEAF_KEY_SIZE);
      const value = key + keySize;
      const root = readU64(bytes, value);
      const name = copyOut(bytes, key, keySize);
      const bucket: MutableBucket = { name, parent: this.#bucket, root, ordinal, levels: 0, levelsAbove: 0 };
      if (root !== 0) this.#found.push(bucket);
      else this.#visitInline(pgid, bytes.subarray(value + BUCKET_HEADER_SIZE, value + readU32(bytes, element + LEAF_VALUE_SIZE)), bucket);
    }
  }

  #visitInline(pgid: Pgid, bytes: Uint8Array, bucket: MutableBucket): void {
    const fault = inlinePageFault(bytes);
    if (fault !== undefined) {
      this.#problem(pgid, `inline bucket (hex)${bucket.name.toString("hex")}: ${fault}`);
      return;
    }
    const headerCount = readU16(bytes, PAGE_COUNT);
    const report = examineLeaf(bytes, bytes.length, headerCount);
    if (report.faults !== undefined) this.#reportFaults(pgid, report, false, `inline bucket (hex)${bucket.name.toString("hex")}: `);
    if (report.bucketCount > 0) this.#problem(pgid, `inline bucket (hex)${bucket.name.toString("hex")}: a bucket inside an inline bucket`);
    bucket.levels = 1;
    const count = arrayFits(report) ? headerCount : 0;
    this.#visitor.inline?.({ pgid, bytes, count, unreadable: unreadableKeys(report), bucket, stack: this.#stack });
  }
}

/** The key of element `index` of a branch page. */
export function branchKey(bytes: Uint8Array, index: number): KeyRange {
  const element = elementAt(0, index);
  return { bytes, start: element + readU32(bytes, element + BRANCH_POS), size: readU32(bytes, element + BRANCH_KEY_SIZE) };
}

function readableKey(frame: Frame, index: number): KeyRange | undefined {
  return frame.unreadable?.has(index) === true ? undefined : branchKey(frame.bytes, index);
}

function arrayFits(report: ElementReport): boolean {
  return report.faults?.[0]?.index !== -1;
}

function unreadableKeys(report: ElementReport): ReadonlySet<number> | undefined {
  if (report.faults === undefined) return undefined;
  return new Set(report.faults.filter((fault) => fault.outside).map((fault) => fault.index));
}

/** Whether a leaf holds a value alone, with the key on its first page: the overflow pages are of the value then. */
function isOneValue(first: Uint8Array): boolean {
  const element = elementAt(0, 0);
  const keyEnd = element + readU32(first, element + LEAF_POS) + readU32(first, element + LEAF_KEY_SIZE);
  return readU16(first, PAGE_COUNT) === 1 && readU32(first, element + LEAF_FLAGS) === 0 && keyEnd <= first.length;
}

/** Flags must name exactly one type: `unknown<03>` rather than the name of one of two. */
function typeName(flags: number): string {
  if (flags === FLAG_META || flags === FLAG_FREELIST) return pageTypeName(flags);
  return `unknown<${flags.toString(16).padStart(2, "0")}>`;
}

/** Says why the bytes behind an inline bucket's header are no leaf page, or undefined when they are one. */
export function inlinePageFault(bytes: Uint8Array): string | undefined {
  if (bytes.length < PAGE_HEADER_SIZE) return `${bytes.length} bytes, less than a page header`;
  const flags = readU16(bytes, PAGE_FLAGS);
  return flags === FLAG_LEAF ? undefined : `its page is no leaf but ${pageTypeName(flags)}`;
}

/**
 * Walks a tree in which nothing may be wrong, without reading large values unless the visitor asks for them.
 * @param skipped pages that are passed by with all below them
 * @returns the pages reached: the meta pages, branch and leaf pages, their overflow pages
 * @throws BoltError CORRUPT at the first problem
 */
export function walkStrictly(pages: RawPages, root: Pgid, visitor: Omit<WalkVisitor, "problem">, skipped?: PgidSet): PgidSet {
  const reached = new PgidSet();
  const problem = ({ pgid, fault }: Problem): never => { throw corrupt(pgid, fault); };
  const page = (visit: PageVisit): void => {
    // Check reports it in its own words. Whoever takes what was not reached for free would lose all that lay below.
    if (!visit.isLeaf && visit.count === 0) throw corrupt(visit.pgid, "branch page without elements");
    visitor.page?.(visit);
  };
  const walk = new PageWalk(pages, root, { needsKeysOnly: true, ...visitor, page, problem }, reached, skipped);
  while (walk.step());
  return reached;
}

/**
 * Gives every page that the bucket at `root` uses, overflow pages and nested buckets included, and the two meta pages: all
 * other pages below the high-water mark but the freelist's own are free.
 * @param known what another state reaches: a page of both is the same, and so is all below it, so the walk passes it by and leaves it out
 * @throws BoltError CORRUPT for a broken tree: pages that only seem unreachable must not be taken for free
 */
export function collectReachable(pages: RawPages, root: Pgid, known?: PgidSet): PgidSet {
  return walkStrictly(pages, root, {}, known);
}
