/** Compact: the same content, sound, in a file without a page too many; and no half file, whatever happens. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { packLeaves } from "../../../engine/db/leaf-packing.js";
import { BoltError, open, openMemory, type Bucket, type CompactOptions, type DB } from "../../../engine/index.js";
import { contentOf } from "../../support/content.js";
import { fixtureNames, fixtureOriginal, readFixture } from "../../support/fixtures.js";
import { Random, seedOfRun } from "../../support/random.js";
import { rawProblems } from "../../support/raw-check.js";
import { tempPath } from "../../support/temp.js";

const seed = seedOfRun();
console.log(`# seed ${seed}`);

/** Compacts and checks what came out: content, soundness by two checkers, no free page; gives the file. */
function compacted(db: DB, options?: CompactOptions): Buffer {
  const path = tempPath("compacted.db");
  const result = db.compact(path, options);
  const before = db.view(contentOf);
  assert.equal(result.sizeAfter, statSync(path).size);
  assert.equal(result.keyCount, before.keyCount);
  assert.equal(result.bucketCount, before.bucketCount);
  const file = readFileSync(path);
  assert.deepEqual(rawProblems(file), []);
  const copy = open(path);
  assert.equal(copy.recovery, undefined);
  assert.equal(copy.pageSize, options?.pageSize ?? Math.min(4096, Math.max(1024, db.pageSize)));
  copy.view((tx) => {
    assert.equal(contentOf(tx).sha256, before.sha256);
    assert.deepEqual([...tx.check()], []);
    assert.equal(tx.size, result.sizeAfter, "the file ends at the high-water mark");
  });
  assert.equal(copy.stats().freePageN + copy.stats().pendingPageN, 0);
  // It can be written: a change, and back.
  const name = "written after compacting";
  copy.update((tx) => { tx.createBucket(name).put("k", Buffer.alloc(10_000)); });
  copy.update((tx) => tx.deleteBucket(name));
  copy.view((tx) => {
    assert.equal(contentOf(tx).sha256, before.sha256);
    assert.deepEqual([...tx.check()], []);
  });
  copy.close();
  return file;
}

