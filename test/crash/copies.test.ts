/**
 * Power cuts at every operation of what makes or changes whole files: compact, backup and copyTo, which write a new file under a temporary
 * name and rename it, and shrink, which moves pages in the file itself and cuts it. After a cut the name leads to what was there before or to
 * the whole new file, never to half of one; and a file that was being shrunk holds what it held.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { backUpInto } from "../../engine/db/backup.js";
import { compactInto } from "../../engine/db/compact.js";
import { settingsFrom } from "../../engine/db/options.js";
import { type DB, open, type OpenOptions } from "../../engine/index.js";
import { Pager } from "../../engine/pager/pager.js";
import { type Destination, writeAtomically, writeAtomicallyLater } from "../../engine/storage/atomic-file.js";
import { MemoryStorage } from "../../engine/storage/memory-storage.js";
import { SimulatedDisk, type Storage } from "../../engine/testing.js";
import { copySnapshot } from "../../engine/tx/copy.js";
import { TxState } from "../../engine/tx/tx-state.js";
import { contentOf } from "../support/content.js";
import { Random, seedOfRun } from "../support/random.js";
import { rawProblems } from "../support/raw-check.js";
import { applyAll } from "./state.js";
import { WatchedDisk } from "./watched-disk.js";
import { Generator } from "./workload.js";

const seed = seedOfRun();
const IMAGES_AT_A_MOMENT = 40;

// Going back to an older state is what is tested here; hundreds of warnings about it say nothing.
process.removeAllListeners("warning");

/** Puts a random content into a database, with pages that have come and gone. */
function fill(db: DB, random: Random, txCount: number): void {
  const generator = new Generator(random);
  db.update((tx) => {
    for (const name of ["a", "b"]) tx.createBucket(name).put("key", name);
  });
  for (let i = 0; i < txCount; i++) db.update((tx) => applyAll(tx, generator.operations(10)));
}

function contentIn(db: DB): string {
  return db.view((tx) => {
    assert.deepEqual([...tx.check()], []);
    return contentOf(tx).sha256;
  });
}

/** Opens what a cut has left, for writing, and gives its content. */
function contentOfDisk(storage: Storage, options: OpenOptions = {}): string {
  const db = open("left.db", { ...options, storage });
  try {
    const content = contentIn(db);
    // It must be fit for use: a page that is free and still in use is overwritten now.
    db.update((tx) => { tx.createBucketIfNotExists("after the cut").put("key", Buffer.alloc(3000)); });
    db.update((tx) => { tx.deleteBucket("after the cut"); });
    assert.equal(contentIn(db), content, "content after two more commits");
    return content;
  } finally {
    db.close();
  }
}

/**
 * A name that leads to an old file, on a disk without any promise: until the names are synced a cut may leave the old one or the new one there,
 * and until the file is synced any part of its bytes.
 */
class SimulatedDestination implements Destination {
  readonly path = "copy.db";
  readonly file: SimulatedDisk;
  readonly #atMoment: (possible: readonly (SimulatedDisk | "old")[]) => void;
  readonly #watched: WatchedDisk;
  #isRenamed = false;
  #isSynced = false;
  isRemoved = false;

  constructor(disk: SimulatedDisk, atMoment: (possible: readonly (SimulatedDisk | "old")[]) => void) {
    this.file = disk;
    this.#atMoment = atMoment;
    this.#watched = new WatchedDisk(disk, () => { this.explore(); });
  }

