/**
 * What values of 1 MiB cost beside each other: durable puts, a walk over their keys, deletions. And what of a put is the disk's, the sum's and the copy's, with
 * no store at all. Another build can be named, to be run in turn with this one.
 *
 *     node bench/large-values.mjs [BUILD]
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { crc32 } from "node:zlib";

const MEBIBYTE = 1 << 20;
const PAGE = 4096;
const COUNT = 256;
const build = resolve(process.argv[2] ?? fileURLToPath(new URL("../dist", import.meta.url)));
const { open } = await import(pathToFileURL(join(build, "engine/index.js")).href);
const folder = mkdtempSync(join(tmpdir(), "large-values-"));
const values = Array.from({ length: 8 }, (_, i) => Buffer.alloc(MEBIBYTE, i + 1));

function milliseconds(work) {
  const begin = performance.now();
  work();
  return performance.now() - begin;
}

/** Keys in no order, so that a put has neighbours on both sides. */
function keyOf(i) {
  const key = Buffer.alloc(8);
  key.writeUInt32BE(Math.imul(i, 2654435761) >>> 0);
  key.writeUInt32BE(i, 4);
  return key;
}

function each(work) {
  return (milliseconds(() => { for (let i = 0; i < COUNT; i++) work(i); }) / COUNT).toFixed(2);
}

/** The pages of such a commit, with no store. */
function floor() {
  const fd = openSync(join(folder, "floor"), "w+");
  const put = each((i) => {
    writeSync(fd, values[i & 7], 0, MEBIBYTE, (4 + i * 260) * PAGE);
    writeSync(fd, values[i & 7], 0, 3 * PAGE, (4 + i * 260 + 256) * PAGE);
    fdatasyncSync(fd);
    writeSync(fd, values[i & 7], 0, PAGE, (i & 1) * PAGE);
    fdatasyncSync(fd);
  });
  closeSync(fd);
  const summing = each((i) => crc32(values[i & 7]));
  const copying = each((i) => Buffer.allocUnsafeSlow(MEBIBYTE).set(values[i & 7]));
  console.log(`no store: ${put} ms to write and sync, ${summing} to sum up, ${copying} to copy into new memory`);
}

try {
  floor();
  const path = join(folder, "test.db");
  let db = open(path);
  db.update((tx) => tx.createBucket("b"));
  console.log(`durable put: ${each((i) => db.update((tx) => tx.bucket("b").put(keyOf(i), values[i & 7])))} ms`);
  db.close();
  db = open(path);
  for (const turn of ["first", "second", "third"]) {
    const walk = milliseconds(() => db.view((tx) => { for (const key of tx.bucket("b").keys()) if (key.length !== 8) throw new Error("a foreign key"); }));
    console.log(`${turn} walk over ${COUNT} keys: ${walk.toFixed(1)} ms`);
  }
  console.log(`durable deletion: ${each((i) => db.update((tx) => tx.bucket("b").delete(keyOf(i))))} ms`);
  db.close();
  console.log(`peak resident set: ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