describe("compact", () => {
  for (const fixture of fixtureNames().map(readFixture).filter(({ kind }) => kind === "valid")) {
    test(`keeps the content of the file ${fixture.name}`, () => {
      const db = open(fixtureOriginal(fixture.name), { readOnly: true });
      assert.ok(compacted(db).length <= Math.max(db.view((tx) => tx.size), 4 * 4096));
      db.close();
    });
  }

  test("keeps any content: nested buckets, sequences, values of all sizes, page sizes", () => {
    const random = new Random(seed);
    for (let round = 0; round < 15; round++) {
      const db = openMemory({ pageSize: random.pick([1024, 4096, 16_384]) });
      db.update((tx) => fill(tx.createBucket("top"), random, 3));
      db.update((tx) => fill(tx.createBucketIfNotExists(random.pick(["top", "other"])), random, 2));
      compacted(db, { txMaxSize: random.pick([0, 1, 5000, 10_000_000]), pageSize: random.pick([1024, 4096, 65_536]) });
      db.close();
    }
  });

  test("makes trees of several levels, keys of the largest size among them", () => {
    const random = new Random(seed + 1);
    for (const [count, keySize] of [[2, 32_768], [3, 32_768], [5, 32_768], [150, 32_768], [700, 500], [60_000, 12]] as const) {
      const db = openMemory({ pageSize: 1024 });
      db.update((tx) => {
        const bucket = tx.createBucket("b");
        for (let i = 0; i < count; i++) bucket.put(String(i).padStart(keySize, "0"), Buffer.alloc(random.below(40), i));
      });
      compacted(db, { pageSize: 1024 });
      db.close();
    }
  });

  test("puts a few large values into one leaf rather than a branch page above them", () => {
    for (const [sizes, pageCount] of [[[1350, 1350, 1350], 2], [[5000, 5000, 5000, 5000], 5], [[3000, 3000, 3000, 3000, 3000], 5]] as const) {
      const db = openMemory();
      db.update((tx) => {
        const bucket = tx.createBucket("b");
        for (const [i, size] of sizes.entries()) bucket.put(`k${i}`, Buffer.alloc(size));
      });
      // Both metas, the freelist and the root bucket's leaf, and these.
      assert.equal(compacted(db).length, (4 + pageCount) * 4096);
      db.close();
    }
  });

  test("empty databases, empty buckets, a deep nest", () => {
    const db = openMemory();
    assert.equal(compacted(db).length, 4 * db.pageSize);
    db.update((tx) => {
      tx.createBucket("empty").setSequence(9n);
      let bucket = tx.createBucket("deep");
      for (let level = 0; level < 3000; level++) bucket = bucket.createBucket("d");
      bucket.put("at the", "bottom");
    });
    const deep = tempPath("deep.db");
    db.compact(deep);
    const copy = open(deep);
    copy.view((tx) => {
      assert.equal(tx.bucket("empty")?.sequence, 9n);
      let bucket = tx.bucket("deep");
      for (let level = 0; level < 3000; level++) bucket = bucket?.bucket("d");
      assert.equal(bucket?.get("at the")?.toString(), "bottom");
    });
    copy.close();
    db.close();
  });

  test("sees the committed state, not the changes of an open transaction", () => {
    const db = openMemory();
    db.update((tx) => tx.createBucket("b").put("k", "committed"));
    const tx = db.begin(true);
    tx.bucket("b")?.put("k", "pending");
    const path = tempPath("snapshot.db");
    db.compact(path);
    tx.rollback();
    const copy = open(path, { readOnly: true });
    assert.equal(copy.view((reader) => reader.bucket("b")?.get("k")?.toString()), "committed");
    copy.close();
    db.close();
  });

  test("the size does not depend on txMaxSize, and options that are none are refused", () => {
    const db = openMemory();
    db.update((tx) => { for (let i = 0; i < 3000; i++) tx.createBucketIfNotExists("b").put(`key ${i}`, Buffer.alloc(i % 3000)); });
    assert.deepEqual(compacted(db, { txMaxSize: 1 }), compacted(db));
    for (const options of [{ txMaxSize: -1 }, { txMaxSize: 1.5 }, { txMaxSize: "1" }, { pageSize: 5000 }, { pageSize: 512 }, { size: 1 }, 5, null]) {
      assert.throws(() => db.compact(tempPath("x"), options as never), TypeError);
    }
    assert.throws(() => db.compact(""), TypeError);
    db.close();
    assert.throws(() => db.compact(tempPath("x")), { code: "DATABASE_NOT_OPEN" });
  });
});

function fill(bucket: Bucket, random: Random, depth: number): void {
  bucket.setSequence(BigInt(random.below(1000)));
  const keyCount = random.pick([0, 1, 3, 10, 200]);
  const largest = random.pick([10, 300, 2000, 5000, 20_000]);
  for (let i = 0; i < keyCount; i++) bucket.put(`k${random.below(100_000)}`, Buffer.alloc(random.below(largest), i));
  const nestedCount = depth === 0 ? 0 : random.below(5);
  for (let i = 0; i < nestedCount; i++) fill(bucket.createBucketIfNotExists(`n${random.below(1000)}`), random, depth - 1);
}

describe("leaves are packed", () => {
  const PAGE = 256;
  const costOf = (sizes: readonly number[], from: number, to: number): number => Math.ceil((16 + sizes.slice(from, to).reduce((a, b) => a + b, 0)) / PAGE);
  /** Tries every distribution in which a leaf is one page or has at most four elements. */
  const best = (sizes: readonly number[], from = 0): number => {
    if (from === sizes.length) return 0;
    let fewest = Infinity;
    for (let to = from + 1; to <= sizes.length; to++) {
      const cost = costOf(sizes, from, to);
      if (cost === 1 || to - from <= 4) fewest = Math.min(fewest, cost + best(sizes, to));
    }
    return fewest;
  };

  test("into as few pages as can be", () => {
    const size = fc.oneof(fc.integer({ min: 17, max: 60 }), fc.integer({ min: 17, max: 300 }), fc.integer({ min: 200, max: 1000 }));
    fc.assert(fc.property(fc.array(size, { maxLength: 11 }), (sizes) => {
      const ends = packLeaves(sizes, PAGE);
      assert.equal(ends.at(-1) ?? 0, sizes.length);
      let from = 0;
      let pages = 0;
      for (const to of ends) {
        assert.ok(to > from);
        assert.ok(costOf(sizes, from, to) === 1 || to - from <= 4);
        pages += costOf(sizes, from, to);
        from = to;
      }
      assert.equal(pages, best(sizes));
    }), { seed, numRuns: 400 });
  });
});

