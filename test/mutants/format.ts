/** Mutants of engine/format: checksums, manifests, what a page must be like. */
import type { Mutant } from "./mutant.js";

export const formatMutants: readonly Mutant[] = [
  {
    name: "the meta checksum leaves out its last field", file: "engine/format/checksum.ts",
    find: "for (let i = at; i < at + size; i++) {\n    low", replace: "for (let i = at; i < at + size - 8; i++) {\n    low",
    harm: "no other program opens the file", tests: ["engine/format/checksum", "engine/format/meta"],
  },
  {
    name: "a bad meta checksum is accepted", file: "engine/format/meta.ts",
    find: "return sum.low === low && sum.high === high;", replace: "return sum.low === low || sum.high !== high;",
    harm: "a torn meta page is opened", tests: ["engine/format/meta", "crash/crash"],
  },
  {
    name: "every file was closed in order", file: "engine/format/manifest.ts",
    find: "return readBigU64(page, at) === CLOSE_MAGIC && readBigU64(page, at + 8) === txid;", replace: "return at + txid.toString().length > 0;",
    harm: "no commit is ever verified", tests: ["engine/format/manifest", "engine/pager/recovery"],
  },
  {
    name: "an old close mark counts", file: "engine/format/manifest.ts",
    find: "=== CLOSE_MAGIC && readBigU64(page, at + 8) === txid;", replace: "=== CLOSE_MAGIC && txid >= 0n;",
    harm: "a mark that a torn write has left stops the verification of another commit", tests: ["engine/format/manifest", "engine/pager/recovery"],
  },
  {
    name: "a manifest runs over the close mark", file: "engine/format/manifest.ts",
    find: "const room = pageSize - (", replace: "const room = pageSize + (",
    harm: "a commit in many ranges is taken for torn, and lost", tests: ["engine/format/manifest"],
  },
  {
    name: "a manifest runs into the close mark's sector", file: "engine/format/manifest.ts",
    find: "pageSize > CLOSE_MARK_SECTOR_SIZE ? CLOSE_MARK_SECTOR_SIZE : CLOSE_MARK_SIZE", replace: "CLOSE_MARK_SIZE",
    harm: "a power cut while the mark is written damages the manifest, and takes back an acknowledged commit",
    tests: ["engine/format/manifest", "engine/pager/recovery"],
  },
  {
    name: "the freelist page is one id too small", file: "engine/format/freelist-page.ts",
    find: "(count >= FREELIST_COUNT_ESCAPE ? count + 1 : count)", replace: "count",
    harm: "from 65,535 free pages on the list may overwrite the page behind it", tests: ["engine/format/freelist-page"],
  },
  {
    name: "a freelist page need not be where it says", file: "engine/format/freelist-page.ts",
    find: "if (header.id !== pgid) throw", replace: "if (header.id < 0) throw",
    harm: "a misplaced freelist is believed, and pages in use are overwritten", tests: ["engine/format/freelist-page", "engine/pager/stored-freelist"],
  },
  {
    name: "a tree page need not be where it says", file: "engine/format/page.ts",
    find: "  if (id !== pgid) throw", replace: "  if (id < 0) throw",
    harm: "another page's content is given out as this one's", tests: ["engine/pager/page-cache"],
  },
  {
    name: "keys out of order are accepted", file: "engine/format/page-index.ts",
    find: "if (word < previousWord || (word === previousWord", replace: "if (word < -1 || (word === previousWord",
    harm: "in a damaged file keys that are there are not found", tests: ["engine/format/page-index", "engine/fixtures"],
  },
  {
    name: "elements may lie outside their page", file: "engine/format/page-index.ts",
    find: "start >= dataStart && start + keySize + valueSize <= size", replace: "start >= dataStart",
    harm: "a damaged element gives out another page's bytes", tests: ["engine/format/page-index", "engine/fixtures"],
  },
  {
    name: "pages that are reached twice are no problem", file: "engine/format/walk.ts",
    find: 'if (!this.#claimed.add(pgid)) this.#problem(pgid, "multiple references");', replace: "this.#claimed.add(pgid);",
    harm: "check() misses pages that two owners share", tests: ["engine/format/walk", "engine/tx/check", "engine/fixtures"],
  },
  {
    name: "overflow pages are taken for free", file: "engine/format/walk.ts",
    find: "if (this.#claimed.add(pgid + i)) continue;", replace: "if (i > 0) continue;",
    harm: "where no freelist is stored, large values are overwritten", tests: ["engine/format/walk", "engine/fixtures"],
  },
  {
    name: "of every leaf with overflow pages only the first is read", file: "engine/format/walk.ts",
    find: "return readU16(first, PAGE_COUNT) === 1 && readU32(first, element + LEAF_FLAGS) === 0 && keyEnd <= first.length;", replace: "return keyEnd <= first.length;",
    harm: "nested buckets behind a large value are not seen, and their pages are taken for free", tests: ["engine/format/walk"],
  },
];
