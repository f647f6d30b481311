/**
 * Disks that fail while a database is in use: every read, write, truncate and sync of a commit, once and for good. After each fault the
 * error is a BoltError with the system's error as its cause, what was committed can still be read, nothing is half done, and the
 * database goes on as soon as the disk does; only a failed sync ends writing until it is opened again.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BoltError, type DB, type OpenOptions, open, type Tx } from "../../engine/index.js";
import { type Fault, type OperationKind, SimulatedDisk } from "../../engine/testing.js";
import { contentOf } from "../support/content.js";
import { rawProblems } from "../support/raw-check.js";

const PAGE_SIZE = 1024;

type Durability = "two-sync" | "one-sync";
const DURABILITIES: readonly Durability[] = ["two-sync", "one-sync"];

function openOn(disk: SimulatedDisk, options: OpenOptions = {}): DB {
  return open("faults.db", { storage: disk, pageSize: PAGE_SIZE, ...options });
}

/** A disk with a database of some two hundred pages: two levels, nested buckets, overflow values, free pages. */
function filledDisk(): SimulatedDisk {
  const disk = new SimulatedDisk();
  const db = openOn(disk);
  for (let round = 0; round < 6; round++) db.update((tx) => { change(tx, round); });
  db.close();
  return disk.crash("all");
}

/** Transaction number `round`: changes many places of the tree, frees pages, takes some, makes the file grow. */
function change(tx: Tx, round: number): void {
  const main = tx.createBucketIfNotExists("main");
  for (let i = 0; i < 250; i++) main.put(`key ${String((i * 7 + round) % 400).padStart(4, "0")}`, `value ${round} `.repeat(1 + (i % 12)));
  for (let i = round; i < 400; i += 9) main.delete(`key ${String(i).padStart(4, "0")}`);
  const nested = main.createBucketIfNotExists(`nested ${round % 3}`);
  for (let i = 0; i < 30; i++) nested.put(`inner ${i}`, Buffer.alloc(40 + round, i));
  tx.createBucketIfNotExists("large").put(`blob ${round % 4}`, Buffer.alloc(9000 + round * 2000, round));
}

function contentNow(db: DB): string {
  return db.view((tx) => {
    assert.deepEqual([...tx.check()], []);
    return contentOf(tx).sha256;
  });
}

/** The content that `change` with this round leads to. */
function contentAfter(disk: SimulatedDisk, round: number): string {
  const db = openOn(disk.crash("all"));
  db.update((tx) => { change(tx, round); });
  const content = contentNow(db);
  db.close();
  return content;
}

function isIo(code: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof BoltError, String(error));
    assert.equal(error.code, "IO");
    assert.ok(error.cause instanceof Error, "the cause is the system's error");
    assert.ok("code" in error.cause && error.cause.code === code, `cause ${String(error.cause)}`);
    assert.ok(error.message.includes(error.cause.message), "the message tells the system's");
    return true;
  };
}

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** How many operations of a kind a transaction makes. */
function operationCount(disk: SimulatedDisk, kind: OperationKind, options: OpenOptions, work: (db: DB) => void): number {
  const copy = disk.crash("all");
  const db = openOn(copy, options);
  const before = copy.operations.length;
  work(db);
  const count = copy.operations.slice(before).filter((operation) => operation.kind === kind).length;
  db.close();
  return count;
}

/** After a fault that was no sync: the old state, at once and on every disk that a crash leaves; then the same transaction goes through. */
function assertUnharmed(db: DB, disk: SimulatedDisk, before: string, after: string, round: number): void {
  assert.equal(contentNow(db), before, "the state before");
  for (const image of disk.crashImages(12)) {
    const crashed = openOn(image);
    assert.equal(contentNow(crashed), before, `a crash after the failed commit, "${image.label}"`);
    crashed.close();
  }
  db.update((tx) => { change(tx, round); });
  assert.equal(contentNow(db), after, "the state after the second try");
  db.close();
  assert.deepEqual(rawProblems(disk.bytes()), []);
}