describe("no half file", () => {
  function sample(path?: string): DB {
    const db = path === undefined ? openMemory() : open(path);
    db.update((tx) => { for (let i = 0; i < 2000; i++) tx.createBucketIfNotExists("b").put(`key ${i}`, Buffer.alloc(200, i)); });
    return db;
  }

  test("a file that is there is replaced, whole", () => {
    const path = tempPath("present.db");
    writeFileSync(path, "something else");
    const db = sample();
    db.compact(path);
    const copy = open(path, { readOnly: true });
    assert.equal(copy.view((tx) => tx.bucket("b")?.count()), 2000);
    copy.close();
    db.close();
  });

  test("a database that is open, its own among them, is not replaced", () => {
    const path = tempPath("own.db");
    const link = tempPath("link.db");
    const db = sample(path);
    symlinkSync(path, link);
    for (const target of [path, link]) {
      assert.throws(() => db.compact(target), (error) => error instanceof BoltError && error.code === "TIMEOUT" && error.message.includes("in use"));
    }
    db.update((tx) => tx.bucket("b")?.put("still", "here"));
    db.close();
    const again = open(path);
    assert.equal(again.view((tx) => tx.bucket("b")?.get("still")?.toString()), "here");
    again.close();
  });

  test("a damaged source gives CORRUPT, leaves the target as it was and nothing beside it", () => {
    const folder = tempPath("folder");
    mkdirSync(folder);
    const target = join(folder, "target.db");
    writeFileSync(target, "before");
    for (const name of ["key-order", "leaf-value-size-huge", "branch-cycle", "leaf-flags-unknown"]) {
      const db = open(fixtureOriginal(name), { readOnly: true });
      assert.throws(() => db.compact(target), { code: "CORRUPT" }, name);
      db.close();
    }
    assert.equal(readFileSync(target, "utf8"), "before");
    assert.deepEqual(readdirSync(folder), ["target.db"]);
    assert.throws(() => sample().compact(join(folder, "no", "such", "folder.db")), { code: "IO" });
    assert.throws(() => sample().compact(folder), { code: "IO" });
  });

  test("a process killed in the middle leaves the old target or the whole new one", async () => {
    const folder = tempPath("killed");
    mkdirSync(folder);
    const source = join(folder, "source.db");
    const target = join(folder, "target.db");
    const db = open(source);
    db.update((tx) => { for (let i = 0; i < 50_000; i++) tx.createBucketIfNotExists("b").put(`key ${i}`, Buffer.alloc(200, i)); });
    db.close();
    const code = `const { open } = await import(process.argv[1]); const db = open(process.argv[2], { readOnly: true }); process.stdout.write("go"); for (;;) db.compact(process.argv[3]);`;
    const engine = new URL("../../../engine/index.js", import.meta.url).href;
    const random = new Random(seed);
    for (let round = 0; round < 4; round++) {
      if (existsSync(target)) unlinkSync(target);
      const child = spawn(process.execPath, ["--input-type=module", "-e", code, engine, source, target], { stdio: ["ignore", "pipe", "inherit"] });
      await new Promise((resolve) => child.stdout.once("data", resolve));
      await sleep(random.below(400));
      const ended = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGKILL");
      await ended;
      if (!existsSync(target)) continue;
      assert.deepEqual(rawProblems(readFileSync(target)), []);
      const copy = open(target, { readOnly: true });
      assert.equal(copy.view((tx) => tx.bucket("b")?.count()), 50_000);
      copy.close();
    }
  });
});
