/**
 * Every database file of test/fixtures, written by Go: the sound ones read exactly as described, can be written and
 * taken back; the damaged ones are refused where their description says, with a BoltError and within a second.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, describe, test } from "node:test";
import type { DB } from "../../engine/index.js";
import { open } from "../../engine/index.js";
import { contentOf } from "../support/content.js";
import type { DamageReport, Outcome } from "../support/damage-worker.js";
import { brokenStep, DamageExaminer } from "../support/damage.js";
import type { Fixture } from "../support/fixtures.js";
import { fixtureCopy, fixtureNames, fixtureOriginal, readFixture, rootDifference } from "../support/fixtures.js";
import { Random, seedOfRun } from "../support/random.js";
import { rawProblems } from "../support/raw-check.js";
import { tempPath } from "../support/temp.js";

const LIMIT_MS = 1000;
const fixtures = fixtureNames().map(readFixture);
const sound = fixtures.filter((fixture) => fixture.kind !== "corrupt");
const damaged = fixtures.filter((fixture) => fixture.kind === "corrupt");

function assertReadsAsDescribed(db: DB, fixture: Fixture): void {
  db.view((tx) => {
    const content = contentOf(tx);
    const difference = fixture.root === undefined ? undefined : rootDifference(tx, fixture.root);
    assert.equal(difference, undefined);
    assert.equal(content.sha256, fixture.contentSha256);
    if (fixture.rootSummary !== undefined) {
      assert.equal(content.keyCount, fixture.rootSummary.totalKeys);
      assert.equal(content.bucketCount, fixture.rootSummary.totalBuckets);
    }
    assert.deepEqual([...tx.check()], []);
  });
}

/** Writes three transactions into a bucket of its own and takes the bucket away again. */
function writeAndTakeBack(db: DB): void {
  const name = "written by the fixtures test";
  for (let round = 0; round < 3; round++) {
    db.update((tx) => {
      const bucket = tx.createBucketIfNotExists(name);
      for (let i = 0; i < 150; i++) bucket.put(`key ${String(round * 100 + i).padStart(8, "0")}`, Buffer.alloc(60, i));
      bucket.put("large", Buffer.alloc(20_000 * round, round));
    });
    db.view((tx) => { assert.deepEqual([...tx.check()], [], `check after write ${round}`); });
  }
  db.view((tx) => {
    const bucket = tx.bucket(name);
    assert.equal(bucket?.count(), 351);
    assert.deepEqual(bucket?.get("key 00000100"), Buffer.alloc(60, 0));
    assert.deepEqual(bucket?.get("large"), Buffer.alloc(40_000, 2));
  });
  db.update((tx) => { tx.deleteBucket(name); });
}

describe("a sound file reads as described", () => {
  for (const fixture of sound) {
    test(`${fixture.name}, read-only`, () => {
      const path = fixtureOriginal(fixture.name);
      const before = readFileSync(path);
      using db = open(path, { ...fixture.openOptions, readOnly: true });
      assert.equal(db.pageSize, fixture.pageSize);
      if (fixture.kind === "valid") {
        assert.equal(String(db.view((tx) => tx.id)), fixture.txid);
        assert.equal(db.recovery, undefined);
      }
      if (fixture.name.endsWith("-bad-newest")) assert.equal(String(db.recovery?.txid), fixture.txid);
      assertReadsAsDescribed(db, fixture);
      db.close();
      assert.ok(readFileSync(path).equals(before), "reading changed the file");
    });

    test(`${fixture.name}, read-write, then written and taken back`, () => {
      const path = fixtureCopy(fixture.name);
      {
        using db = open(path, { ...fixture.openOptions, noSync: true });
        assertReadsAsDescribed(db, fixture);
        writeAndTakeBack(db);
        assertReadsAsDescribed(db, fixture);
      }
      assert.deepEqual(rawProblems(readFileSync(path)), []);
      using again = open(path, { readOnly: true });
      assertReadsAsDescribed(again, fixture);
    });
  }
});

function refused(outcome: Outcome | undefined): boolean {
  return outcome?.result === "refused";
}

/** Says whether the error came by the moment that the description names. */
function refusedInTime(fixture: Fixture, readOnly: DamageReport, readWrite: DamageReport): boolean {
  const read = refused(readOnly.open) || refused(readOnly.read);
  switch (fixture.rejectAt) {
    case "open": return refused(readOnly.open) && refused(readWrite.open);
    case "open-read-only": return refused(readOnly.open);
    case "open-read-write": return refused(readWrite.open) || refused(readWrite.write);
    case "open-or-read": return read;
    case "open-or-check":
    case "check": return read || refused(readOnly.check) || readOnly.check?.detail !== "";
    default: throw new Error(`${fixture.name}: no rejectAt`);
  }
}

describe("a damaged file is refused", () => {
  const examiner = new DamageExaminer();
  after(() => examiner.close());

  for (const fixture of damaged) {
    test(`${fixture.name}, at ${fixture.rejectAt}`, async () => {
      const readOnly = await examiner.examine({ path: fixtureCopy(fixture.name), readOnly: true }, LIMIT_MS);
      const readWrite = await examiner.examine({ path: fixtureCopy(fixture.name), readOnly: false }, LIMIT_MS);
      assert.ok(readOnly !== undefined && readWrite !== undefined, `not done within ${LIMIT_MS} ms`);
      assert.equal(brokenStep(readOnly), undefined);
      assert.equal(brokenStep(readWrite), undefined);
      assert.ok(refusedInTime(fixture, readOnly, readWrite), JSON.stringify({ readOnly, readWrite }, undefined, 1));
    });
  }

  const seed = seedOfRun();
  test(`random damage gives an answer or a BoltError (SEED=${seed})`, async () => {
    const random = new Random(seed);
    const small = sound.filter((fixture) => fixture.kind === "valid" && fixture.fileSize < 300_000 && Number(fixture.meta?.highWater) > 4);
    for (let round = 0; round < 150; round++) {
      const fixture = random.pick(small);
      const bytes = damage(readFileSync(fixtureOriginal(fixture.name)), fixture, random);
      for (const readOnly of [true, false]) {
        const path = tempPath("damaged.db");
        writeFileSync(path, bytes);
        const report = await examiner.examine({ path, readOnly }, LIMIT_MS);
        assert.ok(report !== undefined, `round ${round}, ${fixture.name}: not done within ${LIMIT_MS} ms`);
        assert.equal(brokenStep(report), undefined, `round ${round}, ${fixture.name}`);
      }
    }
  });
});

/** Changes a few bytes below the high-water mark, most of them in page headers and element tables. */
function damage(bytes: Buffer, fixture: Fixture, random: Random): Buffer {
  const pageSize = fixture.pageSize ?? 4096;
  const pageCount = Math.min(Number(fixture.meta?.highWater), Math.floor(bytes.length / pageSize));
  for (let changes = 1 + random.below(6); changes > 0; changes--) {
    const within = random.below(3) > 0 ? random.below(Math.min(160, pageSize)) : random.below(pageSize);
    const at = (2 + random.below(pageCount - 2)) * pageSize + within;
    bytes[at] = random.pick([0, 255, random.below(256), (bytes[at] ?? 0) ^ (1 << random.below(8))]);
  }
  return bytes;
}
