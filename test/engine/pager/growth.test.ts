/** How a file grows: far enough for many commits, never by much more than it must. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MemoryStorage, open } from "../../../engine/index.js";
import { grownFileSize } from "../../../engine/pager/growth.js";
import { seedOfRun } from "../../support/random.js";

const MIB = 1 << 20;

test("a file grows to what is needed and at most by a sixteenth, 32 KiB or 4 MiB more", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  const size = fc.oneof(fc.nat({ max: 4 * MIB }), fc.integer({ min: 0, max: 2 ** 45 }));
  fc.assert(fc.property(size, size, (before, needed) => {
    const grown = grownFileSize(before, needed, Infinity);
    if (needed <= before) return assert.equal(grown, before);
    assert.ok(grown >= needed);
    assert.ok(grown - needed < Math.min(4 * MIB, Math.max(32_768, needed / 16)), `${needed} bytes needed, ${grown} taken`);
    assert.equal(grown % 32_768, 0);
  }), { seed, numRuns: 1000 });
});

test("a limit cuts the growth short, and refuses what does not fit, naming both sizes", () => {
  assert.equal(grownFileSize(0, 100 * MIB + 1, 101 * MIB), 101 * MIB);
  assert.equal(grownFileSize(0, 101 * MIB, 101 * MIB), 101 * MIB);
  assert.throws(() => grownFileSize(0, 101 * MIB + 1, 101 * MIB), { code: "MAX_SIZE_REACHED", message: /105906177 bytes, maxSize is 105906176/ });
  assert.equal(grownFileSize(200, 150, 100), 200, "a file that is larger than the limit already is not cut");
});

test("most commits do not change the size of the file", () => {
  const storage = new MemoryStorage();
  const db = open("x", { storage });
  const sizes = new Set<number>();
  for (let commit = 0; commit < 200; commit++) {
    db.update((tx) => {
      const bucket = tx.createBucketIfNotExists("b");
      for (let i = 0; i < 20; i++) bucket.put(`key ${commit * 20 + i}`, Buffer.alloc(100, commit));
    });
    sizes.add(storage.size());
  }
  db.close();
  assert.ok(sizes.size < 30, `${sizes.size} sizes in 200 commits`);
});

test("a commit past maxSize fails, and the transaction before it counts", () => {
  const storage = new MemoryStorage();
  const db = open("x", { storage, maxSize: 10 * 32_768 });
  db.update((tx) => { tx.createBucket("b").put("k", "v"); });
  const { length } = storage.bytes();
  assert.throws(() => db.update((tx) => { tx.bucket("b")?.put("big", Buffer.alloc(400_000)); }), { code: "MAX_SIZE_REACHED" });
  assert.equal(storage.size(), length);
  db.update((tx) => { tx.bucket("b")?.put("k", "w"); });
  assert.deepEqual(db.view((tx) => [...tx.check()]), []);
  assert.equal(db.view((tx) => tx.bucket("b")?.get("k")?.toString()), "w");
  db.close();
});
