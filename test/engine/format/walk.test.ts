/** The walker over reachable pages: order and bounds on sound trees, and that it ends on all others. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Problem, WalkedBucket } from "../../../engine/format/walk-visitor.js";
import { MemoryStorage, open } from "../../../engine/index.js";
import { collectReachable, PageWalk, walkStrictly, type RawPages } from "../../../engine/format/walk.js";
import { decodeMeta } from "../../../engine/format/meta.js";
import { PgidSet } from "../../../engine/format/pgid-set.js";
import { fixtureNames, readFixture } from "../../support/fixtures.js";
import { bucketValue, emptyFile, fixtureInput, inlineValue, pagesOf, setCount, writeBranch, writeLeaf, type LeafElement } from "./raw-file.js";

function problemsOf(file: Uint8Array, root: number, highWaterMark = file.length / 4096): { problems: string[]; visited: number[]; steps: number } {
  const problems: string[] = [];
  const visited: number[] = [];
  const walk = new PageWalk(pagesOf(file, 4096, highWaterMark), root, {
    page: ({ pgid }) => { visited.push(pgid); },
    problem: ({ fault, pgid, stack }: Problem) => { problems.push(`${pgid}: ${fault} [${stack.join(" ")}]`); },
  });
  let steps = 0;
  while (walk.step()) steps++;
  return { problems, visited, steps };
}

/** The names of the buckets on the way to one. */
function pathOf(bucket: WalkedBucket): string {
  return bucket.parent === undefined ? "" : `${pathOf(bucket.parent)}/${bucket.name.toString()}`;
}

test("in every sound file the pages reached are those that are not free", () => {
  for (const name of fixtureNames()) {
    if (readFixture(name).kind === "corrupt") continue;
    const { freeIds, meta, pages } = fixtureInput(name);
    if (freeIds === undefined || meta.freelist === undefined) continue;
    const reached = collectReachable(pages, meta.root);
    const all = new PgidSet();
    const head = pages.read(meta.freelist, 1);
    const freelistPages = 1 + Buffer.from(head ?? []).readUInt32LE(12);
    for (let i = 0; i < freelistPages; i++) all.add(meta.freelist + i);
    for (const pgid of [...reached, ...freeIds]) assert.equal(all.add(pgid), true, `${name}: page ${pgid} twice`);
    assert.equal([...all].length, meta.highWaterMark, name);
  }
});

test("pages come depth first, inline buckets behind their leaf, nested buckets behind the tree that names them", () => {
  const file = emptyFile(8);
  writeLeaf(file, 4 * 4096, 4, [
    { key: "a", value: bucketValue(5), flags: 1 }, { key: "b", value: inlineValue([{ key: "x" }]), flags: 1 }, { key: "c", value: bucketValue(6), flags: 1 },
  ]);
  writeLeaf(file, 5 * 4096, 5, [{ key: "deep", value: bucketValue(7), flags: 1 }]);
  writeLeaf(file, 6 * 4096, 6, []);
  writeLeaf(file, 7 * 4096, 7, [{ key: "k" }]);
  const events: string[] = [];
  const reached = walkStrictly(pagesOf(file, 4096, 8), 4, {
    page: ({ bucket, pgid }) => { events.push(`page ${pgid} ${pathOf(bucket) || "/"} ${bucket.ordinal} ${bucket.levelsAbove}`); },
    inline: ({ bucket, count, pgid }) => { events.push(`inline ${pgid} ${pathOf(bucket) || "/"} ${bucket.ordinal} ${count}`); },
  });
  assert.deepEqual(events, ["page 4 / 0 0", "inline 4 /b 1 1", "page 5 /a 0 1", "page 7 /a/deep 0 2", "page 6 /c 2 1"]);
  assert.deepEqual([...reached], [0, 1, 4, 5, 6, 7]);
});

