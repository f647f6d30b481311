/**
 * How many writes commits of random puts take, and how long: a million entries are loaded in random order, then overwritten at random, in quarters, so that
 * it shows how the free pages sort themselves. Another build can be named, to be run in turn with this one.
 *
 *     node bench/placement.mjs [--durable] [--batch PUTS] [--puts PUTS] [BUILD]
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { below, scatteredKey } from "./scattered-keys.mjs";

const ENTRIES = 1_000_000;
const LOAD_BATCH = 1000;
const QUARTERS = 4;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { durable: { type: "boolean", default: false }, batch: { type: "string", default: "100" }, puts: { type: "string" } },
});
const batch = Number(values.batch);
const puts = Number(values.puts ?? (values.durable ? 40_000 : 200_000));
const build = resolve(positionals[0] ?? fileURLToPath(new URL("../dist", import.meta.url)));
const { open } = await import(pathToFileURL(join(build, "engine/index.js")).href);
const folder = mkdtempSync(join(tmpdir(), "placement-"));
const path = join(folder, "placement.db");

/** Puts `count` entries in transactions of `size`. */
function put(db, count, size, indexOf, value) {
  for (let first = 0; first < count; first += size) {
    db.update((tx) => {
      const bucket = tx.createBucketIfNotExists("bucket");
      for (let i = first; i < Math.min(count, first + size); i++) bucket.put(scatteredKey(indexOf(i)), value);
    });
  }
}

try {
  const loading = open(path, { noSync: true });
  put(loading, ENTRIES, LOAD_BATCH, (i) => i, Buffer.alloc(100, 1));
  loading.close();
  const db = open(path, { noSync: !values.durable });
  const count = Math.floor(puts / QUARTERS / batch) * batch;
  for (let quarter = 1; quarter <= QUARTERS; quarter++) {
    const before = db.stats().txStats;
    const begin = performance.now();
    put(db, count, batch, () => below(ENTRIES), Buffer.alloc(100, 1 + quarter));
    const microseconds = ((performance.now() - begin) * 1000) / count;
    const { txStats, freePageN } = db.stats();
    const commits = count / batch;
    const a = (name) => ((txStats[name] - before[name]) / commits).toFixed(1);
    console.log(`${count} puts, ${batch} a commit: ${microseconds.toFixed(1)} µs a put; a commit ${a("write")} writes of ${a("pageCount")} pages; ${freePageN} free of ${Math.round(statSync(path).size / 4096)}`);
  }
  db.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
