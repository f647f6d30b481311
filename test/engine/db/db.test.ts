/** The database: how it opens and closes, what each kind of use gives when, its errors, events, and disposal. */
import assert from "node:assert/strict";
import { channel } from "node:diagnostics_channel";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import type { DB, ErrorCode, Tx } from "../../../engine/index.js";
import { BoltError, MemoryStorage, open, openMemory } from "../../../engine/index.js";
import { SimulatedDisk } from "../../../engine/testing.js";
import { tempPath } from "../../support/temp.js";
import { boltError, errorOf, keyOf, requireBucket, withDatabase } from "../tx/database.js";

test("what is committed is there when the file is opened again", () => {
  const path = tempPath("test.db");
  for (let round = 0; round < 3; round++) {
    const db = open(path);
    db.update((tx) => tx.createBucketIfNotExists("bucket").put(`round ${round}`, "value"));
    assert.equal(db.path, path);
    db.close();
  }
  const db = open(path, { readOnly: true });
  assert.equal(db.view((tx) => requireBucket(tx.bucket("bucket")).count()), 3);
  db.close();
});

test("view and update give back what their function gives, and throw what it throws, changed by nothing", () => {
  withDatabase(({ db }) => {
    const result = {};
    assert.equal(db.view(() => result), result);
    assert.equal(db.update(() => result), result);
    const failure = { not: "an Error" };
    for (const run of [(): unknown => db.view(() => { throw failure; }), (): unknown => db.update((tx) => { tx.createBucket("bucket"); throw failure; })]) {
      assert.throws(run, (error) => error === failure);
    }
    assert.equal(db.view((tx) => tx.bucket("bucket")), undefined);
  });
});

test("a second writer while one is open is TX_WRITER_BUSY; when it has ended there is room again", () => {
  withDatabase(({ db }) => {
    const busy = boltError("TX_WRITER_BUSY", /^another write transaction is open/);
    const tx = db.begin(true);
    assert.throws(() => db.begin(true), busy);
    assert.throws(() => db.update(() => undefined), busy);
    tx.rollback();
    db.update((outer) => {
      outer.createBucket("bucket");
      assert.throws(() => db.update((inner) => inner.createBucket("inner")), busy);
      assert.equal(db.view((reader) => reader.bucket("bucket")), undefined, "reading meanwhile gives the committed state");
    });
    assert.ok(db.view((reader) => reader.bucket("bucket")));
  });
});

test("a function that returns a promise is rolled back with TX_ASYNC_CALLBACK, and its later failure makes no noise", async () => {
  const db = openMemory();
  const refused = boltError("TX_ASYNC_CALLBACK", /^callback returned a promise/);
  const late = async (tx: Tx): Promise<void> => {
    tx.createBucket("bucket");
    await Promise.resolve();
    tx.createBucket("after the end");
  };
  assert.throws(() => db.update(late), refused);
  assert.throws(() => db.view(async () => { throw new Error("in view"); }), refused);
  assert.throws(() => db.update(() => ({ then: (resolve: (value: number) => void) => { resolve(1); } })), refused);
  await assert.rejects(db.batch(late), refused);
  await new Promise((resolve) => { setTimeout(resolve, 5); });
  assert.deepEqual(db.view((tx) => [...tx.buckets()]), []);
  db.close();
});

test("a read-only database reads, and refuses each way to write", async () => {
  const path = tempPath("test.db");
  const writer = open(path);
  writer.update((tx) => tx.createBucket("bucket").put("key", "value"));
  writer.close();
  const before = readFileSync(path);
  const db = open(path, { readOnly: true });
  assert.equal(db.readOnly, true);
  assert.equal(db.view((tx) => tx.bucket("bucket")?.get("key")?.toString()), "value");
  const refused = boltError("DATABASE_READ_ONLY", "database is in read-only mode");
  assert.throws(() => db.begin(true), refused);
  assert.throws(() => db.update(() => undefined), refused);
  await assert.rejects(db.batch(() => undefined), refused);
  await assert.rejects(db.updateAsync(() => undefined), refused);
  assert.deepEqual(db.view((tx) => [...tx.check()]), []);
  db.sync();
  await db.closeAsync();
  assert.deepEqual(readFileSync(path), before, "not a byte has changed");
});