test("bounds of a page are the keys of the branch elements around it", () => {
  const file = emptyFile(8);
  writeBranch(file, 2 * 4096, 2, [["a", 3], ["m", 4]]);
  writeBranch(file, 3 * 4096, 3, [["a", 5], ["g", 6]]);
  for (const [pgid, key] of [[4, "m"], [5, "a"], [6, "g"]] as const) writeLeaf(file, pgid * 4096, pgid, [{ key }]);
  const bounds: string[] = [];
  const text = (key: { bytes: Uint8Array; start: number; size: number } | undefined): string =>
    key === undefined ? "-" : Buffer.from(key.bytes.subarray(key.start, key.start + key.size)).toString();
  walkStrictly(pagesOf(file, 4096, 8), 2, {
    page: ({ maxKey, minKey, pgid, stack }) => { bounds.push(`${pgid} ${text(minKey)}..${text(maxKey)} [${stack.join(" ")}]`); },
  });
  assert.deepEqual(bounds, ["2 -..- [2]", "3 a..m [2 3]", "5 a..g [2 3 5]", "6 g..m [2 3 6]", "4 m..- [2 4]"]);
});

test("of a large value that is alone on its leaf only the key's page is read, unless the visitor asks for the rest", () => {
  const file = emptyFile(40);
  const large = Buffer.alloc(7 * 4096, 1);
  writeBranch(file, 2 * 4096, 2, [["a", 3], ["b", 11], ["c", 19], ["d", 27]]);
  writeLeaf(file, 3 * 4096, 3, [{ key: "a", value: large }], 7);
  writeLeaf(file, 11 * 4096, 11, [{ key: "b".repeat(5000), value: large.subarray(5000) }], 7);
  writeLeaf(file, 19 * 4096, 19, [{ key: "c", value: large.subarray(10) }, { key: "ca" }], 7);
  writeLeaf(file, 27 * 4096, 27, [{ key: "d", value: Buffer.concat([bucketValue(35), large]), flags: 1 }], 7);
  writeLeaf(file, 35 * 4096, 35, [{ key: "deep" }]);
  const pages = pagesOf(file, 4096, 40);
  const reads: number[] = [];
  const counted = { ...pages, read: (pgid: number, pageCount: number) => { if (pageCount > 1) reads.push(pgid); return pages.read(pgid, pageCount); } };
  const lengths = new Map<number, number>();
  const reached = walkStrictly(counted, 2, { page: ({ bytes, pgid }) => { lengths.set(pgid, bytes.length / 4096); } });
  assert.deepEqual(reads, [11, 19, 27]);
  assert.deepEqual([...lengths], [[2, 1], [3, 1], [11, 8], [19, 8], [27, 8], [35, 1]]);
  assert.equal([...reached].length, 2 + 1 + 4 * 8 + 1);
  walkStrictly(counted, 2, { needsKeysOnly: false, page: ({ bytes, pgid }) => { if (pgid === 3) assert.equal(bytes.length, 8 * 4096); } });
  // A value that is longer than its pages is a fault, read or not.
  new DataView(file.buffer, file.byteOffset).setUint32(3 * 4096 + 16 + 12, 8 * 4096, true);
  assert.throws(() => walkStrictly(counted, 2, {}), /page 3: element 0/);
});

test("a page that points at itself or upwards is visited once", () => {
  const file = emptyFile(5);
  writeBranch(file, 2 * 4096, 2, [["a", 3], ["b", 2], ["c", 3]]);
  writeBranch(file, 3 * 4096, 3, [["a", 2], ["b", 3]]);
  const { problems, visited } = problemsOf(file, 2);
  assert.deepEqual(visited, [2, 3]);
  assert.deepEqual(problems, [
    "2: multiple references [2 3 2]", "3: multiple references [2 3 3]", "2: multiple references [2 2]", "3: multiple references [2 3]",
  ]);
});

test("a chain of ten thousand branch pages ends below the deepest possible tree", () => {
  const length = 10_000;
  const file = emptyFile(2 + length);
  for (let pgid = 2; pgid < 2 + length; pgid++) writeBranch(file, pgid * 4096, pgid, [["a", pgid + 1]]);
  const { problems, visited } = problemsOf(file, 2);
  assert.equal(visited.length, 64);
  assert.equal(problems.length, 1);
  assert.match(problems[0] ?? "", /^66: lies below 64 levels of branch pages/);
});

