/** Salvage judges what it reads: what cannot be right where it stands goes to lost+found, and whatever is wrong is named. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { findLostPages } from "../../engine/cli/salvage-lost.js";
import { RawFile } from "../../engine/cli/raw-file.js";
import { sealMeta } from "../../engine/format/meta.js";
import { PgidSet } from "../../engine/format/pgid-set.js";
import { branch, bucketAt, fileOf, freelist, leaf, pair } from "../support/hand-made.js";
import { fixtureNames, fixtureOriginal, readFixture } from "../support/fixtures.js";
import { tempPath } from "../support/temp.js";
import { here, jsonLinesHere } from "./command.js";
import { alien, countOf, HEADER_SIZE, leavesOf, missing, newest, OVERFLOW_AT, overwrite, PAGE_SIZE, salvage, twoBuckets, COUNT_AT } from "./salvaging.js";

test("keys out of order or outside the range of their page go to lost+found, and not into the bucket", async () => {
  const { bytes, content, path } = twoBuckets();
  const [, middle] = await leavesOf(path, "a");
  const zeroed = Buffer.from(bytes);
  zeroed.fill(0, middle! * PAGE_SIZE + 2560, middle! * PAGE_SIZE + 3072);
  const { content: saved, report } = await salvage(zeroed);
  assert.deepEqual(alien(content, saved), []);
  assert.ok(report.problems.some((line) => /^page \d+: key \d+ \(0000[0-9a-f]*\) (is out of order|lies outside the range of its page)$/.test(line)), report.problems.join("\n"));
  assert.ok([...saved.keys()].some((key) => key.startsWith(`lost+found/page ${middle}/\0\0\0`)));
  const made = await salvage(fileOf([leaf([bucketAt("b", 4)]), branch([["d", 5], ["m", 6]]), leaf([pair("d"), pair("c"), pair("e"), pair("x")]), leaf([pair("k"), pair("m"), pair("n")])]));
  assert.deepEqual([...made.content.keys()].sort(), ["b/d", "b/e", "b/m", "b/n", "lost+found/page 5/c", "lost+found/page 5/x", "lost+found/page 6/k"]);
  assert.equal(made.report.problems.length, 3, made.report.problems.join("\n"));
});

test("entries whose keys are zeros all keep their values in lost+found", async () => {
  const bytes = fileOf([leaf([bucketAt("b", 4)]), branch([["k1", 5], ["x", 6]]), leaf(["k1", "\0\0", "\0\0", "\0\0", "k5"].map((key, i) => pair(key, `v${i}`))), leaf([pair("x")])]);
  const { content } = await salvage(bytes);
  assert.deepEqual([...content], [["b/k1", "v0"], ["b/k5", "v4"], ["b/x", "v"], ["lost+found/page 5/\0\0", "v1"], ["lost+found/page 5/element 2/\0\0", "v2"], ["lost+found/page 5/element 3/\0\0", "v3"]]);
});

test("an element whose size is wrong does not put bytes of the next one into the bucket", async () => {
  const bytes = fileOf([leaf([bucketAt("b", 4)]), leaf(["k1", "k2", "k3", "k4"].map((key) => pair(key, `value of ${key}`)))]);
  const second = 4 * PAGE_SIZE + HEADER_SIZE + 16;
  for (const [at, bits] of [[second + 8, 16], [second + 12, 4]] as const) {
    const changed = Buffer.from(bytes);
    changed[at]! ^= bits;
    const { content, report } = await salvage(changed);
    assert.deepEqual([...content.keys()].filter((key) => key.startsWith("b/")), ["b/k1", "b/k3", "b/k4"]);
    assert.match(report.problems.join("\n"), /^page 4: key 1 \(k2.*\) and its value reach into another element$/m);
  }
});

test("a branch's key that is out of order costs no entry its place", async () => {
  const leaves = ["a", "d", "m", "t"].map((key) => leaf([pair(key), pair(`${key}1`), pair(`${key}2`)]));
  const { content, report } = await salvage(fileOf([leaf([bucketAt("b", 4)]), branch([["a", 5], ["\0\0", 6], ["m", 7], ["t", 8]]), ...leaves]));
  assert.equal([...content.keys()].filter((key) => key.startsWith("b/")).length, 12);
  assert.match(report.problems.join("\n"), /page 4: key 1 \(0000\)/);
});

test("a branch's key that is in order and not right costs no entry its place", async () => {
  const leaves = ["a", "d", "m", "t"].map((key) => leaf([pair(key), ...[1, 2, 3].map((i) => pair(`${key}${i}`))]));
  const all = ["a", "d", "m", "t"].flatMap((key) => ["", "1", "2", "3"].map((i) => `b/${key}${i}`));
  for (const keys of [["a11", "d", "m", "t"], ["a", "d11", "m", "t"], ["a", "a11", "m", "t"], ["a", "d", "d11", "t"], ["a", "d", "m", "m11"]]) {
    const { content, report } = await salvage(fileOf([leaf([bucketAt("b", 4)]), branch(keys.map((key, i) => [key, 5 + i] as const)), ...leaves]));
    assert.deepEqual([...content.keys()], all, keys.join(" "));
    assert.equal(report.problems.length, 1, report.problems.join("\n"));
  }
});

test("a page that counts fewer or more elements than it has costs none of them", async () => {
  const { bytes, content, path } = twoBuckets();
  const { root } = newest(bytes);
  const [leafId] = await leavesOf(path, "a");
  const rows = await jsonLinesHere(["pages", path]) as { id: number; type: string }[];
  const branchId = rows.find(({ type }) => type === "branch")!.id;
  for (const [pgid, count] of [[leafId!, 0], [leafId!, countOf(bytes, leafId!) + 50], [leafId!, 60_000], [branchId, 0], [branchId, countOf(bytes, branchId) + 1], [root, 0]] as const) {
    const changed = Buffer.from(bytes);
    changed.writeUInt16LE(count, pgid * PAGE_SIZE + COUNT_AT);
    const { content: saved, report } = await salvage(changed);
    assert.deepEqual([missing(content, saved), alien(content, saved)], [[], []], `page ${pgid}, count ${count}`);
    assert.deepEqual(report.problems.filter((line) => line === `page ${pgid}: its count is ${count}, and ${countOf(bytes, pgid)} seems right`).length, 1);
  }
});

test("where check finds something wrong salvage has a problem too", async () => {
  const silent: string[] = [];
  for (const name of fixtureNames().filter((fixture) => readFixture(fixture).kind === "corrupt")) {
    if ((await here(["check", fixtureOriginal(name)])).status === 0) continue;
    const { report, status } = await salvage(readFileSync(fixtureOriginal(name)));
    if (status === 0 && report.problems.length === 0) silent.push(name);
  }
  // A page without anything in it that is not free: no entry can have been lost with it.
  assert.deepEqual(silent, ["page-leaked"]);
});

test("meta pages in each other's place are a problem, and cost nothing", async () => {
  const { bytes, content } = twoBuckets();
  const swapped = Buffer.from(bytes);
  overwrite(swapped, 0, 1);
  bytes.copy(swapped, PAGE_SIZE, 0, PAGE_SIZE);
  const { content: saved, report } = await salvage(swapped);
  assert.deepEqual([missing(content, saved), alien(content, saved)], [[], []]);
  assert.deepEqual(report.problems, ["page 0: self identifies as page 1", "page 1: self identifies as page 0"]);
});

test("a page at the place of another one costs that place, and puts nothing into the wrong bucket", async () => {
  const { bytes, content, path } = twoBuckets();
  const [a, next] = await leavesOf(path, "a");
  const [b] = await leavesOf(path, "b");
  const { root } = newest(bytes);
  for (const [to, from, isSwap] of [[a!, root, false], [a!, b!, true], [a!, next!, false]] as const) {
    const changed = Buffer.from(bytes);
    overwrite(changed, to, from);
    if (isSwap) bytes.copy(changed, from * PAGE_SIZE, to * PAGE_SIZE, (to + 1) * PAGE_SIZE);
    const { content: saved, report } = await salvage(changed);
    assert.deepEqual(alien(content, saved), []);
    assert.equal(missing(content, saved).length, countOf(bytes, to) + (isSwap ? countOf(bytes, from) : 0), `${from} over ${to}`);
    assert.ok(report.problems.includes(`page ${to}: self identifies as page ${from}`));
    if (from !== root) assert.ok([...saved.keys()].some((key) => key.startsWith(`lost+found/page ${to}/`)));
  }
});

test("of two versions of a key the one counts that stands on a page at its place", async () => {
  const { bytes, content, path } = twoBuckets();
  const [first, second] = await leavesOf(path, "a");
  const changed = Buffer.from(bytes);
  const stale = Buffer.from(bytes.subarray(second! * PAGE_SIZE, (second! + 1) * PAGE_SIZE).toString("latin1").replaceAll("value", "STALE"), "latin1");
  stale.copy(changed, first! * PAGE_SIZE);
  const { content: saved } = await salvage(changed);
  assert.ok([...saved].every(([key, value]) => key.startsWith("lost+found/") || content.get(key) === value));
});

test("a root that is another page is none: the state before is read", async () => {
  const { bytes, path } = twoBuckets();
  const { root, txid } = newest(bytes);
  const [a] = await leavesOf(path, "a");
  const changed = Buffer.from(bytes);
  overwrite(changed, root, a!);
  const { content, report } = await salvage(changed);
  assert.equal([...content.keys()].filter((key) => /^[ab]\//.test(key)).length, 600);
  assert.ok(report.problems.includes(`transaction ${txid}, with the root page ${root}, leads to nothing: transaction ${txid - 1n} was read`), report.problems.join("\n"));
});

test("salvage says which state it has read when it is not the newest", async () => {
  const { bytes } = twoBuckets();
  const { at, root, txid } = newest(bytes);
  const page = at / PAGE_SIZE;
  const older = `transaction ${txid - 1n} was read`;
  const damage: readonly (readonly [(changed: Buffer) => void, string])[] = [
    [(changed) => { changed[at + 72]! ^= 1; }, `meta page ${page} is not valid (checksum, transaction ${txid}): ${older}`],
    [(changed) => changed.fill(0, at, at + 512), `meta page ${page} is not valid (it is none): ${older}`],
    [(changed) => changed.fill(0, root * PAGE_SIZE, (root + 1) * PAGE_SIZE), `transaction ${txid}, with the root page ${root}, leads to nothing: ${older}`],
  ];
  for (const [change, line] of damage) {
    const changed = Buffer.from(bytes);
    change(changed);
    const { report } = await salvage(changed);
    assert.ok(report.problems.includes(line), report.problems.join("\n"));
    assert.deepEqual([report.meta, report.transaction], [1 - page, String(txid - 1n)]);
  }
  const { report } = await salvage(bytes);
  assert.deepEqual([report.problems, report.meta, report.transaction], [[], page, String(txid)]);
});

test("check says on standard error that a meta page is not valid, and of which transaction the file is sound", async () => {
  const { bytes } = twoBuckets();
  const { at, txid } = newest(bytes);
  bytes[at + 72]! ^= 1;
  const path = tempPath("torn-meta.db");
  writeFileSync(path, bytes);
  const { status, stderr, stdout } = await here(["check", path]);
  assert.deepEqual([status, stdout, stderr], [0, "OK\n", `hexbolt: meta page ${at / PAGE_SIZE} is not valid (checksum, transaction ${txid}): transaction ${txid - 1n} was checked\n`]);
});

test("a high-water mark that the tree lies behind is a problem", async () => {
  const { bytes, content } = twoBuckets();
  const { at } = newest(bytes);
  bytes.writeBigUInt64LE(5n, at + 56);
  sealMeta(bytes, at);
  const { content: saved, report } = await salvage(bytes);
  assert.deepEqual(missing(content, saved), []);
  assert.match(report.problems.join("\n"), /^\d+ pages of the tree out of bounds: 5$/m);
});

test("where the newest meta page is gone --scan takes what the state before calls free", async () => {
  const { bytes, content } = twoBuckets();
  const { at } = newest(bytes);
  bytes.fill(0, at, at + PAGE_SIZE);
  const values = new Set((await salvage(bytes, "--scan")).content.values());
  assert.deepEqual([...content.values()].filter((value) => !values.has(value)), []);
});

test("a list of free pages that contradicts the tree is not believed", async () => {
  const pages = [leaf([bucketAt("b", 4), bucketAt("gone", 9)]), leaf([pair("k")]), branch([["l", 6], ["m", 7]]), leaf([pair("l")]), leaf([pair("m")])];
  for (const [ids, line] of [[[4, 6], /freelist: page 4 is in use and listed as free/], [[6], /freelist: page 6 is listed as free, and page 5, which is not, leads to it/]] as const) {
    const { content, report } = await salvage(fileOf(pages, { free: freelist(ids) }), "--scan");
    assert.match(report.problems.join("\n"), line);
    assert.ok(["b/k", "lost+found/page 5/l", "lost+found/page 5/m"].every((key) => content.has(key)), [...content.keys()].join(" "));
  }
});

test("of a damaged file salvage says that free pages hold entries, and --scan-free takes them", async () => {
  const bytes = fileOf([leaf([bucketAt("b", 4)]), leaf([pair("l"), pair("k")]), leaf([pair("f")])], { free: freelist([5]) });
  const source = tempPath("free.db");
  writeFileSync(source, bytes);
  const { stdout } = await here(["surgery", "salvage", source, "-o", tempPath("free-saved.db"), "--scan"]);
  assert.match(stdout, /^1 free page holds entries, deleted or replaced ones if the list of free pages is right: --scan-free takes them\.$/m);
  assert.ok((await salvage(bytes, "--scan-free")).content.has("lost+found/page 5/f"));
});

test("of a leaf whose overflow pages are not as many as it says everything is taken that can be read", async () => {
  const value = (i: number): string => String(i).repeat(3000);
  const bytes = fileOf([leaf([bucketAt("b", 4)]), leaf([1, 2, 3, 4].map((i) => pair(`k${i}`, value(i))), 2)]);
  for (const overflow of [0, 1, 3, 2 + 2 ** 24]) {
    const changed = Buffer.from(bytes);
    changed.writeUInt32LE(overflow, 4 * PAGE_SIZE + OVERFLOW_AT);
    const { content, report } = await salvage(changed);
    assert.deepEqual([1, 2, 3, 4].map((i) => content.get(`b/k${i}`) === value(i)), [true, true, true, true], String(overflow));
    assert.ok(report.problems.length > 0);
  }
  const { content } = await salvage(bytes.subarray(0, bytes.length - 1000));
  assert.deepEqual([...content.keys()], ["b/k1", "b/k2", "b/k3"]);
});

test("of a page that the end of the file cuts off what lies in it is taken", async () => {
  const bytes = fileOf([leaf([bucketAt("b", 4)]), leaf([pair("k1"), pair("k2"), pair("k3", "v".repeat(3000))])]);
  const { content, report } = await salvage(bytes.subarray(0, bytes.length - 2000));
  assert.deepEqual([...content.keys()], ["b/k1", "b/k2"]);
  assert.match(report.problems.join("\n"), /^page 4: is cut off by the end of the file$/m);
});

test("one wrong bit in the flags of a page or of a bucket costs nothing", async () => {
  const inline = (flags: number): ReturnType<typeof pair> => {
    const page = leaf([pair("i")])(0).subarray(0, HEADER_SIZE + 16 + 2);
    page.writeUInt16LE(flags, 8);
    return { key: "in", value: Buffer.concat([Buffer.alloc(16), page]).toString("latin1"), flags: 1 };
  };
  const make = ([pageFlags, bucketFlags, inlineFlags]: readonly [number, number, number]): Buffer => {
    const bytes = fileOf([leaf([{ ...bucketAt("b", 4), flags: bucketFlags }, inline(inlineFlags)]), leaf([pair("k"), pair("l")])]);
    bytes.writeUInt16LE(pageFlags, 4 * PAGE_SIZE + 8);
    return bytes;
  };
  for (const flags of [[2, 1, 2], [0x22, 1, 2], [3, 1, 2], [2, 3, 2], [2, 0x8000_0001, 2], [2, 1, 3]] as const) {
    const { content, report } = await salvage(make(flags));
    assert.deepEqual([...content.keys()], ["b/k", "b/l", "in/i"], flags.join(" "));
    assert.equal(report.problems.length, flags.join() === "2,1,2" ? 0 : 1, report.problems.join("\n"));
  }
});

test("an inline bucket whose root is not 0 keeps what is in it", async () => {
  const page = leaf([pair("i")])(0).subarray(0, HEADER_SIZE + 16 + 2);
  for (const root of [4, 2 ** 32]) {
    const header = Buffer.alloc(16);
    header.writeBigUInt64LE(BigInt(root));
    const inline = { key: "in", value: Buffer.concat([header, page]).toString("latin1"), flags: 1 };
    const { content, report } = await salvage(fileOf([leaf([bucketAt("b", 4), inline]), leaf([pair("k")])]));
    assert.deepEqual([...content.keys()], ["b/k", "in/i"]);
    assert.match(report.problems.join("\n"), new RegExp(`^page 3: inline bucket \\(hex\\)696e: says that it has the root page ${root}$`));
  }
});

test("where there is nothing to save there is no new file, and the exit status is 1", async () => {
  const { status, stderr } = await salvage(fileOf([leaf([])]));
  assert.equal(status, 1);
  assert.match(stderr, /there is nothing to save: no key and no bucket/);
});

test("pages that nothing leads to are looked for in blocks", () => {
  let readCount = 0;
  class CountingFile extends RawFile {
    override readInto(bytes: Buffer, position: number): Buffer {
      readCount++;
      return super.readInto(bytes, position);
    }
  }
  const path = tempPath("blocks.db");
  const bytes = fileOf([leaf([]), ...Array.from({ length: 3000 }, () => leaf([pair("k")]))]);
  writeFileSync(path, bytes);
  const file = new CountingFile(path, false);
  readCount = 0;
  assert.equal(findLostPages(file, PAGE_SIZE, new PgidSet(), new PgidSet()).lost.length, 3000);
  assert.ok(readCount < 10, String(readCount));
  file.close();
});
