/** A tree on pages of its own, without a file: what the tests of this folder change, write and read again. */
import assert from "node:assert/strict";
import type { Pgid } from "../../../engine/format/constants.js";
import { walkStrictly } from "../../../engine/format/walk.js";
import { PageCache } from "../../../engine/pager/page-cache.js";
import { Arena } from "../../../engine/tree/arena.js";
import { Node } from "../../../engine/tree/node.js";
import { PageImage } from "../../../engine/tree/page-image.js";
import type { PagePlan } from "../../../engine/tree/paginate.js";
import { type RebalanceCounts, Rebalancer } from "../../../engine/tree/rebalance.js";
import { planTree, readyPage, writePage } from "../../../engine/tree/spill.js";
import { Tree } from "../../../engine/tree/tree.js";
import { check } from "../../../engine/tx/check.js";

/** Keys and values in order. */
export type Pair = readonly [key: Buffer, value: Buffer];

/** Pages in memory; a written page never changes, a new version gets a new id. */
export class TreeStore {
  readonly pageSize: number;
  readonly cache: PageCache;
  /** By page id; overflow pages are part of the first one's bytes. */
  readonly pages: Map<Pgid, Uint8Array> = new Map();
  readonly arena: Arena;
  readonly counts: RebalanceCounts = { nodeCount: 0, rebalance: 0 };
  root: Pgid = 0;
  #next: Pgid = 2;

  constructor(pageSize = 1024, cacheSize = 0) {
    this.pageSize = pageSize;
    this.arena = new Arena(pageSize);
    this.cache = new PageCache(pageSize, cacheSize, { readPages: (pgid, target) => { this.#read(pgid, target); } });
  }

  #read(pgid: Pgid, target: Uint8Array): void {
    // Overflow pages are asked for by the id behind the first page.
    const page = this.pages.get(pgid) ?? this.pages.get(pgid - 1)?.subarray(this.pageSize);
    assert.ok(page !== undefined, `page ${pgid} is in use`);
    target.set(page.subarray(0, target.length));
  }

  /** Begins a change: one at a time, ended by `commit` or `discard`. */
  begin(): Tree {
    return new Tree(this.cache, this.arena, this.root, undefined, 0);
  }

  /** A tree that is only read. */
  read(): Tree {
    return new Tree(this.cache, undefined, this.root, undefined, 0);
  }

  /** Writes what has changed and drops what was released; the released pages must be in use, each once. */
  commit(tree: Tree, fillPercent = 0.5, keepsLonePages = true): void {
    if (tree.isDirty) {
      const released: Pgid[] = [];
      const releaser = {
        release: (pgid: Pgid, pageCount: number) => {
          assert.equal(this.pages.get(pgid)?.length, pageCount * this.pageSize, `page ${pgid} is in use and released as a whole`);
          assert.ok(!released.includes(pgid), `page ${pgid} is released once`);
          released.push(pgid);
        },
      };
      const rebalancer = new Rebalancer(this.cache, this.arena, releaser, this.counts, keepsLonePages);
      const root = rebalancer.rebalance(tree);
      this.root = "page" in root ? root.page : this.#write(root, fillPercent);
      for (const { pgid, pageCount, isKept } of rebalancer.lonePages) if (!isKept) releaser.release(pgid, pageCount);
      for (const pgid of released) this.#drop(pgid);
    }
    this.#end();
  }

  #write(root: Node | PageImage, fillPercent: number): Pgid {
    const plans: PagePlan[] = [];
    const top = planTree(root, { pageSize: this.pageSize, fillPercent }, plans);
    for (const plan of plans) {
      plan.pgid = this.#next;
      this.#next += plan.pageCount;
    }
    this.cache.highWaterMark = this.#next;
    for (const plan of plans) {
      // Bytes that are not written would show.
      const bytes = new Uint8Array(plan.pageCount * this.pageSize).fill(0xaa);
      if (plan instanceof PageImage) {
        plan.complete();
        const start = this.cache.pageStart(plan.frame);
        bytes.set(plan.bytes.subarray(start, start + this.pageSize));
      } else {
        const ready = readyPage(plan);
        writePage(plan, ready ?? bytes, 0, this.pageSize);
        // The arena's memory, used again by the next transaction.
        if (ready !== undefined) bytes.set(ready);
      }
      this.pages.set(plan.pgid, bytes);
    }
    return top.pgid;
  }

  #drop(pgid: Pgid): void {
    this.pages.delete(pgid);
    this.cache.drop(pgid);
  }

  /** Ends a change without a trace. */
  discard(): void {
    this.#end();
  }

  #end(): void {
    for (const frame of this.arena.frames) this.cache.discard(frame);
    this.arena.reset();
  }

  /** Fails unless the tree is sound (rules 1 to 4 of docs/format.md) and its pages are those in use, no more and no fewer. */
  verify(): void {
    const raw = this.#asFile();
    const meta = { pageSize: this.pageSize, root: this.root, sequence: 0n, freelist: undefined, highWaterMark: this.#next, txid: 1n };
    assert.deepEqual([...check({ pages: raw, meta, fileSize: this.#next * this.pageSize, freeIds: undefined })], []);
    const expected = [0, 1];
    for (const [pgid, bytes] of this.pages) for (let i = 0; i < bytes.length / this.pageSize; i++) expected.push(pgid + i);
    assert.deepEqual([...walkStrictly(raw, this.root, {})], expected.sort((a, b) => a - b));
  }

  #asFile(): { pageSize: number; highWaterMark: number; read(pgid: Pgid, pageCount: number): Uint8Array | undefined } {
    const bytes = new Uint8Array(this.#next * this.pageSize);
    for (const [pgid, page] of this.pages) bytes.set(page, pgid * this.pageSize);
    const { pageSize } = this;
    return {
      pageSize, highWaterMark: this.#next,
      read: (pgid, pageCount) => (pgid + pageCount <= this.#next ? bytes.subarray(pgid * pageSize, (pgid + pageCount) * pageSize) : undefined),
    };
  }
}

/** A node whose elements are the pairs; of a branch the value says the child's page id. */
export function nodeOf(arena: Arena, isBranch: boolean, pairs: readonly Pair[]): Node {
  const node = new Node(arena, isBranch, 4);
  for (const [i, [key, value]] of pairs.entries()) {
    arena.store(key, isBranch ? Buffer.alloc(0) : value);
    // Before the node grows: its columns come from the arena too.
    const { source, offset } = arena;
    node.insert(i);
    node.set(i, source, offset, key.length, isBranch ? i : value.length, 0);
    node.byteSize += node.elementSize(i);
  }
  return node;
}

/** Pairs in key order, each key once. */
export function sorted(pairs: readonly Pair[]): Pair[] {
  const byKey = new Map(pairs.map((pair) => [pair[0].toString("latin1"), pair]));
  return [...byKey.values()].sort((a, b) => Buffer.compare(a[0], b[0]));
}
