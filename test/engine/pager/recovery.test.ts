/** Self-healing open: a newest commit of which pages are missing is noticed, and the state before it is opened, whole, and never in silence. */
import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { test } from "node:test";

import { MemoryStorage, open, type DB } from "../../../engine/index.js";
import { SimulatedDisk } from "../../../engine/testing.js";

const PAGE_SIZE = 4096;

/** A database with two commits, and its bytes as a process that was killed leaves them: not closed. */
function unclosed(options: { durability?: "two-sync" | "one-sync"; keyCount?: number } = {}): { bytes: Uint8Array; txid: bigint } {
  const storage = new MemoryStorage();
  const db = open("x", { storage, durability: options.durability ?? "two-sync" });
  db.update((tx) => { tx.createBucket("b").put("old", "1"); });
  db.update((tx) => {
    const bucket = tx.bucket("b")!;
    for (let i = 0; i < (options.keyCount ?? 500); i++) bucket.put(`key ${i}`, "x".repeat(50));
  });
  const txid = db.view((tx) => tx.id);
  const bytes = storage.bytes().slice();
  db.close();
  return { bytes, txid };
}

/** Page ids that the newest meta's manifest must cover: every page whose bytes differ when its commit is undone is one of them. */
function spoilPage(bytes: Uint8Array, pgid: number): Uint8Array {
  const copy = bytes.slice();
  copy.fill(0, pgid * PAGE_SIZE, (pgid + 1) * PAGE_SIZE);
  return copy;
}

function contentOf(db: DB): { count: number; problems: string[]; txid: bigint } {
  return db.view((tx) => ({ count: tx.bucket("b")!.count(), problems: [...tx.check()], txid: tx.id }));
}

for (const durability of ["two-sync", "one-sync"] as const) {
  test(`a lost page of the newest commit leads back to the one before (${durability})`, () => {
    const { bytes, txid } = unclosed({ durability });
    let fallbacks = 0;
    for (let pgid = 2; (pgid + 1) * PAGE_SIZE <= bytes.length; pgid++) {
      const storage = new MemoryStorage(spoilPage(bytes, pgid));
      let db: DB;
      try {
        db = open("x", { storage, readOnly: true });
      } catch {
        continue; // a page that both states need
      }
      if (db.recovery === undefined) {
        // Not a page of the last commit: its state still counts.
        assert.equal(db.view((tx) => tx.id), txid);
      } else {
        fallbacks++;
        assert.equal(db.recovery.txid, txid - 1n);
        assert.equal(db.recovery.lostTxid, txid);
        assert.deepEqual(contentOf(db), { count: 1, problems: [], txid: txid - 1n });
      }
      db.close();
    }
    assert.ok(fallbacks > 5, `${fallbacks} pages of the last commit were spoilt`);
  });
}

test("opening for writing heals the file: the lost commit's place is taken, and an event says so", () => {
  const { bytes, txid } = unclosed();
  const spoilt = new MemoryStorage(bytes.slice());
  // The root of the newest state was written by its commit.
  const root = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(Number(txid % 2n) * PAGE_SIZE + 16 + 16, true));
  spoilt.write([new Uint8Array(PAGE_SIZE)], root * PAGE_SIZE);
  const events: unknown[] = [];
  const listen = (event: unknown): number => events.push(event);
  subscribe("hexbolt:recovery", listen);
  let db = open("x", { storage: spoilt });
  unsubscribe("hexbolt:recovery", listen);
  assert.equal(events.length, 1);
  assert.deepEqual(contentOf(db), { count: 1, problems: [], txid });
  db.update((tx) => { tx.bucket("b")!.put("new", "2"); });
  db.close();
  db = open("x", { storage: spoilt });
  assert.equal(db.recovery, undefined);
  assert.deepEqual(contentOf(db), { count: 2, problems: [], txid: txid + 1n });
  db.close();
});

test("after a close in order nothing is verified: the reads of an opening do not grow with the last commit", () => {
  const countReads = (keyCount: number): number => {
    const storage = new MemoryStorage();
    let db = open("x", { storage });
    db.update((tx) => {
      const bucket = tx.createBucket("b");
      for (let i = 0; i < keyCount; i++) bucket.put(`key ${i}`, "x".repeat(100));
    });
    db.close();
    let reads = 0;
    const read = storage.read.bind(storage);
    storage.read = (target, position): number => {
      reads++;
      return read(target, position);
    };
    db = open("x", { storage });
    db.close();
    return reads;
  };
  assert.equal(countReads(20_000), countReads(10));
});

