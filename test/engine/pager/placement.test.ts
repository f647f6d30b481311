/** Where a commit puts its pages: side by side where there is room, in holes where there is none; and which it need not write at all. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type DB, MemoryStorage, open } from "../../../engine/index.js";
import { Freelist } from "../../../engine/pager/freelist.js";
import { Placement, type PlaceableTreePage } from "../../../engine/pager/placement.js";
import { Random, seedOfRun } from "../../support/random.js";
import { boltError, keyOf, requireBucket, verify, withDatabase } from "../tx/database.js";

const MIB = 1 << 20;

/** Counts the writes of pages, each a run of neighbours. */
class CountingStorage extends MemoryStorage {
  runCount = 0;

  override write(chunks: readonly Uint8Array[], position: number): void {
    if (position >= 2 * 4096) this.runCount++;
    super.write(chunks, position);
  }

  /** Runs of pages that a change writes. */
  runsOf(change: () => void): number {
    this.runCount = 0;
    change();
    return this.runCount;
  }
}

function withCounting(use: (db: DB, storage: CountingStorage) => void): void {
  const storage = new CountingStorage();
  const db = open("test.db", { storage });
  try {
    use(db, storage);
    verify(db, storage);
  } finally {
    db.close();
  }
}

/** Bytes of pages that a change writes. */
function bytesOf(db: DB, change: () => void): number {
  const before = db.stats().txStats.pageAlloc;
  change();
  return db.stats().txStats.pageAlloc - before;
}

function putAll(db: DB, indexes: Iterable<number>, value: Buffer): void {
  db.update((tx) => {
    const bucket = tx.createBucketIfNotExists("bucket");
    for (const i of indexes) bucket.put(keyOf(i), value);
  });
}

test("many pages of a commit are one write while the file is small, and it stays within twice what it holds", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  const random = new Random(seed);
  withCounting((db, storage) => {
    putAll(db, Array(8000).keys(), Buffer.alloc(200));
    const held = storage.size();
    let runCount = 0;
    for (let round = 0; round < 60; round++) {
      const change = (): void => putAll(db, Array.from({ length: 60 }, () => random.below(8000)), Buffer.alloc(200, round));
      runCount += storage.runsOf(change);
      if (round < 4) assert.equal(runCount, round + 1);
    }
    // Later in the longest holes that there are: about 75 pages a commit.
    assert.ok(runCount < 60 * 25, `${runCount / 60} writes a commit`);
    assert.ok(storage.size() < 2.6 * held, `${storage.size()} bytes, ${held} at first`);
  });
});

test("few pages fill holes, and so do many where the limit leaves no room to grow", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  const random = new Random(seed);
  withDatabase(({ db, storage }) => {
    putAll(db, Array(3000).keys(), Buffer.alloc(200));
    for (let i = 0; i < 200; i++) putAll(db, [(i * 7919) % 3000], Buffer.alloc(200, i));
    const size = storage.size();
    for (let i = 0; i < 2000; i++) putAll(db, [(i * 7919) % 3000], Buffer.alloc(200, i));
    assert.equal(storage.size(), size);
  });
  withDatabase(({ db, storage }) => {
    putAll(db, Array(9000).keys(), Buffer.alloc(200));
    const limit = 3_500_000;
    assert.ok(storage.size() * 2 > limit, "less than half of the file becomes holes");
    for (let round = 0; round < 30; round++) putAll(db, Array.from({ length: 60 }, () => random.below(9000)), Buffer.alloc(200, round));
    assert.ok(storage.size() <= limit);
  }, { maxSize: 3_500_000 });
});

test("near its limit a file keeps room for large values: no commit is refused that single pages between them would have left room for", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  const random = new Random(seed);
  const storage = new MemoryStorage();
  const largeKey = (i: number): string => `${keyOf(13 * i)} large`;
  const initial = open("test.db", { storage });
  initial.update((tx) => {
    const bucket = tx.createBucket("bucket");
    for (let i = 0; i < 3000; i++) bucket.put(keyOf(i), Buffer.alloc(100));
    for (let i = 0; i < 200; i++) bucket.put(largeKey(i), Buffer.alloc(40_000));
  });
  const { freePageN, pendingPageN } = initial.stats();
  const used = initial.view((tx) => tx.size) - (freePageN + pendingPageN) * 4096;
  initial.close();
  const db = open("test.db", { storage, maxSize: Math.floor(1.22 * used) });
  for (let round = 0; round < 1000; round++) {
    const count = [1, 3, 8, 20, 60][random.below(5)]!;
    db.update((tx) => {
      const bucket = requireBucket(tx.bucket("bucket"));
      for (let i = 0; i < count; i++) bucket.put(keyOf(random.below(3000)), Buffer.alloc(100, round));
      if (round % 5 === 0) bucket.put(largeKey(random.below(200)), Buffer.alloc(40_000, round));
    });
  }
  verify(db, storage);
  db.close();
});

