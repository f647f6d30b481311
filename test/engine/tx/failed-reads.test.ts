/** Reads that fail once, in the middle of a move or of a change: nothing is skipped, and no half of a change is committed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BoltError, type Bucket, type Cursor, open, type ReadBucket, type Tx } from "../../../engine/index.js";
import { SimulatedDisk } from "../../../engine/testing.js";
import { tempPath } from "../../support/temp.js";
import { boltError, requireBucket } from "./database.js";

const COUNT = 2000;
const KEYS = Array.from({ length: COUNT }, (_, i) => String(i).padStart(6, "0"));

function imageWith(fill: (tx: Tx) => void, pageSize: number): Uint8Array {
  const disk = new SimulatedDisk();
  const db = open("reads.db", { storage: disk, pageSize });
  db.update(fill);
  db.close();
  return disk.bytes();
}

const IMAGE = imageWith((tx) => {
  const bucket = tx.createBucket("b");
  for (const key of KEYS) bucket.put(key, "v".repeat(50));
}, 1024);

/** Calls until it goes well. */
function retried<T>(call: () => T, failures: unknown[]): T {
  for (;;) {
    try {
      return call();
    } catch (error) {
      failures.push(error);
      assert.ok(failures.length < 10, "it goes well after one failure");
    }
  }
}

/** Every way to walk, each call again where it failed; gives the keys. */
const WALKS: Readonly<Record<string, (bucket: ReadBucket | Bucket, failures: unknown[]) => string[]>> = {
  next: (bucket, failures) => {
    const cursor = bucket.cursor();
    const keys: string[] = [];
    for (let entry = retried(() => cursor.first(), failures); entry !== undefined; entry = retried(() => cursor.next(), failures)) keys.push(String(entry.key));
    return keys;
  },
  prev: (bucket, failures) => {
    const cursor = bucket.cursor();
    const keys: string[] = [];
    for (let entry = retried(() => cursor.last(), failures); entry !== undefined; entry = retried(() => cursor.prev(), failures)) keys.unshift(String(entry.key));
    return keys;
  },
  keys: (bucket, failures) => {
    const keys: string[] = [];
    const all = bucket.keys();
    for (let step = retried(() => all.next(), failures); !step.done; step = retried(() => all.next(), failures)) keys.push(String(step.value));
    return keys;
  },
  "entries backward": (bucket, failures) => {
    const keys: string[] = [];
    const all = bucket.entriesView({ reverse: true });
    for (let step = retried(() => all.next(), failures); !step.done; step = retried(() => all.next(), failures)) keys.unshift(Buffer.from(step.value[0]).toString());
    return keys;
  },
};

for (const [way, walk] of Object.entries(WALKS)) {
  for (const writable of [false, true]) {
    test(`whichever read fails once, ${way} asked again gives every key, ${writable ? "in a write" : "in a read"} transaction`, () => {
      let failed = 0;
      for (let nth = 1; nth <= 60; nth++) {
        const disk = new SimulatedDisk({ bytes: IMAGE });
        const db = open("reads.db", { storage: disk, cacheSize: 0 });
        const tx = writable ? db.begin(true) : db.begin();
        const bucket = requireBucket(retried(() => tx.bucket("b"), []));
        disk.inject({ failure: "error", on: "read", nth });
        const failures: unknown[] = [];
        assert.deepEqual(walk(bucket, failures), KEYS, `read ${nth}`);
        failed += failures.length;
        tx.rollback();
        db.close();
      }
      assert.ok(failed >= 50, `${failed} reads failed`);
    });
  }
}

for (const move of ["first", "last", "seek"] as const) {
  for (const writable of [false, true]) {
    test(`after a ${move} that failed the cursor is nowhere until it goes somewhere, ${writable ? "in a write" : "in a read"} transaction`, () => {
      const disk = new SimulatedDisk({ bytes: IMAGE });
      const db = open("reads.db", { storage: disk, cacheSize: 0 });
      const tx = writable ? db.begin(true) : db.begin();
      const cursor = requireBucket(tx.bucket("b")).cursor();
      assert.equal(String(cursor.seek(KEYS[1000]!)?.key), KEYS[1000]);
      disk.inject({ failure: "error", on: "read" });
      assert.throws(() => (move === "seek" ? cursor.seek(KEYS[500]!) : cursor[move]()), boltError("IO", /EIO/));
      for (const relative of ["next", "prev"] as const) assert.throws(() => cursor[relative](), { code: "KEY_REQUIRED", detail: /call first, last or seek/ });
      if (writable) assert.throws(() => cursor.delete(), { code: "KEY_REQUIRED", detail: /call first, last or seek/ });
      assert.equal(String(cursor.seek(KEYS[5]!)?.key), KEYS[5]);
      assert.equal(String(cursor.next()?.key), KEYS[6]);
      tx.rollback();
      db.close();
    });
  }
}

