/** Shrinking in place: the file gets as small as its content, the content stays, and nothing is lost at any cut of the power. */
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { describe, test } from "node:test";
import { BoltError, MemoryStorage, open, openMemory, type Bucket, type DB, type OpenOptions, type ShrinkResult } from "../../../engine/index.js";
import { ShrinkWalk } from "../../../engine/db/shrink-walk.js";
import { SimulatedDisk } from "../../../engine/testing.js";
import { contentOf } from "../../support/content.js";
import { fixtureCopy } from "../../support/fixtures.js";
import { Random, seedOfRun } from "../../support/random.js";
import { rawProblems } from "../../support/raw-check.js";
import { tempPath } from "../../support/temp.js";

const seed = seedOfRun();
console.log(`# seed ${seed}`);

interface Sample {
  readonly keyCount: number;
  readonly valueSize: number;
  readonly bucketCount: number;
}

/** Fills several buckets in turn, so that their pages lie mixed, and deletes most of it. */
function makeHoles(db: DB, { keyCount, valueSize, bucketCount }: Sample, random: Random): void {
  for (let round = 0; round < 6; round++) {
    db.update((tx) => {
      const top = tx.createBucketIfNotExists("top");
      for (let b = 0; b < bucketCount; b++) {
        const bucket = top.createBucketIfNotExists(`bucket ${b}`);
        for (let i = 0; i < keyCount / 6; i++) bucket.put(`key ${random.below(1_000_000)}`, Buffer.alloc(random.below(valueSize), round));
      }
    });
  }
  db.update((tx) => {
    const top = tx.bucket("top");
    for (const name of [...(top?.buckets() ?? [])]) {
      const bucket = top?.bucket(name);
      for (const key of [...(bucket?.keys() ?? [])]) if (random.below(10) > 0) bucket?.delete(key);
      if (random.below(4) === 0) top?.deleteBucket(name);
    }
  });
}

function shrinkWhole(db: DB): ShrinkResult {
  for (let call = 0; ; call++) {
    const result = db.shrink({ budgetMs: 10_000 });
    if (result.isDone) return result;
    assert.ok(call < 5, `not done after ${call + 1} calls: ${JSON.stringify(result)}`);
  }
}

function assertSound(db: DB, sha256: string): void {
  db.view((tx) => {
    assert.deepEqual([...tx.check()], []);
    assert.equal(contentOf(tx).sha256, sha256);
  });
}

/** The pages that the content takes when nothing moves, and the room that shrinking leaves. */
function smallestSize(db: DB): number {
  const { freePageN, pendingPageN } = db.stats();
  return (db.view((tx) => tx.size / db.pageSize) - freePageN - pendingPageN + 24) * db.pageSize;
}

const samples: readonly (readonly [string, Sample])[] = [
  ["many small values", { keyCount: 20_000, valueSize: 100, bucketCount: 1 }],
  ["large values", { keyCount: 600, valueSize: 30_000, bucketCount: 2 }],
  ["many buckets", { keyCount: 60, valueSize: 400, bucketCount: 300 }],
];

