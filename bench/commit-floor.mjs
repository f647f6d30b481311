/**
 * What the disk alone takes of a durable commit in bolt's format, with no store at all: pages written in runs of a given length at random places
 * of a file, a sync, a meta page, a sync.
 *
 *     node bench/commit-floor.mjs [FOLDER]
 */
import { closeSync, fdatasyncSync, fsyncSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PAGE = 4096;
const FILE_PAGES = 16 * 256;
const COMMITS = 300;
/** What a hundred images in random order change. */
const PAGES = 140;
const path = join(process.argv[2] ?? tmpdir(), `commit-floor-${process.pid}`);
const bytes = Buffer.alloc(PAGES * PAGE, 7);

/** Places of so many runs of `length` pages, behind the metas, in ascending order. */
function places(count, length) {
  const found = new Set();
  while (found.size < count) found.add(1 + Math.floor(Math.random() * (FILE_PAGES / length - 2)));
  return [...found].sort((a, b) => a - b).map((place) => place * length * PAGE);
}

function microseconds(work) {
  const begin = performance.now();
  work();
  return (performance.now() - begin) * 1000;
}

const fd = openSync(path, "w+");
try {
  for (let page = 0; page < FILE_PAGES; page += 2) writeSync(fd, bytes, 0, 2 * PAGE, page * PAGE);
  fsyncSync(fd);
  for (const length of [1, 2, 4, 14, PAGES]) {
    let [writing, syncing, meta] = [0, 0, 0];
    for (let commit = 0; commit < COMMITS; commit++) {
      const runs = places(PAGES / length, length);
      writing += microseconds(() => { for (const place of runs) writeSync(fd, bytes, 0, length * PAGE, place); });
      syncing += microseconds(() => fdatasyncSync(fd));
      meta += microseconds(() => {
        writeSync(fd, bytes, 0, PAGE, (commit & 1) * PAGE);
        fdatasyncSync(fd);
      });
    }
    const [w, s, m] = [writing, syncing, meta].map((sum) => Math.round(sum / COMMITS));
    console.log(`${PAGES} pages in runs of ${String(length).padStart(3)}: ${w} µs to write, ${s} to sync, ${m} for the meta page; ${w + s + m} µs a commit`);
  }
} finally {
  closeSync(fd);
  rmSync(path, { force: true });
}
