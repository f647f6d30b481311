/** A leaf that a transaction changes: what views lead to stays as it is, at no more memory than that of the values put. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Tree } from "../../../engine/tree/tree.js";
import { TreeCursor } from "../../../engine/tree/tree-cursor.js";
import { TreeStore } from "./store.js";

const KEYS: readonly Buffer[] = Array.from({ length: 20 }, (_, i) => Buffer.from(`key ${10 + i}`));

/** A changed leaf page with a value of ten zeros for every key. */
function changedLeaf(store: TreeStore): Tree {
  fill(store, KEYS, 10);
  const tree = store.begin();
  tree.put(KEYS[0]!, Buffer.alloc(10), 0);
  return tree;
}

/** Commits a value of so many zeros for every key; gives the memory of the cache when it has read the last of them. */
function fill(store: TreeStore, keys: readonly Buffer[], valueSize: number): number {
  const tree = store.begin();
  for (const key of keys) tree.put(key, Buffer.alloc(valueSize), 0);
  store.commit(tree);
  assert.ok(new TreeCursor(store.read()).last());
  return store.cache.memorySize;
}

test("values that are viewed and changed in turns take no page of memory each time", () => {
  const store = new TreeStore(4096);
  const tree = changedLeaf(store);
  const { memorySize } = store.cache;
  for (let round = 1; round <= 1000; round++) {
    const key = KEYS[round % KEYS.length]!;
    assert.ok(tree.lookup(key));
    tree.viewValue();
    tree.put(key, Buffer.alloc(10, round), 0);
  }
  assert.equal(store.cache.memorySize, memorySize);
  store.commit(tree);
  store.verify();
  assert.ok(store.read().lookup(KEYS[0]!));
});

test("a view stays as it is when its element, one before it or one behind it is put again or removed, and so does the view of a view that was put", () => {
  for (const [name, change] of [
    ["the same size", (tree: Tree, key: Buffer) => { tree.put(key, Buffer.alloc(10, 7), 0); }],
    ["shorter", (tree: Tree, key: Buffer) => { tree.put(key, Buffer.alloc(3, 7), 0); }],
    ["longer", (tree: Tree, key: Buffer) => { tree.put(key, Buffer.alloc(90, 7), 0); }],
    ["removed", (tree: Tree, key: Buffer) => { tree.remove(key, 0); }],
    ["a view", (tree: Tree, key: Buffer) => {
      assert.ok(tree.lookup(KEYS[19]!));
      tree.put(key, tree.viewValue(), 0);
    }],
  ] as const) {
    for (const changed of [0, 9, 10, 11, 19]) {
      const store = new TreeStore();
      const tree = changedLeaf(store);
      tree.put(KEYS[10]!, Buffer.from("the viewed"), 0);
      assert.ok(tree.lookup(KEYS[10]!));
      const view = tree.viewValue();
      for (let i = 0; i < 3; i++) {
        change(tree, KEYS[changed]!);
        assert.equal(Buffer.from(view).toString(), "the viewed", `${name}, element ${changed}`);
      }
      tree.put(Buffer.from("key of a view"), view, 0);
      store.commit(tree);
      store.verify();
      const read = store.read();
      assert.ok(read.lookup(Buffer.from("key of a view")));
      assert.equal(read.copyValue().toString(), "the viewed");
    }
  }
});

test("leaves that are emptied give their memory back before the commit, and may be filled again", () => {
  const store = new TreeStore(4096);
  const keys = Array.from({ length: 40_000 }, (_, i) => Buffer.from(`key ${100_000 + i}`));
  const memorySize = fill(store, keys, 100);
  assert.ok(memorySize < 100 * keys.length, "the cache holds fewer pages than the tree has");
  for (const isRefilled of [true, false]) {
    const tree = store.begin();
    for (const key of keys) assert.ok(tree.remove(key, 0));
    // Key indexes may have grown a little.
    assert.ok(store.cache.memorySize <= memorySize + (1 << 16), `${store.cache.memorySize} bytes where ${memorySize} were enough`);
    for (const key of keys) assert.ok(!tree.lookup(key));
    if (isRefilled) for (const key of keys) tree.put(key, Buffer.alloc(100, 7), 0);
    store.commit(tree);
    store.verify();
  }
  assert.ok(!new TreeCursor(store.read()).first());
});

test("a leaf that is emptied and filled again and again takes no more memory, and is written as a page under the branch as it was", () => {
  const store = new TreeStore(4096);
  const keys = Array.from({ length: 400 }, (_, i) => Buffer.from(`key ${1000 + i}`));
  const memorySize = fill(store, keys, 3000);
  const tree = store.begin();
  for (let round = 0; round < 300; round++) {
    assert.ok(tree.remove(keys[7]!, 0));
    tree.put(keys[7]!, Buffer.alloc(3000, round), 0);
  }
  for (const isPut of [false, true, false, true]) {
    for (const key of keys) {
      if (isPut) tree.put(key, Buffer.alloc(3000, 9), 0);
      else assert.ok(tree.remove(key, 0));
    }
  }
  assert.ok(store.arena.sources.length <= 1, `${store.arena.sources.length} sources of bytes`);
  // All leaves at once take more frames than the cache had.
  assert.ok(store.cache.memorySize <= 2 * memorySize, `${store.cache.memorySize} bytes where ${memorySize} were enough`);
  store.commit(tree);
  assert.equal(store.counts.rebalance, 0);
  store.verify();
  const read = store.read();
  for (const key of keys) {
    assert.ok(read.lookup(key));
    assert.deepEqual(read.copyValue(), Buffer.alloc(3000, 9));
  }
});

