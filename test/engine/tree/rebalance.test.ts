/** What deletions leave: no page too empty, no branch with one child, roots that collapse, pages released exactly once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FLAG_BRANCH } from "../../../engine/format/constants.js";
import { readPageHeader } from "../../../engine/format/page.js";
import { open } from "../../../engine/index.js";
import { MemoryStorage } from "../../../engine/storage/memory-storage.js";
import { rawProblems } from "../../support/raw-check.js";
import { Random, seedOfRun } from "../../support/random.js";
import type { Tree } from "../../../engine/tree/tree.js";
import { TreeStore } from "./store.js";

const seed = seedOfRun();

function keyOf(i: number): Buffer {
  return Buffer.from(String(i).padStart(8, "0"));
}

function filled(count: number, valueSize = 20): TreeStore {
  const store = new TreeStore();
  const tree = store.begin();
  for (let i = 0; i < count; i++) tree.put(keyOf(i), Buffer.alloc(valueSize, i), 0);
  store.commit(tree);
  return store;
}

function remove(store: TreeStore, keys: Iterable<number>): void {
  const tree = store.begin();
  for (const i of keys) assert.equal(tree.remove(keyOf(i), 0), true);
  store.commit(tree);
  store.verify();
}

function range(from: number, to: number, step = 1): number[] {
  return Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step);
}

function isBranch(page: Uint8Array): boolean {
  return readPageHeader(page, 0).flags === FLAG_BRANCH;
}

/** Bytes of header, elements and data. */
function usedBytes(page: Uint8Array): number {
  return page.findLastIndex((byte) => byte !== 0) + 1;
}

test("pages that keep a few elements each are merged until they are filled", () => {
  const store = filled(4800); // 200 leaves of 24 elements
  assert.ok(store.pages.size >= 200);
  remove(store, range(0, 4800).filter((i) => i % 24 !== 0));
  // 200 elements of 44 bytes are left: with no page under a quarter at most 40 leaves, and the branches above.
  assert.ok(store.pages.size <= 45, `${store.pages.size} pages`);
  assert.ok(store.counts.rebalance > 100);
});

for (const [name, keys] of [
  ["the first half", range(0, 2400)],
  ["the second half", range(2400, 4800)],
  ["all but the first", range(1, 4800)],
  ["all but the last", range(0, 4799)],
  ["all but the two ends", range(1, 4799)],
  ["the middle", range(30, 4700)],
  ["every second leaf", range(0, 4800).filter((i) => Math.floor(i / 24) % 2 === 0)],
  ["all", range(0, 4800)],
] as const) {
  test(`removing ${name} leaves a sound tree with its pages released, at once and in steps`, () => {
    for (const commitCount of [1, 7]) {
      const store = filled(4800);
      const size = Math.ceil(keys.length / commitCount);
      for (let i = 0; i < commitCount; i++) remove(store, keys.slice(i * size, (i + 1) * size));
      const left = 4800 - keys.length;
      let count = 0;
      for (const page of store.pages.values()) if (!isBranch(page)) count += readPageHeader(page, 0).count;
      assert.equal(count, left);
      // A leaf holds 24; at worst a quarter of that.
      assert.ok(store.pages.size <= Math.max(1, Math.ceil(left / 5) + 10), `${store.pages.size} pages for ${left} elements`);
    }
  });
}

test("a root with one child collapses, over several levels", () => {
  const store = filled(20_000);
  assert.ok(isBranch(store.pages.get(store.root)!));
  remove(store, range(0, 20_000).filter((i) => i !== 12_345));
  assert.equal(store.pages.size, 1);
  assert.equal(isBranch(store.pages.get(store.root)!), false);
  assert.equal(readPageHeader(store.pages.get(store.root)!, 0).count, 1);
});

