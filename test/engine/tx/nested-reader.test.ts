/** Small nested buckets made in one step and read in place: the same as by createBucket, put, bucket and get, which are the oracle. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Bucket, ReadBucket } from "../../../engine/index.js";
import { BoltError, MemoryStorage, open } from "../../../engine/index.js";
import { boltError, withBothBuckets, withBucket, withDatabase } from "./database.js";

const copy = (bytes: Buffer, start: number, end: number): string => bytes.toString("latin1", start, end);

/** Pairs of one nested bucket, or undefined for a plain key, by name; `opened` when it cannot be read in place. */
type Content = Map<string, { readonly pairs: [string, string][] | undefined; readonly inPlace: boolean }>;

/** What the reader says, with `bucket` for what it cannot read in place. */
function readAll(bucket: Bucket | ReadBucket, keys: readonly string[]): Content {
  const content: Content = new Map();
  const reader = bucket.nestedReader();
  for (let there = reader.first(); there; there = reader.next()) {
    const name = reader.readName(copy);
    assert.equal(reader.name().toString("latin1"), name);
    if (!reader.isBucket) {
      assert.equal(reader.enter(), false, "there is nothing to enter in a plain key");
      content.set(name, { pairs: undefined, inPlace: false });
      continue;
    }
    const inPlace = reader.enter();
    const nested = inPlace ? reader : bucket.bucket(reader.name());
    const pairs = keys.flatMap((key): [string, string][] => {
      const value = nested?.read(Buffer.from(key), copy);
      return value === undefined ? [] : [[key, value]];
    });
    content.set(name, { pairs, inPlace });
  }
  return content;
}

/** What the ordinary members say. */
function readPlainly(bucket: Bucket | ReadBucket): Map<string, [string, string][] | undefined> {
  const content = new Map<string, [string, string][] | undefined>();
  bucket.forEach((name, value) => {
    const nested: Bucket | ReadBucket | undefined = bucket.bucket(name);
    const pairs = nested === undefined ? undefined : [...nested].map(([key, text]): [string, string] => [key.toString("latin1"), text.toString("latin1")]);
    content.set(name.toString("latin1"), value === undefined ? pairs : undefined);
  });
  return content;
}

function withoutPlace(content: Content): Map<string, [string, string][] | undefined> {
  return new Map([...content].map(([name, { pairs }]) => [name, pairs]));
}

test("what a reader finds in place is what the buckets hold, over many pages, in both kinds of transaction", () => {
  const keys = ["a", "b", "long", "z"];
  withBothBuckets((bucket) => {
    for (let i = 0; i < 2000; i++) {
      const name = `n${(i * 7919) % 2000}`;
      if (i % 10 === 0) bucket.put(name, "plain");
      else if (i % 10 === 1) bucket.createBucket(name).put("z", "opened");
      else assert.equal(bucket.createBucketOf(name, [[Buffer.from("a"), `${i}`], [Buffer.from("b"), Buffer.alloc(i % 50, i)], [Buffer.from("long"), "x".repeat(i % 1500)]]), true);
    }
  }, (bucket) => {
    const content = readAll(bucket, keys);
    assert.deepEqual(withoutPlace(content), readPlainly(bucket));
    assert.equal(content.size, 2000);
    const inPlace = [...content.values()].filter((found) => found.inPlace).length;
    assert.ok(inPlace > 800, `${inPlace} were read in place`);
  });
});

test("find goes to one name, whatever it is", () => {
  withBothBuckets((bucket) => {
    for (let i = 0; i < 500; i++) bucket.createBucketOf(`n${i}`, [[Buffer.from("k"), `v${i}`]]);
    bucket.put("plain", "x");
  }, (bucket) => {
    const reader = bucket.nestedReader();
    for (const i of [0, 77, 499, 3]) {
      assert.equal(reader.find(`n${i}`), true);
      assert.equal(reader.isBucket && reader.enter(), true);
      assert.equal(reader.read(Buffer.from("k"), copy), `v${i}`);
      assert.equal(reader.read(Buffer.from("kk"), copy), undefined);
      assert.equal(reader.bucket("k"), undefined);
    }
    assert.equal(reader.find("n"), false);
    assert.equal(reader.find("plain") && !reader.isBucket, true);
  });
});

test("a bucket that was opened and changed in the transaction is not read as it was", () => {
  withBucket((bucket) => {
    bucket.createBucketOf("n", [[Buffer.from("k"), "old"]]);
    bucket.bucket("n")?.put("k", "new");
    assert.deepEqual(readAll(bucket, ["k"]).get("n"), { pairs: [["k", "new"]], inPlace: false });
    bucket.deleteBucket("n");
    assert.equal(bucket.nestedReader().find("n"), false);
    assert.equal(bucket.createBucketOf("n", [[Buffer.from("k"), "again"]]), true);
    assert.deepEqual(readAll(bucket, ["k"]).get("n"), { pairs: [["k", "again"]], inPlace: true });
  });
});

