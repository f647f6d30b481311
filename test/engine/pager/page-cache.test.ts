/** The page cache: what it gives is the page, whatever was evicted, renewed, pinned or handed out as a view meanwhile; and its memory has a bound. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { boltError } from "../../../engine/base/errors.js";
import { writeU64 } from "../../../engine/base/bytes.js";
import { INDEX_BRANCH, INDEX_COMPACT, INDEX_PREFIX_SIZE } from "../../../engine/format/page-index.js";
import { PageCache } from "../../../engine/pager/page-cache.js";
import { insertElement } from "../../../engine/tree/leaf-edit.js";
import { foundExact, foundIndex, searchPage } from "../../../engine/tree/search.js";
import { Random, seedOfRun } from "../../support/random.js";
import { setCount, writeBranch, writeLeaf } from "../format/raw-file.js";

/** Large pages make few slots a slab, so that eviction and renewal come soon. */
const PAGE_SIZE = 65_536;
const MIB = 1 << 20;

/** Pages 2… as a file has them: leaf `pgid` holds the keys "a" and "b" with values that name it; every `largeEvery`-th has an overflow page. */
class Source {
  readonly pageSize: number;
  readonly pageCount: number;
  readonly bytes: Uint8Array;
  readonly starts: number[] = [];
  reads = 0;

  constructor(pageSize: number, pageCount: number, largeEvery = Infinity) {
    this.pageSize = pageSize;
    this.pageCount = pageCount;
    this.bytes = new Uint8Array(pageCount * pageSize);
    for (let pgid = 2; pgid < pageCount; ) {
      const overflow = pgid % largeEvery === 0 && pgid + 1 < pageCount ? 1 : 0;
      writeLeaf(this.bytes, pgid * pageSize, pgid, [{ key: "a", value: `first ${pgid}` }, { key: "b", value: Buffer.alloc(overflow * pageSize + 500, `page ${pgid} `) }], overflow);
      this.starts.push(pgid);
      pgid += 1 + overflow;
    }
  }

  readPages(pgid: number, target: Uint8Array): void {
    this.reads++;
    const start = pgid * this.pageSize;
    target.set(this.bytes.subarray(start, start + target.length));
  }

  /** What the cache must have in a page's frame. */
  expected(pgid: number): Uint8Array {
    const at = this.starts.indexOf(pgid);
    return this.bytes.subarray(pgid * this.pageSize, (this.starts[at + 1] ?? this.pageCount) * this.pageSize);
  }
}

function cacheOver(source: Source, cacheSize: number): PageCache {
  const cache = new PageCache(source.pageSize, cacheSize, source);
  cache.highWaterMark = source.pageCount;
  return cache;
}

/** A view of a frame's page, as a caller is given one. */
function viewOf(cache: PageCache, frame: number): Uint8Array {
  const start = cache.pageStart(frame);
  return cache.slabBytes[frame >>> cache.frameBits]!.subarray(start, start + cache.pageBytes(frame));
}

function sameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  assert.ok(Buffer.compare(actual, expected) === 0, what);
}

/** Asserts that a frame holds the page and that its index finds the page's keys. */
function expectPage(cache: PageCache, source: Source, pgid: number): number {
  const frame = cache.locate(pgid);
  assert.ok(cache.holds(frame, pgid));
  sameBytes(viewOf(cache, frame), source.expected(pgid), `page ${pgid} is the page`);
  const result = searchPage(cache, frame, Buffer.from("b"));
  assert.deepEqual([foundIndex(result), foundExact(result)], [1, true]);
  return frame;
}

test("a page is read once while there is room, and again after it has been dropped", () => {
  const source = new Source(4096, 50);
  const cache = cacheOver(source, MIB);
  for (let round = 0; round < 3; round++) for (const pgid of source.starts) expectPage(cache, source, pgid);
  assert.equal(source.reads, 48);
  cache.drop(7);
  cache.drop(7);
  expectPage(cache, source, 7);
  assert.equal(source.reads, 49);
});

