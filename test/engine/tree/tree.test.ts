/** A tree against a plain map: what is put and removed is what is found, before and after it was written, in any order. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BUCKET_FLAG } from "../../../engine/format/constants.js";
import { Tree } from "../../../engine/tree/tree.js";
import { TreeCursor } from "../../../engine/tree/tree-cursor.js";
import { Random, seedOfRun } from "../../support/random.js";
import { anyValue, hardKey } from "./arbitraries.js";
import { TreeStore } from "./store.js";

const seed = seedOfRun();

type Change = { readonly key: Buffer; readonly value: Buffer | undefined };
const change: fc.Arbitrary<Change> = fc.record({ key: hardKey, value: fc.oneof({ weight: 3, arbitrary: anyValue }, { weight: 2, arbitrary: fc.constant(undefined) }) });
const rounds = fc.array(fc.record({ changes: fc.array(change, { maxLength: 60 }), fill: fc.constantFrom(0.1, 0.5, 1), commits: fc.integer({ min: 0, max: 4 }) }), { maxLength: 8 });

function textOf(key: Uint8Array): string {
  return Buffer.from(key).toString("latin1");
}

function assertEqualsModel(tree: Tree, model: ReadonlyMap<string, Buffer>): void {
  const keys = [...model.keys()].sort();
  const cursor = new TreeCursor(tree);
  let found = cursor.first();
  for (const key of keys) {
    assert.ok(found, `there is an element for ${JSON.stringify(key)}`);
    assert.equal(textOf(cursor.bytes.subarray(cursor.keyStart, cursor.keyStart + cursor.keySize)), key);
    found = cursor.next();
  }
  assert.equal(found, false);
  for (const [key, value] of model) {
    assert.equal(tree.lookup(Buffer.from(key, "latin1")), true, JSON.stringify(key));
    assert.ok(tree.copyValue().equals(value));
  }
}

test(`random changes give what a map gives, and a sound tree with each commit (SEED=${seed})`, () => {
  fc.assert(fc.property(rounds, (list) => {
    const store = new TreeStore();
    let committed = new Map<string, Buffer>();
    for (const { changes, fill, commits } of list) {
      const tree = store.begin();
      const model = new Map(committed);
      for (const { key, value } of changes) {
        if (value === undefined) assert.equal(tree.remove(key, 0), model.delete(textOf(key)));
        else {
          tree.put(key, value, 0);
          model.set(textOf(key), value);
        }
        assert.equal(tree.lookup(key), model.has(textOf(key)));
      }
      assertEqualsModel(tree, model);
      if (commits > 0) {
        store.commit(tree, fill);
        committed = model;
      } else store.discard();
      if (store.root === 0) continue;
      store.verify();
      assertEqualsModel(store.read(), committed);
    }
  }), { seed, numRuns: 60 });
});

for (const [name, order] of [
  ["ascending", (i: number): number => i],
  ["descending", (i: number): number => 5000 - i],
  ["scattered", (i: number): number => (i * 7919) % 5003],
] as const) {
  test(`5,000 keys put in ${name} order are all found, in one commit or many, and all removed again`, () => {
    for (const commitCount of [1, 20]) {
      const store = new TreeStore();
      const keyOf = (i: number): Buffer => Buffer.from(`key ${String(order(i)).padStart(6, "0")}`);
      const model = new Map<string, Buffer>();
      for (let round = 0; round < commitCount; round++) {
        const tree = store.begin();
        for (let i = round; i < 5000; i += commitCount) {
          tree.put(keyOf(i), Buffer.from(`value ${i}`), 0);
          model.set(textOf(keyOf(i)), Buffer.from(`value ${i}`));
        }
        store.commit(tree);
      }
      store.verify();
      assertEqualsModel(store.read(), model);
      const tree = store.begin();
      for (let i = 0; i < 5000; i++) assert.equal(tree.remove(keyOf(i), 0), true);
      store.commit(tree);
      store.verify();
      assert.equal(store.pages.size, 1, "an empty leaf is left");
    }
  });
}

test("the right page is full after sequential puts, whatever the fill percent", () => {
  const store = new TreeStore();
  const tree = store.begin();
  for (let i = 0; i < 3000; i++) tree.put(Buffer.from(String(i).padStart(6, "0")), Buffer.alloc(20), 0);
  store.commit(tree, 0.5);
  // 24 elements of 42 bytes fit into 1,024.
  assert.ok(store.pages.size <= 3000 / 24 + 10, `${store.pages.size} pages`);
});

test("a put changes the page of its key and those above it, and no other", () => {
  const store = new TreeStore();
  const tree = store.begin();
  for (let i = 0; i < 5000; i++) tree.put(Buffer.from(String(i).padStart(6, "0")), Buffer.alloc(20), 0);
  store.commit(tree);
  const before = new Set(store.pages.keys());
  const again = store.begin();
  again.put(Buffer.from("002500"), Buffer.alloc(20, 1), 0);
  store.commit(again);
  const changed = [...store.pages.keys()].filter((pgid) => !before.has(pgid)).length;
  assert.ok(changed >= 2 && changed <= 4, `${changed} pages for a tree of three or four levels`);
});

test("what was put can be changed by the caller afterwards, also large values and what lookup gave", () => {
  const store = new TreeStore();
  const tree = store.begin();
  const key = Buffer.from("key");
  const small = Buffer.alloc(10, 1);
  const large = Buffer.alloc(100_000, 2);
  tree.put(key, small, 0);
  tree.put(Buffer.from("large"), large, 0);
  key.fill(0);
  small.fill(0);
  large.fill(0);
  assert.ok(tree.lookup(Buffer.from("key")));
  const copy = tree.copyValue();
  copy.fill(9);
  assert.deepEqual(tree.copyValue(), Buffer.alloc(10, 1));
  assert.ok(tree.lookup(Buffer.from("large")));
  assert.deepEqual(tree.copyValue(), Buffer.alloc(100_000, 2));
});

test("an element keeps its kind: a value is no bucket and a bucket no value, put or removed", () => {
  const store = new TreeStore();
  const tree = store.begin();
  const bucket = Buffer.from("bucket");
  tree.put(bucket, Buffer.alloc(32), BUCKET_FLAG);
  tree.put(Buffer.from("value"), Buffer.alloc(32), 0);
  for (const [key, flags] of [["bucket", 0], ["value", BUCKET_FLAG]] as const) {
    assert.throws(() => tree.put(Buffer.from(key), Buffer.alloc(32), flags), { code: "INCOMPATIBLE_VALUE" });
    assert.throws(() => tree.remove(Buffer.from(key), flags), { code: "INCOMPATIBLE_VALUE" });
  }
  assert.equal(tree.remove(bucket, BUCKET_FLAG), true);
  assert.equal(tree.remove(bucket, BUCKET_FLAG), false);
});

test("version counts what a cursor must notice, and nothing else", () => {
  const store = new TreeStore();
  const first = store.begin();
  first.put(Buffer.from("a"), Buffer.alloc(3), 0);
  store.commit(first);
  const tree = store.begin();
  const { version } = tree;
  tree.lookup(Buffer.from("a"));
  tree.remove(Buffer.from("not there"), 0);
  assert.equal(tree.version, version);
  tree.put(Buffer.from("b"), Buffer.alloc(3), 0);
  assert.ok(tree.version > version);
  const afterPut = tree.version;
  tree.put(Buffer.from("b"), Buffer.alloc(3, 1), 0);
  assert.equal(tree.version, afterPut, "another value moves no element");
  tree.remove(Buffer.from("b"), 0);
  assert.ok(tree.version > afterPut);
});

test(`values that grow and shrink across all sizes are cut and merged right (SEED=${seed})`, () => {
  const random = new Random(seed);
  const store = new TreeStore();
  const model = new Map<string, Buffer>();
  for (let round = 0; round < 30; round++) {
    const tree = store.begin();
    for (let i = 0; i < 40; i++) {
      const key = `key ${random.below(150)}`;
      const value = Buffer.alloc(random.pick([0, 5, 200, 900, 990, 1000, 1024, 3000, 70_000]), round);
      tree.put(Buffer.from(key), value, 0);
      model.set(key, value);
    }
    store.commit(tree);
    store.verify();
  }
  assertEqualsModel(store.read(), model);
});

test(`integers, and other keys and values among them, are found with what was put (SEED=${seed})`, () => {
  const random = new Random(seed);
  // A page has room for a hundred of them: they are alike in most pages, as long as no other comes.
  const store = new TreeStore(4096);
  const model = new Map<string, Buffer>();
  for (let round = 0; round < 30; round++) {
    const tree = store.begin();
    for (let i = 0; i < 100; i++) {
      const key = Buffer.alloc(random.below(300) === 0 ? 9 : 8);
      key.writeUInt32BE(random.below(1500), 4);
      if (random.below(4) === 0) {
        tree.remove(key, 0);
        model.delete(textOf(key));
      } else {
        const value = Buffer.alloc(random.below(200) === 0 ? random.below(20) : 8, random.below(256));
        tree.put(key, value, 0);
        model.set(textOf(key), value);
      }
      assert.equal(tree.lookup(key), model.has(textOf(key)));
    }
    assertEqualsModel(tree, model);
    store.commit(tree, 0.5);
    store.verify();
    assertEqualsModel(store.read(), model);
  }
});
