/**
 * From the changes of a write transaction to the next committed state.
 *
 *     1 plan      buckets from the innermost out: rebalance, cut into pages, decide what is inline, bring the parent's value up to date
 *     2 place     allocate all pages at once, the freelist's among them, side by side or in runs as long as there are
 *     3 encode    write the pages into cache memory, neighbours side by side
 *     4 store     grow, write the runs, sync, write the meta, sync          (pager.commitSteps)
 *     5 finish    the new meta counts
 *
 * Between the pieces of 1 to 3 and in 4 other transactions may read, where the commit does not hold up the event loop.
 * What fails before 5 leaves the old state, in memory as on disk.
 */
import { writeU64 } from "../base/bytes.js";
import { BoltError, corrupt, ioError } from "../base/errors.js";
import { atOnce, inTurns, type Pieces } from "../base/turns.js";
import { BUCKET_FLAG, BUCKET_HEADER_SIZE, FLAG_LEAF, MAX_INLINE_FRACTION, type Pgid } from "../format/constants.js";
import { writeBucketHeader } from "../format/bucket-header.js";
import { freelistByteSize } from "../format/freelist-page.js";
import type { Meta } from "../format/meta.js";
import { writePageHeader } from "../format/page.js";
import type { Step, WriteStep } from "../pager/commit-steps.js";
import type { Pager } from "../pager/pager.js";
import { type Placeable, Placement } from "../pager/placement.js";
import { MAX_JOINED_SIZE } from "../storage/transfer.js";
import { FLAGS, type LonePage, type Node } from "../tree/node.js";
import { PageImage } from "../tree/page-image.js";
import type { PagePlan } from "../tree/paginate.js";
import { Rebalancer } from "../tree/rebalance.js";
import { planTree, readyPage, writeElements, writePage } from "../tree/spill.js";
import type { BucketState } from "./bucket-state.js";
import { StepError, type storeElsewhere, storeNow } from "./storing.js";
import type { TxState } from "./tx-state.js";

/** Pages that are encoded before something else may run. */
const PAGES_A_PIECE = 64;

/** A commit of which only the storing is left. */
interface PreparedCommit {
  readonly meta: Meta;
  readonly steps: readonly Step[];
  readonly plans: readonly PagePlan[];
  readonly freelistPageCount: number;
}

/** A bucket value in the arena whose root page is known only when it has been allocated. */
interface RootPatch {
  readonly source: number;
  readonly offset: number;
  readonly plan: PagePlan;
}

/** What a commit took. */
export interface CommitReport {
  readonly txid: bigint;
  readonly pageCount: number;
  readonly byteCount: number;
  /** Time in the storage's syncs, in milliseconds. */
  readonly syncMs: number;
}

/**
 * Commits a write transaction and ends it.
 * @throws BoltError IO, MAX_SIZE_REACHED, CORRUPT; then nothing has changed
 */
export function commitNow(tx: TxState): CommitReport {
  const prepared = atOnce(prepare(tx));
  try {
    return finish(tx, prepared, storeNow(tx.pager, prepared.steps, tx.stats));
  } catch (error) {
    throw error instanceof StepError ? failed(tx, prepared, error) : error;
  }
}

/** `commitNow` in turns of the event loop, that waits for the storage by one of the ways of storing.ts. */
export async function commitLater(tx: TxState, store: typeof storeElsewhere): Promise<CommitReport> {
  tx.isCommittingLater = true;
  const prepared = await inTurns(prepare(tx));
  try {
    return finish(tx, prepared, await store(tx.pager, prepared.steps, tx.stats));
  } catch (error) {
    throw error instanceof StepError ? failed(tx, prepared, error) : error;
  }
}

/** Ends a write transaction without a trace. */
export function abandon(tx: TxState): void {
  releaseMemory(tx);
  tx.pager.endWrite();
}