describe("shrink", () => {
  test("a page at the end that was given up only while it settled is cut off as well", () => {
    const path = tempPath("shrink.db");
    const db = open(path);
    // With this seed the last of the empty commits gave up the last page.
    makeHoles(db, { keyCount: 20_000, valueSize: 100, bucketCount: 1 }, new Random(243444948));
    const { sizeAfter } = shrinkWhole(db);
    assert.equal(db.shrink().sizeAfter, sizeAfter);
    db.close();
  });

  for (const [name, sample] of samples) {
    for (const options of [{}, { pageSize: 1024 }, { noFreelistSync: true }, { noSync: true }, { durability: "one-sync" }] as readonly OpenOptions[]) {
      test(`${name}, ${JSON.stringify(options)}: the file is as small as its content, which stays`, () => {
        const path = tempPath("shrink.db");
        const db = open(path, options);
        makeHoles(db, sample, new Random(seed));
        const { sha256 } = db.view(contentOf);
        const before = statSync(path).size;
        const result = shrinkWhole(db);
        assert.ok(statSync(path).size < before / 2, `${before} -> ${statSync(path).size}`);
        // Values of many pages leave runs free that are too short for any of them.
        const room = sample.valueSize > db.pageSize ? 1.5 : 1;
        assert.ok(statSync(path).size <= smallestSize(db) * room, `${statSync(path).size} > ${smallestSize(db)}`);
        assert.equal(result.sizeAfter, statSync(path).size);
        assertSound(db, sha256);
        const { durationMs, ...again } = db.shrink();
        // What a pass over large values leaves free may take in another of them in the next; with small ones there is nothing left to do.
        if (name === "large values") assert.ok(again.isDone && again.sizeAfter <= result.sizeAfter, JSON.stringify(again));
        else assert.deepEqual(again, { sizeBefore: result.sizeAfter, sizeAfter: result.sizeAfter, movedPageCount: 0, isDone: true });
        assert.ok(durationMs >= 0);
        // It goes on as any other database.
        for (let round = 0; round < 4; round++) db.update((tx) => tx.createBucketIfNotExists("later").put("k", Buffer.alloc(100_000, round)));
        db.update((tx) => tx.deleteBucket("later"));
        assertSound(db, sha256);
        db.close();
        assert.deepEqual(rawProblems(readFileSync(path)), []);
        const reopened = open(path, options);
        assertSound(reopened, sha256);
        reopened.close();
      });
    }
  }

  test("in small steps, with writers between them, it comes to the same end", () => {
    const random = new Random(seed);
    const db = openMemory();
    makeHoles(db, { keyCount: 3000, valueSize: 300, bucketCount: 12 }, random);
    const before = db.view((tx) => tx.size);
    let isDone = false;
    let callCount = 0;
    for (; !isDone && callCount < 3000; callCount++) {
      // Some calls are over before they begin to move.
      isDone = db.shrink({ budgetMs: random.pick([0, 0.5, 2]) }).isDone;
      if (callCount % 10 === 0 && callCount < 100) {
        db.update((tx) => {
          const bucket = tx.createBucketIfNotExists("top").createBucketIfNotExists(`bucket ${random.below(14)}`);
          for (let i = 0; i < 20; i++) bucket.put(`key ${random.below(1_000_000)}`, Buffer.alloc(random.below(300)));
          if (random.below(3) === 0) tx.bucket("top")?.deleteBucket(random.pick([...(tx.bucket("top")?.buckets() ?? [])]));
        });
      }
      const { sha256 } = db.view(contentOf);
      assertSound(db, sha256);
    }
    assert.ok(isDone, `${callCount} calls`);
    assert.ok(db.view((tx) => tx.size) < before / 2);
    db.close();
  });

  test("readers keep their snapshots, and the file is not cut below what they can reach", () => {
    const random = new Random(seed);
    const path = tempPath("readers.db");
    const db = open(path);
    makeHoles(db, { keyCount: 3000, valueSize: 300, bucketCount: 5 }, random);
    const { sha256 } = db.view(contentOf);
    const reader = db.begin();
    const size = reader.size;
    for (let call = 0; call < 3; call++) {
      assert.equal(db.shrink().isDone, false);
      assert.ok(statSync(path).size >= size);
      db.update((tx) => tx.createBucketIfNotExists("top").put("round", String(call)));
      assert.equal(contentOf(reader).sha256, sha256);
    }
    const copyPath = tempPath("copy.db");
    reader.copyTo(copyPath);
    const copy = open(copyPath, { readOnly: true });
    assertSound(copy, sha256);
    copy.close();
    reader.rollback();
    const after = db.view(contentOf).sha256;
    shrinkWhole(db);
    assert.ok(statSync(path).size < size / 2);
    assertSound(db, after);
    db.close();
    assert.deepEqual(rawProblems(readFileSync(path)), []);
  });

  test("empty databases and emptied buckets", () => {
    const db = openMemory();
    assert.equal(shrinkWhole(db).isDone, true);
    db.update((tx) => { for (let i = 0; i < 2000; i++) tx.createBucketIfNotExists("b").put(`key ${i}`, Buffer.alloc(1000)); });
    db.update((tx) => { const bucket = tx.bucket("b"); for (const key of [...(bucket?.keys() ?? [])]) bucket?.delete(key); });
    shrinkWhole(db);
    assert.ok(db.view((tx) => tx.size) <= 40 * db.pageSize);
    db.update((tx) => tx.deleteBucket("b"));
    db.update((tx) => { for (let i = 0; i < 2000; i++) tx.createBucket(`bucket ${i}`).put("k", Buffer.alloc(500)); });
    db.update((tx) => { for (const name of [...tx.buckets()]) tx.deleteBucket(name); });
    shrinkWhole(db);
    assert.ok(db.view((tx) => tx.size) <= 40 * db.pageSize);
    db.view((tx) => assert.deepEqual([...tx.check()], []));
    db.close();
  });

  test("buckets nested deep at the end of the file come down", () => {
    const db = openMemory({ pageSize: 1024 });
    db.update((tx) => { for (let i = 0; i < 3000; i++) tx.createBucketIfNotExists("ballast").put(`key ${i}`, Buffer.alloc(500)); });
    db.update((tx) => {
      let bucket: Bucket = tx.createBucket("deep");
      for (let level = 0; level < 12; level++) {
        for (let i = 0; i < 10; i++) bucket.put(`value ${i}`, Buffer.alloc(100, level));
        bucket = bucket.createBucket(`level ${level}`);
      }
    });
    db.update((tx) => tx.deleteBucket("ballast"));
    const { sha256 } = db.view(contentOf);
    shrinkWhole(db);
    assert.ok(db.view((tx) => tx.size) <= 120 * 1024, `${db.view((tx) => tx.size)}`);
    assertSound(db, sha256);
    db.close();
  });

  test("stops when it is done or its time is over", () => {
    const db = openMemory();
    makeHoles(db, { keyCount: 30_000, valueSize: 300, bucketCount: 2 }, new Random(seed));
    const result = db.shrink({ budgetMs: 5 });
    // How far it comes in that time is the machine's affair; it stops because it is done or because the time is over.
    assert.ok(result.isDone || result.durationMs >= 5, JSON.stringify(result));
    db.close();
  });

  test("refuses where no writer may write, and options that are none", () => {
    const path = tempPath("refused.db");
    const db = open(path);
    for (const options of [{ budgetMs: -1 }, { budgetMs: NaN }, { budgetMs: "1" }, { budget: 1 }, 5, null]) assert.throws(() => db.shrink(options as never), TypeError);
    const tx = db.begin(true);
    assert.throws(() => db.shrink(), { code: "TX_WRITER_BUSY" });
    tx.rollback();
    db.close();
    assert.throws(() => db.shrink(), { code: "DATABASE_NOT_OPEN" });
    const reader = open(path, { readOnly: true });
    assert.throws(() => reader.shrink(), { code: "DATABASE_READ_ONLY" });
    reader.close();
  });
});

