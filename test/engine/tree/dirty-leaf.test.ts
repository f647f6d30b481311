/** A leaf that a transaction changes: what views lead to stays as it is, at no more memory than that of the values put. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tree } from "../../../engine/tree/tree.js";
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
    assert.equal(store.arena.frames.size, 0);
    assert.deepEqual(Buffer.from(view), Buffer.alloc(5000));
    store.commit(tree);
    store.verify();
    assert.equal(store.read().lookup(keys[299]!), what === "overwritten");
  });
}

const ONE = KEYS[0]!;
const OTHER = KEYS[1]!;

/** Bytes of the sources that a transaction still holds, each once. */
function sourceBytes({ arena }: TreeStore): number {
  return [...new Set(arena.sources)].reduce((sum, { length }) => sum + length, 0);
}

for (const [what, turn] of [
  ["one value that its page has no room for", (tree) => {
    tree.put(ONE, Buffer.alloc(5000, 1), 0);
    assert.ok(tree.remove(ONE, 0));
  }],
  ["a value that grows out of its page", (tree) => {
    tree.put(ONE, Buffer.alloc(100, 1), 0);
    tree.put(ONE, Buffer.alloc(5000, 1), 0);
    assert.ok(tree.remove(ONE, 0));
  }],
  ["a value that is viewed", (tree, view) => {
    tree.put(ONE, Buffer.alloc(1000, 1), 0);
    view(ONE);
    assert.ok(tree.remove(ONE, 0));
  }],
  ["a value that is viewed, and its neighbour", (tree, view) => {
    tree.put(ONE, Buffer.alloc(1000, 1), 0);
    tree.put(OTHER, Buffer.alloc(1000, 1), 0);
    view(ONE);
    assert.ok(tree.remove(ONE, 0));
    assert.ok(tree.remove(OTHER, 0));
  }],
] as readonly [string, (tree: Tree, view: (key: Buffer) => void) => void][]) {
  test(`a leaf that is filled with ${what} and emptied again and again keeps no frame and no memory but that of a few turns`, () => {
    const store = new TreeStore(4096);
    fill(store, [ONE], 10);
    const tree = store.begin();
    const views: Uint8Array[] = [];
    const view = (key: Buffer): void => {
      assert.ok(tree.lookup(key));
      views.push(tree.viewValue());
    };
    assert.ok(tree.remove(ONE, 0));
    turn(tree, view);
    const { memorySize } = store.cache;
    for (let round = 0; round < 3000; round++) turn(tree, view);
    assert.equal(store.arena.frames.size, 0);
    assert.equal(store.cache.memorySize, memorySize);
    store.arena.columns(1);
    assert.ok(store.arena.offset < 1000, `${store.arena.offset} words of element columns`);
    assert.ok(sourceBytes(store) <= 20 << 18, `${sourceBytes(store)} bytes of values`);
    for (const viewed of views) assert.deepEqual(Buffer.from(viewed), Buffer.alloc(1000, 1));
    store.commit(tree);
    store.verify();
    assert.ok(!new TreeCursor(store.read()).first());
  });
}

test("leaves whose values are viewed and deleted give their memory back before the commit, and the views stay as they are", () => {
  const store = new TreeStore(4096);
  const keys = Array.from({ length: 20_000 }, (_, i) => Buffer.from(`key ${100_000 + i}`));
  const memorySize = fill(store, keys, 200);
  const tree = store.begin();
  let last: Uint8Array = Buffer.alloc(0);
  for (const key of keys) {
    assert.ok(tree.lookup(key));
    last = tree.viewValue();
    assert.ok(tree.remove(key, 0));
  }
  assert.equal(store.arena.frames.size, 0);
  assert.ok(store.cache.memorySize <= memorySize + (1 << 16), `${store.cache.memorySize} bytes where ${memorySize} were enough`);
  assert.ok(sourceBytes(store) <= memorySize, `${sourceBytes(store)} bytes of pages that nothing points into`);
  assert.deepEqual(Buffer.from(last), Buffer.alloc(200));
  store.commit(tree);
  store.verify();
});

test("a leaf that is viewed and emptied leaves the elements of its neighbour in the same slab where they are", () => {
  const store = new TreeStore(4096);
  const keys = Array.from({ length: 40 }, (_, i) => Buffer.from(`key ${1000 + i}`));
  fill(store, keys, 200);
  const tree = store.begin();
  for (const key of keys) {
    assert.ok(tree.lookup(key));
    tree.viewValue();
  }
  assert.ok(tree.remove(keys[39]!, 0));
  for (const key of keys.slice(0, 30)) assert.ok(tree.remove(key, 0));
  for (const key of keys.slice(30, 39)) {
    assert.ok(tree.lookup(key));
    assert.deepEqual(tree.copyValue(), Buffer.alloc(200));
  }
  store.commit(tree);
  store.verify();
  assert.ok(store.read().lookup(keys[38]!));
});
