/** Salvage leaves what it reads where it stands unless there is evidence that it cannot be right there. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { open } from "../../engine/index.js";
import { branch, bucketAt, fileOf, freelist, leaf, pair } from "../support/hand-made.js";
import { tempPath } from "../support/temp.js";
import { here } from "./command.js";
import { alien, COUNT_AT, HEADER_SIZE, leavesOf, missing, newest, overwrite, PAGE_SIZE, salvage, twoBuckets } from "./salvaging.js";

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

test("an element whose value size is wrong stays if it is a bucket, and the elements beside it stay", async () => {
  const inline = leaf([pair("i")])(0).subarray(0, HEADER_SIZE + 16 + 2);
  const nested = { key: "b-in", value: Buffer.concat([Buffer.alloc(16), inline]).toString("latin1"), flags: 1 };
  const bytes = fileOf([leaf([bucketAt("a", 4), nested, bucketAt("c", 5), bucketAt("d", 6)]), leaf([pair("k")]), leaf([pair("k")]), leaf([pair("k")])]);
  for (const index of [0, 1, 2, 3]) {
    for (const bit of [0, 3, 4, 5, 11, 20]) {
      const changed = Buffer.from(bytes);
      const at = 3 * PAGE_SIZE + HEADER_SIZE + 16 * index + 12;
      changed.writeUInt32LE((changed.readUInt32LE(at) ^ (1 << bit)) >>> 0, at);
      const { content, report } = await salvage(changed);
      const all = ["a/k", "b-in/i", "c/k", "d/k"];
      assert.deepEqual([...content.keys()].filter((key) => all.includes(key)), all, `element ${index}, bit ${bit}: ${report.problems.join("; ")}`);
      if (index < 3) assert.ok(report.problems.length > 0, `element ${index}, bit ${bit}`);
    }
  }
});

test("a plain value that had to be cut is doubtful, and costs no other element its place", async () => {
  const values = Array.from({ length: 4 }, (_, i) => pair(`k${i}`, String(i).repeat(1000)));
  const bytes = fileOf([leaf([bucketAt("b", 4)]), leaf(values)]);
  for (const size of [1001, 2500, 4000, 2 ** 31]) {
    const changed = Buffer.from(bytes);
    changed.writeUInt32LE(size, 4 * PAGE_SIZE + HEADER_SIZE + 16 + 12);
    const { content } = await salvage(changed);
    assert.deepEqual([...content.keys()], ["b/k0", "b/k2", "b/k3", "lost+found/page 4/k1"], String(size));
    assert.equal(content.get("lost+found/page 4/k1"), "1".repeat(1000));
  }
});

test("an element that ends before the next one begins is doubtful, unless another one lies between", async () => {
  const values = Array.from({ length: 4 }, (_, i) => pair(`k${i}`, String(i).repeat(1000)));
  const bytes = fileOf([leaf([bucketAt("b", 4)]), leaf(values)]);
  const element = 4 * PAGE_SIZE + HEADER_SIZE + 16;
  for (const [field, size, key, value] of [[12, 999, "k1", "1".repeat(1000)], [12, 0, "k1", "1".repeat(1000)], [8, 1, "k", "1".repeat(1001)]] as const) {
    const changed = Buffer.from(bytes);
    changed.writeUInt32LE(size, element + field);
    const { content, report } = await salvage(changed);
    assert.deepEqual([...content.keys()], ["b/k0", "b/k2", "b/k3", `lost+found/page 4/${key}`], `${field}: ${size}`);
    assert.equal(content.get(`lost+found/page 4/${key}`), value);
    assert.ok(report.problems.includes(`page 4: key 1 (${key}) and its value end before the next element begins`), report.problems.join("; "));
  }
  const swapped = Buffer.from(bytes);
  for (const [from, to] of [[0, 16], [16, 0]] as const) {
    bytes.copy(swapped, element + to, element + from, element + from + 16);
    swapped.writeUInt32LE(swapped.readUInt32LE(element + to + 4) + from - to, element + to + 4);
  }
  assert.deepEqual([...(await salvage(swapped)).content.keys()], ["b/k0", "b/k2", "b/k3", "lost+found/page 4/k1"]);
});

test("a value that ends before the overflow pages of its page do is a problem, but for the one page more that Go allocates", async () => {
  const bytes = fileOf([leaf([bucketAt("b", 4)]), leaf([pair("k1"), pair("k2", "v".repeat(3 * PAGE_SIZE - 1))], 3)]);
  const size = 4 * PAGE_SIZE + HEADER_SIZE + 16 + 12;
  for (const lost of [PAGE_SIZE, 2 * PAGE_SIZE, 3 * PAGE_SIZE - 1]) {
    const changed = Buffer.from(bytes);
    changed.writeUInt32LE(bytes.readUInt32LE(size) - lost, size);
    const { report } = await salvage(changed);
    assert.deepEqual(report.problems, [`page 4: its overflow is 3, and its elements take ${3 - Math.floor(lost / PAGE_SIZE) - (lost % PAGE_SIZE === 0 ? 0 : 1)}`]);
  }
  const exact = leaf([pair("k1"), pair("k2", "v".repeat(3 * PAGE_SIZE - HEADER_SIZE - 2 * 16 - 5))], 3);
  assert.deepEqual((await salvage(fileOf([leaf([bucketAt("b", 4)]), exact]))).report.problems, []);
});

test("a page with overflow pages whose count is 0 keeps what is in them", async () => {
  const bytes = fileOf([leaf([bucketAt("b", 4)]), leaf([pair("k1", "1".repeat(5000)), pair("k2", "2".repeat(2000)), pair("k3")], 1)]);
  bytes.writeUInt16LE(0, 4 * PAGE_SIZE + COUNT_AT);
  const { content, report } = await salvage(bytes);
  assert.deepEqual([...content.keys()], ["b/k1", "b/k2", "b/k3"]);
  assert.deepEqual(report.problems, ["page 4: its count is 0, and 3 seems right"]);
});

test("a stale branch that leads to free pages proves nothing about the list of free pages", async () => {
  const pages = [leaf([bucketAt("b", 4)]), leaf([pair("k")]), branch([["l", 6], ["m", 7]]), leaf([pair("l")]), leaf([pair("m")])];
  const leaked = await salvage(fileOf(pages, { free: freelist([6, 7]) }));
  assert.deepEqual([leaked.report.problems, leaked.report.isFreeKnown], [["nothing leads to 1 page that holds something and is not free"], true]);
  // Behind the mark is what a commit wrote that came to nothing.
  const behind = [leaf([bucketAt("b", 5)]), leaf([pair("f")]), leaf([pair("k")]), branch([["f", 4], ["g", 4]])];
  const uncommitted = await salvage(fileOf(behind, { free: freelist([4]), highWaterMark: 6 }));
  assert.deepEqual([uncommitted.report.problems, uncommitted.report.isFreeKnown], [[], true]);
});

test("what is wrong with pages that no state leads to is no problem of the file", async () => {
  const stale = leaf([pair("z"), pair("a"), pair("b")]);
  const { content, report } = await salvage(fileOf([leaf([bucketAt("b", 4)]), leaf([pair("k")]), stale], { free: freelist([5]) }), "--scan-free");
  assert.ok(content.has("lost+found/page 5/a") && content.has("lost+found/page 5/z"));
  assert.deepEqual(report.problems, []);
});

test("--older does not set sequences back", async () => {
  const path = tempPath("sequence.db");
  const db = open(path, { pageSize: PAGE_SIZE });
  for (const [key, sequence] of [["a", 10n], ["b", 5000n]] as const) {
    db.update((tx) => {
      const bucket = tx.createBucketIfNotExists("q");
      bucket.setSequence(sequence);
      bucket.put(key, key);
    });
  }
  db.close();
  const target = tempPath("sequence-saved.db");
  assert.equal((await here(["surgery", "salvage", path, "-o", target, "--older"])).status, 0);
  const saved = open(target, { readOnly: true });
  assert.equal(saved.view((tx) => tx.bucket("q")!.sequence), 5000n);
  saved.close();
});

test("doubtful elements with one key all go to lost+found, buckets too", async () => {
  const leaves = [5, 6].map((pgid) => leaf([pair("k", `of ${pgid}`)]));
  const inner = [pair("m"), bucketAt("a", 5), pair("a", "value"), bucketAt("a", 6), pair("n"), pair("o"), pair("p")];
  const { content, report } = await salvage(fileOf([leaf([bucketAt("top", 4)]), leaf(inner), ...leaves]));
  assert.deepEqual([...content].filter(([key]) => key.startsWith("lost+found/")), [
    ["lost+found/page 4/a/k", "of 5"], ["lost+found/page 4/element 2/a", "value"], ["lost+found/page 4/element 3/a/k", "of 6"],
  ]);
  assert.equal(report.problems.length, 3);
});

test("clearing a page that nothing leads to warns of nothing", async () => {
  const path = tempPath("leaked.db");
  writeFileSync(path, fileOf([leaf([bucketAt("b", 4)]), leaf([pair("k")]), leaf([pair("old")])]));
  const { status, stderr } = await here(["surgery", "clear-page", path, "--output", tempPath("leaked-cleared.db"), "--pageId", "5"]);
  assert.deepEqual([status, stderr], [0, ""]);
});

test("an element whose key stands elsewhere does not make the one before it doubtful", async () => {
  const bytes = fileOf([leaf([bucketAt("b", 4)]), leaf([pair("k1", "aa"), pair("k2", "aa"), pair("k3", "aa")])]);
  const at = 4 * PAGE_SIZE + HEADER_SIZE + 2 * 16 + 4;
  bytes.writeUInt32LE(bytes.readUInt32LE(at) - 1, at);
  assert.deepEqual([...(await salvage(bytes)).content], [["b/k1", "aa"], ["b/k2", "aa"], ["lost+found/page 4/ak", "3a"]]);
});

test("a page that a wrong pointer leads to first is taken where it belongs", async () => {
  const leaves = ["a", "d", "m"].map((key) => leaf([pair(key), pair(`${key}1`)]));
  const { content, report } = await salvage(fileOf([leaf([bucketAt("b", 4)]), branch([["a", 7], ["d", 6], ["m", 7]]), ...leaves]));
  assert.deepEqual([...content.keys()], ["b/d", "b/d1", "b/m", "b/m1"]);
  assert.deepEqual(report.problems, ["page 7: all of its keys lie outside the range of its place", "nothing leads to 1 page that holds something and is not free"]);
});

test("a branch's key that is too long costs no entry its place", async () => {
  const leaves = ["a", "d"].map((key) => leaf([pair(key), pair(`${key}1`)]));
  const bytes = fileOf([leaf([bucketAt("b", 4)]), branch([["a", 5], ["d", 6]]), ...leaves]);
  bytes.writeUInt32LE(3, 4 * PAGE_SIZE + HEADER_SIZE + 16 + 4);
  const { content, report } = await salvage(bytes);
  assert.deepEqual([...content.keys()], ["b/a", "b/a1", "b/d", "b/d1"]);
  assert.deepEqual(report.problems, ["page 6: its first key is not the key of its branch element"]);
});

test("two elements of a branch that stand in each other's place cost no entry its place", async () => {
  const leaves = ["a", "d", "m", "t"].map((key) => leaf([pair(key), pair(`${key}1`)]));
  const bytes = fileOf([leaf([bucketAt("b", 4)]), branch([["a", 5], ["d", 6], ["m", 7], ["t", 8]]), ...leaves]);
  for (const [one, other] of [[0, 1], [0, 3], [1, 2], [1, 3]] as const) {
    const changed = Buffer.from(bytes);
    const [from, to] = [one, other].map((index) => 4 * PAGE_SIZE + HEADER_SIZE + 16 * index) as [number, number];
    bytes.copy(changed, to, from, from + 16);
    bytes.copy(changed, from, to, to + 16);
    const { content } = await salvage(changed);
    assert.deepEqual([...content.keys()].filter((key) => key.startsWith("b/")).length, 8, `${one} and ${other}: ${[...content.keys()].join(" ")}`);
  }
});
