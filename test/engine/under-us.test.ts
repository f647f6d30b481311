/** Things that happen around an open database: its file is cut, replaced, deleted or closed off; other threads open it; ten thousand readers hold it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, truncateSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { BoltError, type DB, type ErrorCode, open, openMemory, type ReadTx } from "../../engine/index.js";
import { contentOf } from "../support/content.js";
import { asAnybody } from "../support/anybody.js";
import { Random, seedOfRun } from "../support/random.js";
import { rawProblems } from "../support/raw-check.js";
import { tempPath } from "../support/temp.js";

function filled(path: string, keyCount = 4000): DB {
  const db = open(path, { noSync: true });
  db.update((tx) => {
    const bucket = tx.createBucket("b");
    for (let i = 0; i < keyCount; i++) bucket.put(`key ${i}`, `value ${i}`.repeat(5));
  });
  return db;
}

function hasCode(...codes: readonly ErrorCode[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof BoltError, String(error));
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
    return true;
  };
}

test("a file that is cut under an open database gives right values or CORRUPT, takes no commit, and check says it", async () => {
  const path = tempPath("cut.db");
  filled(path).close();
  const size = statSync(path).size;
  for (const cutTo of [0, 100, 4096, 8192, Math.floor(size / 3), Math.floor(size / 2) + 77, size - 32_768 - 4096]) {
    const copy = tempPath("cut-copy.db");
    copyFileSync(path, copy);
    const db = open(copy, { noSync: true });
    db.view((tx) => { assert.equal(tx.bucket("b")?.count({ limit: 1000 }), 1000); }); // some pages are in the cache
    truncateSync(copy, cutTo);
    let missing = 0;
    db.view((tx) => {
      for (let i = 0; i < 4000; i += 7) {
        try {
          assert.equal(String(tx.bucket("b")?.get(`key ${i}`)), `value ${i}`.repeat(5));
        } catch (error) {
          assert.ok(hasCode("CORRUPT")(error));
          missing++;
        }
      }
      assert.ok([...tx.check()].length > 0, `check on a file cut to ${cutTo}`);
    });
    if (cutTo < size * 0.6) assert.ok(missing > 0, `pages are missing from a file cut to ${cutTo}`);
    assert.throws(() => { db.update((tx) => { tx.createBucket("new"); }); }, hasCode("CORRUPT"));
    await assert.rejects(db.updateAsync((tx) => { tx.createBucketIfNotExists("b").put("key 0", "v"); }), hasCode("CORRUPT"));
    db.close();
    assert.ok(statSync(copy).size <= Math.max(cutTo, 8192), "nothing has put a new end to it");
  }
});

test("a file that is replaced or deleted under an open database: it goes on with its own file and leaves the other alone", () => {
  const path = tempPath("mine.db");
  const other = tempPath("other.db");
  filled(other, 10).close();
  const otherBytes = readFileSync(other);
  const db = filled(path);
  renameSync(other, path);
  db.update((tx) => { tx.bucket("b")?.put("new", "value"); });
  db.view((tx) => {
    assert.equal(tx.bucket("b")?.count(), 4001);
    assert.deepEqual([...tx.check()], []);
  });
  // The lock is the file's, not the name's: the other file is free.
  const second = open(path);
  assert.equal(second.view((tx) => tx.bucket("b")?.count()), 10);
  second.close();
  const copy = tempPath("rescued.db");
  db.view((tx) => { tx.copyTo(copy); });
  db.close();
  assert.deepEqual(rawProblems(readFileSync(path)), []);
  assert.equal(readFileSync(path).length, otherBytes.length);
  const rescued = open(copy);
  assert.equal(rescued.view((tx) => String(tx.bucket("b")?.get("new"))), "value");
  unlinkSync(copy);
  rescued.update((tx) => { tx.bucket("b")?.put("gone", "but still usable"); });
  assert.equal(rescued.view((tx) => tx.bucket("b")?.count()), 4002);
  rescued.close();
  assert.equal(existsSync(copy), false);
});

test("a copy replaces one that may not be written, as it may where the folder may be", async () => {
  const folder = tempPath("copies");
  mkdirSync(folder);
  if (process.getuid?.() === 0) chownSync(folder, 65_534, 65_534);
  await asAnybody(async () => {
    const path = join(folder, "read-only.db");
    filled(path, 10).close();
    chmodSync(path, 0o444);
    const db = open(path, { readOnly: true });
    const copy = join(folder, "copy.db");
    for (let i = 0; i < 2; i++) await db.backup(copy);
    db.compact(copy);
    db.close();
    assert.equal(statSync(copy).mode & 0o222, 0);
    const again = open(copy, { readOnly: true });
    assert.equal(again.view((tx) => tx.bucket("b")?.count()), 10);
    again.close();
  });
});

test("permission that is lost: an open database goes on, another opening gets IO with the system's EACCES", async () => {
  const path = join(tempPath("folder"), "closed-off.db");
  mkdirSync(dirname(path));
  const db = filled(path, 100);
  chmodSync(path, 0);
  db.update((tx) => { tx.bucket("b")?.put("new", "value"); });
  assert.equal(db.view((tx) => tx.bucket("b")?.count()), 101);
  db.close();
  const opensRefused = (): void => {
    for (const options of [{}, { readOnly: true }]) {
      assert.throws(() => open(path, options), (error) => {
        assert.ok(error instanceof BoltError && error.code === "IO", String(error));
        assert.match(error.message, /EACCES/);
        return true;
      });
    }
    assert.throws(() => open(join(dirname(path), "new.db")), (error) => error instanceof BoltError && error.code === "IO");
  };
  chmodSync(dirname(path), 0o500);
  await asAnybody(opensRefused);
  chmodSync(dirname(path), 0o700);
  chmodSync(path, 0o400);
  const readable = open(path, { readOnly: true });
  assert.equal(readable.view((tx) => tx.bucket("b")?.count()), 101);
  readable.close();
});

test("a folder that may be written and not read takes copies: its names cannot be made durable, and nothing can be done about it", async () => {
  const path = join(tempPath("folder"), "a.db");
  mkdirSync(dirname(path));
  const db = filled(path, 100);
  const copies = ["copy.db", "compacted.db", "backup.db"].map((name) => join(dirname(path), name));
  chmodSync(dirname(path), 0o333);
  await asAnybody(async () => {
    db.view((tx) => { tx.copyTo(copies[0]!); });
    db.compact(copies[1]!);
    await db.backup(copies[2]!);
  });
  chmodSync(dirname(path), 0o700);
  db.close();
  for (const name of copies) {
    const copied = open(name, { readOnly: true });
    assert.equal(copied.view((tx) => tx.bucket("b")?.count()), 100);
    copied.close();
  }
});

/** What a thread does with the file; it says what became of it in one message. */
const THREAD = `
  const { parentPort, workerData } = require("node:worker_threads");
  import(workerData.engine).then(({ open }) => {
    let db;
    try {
      db = open(workerData.path, workerData.options);
      const count = workerData.options.readOnly
        ? db.view((tx) => tx.bucket("b").count())
        : db.update((tx) => { tx.bucket("b").put("thread " + workerData.number, "was here"); return tx.bucket("b").count(); });
      if (!workerData.stays) db.close();
      parentPort.postMessage({ count });
      if (workerData.stays) setInterval(() => undefined, 1000);
    } catch (error) {
      parentPort.postMessage({ code: error.code });
    }
  });
`;

