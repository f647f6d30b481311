/** Pages with overflow pages in the cache: what they cost the other pages, and files that claim pages larger than memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FLAG_FREELIST, FLAG_LEAF } from "../../../engine/format/constants.js";
import { encodeMeta, metaPageOf } from "../../../engine/format/meta.js";
import { writePageHeader } from "../../../engine/format/page.js";
import type { PageReader } from "../../../engine/pager/overflow-pages.js";
import { Frames } from "../../../engine/pager/frames.js";
import { PageCache } from "../../../engine/pager/page-cache.js";
import { MemoryStorage, open } from "../../../engine/index.js";

const PAGE_SIZE = 4096;
const MIB = 2 ** 20;

/** From this page id on every tenth page has `overflow` overflow pages, below all are single. */
const LARGE_FROM = 100_000;

class CountingReader implements PageReader {
  readonly reads: number[] = [];
  readonly #overflow: number;

  constructor(overflow: number) {
    this.#overflow = overflow;
  }

  readPages(pgid: number, target: Uint8Array): void {
    this.reads.push(pgid);
    target.fill(pgid % 251);
    if (pgid < LARGE_FROM || pgid % 10 === 0) writePageHeader(target, 0, pgid, FLAG_LEAF, 0, pgid < LARGE_FROM ? 0 : this.#overflow);
  }

  countOf(pgid: number): number {
    return this.reads.filter((read) => read === pgid).length;
  }
}

function newCache(cacheSize: number, reader: PageReader): PageCache {
  const cache = new PageCache(PAGE_SIZE, cacheSize, reader);
  cache.highWaterMark = 1_000_000;
  return cache;
}

test("a page in use stays in a full cache while pages with overflow pages come and go", () => {
  const reader = new CountingReader(4);
  const cache = newCache(4 * MIB, reader);
  for (let pgid = 2; pgid < 1500; pgid++) cache.locate(pgid);
  const hot = 1400;
  cache.locate(hot);
  const before = reader.countOf(hot);
  for (let i = 0; i < 2000; i++) {
    cache.locate(LARGE_FROM + 10 * i);
    cache.locate(hot);
  }
  // A slab is given up now and then, with the page in it; by no means at every page with overflow pages.
  assert.ok(reader.countOf(hot) - before <= 10, `read again ${reader.countOf(hot) - before} times`);
});

test("pages with overflow pages that fit into the cache are read once", () => {
  const reader = new CountingReader(4);
  const cache = newCache(4 * MIB, reader);
  for (let pgid = 2; pgid < 1500; pgid++) cache.locate(pgid);
  for (let i = 0; i < 1000; i++) cache.locate(LARGE_FROM + 10 * (i % 40));
  const seen = reader.reads.length;
  for (let i = 0; i < 1000; i++) cache.locate(LARGE_FROM + 10 * (i % 40));
  assert.equal(reader.reads.length, seen);
});

test("many values of a few pages take little beside their bytes: one frame each, not those of a slab", () => {
  const pageSize = 512;
  const pageCount = 10_000;
  const cache = new PageCache(pageSize, 256 * MIB, { readPages: () => assert.fail("nothing is read") });
  cache.highWaterMark = 1_000_000;
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < pageCount; i++) cache.unpin(cache.allocate(2 + 2 * i, 2));
  const taken = process.memoryUsage().arrayBuffers - before;
  // With the frames of a slab each: 160 MB; with 65,000 such pages more than V8 can give an array.
  assert.ok(taken < 3 * pageCount * 2 * pageSize, `${taken} bytes for ${pageCount} pages of ${2 * pageSize}`);
});

test("memory stays bounded whatever sizes follow each other", () => {
  for (const cacheSize of [0, MIB, 4 * MIB]) {
    const reader = new CountingReader(60);
    const cache = newCache(cacheSize, reader);
    for (let i = 0; i < 4000; i++) {
      cache.locate(2 + i);
      if (i % 3 === 0) cache.locate(LARGE_FROM + 10 * i);
      assert.ok(cache.memorySize <= Math.max(cacheSize, MIB) + 2 * MIB, `${cache.memorySize} bytes with cacheSize ${cacheSize}`);
    }
  }
});