test("more pages than fit: each is right, the memory stays within the limit, and what is in use stays in it", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  const random = new Random(seed);
  const source = new Source(PAGE_SIZE, 300);
  const limit = 8 * MIB;
  const cache = cacheOver(source, limit);
  let hot = 0;
  for (let i = 0; i < 3000; i++) {
    expectPage(cache, source, random.pick(source.starts));
    const before = source.reads;
    cache.locate(2 + (i % 4));
    hot += source.reads === before ? 1 : 0;
    assert.ok(cache.memorySize <= limit, `${cache.memorySize} bytes`);
  }
  assert.ok(hot > 2900, `pages looked at all the time stay: ${hot} of 3000`);
});

for (const largeEvery of [Infinity, 3]) {
  test(`views stay as they were while other pages churn through a tiny cache (${largeEvery === 3 ? "every third page has overflow" : "single pages"})`, (t) => {
    const seed = seedOfRun();
    t.diagnostic(`SEED=${seed}`);
    const random = new Random(seed);
    const source = new Source(PAGE_SIZE, 120, largeEvery);
    const cache = cacheOver(source, 1);
    const limit = 64 * PAGE_SIZE + 2 * MIB;
    const views: { readonly pgid: number; readonly view: Uint8Array }[] = [];
    for (let i = 0; i < 2000; i++) {
      const pgid = random.pick(source.starts);
      const frame = expectPage(cache, source, pgid);
      if (random.below(3) > 0) {
        cache.markEscaped(frame);
        views.push({ pgid, view: viewOf(cache, frame) });
        if (views.length > 100) views.shift();
      }
      const { pgid: old, view } = views[random.below(Math.max(1, views.length))] ?? { pgid, view: viewOf(cache, frame) };
      sameBytes(view, source.expected(old), `the view of page ${old} has not changed`);
      assert.ok(cache.memorySize <= limit, `the views' memory is not the cache's: ${cache.memorySize} bytes`);
    }
    for (const { pgid, view } of views) sameBytes(view, source.expected(pgid), `the view of page ${pgid} has not changed at the end`);
  });
}

test("a pinned page stays where it is while everything else is evicted and given away as views", () => {
  const source = new Source(PAGE_SIZE, 200);
  const cache = cacheOver(source, 1);
  const frame = cache.locate(2);
  const view = viewOf(cache, frame);
  cache.pin(frame);
  for (let round = 0; round < 5; round++) for (let pgid = 3; pgid < 200; pgid++) cache.markEscaped(expectPage(cache, source, pgid));
  assert.ok(cache.holds(frame, 2));
  sameBytes(view, source.expected(2), "its bytes");
  assert.equal(viewOf(cache, frame).buffer, view.buffer);
  cache.unpin(frame);
});

test("slabs that views have used up beside a pinned page come back when it is unpinned", () => {
  const source = new Source(PAGE_SIZE, 200);
  const cache = cacheOver(source, 1);
  const slotCount = cache.frameMask + 1;
  const pinned = cache.locate(2);
  cache.pin(pinned);
  for (let pgid = 3; pgid < 2 + slotCount; pgid++) cache.markEscaped(cache.locate(pgid));
  for (let pgid = 3; pgid < 2 + slotCount; pgid++) cache.drop(pgid);
  cache.unpin(pinned);
  cache.drop(2);
  // All frames of the first slab are to be had again, before a second one is needed.
  const { memorySize } = cache;
  for (let pgid = 50; pgid < 50 + slotCount; pgid++) expectPage(cache, source, pgid);
  assert.equal(cache.memorySize, memorySize);
});