/** Tries every read of a change, in a transaction that goes on where the change has failed. */
function failEachRead(image: Uint8Array, prepare: (tx: Tx) => void, change: (tx: Tx) => void, verify: (tx: Tx, isChanged: boolean) => void): void {
  let failed = 0;
  for (let nth = 1; ; nth++) {
    const disk = new SimulatedDisk({ bytes: image });
    const db = open("reads.db", { storage: disk, cacheSize: 0 });
    let isChanged = false;
    let commitError: unknown;
    try {
      db.update((tx) => {
        prepare(tx);
        disk.inject({ failure: "error", on: "read", nth });
        try {
          change(tx);
          isChanged = true;
        } catch (error) {
          assert.ok(error instanceof BoltError && error.code === "IO", String(error));
          failed++;
        }
        disk.clearFaults();
        tx.createBucketIfNotExists("other").put("goes", "on");
      });
    } catch (error) {
      commitError = error;
      assert.ok(error instanceof BoltError && error.code === "IO", String(error));
    }
    db.view((tx) => {
      assert.deepEqual([...tx.check()], [], `read ${nth}`);
      verify(tx as Tx, isChanged && commitError === undefined);
    });
    db.close();
    if (isChanged) break;
  }
  assert.ok(failed > 0, "a read failed");
}

test("a deleteBucket of which any read fails is done wholly or not at all", () => {
  const image = imageWith((tx) => {
    const big = tx.createBucket("big");
    for (let i = 0; i < 150; i++) big.put(`k${String(i).padStart(5, "0")}`, Buffer.alloc(20_000, 1));
  }, 65_536);
  failEachRead(image, () => undefined, (tx) => tx.deleteBucket("big"), (tx, isChanged) => {
    const big = tx.bucket("big");
    assert.equal(big === undefined, isChanged);
    if (big !== undefined) assert.equal(big.count(), 150);
  });
});

test("a moveBucket of which any read fails leaves the bucket in one place", () => {
  const key = (i: number): string => `k${String(i).padStart(6, "0")}${"x".repeat(25_000)}`;
  const image = imageWith((tx) => {
    for (const name of ["from", "to"]) {
      const bucket = tx.createBucket(name);
      for (let i = 0; i < 60; i++) bucket.put(key(i), "v");
    }
    const moved = requireBucket(tx.bucket("from")).createBucket(`${key(30)}moved`);
    for (let i = 0; i < 10; i++) moved.put(key(i), "v");
    const noise = tx.createBucket("noise");
    for (let i = 0; i < 60; i++) noise.put(key(i), Buffer.alloc(20_000));
  }, 65_536);
  const name = `${key(30)}moved`;
  failEachRead(image, (tx) => {
    // Changed pages crowd the cache, so that those on the way have to be read again.
    for (let i = 0; i < 40; i++) requireBucket(tx.bucket("noise")).put(key(i), "x");
  }, (tx) => tx.moveBucket(name, requireBucket(tx.bucket("from")), requireBucket(tx.bucket("to"))), (tx, isChanged) => {
    assert.equal(tx.bucket("from")?.bucket(name) === undefined, isChanged);
    assert.equal(tx.bucket("to")?.bucket(name) !== undefined, isChanged);
  });
});

test("a change that failed half-way and is made again fails as it did: the file is sound", () => {
  const image = imageWith((tx) => {
    const big = tx.createBucket("big");
    for (let i = 0; i < 2000; i++) big.put(KEYS[i]!, "v".repeat(50));
  }, 1024);
  let halves = 0;
  for (let nth = 1; nth < 200; nth += 7) {
    const disk = new SimulatedDisk({ bytes: image });
    const db = open("reads.db", { storage: disk, cacheSize: 0 });
    const tx = db.begin(true);
    disk.inject({ failure: "error", on: "read", nth });
    const failures: unknown[] = [];
    for (const step of [() => tx.deleteBucket("big"), () => tx.deleteBucket("big"), () => tx.commit()]) {
      try {
        step();
      } catch (error) {
        failures.push(error);
      }
    }
    for (const failure of failures) assert.ok(failure instanceof BoltError && (failure.code === "IO" || failure.code === "BUCKET_NOT_FOUND"), String(failure));
    if (failures.length === 3) halves++;
    db.close();
  }
  assert.ok(halves > 5, `${halves} failed`);
});

const LARGE = imageWith((tx) => {
  const bucket = tx.createBucket("b");
  for (const key of ["k1", "k2", "k3"]) bucket.put(key, Buffer.alloc(20_000, key));
}, 4096);