test("after close every use is DATABASE_NOT_OPEN; close again is no error", async () => {
  const db = openMemory();
  assert.equal(db.isOpen, true);
  db.close();
  assert.equal(db.isOpen, false);
  const closed = boltError("DATABASE_NOT_OPEN", /^database not open/);
  for (const use of [(): unknown => db.view(() => undefined), (): unknown => db.update(() => undefined), (): unknown => db.begin(), (): unknown => db.begin(true), (): unknown => db.stats(), (): unknown => db.sync()]) {
    assert.throws(use, closed);
  }
  await assert.rejects(db.batch(() => undefined), closed);
  await assert.rejects(db.updateAsync(() => undefined), closed);
  db.close();
  await db.closeAsync();
  db[Symbol.dispose]();
});

test("a transaction of begin ends at the end of a using block: rolled back, unless it was committed", () => {
  withDatabase(({ db }) => {
    const [writer, reader] = [db.begin(true), db.begin()];
    writer.createBucket("dropped");
    for (const tx of [writer, reader]) tx[Symbol.dispose]();
    assert.equal(db.stats().openTxN, 0);
    for (const tx of [writer, reader]) tx[Symbol.dispose]();
    const committed = db.begin(true);
    committed.createBucket("kept");
    committed.commit();
    committed[Symbol.dispose]();
    assert.deepEqual(db.view((tx) => [...tx.buckets()].map(String)), ["kept"]);
    db.view((tx) => assert.throws(() => tx[Symbol.dispose](), boltError("TX_MANAGED", /managed/)));
  });
});

test("close rolls back what is open", () => {
  const storage = new MemoryStorage();
  const db = open("test.db", { storage });
  db.update((tx) => tx.createBucket("bucket").put("key", "committed"));
  const [reader, writer] = [db.begin(), db.begin(true)];
  requireBucket(writer.bucket("bucket")).put("key", "not committed");
  db.close();
  for (const tx of [reader, writer]) assert.throws(() => tx.bucket("bucket"), boltError("TX_CLOSED", "tx closed"));
  const again = open("test.db", { storage });
  assert.equal(again.view((tx) => tx.bucket("bucket")?.get("key")?.toString()), "committed");
  again.close();
});

test("close inside view lets the function end; inside update the transaction is gone and that is said", () => {
  const reading = openMemory();
  assert.equal(reading.view((tx) => {
    reading.close();
    assert.throws(() => tx.bucket("bucket"), boltError("TX_CLOSED", "tx closed"));
    return "result";
  }), "result");
  const storage = new MemoryStorage();
  const writing = open("test.db", { storage });
  assert.throws(() => writing.update((tx) => {
    tx.createBucket("bucket");
    writing.close();
  }), boltError("TX_CLOSED", "tx closed"));
  const again = open("test.db", { storage });
  assert.equal(again.view((tx) => tx.bucket("bucket")), undefined);
  again.close();
});

test("the lock is free once a database is closed, however it was closed", async () => {
  const path = tempPath("test.db");
  open(path).close();
  const throwing = open(path);
  assert.throws(() => throwing.update(() => { throwing.close(); }));
  const asynchronous = open(path);
  await asynchronous.closeAsync();
  {
    using disposed = open(path);
    disposed.update(() => undefined);
  }
  {
    await using disposed = open(path);
    void disposed.updateAsync((tx) => tx.createBucket("from updateAsync"));
    void disposed.batch((tx) => tx.createBucket("from batch"));
  }
  const last = open(path);
  assert.deepEqual(last.view((tx) => [...tx.buckets()].map(String)), ["from batch", "from updateAsync"]);
  last.close();
});

/** Opens a file whose meta pages were changed by `damage`. */
function openDamaged(damage: (file: Buffer, metas: readonly number[]) => void): DB {
  const path = tempPath("damaged.db");
  const db = open(path);
  db.update((tx) => tx.createBucket("bucket"));
  db.close();
  const file = readFileSync(path);
  damage(file, [16, 4096 + 16]);
  writeFileSync(path, file);
  return open(path);
}