/** Phases 1 to 3. The stack has room for all that follows. */
function* prepare(tx: TxState): Pieces<PreparedCommit> {
  tx.isCommitting = true;
  const preparation = new Preparation(tx);
  try {
    if (tx.damage !== undefined) throw tx.damage;
    tx.arena!.requireWhole();
    return yield* preparation.run();
  } catch (error) {
    dropPages(tx.pager, preparation.plans);
    abandon(tx);
    throw error;
  }
}

/** Undoes a commit of which a step failed; gives the error to throw. */
function failed(tx: TxState, { plans }: PreparedCommit, { step, cause }: StepError): Error {
  dropPages(tx.pager, plans);
  releaseMemory(tx);
  tx.pager.endWrite({ step, cause });
  return cause instanceof BoltError ? cause : ioError(`commit: ${step.kind === "meta" ? "write of the meta page" : step.kind}`, cause);
}

function finish(tx: TxState, { meta, freelistPageCount }: PreparedCommit, syncMs: number): CommitReport {
  releaseMemory(tx);
  tx.pager.finishWrite(meta, freelistPageCount);
  return { txid: meta.txid, pageCount: tx.stats.pageCount, byteCount: tx.stats.pageAlloc, syncMs };
}

function dropPages(pager: Pager, plans: readonly PagePlan[]): void {
  for (const { pgid } of plans) if (pgid !== 0) pager.cache.drop(pgid);
}

/** Gives back what the transaction held in memory. */
function releaseMemory(tx: TxState): void {
  tx.isOpen = false;
  const arena = tx.arena!;
  for (const frame of arena.frames) tx.pager.cache.discard(frame);
  arena.reset();
}

class Preparation {
  readonly #tx: TxState;
  readonly #pager: Pager;
  readonly #rebalancer: Rebalancer;
  readonly plans: PagePlan[] = [];
  readonly #patches: RootPatch[] = [];

  constructor(tx: TxState) {
    this.#tx = tx;
    this.#pager = tx.pager;
    this.#rebalancer = new Rebalancer(tx.snapshot.cache, tx.arena!, tx.pager.freelist, tx.stats, !tx.isShrinking);
  }

  *run(): Pieces<PreparedCommit> {
    const root = this.#planBuckets();
    for (const page of this.#rebalancer.lonePages) this.#keepOrRelease(page);
    yield;
    const mark = this.#cutTail();
    const freelist = this.#planFreelist();
    const highWaterMark = this.#placePages(freelist, mark);
    for (const { source, offset, plan } of this.#patches) writeU64(this.#tx.arena!.sources[source]!, offset, plan.pgid);
    const writes = yield* this.#encodePages(freelist);
    const meta: Meta = {
      ...this.#tx.snapshot.meta,
      root: typeof root === "number" ? root : root.pgid,
      sequence: this.#tx.root.sequence,
      freelist: freelist?.pgid,
      highWaterMark,
      txid: this.#tx.id,
    };
    const steps = this.#pager.commitSteps(meta, writes);
    return { meta, steps, plans: this.plans, freelistPageCount: freelist?.pageCount ?? 0 };
  }

  // ---- 1 plan

  /** Plans every changed bucket; gives the root page of the root bucket. */
  #planBuckets(): PagePlan | Pgid {
    const start = performance.now();
    // Innermost last, so that from the end on every bucket is done before the one that holds it.
    const buckets: BucketState[] = [this.#tx.root];
    for (let i = 0; i < buckets.length; i++) for (const child of buckets[i]!.children.values()) buckets.push(child);
    for (let i = buckets.length - 1; i > 0; i--) this.#planNested(buckets[i]!);
    const root = this.#planTreeOf(this.#tx.root);
    const { stats } = this.#tx;
    stats.spillTime += performance.now() - start - stats.rebalanceTime;
    return root;
  }

  #planTreeOf(bucket: BucketState): PagePlan | Pgid {
    if (!bucket.tree.isDirty) return bucket.tree.root;
    const root = this.#rebalance(bucket);
    return "page" in root ? root.page : this.#plan(root, bucket);
  }

  /** Brings the value of a nested bucket in its parent up to date, when anything in it has changed. */
  #planNested(bucket: BucketState): void {
    const { tree } = bucket;
    if (!tree.isDirty) {
      if (bucket.isSequenceNew) this.#putHeader(bucket, tree.root, tree.inline);
      return;
    }
    const root = this.#rebalance(bucket);
    if ("page" in root) return this.#putHeader(bucket, root.page);
    if (this.#isInlineable(root)) return this.#putHeader(bucket, 0, inlineValue(root));
    const plan = this.#plan(root, bucket);
    bucket.parent!.tree.putUnfinished(bucket.name, bucketHeader(0, bucket.sequence), BUCKET_FLAG);
    const { arena } = this.#tx;
    this.#patches.push({ source: arena!.source, offset: arena!.offset + bucket.name.length, plan });
  }

  #rebalance(bucket: BucketState): ReturnType<Rebalancer["rebalance"]> {
    const { tree } = bucket;
    // Of the many small buckets that a transaction may have, the clock would take longer than the work.
    if (tree.root === 0) return this.#rebalancer.rebalance(tree);
    const start = performance.now();
    const root = this.#rebalancer.rebalance(tree);
    this.#tx.stats.rebalanceTime += performance.now() - start;
    return root;
  }

