/**
 * A copy of all buckets, keys and sequences with full pages and none free: the smallest file that the format makes of the content.
 *
 * The source is read once, in key order; the copy is written once, from front to back. @see bbolt compact.go, which writes transactions and
 * leaves the pages free that they replaced.
 */
import { requireListed } from "../base/errors.js";
import { BUCKET_FLAG, DEFAULT_PAGE_SIZE, FLAG_FREELIST, MIN_PAGE_SIZE, type Pgid } from "../format/constants.js";
import { ContentBound } from "../format/content-bound.js";
import { writePageHeader } from "../format/page.js";
import { writeFileAtomically } from "../storage/atomic-file.js";
import type { Storage } from "../storage/storage.js";
import type { ReadBucket } from "../tx/bucket.js";
import { metaPages } from "../tx/copy.js";
import type { Cursor } from "../tx/cursor.js";
import type { ReadTx } from "../tx/tx.js";
import { BulkTree, PageOutput } from "./bulk-tree.js";
import { requireOption, requireOptions, requirePageSize } from "./options.js";

/** How a database is compacted. */
export interface CompactOptions {
  /**
   * Bytes that are gathered before they are written, 65,536 when left out or 0. The name is bbolt's, whose transactions it bounds; here the
   * whole copy becomes valid at once, at its end, and the size of the result does not depend on it.
   */
  readonly txMaxSize?: number | undefined;
  /** Bytes a page of the new file. When left out as in the database, but at most 4,096: as bbolt's, and few values fill a larger one. */
  readonly pageSize?: number | undefined;
}

/** What compacting gave. */
export interface CompactResult {
  readonly path: string;
  /** Bytes of the file before, and of the new one. */
  readonly sizeBefore: number;
  readonly sizeAfter: number;
  /** Keys with values, in all buckets. */
  readonly keyCount: number;
  readonly bucketCount: number;
}

const DEFAULT_BATCH_SIZE = 65_536;
const FREELIST_PAGE: Pgid = 2;
/** Above those of a new file, so that the copy is never taken for one whose making was interrupted. */
const TXID = 2n;

/** A bucket on the way, or the transaction as the bucket of all. */
interface Frame {
  readonly source: Pick<ReadBucket, "bucket" | "sequence">;
  readonly cursor: Cursor;
  readonly name: Buffer;
  readonly tree: BulkTree;
  isStarted: boolean;
}

/** Options with their defaults. */
interface CompactSettings {
  readonly batchSize: number;
  readonly pageSize: number;
}

const OPTIONS: readonly string[] = ["txMaxSize", "pageSize"];

/** Checks the options. @throws TypeError */
function settingsFrom(options: CompactOptions = {}, sourcePageSize: number): CompactSettings {
  requireOptions(options, OPTIONS);
  const { txMaxSize = 0, pageSize = Math.min(DEFAULT_PAGE_SIZE, Math.max(MIN_PAGE_SIZE, sourcePageSize)) } = options;
  requireOption(Number.isSafeInteger(txMaxSize) && txMaxSize >= 0, "txMaxSize", "a whole number of bytes from 0 on", txMaxSize);
  requirePageSize(pageSize);
  return { batchSize: txMaxSize === 0 ? DEFAULT_BATCH_SIZE : txMaxSize, pageSize };
}

/** The new file, and how large the old one is. */
interface CompactTarget {
  readonly path: string;
  readonly mode: number;
  readonly sizeBefore: number;
}

/** Writes the compacted content of a snapshot to a new file. @throws BoltError as `DB.compact` */
export function compactTo(tx: ReadTx, { path, mode, sizeBefore }: CompactTarget, options: CompactOptions | undefined): CompactResult {
  const settings = settingsFrom(options, tx.db.pageSize);
  let counts: ReturnType<typeof compactInto> | undefined;
  writeFileAtomically(path, mode, (storage) => { counts = compactInto(tx, storage, settings); });
  return { path, sizeBefore, ...counts! };
}

/** Writes the content of a snapshot into an empty storage, whole but not synced. @throws BoltError CORRUPT, IO */
export function compactInto(tx: ReadTx, storage: Storage, { batchSize, pageSize }: CompactSettings): Pick<CompactResult, "sizeAfter" | "keyCount" | "bucketCount"> {
  const output = new PageOutput(storage, pageSize, batchSize, FREELIST_PAGE);
  writePageHeader(output.allocate(1), 0, FREELIST_PAGE, FLAG_FREELIST, 0, 0);
  const { root, keyCount, bucketCount } = copyBuckets(tx, output);
  output.flush();
  storage.write([metaPages({ pageSize, root, sequence: tx.sequence, freelist: FREELIST_PAGE, highWaterMark: output.next, txid: TXID })], 0);
  return { sizeAfter: output.next * pageSize, keyCount, bucketCount };
}

/** Depth first, with a stack of its own: buckets may be nested deeper than calls can be. */
function copyBuckets(tx: ReadTx, output: PageOutput): { readonly root: Pgid; readonly keyCount: number; readonly bucketCount: number } {
  let keyCount = 0;
  let bucketCount = 0;
  const frameOf = (source: Frame["source"], cursor: Cursor, name: Buffer): Frame => ({ source, cursor, name, tree: new BulkTree(output), isStarted: false });
  const bound = new ContentBound(tx.size);
  const frames = [frameOf(tx, tx.cursor(), Buffer.alloc(0))];
  for (;;) {
    const frame = frames[frames.length - 1]!;
    const entry = frame.isStarted ? frame.cursor.next() : frame.cursor.first();
    frame.isStarted = true;
    if (entry === undefined) {
      frames.pop();
      const parent = frames[frames.length - 1];
      if (parent === undefined) return { root: frame.tree.finish(), keyCount, bucketCount };
      parent.tree.add(BUCKET_FLAG, frame.name, frame.tree.finishBucket(frame.source.sequence));
      continue;
    }
    bound.take(entry.key.length, entry.value?.length ?? 0);
    if (entry.value !== undefined) {
      keyCount++;
      frame.tree.add(0, entry.key, entry.value);
    } else {
      bucketCount++;
      const nested = requireListed(frame.source.bucket(entry.key), entry.key);
      frames.push(frameOf(nested, nested.cursor(), entry.key));
    }
  }
}
