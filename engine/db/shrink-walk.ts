/**
 * One transaction's walk over the leaves, in key order, that marks for writing what lies at or above the goal.
 *
 * It looks at the committed pages, which the transaction leaves as they are until its commit. What it marks is noted, so that pages above
 * several leaves count once. It marks no more than there are free pages for below the goal: a commit that ran out of them would let the file grow.
 */
import { readU32 } from "../base/bytes.js";
import { copyOut } from "../base/memory.js";
import { corrupt } from "../base/errors.js";
import { readBucketHeader } from "../format/bucket-header.js";
import { BRANCH_KEY_SIZE, BRANCH_POS, BUCKET_FLAG, LEAF_FLAGS, LEAF_KEY_SIZE, LEAF_POS, MAX_DEPTH, type Pgid } from "../format/constants.js";
import { tooDeep } from "../format/page.js";
import { freelistByteSize } from "../format/freelist-page.js";
import { elementAt } from "../format/page-index.js";
import type { Freelist } from "../pager/freelist.js";
import type { Run } from "../pager/page-set.js";
import type { Pages } from "../tree/pages.js";
import { branchChild, pageElementCount, pageIsBranch, pageOverflow, searchBranch } from "../tree/search.js";
import type { Tree } from "../tree/tree.js";
import type { BucketState } from "../tx/bucket-state.js";
import type { TxState } from "../tx/tx-state.js";

/** Where a walk has stopped: of each bucket from the root bucket down its name, a key of the leaf it is in, and the nested bucket of it that comes last. */
export type Position = readonly Stop[];

interface Stop {
  readonly name: Buffer;
  /** undefined: the first leaf. */
  readonly key: Buffer | undefined;
  /** Nested buckets up to this one are done; undefined: none is. */
  readonly after: Buffer | undefined;
}

/** A page of the tree with its overflow pages. */
interface Extent {
  readonly pgid: Pgid;
  readonly pageCount: number;
}

interface Leaf {
  /** From the root page down to the leaf. */
  readonly path: readonly Extent[];
  /** A key of the leaf behind it, undefined when it is the last. */
  readonly nextKey: Buffer | undefined;
  readonly firstKey: Buffer | undefined;
  /** The nested buckets in it that have pages, in order. */
  readonly buckets: readonly Buffer[];
}

interface Frame {
  readonly bucket: BucketState;
  readonly name: Buffer;
  key: Buffer | undefined;
  after: Buffer | undefined;
  /** The leaf that `key` belongs to, once it has been looked at. */
  leaf: Leaf | undefined;
  isConsidered: boolean;
}

/** Limits of one transaction, so that it stays small and short. With a freelist of more pages than these it moves as many, or writing the list would take most of the time. */
const MAX_MOVED_PAGES = 512;
const LEAVES_A_MOVED_PAGE = 8;
/** Leaves between two looks at the clock. */
const LEAVES_A_LOOK = 16;
/** Free pages below the goal that are left alone: estimates are such. */
const SPARE_PAGES = 2;

/** Any key does: it is put and removed again. */
const SOME_KEY: Uint8Array = Uint8Array.of(0);
const NO_VALUE: Uint8Array = new Uint8Array(0);

/** Walks once; made for one write transaction. */
export class ShrinkWalk {
  /** Pages at or above the goal that the commit will put elsewhere. */
  movedPageCount = 0;
  /** It has stopped because free pages below the goal were used up. */
  isStarved = false;
  readonly #state: TxState;
  readonly #goal: Pgid;
  readonly #deadline: number;
  readonly #skipsStarved: boolean;
  readonly #freelist: Freelist;
  /** Pages that the commit will write anew anyway. */
  readonly #marked = new Set<Pgid>();
  readonly #reserved: Run[] = [];
  readonly #maxMovedPages: number;
  #freeLeft: number;

