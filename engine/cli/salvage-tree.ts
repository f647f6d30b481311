/**
 * Walks the trees of a damaged file and takes what they hold.
 *
 * A page costs its own entries when it cannot be read, and no others. What can be read and cannot be right where it stands, an entry out of order or a page that
 * belongs elsewhere, goes into the bucket lost+found under the number of its page. What such a page leads to is taken there too, once everything
 * that has a place of its own has been taken.
 *
 * Order: a tree depth first, in key order, then the buckets that it names, each with all that is below it.
 */
import { readU16 } from "../base/bytes.js";
import { BUCKET_FLAG, BUCKET_HEADER_SIZE, FLAG_LEAF, PAGE_FLAGS, PAGE_HEADER_SIZE, type Pgid } from "../format/constants.js";
import { PgidSet } from "../format/pgid-set.js";
import { inlinePageFault } from "../format/walk.js";
import { pathOf, type Place } from "./bucket-path.js";
import { leafElement, type LeafElement } from "./page-elements.js";
import { childOf, elementData, elementKey, judge, readElements, typesOf, UNBOUNDED, type Judgement, type KeyBounds, type Reading } from "./salvage-page.js";
import type { FoundPage, SalvagePages } from "./salvage-pages.js";
import { LOST_AND_FOUND, type SalvageWriter } from "./salvage-writer.js";

/** A bucket on the walk. */
interface PlacedBucket {
  readonly root: Pgid;
  readonly place: Place;
}

/** A page to be looked at, and what its keys must be. */
interface Reference {
  readonly pgid: Pgid;
  readonly bounds: KeyBounds;
  readonly level: number;
  /** The pages beside it in its tree; undefined for the first and the last. */
  readonly before: Pgid | undefined;
  readonly after: Pgid | undefined;
}

/** A page, and what of it can be believed at its place. */
interface JudgedPage extends FoundPage {
  readonly judgement: Judgement;
}

/** One state of the file, or a lost tree, on the way. */
interface Walk {
  readonly visited: PgidSet;
  readonly claimed: PgidSet;
  /** Pages that were not what belongs where they were met first. */
  readonly refused: PgidSet;
  /** Pages that are left out, with all below them: what is lost is taken where it has no other place. */
  readonly skipped: PgidSet | undefined;
  /** Where the root of a lost tree is: it is taken though it may be at the wrong place. */
  readonly lostRoot: Pgid | undefined;
  readonly waiting: PlacedBucket[];
}

/** Where the entries of a page go. */
interface Destination {
  readonly place: Place;
  /** The names down to the place. */
  readonly path: readonly Buffer[];
  /** Where to put the roots of nested buckets. */
  readonly nested: PlacedBucket[];
  /** Keys there are not to be relied on: several entries may have one. */
  readonly isLost: boolean;
}

/** Where what page `pgid` holds goes that has no place of its own. */
function lostPlace(pgid: Pgid): Place {
  return { name: Buffer.from(`page ${pgid}`), around: { name: LOST_AND_FOUND, around: undefined } };
}

/** The bucket in a page's place for an element whose key another one has. */
function elementName(index: number): Buffer {
  return Buffer.from(`element ${index}`);
}

/** The place in a lost page's for a bucket whose key another element has. */
function apartFrom(lost: Destination, index: number): Destination {
  const name = elementName(index);
  return { ...lost, place: { name, around: lost.place }, path: [...lost.path, name] };
}

/** The bounds of a page. Where its branch has its first key with more behind it, the size of the key there is wrong, unless that of the one here seems to be. */
function boundsOf({ bytes, elements: [first, second], isLeaf }: Reading, bounds: KeyBounds): KeyBounds {
  const { below, from } = bounds;
  if (from === undefined || first === undefined) return bounds;
  const key = elementKey(bytes, isLeaf, first);
  if (key.length >= from.length || Buffer.compare(key, from.subarray(0, key.length)) !== 0) return bounds;
  const isExact = second === undefined || elementData(bytes, isLeaf, first).end === elementData(bytes, isLeaf, second).start;
  return isExact ? { below, from: key } : bounds;
}