for (const durability of DURABILITIES) {
  const faults: readonly (Fault & { readonly on: OperationKind; readonly code: "EIO" | "ENOSPC" })[] = [
    { failure: "error", on: "write", code: "ENOSPC" },
    { failure: "error", on: "truncate", code: "ENOSPC" },
    { failure: "short", on: "write", code: "ENOSPC", byteCount: 1 },
    { failure: "short", on: "write", code: "EIO", byteCount: 700 },
    { failure: "short", on: "write", code: "EIO" },
  ];
  for (const fault of faults) {
    test(`a ${fault.on} that fails (${fault.failure} ${fault.code}${fault.byteCount === undefined ? "" : `, ${fault.byteCount} bytes`}) at any place of a commit changes nothing, ${durability}`, () => {
      const start = filledDisk();
      const after = contentAfter(start, 9);
      const count = operationCount(start, fault.on, { durability }, (db) => { db.update((tx) => { change(tx, 9); }); });
      assert.ok(count >= 1, `the commit makes ${count}`);
      for (let nth = 1; nth <= count; nth++) {
        const disk = start.crash("all");
        const db = openOn(disk, { durability });
        const before = contentNow(db);
        disk.inject({ ...fault, nth });
        assert.throws(() => { db.update((tx) => { change(tx, 9); }); }, isIo(fault.code), `${fault.on} ${nth}`);
        assertUnharmed(db, disk, before, after, 9);
      }
    });
  }

  test(`the same off the calling thread: updateAsync and batch reject, and go on, ${durability}`, async () => {
    const start = filledDisk();
    const after = contentAfter(start, 9);
    const count = operationCount(start, "write", { durability }, (db) => { db.update((tx) => { change(tx, 9); }); });
    for (let nth = 1; nth <= count; nth++) {
      const disk = start.crash("all");
      const db = openOn(disk, { durability });
      const before = contentNow(db);
      for (const how of ["updateAsync", "batch"] as const) {
        disk.inject({ failure: "short", on: "write", nth, code: "ENOSPC" });
        await assert.rejects(db[how]((tx) => { change(tx, 9); }), isIo("ENOSPC"));
        assert.equal(contentNow(db), before);
      }
      assertUnharmed(db, disk, before, after, 9);
    }
  });

  test(`a failed sync poisons: later writes are refused with the cause, reads go on, and opening again gives one state wholly, ${durability}`, async () => {
    const start = filledDisk();
    const after = contentAfter(start, 9);
    const count = operationCount(start, "sync", { durability }, (db) => { db.update((tx) => { change(tx, 9); }); });
    assert.equal(count, durability === "one-sync" ? 1 : 2);
    for (let nth = 1; nth <= count; nth++) {
      const disk = start.crash("all");
      const db = openOn(disk, { durability });
      const before = contentNow(db);
      disk.inject({ failure: "error", on: "sync", nth });
      assert.throws(() => { db.update((tx) => { change(tx, 9); }); }, isIo("EIO"), `sync ${nth}`);
      assert.throws(() => { db.update(() => undefined); }, isIo("EIO"));
      assert.throws(() => db.begin(true), isIo("EIO"));
      await assert.rejects(db.updateAsync(() => undefined), isIo("EIO"));
      await assert.rejects(db.batch(() => undefined), isIo("EIO"));
      assert.equal(db.view((tx) => contentOf(tx).sha256), before, "reads go on in the last acknowledged state");
      const disks = [disk, ...disk.crashImages(40)];
      db.close();
      for (const image of disks) {
        const again = openOn(image, { durability });
        const content = contentNow(again);
        assert.ok(content === before || content === after, `opened again, "${image.label}"`);
        // Without a power cut in between, what was reported as failed must not be seen: its pages may never reach the disk.
        if (image === disk) assert.equal(content, before);
        again.update((tx) => { tx.createBucket("goes on"); });
        contentNow(again);
        again.close();
        assert.deepEqual(rawProblems(image.bytes()), []);
      }
    }
  });
}