test("a commit in more ranges than a meta page holds has no manifest, and one-sync then syncs twice", () => {
  const storage = new MemoryStorage();
  let syncs = 0;
  storage.sync = (): void => { syncs++; };
  const db = open("x", { storage, durability: "one-sync", pageSize: 1024 });
  db.update((tx) => {
    const bucket = tx.createBucket("b");
    for (let i = 0; i < 40_000; i++) bucket.put(String(i).padStart(8, "0"), "x".repeat(100));
  });
  // Keys far apart leave the free pages in gaps.
  const scattered = (round: number): void => {
    db.update((tx) => { for (let i = 0; i < 2000; i++) tx.bucket("b")!.put(String((i * 7919 + round * 104_729) % 40_000).padStart(8, "0"), "y".repeat(100)); });
  };
  for (let round = 0; round < 10; round++) {
    syncs = 0;
    scattered(round);
  }
  assert.equal(syncs, 2, "a scattered commit syncs twice");
  syncs = 0;
  db.update((tx) => { tx.bucket("b")!.put("one", "1"); });
  assert.equal(syncs, 1, "a small commit syncs once");
  assert.deepEqual(db.view((tx) => [...tx.check()]), []);
  db.close();
});

for (const before of ["two-sync", "one-sync"] as const) {
  test(`what a process killed before its last sync has left is durable before the next one's commit takes the place of older states (${before} before)`, () => {
    const disk = new SimulatedDisk({ seed: 1 });
    const put = (db: DB, name: string, value: string): void => {
      db.update((tx) => { for (let i = 0; i < 30; i++) tx.createBucketIfNotExists(name).put(`k${i}`, value.padEnd(100)); });
    };
    const first = open("x", { storage: disk, durability: before });
    put(first, "b", "b1");
    for (const value of ["a1", "a2", "acknowledged"]) put(first, "a", value);
    let syncsToCome = before === "two-sync" ? 1 : 0;
    disk.sync = () => { if (syncsToCome-- > 0) SimulatedDisk.prototype.sync.call(disk); };
    put(first, "a", "under way");

    const found: string[] = [];
    const cut = (): void => {
      for (const image of disk.crashImages(50)) {
        const db = open("x", { storage: image });
        found.push(db.view((tx) => `${[...tx.check()].join()} ${String(tx.bucket("a")!.get("k0")).trim()} ${String(tx.bucket("b")!.get("k0")).trim()}`));
        db.close();
      }
    };
    disk.sync = () => { cut(); SimulatedDisk.prototype.sync.call(disk); };
    put(open("x", { storage: disk, durability: "one-sync" }), "b", "b2");
    assert.deepEqual([...new Set(found)].sort(), [" acknowledged b1", " under way b1", " under way b2"]);
  });
}

for (const [undone, failUndoing] of [
  ["in memory", (disk: SimulatedDisk) => { disk.inject({ failure: "error", on: "sync" }); }],
  ["in memory alone", (disk: SimulatedDisk) => {
    // The failed commit is on the disk, and what undoes it is dropped.
    SimulatedDisk.prototype.sync.call(disk);
    disk.inject({ failure: "lost", on: "sync" });
  }],
  ["in part", (disk: SimulatedDisk) => { disk.inject({ failure: "short", on: "write", byteCount: 40 }); }],
] as const) {
  test(`what a failed commit, undone ${undone}, has left on the disk is never led to by pages that the next process writes, though the state before it was closed in order`, () => {
    const disk = new SimulatedDisk({ seed: 1 });
    const put = (db: DB, name: string, value: string): void => {
      db.update((tx) => { for (let i = 0; i < 30; i++) tx.createBucketIfNotExists(name).put(`k${i}`, value.padEnd(100)); });
    };
    const first = open("x", { storage: disk });
    put(first, "b", "b1");
    for (const value of ["a1", "a2", "a3"]) put(first, "a", value);
    first.close();
    disk.sync();

    // The sync of the meta page fails, and so does undoing it: the disk may have either page, or neither.
    const failing = open("x", { storage: disk });
    let syncsToCome = 1;
    disk.sync = () => {
      if (syncsToCome-- === 0) {
        failUndoing(disk);
        throw new Error("EIO");
      }
      SimulatedDisk.prototype.sync.call(disk);
    };
    assert.throws(() => { put(failing, "a", "failed"); }, { code: "IO" });
    failing.close();

    const found: string[] = [];
    disk.sync = () => {
      for (const image of disk.crashImages(50)) {
        // Without manifests, as Go reads it.
        const bytes = image.durableBytes();
        for (const page of [0, 1]) bytes.fill(0, page * PAGE_SIZE + 80, (page + 1) * PAGE_SIZE);
        const db = open("x", { storage: new MemoryStorage(bytes), readOnly: true });
        found.push(db.view((tx) => `${[...tx.check()].join()} ${String(tx.bucket("a")!.get("k0")).trim()} ${String(tx.bucket("b")!.get("k0")).trim()}`));
        db.close();
      }
      SimulatedDisk.prototype.sync.call(disk);
    };
    put(open("x", { storage: disk }), "b", "b2");
    assert.deepEqual([...new Set(found)].sort(), [" a3 b1", " a3 b2", " failed b1"]);
  });
}