function startThread(path: string, number: number, options: { readonly readOnly?: boolean; readonly timeout?: number }, stays = false): Worker {
  const engine = new URL("../../engine/index.js", import.meta.url).href;
  return new Worker(THREAD, { eval: true, workerData: { engine, path, number, options, stays } });
}

async function messageOf(worker: Worker): Promise<{ readonly count?: number; readonly code?: string }> {
  const [message] = (await once(worker, "message")) as [{ count?: number; code?: string }];
  return message;
}

test("threads that open one file exclude each other as processes do: no commit is lost, and a thread's end frees its lock", async () => {
  const path = tempPath("threads.db");
  const db = filled(path, 10);
  assert.deepEqual(await messageOf(startThread(path, 0, {})), { code: "TIMEOUT" });
  assert.deepEqual(await messageOf(startThread(path, 0, { readOnly: true })), { code: "TIMEOUT" });
  db.close();
  const threads = [1, 2, 3, 4].map((number) => startThread(path, number, { timeout: 60_000 }));
  const counts = await Promise.all(threads.map(async (thread) => (await messageOf(thread)).count));
  assert.deepEqual(counts.sort(), [11, 12, 13, 14]);
  const readers = [1, 2, 3].map((number) => startThread(path, number, { readOnly: true }, true));
  assert.deepEqual(await Promise.all(readers.map(messageOf)), [{ count: 14 }, { count: 14 }, { count: 14 }]);
  assert.throws(() => open(path), hasCode("TIMEOUT"));
  for (const reader of readers) await reader.terminate();
  const staying = startThread(path, 5, {}, true);
  assert.deepEqual(await messageOf(staying), { count: 15 });
  assert.throws(() => open(path), hasCode("TIMEOUT"));
  await staying.terminate();
  const last = open(path);
  last.view((tx) => {
    assert.equal(tx.bucket("b")?.count(), 15);
    assert.deepEqual([...tx.check()], []);
  });
  last.close();
  assert.deepEqual(rawProblems(readFileSync(path)), []);
});