test("a root that collapses onto an unchanged branch takes that page as it is", () => {
  const store = filled(40_000);
  const rootPage = store.pages.get(store.root)!;
  assert.ok(readPageHeader(rootPage, 0).count >= 2);
  const before = new Map(store.pages);
  // Only keys below the root's last child stay.
  const children = readPageHeader(rootPage, 0).count;
  const lastKey = Number(rootKey(rootPage, children - 1));
  remove(store, range(0, lastKey));
  assert.ok(before.has(store.root), "the root is a page from before");
  assert.equal(before.get(store.root), store.pages.get(store.root));
});

function rootKey(page: Uint8Array, i: number): string {
  const bytes = Buffer.from(page);
  const element = 16 + 16 * i;
  const start = element + bytes.readUInt32LE(element);
  return bytes.toString("latin1", start, start + bytes.readUInt32LE(element + 4));
}

test("a small leaf beside one with overflow pages is left alone, and so is the large one", () => {
  const store = new TreeStore();
  const tree = store.begin();
  for (let i = 0; i < 20; i++) tree.put(keyOf(i), Buffer.alloc(i === 10 ? 5000 : 90), 0);
  store.commit(tree);
  const large = [...store.pages].find(([, page]) => page.length > 1024);
  remove(store, [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18]);
  assert.equal(store.pages.get(large?.[0] ?? 0), large?.[1]);
  const leaves = [...store.pages.values()].filter((page) => !isBranch(page));
  assert.deepEqual(leaves.map((page) => readPageHeader(page, 0).count).sort(), [1, 1, 1]);
});

/** Page ids and bytes of the leaves with one element. */
function lonePages(store: TreeStore): Map<number, Uint8Array> {
  return new Map([...store.pages].filter(([, page]) => !isBranch(page) && readPageHeader(page, 0).count === 1));
}

for (const size of [600, 900, 5000]) {
  test(`the page of an element of ${size} bytes, alone on it, stays where it is until the element changes or goes`, () => {
    const store = new TreeStore(1024);
    const put = (tree: Tree, i: number, fill: number): void => { tree.put(keyOf(i), Buffer.alloc(size, fill), 0); };
    const change = (work: (tree: Tree) => void): void => {
      const tree = store.begin();
      work(tree);
      store.commit(tree);
      store.verify();
    };
    change((tree) => { for (const i of [20, 40, 60]) put(tree, i, i); });
    const before = lonePages(store);
    assert.equal(before.size, 3);
    change((tree) => { for (const i of [10, 30, 50, 70]) put(tree, i, i); });
    for (const [pgid, page] of before) assert.equal(store.pages.get(pgid), page);
    const [first, second, third] = before.keys();
    change((tree) => {
      put(tree, 15, 15);
      tree.put(keyOf(20), Buffer.alloc(size + 500, 21), 0);
      put(tree, 45, 45);
      tree.put(keyOf(65), Buffer.alloc(5), 0);
      tree.remove(keyOf(45), 0);
      tree.remove(keyOf(60), 0);
    });
    assert.deepEqual([first!, second!, third!].map((pgid) => store.pages.get(pgid) === before.get(pgid)), [false, true, false]);
    const read = store.read();
    for (const [i, fill] of [[10, 10], [15, 15], [30, 30], [40, 40], [50, 50], [70, 70]] as const) {
      assert.ok(read.lookup(keyOf(i)));
      assert.deepEqual(read.copyValue(), Buffer.alloc(size, fill));
    }
    assert.ok(read.lookup(keyOf(20)));
    assert.deepEqual(read.copyValue(), Buffer.alloc(size + 500, 21));
    assert.ok(read.lookup(keyOf(65)) && !read.lookup(keyOf(60)) && !read.lookup(keyOf(45)));
  });
}

