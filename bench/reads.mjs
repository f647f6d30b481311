/**
 * How long point reads take, and how much memory the process has at last: a million entries, of 16 + 100 bytes in random order or of 8-byte integers, read at random
 * in processes that take turns. Other builds can be named, to be run in turn with this one.
 *
 *     node bench/reads.mjs [--integers] [--views | --absent] [--rounds N] [BUILD...]
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { below, scatteredKey } from "./scattered-keys.mjs";

const ENTRIES = 1_000_000;
const READS = 300_000;
const WARM_UPS = 2;
const REPETITIONS = 7;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    integers: { type: "boolean", default: false }, views: { type: "boolean", default: false }, absent: { type: "boolean", default: false },
    rounds: { type: "string", default: "9" }, file: { type: "string" },
  },
});
const thisBuild = fileURLToPath(new URL("../dist", import.meta.url));

/** The key of entry `i`. */
function keyOf(i) {
  if (!values.integers) return scatteredKey(i);
  const key = Buffer.alloc(8);
  key.writeUInt32BE(i, 4);
  return key;
}

function middle(figures) {
  return figures.toSorted((a, b) => a - b)[figures.length >> 1];
}

async function engineOf(build) {
  return import(pathToFileURL(join(build, "engine/index.js")).href);
}

/** Loads all entries, as many bytes a value as the benchmark has. */
async function fill(file) {
  const { open } = await engineOf(thisBuild);
  const db = open(file, { noSync: true });
  const value = Buffer.alloc(values.integers ? 8 : 100, 1);
  for (let first = 0; first < ENTRIES; first += 1000) {
    db.update((tx) => {
      const bucket = tx.createBucketIfNotExists("bucket");
      for (let i = first; i < first + 1000; i++) bucket.put(keyOf(i), value);
    });
  }
  db.close();
}

/** Reads in this process, which ends after it. */
async function read(build, file) {
  const { open } = await engineOf(build);
  const db = open(file, { readOnly: true, cacheSize: 2 ** 29 });
  // Absent is what comes right behind a key that is there.
  const end = Buffer.alloc(values.absent ? 1 : 0);
  const keys = Array.from({ length: READS }, () => Buffer.concat([keyOf(below(ENTRIES)), end]));
  const name = values.views ? "getView" : "get";
  const once = () => db.view((tx) => {
    const bucket = tx.bucket("bucket");
    const begin = performance.now();
    let found = 0;
    for (const key of keys) found += bucket[name](key)?.[0] ?? 0;
    const microseconds = ((performance.now() - begin) * 1000) / READS;
    return { microseconds, found };
  });
  const taken = Array.from({ length: WARM_UPS + REPETITIONS }, () => once()).slice(WARM_UPS);
  process.stdout.write(JSON.stringify({ microseconds: middle(taken.map(({ microseconds }) => microseconds)), found: taken[0].found, mebibytes: process.resourceUsage().maxRSS / 1024 }));
}

async function compare() {
  const folder = mkdtempSync(join(tmpdir(), "reads-"));
  try {
    const file = join(folder, "reads.db");
    await fill(file);
    const builds = [thisBuild, ...positionals.map((build) => resolve(build))];
    const results = new Map(builds.map((build) => [build, []]));
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const build of round % 2 === 0 ? builds : builds.toReversed()) {
        const { stdout, stderr } = spawnSync(process.execPath, [...process.argv.slice(1).filter((word) => !positionals.includes(word)), "--file", file, build], { encoding: "utf8" });
        if (stdout === "") throw new Error(stderr);
        results.get(build).push(JSON.parse(stdout));
      }
    }
    for (const [build, all] of results) {
      const times = all.map(({ microseconds }) => microseconds).sort((a, b) => a - b);
      const [time, best, worst] = [middle(times), times[0], times.at(-1)].map((figure) => figure.toFixed(2));
      console.log(`${build}: ${time} µs a get (${best} to ${worst}), ${middle(all.map(({ mebibytes }) => mebibytes)).toFixed(0)} MiB; ${all[0].found} found`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (values.file === undefined) await compare();
else await read(positionals[0], values.file);