  #plan(root: Node | PageImage, bucket: BucketState): PagePlan {
    const before = this.plans.length;
    const plan = planTree(root, { pageSize: this.#pager.meta.pageSize, fillPercent: bucket.fillPercent }, this.plans);
    const { stats } = this.#tx;
    stats.spill += this.plans.length - before;
    for (let i = before; i < this.plans.length; i++) {
      const page = this.plans[i]!;
      if (!(page instanceof PageImage) && page.from > 0) stats.split++;
    }
    return plan;
  }

  /** @see docs/format.md, "Nested buckets" */
  #isInlineable(root: Node | PageImage): root is Node {
    if (root instanceof PageImage || root.isBranch || root.byteSize > this.#pager.meta.pageSize / MAX_INLINE_FRACTION) return false;
    for (let i = 0; i < root.count; i++) if (root.column(i, FLAGS) === BUCKET_FLAG) return false;
    return true;
  }

  /** Puts a bucket value into the parent's leaf: `value` with its header set, or a header alone. */
  #putHeader(bucket: BucketState, root: Pgid, value?: Uint8Array): void {
    if (value !== undefined) writeBucketHeader(value, 0, root, bucket.sequence);
    bucket.parent!.tree.put(bucket.name, value ?? bucketHeader(root, bucket.sequence), BUCKET_FLAG);
  }

