/**
 * What opening a database costs a process that holds much memory already: to start the helper that takes the lock takes the longer, the more it is. Each size is
 * measured in a process of its own; the figures are medians of 21 openings.
 *
 *     node bench/open-cost.mjs [MIB...]
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { open } from "../dist/engine/index.js";

const OPENINGS = 21;
const BLOCK_MIB = 16;

/** Milliseconds that the middle one of some openings takes. */
function middle(file, options) {
  const figures = Array.from({ length: OPENINGS }, () => {
    const begin = performance.now();
    const db = open(file, options);
    const ms = performance.now() - begin;
    db.close();
    return ms;
  });
  return figures.toSorted((a, b) => a - b)[OPENINGS >> 1];
}

/** Measures in this process, once it holds so much. */
function measure(file, mib) {
  const held = Array.from({ length: mib / BLOCK_MIB }, () => Buffer.alloc(BLOCK_MIB * 2 ** 20, 1));
  open(file).close();
  const figures = [{}, { readOnly: true, lock: "none" }].map((options) => middle(file, options).toFixed(2));
  console.log(`${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB resident, ${held.length} blocks: ${figures[0]} ms with the lock, ${figures[1]} ms without`);
}

if (process.argv[2] === "--measure") {
  measure(process.argv[3], Number(process.argv[4]));
} else {
  const folder = mkdtempSync(join(tmpdir(), "hexbolt-open-cost-"));
  const sizes = process.argv.length > 2 ? process.argv.slice(2) : ["0", "1024", "2048", "4096"];
  for (const size of sizes) spawnSync(process.execPath, [fileURLToPath(import.meta.url), "--measure", join(folder, "small.db"), size], { stdio: "inherit" });
  rmSync(folder, { recursive: true });
}
