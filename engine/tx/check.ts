/**
 * Finds what is wrong with a database at rest: one line a problem, in the words of bbolt's check where bbolt tests the same,
 * in words of our own for what bbolt does not test and a Go writer relies on all the same.
 *
 * It covers rules 1 to 7 of docs/format.md:
 *
 * 1. a branch element's key equals the first key of its child;  2. no page but a bucket's root is empty;
 * 3. a branch page has two children or more, the leaves of a tree are at one level;  4. a page's header id is its place, overflow pages are below the high-water mark;
 * 5. the file reaches to the high-water mark;  6. a page is reachable or free, never both, never neither, never twice;
 * 7. no bucket inside an inline bucket.
 *
 * Rule 8 (what either meta reaches is not overwritten before the next meta is durable) is about time: no state of a file shows it.
 *
 * It never throws on a broken tree (only what `read` throws passes through) and needs two bits a page and one page a level.
 * @see bbolt tx_check.go
 */
import { readU16, readU32, readU64 } from "../base/bytes.js";
import { FLAG_FREELIST, FLAG_LEAF, FLAG_META, PAGE_COUNT, PAGE_FLAGS, PAGE_ID, PAGE_OVERFLOW, type Pgid } from "../format/constants.js";
import { decodeMeta, type Meta } from "../format/meta.js";
import { examineLeaf } from "../format/element-faults.js";
import { pageTypeName } from "../format/page.js";
import { PgidSet } from "../format/pgid-set.js";
import { branchKey, PageWalk, type RawPages } from "../format/walk.js";
import type { ChildReference, InlineVisit, KeyRange, PageVisit, Problem, WalkedBucket, WalkVisitor } from "../format/walk-visitor.js";
import { compareKeys, hexKey, keyBytes, keyOrderLines, leafIsInOrder, leafKey, type KeyPlace, type KeyText } from "./key-order.js";

/** What there is to check. */
export interface CheckInput {
  readonly pages: RawPages;
  readonly meta: Meta;
  /** Bytes of the file. */
  readonly fileSize: number;
  /** Free and pending ids in stored order, duplicates and all; undefined when the file does not store them: then nothing is said about free pages. */
  readonly freeIds: Iterable<number> | undefined;
  /** Why the stored freelist could not be read; a line of its own. */
  readonly freelistProblem?: string | undefined;
  /** How lines show a key; hexadecimal when left out. */
  readonly keyText?: KeyText;
}

/**
 * Checks a database.
 * @returns the problems, one line each, none for a sound database; found while the caller iterates
 * @throws what `pages.read` and the iteration of `freeIds` throw, nothing else
 */
export function* check(input: CheckInput): IterableIterator<string> {
  for (const line of checkStepwise(input)) if (line !== undefined) yield line;
}

/** `check`, with undefined after each page, so that the caller can do other things between them. */
export function* checkStepwise(input: CheckInput): IterableIterator<string | undefined> {
  const { fileSize, meta, pages } = input;
  if (fileSize < meta.highWaterMark * pages.pageSize) {
    yield `file of ${fileSize} bytes ends before its high water mark, page ${idText(meta.highWaterMark)}`;
  }
  for (const pgid of [0, 1]) {
    const bytes = pages.read(pgid, 1);
    // One that does not count may be anything.
    const fault = bytes === undefined || typeof decodeMeta(bytes, 0) === "string" ? undefined : headerFault(bytes, pgid, FLAG_META);
    if (fault !== undefined) yield `page ${pgid}: ${fault}`;
  }
  if (input.freelistProblem !== undefined) yield input.freelistProblem;
  // No loop and no bitmap may run up to a mark that the file does not reach.
  const pageCount = Math.min(meta.highWaterMark, Math.floor(fileSize / pages.pageSize));
  const freed = new PgidSet();
  if (input.freeIds !== undefined) yield* collectFreed(input.freeIds, freed, meta.highWaterMark, pageCount);

  const reachable = new PgidSet();
  const lines: string[] = [];
  claimFreelist(input, reachable, lines);
  const walk = new PageWalk(pages, meta.root, new TreeCheck(pages, input.keyText ?? hexKey, lines), reachable);
  do {
    yield* drain(lines);
    yield undefined;
  } while (walk.step());
  yield* drain(lines);

  if (input.freeIds === undefined) return;
  // Overflow pages, metas and the freelist's own pages too, which bbolt leaves out: a write would put data into any of them.
  for (const pgid of freed) if (reachable.has(pgid)) yield `page ${pgid}: reachable freed`;
  for (let pgid = 0; pgid < pageCount; pgid++) {
    if (!reachable.has(pgid) && !freed.has(pgid)) yield `page ${pgid}: unreachable unfreed`;
  }
}