test("memory that a large transaction has pinned is given back when pages are read after it", () => {
  const source = new Source(PAGE_SIZE, 200);
  const limit = 8 * MIB;
  const cache = cacheOver(source, limit);
  const frames = Array.from({ length: 400 }, (_, i) => cache.allocate(1000 + i, 1));
  assert.ok(cache.memorySize > 400 * PAGE_SIZE, "all of them are kept while they are pinned");
  for (const frame of frames) cache.unpin(frame);
  for (const pgid of source.starts) expectPage(cache, source, pgid);
  assert.ok(cache.memorySize <= limit, `${cache.memorySize} bytes`);
});

for (const cacheSize of [0, 8 * MIB]) {
  test(`memory of a large transaction that failed is given back when the last page is unpinned, with room for ${cacheSize / MIB} MiB`, () => {
    const source = new Source(PAGE_SIZE, 200);
    const cache = cacheOver(source, cacheSize);
    // 64 pages are kept whatever the limit.
    const limit = Math.max(cacheSize, 64 * PAGE_SIZE);
    const frames = Array.from({ length: 400 }, (_, i) => cache.allocate(1000 + i, 1));
    for (let i = 0; i < 400; i++) cache.drop(1000 + i);
    for (const frame of frames) cache.unpin(frame);
    assert.ok(cache.memorySize <= limit, `${cache.memorySize} bytes`);
    const taken = Array.from({ length: 400 }, () => {
      const frame = cache.locate(2);
      cache.take(frame, 100);
      return frame;
    });
    for (const frame of taken) cache.discard(frame);
    assert.ok(cache.memorySize <= limit, `${cache.memorySize} bytes`);
    expectPage(cache, source, 2);
  });
}

test("pages of any size come out right however they are mixed, and pinned ones never move", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  const source = new Source(PAGE_SIZE, 150, 4);
  const action = fc.tuple(fc.constantFrom("read", "read", "view", "pin", "unpin", "drop"), fc.nat({ max: source.starts.length - 1 }));
  fc.assert(fc.property(fc.array(action, { minLength: 50, maxLength: 400 }), (actions) => {
    const cache = cacheOver(source, 1);
    const pinned = new Map<number, { frame: number; view: Uint8Array }>();
    for (const [what, which] of actions) {
      const pgid = source.starts[which]!;
      const pin = pinned.get(pgid);
      if (what === "unpin") {
        if (pin !== undefined) cache.unpin(pin.frame);
        pinned.delete(pgid);
      } else if (what === "drop") {
        if (pin === undefined) cache.drop(pgid);
      } else {
        const frame = expectPage(cache, source, pgid);
        if (what === "view") cache.markEscaped(frame);
        if (what === "pin" && pinned.size < 10 && pin === undefined) {
          cache.pin(frame);
          pinned.set(pgid, { frame, view: viewOf(cache, frame) });
        }
      }
      for (const [held, { frame, view }] of pinned) {
        assert.ok(cache.holds(frame, held));
        assert.equal(viewOf(cache, frame).buffer, view.buffer);
      }
    }
    for (const [held, { view }] of pinned) sameBytes(view, source.expected(held), `pinned page ${held}`);
  }), { seed, numRuns: 30 });
});

test("a new version of a page goes to other memory: who holds the old bytes keeps them", () => {
  const source = new Source(4096, 50);
  const cache = cacheOver(source, MIB);
  const old = cache.locate(9);
  cache.markEscaped(old);
  const oldView = viewOf(cache, old);
  const fresh = cache.allocate(9, 1);
  writeLeaf(cache.slabBytes[fresh >>> cache.frameBits]!, cache.pageStart(fresh), 9, [{ key: "new", value: "version" }]);
  cache.unpin(fresh);
  sameBytes(oldView, source.expected(9), "the old version");
  assert.equal(cache.locate(9), fresh);
  assert.ok(foundExact(searchPage(cache, fresh, Buffer.from("new"))), "its index is built when it is first looked at");
  assert.equal(source.reads, 1);
});

