/**
 * What writes of one page cost in a file that was written by calls of a given size, and what they cost by way of another thread:
 *
 *     node bench/write-sizes.mjs [FOLDER]
 *
 * File systems with large folios keep what one call wrote as one, and walk through all of it with each later write in it.
 */
import { closeSync, ftruncateSync, openSync, rmSync, write, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PAGE = 4096;
const PAGES = 51_200;
const WRITES = 100_000;
const path = join(process.argv[2] ?? tmpdir(), `write-sizes-${process.pid}`);
const bytes = Buffer.alloc(1 << 20, 7);

/** Calls with `count` places in ascending order, some twenty to fifty pages apart, again and again through the file. */
function places(count) {
  let at = 0;
  return Array.from({ length: count }, () => (at = (at + 20 + Math.floor(Math.random() * 30)) % PAGES) * PAGE);
}

function microseconds(count, work) {
  const begin = performance.now();
  work();
  return (((performance.now() - begin) * 1000) / count).toFixed(2);
}

try {
  for (const size of [1, 2, 4, 16, 64, 256]) {
    const fd = openSync(path, "w+");
    ftruncateSync(fd, PAGES * PAGE);
    const filling = microseconds(PAGES, () => { for (let page = 0; page < PAGES; page += size) writeSync(fd, bytes, 0, size * PAGE, page * PAGE); });
    const scattered = microseconds(WRITES, () => { for (const [i, place] of places(WRITES).entries()) writeSync(fd, bytes, (i & 255) * PAGE, PAGE, place); });
    console.log(`written by ${String(size * 4).padStart(4)} KiB: ${filling} µs a page; then scattered pages: ${scattered} µs each`);
    if (size === 2) {
      // The processor time of the process, in which the other threads' share is the write itself.
      const before = process.cpuUsage();
      const begin = performance.now();
      for (let round = 0; round < 100; round++) {
        await Promise.all(places(480).map((place, i) => new Promise((resolve, reject) => {
          write(fd, bytes, (i & 255) * PAGE, PAGE, place, (error) => (error === null ? resolve() : reject(error)));
        })));
      }
      const { user, system } = process.cpuUsage(before);
      console.log(`  480 at once by other threads: ${((performance.now() - begin) * 1000 / 48_000).toFixed(2)} µs each, ${((user + system) / 48_000).toFixed(2)} µs of processor time`);
    }
    closeSync(fd);
  }
} finally {
  rmSync(path, { force: true });
}