function* drain(lines: string[]): IterableIterator<string> {
  if (lines.length === 0) return;
  yield* lines;
  lines.length = 0;
}

function* collectFreed(freeIds: Iterable<number>, freed: PgidSet, highWaterMark: Pgid, pageCount: number): IterableIterator<string> {
  for (const pgid of freeIds) {
    if (pgid >= highWaterMark) yield `page ${idText(pgid)}: freed out of bounds: ${highWaterMark}`;
    else if (pgid < pageCount && !freed.add(pgid)) yield `page ${pgid}: already freed`;
  }
}

/** Marks the freelist's own pages as reachable, as far as they are a freelist. */
function claimFreelist(input: CheckInput, reachable: PgidSet, lines: string[]): void {
  const pgid = input.meta.freelist;
  if (pgid === undefined) return;
  const problem = (fault: string): void => {
    // The caller's own line says it already.
    if (input.freelistProblem === undefined) lines.push(`page ${idText(pgid)}: ${fault}`);
  };
  const { highWaterMark } = input.meta;
  const bytes = input.pages.read(pgid, 1);
  if (pgid >= highWaterMark) problem(`freelist page out of bounds: ${highWaterMark}`);
  else if (bytes === undefined) problem("freelist page lies beyond the end of the file");
  if (bytes === undefined) return;
  const fault = headerFault(bytes, pgid, FLAG_FREELIST);
  if (fault !== undefined) problem(fault);
  if (readU16(bytes, PAGE_FLAGS) !== FLAG_FREELIST) return;
  const overflow = readU32(bytes, PAGE_OVERFLOW);
  reachable.add(pgid);
  if (overflow > 0 && input.pages.read(pgid + overflow, 1) === undefined) problem(`${overflow} overflow pages do not fit into the file`);
  else for (let i = 1; i <= overflow; i++) reachable.add(pgid + i);
  if (overflow > 0 && pgid < highWaterMark && pgid + overflow >= highWaterMark) problem(`${overflow} overflow pages reach out of bounds: ${highWaterMark}`);
}

/** What is wrong with the header of a page that no tree leads to. */
function headerFault(bytes: Uint8Array, pgid: Pgid, flag: number): string | undefined {
  const flags = readU16(bytes, PAGE_FLAGS);
  if (flags !== flag) return `invalid ${pageTypeName(flag)} page, page type is ${pageTypeName(flags)}`;
  const id = readU64(bytes, PAGE_ID);
  return id === pgid ? undefined : `self identifies as page ${idText(id)}`;
}

/** All digits of a page id, also of one that no file reaches. */
function idText(pgid: Pgid): string {
  return pgid <= Number.MAX_SAFE_INTEGER ? String(pgid) : BigInt(pgid).toString();
}

function stackText(stack: readonly Pgid[]): string {
  return `[${stack.map(idText).join(" ")}]`;
}

/** Turns what the walk tells into lines, and compares keys on the way. */
class TreeCheck implements WalkVisitor {
  readonly needsKeysOnly: boolean = true;
  readonly #pages: RawPages;
  readonly #text: KeyText;
  readonly #lines: string[];
  #bucket: WalkedBucket | undefined;
  /** Where the first leaf of the present tree is, from 1 for the root; 0: none seen. */
  #leafLevel = 0;
  /** The last key seen in the present tree, which the next branch element must exceed; undefined: none seen. */
  #lastKey: KeyRange | undefined;
  #lastBytes: Uint8Array = new Uint8Array(256);

  constructor(pages: RawPages, text: KeyText, lines: string[]) {
    this.#pages = pages;
    this.#text = text;
    this.#lines = lines;
  }

  problem({ again, fault, minKey, pgid, stack }: Problem): void {
    this.#lines.push(`page ${idText(pgid)}: ${fault} (stack: ${stackText(stack)})`);
    if (again && minKey !== undefined) this.#compareFirstKeyAgain(pgid, minKey, stack);
  }