test("pages that are allocated one after the other lie side by side, so that they are one write", () => {
  const source = new Source(4096, 2);
  const cache = cacheOver(source, 4 * MIB);
  const frames = Array.from({ length: 100 }, (_, i) => cache.allocate(10 + i, 1));
  for (let i = 1; i < frames.length; i++) assert.equal(frames[i], frames[i - 1]! + 1);
});

test("a page with overflow is one piece of memory, and counts", () => {
  const source = new Source(4096, 2);
  const cache = cacheOver(source, 64 * MIB);
  const before = cache.memorySize;
  const frame = cache.allocate(10, 300);
  assert.equal(cache.pageBytes(frame), 300 * 4096);
  assert.equal(cache.memorySize - before, 300 * 4096);
  cache.drop(10);
  assert.equal(cache.memorySize, before);
});

test("many pages with overflow one after the other: the memory stays within the limit", () => {
  const source = new Source(PAGE_SIZE, 400, 2);
  const limit = 8 * MIB;
  const cache = cacheOver(source, limit);
  for (let round = 0; round < 2; round++) {
    for (const pgid of source.starts) {
      expectPage(cache, source, pgid);
      assert.ok(cache.memorySize <= limit + 2 * PAGE_SIZE, `${cache.memorySize} bytes`);
    }
  }
});

test("a page with overflow in a cache full of single pages costs it few of them", () => {
  const source = new Source(4096, 3000, 2500);
  const cache = cacheOver(source, 8 * MIB);
  for (const pgid of source.starts) expectPage(cache, source, pgid);
  const small = source.starts.filter((pgid) => pgid < 1000);
  for (let round = 0; round < 2; round++) for (const pgid of small) cache.locate(pgid);
  const before = source.reads;
  for (let round = 0; round < 4; round++) {
    cache.drop(2500);
    cache.locate(2500);
    for (const pgid of small) cache.locate(pgid);
  }
  const lost = source.reads - before - 8;
  assert.ok(lost < small.length, `${lost} of ${4 * small.length} pages in use had to be read again`);
});

interface Damage {
  readonly what: string;
  readonly spoil: (page: Buffer) => void;
  readonly message: RegExp;
}

const DAMAGES: readonly Damage[] = [
  { what: "another page's id", spoil: (page) => writeU64(page, 0, 77), message: /^page 5: identifies as page 77$/ },
  { what: "no page type", spoil: (page) => page.writeUInt16LE(0, 8), message: /^page 5: flags 0x0 name neither/ },
  { what: "a freelist", spoil: (page) => page.writeUInt16LE(0x10, 8), message: /^page 5: flags 0x10 name neither/ },
  { what: "two types", spoil: (page) => page.writeUInt16LE(3, 8), message: /^page 5: flags 0x3 name neither/ },
  { what: "overflow past the end", spoil: (page) => page.writeUInt32LE(45, 12), message: /^page 5: 45 overflow pages reach past the high-water mark 50$/ },
  { what: "too many elements", spoil: (page) => setCount(page, 0, 9999), message: /^page 5: 9999 elements do not fit/ },
];

test("a page that cannot be is refused each time, takes no frame and hides no other", () => {
  for (const { what, spoil, message } of DAMAGES) {
    const source = new Source(4096, 50);
    const cache = cacheOver(source, 1);
    expectPage(cache, source, 4);
    const { memorySize } = cache;
    spoil(Buffer.from(source.bytes.buffer, 5 * 4096, 4096));
    for (let i = 0; i < 1000; i++) assert.throws(() => cache.locate(5), { code: "CORRUPT", message }, what);
    assert.equal(cache.memorySize, memorySize);
    for (const pgid of source.starts) if (pgid !== 5) expectPage(cache, source, pgid);
  }
});