/** Opens the three large values anew, and the disk lets the next read of a value fail once. */
function withLarge(writable: boolean, use: (bucket: ReadBucket | Bucket, fail: () => void) => void): void {
  const disk = new SimulatedDisk({ bytes: LARGE });
  const read = disk.read.bind(disk);
  let isFailing = false;
  disk.read = (target, position) => {
    // More than a page: the rest of a value.
    if (!isFailing || target.length <= 4096) return read(target, position);
    isFailing = false;
    throw new Error("EIO: i/o error");
  };
  const db = open("reads.db", { storage: disk });
  const tx = writable ? db.begin(true) : db.begin();
  use(requireBucket(tx.bucket("b")), () => { isFailing = true; });
  tx.rollback();
  db.close();
}

type Item = Uint8Array | readonly [Uint8Array, Uint8Array];

/** By what they give; of each item the two letters of its key. */
const ITERATORS: Readonly<Record<string, (bucket: ReadBucket | Bucket, reverse: boolean) => Iterator<Item>>> = {
  entries: (bucket, reverse) => bucket.entries({ reverse }),
  entriesView: (bucket, reverse) => bucket.entriesView({ reverse }),
  values: (bucket, reverse) => bucket.values({ reverse }),
  "entries of a range": (bucket, reverse) => bucket.entries({ reverse, gte: "k1", lt: "k4", limit: 3 }),
  "entries with a prefix": (bucket, reverse) => bucket.entries({ reverse, prefix: "k" }),
};

function nameOf(item: Item): string {
  return Buffer.from(item instanceof Uint8Array ? item : item[0]).toString("latin1", 0, 2);
}

for (const [what, iterate] of Object.entries(ITERATORS)) {
  for (const writable of [false, true]) {
    test(`whichever value cannot be read once, ${what} asked again give it, ${writable ? "in a write" : "in a read"} transaction`, () => {
      for (const reverse of [false, true]) {
        for (let at = 0; at < 3; at++) {
          withLarge(writable, (bucket, fail) => {
            const items = iterate(bucket, reverse);
            const found: string[] = [];
            for (let i = 0; i < at; i++) found.push(nameOf(items.next().value as Item));
            fail();
            assert.throws(() => items.next(), boltError("IO", /EIO/));
            for (let step = items.next(); !step.done; step = items.next()) found.push(nameOf(step.value));
            assert.deepEqual(reverse ? found.reverse() : found, ["k1", "k2", "k3"], `value ${at} of them`);
          });
        }
      }
    });
  }
}

test("an iterator whose value could not be read goes on behind its key when that was deleted meanwhile", () => {
  for (const reverse of [false, true]) {
    withLarge(true, (bucket, fail) => {
      const items = bucket.entries({ reverse });
      items.next();
      fail();
      assert.throws(() => items.next(), boltError("IO", /EIO/));
      (bucket as Bucket).delete("k2");
      assert.equal(String(items.next().value?.[0]), reverse ? "k1" : "k3");
      assert.equal(items.next().done, true);
    });
  }
});

test("a cursor that moved to a value which could not be read is nowhere: it deletes nothing that it has not shown", () => {
  const moves: Readonly<Record<string, (cursor: Cursor) => unknown>> = {
    last: (cursor) => cursor.last(), seek: (cursor) => cursor.seek("k2"),
    next: (cursor) => cursor.next(), prev: (cursor) => cursor.prev(),
  };
  for (const [name, move] of Object.entries(moves)) {
    withLarge(true, (bucket, fail) => {
      const cursor = bucket.cursor();
      assert.equal(String(cursor.seek(name === "prev" ? "k3" : "k1")?.key), name === "prev" ? "k3" : "k1");
      fail();
      assert.throws(() => move(cursor), boltError("IO", /EIO/), name);
      for (const relative of ["next", "prev", "delete"] as const) assert.throws(() => cursor[relative](), { code: "KEY_REQUIRED" }, name);
      assert.equal(bucket.count(), 3);
      assert.equal(String(cursor.seek("k2")?.key), "k2");
      assert.equal(String(cursor.next()?.key), "k3");
    });
  }
});

test("a snapshot that is gone is no end of a walk, however often it is asked", () => {
  const path = tempPath("gone.db");
  const writing = open(path, { noSync: true });
  writing.update((tx) => { for (const key of ["k1", "k2"]) tx.createBucketIfNotExists("b").put(key, Buffer.alloc(20_000, key)); });
  const reading = open(path, { readOnly: true, lock: "none" });
  const tx = reading.begin();
  const bucket = requireBucket(tx.bucket("b"));
  assert.deepEqual([...bucket.keys()].map(String), ["k1", "k2"]);
  const items = bucket.entries();
  const cursor = bucket.cursor();
  writing.update((change) => change.createBucket("c"));
  for (let times = 0; times < 3; times++) assert.throws(() => items.next(), { code: "STALE_SNAPSHOT" });
  assert.throws(() => cursor.first(), { code: "STALE_SNAPSHOT" });
  assert.throws(() => cursor.next(), { code: "KEY_REQUIRED" });
  tx.rollback();
  reading.close();
  writing.close();
});
