/**
 * What loads of values of other sizes than the benchmark's take: 100,000 entries with keys of 16 bytes in random order, 1,000 a transaction, no sync, each size in a process
 * of its own; hexbolt, lmdb where it is installed, and other builds that are named, in turn.
 *
 *     node bench/value-sizes.mjs [--size BYTES] [--rounds N] [BUILD...]
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { scatteredKey } from "./scattered-keys.mjs";

const ENTRIES = 100_000;
const BATCH = 1000;
const SIZES = [100, 300, 600, 1000, 1300, 1900, 2500, 4000, 8000];
const { values, positionals } = parseArgs({
  allowPositionals: true, options: { size: { type: "string" }, rounds: { type: "string", default: "3" }, child: { type: "string" } },
});
const thisBuild = fileURLToPath(new URL("../dist", import.meta.url));
const require = createRequire(import.meta.url);

/** Gives what puts a batch, and what closes. */
async function openStore(store, path) {
  if (store === "lmdb") {
    const db = require("lmdb").open({ path, keyEncoding: "binary", encoding: "binary", noSync: true, mapSize: 2 ** 34 });
    return { file: path, batch: (put) => db.transactionSync(() => put((key, value) => db.putSync(key, value))), close: () => db.close() };
  }
  const { open } = await import(pathToFileURL(join(store, "engine/index.js")).href);
  const db = open(path, { noSync: true });
  db.update((tx) => tx.createBucket("bucket"));
  const batch = (put) => db.update((tx) => {
    const bucket = tx.bucket("bucket");
    put((key, value) => bucket.put(key, value));
  });
  return { file: path, batch, close: () => db.close() };
}

async function measure(store, size) {
  const folder = mkdtempSync(join(tmpdir(), "value-sizes-"));
  try {
    const { file, batch, close } = await openStore(store, join(folder, "data.db"));
    const pool = Buffer.alloc(2 ** 20, "what has no meaning ");
    const keys = Array.from({ length: ENTRIES }, (_, i) => scatteredKey(i));
    const begin = performance.now();
    for (let first = 0; first < ENTRIES; first += BATCH) {
      batch((put) => {
        for (let i = first; i < first + BATCH; i++) {
          const start = (i * 7919) % (pool.length - size);
          put(keys[i], pool.subarray(start, start + size));
        }
      });
    }
    const microseconds = ((performance.now() - begin) * 1000) / ENTRIES;
    await close();
    console.log(JSON.stringify({ microseconds, megabytes: statSync(file).size / 1e6 }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function run(store, size) {
  const { status, stdout } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), "--child", store, "--size", String(size)], { encoding: "utf8" });
  if (status !== 0) process.exit(1);
  return JSON.parse(stdout);
}

function isInstalled(name) {
  try {
    return require.resolve(name) !== "";
  } catch {
    return false;
  }
}

if (values.child !== undefined) {
  await measure(values.child, Number(values.size));
} else {
  const stores = [thisBuild, ...positionals.map((path) => resolve(path)), ...(isInstalled("lmdb") ? ["lmdb"] : [])];
  for (const size of values.size === undefined ? SIZES : [Number(values.size)]) {
    const runs = stores.map(() => []);
    for (let round = 0; round < Number(values.rounds); round++) for (const [i, store] of stores.entries()) runs[i].push(run(store, size));
    for (const [i, store] of stores.entries()) {
      const times = runs[i].map(({ microseconds }) => microseconds).toSorted((a, b) => a - b);
      console.log(`${size} bytes, ${store}: ${times.map((time) => time.toFixed(1)).join(", ")} µs a put, ${runs[i][0].megabytes.toFixed(0)} MB`);
    }
  }
}