test("pages out of bounds are never read", () => {
  const source = new Source(4096, 50);
  const cache = cacheOver(source, MIB);
  for (const pgid of [0, 1, 50, 2 ** 31, 2 ** 52]) assert.throws(() => cache.locate(pgid), { code: "CORRUPT", message: `page ${pgid}: out of bounds: 50` });
  assert.equal(source.reads, 0);
});

test("a read that fails leaves nothing behind: the next one finds the page", () => {
  const source = new Source(PAGE_SIZE, 60, 3);
  let fails = false;
  const cache = new PageCache(PAGE_SIZE, 1, {
    readPages: (pgid, target) => {
      if (fails && pgid % 3 !== 0) throw boltError("STALE_SNAPSHOT");
      source.readPages(pgid, target);
    },
  });
  cache.highWaterMark = 60;
  const { memorySize } = cache;
  for (let round = 0; round < 50; round++) {
    fails = true;
    // 3 has an overflow page 4: its first read succeeds, the second fails.
    for (const pgid of [3, 5]) assert.throws(() => cache.locate(pgid), { code: "STALE_SNAPSHOT" });
    fails = false;
    for (const pgid of [3, 5]) {
      expectPage(cache, source, pgid);
      cache.drop(pgid);
    }
  }
  assert.ok(cache.memorySize - memorySize <= 2 * MIB, `${cache.memorySize} bytes`);
});

test("pages with many keys in place of pages with few: their longer indexes stay within the limit, too, but for the last one that grew", () => {
  const [few, many] = [1, 230].map((keyCount) => {
    const page = new Uint8Array(4096);
    writeLeaf(page, 0, 0, Array.from({ length: keyCount }, (_, i) => ({ key: Buffer.of(i + 1), value: "" })));
    return page;
  }) as [Uint8Array, Uint8Array];
  const limit = 8 * MIB;
  const cache = new PageCache(4096, limit, {
    readPages(pgid, target) {
      target.set(pgid < 3000 ? few : many);
      writeU64(target, 0, pgid);
    },
  });
  cache.highWaterMark = 6000;
  for (let pgid = 2; pgid < 3000; pgid++) cache.locate(pgid);
  const before = cache.memorySize;
  assert.ok(before <= limit && before > limit - 2 * MIB, `${before} bytes`);
  for (let pgid = 3000; pgid < 6000; pgid++) {
    const frame = cache.locate(pgid);
    assert.equal(foundIndex(searchPage(cache, frame, Buffer.of(200))), 199);
    assert.ok(cache.memorySize <= limit + 256 * 4 * (4 + 256 + 8), `${cache.memorySize} bytes`);
  }
});

test("a branch page is told from a leaf by its index", () => {
  const source = new Source(4096, 10);
  writeBranch(source.bytes, 4 * 4096, 4, [["a", 2], ["b", 3]]);
  const cache = cacheOver(source, MIB);
  const frame = cache.locate(4);
  const slab = cache.slabIndex[frame >>> cache.frameBits]!;
  const head = slab[slab[frame & cache.frameMask]!]!;
  assert.equal(head, 2 | INDEX_BRANCH | INDEX_COMPACT);
});

test("a page that the writer began empty gets an index of its keys' common beginning when it is the version of a page", () => {
  const cache = cacheOver(new Source(PAGE_SIZE, 4), 4 * MIB);
  const keys = Array.from({ length: 20 }, (_, i) => Buffer.from(`tenant/object/${10 + i}`));
  const frame = cache.takeEmpty();
  for (const [i, key] of keys.entries()) insertElement(cache, frame, i, key, Buffer.from("value"), 0);
  cache.adopt(frame, 3);
  assert.equal(cache.locate(3), frame);
  const index = cache.slabIndex[frame >>> cache.frameBits]!;
  assert.equal(index[index[frame & cache.frameMask]! + INDEX_PREFIX_SIZE], "tenant/object/".length);
  for (const [i, key] of keys.entries()) assert.equal(foundIndex(searchPage(cache, frame, key)), i);
});
