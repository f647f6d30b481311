/** Buckets: values, nested buckets, sequences, fill percent, moves; the errors with their text and the order in which they are checked. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Bucket, ReadBucket } from "../../../engine/index.js";
import { openMemory } from "../../../engine/index.js";
import { boltError, errorOf, keyOf, requireBucket, withBothBuckets, withBucket, withDatabase } from "./database.js";

const NOT_BYTES: readonly unknown[] = [undefined, null, 1, 1n, true, {}, [], new ArrayBuffer(2), new Uint16Array(2), Symbol("s")];

/** Calls a member with arguments that the types would not let pass. */
function callWith(bucket: ReadBucket, member: string, ...args: readonly unknown[]): unknown {
  return Reflect.apply(Reflect.get(bucket, member) as (...all: unknown[]) => unknown, bucket, args);
}

test("get, getView and has find what put has set, before and after the commit", () => {
  withBothBuckets((bucket) => {
    bucket.put("key", "value");
    bucket.put(Buffer.of(0, 255), Buffer.of(1, 2, 3));
    bucket.put("empty", "");
  }, (bucket) => {
    assert.deepEqual(bucket.get("key"), Buffer.from("value"));
    assert.deepEqual(bucket.get(new Uint8Array([0, 255])), Buffer.of(1, 2, 3));
    assert.deepEqual(bucket.get("empty"), Buffer.alloc(0), "an empty value is a value");
    assert.deepEqual(Buffer.from(bucket.getView("key") ?? []), Buffer.from("value"));
    assert.equal(bucket.has("empty"), true);
    for (const missing of ["", "ke", "keys", "zzz"]) {
      assert.equal(bucket.get(missing), undefined);
      assert.equal(bucket.getView(missing), undefined);
      assert.equal(bucket.has(missing), false);
    }
  });
});

test("a nested bucket's key has no value", () => {
  withBothBuckets((bucket) => { bucket.createBucket("nested"); }, (bucket) => {
    assert.equal(bucket.get("nested"), undefined);
    assert.equal(bucket.getView("nested"), undefined);
    assert.equal(bucket.has("nested"), false);
  });
});

test("put replaces, with a value of any other size", () => {
  withBucket((bucket) => {
    for (const size of [3, 0, 5000, 10, 200_000, 1]) {
      bucket.put("key", Buffer.alloc(size, size));
      assert.deepEqual(bucket.get("key"), Buffer.alloc(size, size));
    }
    assert.equal(bucket.count(), 1);
  });
});

test("delete removes a key; of a key that is missing, or empty, it is no error", () => {
  withBucket((bucket) => {
    bucket.put("key", "value");
    for (const key of ["key", "key", "other", ""]) bucket.delete(key);
    assert.equal(bucket.count(), 0);
  });
});

test("keys of 1 to 32,768 bytes are taken; an empty one and a longer one are refused with bbolt's text", () => {
  withBothBuckets((bucket) => {
    bucket.put(Buffer.alloc(32_768, 1), "longest");
    assert.throws(() => bucket.put("", "value"), boltError("KEY_REQUIRED", "key required"));
    assert.throws(() => bucket.put(Buffer.alloc(32_769), "value"), boltError("KEY_TOO_LARGE", "key too large"));
  }, (bucket) => {
    assert.equal(bucket.get(Buffer.alloc(32_768, 1))?.toString(), "longest");
    assert.equal(bucket.count(), 1);
  });
});

test("a value of more than 2^31 - 2 bytes is refused", () => {
  // Memory that is never touched is never had.
  withBucket((bucket) => assert.throws(() => bucket.put("key", new Uint8Array(2 ** 31 - 1)), boltError("VALUE_TOO_LARGE", "value too large")));
});

