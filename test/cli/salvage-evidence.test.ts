/** Salvage leaves what it reads where it stands unless there is evidence that it cannot be right there. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { branch, bucketAt, fileOf, leaf, pair } from "../support/hand-made.js";
import { alien, leavesOf, missing, newest, overwrite, PAGE_SIZE, salvage, twoBuckets } from "./salvaging.js";

test("a page whose id alone is damaged is read in its place, the root of the newest state too", async () => {
  const { bytes, content, path } = twoBuckets();
  const { root, txid } = newest(bytes);
  const [first, second] = await leavesOf(path, "a");
  for (const pgid of [root, first!, second!]) {
    for (let bit = 0; bit < 5; bit++) {
      const changed = Buffer.from(bytes);
      changed[pgid * PAGE_SIZE]! ^= 1 << bit;
      const { content: saved, report } = await salvage(changed);
      assert.deepEqual([missing(content, saved), alien(content, saved), report.transaction], [[], [], String(txid)], `page ${pgid}, bit ${bit}`);
      assert.deepEqual(report.problems, [`page ${pgid}: self identifies as page ${pgid ^ (1 << bit)}`]);
    }
  }
});

test("an empty root whose id alone is damaged is a state, and what was deleted does not come back", async () => {
  const bytes = fileOf([leaf([]), leaf([bucketAt("b", 5)]), leaf([pair("k")])]);
  bytes.writeBigUInt64LE(5n, 3 * PAGE_SIZE);
  assert.equal((await salvage(bytes)).status, 1);
});

test("a copy of another page is misplaced though its keys fit, and of another version one that does not fit or is no root", async () => {
  const buckets = (): Buffer => fileOf([leaf([bucketAt("a", 4), bucketAt("b", 5)]), leaf([pair("k", "of a")]), leaf([pair("k", "of b")]), branch([["c", 4], ["d", 5]])]);
  const copied = buckets();
  overwrite(copied, 4, 5);
  assert.deepEqual([...(await salvage(copied)).content], [["b/k", "of b"], ["lost+found/page 4/k", "of b"]]);
  const swapped = buckets();
  overwrite(swapped, 5, 4);
  buckets().copy(swapped, 4 * PAGE_SIZE, 5 * PAGE_SIZE, 6 * PAGE_SIZE);
  assert.deepEqual([...(await salvage(swapped)).content], [["lost+found/page 4/k", "of b"], ["lost+found/page 5/k", "of a"]]);
  const root = buckets();
  leaf([pair("k", "older")])(5).copy(root, 3 * PAGE_SIZE);
  const { content, report } = await salvage(root);
  assert.deepEqual([...content.keys()], ["lost+found/page 3/k", "lost+found/page 4/k", "lost+found/page 6/k"]);
  assert.ok(report.problems.includes("page 3: self identifies as page 5"));
});

test("pages that the file does not have cost no memory for each", async () => {
  const children = Array.from({ length: 100 }, (_, i) => [String(1000 + i), (i + 1) * 2 ** 31] as const);
  const { report } = await salvage(fileOf([leaf([bucketAt("a", 4), bucketAt("b", 5), bucketAt("c", 1)]), branch(children), leaf([pair("k")])]));
  assert.equal(report.problems.filter((line) => line.endsWith(": lies beyond the end of the file")).length, 100);
  assert.ok(report.problems.includes("page 1: meta page in a tree"), report.problems.join("\n"));
});
