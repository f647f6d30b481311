/**
 * Numbers about a bucket and everything below it, by a walk over all its pages: bbolt's Bucket.Stats and Bucket.Inspect.
 * They tell about the tree as it is stored; what a transaction has changed and not yet spilled is not in it.
 *
 * A broken tree is an error here, never a number: every function throws CORRUPT.
 * @see bbolt bucket.go, Bucket.Stats and Bucket.Inspect
 */
import { assert } from "../base/assert.js";
import { readU16, readU32 } from "../base/bytes.js";
import { corrupt } from "../base/errors.js";
import { BUCKET_FLAG, LEAF_FLAGS, LEAF_KEY_SIZE, LEAF_POS, PAGE_COUNT, type Pgid } from "../format/constants.js";
import { examineLeaf } from "../format/element-faults.js";
import { branchDataEnd, elementAt, leafDataEnd } from "../format/page-index.js";
import { inlinePageFault, walkStrictly, type RawPages } from "../format/walk.js";
import type { WalkedBucket } from "../format/walk-visitor.js";

/** bbolt's BucketStats: sums over the bucket and all buckets below it. */
export interface BucketStats {
  /** Branch pages, overflow pages not counted. */
  readonly branchPageN: number;
  readonly branchOverflowN: number;
  /** Leaf pages, overflow pages not counted. */
  readonly leafPageN: number;
  readonly leafOverflowN: number;
  /** Elements of leaf pages: pairs and nested buckets. */
  readonly keyN: number;
  /** Levels of the tree, those of the deepest nested bucket added. */
  readonly depth: number;
  /** Bytes of the branch pages, and how many of them hold something. */
  readonly branchAlloc: number;
  readonly branchInuse: number;
  /** Bytes of the leaf pages, and how many of them hold something. */
  readonly leafAlloc: number;
  readonly leafInuse: number;
  /** Buckets, this one included, and how many of them are inline. */
  readonly bucketN: number;
  readonly inlineBucketN: number;
  /** Bytes that inline pages hold; they are part of `leafInuse` too. */
  readonly inlineBucketInuse: number;
}