for (const durability of DURABILITIES) {
  test(`a sync that fails once and then succeeds, the kernel having dropped the pages, loses no acknowledged commit, ${durability}`, () => {
    const start = filledDisk();
    const syncCount = operationCount(start, "sync", { durability }, (db) => { for (let round = 6; round < 9; round++) db.update((tx) => { change(tx, round); }); });
    for (let nth = 1; nth <= syncCount; nth++) {
      const disk = start.crash("all");
      let db = openOn(disk, { durability });
      disk.inject({ failure: "lost", on: "sync", nth });
      let acknowledged = contentNow(db);
      for (let round = 6; round < 12; round++) {
        const error = thrownBy(() => { db.update((tx) => { change(tx, round); }); });
        if (error !== undefined) {
          assert.ok(isIo("EIO")(error));
          // What the application does: it opens the file again, with the same kernel, and goes on.
          db.close();
          db = openOn(disk, { durability });
        }
        acknowledged = contentNow(db);
      }
      for (const image of [disk.crash("none"), disk.crash("all")]) {
        const again = openOn(image, { durability });
        assert.equal(contentNow(again), acknowledged, `sync ${nth} was lost, "${image.label}"`);
        again.close();
        assert.deepEqual(rawProblems(image.bytes()), []);
      }
      db.close();
    }
  });
}

test("a sync that the application asks for and that fails poisons as well", () => {
  const disk = filledDisk();
  const db = openOn(disk, { noSync: true });
  db.update((tx) => { change(tx, 9); });
  const content = contentNow(db);
  disk.inject({ failure: "error", on: "sync" });
  assert.throws(() => { db.sync(); }, isIo("EIO"));
  assert.throws(() => { db.update(() => undefined); }, isIo("EIO"));
  assert.equal(contentNow(db), content);
  db.close();
});

test("a sync that is asked for again after one has failed does not say that all is durable", () => {
  for (const options of [{ noSync: true }, {}]) {
    const disk = filledDisk();
    const db = openOn(disk, options);
    disk.inject({ failure: "lost", on: "sync" });
    assert.throws(() => {
      db.update((tx) => { change(tx, 9); });
      db.sync();
    }, isIo("EIO"));
    for (let again = 0; again < 2; again++) assert.throws(() => { db.sync(); }, isIo("EIO"));
    db.close();
  }
});

test("a sync that fails in the middle of a transaction makes its commit fail, although the commit's own syncs would not", () => {
  const disk = filledDisk();
  const db = openOn(disk);
  const before = contentNow(db);
  disk.inject({ failure: "lost", on: "sync" });
  assert.throws(() => {
    db.update((tx) => {
      change(tx, 9);
      assert.throws(() => { db.sync(); }, isIo("EIO"));
    });
  }, isIo("EIO"));
  assert.equal(db.view((tx) => contentOf(tx).sha256), before);
  assert.throws(() => db.begin(true), isIo("EIO"));
  db.close();
});

for (const how of ["updateAsync", "batch"] as const) {
  test(`a sync that the application asks for while ${how} commits, and that fails, makes the commit fail, however far it has got`, async () => {
    const start = filledDisk();
    let turns = 0;
    for (let isOver = false; ; turns++) {
      const disk = start.crash("all");
      const db = openOn(disk);
      const before = contentNow(db);
      let hasRun = false;
      const commit = db[how]((tx) => {
        change(tx, 9);
        hasRun = true;
      });
      void commit.then(() => { isOver = true; }, () => undefined);
      while (!hasRun) await new Promise((resolve) => { setImmediate(resolve); });
      for (let turn = 0; turn < turns && !isOver; turn++) await new Promise((resolve) => { setImmediate(resolve); });
      if (isOver) break;
      // What was written is lost with the failed sync, and no later sync says so.
      disk.inject({ failure: "lost", on: "sync" });
      assert.throws(() => { db.sync(); }, isIo("EIO"));
      await assert.rejects(commit, isIo("EIO"), `after ${turns} turns`);
      assert.equal(db.view((tx) => contentOf(tx).sha256), before);
      db.close();
      const again = openOn(disk.crash("none"));
      assert.equal(contentNow(again), before);
      again.close();
    }
    assert.ok(turns > 0, "the commit was met under way");
  });
}

