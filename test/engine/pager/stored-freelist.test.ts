/** The freelist as a file stores it: one page, with overflow, with the long count; and everything that cannot be. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { writeU64 } from "../../../engine/base/bytes.js";
import { freelistByteSize, writeFreelistHeader } from "../../../engine/format/freelist-page.js";
import { PgidSet } from "../../../engine/format/pgid-set.js";
import { readStoredFreelist, unreachedPages } from "../../../engine/pager/stored-freelist.js";
import { pagesOf, writeLeaf } from "../format/raw-file.js";

const PAGE_SIZE = 1024;

/** A file whose page 2 and those behind it are a freelist of `count` ids, every third from 100 on. */
function fileWith(count: number): { file: Uint8Array; pageCount: number; ids: number[] } {
  const pageCount = Math.ceil(freelistByteSize(count) / PAGE_SIZE);
  const file = new Uint8Array((2 + pageCount) * PAGE_SIZE);
  const ids = Array.from({ length: count }, (_, i) => 100 + 3 * i);
  const first = writeFreelistHeader(file, 2 * PAGE_SIZE, 2, count, pageCount - 1);
  for (const [i, id] of ids.entries()) writeU64(file, first + 8 * i, id);
  return { file, pageCount, ids };
}

for (const count of [0, 1, 126, 127, 65_534, 65_535, 70_000]) {
  test(`a list of ${count} ids is read as it was stored`, () => {
    const { file, pageCount, ids } = fileWith(count);
    const stored = readStoredFreelist(pagesOf(file, PAGE_SIZE, 1_000_000), 2);
    assert.deepEqual([...stored.ids], ids);
    assert.equal(stored.pageCount, pageCount);
  });
}

test("a list that cannot be where the meta says is refused", () => {
  const { file } = fileWith(126);
  const pages = pagesOf(file, PAGE_SIZE, 50);
  for (const pgid of [0, 1, 50, 2 ** 40]) assert.throws(() => readStoredFreelist(pages, pgid), { code: "CORRUPT", message: `page ${pgid}: freelist is out of bounds: 50` });
  assert.throws(() => readStoredFreelist(pages, 3), { code: "CORRUPT", message: "page 3: beyond the end of the file" });
});

test("another page, another id, and more ids than fit are refused", () => {
  const { file } = fileWith(126);
  const other = file.slice();
  writeLeaf(other, 2 * PAGE_SIZE, 2, [{ key: "a" }]);
  assert.throws(() => readStoredFreelist(pagesOf(other, PAGE_SIZE, 50), 2), { code: "CORRUPT", message: "page 2: invalid freelist page, page type is leaf" });
  writeFreelistHeader(other, 2 * PAGE_SIZE, 7, 1, 0);
  assert.throws(() => readStoredFreelist(pagesOf(other, PAGE_SIZE, 50), 2), { code: "CORRUPT", message: "page 2: freelist page identifies as page 7" });
  for (const count of [127, 65_534, 65_535, 2 ** 31]) {
    writeFreelistHeader(other, 2 * PAGE_SIZE, 2, count, 0);
    assert.throws(() => readStoredFreelist(pagesOf(other, PAGE_SIZE, 50), 2), { code: "CORRUPT", message: /^page 2: freelist of \d+ ids does not fit/ });
  }
});

test("overflow pages past the high-water mark or the end of the file are refused before they are read", () => {
  const { file, pageCount } = fileWith(200);
  assert.equal(pageCount, 2);
  assert.throws(() => readStoredFreelist(pagesOf(file, PAGE_SIZE, 3), 2), { code: "CORRUPT", message: "page 2: 1 overflow pages reach past the high-water mark 3" });
  assert.throws(() => readStoredFreelist(pagesOf(file.subarray(0, 3 * PAGE_SIZE), PAGE_SIZE, 9), 2), { code: "CORRUPT", message: "page 2: beyond the end of the file" });
  assert.equal(readStoredFreelist(pagesOf(file, PAGE_SIZE, 4), 2).pageCount, 2);
});

test("where no list is stored, all that nothing reaches is free, in lists that are not too long", () => {
  for (const mark of [2, 3, 65_537, 65_538, 65_539, 200_000]) {
    const reachable = new PgidSet();
    for (let pgid = 0; pgid < mark; pgid += pgid < 2 ? 1 : 97) reachable.add(pgid);
    const ids: number[] = [];
    for (const list of unreachedPages(reachable, mark)) {
      assert.ok(list.length <= 65_536);
      ids.push(...list.slice());
    }
    assert.deepEqual(ids, Array.from({ length: mark }, (_, pgid) => pgid).filter((pgid) => pgid >= 2 && !reachable.has(pgid)));
  }
});
