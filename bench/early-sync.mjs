/**
 * What it gives to start a sync while a commit still writes: a file of a million entries, loaded in random order, changes, in turns with a storage that
 * starts syncs and with one that cannot. Prints the medians of both, for the load, puts at random of some sizes of commits, callers of `batch`, deletions.
 *
 *     node bench/early-sync.mjs [--entries N] [--rounds N]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { open } from "../dist/engine/index.js";
import { openFileStorage } from "../dist/engine/storage/file-storage.js";
import { below, scatteredKey } from "./scattered-keys.mjs";

const LOAD_BATCH = 1000;
const PUTS_A_BLOCK = 4000;
const { values } = parseArgs({ options: { entries: { type: "string", default: "1000000" }, rounds: { type: "string", default: "15" } } });
const entries = Number(values.entries);
const rounds = Number(values.rounds);
const folder = mkdtempSync(join(tmpdir(), "early-sync-"));
const value = Buffer.alloc(100, 7);

const storage = openFileStorage(join(folder, "early-sync.db"));
const db = open("early-sync.db", { storage });
let next = 0;

function change(size, act) {
  db.update((tx) => {
    const bucket = tx.createBucketIfNotExists("bucket");
    for (let i = 0; i < size; i++) act(bucket);
  });
}

const actions = {
  load: (size) => change(size, (bucket) => bucket.put(scatteredKey(next++), value)),
  put: (size) => change(size, (bucket) => bucket.put(scatteredKey(below(entries)), value)),
  delete: (size) => change(size, (bucket) => bucket.delete(scatteredKey(below(entries)))),
  batch: (size) => Promise.all(Array.from({ length: size }, () => db.batch((tx) => tx.bucket("bucket").put(scatteredKey(below(entries)), value)))),
};

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
}

/** Blocks of commits in turns; gives the medians in microseconds an entry, without and with early syncs. */
async function inTurns(action, size, commitCount, blockCount) {
  const times = [[], []];
  for (let block = 0; block < blockCount; block++) {
    for (const early of block % 2 === 0 ? [0, 1] : [1, 0]) {
      // A property of its own hides the method.
      if (early) delete storage.startSync;
      else storage.startSync = undefined;
      const begin = performance.now();
      for (let i = 0; i < commitCount; i++) await action(size);
      times[early].push(((performance.now() - begin) * 1000) / (commitCount * size));
    }
  }
  return times.map(median);
}

function report(what, size, [without, early]) {
  console.log(`${`${what}, ${size} a commit`.padEnd(28)} ${without.toFixed(1).padStart(6)} µs an entry, with syncs started ${early.toFixed(1).padStart(6)}: ${(early / without).toFixed(2)}`);
}

try {
  report("load", LOAD_BATCH, await inTurns(actions.load, LOAD_BATCH, 1, Math.floor(entries / LOAD_BATCH / 2)));
  for (const size of [10, 30, 100, 300, 1000]) report("put", size, await inTurns(actions.put, size, Math.ceil(PUTS_A_BLOCK / size), rounds));
  report("callers of batch", 256, await inTurns(actions.batch, 256, Math.ceil(PUTS_A_BLOCK / 256), rounds));
  report("delete", LOAD_BATCH, await inTurns(actions.delete, LOAD_BATCH, PUTS_A_BLOCK / LOAD_BATCH, rounds));
  await db.closeAsync();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
