/** Page sizes that files are made with, and those that are read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isPageSize, isReadablePageSize } from "../../../engine/format/page-size.js";

test("files are made with powers of two from 1 to 64 KiB, and read with more", () => {
  const powers = Array.from({ length: 54 }, (_, i) => 2 ** i);
  assert.deepEqual(powers.filter(isPageSize), [1024, 2048, 4096, 8192, 16_384, 32_768, 65_536]);
  assert.deepEqual([powers.filter(isReadablePageSize)[0], powers.filter(isReadablePageSize).at(-1)], [512, 2 ** 24]);
  for (const size of [0, -1024, 1025, 3000, 4096.5, NaN, Infinity, 2 ** 32 + 1024]) assert.equal(isPageSize(size) || isReadablePageSize(size), false, String(size));
});