test("shrink moves nothing of a page that the freelist lists", () => {
  const path = fixtureCopy("freelist-lists-used-page");
  const db = open(path);
  const moving = (): ShrinkResult => db.shrink();
  const used = db.view((tx) => [...tx.check()].find((line) => line.endsWith("reachable freed")));
  assert.ok(used !== undefined);
  assert.throws(moving, { code: "CORRUPT", message: used });
  db.close();
});

describe("shrink on a disk that fails", () => {
  /** A small file of which shrinking moves pages, settles and cuts. */
  function startingDisk(): { readonly bytes: Uint8Array; readonly sha256: string } {
    const storage = new MemoryStorage();
    const db = open("start", { storage, pageSize: 1024 });
    db.update((tx) => { for (let i = 0; i < 60; i++) tx.createBucketIfNotExists("a").put(`key ${i}`, Buffer.alloc(700, i)); });
    db.update((tx) => { for (let i = 0; i < 30; i++) tx.createBucketIfNotExists("b").createBucketIfNotExists(`n${i % 3}`).put(`key ${i}`, Buffer.alloc(i === 20 ? 3000 : 200, i)); });
    db.update((tx) => tx.deleteBucket("a"));
    const { sha256 } = db.view(contentOf);
    db.close();
    return { bytes: storage.bytes(), sha256 };
  }

  test("whatever a power cut at any operation leaves is whole", () => {
    const { bytes, sha256 } = startingDisk();
    let imageCount = 0;
    let cutCount = 0;
    let hasShrunk = false;
    for (let isDone = false; !isDone; cutCount++) {
      const disk = new SimulatedDisk({ seed, bytes });
      disk.cutAfter(cutCount);
      try {
        const db = open("shrink", { storage: disk });
        shrinkWhole(db);
        db.close();
        hasShrunk = disk.size() < bytes.length / 2;
      } catch (error) {
        if (!disk.isCut) throw error;
      }
      isDone = !disk.isCut;
      for (const image of disk.crashImages(60)) {
        const label = `cut at ${cutCount}, ${image.label}`;
        const db = open("after", { storage: image });
        assert.equal(db.view(contentOf).sha256, sha256, label);
        assert.deepEqual(db.view((tx) => [...tx.check()]), [], label);
        // It can be shrunk to the end.
        shrinkWhole(db);
        assert.equal(db.view(contentOf).sha256, sha256, label);
        db.close();
        assert.deepEqual(rawProblems(image.bytes()), [], label);
        imageCount++;
      }
    }
    assert.ok(hasShrunk);
    console.log(`# ${cutCount} cuts, ${imageCount} images`);
    assert.ok(cutCount > 30 && imageCount > 100);
  });

  for (const on of ["write", "sync", "truncate", "read"] as const) {
    test(`an error of each ${on} in turn leaves the content, in memory and after reopening`, () => {
      const { bytes, sha256 } = startingDisk();
      let failureCount = 0;
      for (let nth = 1; nth < 200; nth++) {
        const disk = new SimulatedDisk({ seed, bytes });
        const db = open("shrink", { storage: disk });
        disk.inject({ failure: "error", on, nth });
        let failure: unknown;
        try {
          shrinkWhole(db);
        } catch (error) {
          failure = error;
        }
        disk.clearFaults();
        assertSound(db, sha256);
        db.close();
        const again = open("again", { storage: disk });
        assertSound(again, sha256);
        shrinkWhole(again);
        assertSound(again, sha256);
        again.close();
        if (failure === undefined) break;
        assert.ok(failure instanceof BoltError && failure.code === "IO", String(failure));
        failureCount++;
      }
      assert.ok(failureCount >= 1);
    });
  }
});