  /** What a cut at this moment can leave under the name. */
  explore(): void {
    const possible: (SimulatedDisk | "old")[] = this.#isSynced ? [] : ["old"];
    if (this.#isRenamed) possible.push(...this.file.crashImages(IMAGES_AT_A_MOMENT));
    this.#atMoment(possible);
  }

  open(): Storage {
    return this.#watched;
  }

  rename(): void {
    this.explore();
    this.#isRenamed = true;
    this.explore();
  }

  syncNames(): void {
    this.explore();
    this.#isSynced = true;
  }

  remove(): void {
    this.isRemoved = true;
  }
}

/** A snapshot of a random database, as the makers of copies get it. */
function snapshotOf(random: Random): { readonly state: TxState; readonly db: DB; readonly content: string } {
  const storage = new MemoryStorage();
  const made = open("source.db", { storage, pageSize: random.pick([1024, 4096]) });
  fill(made, random, 6);
  made.close();
  const db = open("source.db", { storage });
  const pager = Pager.open(storage, { ...settingsFrom({ readOnly: true }), live: false });
  return { state: new TxState(pager, pager.beginRead(), undefined), db, content: contentIn(db) };
}

type Maker = (source: ReturnType<typeof snapshotOf>, destination: Destination) => Promise<void> | void;

const MAKERS: Readonly<Record<string, Maker>> = {
  compact: ({ db }, destination) => db.view((tx) => writeAtomically(destination, (storage) => { compactInto(tx, storage, { batchSize: 4096, pageSize: db.pageSize }); })),
  backup: ({ state }, destination) => writeAtomicallyLater(destination, (storage) => backUpInto(state, storage)),
  copyTo: ({ state }, destination) => writeAtomically(destination, (storage) => copySnapshot(state, storage)),
};

for (const [name, make] of Object.entries(MAKERS)) {
  test(`${name}: a cut at any moment leaves the old file or the whole new one, and the new one once it is done (SEED=${seed})`, async () => {
    let moments = 0;
    let images = 0;
    for (let run = 0; run < 6; run++) {
      const source = snapshotOf(new Random(seed + run));
      const lookAt = (possible: readonly (SimulatedDisk | "old")[]): void => {
        moments++;
        for (const left of possible) {
          if (left === "old") continue;
          images++;
          assert.deepEqual(rawProblems(Buffer.from(left.bytes())), []);
          assert.equal(contentOfDisk(left), source.content, `run ${run}, image "${left.label}"`);
        }
      };
      let last: readonly (SimulatedDisk | "old")[] = [];
      const destination = new SimulatedDestination(new SimulatedDisk({ seed: seed + run }), (possible) => {
        last = possible;
        lookAt(possible);
      });
      await make(source, destination);
      destination.explore();
      assert.ok(last.length > 0 && !last.includes("old"), "once it is done no cut brings the old file back");
      assert.equal(destination.isRemoved, false);
      source.db.close();
    }
    assert.ok(moments > 30 && images >= 18, `${moments} moments, ${images} images`);
  });

  test(`${name}: whichever operation fails, it leaves the old file under the name and nothing beside it (SEED=${seed})`, async () => {
    const source = snapshotOf(new Random(seed));
    const whole = new SimulatedDestination(new SimulatedDisk({ seed }), () => undefined);
    await make(source, whole);
    const writeCount = whole.file.operations.filter(({ kind }) => kind === "write").length;
    for (const [kind, count] of [["write", writeCount], ["sync", 1]] as const) {
      for (let n = 1; n <= count; n++) {
        const disk = new SimulatedDisk({ seed });
        disk.inject({ failure: "error", on: kind, nth: n, code: kind === "sync" ? "EIO" : "ENOSPC" });
        let isNew = false;
        const destination = new SimulatedDestination(disk, (possible) => { isNew ||= possible.some((left) => left !== "old"); });
        await assert.rejects(async () => make(source, destination), { name: "BoltError", code: "IO" });
        assert.ok(!isNew && destination.isRemoved, `${kind} ${n} of ${count}`);
      }
    }
    source.db.close();
  });
}

interface ShrinkSetup {
  readonly options: OpenOptions;
  readonly hasReader: boolean;
}

const SHRINKS: Readonly<Record<string, ShrinkSetup>> = {
  "with two syncs": { options: { pageSize: 1024 }, hasReader: false },
  "with one sync": { options: { pageSize: 1024, durability: "one-sync" }, hasReader: false },
  "without a stored freelist": { options: { pageSize: 4096, noFreelistSync: true }, hasReader: false },
  "beside a reader": { options: { pageSize: 1024 }, hasReader: true },
};

const MIN_IMAGES = 200;

for (const [name, { options, hasReader }] of Object.entries(SHRINKS)) {
  test(`shrink ${name}: a cut at any moment leaves a sound file with the same content (SEED=${seed})`, () => {
    let images = 0;
    let cutImages = 0;
    // How many operations a shrink takes depends on the seed.
    for (let run = 0; run < 3 || (images <= MIN_IMAGES && run < 12); run++) {
      const random = new Random(seed + run);
      const disk = new SimulatedDisk({ seed: seed + run });
      let expected: string | undefined;
      const lookAt = (): void => {
        if (expected === undefined) return;
        for (const image of disk.crashImages(8)) {
          images++;
          if (image.size() < before) cutImages++;
          assert.equal(contentOfDisk(image, options), expected, `run ${run}, operation ${disk.operations.length}, image "${image.label}"`);
        }
      };
      const db = open("shrunk.db", { ...options, storage: new WatchedDisk(disk, lookAt) });
      fill(db, random, 4);
      db.update((tx) => { for (let i = 0; i < 60; i++) tx.createBucketIfNotExists("bulk").put(`k${i}`, Buffer.alloc(900, i)); });
      db.update((tx) => { for (let i = 0; i < 60; i += 1) if (i % 9 !== 8) tx.bucket("bulk")?.delete(`k${i}`); });
      const reader = hasReader ? db.begin() : undefined;
      const seen = reader === undefined ? "" : contentOf(reader).sha256;
      const before = disk.size();
      expected = contentIn(db);
      const { sizeAfter } = db.shrink();
      if (!hasReader) assert.ok(sizeAfter < before, `${before} to ${sizeAfter}`);
      lookAt();
      if (reader !== undefined) {
        assert.equal(contentOf(reader).sha256, seen, "what the reader sees");
        reader.rollback();
      }
      db.close();
    }
    assert.ok(images > MIN_IMAGES && (hasReader || cutImages > 0), `${images} images, ${cutImages} of a file that was cut`);
  });
}

test(`shrink with noSync: once it has cut the file, no power cut leaves one that ends before its pages (SEED=${seed})`, () => {
  for (let run = 0; run < 4; run++) {
    const disk = new SimulatedDisk({ seed: seed + run });
    let isShrinking = false;
    let isCut = false;
    const db = open("shrunk.db", { storage: new WatchedDisk(disk, (next) => {
      // A commit that grows the file has other commits before it that are not synced either.
      if (next === "truncate") isCut ||= isShrinking && disk.pending.length === 0;
      else if (isCut) for (const image of disk.crashImages(12)) contentOfDisk(image);
    }), noSync: true, pageSize: 1024 });
    fill(db, new Random(seed + run), 4);
    db.update((tx) => { for (let i = 0; i < 60; i++) tx.createBucketIfNotExists("bulk").put(`k${i}`, Buffer.alloc(900, i)); });
    db.update((tx) => { tx.deleteBucket("bulk"); });
    const before = disk.size();
    isShrinking = true;
    db.shrink();
    assert.ok(disk.size() < before && isCut, "it was cut, and nothing was unsynced before");
    const content = contentIn(db);
    for (const image of disk.crashImages(12)) assert.equal(contentOfDisk(image), content);
    db.close();
  }
});