const seed = seedOfRun();

test(`ten thousand readers held open each see their snapshot, and their pages come back when they end (SEED=${seed})`, () => {
  const random = new Random(seed);
  const db = openMemory({ pageSize: 1024 });
  const held: { readonly tx: ReadTx; readonly sha256: string }[] = [];
  db.update((tx) => { tx.createBucket("b"); });
  for (let commit = 0; commit < 500; commit++) {
    db.update((tx) => {
      for (let i = 0; i < 12; i++) tx.bucket("b")?.put(`key ${random.below(300)}`, Buffer.alloc(random.below(300), commit));
      for (let i = 0; i < 6; i++) tx.bucket("b")?.delete(`key ${random.below(300)}`);
    });
    const sha256 = db.view((tx) => contentOf(tx).sha256);
    for (let i = 0; i < 20; i++) held.push({ tx: db.begin(), sha256 });
  }
  assert.equal(db.stats().openTxN, 10_000);
  const sizeHeld = db.view((tx) => tx.size);
  while (held.length > 0) {
    const [reader] = held.splice(random.below(held.length), 1);
    assert.ok(reader !== undefined);
    if (held.length % 20 === 0) assert.equal(contentOf(reader.tx).sha256, reader.sha256, `snapshot of tx ${reader.tx.id}`);
    reader.tx.rollback();
    if (held.length % 1000 === 0) db.update((tx) => { tx.bucket("b")?.put("key 0", String(held.length)); });
  }
  assert.equal(db.stats().openTxN, 0);
  db.view((tx) => { assert.deepEqual([...tx.check()], []); });
  const sizeAfter = (commitCount: number): number => {
    for (let i = 0; i < commitCount; i++) db.update((tx) => { tx.bucket("b")?.put(`key ${i % 200}`, Buffer.alloc(280, i)); });
    return db.view((tx) => tx.size);
  };
  // The list of so many free pages takes hundreds of neighbouring ones, and a few of it exist at a time: there is not room for them everywhere.
  const sizeSettled = sizeAfter(100);
  assert.ok(sizeSettled < sizeHeld * 1.05, `the readers' pages are used again: ${sizeHeld}, then ${sizeSettled} bytes`);
  assert.equal(sizeAfter(100), sizeSettled, "and again");
  assert.ok(db.stats().pendingPageN < db.stats().freePageN / 20, `${db.stats().pendingPageN} pages are still waiting`);
  db.close();
});