/** Takes trees. */
export class SalvageTrees {
  readonly problems: Set<string> = new Set();
  /** Branch and leaf pages that were taken from. */
  readonly reached: PgidSet = new PgidSet();
  /** Values of the root bucket, where no program's calls put one. */
  outsideCount = 0;
  readonly #pages: SalvagePages;
  readonly #writer: SalvageWriter;
  readonly #progress: (pageCount: number) => void;
  /** Roots of what has lost its place. */
  #lost: PlacedBucket[] = [];
  #pageCount = 0;
  /** The last key that was taken of the present tree. */
  #lastKey: Uint8Array | undefined;
  /** Faults met, those that were met before too. */
  #faultCount = 0;
  /** What is wrong with the present page is a problem of the file. */
  #isTold = true;

  /** @param progress told how many pages were read so far */
  constructor(pages: SalvagePages, writer: SalvageWriter, progress: (pageCount: number) => void) {
    this.#pages = pages;
    this.#writer = writer;
    this.#progress = progress;
  }

  /** Takes what the root bucket of a state leads to. @returns all pages that something in it leads to, overflow pages too, and whether nothing is wrong with it */
  state(root: Pgid): { readonly used: PgidSet; readonly isSound: boolean } {
    const before = this.#faultCount;
    const used = this.#walk({ root, place: undefined }, undefined, undefined);
    return { used, isSound: this.#faultCount === before };
  }

  /** Takes what has lost its place, once all states were taken. */
  lost(): void {
    // The list grows while it is gone through.
    for (let i = 0; i < this.#lost.length; i++) this.#lostTree(this.#lost[i]!);
    this.#lost = [];
  }

  /** Takes what the page `pgid` leads to, which nothing leads to. @param isTold what is wrong with it is a problem of the file, too */
  lostPage(pgid: Pgid, isTold: boolean): void {
    this.#isTold = isTold;
    this.#lostTree({ root: pgid, place: lostPlace(pgid) });
    this.lost();
    this.#isTold = true;
  }

  #lostTree(bucket: PlacedBucket): void {
    this.#walk(bucket, this.reached, bucket.root);
  }

  #problem = (pgid: Pgid, fault: string): void => {
    this.#faultCount++;
    this.#tell(pgid, fault);
  };

  #tell(pgid: Pgid, fault: string): void {
    if (this.#isTold) this.problems.add(`page ${pgid}: ${fault}`);
  }