test("a value operation on a bucket, and a bucket operation on a value, is an incompatible value", () => {
  withBucket((bucket) => {
    bucket.createBucket("nested");
    bucket.put("pair", "value");
    const expected = boltError("INCOMPATIBLE_VALUE", "incompatible value");
    assert.throws(() => bucket.put("nested", "value"), expected);
    assert.throws(() => bucket.delete("nested"), expected);
    assert.throws(() => bucket.createBucket("pair"), expected);
    assert.throws(() => bucket.createBucketIfNotExists("pair"), expected);
    assert.throws(() => bucket.deleteBucket("pair"), expected);
    assert.throws(() => bucket.moveBucket("pair", requireBucket(bucket.bucket("nested"))), expected);
    assert.equal(bucket.bucket("pair"), undefined);
    assert.equal(bucket.get("pair")?.toString(), "value");
  });
});

test("buckets are made once, found by name, and deleted with all that is in them", () => {
  withBucket((bucket) => {
    const nested = bucket.createBucket("nested");
    nested.put("key", "value");
    nested.createBucket("inner").put("deep", "value");
    assert.throws(() => bucket.createBucket("nested"), boltError("BUCKET_EXISTS", "bucket already exists"));
    assert.equal(bucket.createBucketIfNotExists("nested").get("key")?.toString(), "value");
    assert.equal(requireBucket(bucket.bucket("nested")?.bucket("inner")).get("deep")?.toString(), "value");
    bucket.deleteBucket("nested");
    assert.equal(bucket.bucket("nested"), undefined);
    assert.throws(() => bucket.deleteBucket("nested"), boltError("BUCKET_NOT_FOUND", "bucket not found"));
    assert.equal(bucket.createBucket("nested").count(), 0, "the new one is empty");
  });
});

test("a bucket needs a name; its length is not limited", () => {
  withBothBuckets((bucket) => {
    for (const create of ["createBucket", "createBucketIfNotExists"] as const) assert.throws(() => bucket[create](""), boltError("BUCKET_NAME_REQUIRED", "bucket name required"));
    bucket.createBucket("n".repeat(40_000)).put("key", "value");
    assert.throws(() => bucket.deleteBucket(""), boltError("BUCKET_NOT_FOUND", "bucket not found"));
  }, (bucket) => {
    assert.equal(bucket.bucket(""), undefined);
    assert.equal(bucket.bucket("n".repeat(40_000))?.get("key")?.toString(), "value");
  });
});

test("two handles of one bucket share their changes", () => {
  withBucket((bucket) => {
    bucket.createBucket("nested");
    const [one, other] = [requireBucket(bucket.bucket("nested")), requireBucket(bucket.bucket("nested"))];
    one.put("key", "value");
    one.setSequence(5n);
    assert.equal(other.get("key")?.toString(), "value");
    assert.equal(other.nextSequence(), 6n);
    assert.equal(one.sequence, 6n);
  });
});

test("a bucket knows its path, its transaction and whether it can write", () => {
  withDatabase(({ db }) => {
    db.update((tx) => {
      const inner = tx.createBucket("outer").createBucket("inner");
      assert.deepEqual(inner.path.map(String), ["outer", "inner"]);
      assert.equal(inner.tx, tx);
      assert.equal(inner.writable, true);
      inner.path[0]?.fill(0);
      assert.deepEqual(inner.path.map(String), ["outer", "inner"], "the path is the caller's copy");
    });
    db.view((tx) => assert.equal(requireBucket(tx.bucket("outer")).writable, false));
  });
});

test("root is the page of the bucket, 0 while it is inline or new", () => {
  withDatabase(({ db }) => {
    db.update((tx) => {
      assert.equal(tx.createBucket("small").root, 0);
      tx.createBucket("large").put("key", Buffer.alloc(3000));
    });
    db.view((tx) => {
      assert.equal(requireBucket(tx.bucket("small")).root, 0);
      const { root } = requireBucket(tx.bucket("large"));
      assert.equal(tx.page(root)?.type, "leaf");
    });
  });
});

test("forEach gives pairs and, without a value, nested buckets", () => {
  withBothBuckets((bucket) => {
    bucket.put("a", "1");
    bucket.createBucket("b");
    bucket.put("c", "");
  }, (bucket) => {
    const seen: unknown[] = [];
    bucket.forEach((key, value) => seen.push([key.toString(), value?.toString()]));
    assert.deepEqual(seen, [["a", "1"], ["b", undefined], ["c", ""]]);
    assert.deepEqual([...bucket.buckets()].map(String), ["b"]);
  });
});

