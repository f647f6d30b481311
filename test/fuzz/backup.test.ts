/**
 * Backups of damaged files: a backup that is there is whole, so a database in which the check finds anything has none, and where nothing is found
 * it has one with the same content. Whichever it is, no half file stays behind. `BACKUPS` of them.
 */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BoltError, MemoryStorage, open } from "../../engine/index.js";
import { contentOf } from "../support/content.js";
import { seedOfRun } from "../support/random.js";
import { tempPath } from "../support/temp.js";
import { loadBases } from "./bases.js";
import { MutantMaker } from "./run.js";

const seed = seedOfRun();
const count = Number(process.env["BACKUPS"] ?? 400);

type Result = "made" | "refused" | "not opened";

/** Backs up one file into an empty folder. */
async function backUp(bytes: Uint8Array, folder: string, what: string): Promise<Result> {
  let db;
  try {
    db = open("damaged.db", { storage: new MemoryStorage(bytes), readOnly: true });
  } catch (error) {
    assert.ok(error instanceof BoltError, `${what}: ${String(error)}`);
    return "not opened";
  }
  try {
    const problems = db.view((tx) => [...tx.check()]);
    const path = join(folder, "backup.db");
    try {
      await db.backup(path);
    } catch (error) {
      assert.ok(error instanceof BoltError && error.code === "CORRUPT", `${what}: ${String(error)}`);
      assert.ok(problems.length > 0, `${what}: check() finds nothing, yet there is no backup: ${error.message}`);
      assert.deepEqual(readdirSync(folder), [], what);
      return "refused";
    }
    assert.deepEqual(readdirSync(folder), ["backup.db"], what);
    const copy = open("copy.db", { storage: new MemoryStorage(readFileSync(path)), readOnly: true });
    assert.deepEqual(copy.view((tx) => [...tx.check()]), [], `${what}: the backup`);
    if (problems.length === 0) assert.equal(copy.view((tx) => contentOf(tx).sha256), db.view((tx) => contentOf(tx).sha256), what);
    copy.close();
    rmSync(path);
    return "made";
  } finally {
    db.close();
  }
}

test(`${count} damaged files have a whole backup or none (SEED=${seed})`, async (t) => {
  const maker = new MutantMaker(loadBases(false));
  const folder = tempPath("backups");
  mkdirSync(folder);
  const results: Record<Result, number> = { made: 0, refused: 0, "not opened": 0 };
  for (let number = 0; number < count; number++) {
    const { mutant, mutations } = maker.make(seed, number);
    results[await backUp(mutant.bytes, folder, `${mutant.base.name}, mutant ${number} of seed ${seed} (${mutations.join("; ")})`)]++;
  }
  t.diagnostic(JSON.stringify(results));
  assert.ok(results.made > count / 20 && results.refused > count / 20, JSON.stringify(results));
});