test("a read that fails, on whichever page, is an IO error; the next read of the same page is right", () => {
  const start = filledDisk();
  const walk = (db: DB): string => db.view((tx) => contentOf(tx).sha256);
  const count = operationCount(start, "read", {}, walk);
  const expected = walk(openOn(start.crash("all")));
  assert.ok(count > 50, `${count} reads`);
  for (const failure of ["error", "short"] as const) {
    for (let nth = 1; nth <= count; nth++) {
      const disk = start.crash("all");
      const db = openOn(disk);
      disk.inject({ failure, on: "read", nth, ...(failure === "short" ? { byteCount: nth % PAGE_SIZE } : {}) });
      const error = thrownBy(() => walk(db));
      if (failure === "error") assert.ok(isIo("EIO")(error));
      else assert.ok(error instanceof BoltError && error.code === "CORRUPT", `short read ${nth}: ${String(error)}`);
      assert.equal(walk(db), expected, `after ${failure} of read ${nth}`);
      assert.deepEqual(db.view((tx) => [...tx.check()]), []);
      db.close();
    }
  }
});

test("opening meets a failing read at any place: IO or CORRUPT, nothing is written, and the next opening is right", () => {
  const start = filledDisk();
  const whole = start.crash("all");
  const db = openOn(whole);
  const expected = contentNow(db);
  const count = operationCount(start, "read", {}, () => undefined) + whole.operations.length;
  db.close();
  for (let nth = 1; nth <= Math.min(count, 40); nth++) {
    const disk = start.crash("all");
    disk.inject({ failure: "error", on: "read", nth });
    const error = thrownBy(() => { openOn(disk).close(); });
    if (error === undefined) break; // all reads of an opening have had their turn
    assert.ok(isIo("EIO")(error));
    assert.equal(disk.pending.length, 0);
    const again = openOn(disk);
    assert.equal(contentNow(again), expected);
    again.close();
  }
});

test("a callback that goes on after a failed read commits everything that did not throw, or nothing", () => {
  const start = filledDisk();
  const base = contentAfterRetries(start, 0);
  const count = operationCount(start, "read", {}, (db) => { db.update((tx) => { change(tx, 9); }); });
  assert.ok(count > 20, `${count} reads`);
  for (let nth = 1; nth <= count; nth++) assert.equal(contentAfterRetries(start, nth), base, `read ${nth} failed`);
});

/** Runs the same transaction twice over inside one callback, catching what the first throws; the second repeats all of it. */
function contentAfterRetries(start: SimulatedDisk, nth: number): string {
  const disk = start.crash("all");
  const db = openOn(disk);
  const before = contentNow(db);
  db.close();
  const cold = openOn(disk);
  if (nth > 0) disk.inject({ failure: "error", on: "read", nth });
  const error = thrownBy(() => {
    cold.update((tx) => {
      const first = thrownBy(() => { change(tx, 9); });
      if (first !== undefined) change(tx, 9);
    });
  });
  if (error !== undefined) {
    assert.ok(isIo("EIO")(error), "a half done change is refused with its cause");
    assert.equal(contentNow(cold), before, "nothing of it is there");
    cold.update((tx) => { change(tx, 9); });
  }
  const content = contentNow(cold);
  cold.close();
  assert.deepEqual(rawProblems(disk.bytes()), []);
  return content;
}

test("a disk that is full refuses at the same place again and again, and the file does not suffer", () => {
  const small = new SimulatedDisk({ bytes: filledDisk().bytes(), capacity: 700 * 1024 });
  const db = openOn(small);
  let round = 6;
  const error = thrownBy(() => { for (; round < 200; round++) db.update((tx) => { tx.createBucketIfNotExists("grow").put(`${round}`, Buffer.alloc(20_000, round)); }); });
  assert.ok(isIo("ENOSPC")(error));
  const content = contentNow(db);
  for (let i = 0; i < 5; i++) assert.throws(() => { db.update((tx) => { tx.bucket("grow")?.put("more", Buffer.alloc(200_000)); }); }, isIo("ENOSPC"));
  assert.equal(contentNow(db), content);
  db.update((tx) => { tx.deleteBucket("grow"); });
  db.update(() => undefined);
  db.update((tx) => { tx.createBucket("grow").put("again", Buffer.alloc(20_000)); });
  const last = contentNow(db);
  db.close();
  const again = openOn(small);
  assert.equal(contentNow(again), last);
  again.close();
  assert.deepEqual(rawProblems(small.bytes()), []);
});