test("a large value of which only the key is in memory is written anew with all its bytes where large pages are not kept", () => {
  const store = new TreeStore();
  const value = Buffer.alloc(5000, "large value;");
  const filling = store.begin();
  for (let i = 0; i < 20; i++) filling.put(keyOf(i), i === 10 ? value : Buffer.alloc(90), 0);
  store.commit(filling);
  const tree = store.begin();
  tree.put(Buffer.from(`${keyOf(10).toString()} and behind`), Buffer.alloc(90), 0);
  store.commit(tree, 0.5, false);
  store.verify();
  const large = [...store.pages.values()].find((page) => page.length > 1024);
  assert.ok(large !== undefined && Buffer.from(large).includes(value));
});

/** A tree with a full leaf for each count, from which all but so many elements were taken; its keys are even. */
function withLeaves(counts: readonly number[], valueSize = 20): TreeStore {
  const full = Math.floor((1024 - 16) / (16 + 8 + valueSize));
  const store = new TreeStore();
  const filling = store.begin();
  for (let i = 0; i < full * counts.length; i++) filling.put(keyOf(2 * i), Buffer.alloc(valueSize, i), 0);
  store.commit(filling);
  remove(store, counts.flatMap((count, leaf) => range(leaf * full + count, (leaf + 1) * full)).map((i) => 2 * i));
  assert.deepEqual(leaves(store).map(({ count }) => count), counts);
  return store;
}

/** Page ids and element counts of the leaves below the root, from left to right. */
function leaves(store: TreeStore): { pgid: number; count: number }[] {
  const root = Buffer.from(store.pages.get(store.root)!);
  return range(0, readPageHeader(root, 0).count).map((i) => {
    const pgid = Number(root.readBigUInt64LE(16 + 16 * i + 8));
    return { pgid, count: readPageHeader(store.pages.get(pgid)!, 0).count };
  });
}

function putOne(store: TreeStore, key: number, valueSize = 20): void {
  const tree = store.begin();
  tree.put(keyOf(key), Buffer.alloc(valueSize), 0);
  store.commit(tree);
  store.verify();
}

for (const [name, before, key, after] of [
  ["its right neighbour", [22, 12, 22], 1, [18, 17, 22]],
  ["its left neighbour", [22, 12, 22], 89, [22, 18, 17]],
  ["the emptier one of the two", [14, 22, 10], 45, [14, 17, 16]],
  ["the emptier one of the two, on the other side", [10, 22, 14], 45, [17, 16, 14]],
  ["none where they would be too full, and is cut", [22, 22, 22], 45, [22, 11, 12, 22]],
] as const) {
  test(`a leaf that is too large shares with ${name}`, () => {
    const store = withLeaves(before);
    putOne(store, key);
    assert.deepEqual(leaves(store).map(({ count }) => count), after);
  });
}

test("the only leaf of a tree has nobody to share with", () => {
  const store = new TreeStore();
  const filling = store.begin();
  for (const i of range(0, 22)) filling.put(keyOf(2 * i), Buffer.alloc(20), 0);
  store.commit(filling);
  putOne(store, 21);
  assert.deepEqual(leaves(store).map(({ count }) => count), [11, 12]);
});

test("a leaf that grows at its end stays full, whatever room its neighbour has", () => {
  const store = withLeaves([8, 22]);
  const before = leaves(store);
  putOne(store, 87);
  const after = leaves(store);
  assert.equal(after[0]?.pgid, before[0]?.pgid);
  assert.deepEqual(after.map(({ count }) => count), [8, 22, 1]);
});

test("elements of which a page holds few are not moved: the neighbours' pages stay", () => {
  const store = withLeaves([3, 5, 3], 160);
  const before = leaves(store);
  putOne(store, 11, 160);
  const after = leaves(store);
  assert.deepEqual([after[0], after.at(-1)], [before[0], before[2]]);
  assert.deepEqual(after.map(({ count }) => count), [3, 2, 4, 3]);
});