  /** @throws BoltError CORRUPT when a page that is in use is listed as free */
  #keepOrRelease({ pgid, pageCount, isKept }: LonePage): void {
    const { freelist } = this.#pager;
    if (!isKept) freelist.release(pgid, pageCount);
    else for (let id = pgid; id < pgid + pageCount; id++) if (freelist.isFree(id)) throw corrupt(id, "already freed");
  }

  // ---- 2 place

  /** The mark that pages are placed below and at. */
  #cutTail(): Pgid {
    const { highWaterMark } = this.#tx.snapshot.meta;
    return this.#tx.isShrinking ? this.#pager.freelist.cutTail(highWaterMark) : highWaterMark;
  }

  /** Releases the old freelist page and plans the new one: for all ids that are free now, though the pages to be placed will shorten the list. */
  #planFreelist(): Placeable | undefined {
    const { freelist, freelistPageCount, options, meta } = this.#pager;
    if (meta.freelist !== undefined) freelist.release(meta.freelist, freelistPageCount);
    if (options.noFreelistSync) return undefined;
    return { pageCount: Math.ceil(freelistByteSize(freelist.storedCount) / meta.pageSize), pgid: 0 };
  }

  /** Gives all pages their places; gives the new high-water mark. */
  #placePages(freelistPage: Placeable | undefined, mark: Pgid): Pgid {
    const { freelist, meta, options } = this.#pager;
    const placement = new Placement(freelist, { pageSize: meta.pageSize, maxSize: options.maxSize, isShrinking: this.#tx.isShrinking }, mark);
    placement.place(this.plans, freelistPage);
    return placement.highWaterMark;
  }

  // ---- 3 encode

  /** Writes all pages into memory and gives one write for each run of neighbours, in ascending order. */
  *#encodePages(freelist: Placeable | undefined): Pieces<WriteStep[]> {
    const { pageSize } = this.#pager.meta;
    const { stats } = this.#tx;
    const pages = freelist === undefined ? [...this.plans] : [...this.plans, freelist];
    pages.sort((a, b) => a.pgid - b.pgid);
    const writes: WriteStep[] = [];
    let chunks: Uint8Array[] = [];
    let runEnd = -1;
    for (let i = 0; i < pages.length; i++) {
      if (i % PAGES_A_PIECE === PAGES_A_PIECE - 1) yield;
      const page = pages[i]!;
      if (page.pgid !== runEnd) {
        chunks = [];
        writes.push({ kind: "write", position: page.pgid * pageSize, chunks });
      }
      runEnd = page.pgid + page.pageCount;
      appendChunk(chunks, page === freelist ? this.#pager.freelist.encodePage(freelist.pgid, freelist.pageCount - 1, pageSize) : this.#encodePage(page as PagePlan));
      stats.pageCount += page.pageCount;
      stats.pageAlloc += page.pageCount * pageSize;
    }
    return writes;
  }

  /** Completes or encodes a page; gives its bytes, valid to the end of the transaction. */
  #encodePage(plan: PagePlan): Uint8Array {
    const { cache, meta: { pageSize } } = this.#pager;
    if (plan instanceof PageImage) {
      plan.complete();
      cache.adopt(plan.frame, plan.pgid);
      return cache.pageView(plan.frame);
    }
    const ready = readyPage(plan);
    if (ready !== undefined) {
      // Not kept in the cache: its memory serves the next large value (measured: 1 ms a MiB where the system has to find new memory for each).
      cache.drop(plan.pgid);
      writePage(plan, ready, 0, pageSize);
      return ready;
    }
    const frame = cache.allocate(plan.pgid, plan.pageCount);
    const slab = cache.slabBytes[frame >>> cache.frameBits]!;
    writePage(plan, slab, cache.pageStart(frame), pageSize);
    this.#tx.arena!.frames.add(frame);
    return plan.pageCount === 1 ? cache.pageView(frame) : slab;
  }
}

/** Adds a page, as part of the last chunk where it follows it in memory and is written by the same call. */
function appendChunk(chunks: Uint8Array[], page: Uint8Array): void {
  const last = chunks[chunks.length - 1];
  const isNext = last !== undefined && last.length + page.length <= MAX_JOINED_SIZE && last.byteOffset + last.length === page.byteOffset && last.buffer === page.buffer;
  if (isNext) chunks[chunks.length - 1] = new Uint8Array(page.buffer, last.byteOffset, last.length + page.length);
  else chunks.push(page);
}

function bucketHeader(root: Pgid, sequence: bigint): Buffer {
  const value = Buffer.alloc(BUCKET_HEADER_SIZE);
  writeBucketHeader(value, 0, root, sequence);
  return value;
}

/** The value of an inline bucket: header (to be set), then its leaf as a page with id 0. */
function inlineValue(root: Node): Buffer {
  const value = Buffer.alloc(BUCKET_HEADER_SIZE + root.byteSize);
  writePageHeader(value, BUCKET_HEADER_SIZE, 0, FLAG_LEAF, root.count, 0);
  writeElements(root, 0, root.count, value, BUCKET_HEADER_SIZE);
  return value;
}