test("a run of free pages is taken whole, the freelist with it", () => {
  withCounting((db, storage) => {
    putAll(db, Array(2000).keys(), Buffer.alloc(200));
    db.update((tx) => {
      const other = tx.createBucket("other");
      for (let i = 0; i < 2000; i++) other.put(keyOf(i), Buffer.alloc(200));
    });
    db.update((tx) => tx.deleteBucket("other"));
    for (let i = 0; i < 3; i++) putAll(db, [0], Buffer.alloc(1, i));
    for (let i = 0; i < 20; i++) assert.equal(storage.runsOf(() => putAll(db, [i * 97], Buffer.alloc(200, 1))), 1);
  });
});

const LARGE_FILE = { pageSize: 4096, maxSize: 2 ** 40, isShrinking: false };

function freelistOf(ids: readonly number[], highWaterMark: number): Freelist {
  const freelist = new Freelist(() => {});
  freelist.load(Float64Array.from(ids), new Float64Array(0), highWaterMark);
  freelist.begin(1);
  return freelist;
}

function treePages(count: number, isBranch: boolean): PlaceableTreePage[] {
  return Array.from({ length: count }, () => ({ pageCount: 1, pgid: 0, isBranch }));
}

function placesOf(pages: readonly PlaceableTreePage[]): number[] {
  return pages.map(({ pgid }) => pgid);
}

/** `count` numbers from `first` on, `step` apart. */
function numbers(first: number, count: number, step = 1): number[] {
  return Array.from({ length: count }, (_, i) => first + i * step);
}

test("in a large file branch pages and the root get the longest runs, leaves the lowest holes; with much of it free leaves get long runs, too", () => {
  const mark = 10_000;
  const holes = numbers(100, 60, 2);
  const run = numbers(5000, 31);
  for (const isMuchFree of [false, true]) {
    const otherRun = numbers(6000, isMuchFree ? 1500 : 0);
    const leaves = treePages(40, false);
    const branches = treePages(30, true);
    const root = treePages(1, false);
    const placement = new Placement(freelistOf([...holes, ...run, ...otherRun], mark), LARGE_FILE, mark);
    placement.place([...leaves, ...branches, ...root], undefined);
    assert.deepEqual(placesOf([...branches, ...root]), run);
    assert.deepEqual(placesOf(leaves), isMuchFree ? otherRun.slice(0, 40) : holes.slice(0, 40));
    assert.equal(placement.highWaterMark, mark);
  }
});

test("many pages of a large file do not take one run together, from which the leaves would not go for long", () => {
  const mark = 10_000;
  const run = numbers(5000, 200);
  const leaves = treePages(40, false);
  const branches = treePages(30, true);
  new Placement(freelistOf([...numbers(100, 60, 2), ...run], mark), LARGE_FILE, mark).place([...leaves, ...branches], undefined);
  assert.deepEqual(placesOf(branches), run.slice(0, 30));
  assert.deepEqual(placesOf(leaves), numbers(100, 40, 2));
});

test("few pages take one run together, but fill holes where the file has reached half of its limit: the run is left for a large value", () => {
  const mark = 1000;
  const holes = numbers(100, 60, 2);
  const run = numbers(800, 40);
  for (const [maxSize, places] of [[2 * mark * 4096, run.slice(0, 10)], [2 * mark * 4096 - 1, holes.slice(0, 10)]] as const) {
    const pages = treePages(10, false);
    new Placement(freelistOf([...holes, ...run], mark), { ...LARGE_FILE, maxSize }, mark).place(pages, undefined);
    assert.deepEqual(placesOf(pages).sort((a, b) => a - b), places);
  }
});

test("changes all over a large tree leave runs for its branch pages: scattered at first, after some hundred commits they are a few writes", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  const random = new Random(seed);
  const leafCount = 12_000;
  const pages = [...treePages(leafCount, false), ...treePages(leafCount / 150 + 1, true)];
  const mark = 2 + Math.ceil(pages.length * 1.06);
  // Everything lies anywhere at first.
  const ids = numbers(2, mark - 2);
  for (let i = ids.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [ids[i], ids[j]] = [ids[j]!, ids[i]!];
  }
  for (const page of pages) page.pgid = ids.pop()!;
  const freelist = new Freelist(() => {});
  freelist.load(Float64Array.from(ids.sort((a, b) => a - b)), new Float64Array(0), mark);
  const runCounts: number[] = [];
  for (let serial = 1; serial <= 900; serial++) {
    freelist.begin(serial);
    const changed = new Set<number>([pages.length - 1]);
    for (let i = 0; i < 50; i++) {
      const leaf = random.below(leafCount);
      changed.add(leaf).add(leafCount + Math.floor(leaf / 150));
    }
    const tree = [...changed].sort((a, b) => a - b).map((i) => pages[i]!);
    for (const page of tree) freelist.release(page.pgid, 1);
    const placement = new Placement(freelist, LARGE_FILE, mark);
    placement.place(tree, undefined);
    assert.equal(placement.highWaterMark, mark, "the file does not grow");
    freelist.commit(serial, mark, mark);
    const places = placesOf(tree.filter(({ isBranch }) => isBranch)).sort((a, b) => a - b);
    assert.equal(new Set(placesOf(pages)).size, pages.length, "no two pages in one place");
    runCounts.push(places.filter((pgid, i) => pgid !== places[i - 1]! + 1).length);
  }
  const average = (counts: readonly number[]): number => counts.reduce((a, b) => a + b) / counts.length;
  const [atFirst, inTheEnd] = [average(runCounts.slice(0, 20)), average(runCounts.slice(-100))];
  t.diagnostic(`writes of branch pages a commit: ${atFirst} at first, ${inTheEnd} in the end`);
  assert.ok(inTheEnd < 10 && inTheEnd * 2 < atFirst, `${inTheEnd} writes of branch pages a commit, ${atFirst} at first`);
});