test("pinned pages keep their frames and bytes while slabs are given up around them", () => {
  const cache = newCache(2 * MIB, new CountingReader(20));
  const pinned: [frame: number, pgid: number][] = [];
  for (let pgid = 2; pgid < 1500; pgid += 97) {
    const frame = cache.locate(pgid);
    cache.pin(frame);
    pinned.push([frame, pgid]);
    for (let i = 0; i < 40; i++) cache.locate(LARGE_FROM + 10 * (pgid + i));
  }
  for (const [frame, pgid] of pinned) {
    assert.ok(cache.holds(frame, pgid));
    assert.equal(cache.locate(pgid), frame);
    assert.equal(cache.slabBytes[frame >>> cache.frameBits]![cache.pageStart(frame) + 100], pgid % 251);
  }
});

test("views keep their bytes when the slab they point into is given up", () => {
  const cache = newCache(2 * MIB, new CountingReader(20));
  const views: [view: Uint8Array, pgid: number][] = [];
  for (let pgid = 2; pgid < 2000; pgid++) {
    const frame = cache.locate(pgid);
    cache.markEscaped(frame);
    const start = cache.pageStart(frame);
    views.push([cache.slabBytes[frame >>> cache.frameBits]!.subarray(start + 16, start + 64), pgid]);
    if (pgid % 3 === 0) cache.locate(LARGE_FROM + 10 * pgid);
  }
  for (const [view, pgid] of views) assert.ok(view.every((byte) => byte === pgid % 251), `page ${pgid}`);
});

/** A file of terabytes, nothing in it but metas, an empty root and a freelist page, one of which claims overflow pages. */
function hugeFile(root: number, rootOverflow: number, freelistOverflow: number): MemoryStorage {
  const highWaterMark = 2 ** 33;
  const storage = new MemoryStorage();
  storage.truncate(highWaterMark * PAGE_SIZE);
  for (const txid of [10n, 11n]) {
    const page = new Uint8Array(PAGE_SIZE);
    encodeMeta(page, 0, { pageSize: PAGE_SIZE, root, sequence: 0n, freelist: root + 1, highWaterMark, txid });
    storage.write([page], metaPageOf(txid) * PAGE_SIZE);
  }
  const pages = new Uint8Array(2 * PAGE_SIZE);
  writePageHeader(pages, 0, root, FLAG_LEAF, 0, rootOverflow);
  writePageHeader(pages, PAGE_SIZE, root + 1, FLAG_FREELIST, 0, freelistOverflow);
  storage.write([pages], root * PAGE_SIZE);
  return storage;
}

test("a page that claims more bytes than memory holds is CORRUPT, not a RangeError", () => {
  const root = 2 ** 32 + 50;
  const sound = open("huge", { storage: hugeFile(root, 0, 0) });
  assert.equal(sound.view((tx) => tx.bucket("b")), undefined);
  sound.close();
  const db = open("huge", { storage: hugeFile(root, 2 ** 32 - 1000, 0) });
  assert.throws(() => db.view((tx) => tx.bucket("b")), { code: "CORRUPT", message: /^page 4294967346: page of 17592181952512 bytes/ });
  db.close();
  assert.throws(() => open("huge", { storage: hugeFile(root, 0, 2 ** 32 - 1000) }), { code: "CORRUPT", message: /^page 4294967347: / });
});

test("a transaction of many large pages, more than the cache may hold, does not look through all of them for each", (t) => {
  const pageCount = 2000;
  const cache = newCache(MIB, new CountingReader(1));
  const steps = t.mock.method(Frames.prototype, "advanceHand").mock;
  const frames = Array.from({ length: pageCount }, (_, i) => cache.allocate(100 + 2 * i, 2));
  assert.ok(steps.callCount() < 20 * pageCount, `${steps.callCount()} frames looked at for ${pageCount} pages`);
  assert.ok(cache.memorySize > 8 * MIB, "all of them are pinned");
  for (const frame of frames) cache.unpin(frame);
  assert.ok(cache.memorySize <= 2 * MIB, "what was beyond the limit is given back");
});