test("a file that is no database says which way, by the fault of meta 0, and is unlocked again", () => {
  const faults: readonly (readonly [ErrorCode, RegExp, (file: Buffer, meta: number) => void])[] = [
    ["INVALID", /^invalid database/, (file, meta) => file.writeUInt32LE(1, meta)],
    ["VERSION_MISMATCH", /^version mismatch/, (file, meta) => file.writeUInt32LE(3, meta + 4)],
    ["CHECKSUM", /^checksum error/, (file, meta) => file.writeUInt32LE(77, meta + 56)],
  ];
  for (const [code, text, spoil] of faults) {
    assert.throws(() => openDamaged((file, metas) => { for (const meta of metas) spoil(file, meta); }), boltError(code, text));
  }
  assert.throws(() => openDamaged((file, [meta0 = 0, meta1 = 0]) => {
    file.writeUInt32LE(77, meta0 + 56);
    file.writeUInt32LE(1, meta1);
  }), boltError("CHECKSUM", /^checksum error/));
  const path = tempPath("text.db");
  writeFileSync(path, "this is not a database\n".repeat(1000));
  for (let i = 0; i < 2; i++) assert.throws(() => open(path), boltError("INVALID", /^invalid database/));
  assert.equal(readFileSync(path, "utf8").slice(0, 22), "this is not a database");
});

test("with one meta page damaged the other counts, and recovery says so", () => {
  const db = openDamaged((file, [meta0 = 0]) => file.writeUInt32LE(77, meta0 + 56));
  assert.equal(db.recovery?.lostTxid, undefined);
  assert.match(db.recovery?.reason ?? "", /meta page 0/);
  db.close();
  const sound = openMemory();
  assert.equal(sound.recovery, undefined);
  sound.close();
});

test("an empty file becomes a database; opened read-only it is none", () => {
  const path = tempPath("empty.db");
  writeFileSync(path, "");
  assert.throws(() => open(path, { readOnly: true }), boltError("INVALID", /^invalid database/));
  open(path).close();
  const db = open(path, { readOnly: true });
  assert.deepEqual(db.view((tx) => [...tx.buckets()]), []);
  db.close();
});

test("a damaged page is CORRUPT and names the page, in reading and in writing", () => {
  const storage = new MemoryStorage();
  const first = open("test.db", { storage });
  first.update((tx) => { for (let i = 0, bucket = tx.createBucket("bucket"); i < 1000; i++) bucket.put(keyOf(i), "value"); });
  const root = first.view((tx) => requireBucket(tx.bucket("bucket")).root);
  first.close();
  storage.write([Buffer.alloc(16, 0xff)], root * 4096);
  const db = open("test.db", { storage });
  const damaged = boltError("CORRUPT", new RegExp(`^page ${root}: `));
  db.view((tx) => {
    const bucket = requireBucket(tx.bucket("bucket"));
    for (const use of [(): unknown => bucket.get("key"), (): unknown => bucket.cursor().first(), (): unknown => [...bucket.keys()], (): unknown => bucket.count(), (): unknown => bucket.stats()]) assert.throws(use, damaged);
    assert.match([...tx.check()].join("\n"), new RegExp(`page ${root}`));
  });
  assert.throws(() => db.update((tx) => tx.bucket("bucket")?.put("key", "value")), damaged);
  db.update((tx) => tx.createBucket("other").put("key", "value"));
  db.close();
});

test("strict: a batch runs the hooks of its calls though the check finds something, for their commit stays", async () => {
  const storage = new MemoryStorage();
  const db = open("test.db", { storage, strict: true });
  db.update((tx) => { for (let i = 0, bucket = tx.createBucket("bucket"); i < 500; i++) bucket.put(keyOf(i), "value"); });
  storage.write([Buffer.alloc(16, 0xff)], db.view((tx) => requireBucket(tx.bucket("bucket")).root) * 4096);
  const told: string[] = [];
  const calls = ["a", "b"].map((name) => db.batch((tx) => {
    tx.createBucket(name);
    tx.onCommit(() => told.push(name));
    tx.onCommit(() => { if (name === "b") throw new Error("of the hook"); });
  }));
  for (const call of calls) await assert.rejects(call, boltError("CORRUPT", /found by the check after the commit, which stays/));
  assert.deepEqual(told, ["a", "b"]);
  assert.ok(db.view((tx) => tx.bucket("a") !== undefined && tx.bucket("b") !== undefined));
  db.close();
});

