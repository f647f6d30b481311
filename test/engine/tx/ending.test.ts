/** Transactions around their end: while a commit is on its way, hooks behind it, and states without a transaction before. */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { test } from "node:test";
import type { Tx } from "../../../engine/index.js";
import { MemoryStorage, open, openMemory } from "../../../engine/index.js";
import { SimulatedDisk } from "../../../engine/testing.js";
import { tempPath } from "../../support/temp.js";

function keyOf(i: number): string {
  return `k${String(i).padStart(6, "0")}`;
}

test("a transaction that is being committed can be neither read nor written: its pages are being merged", async () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const db = open("test.db", { storage: disk });
  db.update((tx) => {
    const bucket = tx.createBucket("b");
    for (let i = 0; i < 2000; i++) bucket.put(keyOf(i), Buffer.alloc(50));
  });
  let leaked: Tx | undefined;
  let isDone = false;
  const commit = db.updateAsync((tx) => {
    leaked = tx;
    const bucket = tx.bucket("b");
    for (let i = 100; i < 1900; i++) if (i % 50 !== 0) bucket?.delete(keyOf(i));
  }).then(() => { isDone = true; });
  let turns = 0;
  for (; !isDone; await setImmediate()) {
    const tx = leaked;
    if (tx === undefined) continue;
    turns++;
    assert.throws(() => tx.bucket("b"), { code: "TX_CLOSED" });
    assert.throws(() => tx.createBucket("c"), { code: "TX_CLOSED" });
    assert.throws(() => tx.check(), { code: "TX_CLOSED" });
  }
  await commit;
  assert.ok(turns > 1, "the commit took several turns");
  db.view((tx) => {
    assert.equal(tx.bucket("b")?.count(), 236);
    assert.deepEqual([...tx.check()], []);
  });
  db.close();
});

test("all hooks run after a commit, also behind one that throws; its error comes out of update, and the commit stands", () => {
  const db = openMemory();
  const ran: string[] = [];
  assert.throws(() => db.update((tx) => {
    tx.createBucket("b");
    tx.onCommit(() => { throw new Error("first"); });
    tx.onCommit(() => { ran.push("second"); });
    tx.onCommit(() => { throw new Error("third"); });
  }), { message: "first" });
  assert.deepEqual(ran, ["second"]);
  assert.ok(db.view((tx) => tx.bucket("b")) !== undefined);
  db.close();
});

/** A new database of which only meta 0, that of transaction 0, is left. */
function onlyFirstMeta(): Uint8Array {
  const storage = new MemoryStorage();
  open("new.db", { storage }).close();
  storage.write([new Uint8Array(4096)], 4096);
  return storage.bytes();
}

test("a snapshot at transaction 0 is copied to a file that opens and takes commits", () => {
  const db = open("new.db", { storage: new MemoryStorage(onlyFirstMeta()), readOnly: true });
  const path = tempPath("copy.db");
  db.view((tx) => {
    assert.equal(tx.id, 0n);
    tx.copyTo(path);
  });
  db.close();
  const copy = open(path);
  copy.update((tx) => tx.createBucket("b").put("key", "value"));
  copy.view((tx) => {
    assert.equal(String(tx.bucket("b")?.get("key")), "value");
    assert.deepEqual([...tx.check()], []);
  });
  copy.close();
});

test("a commit that fails behind transaction 0 leaves no meta that would win over it", () => {
  // A second free page keeps the file from being taken for one whose making was interrupted.
  const source = new SimulatedDisk({ seed: 2 });
  const first = open("new.db", { storage: source });
  first.update((tx) => tx.createBucket("b").put("key", "value"));
  first.close();
  const bytes = Buffer.from(source.bytes());
  renumberAsFirst(bytes);
  const disk = new SimulatedDisk({ seed: 3, bytes });
  const db = open("new.db", { storage: disk });
  assert.equal(db.view((tx) => tx.id), 0n);
  // The pages of a small commit are one write or more; the meta write is the last.
  const writes = writesOfOneCommit(bytes);
  disk.inject({ failure: "short", on: "write", nth: writes, byteCount: 4096 });
  assert.throws(() => db.update((tx) => tx.bucket("b")?.put("key", "other")), { code: "IO" });
  db.close();
  const again = open("new.db", { storage: disk });
  again.view((tx) => {
    assert.equal(tx.id, 0n);
    assert.equal(String(tx.bucket("b")?.get("key")), "value");
  });
  again.close();
});