  page(visit: PageVisit): void {
    const { bucket, count, isLeaf, pgid, stack } = visit;
    if (bucket !== this.#bucket) {
      this.#bucket = bucket;
      this.#lastKey = undefined;
      this.#leafLevel = 0;
    }
    if (count < 2 && !isLeaf) this.#lines.push(`page ${pgid}: branch page with ${count} children, fewer than two (stack: ${stackText(stack)})`);
    if (count === 0 && isLeaf && stack.length > 1 && readU16(visit.bytes, PAGE_COUNT) === 0) {
      this.#lines.push(`page ${pgid}: empty page that is no bucket's root (stack: ${stackText(stack)})`);
    }
    if (isLeaf) this.#checkLevel(pgid, stack);
    if (count === 0) return;
    this.#checkFirstKey(visit);
    if (isLeaf) this.#checkLeaf(visit);
  }

  /** A writer merges neighbours, and takes a branch for a leaf where they are at different levels. */
  #checkLevel(pgid: Pgid, stack: readonly Pgid[]): void {
    if (this.#leafLevel === 0) this.#leafLevel = stack.length;
    if (stack.length === this.#leafLevel) return;
    this.#lines.push(`page ${pgid}: leaf at level ${stack.length}, the first leaf of its tree is at level ${this.#leafLevel} (stack: ${stackText(stack)})`);
  }

  /** Rule 1; a first key *below* the branch's key has bbolt's own line. */
  #checkFirstKey({ bytes, isLeaf, minKey, pgid, stack, unreadable }: PageVisit): void {
    if (minKey === undefined || unreadable?.has(0) === true) return;
    const first = isLeaf ? leafKey(bytes, 0) : branchKey(bytes, 0);
    if (compareKeys(minKey, first) >= 0) return;
    const keys = `first key (hex)${this.#text(keyBytes(first))} is not the key (hex)${this.#text(keyBytes(minKey))} of its branch element`;
    this.#lines.push(`page ${pgid}: ${keys} (stack: ${stackText(stack)})`);
  }

  #checkLeaf({ bytes, count, maxKey, minKey, pgid, stack, unreadable }: PageVisit): void {
    if (unreadable !== undefined || !leafIsInOrder(bytes, count, minKey, maxKey)) {
      this.#pushKeyLines({ pgid, pageType: "leaf", stack }, bytes, count, unreadable, minKey, maxKey);
    }
    for (let i = count - 1; i >= 0; i--) {
      if (unreadable?.has(i) === true) continue;
      this.#keepLastKey(leafKey(bytes, i));
      return;
    }
  }

  #pushKeyLines(
    place: KeyPlace, bytes: Uint8Array, count: number, unreadable: ReadonlySet<number> | undefined, min?: KeyRange, max?: KeyRange,
  ): void {
    let previous = min;
    for (let i = 0; i < count; i++) {
      if (unreadable?.has(i) === true) continue;
      const key = leafKey(bytes, i);
      this.#lines.push(...keyOrderLines(place, i, key, previous, max, this.#text));
      previous = key;
    }
  }

  #keepLastKey(key: KeyRange): void {
    if (key.size > this.#lastBytes.length) this.#lastBytes = new Uint8Array(key.size * 2);
    this.#lastBytes.set(keyBytes(key));
    this.#lastKey = { bytes: this.#lastBytes, start: 0, size: key.size };
  }

  child({ child, index, key, maxKey, minKey, stack }: ChildReference): void {
    if (key === undefined) return;
    const previous = index === 0 ? minKey : this.#lastKey;
    // As bbolt, which names the child's page in the lines about the branch element that leads to it.
    this.#lines.push(...keyOrderLines({ pgid: child, pageType: "branch", stack }, index, key, previous, maxKey, this.#text));
  }

  inline({ bucket, bytes, count, pgid, stack, unreadable }: InlineVisit): void {
    if (unreadable === undefined && leafIsInOrder(bytes, count, undefined, undefined)) return;
    const place: KeyPlace = { pgid, pageType: `inline bucket (hex)${hexKey(bucket.name)} leaf`, stack };
    this.#pushKeyLines(place, bytes, count, unreadable);
  }

  /** A leaf that a second branch element leads to: bbolt looks at all of it again, here the first key says enough. */
  #compareFirstKeyAgain(pgid: Pgid, minKey: KeyRange, stack: readonly Pgid[]): void {
    const bytes = this.#pages.read(pgid, 1);
    if (bytes === undefined || readU16(bytes, PAGE_FLAGS) !== FLAG_LEAF) return;
    const count = readU16(bytes, PAGE_COUNT);
    const report = examineLeaf(bytes, bytes.length, Math.min(count, 1));
    if (count === 0 || report.faults?.some((fault) => fault.outside) === true) return;
    this.#lines.push(...keyOrderLines({ pgid, pageType: "leaf", stack }, 0, leafKey(bytes, 0), minKey, undefined, this.#text));
  }
}