test("sequences count, can be set, wrap after 2^64 - 1 and are stored, also of a bucket that changed in nothing else", () => {
  withDatabase(({ db }) => {
    db.update((tx) => {
      const bucket = tx.createBucket("bucket");
      assert.equal(bucket.sequence, 0n);
      assert.equal(bucket.nextSequence(), 1n);
      bucket.setSequence(2n ** 64n - 1n);
    });
    db.update((tx) => assert.equal(requireBucket(tx.bucket("bucket")).sequence, 2n ** 64n - 1n));
    db.update((tx) => assert.equal(requireBucket(tx.bucket("bucket")).nextSequence(), 0n));
    db.update((tx) => requireBucket(tx.bucket("bucket")).setSequence(2n ** 63n + 1n));
    db.view((tx) => assert.equal(requireBucket(tx.bucket("bucket")).sequence, 2n ** 63n + 1n));
    assert.throws(() => db.update((tx) => {
      requireBucket(tx.bucket("bucket")).nextSequence();
      throw new Error("rolled back");
    }));
    db.view((tx) => assert.equal(requireBucket(tx.bucket("bucket")).sequence, 2n ** 63n + 1n));
  });
});

test("setSequence takes a bigint of 64 bits and nothing else", () => {
  withBucket((bucket) => {
    for (const wrong of [-1n, 2n ** 64n, 5, "5", undefined, null, NaN]) assert.throws(() => callWith(bucket, "setSequence", wrong), TypeError);
    assert.equal(bucket.sequence, 0n);
  });
});

test("fillPercent rules how full split pages are; 0.5 unless set, clamped to 0.1…1, not stored", () => {
  const pagesAt = (fillPercent: number): number => {
    const db = openMemory();
    db.update((tx) => {
      const bucket = tx.createBucket("bucket");
      assert.equal(bucket.fillPercent, 0.5);
      bucket.fillPercent = fillPercent;
      // In two runs, the second in between: fillPercent rules all splits but those at the right end.
      for (const odd of [1, 0]) for (let i = odd; i < 2000; i += 2) bucket.put(keyOf(i), Buffer.alloc(50));
    });
    return db.view((tx) => {
      const bucket = requireBucket(tx.bucket("bucket"));
      assert.equal(bucket.fillPercent, 0.5);
      assert.deepEqual([...tx.check()], []);
      return bucket.stats().leafPageN;
    });
  };
  const [sparse, half, full] = [pagesAt(0.1), pagesAt(0.5), pagesAt(1)] as const;
  assert.ok(sparse > 4 * half && half > 1.8 * full, `${sparse}, ${half}, ${full} pages`);
  assert.equal(pagesAt(-3), sparse);
  assert.equal(pagesAt(0), sparse);
  assert.equal(pagesAt(7), full);
  assert.equal(pagesAt(Infinity), full);
  withBucket((bucket) => {
    for (const wrong of [NaN, "0.5", undefined, null]) assert.throws(() => Reflect.set(bucket, "fillPercent", wrong), TypeError);
  });
  withDatabase(({ db }) => {
    db.update((tx) => tx.createBucket("bucket"));
    db.view((tx) => {
      const bucket = requireBucket(tx.bucket("bucket"));
      assert.throws(() => Reflect.set(bucket, "fillPercent", 1), boltError("TX_NOT_WRITABLE", /^tx not writable/));
      assert.equal(bucket.fillPercent, 0.5);
    });
  });
});

test("what is neither bytes nor a string is a TypeError that names the argument", () => {
  withBucket((bucket) => {
    for (const wrong of NOT_BYTES) {
      for (const member of ["get", "getView", "has", "delete"]) assert.throws(() => callWith(bucket, member, wrong), { name: "TypeError", message: /^key must be/ });
      assert.throws(() => callWith(bucket, "put", wrong, "value"), { name: "TypeError", message: /^key must be/ });
      assert.throws(() => callWith(bucket, "put", "key", wrong), { name: "TypeError", message: /^value must be/ });
      for (const member of ["bucket", "createBucket", "createBucketIfNotExists", "deleteBucket"]) {
        assert.throws(() => callWith(bucket, member, wrong), { name: "TypeError", message: /^bucket name must be/ });
      }
      assert.throws(() => callWith(bucket, "moveBucket", "name", wrong), TypeError);
    }
    assert.equal(bucket.count(), 0);
    assert.equal([...bucket.buckets()].length, 0);
  });
});

