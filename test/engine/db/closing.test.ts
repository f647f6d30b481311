/** Closing: what waits is told, a file that somebody has cut is left alone, and no descriptor stays. */
import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { readdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { test, type TestContext } from "node:test";
import { runInNewContext } from "node:vm";
import { BoltError, type DB, MemoryStorage, open } from "../../../engine/index.js";
import { FileStorage } from "../../../engine/storage/file-storage.js";
import { SystemError } from "../../../engine/storage/system-error.js";
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
  assert.throws(() => db.close(), boltError("IO", /close failed/));
  await assert.rejects(waiting, boltError("DATABASE_NOT_OPEN", /^database not open/));
});

/** Lets every close of a file fail, after it was done: as Linux does it. */
function failCloses(t: TestContext): void {
  const close = FileStorage.prototype.close;
  t.mock.method(FileStorage.prototype, "close", function closeAndFail(this: FileStorage) {
    close.call(this);
    throw new SystemError("EIO", "close", "i/o error");
  });
}

function isEio(error: unknown): boolean {
  return error instanceof BoltError && error.code === "IO" && error.message.includes("EIO") && error.cause instanceof SystemError;
}

test("a close that the system fails is IO, and all else that closing does is done", async (t) => {
  for (const close of [(db: DB) => db.close(), (db: DB) => db.closeAsync()]) {
    const path = tempPath("failing.db");
    const db = open(path);
    db.update((tx) => tx.createBucket("b"));
    const reader = db.begin();
    failCloses(t);
    await assert.rejects(async () => close(db), isEio);
    t.mock.restoreAll();
    assert.equal(db.isOpen, false);
    assert.throws(() => [...reader.buckets()], boltError("TX_CLOSED", /./));
    db.close();
    const again = open(path, { timeout: 1 });
    assert.deepEqual(again.view((tx) => [...tx.check()]), []);
    again.close();
  }
});

test("where an opening fails and its file cannot be closed either, the first error is the one that is told", (t) => {
  const notes = tempPath("notes.txt");
  writeFileSync(notes, "no database".repeat(100));
  const path = tempPath("used.db");
  const db = open(path);
  // Free pages that are not stored, and no room to store them.
  const unstored = new MemoryStorage();
  const made = open("unstored.db", { storage: unstored, noFreelistSync: true });
  made.update((tx) => tx.createBucket("b"));
  made.close();
  Object.assign(unstored, { write: () => { throw new Error("ENOSPC"); }, close: () => { throw new Error("EIO"); } });
  failCloses(t);
  assert.throws(() => open(notes), boltError("INVALID", /./));
  assert.throws(() => open(path, { timeout: 1 }), boltError("TIMEOUT", /in use/));
  assert.throws(() => open("unstored.db", { storage: unstored }), boltError("IO", /ENOSPC/));
  let hasName = (): boolean => { throw new Error("EACCES"); };
  t.mock.method(FileStorage.prototype, "hasName", () => hasName());
  assert.throws(() => open(tempPath("hidden.db")), boltError("IO", /EACCES/));
  hasName = () => false;
  assert.throws(() => open(tempPath("lost.db")), boltError("TIMEOUT", /was replaced/));
  t.mock.restoreAll();
  db.close();
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