test("a bucket made of pairs is inline up to a quarter of a page and has pages of its own from there on", () => {
  withDatabase(({ db }) => {
    const sizes = Array.from({ length: 12 }, (_, i) => 1024 - 16 - 16 - 1 - 6 + i).concat([0, 4000, 20_000]);
    db.update((tx) => {
      const bucket = tx.createBucket("bucket");
      for (const size of sizes) {
        bucket.createBucketOf(`of${size}`, [[Buffer.from("k"), "é".repeat(size >> 1) + "x".repeat(size & 1)]]);
        bucket.createBucket(`by${size}`).put("k", "é".repeat(size >> 1) + "x".repeat(size & 1));
      }
    });
    db.view((tx) => {
      const bucket = tx.bucket("bucket");
      for (const size of sizes) {
        const made = bucket?.bucket(`of${size}`);
        const put = bucket?.bucket(`by${size}`);
        assert.deepEqual(made?.get("k"), put?.get("k"), `${size} bytes`);
        assert.equal(made?.root === 0, put?.root === 0, `${size} bytes: inline or not`);
        assert.equal(made?.sequence, 0n);
      }
    });
  });
});

test("a name that is taken: a bucket stays as it is, a plain key is refused, so is an empty name", () => {
  withBucket((bucket) => {
    bucket.createBucket("there").put("k", "v");
    bucket.put("plain", "x");
    assert.equal(bucket.createBucketOf("there", [[Buffer.from("k"), "other"]]), false);
    assert.deepEqual(bucket.bucket("there")?.get("k"), Buffer.from("v"));
    assert.throws(() => bucket.createBucketOf("plain", []), boltError("INCOMPATIBLE_VALUE", /^incompatible value/));
    assert.throws(() => bucket.createBucketOf("", []), boltError("BUCKET_NAME_REQUIRED", "bucket name required"));
    assert.throws(() => bucket.createBucketOf("x", [[Buffer.alloc(0), "v"]]), boltError("KEY_REQUIRED", "key required"));
  });
});

test("pairs in another order make the same bucket", () => {
  withBothBuckets((bucket) => {
    bucket.createBucketOf("n", [[Buffer.from("b"), "2"], [Buffer.from("a"), "1"], [Buffer.from("b"), "3"]]);
  }, (bucket) => {
    assert.deepEqual([...bucket.bucket("n") ?? []].map(([key, value]) => `${key}=${value}`), ["a=1", "b=3"]);
  });
});

test("after the transaction a reader says TX_CLOSED", () => {
  withDatabase(({ db }) => {
    db.update((tx) => tx.createBucket("bucket").createBucketOf("n", []));
    const reader = db.view((tx) => tx.bucket("bucket")?.nestedReader());
    assert.throws(() => reader?.first(), boltError("TX_CLOSED", "tx closed"));
    assert.throws(() => reader?.find("n"), boltError("TX_CLOSED", "tx closed"));
  });
});

test("an inline bucket with any byte of its page changed is refused or read as the ordinary way reads it", () => {
  const storage = new MemoryStorage();
  const db = open("test.db", { storage });
  db.update((tx) => tx.createBucket("bucket").createBucketOf("name", [[Buffer.from("digest"), "D"], [Buffer.from("size"), "S"]]));
  db.close();
  const whole = Buffer.from(storage.bytes());
  const page = whole.lastIndexOf("digestD") - 64;
  for (let at = page; at < page + 64 + 12; at++) {
    for (const byte of [0, 1, 2, 0x41, 0x80, 0xff]) {
      const damaged = Buffer.from(whole);
      damaged[at] = byte;
      const other = new MemoryStorage();
      other.write([damaged], 0);
      const again = open("test.db", { storage: other, readOnly: true });
      const outcome = (read: (bucket: ReadBucket) => unknown): unknown => {
        try {
          return again.view((tx) => read(tx.bucket("bucket") ?? assert.fail()));
        } catch (error) {
          if (error instanceof BoltError && error.code === "CORRUPT") return "CORRUPT";
          throw error;
        }
      };
      const inPlace = outcome((bucket) => [...withoutPlace(readAll(bucket, ["digest", "size"]))]);
      const plainly = outcome((bucket) => [...readPlainly(bucket)].map(([name, pairs]) => [name, pairs?.filter(([key]) => key === "digest" || key === "size")]));
      assert.deepEqual(inPlace, plainly, `byte ${at - page} = ${byte}`);
      again.close();
    }
  }
});
