/** What a deleted bucket leaves of itself in the memory of its transaction: nothing but what was handed out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BucketState } from "../../../engine/tx/bucket-state.js";
import type { TxState } from "../../../engine/tx/tx-state.js";
import { TreeStore } from "../tree/store.js";

const NAME = Buffer.from("bucket");
const NESTED = Buffer.from("nested");

/** The root bucket of a write transaction over a store, empty or with the store's tree as its own. */
function rootOf(store: TreeStore): BucketState {
  const tx: object = {
    arena: store.arena, isWritable: true, requireOpen: () => undefined, snapshot: { meta: { root: store.root, sequence: 0n }, cache: store.cache },
    pager: { freelist: { release: () => undefined } },
  };
  return BucketState.ofRoot(tx as TxState);
}

/** Puts values of many sizes, those of large ones and small ones being memory of different kinds. */
function fillBucket({ tree }: BucketState): void {
  for (let i = 0; i < 3000; i++) tree.put(Buffer.from(`key ${10_000 + ((i * 7) % 3000)}`), Buffer.alloc(i % 1000 === 0 ? 100_000 : 1000, 7), 0);
}

test("a bucket that is made, filled and deleted again and again takes the memory of one, and views of its values stay as they are", () => {
  const store = new TreeStore(4096);
  const root = rootOf(store);
  const views: Uint8Array[] = [];
  for (let round = 0; round < 20; round++) {
    const bucket = root.create(NAME);
    fillBucket(bucket);
    const nested = bucket.create(NESTED);
    fillBucket(nested);
    for (const { tree } of [bucket, nested]) {
      assert.ok(tree.lookup(Buffer.from("key 10001")));
      views.push(tree.viewValue());
    }
    root.delete(NAME);
    assert.equal(root.open(NAME), undefined);
    assert.throws(() => { nested.requireReadable(); }, { code: "BUCKET_NOT_FOUND" });
  }
  const sourceBytes = [...new Set(store.arena.sources)].reduce((sum, { length }) => sum + length, 0);
  assert.ok(sourceBytes <= 20 << 18, `${sourceBytes} bytes of values`);
  store.arena.columns(1);
  assert.ok(store.arena.offset < 40 * 1300, "element columns stay of the first node of a bucket alone");
  for (const view of views) assert.deepEqual(Buffer.from(view), Buffer.alloc(1000, 7));
});

test("the pages that were changed in a bucket that is deleted need not stay in memory; views of them do", () => {
  const store = new TreeStore(4096);
  const keys = Array.from({ length: 2000 }, (_, i) => Buffer.from(`key ${10_000 + i}`));
  const filled = store.begin();
  for (const key of keys) filled.put(key, Buffer.alloc(1000), 0);
  store.commit(filled);
  const { tree } = rootOf(store);
  assert.ok(tree.lookup(keys[0]!));
  const view = tree.viewValue();
  for (const key of keys) tree.put(key, Buffer.alloc(1000, 1), 0);
  assert.ok(tree.lookup(keys[9]!));
  const changed = tree.viewValue();
  assert.ok(store.arena.frames.size > 400);
  tree.forget();
  assert.equal(store.arena.frames.size, 0);
  assert.equal(tree.isDirty, false);
  // Frames and memory serve other pages now.
  const again = store.begin();
  for (const key of keys) again.put(key, Buffer.alloc(1000, 2), 0);
  assert.deepEqual(Buffer.from(view), Buffer.alloc(1000));
  assert.deepEqual(Buffer.from(changed), Buffer.alloc(1000, 1));
  store.discard();
  store.verify();
});