test("strict: the check runs after every commit, and what it finds is thrown", () => {
  const sound = openMemory({ strict: true });
  for (let i = 0; i < 20; i++) sound.update((tx) => tx.createBucketIfNotExists("bucket").put(keyOf(i), Buffer.alloc(500)));
  sound.close();
  const storage = new MemoryStorage();
  const db = open("test.db", { storage, strict: true });
  db.update((tx) => { for (let i = 0, bucket = tx.createBucket("bucket"); i < 500; i++) bucket.put(keyOf(i), "value"); });
  const root = db.view((tx) => requireBucket(tx.bucket("bucket")).root);
  storage.write([Buffer.alloc(16, 0xff)], root * 4096);
  const found = boltError("CORRUPT", /^page \d+: .*: found by the check after the commit, which stays$/);
  assert.throws(() => db.update((tx) => tx.createBucket("other")), found);
  const told: string[] = [];
  assert.throws(() => db.update((tx) => {
    tx.createBucket("third");
    tx.onCommit(() => { told.push("committed"); throw new Error("of the hook"); });
    tx.onCommit(() => told.push("to all"));
  }), found);
  assert.deepEqual(told, ["committed", "to all"], "the commit stays, whatever the check finds");
  assert.ok(db.view((tx) => tx.bucket("third")));
  db.close();
});

test("stats count readers, free and pending pages, and what transactions did", () => {
  withDatabase(({ db }) => {
    const before = db.stats();
    const readers = [db.begin(), db.begin()];
    assert.equal(db.stats().openTxN, before.openTxN + 2);
    assert.equal(db.stats().txN, before.txN + 2);
    const writer = db.begin(true);
    assert.equal(db.stats().openTxN, before.openTxN + 2, "the writer is not counted among the readers");
    writer.rollback();
    for (const reader of readers) reader.rollback();
    assert.equal(db.stats().openTxN, before.openTxN);
    db.update((tx) => tx.createBucket("bucket").put("key", Buffer.alloc(100_000)));
    db.update((tx) => tx.deleteBucket("bucket"));
    const { freePageN, pendingPageN, freeAlloc, freelistInuse } = db.stats();
    assert.ok(pendingPageN >= 25);
    assert.equal(freeAlloc, (freePageN + pendingPageN) * 4096);
    assert.equal(freelistInuse, 16 + 8 * (freePageN + pendingPageN));
  });
});

test("sync makes durable what noSync had left to the system", () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const db = open("test.db", { storage: disk, noSync: true });
  db.update((tx) => tx.createBucket("bucket").put("key", "value"));
  db.sync();
  const after = open("test.db", { storage: disk.crash() });
  assert.equal(after.view((tx) => tx.bucket("bucket")?.get("key")?.toString()), "value");
  after.close();
  db.close();
});

test("a failed sync is IO with the system's error as its cause, and ends all writing until the file is opened again", () => {
  const disk = new SimulatedDisk({ seed: 2 });
  const db = open("test.db", { storage: disk });
  disk.inject({ failure: "error", on: "sync" });
  const error = errorOf(() => db.sync());
  assert.equal(error.code, "IO");
  assert.ok(error instanceof BoltError && error.cause instanceof Error && error.message.includes(error.cause.message));
  assert.throws(() => db.update(() => undefined), boltError("IO", /open the database again/));
  db.view((tx) => assert.deepEqual([...tx.buckets()], []));
  db.close();
});