test("a power cut while the close mark is on its way takes back no commit, in however many ranges it wrote", () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const db = open("x", { storage: disk, pageSize: 1024 });
  const put = (indexes: readonly number[]): void => {
    db.update((tx) => { for (const i of indexes) tx.createBucketIfNotExists("b").put(String(i).padStart(6, "0"), "x".repeat(100)); });
  };
  put(Array.from({ length: 8000 }, (_, i) => i));
  let operationCount = 0;
  for (let round = 0; round < 6; round++) {
    operationCount = disk.operations.length;
    put(Array.from({ length: 330 }, (_, i) => ((i * 53 + round * 17) * 31) % 8000));
  }
  assert.ok(disk.operations.slice(operationCount).filter(({ kind }) => kind === "write").length > 200, "in as many ranges as would reach the last sector");
  const txid = db.view((tx) => tx.id);
  db.close();
  for (const image of disk.crashImages(10)) {
    const again = open("x", { storage: image, readOnly: true });
    assert.deepEqual([again.view((tx) => tx.id), again.recovery], [txid, undefined], image.label);
    again.close();
  }
});

test("a newest commit that is not whole, with no older state, is refused", () => {
  const { bytes, txid } = unclosed();
  const older = Number((txid + 1n) % 2n) * PAGE_SIZE;
  bytes.fill(0, older, older + PAGE_SIZE);
  const root = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(Number(txid % 2n) * PAGE_SIZE + 16 + 16, true));
  bytes.fill(0, root * PAGE_SIZE, (root + 1) * PAGE_SIZE);
  for (const readOnly of [true, false]) {
    assert.throws(() => open("x", { storage: new MemoryStorage(bytes.slice()), readOnly }), { name: "BoltError", code: "CORRUPT" });
  }
});

test("the first commit does not write over a state of its own: it may be the only one that the disk has, where a failed sync has dropped the newest meta and the process was killed", () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const put = (db: DB, name: string, value: string): void => {
    db.update((tx) => { for (let i = 0; i < 30; i++) tx.createBucketIfNotExists(name).put(`k${i}`, value.padEnd(100)); });
  };
  const first = open("x", { storage: disk });
  for (const value of ["a1", "a2", "acknowledged"]) put(first, "a", value);
  // The pages are durable, the meta is dropped, and nobody is there any more to undo it.
  let syncsToCome = 1;
  disk.sync = () => {
    if (syncsToCome-- === 0) {
      disk.inject({ failure: "lost", on: "sync" });
      disk.inject({ failure: "error", on: "write" });
    }
    SimulatedDisk.prototype.sync.call(disk);
  };
  assert.throws(() => { put(first, "a", "dropped"); }, { code: "IO" });

  const found: string[] = [];
  let syncCount = 0;
  disk.sync = () => {
    // Before the third the meta of this commit is on its way: until the disk has it, nothing is left of the one that was dropped.
    if (++syncCount < 3) {
      for (const image of disk.crashImages(200)) {
        const db = open("x", { storage: image, readOnly: true });
        found.push(db.view((tx) => `${[...tx.check()].join()} ${String(tx.bucket("a")!.get("k0")).trim()}`));
        db.close();
      }
    }
    SimulatedDisk.prototype.sync.call(disk);
  };
  const second = open("x", { storage: disk });
  put(second, "b", "b1");
  assert.deepEqual([...new Set(found)], [" acknowledged"]);
  assert.equal(syncCount, 3);
  second.close();
});

for (const [what, fail, code] of [
  ["cannot read the other meta page", { failure: "error", on: "read" }, "IO"],
  ["finds the file to end in the other meta page", { failure: "short", on: "read" }, "CORRUPT"],
  ["cannot write the other meta page", { failure: "error", on: "write" }, "IO"],
  ["writes a part of the other meta page", { failure: "short", on: "write", byteCount: 100 }, "IO"],
] as const) {
  test(`a first commit that ${what} leaves the state before, and the next one begins as it did`, async () => {
    for (const method of ["update", "updateAsync", "batch"] as const) {
      const disk = new SimulatedDisk({ bytes: unclosed().bytes });
      const killed = open("x", { storage: disk });
      // The first sync is that of the opening, the second that of the pages.
      disk.inject({ failure: "error", on: "sync", nth: 3 });
      assert.throws(() => { killed.update((tx) => { tx.bucket("b")!.put("failed", "2"); }); }, { code: "IO" });
      const db = open("x", { storage: disk });
      assert.equal(contentOf(db).count, 501);
      const before = disk.bytes();
      const put = async (): Promise<void> => { await db[method]((tx) => { tx.bucket("b")!.put("new", "2"); }); };
      disk.inject(fail);
      await assert.rejects(put, { name: "BoltError", code });
      assert.deepEqual(disk.bytes(), before);
      const operationCount = disk.operations.length;
      await put();
      assert.deepEqual(disk.operations.slice(operationCount).flatMap(({ kind }) => (kind === "read" ? [] : kind)).slice(0, 3), ["sync", "write", "sync"]);
      assert.deepEqual([contentOf(db).count, contentOf(db).problems], [502, []]);
      db.close();
    }
  });
}