for (const [what, change] of [
  ["put with more than a page holds and deleted", (tree, key, round) => {
    tree.put(key, Buffer.alloc(5000, round), 0);
    assert.ok(tree.remove(key, 0));
  }],
  ["put, viewed and deleted", (tree, key, round) => {
    tree.put(key, Buffer.alloc(100, round), 0);
    assert.ok(tree.lookup(key));
    tree.viewValue();
    assert.ok(tree.remove(key, 0));
  }],
  ["put, put with more than a page holds and deleted", (tree, key, round) => {
    tree.put(key, Buffer.alloc(100, round), 0);
    tree.put(key, Buffer.alloc(5000, round), 0);
    assert.ok(tree.remove(key, 0));
  }],
] as readonly [string, (tree: Tree, key: Buffer, round: number) => void][]) {
  test(`a key alone on its page that is ${what} a thousand times takes the memory of a few`, () => {
    const store = new TreeStore(4096);
    const keys = Array.from({ length: 20 }, (_, i) => Buffer.from(`key ${1000 + i}`));
    const memorySize = fill(store, keys, 3000);
    const tree = store.begin();
    tree.put(keys[7]!, Buffer.from("first"), 0);
    assert.ok(tree.lookup(keys[7]!));
    const view = tree.viewValue();
    for (let round = 0; round < 1000; round++) change(tree, keys[7]!, round);
    const { sources, taken, pinned } = store.arena;
    assert.ok(taken.size <= 2 && pinned.size <= 2, `${taken.size} frames taken, ${pinned.size} pinned`);
    const sourcesSize = sources.reduce((sum, bytes) => sum + bytes.length, 0);
    assert.ok(sourcesSize <= 8 << 20, `${sourcesSize} bytes in ${sources.length} sources`);
    assert.ok(store.cache.memorySize <= 2 * memorySize, `${store.cache.memorySize} bytes where ${memorySize} were enough`);
    assert.equal(Buffer.from(view).toString(), "first");
    tree.put(keys[7]!, Buffer.from("last"), 0);
    store.commit(tree);
    store.verify();
    const read = store.read();
    assert.ok(read.lookup(keys[7]!));
    assert.equal(read.copyValue().toString(), "last");
  });
}

for (const [what, change] of [
  ["overwritten", (tree, key) => { tree.put(key, Buffer.alloc(5000, 2), 0); }], ["deleted", (tree, key) => { assert.ok(tree.remove(key, 0)); }],
] as readonly [string, (tree: Tree, key: Buffer) => void][]) {
  test(`the page of a large value that is ${what} need not stay in memory; a view of it does`, () => {
    const store = new TreeStore(4096);
    const keys = Array.from({ length: 300 }, (_, i) => Buffer.from(`key ${1000 + i}`));
    fill(store, keys, 5000);
    const tree = store.begin();
    assert.ok(tree.lookup(keys[0]!));
    const view = tree.viewValue();
    for (const key of keys.slice(0, 10)) change(tree, key);
    const { memorySize } = store.cache;
    for (const key of keys.slice(10)) change(tree, key);
    assert.ok(store.cache.memorySize < memorySize + 20 * 8192, `${store.cache.memorySize} bytes, ${memorySize} after ten`);
    assert.equal(store.arena.pinned.size, 0);
    assert.deepEqual(Buffer.from(view), Buffer.alloc(5000));
    store.commit(tree);
    store.verify();
    assert.equal(store.read().lookup(keys[299]!), what === "overwritten");
  });
}

test("a tree that is given up gives back the memory of its pages and of its large values; views stay", () => {
  const store = new TreeStore(4096);
  fill(store, KEYS, 3000);
  const { memorySize } = store.cache;
  const views: Uint8Array[] = [];
  for (let round = 1; round <= 30; round++) {
    const tree = round % 2 === 0 ? store.begin() : new Tree(store.cache, store.arena, 0, undefined, 0);
    for (const key of KEYS) tree.put(key, Buffer.alloc(round % 3 === 0 ? 100_000 : 2000, round), 0);
    assert.ok(tree.lookup(KEYS[3]!));
    views.push(tree.viewValue());
    tree.forget();
  }
  const { sources, taken } = store.arena;
  assert.equal(taken.size, 0);
  const sourcesSize = sources.reduce((sum, bytes) => sum + bytes.length, 0);
  assert.ok(sourcesSize <= 8 << 20, `${sourcesSize} bytes in ${sources.length} sources`);
  assert.ok(store.cache.memorySize <= 3 * memorySize, `${store.cache.memorySize} bytes where ${memorySize} were enough`);
  for (const [i, view] of views.entries()) assert.deepEqual(Buffer.from(view), Buffer.alloc(view.length, i + 1));
});
