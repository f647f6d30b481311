/**
 * What a transaction must not leave half done: a deletion that meets a damaged page takes the whole transaction with it, and a view that was handed
 * out stays as it was when its page is changed in place.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type DB, MemoryStorage, open, type Tx } from "../../../engine/index.js";
import { errorOf, keyOf, requireBucket, withDatabase } from "./database.js";

const PAGE_SIZE = 1024;

/** A bucket with its own pages and two nested buckets with theirs; the root page of one of those is gone. */
function openDamaged(): DB {
  const storage = new MemoryStorage();
  const made = open("half-done.db", { storage, pageSize: PAGE_SIZE });
  made.update((tx) => {
    const outer = tx.createBucket("outer");
    for (let i = 0; i < 100; i++) outer.put(keyOf(i), Buffer.alloc(60, i));
    for (const name of ["x", "y"]) {
      const nested = outer.createBucket(name);
      for (let i = 0; i < 100; i++) nested.put(keyOf(i), Buffer.alloc(60, i));
    }
  });
  const root = made.view((tx) => requireBucket(requireBucket(tx.bucket("outer")).bucket("y")).root);
  made.close();
  storage.write([new Uint8Array(PAGE_SIZE)], root * PAGE_SIZE);
  return open("half-done.db", { storage });
}

/** Deletes the bucket and takes no notice of the error. */
function deleteInSilence(tx: Tx): void {
  assert.equal(errorOf(() => { tx.deleteBucket("outer"); }).code, "CORRUPT");
}

const WAYS: Readonly<Record<string, (db: DB) => Promise<unknown> | void>> = {
  update: (db) => { db.update(deleteInSilence); },
  updateAsync: (db) => db.updateAsync(deleteInSilence),
  batch: (db) => db.batch(deleteInSilence),
  commit: (db) => {
    const tx = db.begin(true);
    deleteInSilence(tx);
    tx.commit();
  },
};

for (const [name, way] of Object.entries(WAYS)) {
  test(`a deletion that met a damaged page cannot be committed by ${name}, though its error was caught`, async () => {
    const db = openDamaged();
    const problems = db.view((tx) => [...tx.check()]);
    assert.ok(problems.length > 0, "there is damage");
    const { freePageN, pendingPageN } = db.stats();
    await assert.rejects(async () => way(db), { name: "BoltError", code: "CORRUPT" });
    assert.equal(db.stats().freePageN + db.stats().pendingPageN, freePageN + pendingPageN, "no page was given up");
    // What is sound goes on being written, without touching what the damaged bucket still holds.
    for (let i = 0; i < 4; i++) db.update((tx) => { tx.createBucketIfNotExists("other").put(keyOf(i), Buffer.alloc(2000, i)); });
    db.view((tx) => {
      const outer = requireBucket(tx.bucket("outer"));
      assert.equal(outer.count(), 100);
      assert.equal(requireBucket(outer.bucket("x")).count(), 100);
      assert.deepEqual([...tx.check()], problems);
    });
    db.close();
  });
}

test("a view stays as it was when the same transaction changes its page in place", () => {
  withDatabase(({ db }) => {
    db.update((tx) => {
      const bucket = tx.createBucket("bucket");
      for (let i = 0; i < 20; i++) bucket.put(keyOf(i), Buffer.alloc(50, i));
    });
    db.update((tx) => {
      const bucket = requireBucket(tx.bucket("bucket"));
      // Now the leaf is a copy of the writer's own, and views lead into that.
      bucket.put(keyOf(3), Buffer.alloc(50, 200));
      const views = Array.from({ length: 20 }, (_, i) => bucket.getView(keyOf(i)) ?? new Uint8Array(0));
      const expected = views.map((view) => Buffer.from(view));
      bucket.put(keyOf(5), Buffer.alloc(50, 99));
      bucket.delete(keyOf(0));
      bucket.put("a first key", "value");
      bucket.put(keyOf(7), "shorter");
      assert.deepEqual(views.map((view) => Buffer.from(view)), expected);
      assert.deepEqual(bucket.get(keyOf(5)), Buffer.alloc(50, 99));
      const again = bucket.getView(keyOf(9)) ?? new Uint8Array(0);
      bucket.put(keyOf(9), Buffer.alloc(50, 77));
      assert.deepEqual(Buffer.from(again), Buffer.alloc(50, 9));
    });
  }, { pageSize: 4096 });
});

test("a view of a committed page stays as it was when the page is then changed, for its reader and in the writer", () => {
  withDatabase(({ db }) => {
    db.update((tx) => {
      const bucket = tx.createBucket("bucket");
      for (let i = 0; i < 20; i++) bucket.put(keyOf(i), Buffer.alloc(50, i));
    });
    const reader = db.begin();
    const views = [requireBucket(reader.bucket("bucket")).getView(keyOf(5)) ?? new Uint8Array(0)];
    db.update((tx) => {
      const bucket = requireBucket(tx.bucket("bucket"));
      views.push(bucket.getView(keyOf(5)) ?? new Uint8Array(0));
      bucket.put(keyOf(5), Buffer.alloc(50, 99));
      bucket.delete(keyOf(0));
      for (const view of views) assert.deepEqual(Buffer.from(view), Buffer.alloc(50, 5));
    });
    assert.deepEqual(Buffer.from(views[0] ?? []), Buffer.alloc(50, 5));
    reader.rollback();
  });
});