  /** Takes a bucket and all below it. @returns all pages that something in it leads to, overflow pages too */
  #walk(first: PlacedBucket, skipped: PgidSet | undefined, lostRoot: Pgid | undefined): PgidSet {
    const walk: Walk = { visited: new PgidSet(), claimed: new PgidSet(), refused: new PgidSet(), skipped, lostRoot, waiting: [first] };
    for (let bucket = walk.waiting.pop(); bucket !== undefined; bucket = walk.waiting.pop()) this.#bucketTree(bucket, walk);
    return walk.claimed;
  }

  #bucketTree(bucket: PlacedBucket, walk: Walk): void {
    const references: Reference[] = [{ pgid: bucket.root, bounds: UNBOUNDED, level: 1, before: undefined, after: undefined }];
    this.#lastKey = undefined;
    const nested: PlacedBucket[] = [];
    let leafLevel: number | undefined;
    for (let at = references.pop(); at !== undefined; at = references.pop()) {
      const page = this.#find(at, bucket.place === undefined && at.level === 1, walk);
      if (page === undefined) continue;
      if (!page.isLeaf) {
        this.#pushChildren(references, page, at);
        continue;
      }
      leafLevel ??= at.level;
      if (at.level !== leafLevel) this.#problem(at.pgid, `leaf at level ${at.level}, the first leaf of its tree is at level ${leafLevel}`);
      if (page.elements.length === 0 && at.level > 1) this.#problem(at.pgid, "empty page that is no bucket's root");
      this.#takeLeaf(page, at, bucket, walk, nested);
    }
    for (let next = nested.pop(); next !== undefined; next = nested.pop()) walk.waiting.push(next);
  }

  /** Reads a page that is to be taken at its place. */
  #find(at: Reference, isRootBucket: boolean, walk: Walk): JudgedPage | undefined {
    const { claimed, lostRoot, refused, skipped, visited } = walk;
    const { pgid } = at;
    if (skipped?.has(pgid) === true) return undefined;
    // No set takes up a number that is no page of the file: there is no end to those.
    const outside = pgid < 2 ? "meta page in a tree" : pgid >= this.#pages.pageCount ? "lies beyond the end of the file" : undefined;
    if (outside !== undefined || visited.has(pgid)) {
      this.#problem(pgid, outside ?? "multiple references");
      return undefined;
    }
    if (claimed.has(pgid)) this.#problem(pgid, "multiple references");
    const found = this.#pages.find(pgid, claimed, this.#problem);
    const page = found === undefined ? undefined : { ...found, judgement: this.#judgeAt(found, at) };
    const fault = page === undefined || pgid === lostRoot ? undefined : this.#misplaced(page, at, isRootBucket);
    if (page !== undefined && fault !== undefined && refused.add(pgid)) {
      this.#problem(pgid, fault);
      // Something else may lead to it, and be right.
      if (skipped === undefined) this.#lost.push({ root: pgid, place: lostPlace(pgid) });
      return undefined;
    }
    visited.add(pgid);
    claimed.add(pgid);
    if (page === undefined || fault !== undefined) return undefined;
    // Not a fault of the state: only the id is damaged.
    if (page.id !== pgid) this.#tell(pgid, `self identifies as page ${page.id}`);
    this.#progress(++this.#pageCount);
    return page;
  }

  /**
   * Says why a page is not what belongs at its place. An id alone does not say so: it may be what is damaged.
   * @returns undefined when it may belong there
   */
  #misplaced(page: JudgedPage, at: Reference, isRootBucket: boolean): string | undefined {
    const { doubtful, sound } = page.judgement;
    if (page.id === at.pgid) return sound.length === 0 && doubtful.length > 0 ? "all of its keys lie outside the range of its place" : undefined;
    const isOther = page.id >= 2 && page.id < this.#pages.pageCount;
    if (!isOther) return undefined;
    const isMisplaced = this.#pages.isCopyOrSwapped(at.pgid, page.id) || (isRootBucket ? !this.#pages.holdsBuckets(page) : doubtful.length > sound.length);
    return isMisplaced ? `self identifies as page ${page.id}` : undefined;
  }

  /** Has the children of a branch looked at next, in key order. Where its keys contradict each other those are bounds with which their pages begin, and what has no such key may be anywhere below. */
  #pushChildren(references: Reference[], page: JudgedPage, at: Reference): void {
    const { bytes, count } = page;
    if (count < 2) this.#problem(at.pgid, `branch page with ${count} children, fewer than two`);
    const { doubtful, sound } = page.judgement;
    this.#tellJudgement(page, at);
    this.reached.add(at.pgid);
    const isReadable = new Set([...sound, ...doubtful]);
    const keys = Array.from({ length: count }, (_, index) => {
      const key = isReadable.has(index) ? elementKey(bytes, false, index) : undefined;
      return key === undefined || doubtful.length === 0 || this.#pages.firstKey(childOf(bytes, index))?.equals(key) === true ? key : undefined;
    });
    let { from } = at.bounds;
    const froms = keys.map((key) => (from = key ?? from));
    let { below } = at.bounds;
    for (let index = count - 1; index >= 0; index--) {
      const before = index > 0 ? childOf(bytes, index - 1) : at.before;
      const after = index + 1 < count ? childOf(bytes, index + 1) : at.after;
      references.push({ pgid: childOf(bytes, index), bounds: keys[index] === undefined ? at.bounds : { from: froms[index], below }, level: at.level + 1, before, after });
      below = keys[index] ?? below;
    }
  }

  #tellJudgement({ bytes, isLeaf, judgement }: JudgedPage, { bounds, pgid }: Reference): void {
    for (const fault of judgement.problems) this.#problem(pgid, fault);
    const [first] = judgement.sound;
    if (bounds.from !== undefined && first !== undefined && Buffer.compare(bounds.from, elementKey(bytes, isLeaf, first)) !== 0) this.#problem(pgid, "its first key is not the key of its branch element");
  }

  #judgeAt(page: Reading, at: Reference): Judgement {
    const asBounded = judge(page, boundsOf(page, at.bounds));
    return asBounded.doubtful.length < 2 ? asBounded : this.#judgeByNeighbours(page, at, asBounded);
  }

  /**
   * Judges a page that does not keep to its bounds. One key outside of them is wrong; several that fit between the pages beside this one say that the bounds are,
   * that is a key of the branch. (Of the first page of a tree it is enough that not all of its keys are outside.)
   */
  #judgeByNeighbours(page: Reading, { after, before, bounds }: Reference, asBounded: Judgement): Judgement {
    let { below, from } = bounds;
    const next = after === undefined ? undefined : this.#pages.firstKey(after);
    if (below !== undefined && next !== undefined && Buffer.compare(below, next) < 0) below = next;
    if (before === undefined) from = asBounded.sound.length > 0 ? undefined : from;
    else if (from !== undefined && this.#lastKey !== undefined && this.reached.has(before) && Buffer.compare(this.#lastKey, from) < 0) from = this.#lastKey;
    const asFitting = judge(page, { from, below });
    return asFitting.sound.length > asBounded.sound.length + 1 ? asFitting : asBounded;
  }

  #takeLeaf(page: JudgedPage, at: Reference, { place }: PlacedBucket, walk: Walk, nested: PlacedBucket[]): void {
    const { doubtful, ends, sound } = page.judgement;
    this.#tellJudgement(page, at);
    this.reached.add(at.pgid);
    const last = sound.at(-1);
    if (last !== undefined) this.#lastKey = elementKey(page.bytes, true, last);
    const found: Destination = { place, path: pathOf(place), nested, isLost: false };
    for (const index of sound) this.#take(at.pgid, leafElement(page.bytes, index, ends.get(index)), found, walk);
    if (doubtful.length === 0) return;
    const lostAt = lostPlace(at.pgid);
    const lost: Destination = { place: lostAt, path: pathOf(lostAt), nested: this.#lost, isLost: true };
    const names = new Set<string>();
    for (const index of doubtful) {
      const element = leafElement(page.bytes, index, ends.get(index));
      const name = Buffer.from(element.key).toString("latin1");
      const isApart = element.bucket !== undefined && names.has(name);
      this.#take(at.pgid, element, isApart ? apartFrom(lost, index) : lost, walk);
      names.add(name);
    }
  }

  #take(pgid: Pgid, { bucket, flags, index, key, value }: LeafElement, { isLost, nested, path, place }: Destination, walk: Walk): void {
    const name = Buffer.from(key);
    if (bucket === undefined) {
      // A bucket whose header is cut off has nothing in it that could be told to be anything.
      if ((flags & BUCKET_FLAG) !== 0) return;
      if (path.length === 0) this.outsideCount++;
      this.#writer.put(path, name, value, isLost ? elementName(index) : undefined);
      return;
    }
    const { root, sequence } = bucket;
    // What is lost names it too, and it is where it belongs.
    if (root !== 0 && walk.skipped?.has(root) === true) return;
    const own = [...path, name];
    this.#writer.bucket(own, sequence);
    // A page behind its header has only a bucket that is inline, whatever its root says.
    const isInline = root === 0 || inlinePageFault(value.subarray(BUCKET_HEADER_SIZE)) === undefined;
    if (isInline && root !== 0) this.#problem(pgid, `inline bucket (hex)${name.toString("hex")}: says that it has the root page ${root}`);
    if (isInline) this.#takeInline(pgid, name, value.subarray(BUCKET_HEADER_SIZE), own);
    else nested.push({ root, place: { name, around: place } });
  }

  #takeInline(pgid: Pgid, name: Buffer, page: Uint8Array, path: readonly Buffer[]): void {
    const problem = (fault: string): void => this.#problem(pgid, `inline bucket (hex)${name.toString("hex")}: ${fault}`);
    const fault = inlinePageFault(page);
    if (fault !== undefined) problem(fault);
    if (page.length < PAGE_HEADER_SIZE || !typesOf(readU16(page, PAGE_FLAGS)).includes(FLAG_LEAF)) return;
    const reading = readElements(page, true);
    // Of flags that are wrong, what the elements say must be right.
    if (fault !== undefined && reading.problems.length > 0) return;
    const { doubtful, ends, problems, sound } = judge(reading, UNBOUNDED);
    for (const line of [...reading.problems, ...problems]) problem(line);
    for (const [elements, to, isLost] of [[sound, path, false], [doubtful, [...pathOf(lostPlace(pgid)), name], true]] as const) {
      for (const index of elements) {
        const { bucket, flags, key, value } = leafElement(page, index, ends.get(index));
        if (bucket !== undefined) problem("a bucket inside an inline bucket");
        if (bucket !== undefined) this.#writer.bucket([...to, Buffer.from(key)], bucket.sequence);
        else if ((flags & BUCKET_FLAG) === 0) this.#writer.put(to, Buffer.from(key), value, isLost ? elementName(index) : undefined);
      }
    }
  }
}
