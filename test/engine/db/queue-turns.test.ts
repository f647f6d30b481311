/** Asynchronous writers wait for writers that began in between, whoever came first. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { hold, LoopRounds } from "../../support/loop-rounds.js";
import { requireBucket, withDatabaseAsync } from "../tx/database.js";

test("an asynchronous update waits for a transaction that began right after it was called, and sees what that has committed", async () => {
  await withDatabaseAsync(async ({ db }) => {
    const order: string[] = [];
    const queued = db.updateAsync((tx) => {
      order.push("updateAsync");
      requireBucket(tx.bucket("b")).put("later", "2");
    });
    const batched = db.batch(() => order.push("batch"));
    const tx = db.begin(true);
    tx.createBucket("b").put("first", "1");
    // Turns of the event loop in which the queue could begin.
    for (let i = 0; i < 3; i++) await new Promise((resolve) => { setImmediate(resolve); });
    assert.equal(order.length, 0);
    order.push("begin");
    tx.commit();
    await Promise.all([queued, batched]);
    assert.deepEqual(order, ["begin", "updateAsync", "batch"]);
    assert.equal(db.view((read) => requireBucket(read.bucket("b")).count()), 2);
  });
});

for (const how of ["updateAsync", "batch"] as const) {
  test(`functions of ${how} that throw leave the event loop its turns`, async () => {
    await withDatabaseAsync(async ({ db }) => {
      const rounds = new LoopRounds();
      const refuse = (): void => {
        rounds.note();
        // Longer than a turn.
        hold(3);
        throw new Error("exists");
      };
      const calls = Array.from({ length: 10 }, () => db[how](refuse));
      rounds.begin();
      const outcomes = await Promise.allSettled(calls);
      const roundCount = rounds.end();
      assert.deepEqual(new Set(outcomes.map(({ status }) => status)), new Set(["rejected"]));
      // Of a batch each runs twice: with the others, and alone.
      assert.ok(roundCount >= 10, rounds.noted.join());
    });
  });
}
