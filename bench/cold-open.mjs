/**
 * How long opening takes in a process that has just begun, in a file with some thousand free pages: for writing, with and without the helper that takes the
 * lock, and for reading. Another build can be named, to be run in turn with this one.
 *
 *     node bench/cold-open.mjs [BUILD]
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ENTRIES = 300_000;
const ROUNDS = 15;
const WAYS = { "for writing": {}, "for writing, no lock": { lock: "none" }, "for reading, no lock": { readOnly: true, lock: "none" } };
const [, script, build = fileURLToPath(new URL("../dist", import.meta.url)), path, options] = process.argv;
const { open } = await import(pathToFileURL(join(resolve(build), "engine/index.js")).href);

/** Loads entries in random order, which leaves pages free, and closes the file in order. */
function fill(file) {
  const value = Buffer.alloc(100, 1);
  const loading = open(file, { noSync: true });
  for (let from = 0; from < ENTRIES; from += 1000) {
    loading.update((tx) => {
      const bucket = tx.createBucketIfNotExists("b");
      for (let i = from; i < from + 1000; i++) {
        const key = Buffer.alloc(16);
        key.writeUInt32BE(Math.imul(i, 2654435761) >>> 0);
        bucket.put(key, value);
      }
    });
  }
  loading.close();
  const db = open(file);
  db.update((tx) => tx.bucket("b").put("last", "entry"));
  const { freePageN, pendingPageN } = db.stats();
  db.close();
  return freePageN + pendingPageN;
}

if (options !== undefined) {
  const begin = performance.now();
  open(path, JSON.parse(options));
  process.stdout.write(String(performance.now() - begin));
  process.exit(0);
}
const folder = mkdtempSync(join(tmpdir(), "cold-open-"));
try {
  const file = join(folder, "test.db");
  console.log(`${fill(file)} free pages; milliseconds, the middle of ${ROUNDS} processes, the fastest and the slowest`);
  for (const [way, given] of Object.entries(WAYS)) {
    const taken = Array.from({ length: ROUNDS }, () => Number(spawnSync(process.execPath, [script, build, file, JSON.stringify(given)]).stdout)).sort((a, b) => a - b);
    console.log(`${way}: ${[taken[ROUNDS >> 1], taken[0], taken[ROUNDS - 1]].map((ms) => ms.toFixed(1)).join(", ")}`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
