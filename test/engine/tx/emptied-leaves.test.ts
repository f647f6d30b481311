/** Walks in a transaction that has emptied whole pages: right, and without a step for each of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BoltError, type Bucket, MemoryStorage, open, openMemory } from "../../../engine/index.js";
import { PageCache } from "../../../engine/pager/page-cache.js";
import { Random, seedOfRun } from "../../support/random.js";
import { keyOf, requireBucket, withDatabase } from "./database.js";

const seed = seedOfRun();
const MANY = 60_000;

/** Ways to delete all keys that come again and again to where the emptied pages are. */
const DRAINS: Readonly<Record<string, (bucket: Bucket) => void>> = {
  "a cursor going backward": (bucket) => {
    const cursor = bucket.cursor();
    for (let entry = cursor.last(); entry !== undefined; entry = cursor.prev()) cursor.delete();
  },
  "an iterator going backward": (bucket) => {
    for (const key of bucket.keys({ reverse: true })) bucket.delete(key);
  },
  "the first key, time and again": (bucket) => {
    const cursor = bucket.cursor();
    for (let entry = cursor.first(); entry !== undefined; entry = cursor.first()) cursor.delete();
  },
  "the last key, time and again": (bucket) => {
    const cursor = bucket.cursor();
    for (let entry = cursor.last(); entry !== undefined; entry = cursor.last()) cursor.delete();
  },
  "the first key from the middle on, then the first of all": (bucket) => {
    for (const low of [keyOf(MANY / 2), ""]) {
      for (let [key] = bucket.keys({ gte: low, limit: 1 }); key !== undefined; [key] = bucket.keys({ gte: low, limit: 1 })) bucket.delete(key);
    }
  },
};

/** How often pages are looked up while work is done. */
function lookupsOf(work: () => void): number {
  const { locate } = PageCache.prototype;
  let count = 0;
  PageCache.prototype.locate = function locateAndCount(this: PageCache, pgid: number): number {
    count++;
    return locate.call(this, pgid);
  };
  try {
    work();
  } finally {
    PageCache.prototype.locate = locate;
  }
  return count;
}

for (const [what, drain] of Object.entries(DRAINS)) {
  test(`${what}: emptied pages are passed by`, () => {
    const db = openMemory();
    db.update((tx) => {
      const bucket = tx.createBucket("b");
      for (let i = 0; i < MANY; i++) bucket.put(keyOf(i), "a value of some bytes");
    });
    const lookups = lookupsOf(() => db.update((tx) => drain(requireBucket(tx.bucket("b")))));
    // Four to nine a key; with a step for each emptied page hundreds.
    assert.ok(lookups < 20 * MANY, `${lookups} pages looked up for ${MANY} keys`);
    db.view((tx) => {
      assert.equal(requireBucket(tx.bucket("b")).count(), 0);
      assert.deepEqual([...tx.check()], []);
    });
    db.close();
  });
}

test(`stretches that are emptied and filled again, with walks in between, give what a sorted array gives (SEED=${seed})`, () => {
  const random = new Random(seed);
  for (let round = 0; round < 30; round++) {
    withDatabase(({ db }) => {
      const size = 400;
      db.update((tx) => {
        const bucket = tx.createBucket("b");
        for (let i = 0; i < size; i++) bucket.put(keyOf(i), "x".repeat(random.pick([10, 100])));
      });
      const before = Array.from({ length: size }, (_, i) => keyOf(i));
      const model = new Set(before);
      // What a reader asks for is read into frames that emptied leaves have given back.
      const reader = db.begin(false);
      const assertReads = (): void => {
        assert.deepEqual([...requireBucket(reader.bucket("b")).keys()].map(String), before);
      };
      db.update((tx) => {
        const bucket = requireBucket(tx.bucket("b"));
        for (let step = 0; step < 25; step++) {
          const from = random.below(size);
          const to = Math.min(size, from + random.pick([1, 20, 150]));
          const isPut = random.below(3) === 0;
          for (let i = from; i < to; i++) {
            if (isPut) bucket.put(keyOf(i), "again");
            else bucket.delete(keyOf(i));
            if (isPut) model.add(keyOf(i));
            else model.delete(keyOf(i));
          }
          const sorted = [...model].sort();
          assert.deepEqual([...bucket.keys()].map(String), sorted);
          assert.deepEqual([...bucket.keys({ reverse: true })].map(String), [...sorted].reverse());
          const low = keyOf(random.below(size));
          const cursor = bucket.cursor();
          const at = sorted.findIndex((key) => key >= low);
          assert.equal(cursor.seek(low)?.key.toString(), sorted[at]);
          assert.equal(cursor.prev()?.key.toString(), at < 0 ? sorted.at(-1) : sorted[at - 1]);
          assert.equal([...bucket.keys({ lt: low, reverse: true, limit: 1 })].map(String)[0], sorted[at < 0 ? sorted.length - 1 : at - 1]);
          if (step % 5 === 4) assertReads();
        }
      });
      assertReads();
      reader.rollback();
      db.view((tx) => assert.deepEqual([...requireBucket(tx.bucket("b")).keys()].map(String), [...model].sort()));
    }, { pageSize: 1024 });
  }
});

test("in a damaged file in which two branches lead to one leaf, putting and deleting keys is CORRUPT or works, and nothing else", () => {
  const PAGE_SIZE = 1024;
  const storage = new MemoryStorage();
  const made = open("shared-leaf.db", { storage, pageSize: PAGE_SIZE });
  made.update((tx) => {
    const bucket = tx.createBucket("b");
    for (let i = 0; i < 2000; i++) bucket.put(keyOf(i), "v".repeat(60));
  });
  const root = made.view((tx) => requireBucket(tx.bucket("b")).root);
  made.close();
  const bytes = Buffer.from(storage.bytes());
  const elementAt = (page: number, i: number): number => page * PAGE_SIZE + 16 + 16 * i;
  const childOf = (page: number, i: number): number => Number(bytes.readBigUInt64LE(elementAt(page, i) + 8));
  const [first, second] = [childOf(root, 0), childOf(root, 1)];
  const shared = childOf(first, bytes.readUInt16LE(first * PAGE_SIZE + 10) - 1);
  bytes.writeBigUInt64LE(BigInt(shared), elementAt(second, 0) + 8);
  storage.write([bytes], 0);
  for (let from = 480; from < 600; from += 4) {
    const db = open("shared-leaf.db", { storage });
    const tx = db.begin(true);
    const bucket = requireBucket(tx.bucket("b"));
    try {
      for (let i = from; i < from + 40; i++) bucket.delete(keyOf(i));
      for (let i = from; i < from + 60; i++) bucket.put(`${keyOf(i)}x`, "again");
      for (let i = from; i < from + 60; i++) bucket.delete(`${keyOf(i)}x`);
      assert.ok([...bucket.keys()].length > 0);
    } catch (error) {
      assert.ok(error instanceof BoltError && error.code === "CORRUPT", String(error));
    }
    tx.rollback();
    db.close();
  }
});