/** Calls of every writing member; the arguments are wrong in a way that must not matter. */
const WRITES: readonly (readonly [string, ...unknown[]])[] = [
  ["put", "", 5], ["delete", 5], ["createBucket", ""], ["createBucketIfNotExists", ""], ["deleteBucket", 5], ["moveBucket", 5, 5], ["nextSequence"], ["setSequence", -1],
];

test("a read transaction refuses every write before it looks at the arguments", () => {
  withBothBuckets(() => undefined, (bucket) => {
    if (bucket.writable) return;
    for (const [member, ...args] of WRITES) assert.throws(() => callWith(bucket, member, ...args), boltError("TX_NOT_WRITABLE", "tx not writable"), member);
  });
});

test("after the end of its transaction every use of a bucket is TX_CLOSED, before all else", () => {
  withDatabase(({ db }) => {
    for (const writable of [true, false]) {
      db.update((tx) => tx.createBucketIfNotExists("bucket").put("key", "value"));
      const tx = db.begin(writable);
      const bucket = requireBucket(tx.bucket("bucket") as Bucket | undefined);
      tx.rollback();
      const reads = ["get", "getView", "has", "bucket", "cursor", "forEach", "entries", "entriesView", "keys", "values", "buckets", "count", "stats", "inspect"];
      for (const [member, ...args] of [...WRITES, ...reads.map((name) => [name, 5] as const)]) {
        assert.throws(() => callWith(bucket, member, ...args), boltError("TX_CLOSED", "tx closed"), member);
      }
      assert.throws(() => bucket.sequence, boltError("TX_CLOSED", "tx closed"));
    }
  });
});

test("the key is checked before the value's size, and both before the tree", () => {
  withBucket((bucket) => {
    bucket.createBucket("nested");
    const tooLarge = new Uint8Array(2 ** 31 - 1);
    assert.equal(errorOf(() => bucket.put("", tooLarge)).code, "KEY_REQUIRED");
    assert.equal(errorOf(() => bucket.put(Buffer.alloc(32_769), tooLarge)).code, "KEY_TOO_LARGE");
    assert.equal(errorOf(() => bucket.put("nested", tooLarge)).code, "VALUE_TOO_LARGE");
  });
});

test("handles of a deleted bucket, and of those nested in it, say BUCKET_NOT_FOUND", () => {
  withBucket((bucket) => {
    const nested = bucket.createBucket("nested");
    const inner = nested.createBucket("inner");
    bucket.deleteBucket("nested");
    bucket.createBucket("nested");
    for (const gone of [nested, inner]) {
      assert.throws(() => gone.get("key"), boltError("BUCKET_NOT_FOUND", "bucket not found"));
      assert.throws(() => gone.put("key", "value"), boltError("BUCKET_NOT_FOUND", "bucket not found"));
      assert.throws(() => gone.cursor(), boltError("BUCKET_NOT_FOUND", "bucket not found"));
      assert.throws(() => gone.nextSequence(), boltError("BUCKET_NOT_FOUND", "bucket not found"));
    }
    assert.equal(requireBucket(bucket.bucket("nested")).count(), 0);
  });
});