test("ten thousand nested buckets are walked without a deep stack", () => {
  const length = 10_000;
  const file = emptyFile(2 + length);
  for (let pgid = 2; pgid < 2 + length; pgid++) {
    writeLeaf(file, pgid * 4096, pgid, pgid < 1 + length ? [{ key: "b", value: bucketValue(pgid + 1), flags: 1 }] : []);
  }
  const { problems, visited } = problemsOf(file, 2);
  assert.deepEqual(problems, []);
  assert.equal(visited.length, length);
});

test("pages that all claim the rest of the file as overflow are read about once each", () => {
  const pageCount = 4000;
  const file = emptyFile(pageCount);
  const children: [string, number][] = [];
  for (let i = 0; i < 100; i++) children.push([`k${String(i).padStart(3, "0")}`, 3 + i]);
  writeBranch(file, 2 * 4096, 2, children);
  for (let i = 0; i < 100; i++) writeLeaf(file, (3 + i) * 4096, 3 + i, [{ key: `k${String(i).padStart(3, "0")}` }], pageCount - 4 - i);
  let pagesRead = 0;
  const pages = pagesOf(file, 4096, pageCount);
  const counting = { ...pages, read: (pgid: number, count: number) => { pagesRead += count; return pages.read(pgid, count); } };
  const problems: number[] = [];
  const walk = new PageWalk(counting, 2, { problem: ({ pgid }) => { problems.push(pgid); } });
  while (walk.step());
  assert.ok(pagesRead < 2 * pageCount, `read ${pagesRead} pages`);
  assert.ok(problems.includes(4));
});

test("an overflow that the file does not hold is reported and never read", () => {
  const file = emptyFile(4);
  writeLeaf(file, 2 * 4096, 2, [{ key: "a" }], 0xffff_ffff);
  assert.deepEqual(problemsOf(file, 2), { problems: ["2: 4294967295 overflow pages do not fit into the file [2]"], visited: [2], steps: 1 });
});

test("an overflow past the high-water mark is reported", () => {
  const file = emptyFile(6);
  writeLeaf(file, 2 * 4096, 2, [{ key: "a" }], 2);
  assert.deepEqual(problemsOf(file, 2, 4).problems, ["2: 2 overflow pages reach out of bounds: 4 [2]"]);
});

test("elements that share bytes are refused, so a small page cannot hold a large amount of data", () => {
  const file = emptyFile(3);
  const elements: LeafElement[] = Array.from({ length: 60 }, () => ({ key: "k".repeat(40) }));
  writeLeaf(file, 2 * 4096, 2, elements);
  for (let i = 0; i < 60; i++) {
    const header = 2 * 4096 + 16 + 16 * i;
    Buffer.from(file.buffer).writeUInt32LE(16 * 60 + 16 - 16 - 16 * i, header + 4);
    Buffer.from(file.buffer).writeUInt32LE(2000, header + 8);
  }
  const { problems } = problemsOf(file, 2);
  assert.equal(problems.length, 59);
  assert.equal(problems[0], "2: element 1 shares its bytes with other elements [2]");
});

test("what is wrong with elements is told one by one, and the rest is still walked", () => {
  const file = emptyFile(5);
  writeLeaf(file, 2 * 4096, 2, [
    { key: "a", value: "short", flags: 1 }, { key: "", value: "v" }, { key: "c", flags: 6 }, { key: "d", value: bucketValue(3), flags: 1 },
    { key: "e", value: inlineValue([{ key: "n", value: bucketValue(4), flags: 1 }]), flags: 1 }, { key: "f", value: new Uint8Array(20), flags: 1 },
  ]);
  writeLeaf(file, 3 * 4096, 3, []);
  const { problems, visited } = problemsOf(file, 2);
  assert.deepEqual(visited, [2, 3]);
  assert.deepEqual(problems, [
    "2: element 0 is a bucket of 5 bytes, less than a bucket header [2]", "2: element 1 has an empty key [2]", "2: element 2 has unknown flags 0x6 [2]",
    "2: inline bucket (hex)65: a bucket inside an inline bucket [2]", "2: inline bucket (hex)66: 4 bytes, less than a page header [2]",
  ]);
});

