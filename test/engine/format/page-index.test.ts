/** The key index of a page and the validation that comes with it; page and bucket headers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readU32 } from "../../../engine/base/bytes.js";
import { LEAF_POS } from "../../../engine/format/constants.js";
import {
  alikeAt, elementAt, INDEX_ALIKE, INDEX_BRANCH, INDEX_COMPACT, INDEX_COUNT, INDEX_COUNT_MASK, INDEX_KEYS, INDEX_OVERFLOW, INDEX_PREFIX_SIZE, INDEX_PREFIX_WORD, indexPage, sizesOf,
} from "../../../engine/format/page-index.js";
import { pageTypeName, readPageHeader, writePageHeader } from "../../../engine/format/page.js";
import { readBucketHeader, writeBucketHeader } from "../../../engine/format/bucket-header.js";
import { fixtureNames, readFixture } from "../../support/fixtures.js";
import { walkStrictly } from "../../../engine/format/walk.js";
import { seedOfRun } from "../../support/random.js";
import { fixtureInput, setCount, writeBranch, writeLeaf } from "./raw-file.js";

function indexed(page: Uint8Array): Uint32Array {
  const index = new Uint32Array(page.length / 4);
  indexPage(page, 0, page.length, 7, index, 0);
  return index;
}

function leaf(keys: readonly string[], flags = 0, value = ""): Uint8Array {
  const page = new Uint8Array(8192);
  writeLeaf(page, 0, 7, keys.map((key) => ({ key, flags, value })));
  return page;
}

test("an index holds count, shared prefix and the four bytes behind it of each key", () => {
  const page = new Uint8Array(4096);
  writeBranch(page, 0, 7, [["keyA", 2], ["keyABCDEF", 3], ["keyB", 4]], 5);
  const index = indexed(page);
  assert.equal(index[INDEX_COUNT], 3 | INDEX_BRANCH);
  assert.equal(index[INDEX_OVERFLOW], 5);
  assert.equal(index[INDEX_PREFIX_SIZE], 3);
  assert.equal(index[INDEX_PREFIX_WORD], 0x6b657900);
  assert.deepEqual([...index.subarray(INDEX_KEYS, INDEX_KEYS + 3)], [0x41000000, 0x41424344, 0x42000000]);
});

test("an empty page and a page with one key have no prefix", () => {
  assert.deepEqual([...indexed(leaf([])).subarray(0, 3)], [INDEX_COMPACT, 0, 0]);
  assert.deepEqual([...indexed(leaf(["abcdef"])).subarray(0, 5)], [1 | INDEX_COMPACT, 0, 0, 0, 0x61626364]);
});

test("a page is compact when its data stands in element order without gaps, and it has no overflow pages", () => {
  const isCompact = (page: Uint8Array): boolean => (indexed(page)[INDEX_COUNT]! & INDEX_COMPACT) !== 0;
  const branch = new Uint8Array(4096);
  writeBranch(branch, 0, 7, [["keyA", 2], ["keyB", 3]]);
  assert.ok(isCompact(branch) && isCompact(leaf(["a", "b"], 0, "value")));
  writeBranch(branch, 0, 7, [["keyA", 2], ["keyB", 3]], 1);
  assert.ok(!isCompact(branch), "overflow pages");
  for (const i of [0, 1]) {
    const page = leaf(["a", "b"], 0, "value");
    const position = elementAt(0, i) + LEAF_POS;
    Buffer.from(page.buffer).writeUInt32LE(Buffer.from(page.buffer).readUInt32LE(position) + 32, position);
    // Both elements now read other bytes as their keys: still in order, or else the page is refused.
    Buffer.from(page.buffer).write(i === 0 ? "a" : "b", elementAt(0, i) + Buffer.from(page.buffer).readUInt32LE(position), "latin1");
    assert.ok(!isCompact(page), `element ${i} is elsewhere`);
  }
});

test("of many elements that are alike an index holds the sizes, and from these follows where each is", () => {
  const keys = Array.from({ length: 62 }, (_, i) => `key ${String(i).padStart(3, "0")}`);
  const page = leaf(keys, 0, "value");
  const index = indexed(page);
  assert.equal(index[INDEX_COUNT], 62 | INDEX_COMPACT | INDEX_ALIKE);
  assert.equal(index[INDEX_OVERFLOW], sizesOf(7, 5));
  for (const [i, key] of keys.entries()) {
    const at = alikeAt(elementAt(0, 62), index[INDEX_OVERFLOW], i);
    assert.equal(Buffer.from(page.subarray(at, at + 12)).toString(), `${key}value`);
  }
});

test("elements that are few, differ in the size of key or value, are buckets, or in a branch, or not in order side by side are not held to be alike", () => {
  const keys = Array.from({ length: 70 }, (_, i) => `key ${String(i).padStart(3, "0")}`);
  const isAlike = (page: Uint8Array): boolean => (indexed(page)[INDEX_COUNT]! & INDEX_ALIKE) !== 0;
  const made = (change: (i: number) => object): Uint8Array => {
    const page = new Uint8Array(8192);
    writeLeaf(page, 0, 7, keys.map((key, i) => ({ key, value: "x".repeat(16), ...change(i) })));
    return page;
  };
  assert.ok(isAlike(made(() => ({}))));
  assert.ok(!isAlike(leaf(keys.slice(0, 61), 0, "value")));
  for (const i of [0, 1, 35, 69]) {
    assert.ok(!isAlike(made((at) => (at === i ? { value: "x".repeat(17) } : {}))), `value ${i}`);
    assert.ok(!isAlike(made((at) => (at === i ? { key: `${keys[i]!}+` } : {}))), `key ${i}`);
    assert.ok(!isAlike(made((at) => (at === i ? { flags: 1 } : {}))), `flags ${i}`);
  }
  const branch = new Uint8Array(8192);
  writeBranch(branch, 0, 7, keys.map((key, i) => [key, i + 2] as [string, number]));
  assert.equal(indexed(branch)[INDEX_COUNT], 70 | INDEX_BRANCH | INDEX_COMPACT);
  const page = leaf(keys, 0, "value");
  const position = elementAt(0, 69) + LEAF_POS;
  Buffer.from(page.buffer).writeUInt32LE(Buffer.from(page.buffer).readUInt32LE(position) + 32, position);
  page.set(Buffer.from("key 069"), elementAt(0, 69) + Buffer.from(page.buffer).readUInt32LE(position));
  assert.ok(!isAlike(page), "the last one is elsewhere");
});

test("sizes that a word cannot tell are none", () => {
  assert.equal(sizesOf(1, 0), 0x10000);
  assert.equal(sizesOf(0x7fff, 0xffff), 0x7fffffff);
  assert.equal(sizesOf(0x8000, 0), 0);
  assert.equal(sizesOf(1, 0x10000), 0);
});

test("keys in strict order are taken, all other orders refused", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  const key = fc.array(fc.constantFrom("\0", "a", "b", "\x7f"), { minLength: 1, maxLength: 7 }).map((parts) => parts.join(""));
  fc.assert(fc.property(fc.array(key, { minLength: 1, maxLength: 6 }), (keys) => {
    const inOrder = keys.every((next, i) => i === 0 || Buffer.compare(Buffer.from(keys[i - 1] ?? ""), Buffer.from(next)) < 0);
    if (!inOrder) {
      assert.throws(() => indexed(leaf(keys)), { code: "CORRUPT", message: /^page 7: key \d+ is out of order$/ });
      return;
    }
    const words = [...indexed(leaf(keys)).subarray(INDEX_KEYS, INDEX_KEYS + keys.length)];
    assert.deepEqual(words, [...words].sort((a, b) => a - b));
  }), { seed, numRuns: 500 });
});

test("every element of every sound fixture passes", () => {
  let count = 0;
  for (const name of fixtureNames()) {
    if (readFixture(name).kind === "corrupt") continue;
    const { meta, pages } = fixtureInput(name);
    walkStrictly(pages, meta.root, {
      needsKeysOnly: false,
      page: (visit) => {
        const index = indexed(visit.bytes);
        assert.equal(index[INDEX_COUNT]! & INDEX_COUNT_MASK, visit.count);
        count += visit.count;
      },
    });
  }
  assert.ok(count > 50_000);
});

test("elements that cannot be are refused", () => {
  const cases: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ["count", leaf(["a"]), /60000 elements do not fit/], ["empty key", leaf(["", "a"]), /element 0 has an empty key/],
    ["flags", leaf(["a"], 2), /element 0 has unknown flags 0x2/], ["short bucket", leaf(["a"], 1, "123456789012345"), /bucket of 15 bytes/],
  ];
  setCount(cases[0]![1], 0, 60_000);
  for (const [what, page, message] of cases) assert.throws(() => indexed(page), { code: "CORRUPT", message }, what);
});

test("a branch page without elements is refused, a leaf is taken", () => {
  const page = new Uint8Array(4096);
  writeBranch(page, 0, 7, []);
  assert.throws(() => indexed(page), { code: "CORRUPT", message: "page 7: branch page without elements" });
  assert.equal(indexed(leaf([]))[INDEX_COUNT], INDEX_COMPACT);
});

test("an element outside its page is refused, by one byte or by four gigabytes", () => {
  for (const field of [4, 8, 12]) {
    for (const value of [0xffff_ffff, 0x7fff_ffff, 8192]) {
      const page = leaf(["a", "b"]);
      Buffer.from(page.buffer).writeUInt32LE(value, elementAt(0, 1) + field);
      assert.throws(() => indexed(page), { code: "CORRUPT", message: /element 1 lies outside the page/ });
    }
  }
  const intoHeaders = leaf(["a", "b"]);
  Buffer.from(intoHeaders.buffer).writeUInt32LE(16, elementAt(0, 0) + 4);
  assert.throws(() => indexed(intoHeaders), { code: "CORRUPT" });
  const exact = leaf(["a"]);
  const last = elementAt(0, 0);
  Buffer.from(exact.buffer).writeUInt32LE(8192 - last - readU32(exact, last + 4) - 1, last + 12);
  indexed(exact);
  Buffer.from(exact.buffer).writeUInt32LE(readU32(exact, last + 12) + 1, last + 12);
  assert.throws(() => indexed(exact), { code: "CORRUPT" });
});

test("page and bucket headers are read back as they were written", () => {
  const bytes = new Uint8Array(40);
  writePageHeader(bytes, 3, 2 ** 40 + 1, 0x10, 65_535, 2 ** 32 - 1);
  assert.deepEqual(readPageHeader(bytes, 3), { id: 2 ** 40 + 1, flags: 0x10, count: 65_535, overflow: 2 ** 32 - 1 });
  writeBucketHeader(bytes, 20, 2 ** 33, 2n ** 64n - 1n);
  assert.deepEqual(readBucketHeader(bytes, 20), { root: 2 ** 33, sequence: 2n ** 64n - 1n });
});

test("page types have bbolt's names", () => {
  assert.deepEqual([1, 2, 4, 16, 0, 0x40].map(pageTypeName), ["branch", "leaf", "meta", "freelist", "unknown<00>", "unknown<40>"]);
});