  /** @param skipsStarved leaves out what there are too few free pages for, instead of stopping there: waiting has not helped */
  constructor(state: TxState, goal: Pgid, deadline: number, skipsStarved: boolean) {
    this.#state = state;
    this.#goal = goal;
    this.#deadline = deadline;
    this.#skipsStarved = skipsStarved;
    this.#freelist = state.pager.freelist;
    const { pageSize } = state.pager.meta;
    const freelistPageCount = Math.ceil(freelistByteSize(this.#freelist.storedCount) / pageSize);
    this.#maxMovedPages = Math.max(MAX_MOVED_PAGES, freelistPageCount);
    this.#freeLeft = this.#freelist.freeCountBelow(goal) - SPARE_PAGES;
    this.#reserve(freelistPageCount, goal);
  }

  /** Walks on from a position; gives where it has stopped, undefined at the end. */
  run(position: Position | undefined): Position | undefined {
    try {
      const frames = this.#restore(position);
      for (let leafCount = 0; frames.length > 0; ) {
        const frame = frames[frames.length - 1]!;
        if (!frame.isConsidered) {
          const isOver = leafCount % LEAVES_A_LOOK === 0 && performance.now() >= this.#deadline;
          if (isOver || leafCount === this.#maxMovedPages * LEAVES_A_MOVED_PAGE || this.movedPageCount >= this.#maxMovedPages) return stopsOf(frames);
          leafCount++;
          if (frame.bucket.tree.root !== 0 && !this.#consider(frames)) return stopsOf(frames);
          frame.isConsidered = true;
        }
        this.#advance(frames, frame);
      }
      return undefined;
    } finally {
      for (const { start, length } of this.#reserved) this.#freelist.giveBack(start, length);
    }
  }

  /** Opens the buckets of a position, as far as they are still there. */
  #restore(position: Position | undefined): Frame[] {
    const [top, ...below] = position ?? [];
    const frames = [frameOf(this.#state.root, Buffer.alloc(0), top)];
    for (const stop of below) {
      const bucket = frames[frames.length - 1]!.bucket.open(stop.name);
      if (bucket === undefined) break;
      frames.push(frameOf(bucket, stop.name, stop));
    }
    return frames;
  }

  /** Goes to the next nested bucket of the leaf, else to the next leaf, else back to the bucket around. */
  #advance(frames: Frame[], frame: Frame): void {
    const { after, key } = frame;
    const leaf = leafOf(frame);
    const name = leaf?.buckets.find((candidate) => after === undefined || candidate.compare(after) > 0);
    if (name !== undefined) {
      frame.after = name;
      const nested = frame.bucket.open(name);
      if (nested !== undefined) frames.push(frameOf(nested, name));
    } else if (leaf?.nextKey !== undefined) {
      // A damaged leaf can have carried such a key into a branch: the search would lead back, and the walk round and round.
      if (key !== undefined && key.compare(leaf.nextKey) >= 0) throw corrupt(frame.bucket.tree.root, "keys out of order");
      frame.key = leaf.nextKey;
      frame.after = undefined;
      frame.leaf = undefined;
      frame.isConsidered = false;
    } else {
      frames.pop();
    }
  }

  /** Marks the leaf of the innermost bucket where it, or a branch above it, lies too high; false when there is no room for it now. */
  #consider(frames: readonly Frame[]): boolean {
    const frame = frames[frames.length - 1]!;
    const leaf = leafOf(frame)!;
    const isUnmarked = ({ pgid }: Extent): boolean => !this.#marked.has(pgid);
    const freed = leaf.path.find((extent) => isUnmarked(extent) && this.#freelist.isFree(extent.pgid));
    if (freed !== undefined) throw corrupt(freed.pgid, "reachable freed");
    const high = leaf.path.filter((extent) => isUnmarked(extent) && extent.pgid + extent.pageCount > this.#goal);
    if (high.length === 0) return true;
    // The buckets around it are written too, for they say where it is.
    const written = frames.flatMap((each) => leafOf(each)?.path ?? []).filter(isUnmarked);
    const needed = written.filter(({ pageCount }) => pageCount === 1).length;
    if (needed > this.#freeLeft) {
      this.isStarved = !this.#skipsStarved || this.#marked.size > 0;
      return !this.isStarved;
    }
    const reservedBefore = this.#reserved.length;
    if (!written.filter(({ pageCount }) => pageCount > 1).every((extent) => this.#reserve(extent.pageCount, extent.pgid))) {
      for (const { start, length } of this.#reserved.splice(reservedBefore)) this.#freelist.giveBack(start, length);
      return true;
    }
    for (const { pgid } of written) this.#marked.add(pgid);
    this.#freeLeft -= needed;
    for (const { start, length } of this.#reserved.slice(reservedBefore)) if (start < this.#goal) this.#freeLeft -= length;
    this.movedPageCount += high.reduce((sum, { pageCount }) => sum + pageCount, 0);
    rewrite(frame.bucket.tree, leaf.firstKey);
    return true;
  }

  /** Keeps a run of free pages from being counted twice: one below the goal, or at least further down than what is to be moved there. */
  #reserve(length: number, from: Pgid): boolean {
    const start = this.#freelist.allocateRun(length);
    if (start === undefined) return false;
    if (start + length > Math.max(this.#goal, from)) {
      this.#freelist.giveBack(start, length);
      return false;
    }
    this.#reserved.push({ start, length });
    return true;
  }
}

function frameOf(bucket: BucketState, name: Buffer, stop?: Stop): Frame {
  return { bucket, name, key: stop?.key, after: stop?.after, leaf: undefined, isConsidered: false };
}

function stopsOf(frames: readonly Frame[]): Position {
  return frames.map(({ name, key, after }) => ({ name, key, after }));
}

/** The leaf that a frame is at; undefined for an inline bucket. */
function leafOf(frame: Frame): Leaf | undefined {
  if (frame.bucket.tree.root === 0) return undefined;
  return (frame.leaf ??= findLeaf(frame.bucket.tree, frame.key));
}

/** Has the commit write the leaf of a key anew, its content unchanged. */
function rewrite(tree: Tree, firstKey: Buffer | undefined): void {
  if (firstKey !== undefined && tree.lookup(firstKey)) {
    const { flags } = tree;
    tree.put(firstKey, tree.copyValue(), flags);
  } else {
    tree.put(SOME_KEY, NO_VALUE, 0);
    tree.remove(SOME_KEY, 0);
  }
}

/** Goes down to the committed leaf page that a key belongs to, the first when there is none. */
function findLeaf({ pages, root }: Tree, key: Buffer | undefined): Leaf {
  const path: Extent[] = [];
  let nextKey: Buffer | undefined;
  for (let pgid = root; path.length < MAX_DEPTH; ) {
    const frame = pages.locate(pgid);
    path.push({ pgid, pageCount: 1 + pageOverflow(pages, frame) });
    if (!pageIsBranch(pages, frame)) return { path, nextKey, ...elementsOf(pages, frame) };
    const i = key === undefined ? 0 : searchBranch(pages, frame, key);
    if (i + 1 < pageElementCount(pages, frame)) nextKey = keyOf(pages, frame, i + 1, BRANCH_POS, BRANCH_KEY_SIZE);
    pgid = branchChild(pages, frame, i);
  }
  throw tooDeep(root);
}

function elementsOf(pages: Pages, frame: number): Pick<Leaf, "firstKey" | "buckets"> {
  const count = pageElementCount(pages, frame);
  const bytes = pages.slabBytes[frame >>> pages.frameBits]!;
  const page = pages.pageStart(frame);
  const buckets: Buffer[] = [];
  for (let i = 0; i < count; i++) {
    const element = elementAt(page, i);
    if (readU32(bytes, element + LEAF_FLAGS) !== BUCKET_FLAG) continue;
    const value = element + readU32(bytes, element + LEAF_POS) + readU32(bytes, element + LEAF_KEY_SIZE);
    if (readBucketHeader(bytes, value).root !== 0) buckets.push(keyOf(pages, frame, i, LEAF_POS, LEAF_KEY_SIZE));
  }
  return { firstKey: count === 0 ? undefined : keyOf(pages, frame, 0, LEAF_POS, LEAF_KEY_SIZE), buckets };
}

function keyOf(pages: Pages, frame: number, i: number, posOffset: number, sizeOffset: number): Buffer {
  const bytes = pages.slabBytes[frame >>> pages.frameBits]!;
  const element = elementAt(pages.pageStart(frame), i);
  return copyOut(bytes, element + readU32(bytes, element + posOffset), readU32(bytes, element + sizeOffset));
}