/** The tree of buckets, as bbolt's `inspect` shows it. */
export interface BucketStructure {
  name: string;
  /** Pairs directly in the bucket. */
  keyN: number;
  /** The nested buckets, in the order of their names. */
  buckets: BucketStructure[];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function noStats(): Mutable<BucketStats> {
  return {
    branchPageN: 0, branchOverflowN: 0, leafPageN: 0, leafOverflowN: 0, keyN: 0, depth: 0, branchAlloc: 0, branchInuse: 0,
    leafAlloc: 0, leafInuse: 0, bucketN: 0, inlineBucketN: 0, inlineBucketInuse: 0,
  };
}

/**
 * Counts the pages, keys and bytes of the bucket whose root page is `root`, and of all buckets below it.
 * @throws BoltError CORRUPT for a broken tree
 * @internal
 */
export function bucketStats(pages: RawPages, root: Pgid): BucketStats {
  const stats = noStats();
  stats.bucketN = 1;
  walkStrictly(pages, root, {
    page: ({ bucket, bytes, count, isLeaf, overflow, stack }) => {
      // A bucket's root comes first: the moment to count a nested bucket, once.
      if (stack.length === 1 && bucket.parent !== undefined) stats.bucketN++;
      stats.depth = Math.max(stats.depth, bucket.levelsAbove + stack.length);
      if (isLeaf) {
        stats.keyN += count;
        stats.leafPageN++;
        stats.leafOverflowN += overflow;
        stats.leafInuse += leafDataEnd(bytes, 0, count);
      } else {
        stats.branchPageN++;
        stats.branchOverflowN += overflow;
        stats.branchInuse += branchDataEnd(bytes, 0, count);
      }
    },
    inline: ({ bucket, bytes, count, stack }) => {
      stats.bucketN++;
      stats.depth = Math.max(stats.depth, (bucket.parent?.levelsAbove ?? 0) + stack.length + 1);
      addInline(stats, bytes, count);
    },
  });
  stats.branchAlloc = (stats.branchPageN + stats.branchOverflowN) * pages.pageSize;
  stats.leafAlloc = (stats.leafPageN + stats.leafOverflowN) * pages.pageSize;
  return stats;
}

function addInline(stats: Mutable<BucketStats>, bytes: Uint8Array, count: number): void {
  stats.inlineBucketN++;
  stats.keyN += count;
  stats.inlineBucketInuse += leafDataEnd(bytes, 0, count);
}

/**
 * Counts the keys and bytes of an inline bucket.
 * @param page the inline page, header first
 * @param pgid the leaf that holds it, for errors
 * @throws BoltError CORRUPT for a broken page
 * @internal
 */
export function inlineBucketStats(page: Uint8Array, pgid: Pgid): BucketStats {
  const stats = noStats();
  stats.bucketN = 1;
  stats.depth = 1;
  addInline(stats, page, inlineCount(page, pgid));
  return stats;
}

function inlineCount(page: Uint8Array, pgid: Pgid): number {
  const pageFault = inlinePageFault(page);
  if (pageFault !== undefined) throw corrupt(pgid, `inline bucket: ${pageFault}`);
  const count = readU16(page, PAGE_COUNT);
  const { bucketCount, faults } = examineLeaf(page, page.length, count);
  if (faults?.[0] !== undefined) throw corrupt(pgid, `inline bucket: ${faults[0].fault}`);
  if (bucketCount > 0) throw corrupt(pgid, "inline bucket: a bucket inside an inline bucket");
  return count;
}

/**
 * Gives the tree of buckets below the bucket whose root page is `root`.
 * @param name what the top of the tree is called: bbolt says `root`
 * @throws BoltError CORRUPT for a broken tree
 * @internal
 */
export function inspectBucket(pages: RawPages, root: Pgid, name = "root"): BucketStructure {
  const top: BucketStructure = { name, keyN: 0, buckets: [] };
  const structures = new Map<WalkedBucket, BucketStructure>();
  /** The entry that the parent, which the walk visits first, has for the bucket. */
  const entryOf = ({ ordinal, parent }: WalkedBucket): BucketStructure => {
    const around = parent === undefined ? undefined : structures.get(parent);
    const entry = parent === undefined ? top : around?.buckets[ordinal];
    assert(entry !== undefined, "a bucket is visited behind the leaf that names it");
    return entry;
  };
  walkStrictly(pages, root, {
    page: ({ bucket, bytes, count, isLeaf, stack }) => {
      if (stack.length === 1) structures.set(bucket, entryOf(bucket));
      const structure = structures.get(bucket);
      if (isLeaf && structure !== undefined) addElements(structure, bytes, count);
    },
    inline: ({ bucket, count }) => { entryOf(bucket).keyN = count; },
  });
  return top;
}

/** Adds the elements of a leaf: an entry for each nested bucket, whose own elements are counted when the walk comes to it. */
function addElements(structure: BucketStructure, bytes: Uint8Array, count: number): void {
  for (let i = 0; i < count; i++) {
    const element = elementAt(0, i);
    if (readU32(bytes, element + LEAF_FLAGS) !== BUCKET_FLAG) {
      structure.keyN++;
      continue;
    }
    const key = element + readU32(bytes, element + LEAF_POS);
    const size = readU32(bytes, element + LEAF_KEY_SIZE);
    const name = Buffer.from(bytes.buffer, bytes.byteOffset + key, size).toString("utf8");
    structure.buckets.push({ name, keyN: 0, buckets: [] });
  }
}

/**
 * Gives the structure of an inline bucket, which has no bucket in it.
 * @param page the inline page, header first
 * @param pgid the leaf that holds it, for errors
 * @throws BoltError CORRUPT for a broken page
 * @internal
 */
export function inspectInlineBucket(page: Uint8Array, pgid: Pgid, name: string): BucketStructure {
  return { name, keyN: inlineCount(page, pgid), buckets: [] };
}