test("a large value is not written again because a neighbour of its key comes, changes or goes", () => {
  withDatabase(({ db }) => {
    const large = (fill: number): Buffer => Buffer.alloc(MIB, fill);
    putAll(db, [500], large(1));
    const isSmall = (change: () => void): void => assert.ok(bytesOf(db, change) < 100_000);
    isSmall(() => putAll(db, [400], Buffer.from("before")));
    isSmall(() => putAll(db, [600], Buffer.from("behind")));
    isSmall(() => putAll(db, [400, 450, 550], Buffer.alloc(3000)));
    isSmall(() => db.update((tx) => { for (const i of [450, 550, 600]) requireBucket(tx.bucket("bucket")).delete(keyOf(i)); }));
    const bytes = bytesOf(db, () => putAll(db, [300, 700], large(2)));
    assert.ok(bytes > 2 * MIB && bytes < 2 * MIB + 100_000, `${bytes} bytes for two new values`);
    db.view((tx) => assert.deepEqual([300, 500, 700].map((i) => requireBucket(tx.bucket("bucket")).get(keyOf(i))), [large(2), large(1), large(2)]));
  });
});

test("the pages of a large value are free once it is replaced, deleted, or moved by a shrink", () => {
  withDatabase(({ db, storage }) => {
    putAll(db, [1, 2, 3], Buffer.alloc(MIB, 1));
    putAll(db, [2], Buffer.from("small"));
    putAll(db, [1], Buffer.alloc(MIB, 2));
    db.update((tx) => requireBucket(tx.bucket("bucket")).delete(keyOf(3)));
    verify(db, storage);
    for (let i = 0; i < 3; i++) putAll(db, [9], Buffer.alloc(1, i));
    assert.ok(db.stats().freePageN >= 2 * 256, `${db.stats().freePageN} free pages`);
    db.shrink();
    verify(db, storage);
    assert.ok(storage.size() < 1.5 * MIB, `${storage.size()} bytes`);
    db.view((tx) => assert.deepEqual(requireBucket(tx.bucket("bucket")).get(keyOf(1)), Buffer.alloc(MIB, 2)));
  });
});

test("memory of a large value serves the next one; what readers and callers have seen of the first stays", () => {
  withDatabase(({ db }) => {
    for (let round = 0; round < 5; round++) {
      putAll(db, [1], Buffer.alloc(200_000, round));
      const reader = db.begin();
      const copy = requireBucket(reader.bucket("bucket")).get(keyOf(1));
      const view = requireBucket(reader.bucket("bucket")).getView(keyOf(1));
      db.update((tx) => {
        const bucket = requireBucket(tx.bucket("bucket"));
        bucket.put(keyOf(1), Buffer.alloc(200_000, 100 + round));
        const changed = bucket.getView(keyOf(1));
        bucket.put(keyOf(2), Buffer.alloc(200_000, 200));
        bucket.put(keyOf(1), Buffer.alloc(200_000, 150));
        assert.deepEqual(changed, new Uint8Array(200_000).fill(100 + round));
      });
      putAll(db, [3], Buffer.alloc(200_000, 250));
      assert.deepEqual(copy, Buffer.alloc(200_000, round));
      assert.deepEqual(view, new Uint8Array(200_000).fill(round));
      reader.rollback();
    }
  });
});

test("a commit of large values that fails leaves the old ones", () => {
  class FullStorage extends MemoryStorage {
    isFull = false;

    override write(chunks: readonly Uint8Array[], position: number): void {
      if (this.isFull) throw new Error("no space left");
      super.write(chunks, position);
    }
  }
  const storage = new FullStorage();
  const db = open("test.db", { storage });
  putAll(db, [1, 2], Buffer.alloc(200_000, 1));
  storage.isFull = true;
  assert.throws(() => putAll(db, [0, 1], Buffer.alloc(200_000, 2)), boltError("IO", /no space left/));
  storage.isFull = false;
  putAll(db, [3], Buffer.alloc(200_000, 3));
  db.view((tx) => assert.deepEqual([...requireBucket(tx.bucket("bucket")).entries()].map(([, value]) => value[0]), [1, 1, 3]));
  verify(db, storage);
  db.close();
});
