/**
 * What one large transaction takes, in time and in memory beyond what the process had before it: a million keys deleted, in order, at random and by
 * taking the first or the last time and again, in pages of 4 and 64 KiB and with a cache of 4 MB; values of any size that are overwritten, or deleted, many times. Each in a
 * process of its own. Other builds can be named, to be run in turn with this one.
 *
 *     node bench/large-transactions.mjs [--only WORK] [BUILD...]
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const CACHE_SIZE = 4_000_000;
const { values, positionals } = parseArgs({ allowPositionals: true, options: { only: { type: "string", default: "" }, child: { type: "string" } } });
const thisBuild = fileURLToPath(new URL("../dist", import.meta.url));

function keyOf(i) {
  return String(i).padStart(16, "0");
}

/** Takes the keys by going to one end time and again. */
function drain(bucket, end) {
  const cursor = bucket.cursor();
  for (let entry = cursor[end](); entry !== undefined; entry = cursor[end]()) cursor.delete();
}

function overwrite(bucket, size) {
  const versions = Array.from({ length: 40 }, (_, i) => Buffer.alloc(size, i));
  for (const version of versions) for (let i = 0; i < 1000; i++) bucket.put(keyOf(i), version);
}

/** A thousand keys, with a value of another size each time. */
function overwriteAtRandom(bucket, count, sizeLimit) {
  const pool = Buffer.alloc(sizeLimit, 1);
  for (let i = 0; i < count; i++) bucket.put(keyOf((i * 7919) % 1000), pool.subarray(0, (i * 104_729) % sizeLimit));
}

const WORKS = {
  "deleted in order": { entries: 1_000_000, pageSize: 4096, work: (bucket, count) => { for (let i = 0; i < count; i++) bucket.delete(keyOf(i)); } },
  "deleted at random": {
    entries: 1_000_000, pageSize: 4096, work: (bucket, count) => { for (let i = 0; i < count; i++) bucket.delete(keyOf((i * 7919) % count)); },
  },
  "the first taken": { entries: 1_000_000, pageSize: 4096, work: (bucket) => drain(bucket, "first") },
  "the last taken": { entries: 1_000_000, pageSize: 4096, work: (bucket) => drain(bucket, "last") },
  "the first taken, 64 KiB pages": { entries: 400_000, pageSize: 65_536, work: (bucket) => drain(bucket, "first") },
  "up to 1 kB overwritten": { entries: 0, pageSize: 4096, count: 1_000_000, work: (bucket, count) => overwriteAtRandom(bucket, count, 1000) },
  "up to 7 kB overwritten": { entries: 0, pageSize: 4096, count: 200_000, work: (bucket, count) => overwriteAtRandom(bucket, count, 7000) },
  "1 kB put and deleted": {
    entries: 0, pageSize: 4096, count: 1_000_000, work: (bucket, count) => {
      const value = Buffer.alloc(1000, 1);
      for (let i = 0; i < count; i++) {
        bucket.put(keyOf(i % 1000), value);
        bucket.delete(keyOf(i % 1000));
      }
    },
  },
  "10 kB overwritten": { entries: 0, pageSize: 4096, count: 40_000, work: (bucket) => overwrite(bucket, 10_000) },
  "30 kB overwritten": { entries: 0, pageSize: 4096, count: 40_000, work: (bucket) => overwrite(bucket, 30_000) },
};

async function measure(build, name) {
  const { open } = await import(pathToFileURL(join(build, "engine/index.js")).href);
  const { entries, pageSize, count = entries, work } = WORKS[name];
  const folder = mkdtempSync(join(tmpdir(), "large-transactions-"));
  try {
    const db = open(join(folder, "data.db"), { noSync: true, pageSize, cacheSize: CACHE_SIZE });
    const value = Buffer.alloc(100, 1);
    db.update((tx) => tx.createBucket("bucket"));
    for (let first = 0; first < entries; first += 10_000) {
      db.update((tx) => { for (let i = first; i < first + 10_000; i++) tx.bucket("bucket").put(keyOf(i), value); });
    }
    const before = process.memoryUsage.rss();
    const begin = performance.now();
    db.update((tx) => work(tx.bucket("bucket"), count));
    const microseconds = ((performance.now() - begin) * 1000) / count;
    db.close();
    const memory = process.resourceUsage().maxRSS / 1024 - before / 2 ** 20;
    console.log(`${name}: ${microseconds.toFixed(2)} µs each, ${memory.toFixed(0)} MiB more`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (values.child !== undefined) {
  await measure(positionals[0], values.child);
} else {
  for (const name of Object.keys(WORKS).filter((work) => work.includes(values.only))) {
    for (const build of [thisBuild, ...positionals.map((path) => resolve(path))]) {
      console.log(build);
      const { status } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), "--child", name, build], { stdio: "inherit" });
      if (status !== 0) process.exit(1);
    }
  }
}