test("deleting a bucket frees the pages of all in it: of inline ones, those that were opened, that grew since, that were moved there", () => {
  const grow = (bucket: Bucket): void => { for (let i = 0; i < 300; i++) bucket.put(keyOf(i), Buffer.alloc(100)); };
  withDatabase(({ db }) => {
    db.update((tx) => {
      const outer = tx.createBucket("outer");
      for (let i = 0; i < 500; i++) outer.createBucket(`inline ${i}`).put("key", "value");
      for (let i = 0; i < 5; i++) grow(outer.createBucket(`paged ${i}`).createBucket("inner"));
      grow(tx.createBucket("elsewhere"));
    });
    db.update((tx) => {
      const outer = requireBucket(tx.bucket("outer"));
      const grown = requireBucket(outer.bucket("inline 7"));
      grow(grown);
      grow(grown.createBucket("deeper"));
      tx.moveBucket("elsewhere", tx, outer);
      const handles = [outer, grown, ...["inline 3", "paged 2", "elsewhere"].map((name) => requireBucket(outer.bucket(name))), requireBucket(grown.bucket("deeper"))];
      tx.deleteBucket("outer");
      for (const handle of handles) assert.throws(() => handle.put("key", "value"), boltError("BUCKET_NOT_FOUND", "bucket not found"));
    });
    db.view((tx) => assert.deepEqual([...tx.buckets()], []));
  });
});

test("values passed in may be changed afterwards, those handed out too", () => {
  withBothBuckets((bucket) => {
    for (const size of [5, 100, 5000, 100_000]) {
      const [key, value] = [Buffer.from(`key ${size}`), Buffer.alloc(size, 7)];
      bucket.put(key, value);
      key.fill(0);
      value.fill(0);
    }
  }, (bucket) => {
    for (const size of [5, 100, 5000, 100_000]) {
      bucket.get(`key ${size}`)?.fill(9);
      assert.deepEqual(bucket.get(`key ${size}`), Buffer.alloc(size, 7));
    }
  });
});

test("a view stays what it was while the transaction puts another value", () => {
  withDatabase(({ db }) => {
    db.update((tx) => tx.createBucket("bucket").put("key", "committed"));
    db.update((tx) => {
      const bucket = requireBucket(tx.bucket("bucket"));
      const first = bucket.getView("key");
      bucket.put("key", "changed");
      const second = bucket.getView("key");
      bucket.delete("key");
      assert.equal(Buffer.from(first ?? []).toString(), "committed");
      assert.equal(Buffer.from(second ?? []).toString(), "changed");
    });
  });
});

test("a bucket keeps its name when the caller changes the bytes it was opened with", () => {
  withDatabase(({ db }) => {
    const nested = ["name", "ein längerer Name als die kurzen"];
    db.update((tx) => nested.forEach((name) => tx.createBucketIfNotExists("outer").createBucket(name).put("key", name)));
    db.view((tx) => {
      for (const text of nested) {
        const name = Buffer.from(text);
        const bucket = requireBucket(requireBucket(tx.bucket("outer")).bucket(name));
        name.fill(0);
        assert.deepEqual(bucket.path.map(String), ["outer", text]);
        for (const part of bucket.path) part.fill(0);
        assert.deepEqual(requireBucket(requireBucket(tx.bucket("outer")).bucket(text)).path.map(String), ["outer", text]);
      }
    });
  });
});

test("an inline bucket of many keys is searched right: each key, its neighbours, and none", () => {
  for (const count of [0, 1, 2, 9, 60, 400]) {
    withDatabase(({ db }) => {
      const keys = Array.from({ length: count }, (_, i) => `k${String(2 * i + 1).padStart(4, "0")}`);
      db.update((tx) => {
        const bucket = tx.createBucket("outer").createBucket("inline");
        for (const key of keys) bucket.put(key, `=${key}`);
      });
      db.view((tx) => {
        const bucket = requireBucket(requireBucket(tx.bucket("outer")).bucket("inline"));
        assert.equal(bucket.root, 0, "it is inline");
        for (let i = 0; i <= 2 * count + 1; i++) {
          const key = `k${String(i).padStart(4, "0")}`;
          assert.equal(bucket.get(key)?.toString(), keys.includes(key) ? `=${key}` : undefined);
          assert.deepEqual([...bucket.keys({ gte: key })].map(String), keys.filter((other) => other >= key));
        }
        assert.equal(bucket.get("j"), undefined);
        assert.equal(bucket.get("l"), undefined);
      });
    }, { pageSize: 65_536 });
  }
});