test("a leaf that a merge has made too large shares as well", () => {
  const store = withLeaves([22, 20, 9, 22]);
  // Four elements of the second leaf go to the first, which has no room for them.
  remove(store, range(26, 42).map((i) => 2 * i));
  assert.deepEqual(leaves(store).map(({ count }) => count), [18, 17, 22]);
});

test("an element larger than all others together gets a page, and so do the others", () => {
  const store = new TreeStore();
  const filling = store.begin();
  for (const i of range(0, 22)) filling.put(keyOf(2 * i), Buffer.alloc(20), 0);
  for (const i of range(22, 30)) filling.put(keyOf(2 * i), Buffer.alloc(0), 0);
  filling.put(keyOf(60), Buffer.alloc(816), 0);
  store.commit(filling);
  remove(store, range(8, 22).map((i) => 2 * i));
  assert.deepEqual(leaves(store).map(({ count }) => count), [9, 8]);
  putOne(store, 59, 0);
  assert.deepEqual(leaves(store).map(({ count }) => count), [17, 1]);
});

test(`leaves that random puts have made are about three quarters full (SEED=${seed})`, () => {
  const random = new Random(seed);
  const store = new TreeStore(4096);
  for (let round = 0; round < 100; round++) {
    const tree = store.begin();
    for (let i = 0; i < 100; i++) tree.put(Buffer.from(`${random.below(1e15)}`.padStart(16, "0")), Buffer.alloc(100), 0);
    store.commit(tree);
  }
  store.verify();
  const pages = [...store.pages.values()].filter((page) => !isBranch(page));
  const fill = pages.reduce((sum, page) => sum + readPageHeader(page, 0).count, 0) * 132 / (pages.length * 4080);
  assert.ok(fill > 0.73, `${fill}`);
});

test(`after random deletions no page but a root is under a quarter full, but for the last of a cut (SEED=${seed})`, () => {
  const random = new Random(seed);
  const store = filled(6000, 30);
  const left = new Set(range(0, 6000));
  while (left.size > 300) {
    const from = random.below(6000);
    const victims = range(from, Math.min(6000, from + random.pick([1, 5, 60, 400]))).filter((i) => left.has(i) && random.below(10) > 0);
    for (const i of victims) left.delete(i);
    remove(store, victims);
    const small = [...store.pages].filter(([pgid, page]) => pgid !== store.root && usedBytes(page) <= 256).length;
    assert.ok(small <= store.pages.size / 4 + 1, `${small} of ${store.pages.size} pages are under a quarter full`);
  }
});

test(`trees of both page sizes survive random inserts and deletions in turn, with values of most of a page and of several (SEED=${seed})`, () => {
  const random = new Random(seed);
  for (const pageSize of [1024, 4096]) {
    const storage = new MemoryStorage();
    const db = open("rebalance", { storage, pageSize, noSync: true });
    db.update((tx) => { tx.createBucket("b"); });
    const model = new Map<string, number>();
    for (let round = 0; round < 40; round++) {
      db.update((tx) => {
        const bucket = tx.bucket("b");
        const isGrowing = round % 10 < 5;
        for (let i = 0; i < 150; i++) {
          const key = String(random.below(3000)).padStart(5, "0");
          if (random.below(10) < (isGrowing ? 8 : 1)) {
            const size = random.pick([0, 10, 100, 300, 800, 3000]);
            bucket?.put(key, Buffer.alloc(size, 1));
            model.set(key, size);
          } else for (const k of [...bucket?.keys({ gte: key, limit: 8 }) ?? []]) {
            bucket?.delete(k);
            model.delete(String(k));
          }
        }
      });
      assert.deepEqual(rawProblems(storage.bytes()), []);
    }
    db.view((tx) => {
      assert.deepEqual([...tx.bucket("b")?.entries() ?? []].map(([key, value]) => [String(key), value.length]), [...model].sort(([a], [b]) => (a < b ? -1 : 1)));
      assert.deepEqual([...tx.check()], []);
    });
    db.close();
  }
});