/** Makes the newest meta one of transaction 0 and the other one none. */
function renumberAsFirst(bytes: Buffer): void {
  const [newest, older] = bytes.readBigUInt64LE(64) > bytes.readBigUInt64LE(4096 + 64) ? [0, 4096] : [4096, 0];
  const body = Buffer.from(bytes.subarray(newest + 16, newest + 80));
  bytes.fill(0, older, older + 4096);
  bytes.fill(0, newest, newest + 4096);
  body.writeBigUInt64LE(0n, 48);
  body.writeBigUInt64LE(0n, 56); // a checksum of 0 means that there is none
  bytes.writeUInt16LE(4, 8);
  body.copy(bytes, 16);
}

function writesOfOneCommit(bytes: Uint8Array): number {
  const disk = new SimulatedDisk({ seed: 3, bytes });
  const db = open("new.db", { storage: disk });
  const before = disk.operations.filter(({ kind }) => kind === "write").length;
  db.update((tx) => tx.bucket("b")?.put("key", "other"));
  const after = disk.operations.filter(({ kind }) => kind === "write").length;
  db.close();
  return after - before;
}

test("the counters of a transaction say how many pages were split off and how long rebalancing took", () => {
  const db = openMemory();
  db.update((tx) => {
    const bucket = tx.createBucket("b");
    for (let i = 0; i < 1000; i++) bucket.put(keyOf(i), Buffer.alloc(100));
  });
  const { split, spill, rebalanceTime, spillTime } = db.stats().txStats;
  // Two branch or leaf nodes (the bucket's leaf, its new branch) and the root bucket's leaf: all other pages were split off.
  assert.equal(spill - split, 3);
  assert.ok(split > 20, `${split} pages split off`);
  assert.ok(rebalanceTime > 0 && spillTime > 0);
  db.update((tx) => {
    for (let i = 0; i < 1000; i++) if (i % 40 !== 0) tx.bucket("b")?.delete(keyOf(i));
  });
  assert.ok(db.stats().txStats.rebalance > 0);
  assert.equal(db.stats().txStats.split, split);
  db.close();
});

test("transactions end in any order, and a close ends what is left of them", () => {
  const db = openMemory();
  db.update((tx) => tx.createBucket("b").put("key", "value"));
  const readers = Array.from({ length: 7 }, () => db.begin());
  const writer = db.begin(true);
  for (const i of [2, 6, 0]) readers[i]?.rollback();
  assert.equal(db.stats().openTxN, 4);
  const later = db.begin();
  writer.rollback();
  readers[4]?.rollback();
  assert.equal(db.stats().openTxN, 4);
  for (const reader of [readers[1], readers[3], readers[5], later]) assert.equal(reader?.bucket("b")?.get("key")?.toString(), "value");
  db.close();
  for (const reader of [...readers, later]) assert.throws(() => reader.bucket("b"), { code: "TX_CLOSED" });
});

test("a check that was begun ends with its transaction: it does not go on in pages of another state", () => {
  for (const end of ["rollback", "close"] as const) {
    const storage = new MemoryStorage();
    const db = open("test.db", { storage });
    db.update((tx) => { for (let i = 0, bucket = tx.createBucket("b"); i < 500; i++) bucket.put(keyOf(i), "value"); });
    const { root, pageSize } = db.view((tx) => ({ root: tx.bucket("b")!.root, pageSize: db.pageSize }));
    storage.write([Buffer.alloc(16, 0xff)], root * pageSize);
    const tx = db.begin();
    const problems = tx.check();
    assert.equal(problems.next().done, false);
    if (end === "close") db.close();
    else tx.rollback();
    assert.throws(() => problems.next(), { code: "TX_CLOSED" });
    db.close();
  }
});