test("events: open, begin, commit, rollback, check and recovery, with the facts", () => {
  const events: [string, Record<string, unknown>][] = [];
  const names = ["open", "begin", "commit", "rollback", "recovery", "check"];
  const listeners = names.map((name) => (message: unknown): void => { events.push([name, message as Record<string, unknown>]); });
  for (const [i, name] of names.entries()) channel(`hexbolt:${name}`).subscribe(listeners[i]!);
  try {
    const storage = new MemoryStorage();
    const db = open("events.db", { storage });
    db.update((tx) => tx.createBucket("bucket").put("key", "value"));
    db.begin(true).rollback();
    db.view((tx) => [...tx.check()]);
    db.close();
    storage.write([Buffer.alloc(64)], 16);
    open("events.db", { storage }).close();
  } finally {
    for (const [i, name] of names.entries()) channel(`hexbolt:${name}`).unsubscribe(listeners[i]!);
  }
  assert.deepEqual(events.map(([name]) => name), ["open", "begin", "commit", "begin", "rollback", "begin", "check", "rollback", "open", "recovery"]);
  assert.ok(events.every(([, event]) => event["path"] === "events.db"));
  const eventOf = (wanted: string, nth = 0): Record<string, unknown> => events.filter(([name]) => name === wanted)[nth]?.[1] ?? {};
  assert.deepEqual(eventOf("open"), { path: "events.db", readOnly: false, pageSize: 4096, txid: 1n });
  assert.deepEqual(eventOf("begin"), { path: "events.db", txid: 2n, writable: true });
  const { syncMs, ...commit } = eventOf("commit");
  assert.deepEqual(commit, { path: "events.db", txid: 2n, pageCount: 2, byteCount: 8192 });
  assert.ok(typeof syncMs === "number" && syncMs >= 0);
  assert.deepEqual(eventOf("rollback"), { path: "events.db", txid: 3n, writable: true });
  assert.deepEqual(eventOf("check"), { path: "events.db", txid: 2n, problemCount: 0 });
  assert.equal(eventOf("recovery")["lostTxid"], undefined);
});

test("events: a commit that fails ends its transaction with a rollback, in every way to write", async () => {
  const events: string[] = [];
  const names = ["begin", "commit", "rollback"];
  const listeners = names.map((name) => (): void => { events.push(name); });
  const db = open("events.db", { storage: new MemoryStorage(), maxSize: 20_000 });
  const tooMuch = (tx: Tx): void => { tx.createBucketIfNotExists("b").put("k", Buffer.alloc(100_000)); };
  for (const [i, name] of names.entries()) channel(`hexbolt:${name}`).subscribe(listeners[i]!);
  try {
    assert.throws(() => db.update(tooMuch), boltError("MAX_SIZE_REACHED", /./));
    await assert.rejects(db.updateAsync(tooMuch), boltError("MAX_SIZE_REACHED", /./));
    await assert.rejects(db.batch(tooMuch), boltError("MAX_SIZE_REACHED", /./));
    const tx = db.begin(true);
    tooMuch(tx);
    assert.throws(() => tx.commit(), boltError("MAX_SIZE_REACHED", /./));
  } finally {
    for (const [i, name] of names.entries()) channel(`hexbolt:${name}`).unsubscribe(listeners[i]!);
  }
  assert.deepEqual(events, Array.from({ length: 4 }, () => ["begin", "rollback"]).flat());
  db.close();
});

test("a maxSize of 0 is no limit", () => {
  withDatabase(({ db }) => db.update((tx) => tx.createBucket("b").put("k", Buffer.alloc(100_000))), { maxSize: 0 });
});

test("begin takes true or false", () => {
  withDatabase(({ db }) => {
    for (const wrong of ["false", {}, 1, null]) assert.throws(() => db.begin(wrong as never), TypeError);
  });
});

test("errors are BoltErrors: an Error with name, code, and details where the text is bbolt's alone", () => {
  withDatabase(({ db }) => {
    const error = errorOf(() => db.update((tx) => tx.createBucket("bucket").put(Buffer.alloc(40_000), "")));
    assert.ok(error instanceof Error && error instanceof BoltError);
    assert.equal(`${error.name} ${error.code} ${error.message}`, "BoltError KEY_TOO_LARGE key too large");
    assert.match(error.detail ?? "", /40000.*32768/);
  });
});
