/** Closing: what waits is told, a file that somebody has cut is left alone, and no descriptor stays. */
import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { readdirSync, statSync, truncateSync } from "node:fs";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import { MemoryStorage, open } from "../../../engine/index.js";
import { Random, seedOfRun } from "../../support/random.js";
import { tempPath } from "../../support/temp.js";
import { boltError } from "../tx/database.js";

test("close tells those that wait, also when the one whose turn it is never ends, and those that come later", async () => {
  const storage = new MemoryStorage();
  const db = open("hung.db", { storage });
  void db.updateAsync(() => new Promise(() => undefined));
  const waiting = [db.updateAsync((tx) => tx.createBucket("a")), db.batch((tx) => tx.createBucket("b"))];
  await new Promise((resolve) => setImmediate(resolve));
  const batched = db.batch((tx) => tx.createBucket("c"));
  db.close();
  for (const call of [...waiting, batched, db.updateAsync(() => undefined)]) await assert.rejects(call, boltError("DATABASE_NOT_OPEN", /^database not open/));
  const again = open("hung.db", { storage });
  assert.deepEqual(again.view((tx) => [...tx.buckets()]), []);
  again.close();
});

test("close leaves a file alone that somebody has emptied, so that it can become a database again", () => {
  const path = tempPath("emptied.db");
  const db = open(path);
  for (let i = 0; i < 5; i++) db.update((tx) => tx.createBucketIfNotExists("b").put("k", String(i)));
  truncateSync(path, 0);
  assert.throws(() => db.update((tx) => tx.bucket("b")?.put("k", "lost")), boltError("CORRUPT", /cut to 0 bytes/));
  db.close();
  assert.equal(statSync(path).size, 0);
  open(path).close();
});

/** A disk that cannot be closed, and whose asynchronous syncs wait. */
class Unclosable extends MemoryStorage {
  release: () => void = () => undefined;

  override async syncAsync(): Promise<void> {
    await new Promise<void>((resolve) => { this.release = resolve; });
  }

  override close(): void {
    super.close();
    throw new Error("close failed");
  }
}

test("a commit on its way is what it is, though the storage cannot be closed behind it", async () => {
  const storage = new Unclosable();
  const db = open("unclosable.db", { storage });
  let hookCount = 0;
  const committing = db.updateAsync((tx) => {
    tx.createBucket("b");
    tx.onCommit(() => { hookCount++; });
  });
  let isSettled = false;
  void committing.finally(() => { isSettled = true; });
  await new Promise((resolve) => setImmediate(resolve));
  db.close();
  while (!isSettled) {
    storage.release();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await committing;
  assert.equal(hookCount, 1);
});

test("what waits is told of a close that throws", async () => {
  const db = open("unclosable.db", { storage: new Unclosable() });
  void db.updateAsync(() => new Promise(() => undefined));
  const waiting = db.updateAsync(() => undefined);
  await new Promise((resolve) => setImmediate(resolve));
  assert.throws(() => db.close(), /close failed/);
  await assert.rejects(waiting, boltError("DATABASE_NOT_OPEN", /^database not open/));
});

test("after a program was broken off in the middle of a call by a vm timeout, close gives up the lock, and the file is whole", () => {
  for (let round = 0; round < 20; round++) {
    const path = tempPath("broken-off.db");
    const db = open(path, { noSync: true });
    db.update((tx) => { for (let i = 0, bucket = tx.createBucket("b"); i < 300; i++) bucket.put(`k${i}`, "v".repeat(i)); });
    let count = 0;
    const put = (): void => { db.update((tx) => tx.bucket("b")?.put(`k${count++ % 300}`, "w".repeat(count % 500))); };
    assert.throws(() => { runInNewContext("for (;;) put()", { put }, { timeout: 2 + (round % 7) }); }, { code: "ERR_SCRIPT_EXECUTION_TIMEOUT" });
    db.close();
    const again = open(path, { timeout: 1 });
    again.update((tx) => tx.bucket("b")?.put("next", "value"));
    assert.deepEqual(again.view((tx) => [...tx.check()]), []);
    again.close();
  }
});

test("what a vm timeout has left of a close is done by the next one", () => {
  const path = tempPath("half-closed.db");
  const db = open(path);
  const reader = db.begin();
  const writer = db.begin(true);
  const spin = (): void => { for (;;); };
  subscribe("hexbolt:rollback", spin);
  assert.throws(() => { runInNewContext("close()", { close: () => db.close() }, { timeout: 20 }); }, { code: "ERR_SCRIPT_EXECUTION_TIMEOUT" });
  unsubscribe("hexbolt:rollback", spin);
  db.close();
  for (const tx of [reader, writer]) assert.throws(() => [...tx.buckets()], boltError("TX_CLOSED", /^tx closed/));
  open(path, { timeout: 1 }).close();
});

test("databases that are opened, written and closed without a turn of the event loop leave few descriptors behind", { skip: process.platform !== "linux" && "counts the entries of /proc/self/fd" }, async (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  const random = new Random(seed);
  const path = tempPath("loop.db");
  const count = (): number => readdirSync("/proc/self/fd").length;
  const before = count();
  for (let cycle = 0; cycle < 120; cycle++) {
    const db = open(path);
    db.update((tx) => { for (let i = 0, bucket = tx.createBucketIfNotExists("b"); i < 300; i++) bucket.put(String(random.below(1e9)), Buffer.alloc(400)); });
    db.close();
  }
  // Deno takes two for each.
  assert.ok(count() - before <= 36, `${count() - before} descriptors more`);
  while (count() > before) await new Promise((resolve) => setTimeout(resolve, 5));
});