test("pages of no tree are refused by their type, their place and their bounds", () => {
  const file = emptyFile(6);
  writeBranch(file, 2 * 4096, 2, [["a", 0], ["b", 3], ["c", 4], ["d", 5], ["e", 6], ["f", 2 ** 40]]);
  writeLeaf(file, 3 * 4096, 9, [{ key: "b" }]);
  file[4 * 4096 + 8] = 3;
  writeLeaf(file, 5 * 4096, 5, [{ key: "d" }]);
  assert.deepEqual(problemsOf(file, 2, 5).problems, [
    "0: multiple references [2 0]", "0: invalid type: unknown<00> [2 0]", "3: self identifies as page 9 [2 3]", "4: invalid type: unknown<03> [2 4]",
    "5: out of bounds: 5 [2 5]", "6: out of bounds: 5 [2 6]", "1099511627776: out of bounds: 5 [2 1099511627776]",
  ]);
});

test("a scan for free pages refuses a broken tree instead of taking what it cannot reach for free", () => {
  for (const name of ["branch-cycle", "bucket-cycle", "page-reached-twice", "leaf-count-huge", "root-is-meta", "overflow-over-neighbour", "leaf-wrong-page-id"]) {
    const { meta, pages } = fixtureInput(name);
    assert.throws(() => collectReachable(pages, meta.root), { name: "BoltError", code: "CORRUPT" }, name);
  }
});

test("a scan for free pages refuses a branch page whose count was lost: all below it would be free", () => {
  const file = new Uint8Array(10 * 1024);
  writeBranch(file, 3 * 1024, 3, [["a", 4], ["b", 5]]);
  writeLeaf(file, 4 * 1024, 4, [{ key: "a" }]);
  writeLeaf(file, 5 * 1024, 5, [{ key: "b" }]);
  const pages = { pageSize: 1024, highWaterMark: 10, read: (pgid: number, count: number): Uint8Array => file.subarray(pgid * 1024, (pgid + count) * 1024) };
  assert.deepEqual([...collectReachable(pages, 3)], [0, 1, 3, 4, 5]);
  setCount(file, 3 * 1024, 0);
  assert.throws(() => collectReachable(pages, 3), { code: "CORRUPT", message: "page 3: branch page without elements" });
});

test("what read throws passes through", () => {
  const pages = { pageSize: 4096, highWaterMark: 10, read: (): never => { throw new Error("disk on fire"); } };
  assert.throws(() => collectReachable(pages, 3), { message: "disk on fire" });
});

test("of an older state, the pages that the newer one does not reach are found without a look at those that both reach", () => {
  const storage = new MemoryStorage();
  const db = open("two.db", { storage });
  db.update((tx) => {
    for (const name of ["a", "b"]) {
      const bucket = tx.createBucket(name);
      for (let i = 0; i < 3000; i++) bucket.put(`key ${i}`, "x".repeat(i % 100));
      bucket.put("large", Buffer.alloc(20_000));
    }
  });
  db.update((tx) => {
    tx.bucket("a")?.put("key 1500", "changed");
    tx.bucket("a")?.put("large", "small");
  });
  db.close();
  const bytes = Buffer.alloc(storage.size());
  storage.read(bytes, 0);
  const [newer, older] = [0, 1].map((slot) => decodeMeta(bytes, slot * 4096)).map((meta) => (typeof meta === "string" ? assert.fail(meta) : meta)).sort((x, z) => Number(z.txid - x.txid));
  let readCount = 0;
  const pages: RawPages = {
    pageSize: 4096, highWaterMark: Math.max(older!.highWaterMark, newer!.highWaterMark),
    read: (pgid, pageCount) => { readCount += pageCount; return bytes.subarray(pgid * 4096, (pgid + pageCount) * 4096); },
  };
  const known = collectReachable(pages, newer!.root);
  const expected = [...collectReachable(pages, older!.root)].filter((pgid) => pgid < 2 || !known.has(pgid));
  readCount = 0;
  assert.deepEqual([...collectReachable(pages, older!.root, known)], expected);
  assert.ok(readCount < expected.length + 20, `${readCount} pages read for ${expected.length}`);
  assert.ok(expected.length < [...known].length, "most is in both");
});
