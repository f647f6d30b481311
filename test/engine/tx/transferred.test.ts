/**
 * What callers get for their own they may transfer to another thread, as `postMessage(value, [value.buffer])` does; views they may not. Whatever the runtime
 * makes of it, it takes nothing from the database, nor from what else was handed out.
 */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { open, type Bucket, type DB, type ReadBucket } from "../../../engine/index.js";
import { tempPath } from "../../support/temp.js";
import { transfer } from "../../support/transfer.js";
import { requireBucket } from "./database.js";

const POOL_SIZES = [0, 1024, 8192];
const NAME = "users";

/** Sets how much memory Buffers share, until the test ends. */
function poolOf(size: number, t: TestContext): void {
  const before = Buffer.poolSize;
  Buffer.poolSize = size;
  t.after(() => { Buffer.poolSize = before; });
}

/** Buckets of one pair, of an inline leaf and of many pages, with keys and values that tell themselves. */
function filled(): { readonly path: string; readonly db: DB; readonly counts: readonly number[] } {
  const path = tempPath("transferred.db");
  const db = open(path);
  const counts = [1, 8, 400];
  db.update((tx) => {
    counts.forEach((count, i) => {
      const bucket = tx.createBucket(`${NAME}${i}`);
      for (let k = 0; k < count; k++) bucket.put(keyOf(k), valueOf(k));
    });
  });
  return { path, db, counts };
}

const keyOf = (k: number): string => `key-${String(k).padStart(6, "0")}`;
const valueOf = (k: number): string => `value ${k} `.repeat(1 + (k % 9));

function assertPairs(bucket: ReadBucket | undefined, count: number): void {
  const pairs = [...requireBucket(bucket)];
  assert.equal(pairs.length, count);
  // Compared one by one, each gone at once: the ones behind it must still be whole.
  pairs.forEach(([key, value], k) => {
    assert.deepEqual([key.toString(), value?.toString()], [keyOf(k), valueOf(k)]);
    transfer(key);
    if (value !== undefined) transfer(value);
  });
}

/** Ways to get something and transfer it, while what the engine has is in use. */
const WAYS: Readonly<Record<string, (bucket: Bucket) => void>> = {
  "a value": (bucket) => { transfer(bucket.get(keyOf(0))!); },
  "a view": (bucket) => { transfer(bucket.getView(keyOf(0))!); },
  "a view of what was put": (bucket) => {
    bucket.put(keyOf(0), valueOf(0));
    transfer(bucket.getView(keyOf(0))!);
  },
  "a view of a large value that was put": (bucket) => {
    for (const size of [70_000, 3000]) {
      bucket.put(keyOf(0), Buffer.alloc(size, 7));
      transfer(bucket.getView(keyOf(0))!);
      assert.ok(bucket.get(keyOf(0))!.equals(Buffer.alloc(size, 7)));
    }
    bucket.put(keyOf(0), valueOf(0));
  },
  "what a cursor gives": (bucket) => {
    const cursor = bucket.cursor();
    const entry = cursor.seek(keyOf(0))!;
    transfer(entry.key);
    transfer(entry.value!);
    cursor.delete();
    bucket.put(keyOf(0), valueOf(0));
  },
  "each pair of a walk": (bucket) => {
    let k = 0;
    for (const [key, value] of bucket.entries({ gte: keyOf(0), lte: keyOf(99_999) })) {
      assert.equal(key.toString(), keyOf(k++));
      transfer(key);
      transfer(value!);
    }
  },
  "each view of a walk": (bucket) => {
    let k = 0;
    for (const [key, value] of bucket.entriesView({ gte: keyOf(0), lte: keyOf(99_999) })) {
      assert.equal(Buffer.from(key).toString(), keyOf(k++));
      transfer(key);
      transfer(value!);
    }
  },
  "the names of buckets": (bucket) => { for (const name of bucket.tx.buckets()) transfer(name); },
  "the path of the bucket": (bucket) => { for (const name of bucket.path) transfer(name); },
};

for (const poolSize of POOL_SIZES) {
  for (const [what, take] of Object.entries(WAYS)) {
    test(`the database stays whole when ${what} is transferred, with a pool of ${poolSize} bytes`, (t) => {
      poolOf(poolSize, t);
      const { path, db, counts } = filled();
      db.update((tx) => {
        counts.forEach((count, i) => {
          const bucket = requireBucket(tx.bucket(Buffer.from(`${NAME}${i}`)));
          take(bucket);
          assertPairs(bucket, count);
          bucket.put(keyOf(count), valueOf(count));
        });
      });
      const assertAll = (of: DB): void => of.view((tx) => {
        assert.deepEqual([...tx.check()], []);
        assert.deepEqual([...tx.buckets()].map(String), counts.map((_, i) => `${NAME}${i}`));
        counts.forEach((count, i) => assertPairs(tx.bucket(`${NAME}${i}`), count + 1));
      });
      assertAll(db);
      assertAll(db);
      db.close();
      const again = open(path);
      assertAll(again);
      again.close();
    });
  }
}

/** Overwrites what lies between neighbouring copies. */
function overwriteBetween(copies: readonly Buffer[]): void {
  copies.slice(1).forEach((copy, i) => {
    const before = copies[i]!;
    const from = before.byteOffset + before.length;
    if (copy.buffer === before.buffer && from < copy.byteOffset && copy.byteOffset - from < 500) new Uint8Array(copy.buffer, from, copy.byteOffset - from).fill(0xff);
  });
}

test("between what callers get lies nothing of the engine's", () => {
  const db = open(tempPath("between.db"));
  const count = 40;
  const nameOf = (i: number): string => `bucket ${String(i).padStart(3, "0")} with a name of its own`;
  db.update((tx) => { for (let i = 0; i < count; i++) tx.createBucket(nameOf(i)).put(keyOf(i), valueOf(i)); });
  db.update((tx) => {
    const copies: Buffer[] = [];
    const copy = (): void => { copies.push(requireBucket(tx.bucket(nameOf(0))).get(keyOf(0))!); };
    copy();
    const cursors = Array.from({ length: count }, (_, i) => {
      const bucket = requireBucket(tx.bucket(Buffer.from(nameOf(i))));
      copy();
      const cursor = bucket.cursor();
      cursor.first();
      copy();
      const iterator = bucket.entries({ gte: keyOf(i), prefix: keyOf(i) });
      copy();
      bucket.createBucket(Buffer.from("made meanwhile")).put("a", "b");
      copy();
      return { bucket, cursor, iterator };
    });
    overwriteBetween(copies);
    cursors.forEach(({ bucket, cursor, iterator }, i) => {
      assert.deepEqual(bucket.path.map(String), [nameOf(i)]);
      assert.equal(bucket.bucket("made meanwhile")?.get("a")?.toString(), "b");
      assert.deepEqual([...iterator].map(([key, value]) => [key.toString(), value.toString()]), [[keyOf(i), valueOf(i)]]);
      cursor.delete();
      assert.deepEqual([...bucket.keys()], []);
      bucket.put("new", valueOf(i));
    });
  });
  db.view((tx) => {
    assert.deepEqual([...tx.check()], []);
    for (const name of tx.buckets()) assert.equal(tx.bucket(name)?.bucket("made meanwhile")?.get("a")?.toString(), "b");
    assert.deepEqual([...tx.buckets()].map((name) => [name.toString(), tx.bucket(name)?.get("new")?.toString()]), Array.from({ length: count }, (_, i) => [nameOf(i), valueOf(i)]));
  });
  db.close();
});
