/**
 * Transactions that change far more pages than the cache may keep: what the writer points into stays where it is until the commit is written, and
 * the rest comes and goes. With pages of 64 KiB the smallest cache has room for a few dozen of them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStorage, open, type Tx } from "../../../engine/index.js";
import { Random, seedOfRun } from "../../support/random.js";
import { requireBucket, verify } from "./database.js";

const seed = seedOfRun();
const OPTIONS = { pageSize: 65_536, cacheSize: 0 } as const;

/** Keys of 8 bytes and a tail as long as is wanted. */
function keyOf(i: number, tailLength: number): string {
  return String(i).padStart(8, "0") + "t".repeat(tailLength);
}

function valueOf(i: number, version: number, length: number): Buffer {
  return Buffer.alloc(length, `${i}/${version};`);
}

interface Shape {
  readonly keyCount: number;
  readonly tailLength: number;
  readonly valueLength: number;
}

/** Many leaves under one branch, whose neighbours are merged unchanged; and a deep tree of branches with a handful of children. */
const SHAPES: Readonly<Record<string, Shape>> = {
  "a wide tree": { keyCount: 3000, tailLength: 0, valueLength: 1500 },
  "a deep tree": { keyCount: 700, tailLength: 9000, valueLength: 20 },
};

for (const [name, { keyCount, tailLength, valueLength }] of Object.entries(SHAPES)) {
  test(`${name}: a transaction over all pages of it, with the smallest cache, is written as it was made (SEED=${seed})`, () => {
    const random = new Random(seed);
    const storage = new MemoryStorage();
    const db = open("small-cache.db", { ...OPTIONS, storage });
    const model = new Map<string, Buffer>();
    const put = (tx: Tx, i: number, version: number): void => {
      const key = keyOf(i, tailLength);
      const value = valueOf(i, version, valueLength);
      tx.createBucketIfNotExists("b").put(key, value);
      model.set(key, value);
    };
    const compare = (): void => db.view((tx) => {
      const bucket = requireBucket(tx.bucket("b"));
      assert.equal(bucket.count(), model.size);
      for (const [key, value] of bucket) assert.ok(model.get(key.toString())?.equals(value), `value of ${key.subarray(0, 8).toString()}`);
    });
    db.update((tx) => { for (let i = 0; i < keyCount; i++) put(tx, i, 0); });
    compare();
    for (let version = 1; version <= 4; version++) {
      db.update((tx) => {
        const start = random.below(keyCount);
        for (let i = 0; i < keyCount; i++) {
          // Long runs of deletions leave pages so small that they are merged with neighbours which nobody has changed.
          const key = keyOf(i, tailLength);
          const isRun = Math.floor((i + start) / (keyCount / 60)) % 2 === version % 2;
          if (isRun && random.below(12) > 0) {
            requireBucket(tx.bucket("b")).delete(key);
            model.delete(key);
          } else if (!isRun && version % 2 === 0) {
            put(tx, i, version);
          }
        }
      });
      compare();
      verify(db, storage);
    }
    db.close();
  });
}

for (const reverse of [false, true]) {
  for (const pageSize of [4096, 65_536]) {
    test(`views of a walk ${reverse ? "backward" : "forward"} keep their bytes while other pages take the cache, pages of ${pageSize} bytes (SEED=${seed})`, () => {
      const random = new Random(seed);
      const db = open("small-cache.db", { pageSize, cacheSize: 0, storage: new MemoryStorage() });
      const keyCount = 30_000;
      db.update((tx) => {
        const bucket = tx.createBucket("b");
        for (let i = 0; i < keyCount; i++) bucket.put(keyOf(i, 0), valueOf(i, 0, 200));
      });
      db.view((tx) => {
        const bucket = requireBucket(tx.bucket("b"));
        const start = 10_000 + random.below(10_000);
        const limit = 2000 + random.below(1000);
        const kept: [Uint8Array, Uint8Array][] = [];
        for (const pair of bucket.entriesView({ reverse, limit, ...(reverse ? { lte: keyOf(start, 0) } : { gte: keyOf(start, 0) }) })) {
          kept.push(pair);
          // Now and then others read so much that the walk's page is gone, in the middle of it or at its end.
          if (random.below(20) === 0) for (let i = 0; i < keyCount; i += 15) bucket.get(keyOf(i, 0));
        }
        assert.equal(kept.length, limit);
        for (const [at, [key, value]] of kept.entries()) {
          const i = reverse ? start - at : start + at;
          assert.equal(Buffer.from(key).toString(), keyOf(i, 0));
          assert.ok(valueOf(i, 0, 200).equals(value), `value of ${i}`);
        }
      });
      db.close();
    });
  }
}
