/** A large asynchronous commit is prepared in turns of the event loop; what runs between them reads the state before. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../../../engine/index.js";
import { SimulatedDisk } from "../../../engine/testing.js";
import { Random, seedOfRun } from "../../support/random.js";
import { boltError, keyOf, requireBucket, withDatabaseAsync } from "../tx/database.js";

/** So many that every commit takes several turns, on a fast machine too. */
const COUNT = 60_000;

function valueOf(round: number): Buffer {
  return Buffer.alloc(100, round);
}

test("between the pieces of a commit views see the state before it, writers wait, and readers come and go", async (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  const random = new Random(seed);
  await withDatabaseAsync(async ({ db }) => {
    db.update((tx) => { for (let i = 0, bucket = tx.createBucket("bucket"); i < COUNT; i++) bucket.put(keyOf(i), valueOf(0)); });
    for (let round = 1; round <= 6; round++) {
      let isDone = false;
      let viewCount = 0;
      const held = db.begin();
      const look = (): void => {
        if (isDone) return;
        viewCount++;
        for (const reader of [held, db.begin()]) {
          const bucket = requireBucket(reader.bucket("bucket"));
          for (let i = 0; i < 20; i++) assert.deepEqual(bucket.get(keyOf(random.below(COUNT))), valueOf(round - 1));
          if (reader !== held) reader.rollback();
        }
        assert.throws(() => db.update(() => undefined), boltError("TX_WRITER_BUSY", /./));
        setImmediate(look);
      };
      const commit = db.updateAsync((tx) => {
        const bucket = requireBucket(tx.bucket("bucket"));
        for (let i = 0; i < COUNT; i++) bucket.put(keyOf(i), valueOf(round));
        setImmediate(look);
      });
      await commit;
      isDone = true;
      held.rollback();
      // Bun and Deno put several pieces into one of their turns.
      assert.ok(viewCount >= ("bun" in process.versions || "deno" in process.versions ? 1 : 3), `${viewCount} turns while the commit was prepared and stored`);
      db.view((tx) => { for (const [, value] of requireBucket(tx.bucket("bucket")).entries()) assert.deepEqual(value, valueOf(round)); });
    }
  }, { cacheSize: 64 * 4096 });
});

test("the calls of a batch run in turns too, in one transaction", async () => {
  await withDatabaseAsync(async ({ db }) => {
    const txids = new Set<bigint>();
    let [roundCount, isDone] = [0, false];
    const count = (): void => {
      roundCount++;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    await Promise.all(Array.from({ length: 100 }, (_, i) => db.batch((tx) => {
      const end = performance.now() + 0.3;
      while (performance.now() < end);
      txids.add(tx.id);
      tx.createBucketIfNotExists("bucket").put(keyOf(i), "value");
    })));
    isDone = true;
    assert.equal(txids.size, 1);
    assert.ok(roundCount >= 10, `${roundCount} rounds of the event loop`);
    assert.equal(db.view((tx) => requireBucket(tx.bucket("bucket")).count()), 100);
  });
});

test("a batch whose database is closed between its calls rejects all of them, with nothing done", async () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const db = open("test.db", { storage: disk });
  let callCount = 0;
  const calls = Array.from({ length: 50 }, () => db.batch((tx) => {
    const end = performance.now() + 0.3;
    while (performance.now() < end);
    tx.createBucketIfNotExists("bucket").put("key", "value");
    if (++callCount === 1) setImmediate(() => db.close());
  }));
  for (const call of calls) await assert.rejects(call, boltError("DATABASE_NOT_OPEN", /./));
  assert.ok(callCount < 50);
  const again = open("test.db", { storage: disk });
  assert.equal(again.view((tx) => tx.bucket("bucket")), undefined);
  again.close();
});

test("a database closed between the pieces of a commit ends it as it will", async () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const db = open("test.db", { storage: disk });
  const commit = db.updateAsync((tx) => { for (let i = 0, bucket = tx.createBucket("bucket"); i < COUNT; i++) bucket.put(keyOf(i), valueOf(1)); });
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  db.close();
  await commit;
  const again = open("test.db", { storage: disk });
  assert.equal(again.view((tx) => requireBucket(tx.bucket("bucket")).count()), COUNT);
  assert.deepEqual(again.view((tx) => [...tx.check()]), []);
  again.close();
});