test("a large file is not walked over again for less than a thousandth of it, and still comes down to that", (t) => {
  const db = openMemory({ pageSize: 1024, noSync: true });
  const keyOf = (i: number): string => `${String(Math.imul(i, 2_654_435_761) >>> 0).padStart(10, "0")}${i}`;
  const keyCount = 24_000;
  // A page a key, in random order; then every second page is free.
  for (let from = 0; from < keyCount; from += 4000) {
    db.update((tx) => {
      const bucket = tx.createBucketIfNotExists("bucket");
      for (let i = from; i < from + 4000; i++) bucket.put(keyOf(i), Buffer.alloc(500));
    });
  }
  db.update((tx) => { for (let i = 0; i < keyCount; i += 2) tx.bucket("bucket")?.delete(keyOf(i)); });
  const walk = t.mock.method(ShrinkWalk.prototype, "run").mock;
  const { isDone } = db.shrink({ budgetMs: 60_000 });
  const walkCount = walk.calls.filter(({ result }) => result === undefined).length;
  t.diagnostic(`${walkCount} walks`);
  // Without that limit there are eight.
  assert.ok(isDone && walkCount <= 6, `${walkCount} walks`);
  const { freePageN, pendingPageN } = db.stats();
  const pageCount = db.view((tx) => tx.size) / 1024;
  // That, the room that the goal leaves, and the freelist's own pages.
  assert.ok(freePageN + pendingPageN <= pageCount / 1000 + 16 + 4, `${freePageN + pendingPageN} of ${pageCount} pages are free`);
  db.close();
});

test("keys of a branch that are out of order end the walk, which would go round and round", () => {
  const [pageSize, name] = [1024, "round-and-round.db"];
  const sound = new MemoryStorage();
  const key = (i: number): string => `k${String(i).padStart(4, "0")}`;
  const made = open(name, { storage: sound, pageSize });
  made.update((tx) => { for (let i = 0, bucket = tx.createBucket("b"); i < 1000; i++) bucket.put(key(i), Buffer.alloc(40)); });
  made.update((tx) => { for (let i = 100; i < 900; i++) if (i % 10 > 0) tx.bucket("b")?.delete(key(i)); });
  made.close();
  // The first key of a leaf becomes lower than all others: its page alone looks sound. A change in it carries the key into the branch.
  const bytes = Buffer.from(sound.bytes());
  const firstKeyAt = (pgid: number): number => pgid * pageSize + 16 + bytes.readUInt32LE(pgid * pageSize + 20);
  const isLeafOf = (pgid: number): boolean => bytes.readUInt16LE(pgid * pageSize + 8) === 2 && /^k09[4-8]/.test(bytes.toString("latin1", firstKeyAt(pgid), firstKeyAt(pgid) + 5));
  const pgid = Array.from({ length: bytes.length / pageSize }, (_, i) => i).find(isLeafOf)!;
  const second = key(Number(bytes.toString("latin1", firstKeyAt(pgid) + 1, firstKeyAt(pgid) + 5)) + 1);
  bytes[firstKeyAt(pgid) + 1] = 0x10;
  const db = open(name, { storage: new MemoryStorage(bytes) });
  db.update((tx) => tx.bucket("b")?.put(second, "w"));
  assert.throws(() => db.shrink({ budgetMs: 2000 }), { code: "CORRUPT", message: /keys out of order/ });
  db.close();
});

test("a cut that was made and yet failed is told, and the next commit takes the file as it is", () => {
  const storage = new MemoryStorage();
  const db = open("cut-and-failed.db", { storage });
  db.update((tx) => { for (let i = 0, bucket = tx.createBucket("b"); i < 2000; i++) bucket.put(String(i), Buffer.alloc(300)); });
  db.update((tx) => { for (let i = 10; i < 2000; i++) tx.bucket("b")?.delete(String(i)); });
  const truncate = storage.truncate.bind(storage);
  storage.truncate = (size) => {
    truncate(size);
    storage.truncate = truncate;
    throw new Error("EIO");
  };
  assert.throws(() => db.shrink(), { code: "IO", message: /^cut the file: EIO/ });
  db.update((tx) => tx.bucket("b")?.put("after", "it"));
  db.shrink();
  assert.deepEqual(db.view((tx) => [...tx.check()]), []);
  db.close();
});
