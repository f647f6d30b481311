/** moveBucket: what it moves, what it refuses, and in which order the reasons count. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openMemory, typed, utf8 } from "../../../engine/index.js";
import { boltError, errorOf, keyOf, requireBucket, withBucket, withDatabase } from "./database.js";

test("a bucket moves with all in it: committed, changed, nested, its sequence; and its handles go on", () => {
  withDatabase(({ db }) => {
    db.update((tx) => {
      const from = tx.createBucket("from");
      tx.createBucket("to");
      const moved = from.createBucket("moved");
      moved.setSequence(7n);
      for (let i = 0; i < 300; i++) moved.put(keyOf(i), "committed");
      moved.createBucket("inner").put("deep", "value");
    });
    db.update((tx) => {
      const [from, to] = [requireBucket(tx.bucket("from")), requireBucket(tx.bucket("to"))];
      const moved = requireBucket(from.bucket("moved"));
      moved.put("changed", "before the move");
      moved.delete(keyOf(0));
      from.moveBucket("moved", to);
      moved.put("later", "after the move");
      assert.equal(from.bucket("moved"), undefined);
      assert.deepEqual(moved.path.map(String), ["to", "moved"]);
    });
    db.view((tx) => {
      const moved = requireBucket(tx.bucket("to")?.bucket("moved"));
      assert.equal(moved.count(), 301);
      assert.equal(moved.sequence, 7n);
      assert.equal(moved.get("changed")?.toString(), "before the move");
      assert.equal(moved.get("later")?.toString(), "after the move");
      assert.equal(requireBucket(moved.bucket("inner")).get("deep")?.toString(), "value");
      assert.equal(tx.bucket("from")?.bucket("moved"), undefined);
    });
  }, { pageSize: 1024 });
});

test("to the top level and from it: undefined, null and the transaction stand for it", () => {
  withDatabase(({ db }) => {
    for (const top of [undefined, null, "tx"] as const) {
      db.update((tx) => {
        const level = top === "tx" ? tx : top;
        const outer = tx.createBucketIfNotExists("outer");
        outer.createBucket("moved").put("key", "value");
        tx.moveBucket("moved", outer, level);
        assert.equal(requireBucket(tx.bucket("moved")).get("key")?.toString(), "value");
        tx.moveBucket("moved", level, outer);
        assert.equal(tx.bucket("moved"), undefined);
        outer.moveBucket("moved", tx);
        tx.deleteBucket("moved");
      });
    }
  });
});

test("a new bucket that was never committed moves", () => {
  withDatabase(({ db }) => {
    db.update((tx) => {
      const from = tx.createBucket("from");
      from.createBucket("new").put("key", "value");
      from.moveBucket("new", tx.createBucket("to"));
    });
    db.view((tx) => assert.equal(tx.bucket("to")?.bucket("new")?.get("key")?.toString(), "value"));
  });
});

test("the reasons to refuse, in bbolt's order: no such bucket, a value, the same bucket, taken in the target", () => {
  withBucket((bucket, tx) => {
    bucket.put("pair", "value");
    const moved = bucket.createBucket("moved");
    const target = bucket.createBucket("target");
    target.createBucket("moved");
    const full = bucket.createBucket("full");
    full.put("moved", "a value of that name");
    assert.throws(() => bucket.moveBucket("missing", bucket), boltError("BUCKET_NOT_FOUND", "bucket not found"));
    assert.throws(() => bucket.moveBucket("pair", bucket), boltError("INCOMPATIBLE_VALUE", "incompatible value"));
    assert.throws(() => bucket.moveBucket("moved", bucket), boltError("SAME_BUCKETS", "the source and target are the same bucket"));
    assert.throws(() => tx.moveBucket("bucket", undefined, tx), boltError("SAME_BUCKETS", "the source and target are the same bucket"));
    assert.throws(() => bucket.moveBucket("moved", target), boltError("BUCKET_EXISTS", "bucket already exists"));
    assert.throws(() => bucket.moveBucket("moved", full), boltError("INCOMPATIBLE_VALUE", "incompatible value"));
    moved.put("key", "still there");
    assert.equal(bucket.bucket("moved")?.get("key")?.toString(), "still there");
  });
});

test("into itself, or into what is nested in it, a bucket cannot move", () => {
  withBucket((bucket) => {
    const moved = bucket.createBucket("moved");
    const inner = moved.createBucket("inner").createBucket("innermost");
    assert.throws(() => bucket.moveBucket("moved", moved), boltError("SAME_BUCKETS", "the source and target are the same bucket"));
    assert.throws(() => bucket.moveBucket("moved", inner), boltError("SAME_BUCKETS", "the source and target are the same bucket"));
    assert.ok(bucket.bucket("moved")?.bucket("inner")?.bucket("innermost"));
  });
});

test("between two databases is DIFFERENT_DB, before the bucket is looked for; an ended target is TX_CLOSED", () => {
  withBucket((bucket) => {
    const other = openMemory();
    const tx = other.begin(true);
    const target = tx.createBucket("target");
    assert.throws(() => bucket.moveBucket("missing", target), boltError("DIFFERENT_DB", "the source and target buckets are in different database files"));
    tx.rollback();
    assert.equal(errorOf(() => bucket.moveBucket("missing", target)).code, "TX_CLOSED");
    const reader = other.begin();
    const readOnly = Reflect.get(reader, "createBucket") as () => never;
    assert.throws(() => readOnly.call(reader), boltError("TX_NOT_WRITABLE", "tx not writable"));
    other.close();
  });
});

test("a move that is rolled back has not happened", () => {
  withDatabase(({ db }) => {
    db.update((tx) => {
      tx.createBucket("from").createBucket("moved").put("key", "value");
      tx.createBucket("to");
    });
    const tx = db.begin(true);
    tx.moveBucket("moved", tx.bucket("from"), tx.bucket("to"));
    tx.rollback();
    db.view((read) => {
      assert.equal(read.bucket("from")?.bucket("moved")?.get("key")?.toString(), "value");
      assert.equal(read.bucket("to")?.bucket("moved"), undefined);
    });
  });
});

test("a bucket is moved to a bucket or a transaction and to nothing else: of a typed bucket it would be moved away", () => {
  withDatabase(({ db }) => db.update((tx) => {
    const [from, to] = [tx.createBucket("from"), tx.createBucket("to")];
    from.createBucket("x");
    to.createBucket("y");
    for (const wrong of [typed(to, { key: utf8, value: utf8 }), {}, 5, null]) {
      assert.throws(() => from.moveBucket("x", wrong as never), TypeError);
      assert.throws(() => from.moveBucket("y", wrong as never), TypeError);
    }
    assert.throws(() => tx.moveBucket("x", 5 as never, to), TypeError);
    assert.throws(() => tx.moveBucket("x", from, "to" as never), TypeError);
    assert.deepEqual([[...from.buckets()].map(String), [...to.buckets()].map(String)], [["x"], ["y"]]);
  }));
});
