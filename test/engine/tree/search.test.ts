/** Searching a page through its key index against a plain search over the keys. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PageCache } from "../../../engine/pager/page-cache.js";
import { branchChild, foundExact, foundIndex, pageElementCount, pageIsBranch, searchBranch, searchPage } from "../../../engine/tree/search.js";
import { seedOfRun } from "../../support/random.js";
import { writeBranch, writeLeaf } from "../format/raw-file.js";
import { hardKey } from "./arbitraries.js";
import { sorted } from "./store.js";

const seed = seedOfRun();
const PGID = 7;

/** One page in a cache, as a leaf or as a branch whose child i is 100 + i; keys are ASCII or Latin 1 read as UTF-8 bytes. */
function pageOf(keys: readonly string[], isBranch: boolean): { cache: PageCache; frame: number } {
  const page = new Uint8Array(32_768);
  if (isBranch) writeBranch(page, 0, PGID, keys.map((key, i) => [key, 2 ** 40 + i]));
  else writeLeaf(page, 0, PGID, keys.map((key) => ({ key, value: "value" })));
  const cache = new PageCache(32_768, 0, { readPages: (_, target) => { target.set(page); } });
  cache.highWaterMark = 100;
  return { cache, frame: cache.locate(PGID) };
}

/** The plain version. */
function lowerBound(keys: readonly Buffer[], key: Buffer): { index: number; exact: boolean } {
  const at = keys.findIndex((candidate) => Buffer.compare(candidate, key) >= 0);
  const index = at < 0 ? keys.length : at;
  return { index, exact: keys[index]?.equals(key) === true };
}

function assertSearches(texts: readonly string[], probes: readonly Buffer[], isBranch: boolean): void {
  const { cache, frame } = pageOf(texts, isBranch);
  const keys = texts.map((text) => Buffer.from(text));
  assert.equal(pageIsBranch(cache, frame), isBranch);
  assert.equal(pageElementCount(cache, frame), keys.length);
  for (const probe of probes) {
    const expected = lowerBound(keys, probe);
    const result = searchPage(cache, frame, probe);
    assert.deepEqual({ index: foundIndex(result), exact: foundExact(result) }, expected, probe.toString("hex"));
    if (!isBranch) continue;
    const child = searchBranch(cache, frame, probe);
    assert.equal(child, expected.exact ? expected.index : Math.max(0, expected.index - 1));
    assert.equal(branchChild(cache, frame, child), 2 ** 40 + child);
  }
}

/** Every key itself, shortened, lengthened, and its neighbours byte by byte. */
function around(key: Buffer): Buffer[] {
  const last = key.length - 1;
  const changed = (by: number): Buffer => {
    const copy = Buffer.from(key);
    copy[last] = (copy[last]! + by + 256) % 256;
    return copy;
  };
  return [key, key.subarray(0, last), Buffer.concat([key, Buffer.alloc(1)]), Buffer.concat([key, Buffer.from([0xff])]), changed(1), changed(-1)];
}

/** Bytes that are the UTF-8 of some text, for raw-file writes keys as text. */
const textKey = hardKey.map((key) => key.toString("latin1"));

test(`finds what a plain search finds, on leaves and branches with keys that are hard to tell apart (SEED=${seed})`, () => {
  fc.assert(fc.property(fc.array(textKey, { minLength: 1, maxLength: 80 }), fc.array(hardKey, { maxLength: 20 }), fc.boolean(), (texts, probes, isBranch) => {
    const keys = sorted(texts.map((text) => [Buffer.from(text), Buffer.alloc(0)])).map(([key]) => key);
    const inOrder = keys.map((key) => key.toString());
    assertSearches(inOrder, [...probes, Buffer.alloc(0), ...keys.flatMap(around)], isBranch);
  }), { seed, numRuns: 150 });
});

test("keys that differ by zero bytes at the end alone are told apart", () => {
  const keys = ["a", "a\0", "a\0\0", "a\0\0\0", "a\0\0\0\0", "a\0\0\0\0\0", "b"];
  assertSearches(keys, keys.flatMap((key) => around(Buffer.from(key))), false);
});

test("keys with a prefix of 0 to 9 shared bytes are searched with keys before, within and behind the prefix", () => {
  for (let size = 0; size <= 9; size++) {
    const prefix = "prefix123".slice(0, size);
    const keys = ["\0", "a", "aaaaaa", "b", "zz"].map((tail) => prefix + tail);
    const shorter = Array.from({ length: size }, (_, i) => Buffer.from(prefix.slice(0, i)));
    const beside = Array.from({ length: size }, (_, i) => around(Buffer.from(prefix.slice(0, i + 1)))).flat();
    assertSearches(keys, [...shorter, ...beside, ...keys.flatMap((key) => around(Buffer.from(key)))], true);
  }
});

test("an empty page has no element and every key belongs behind it", () => {
  const { cache, frame } = pageOf([], false);
  assert.deepEqual([Buffer.alloc(0), Buffer.from("a")].map((key) => searchPage(cache, frame, key)), [0, 0]);
});

test("a page with many equal words decides by the keys", () => {
  const keys = Array.from({ length: 500 }, (_, i) => `same${String(i % 2).repeat(4)}${String(i).padStart(6, "0")}`).sort();
  assertSearches(keys, keys.flatMap((key) => around(Buffer.from(key))), false);
});

test("a few equal words more or less, with others before and behind, make no difference", () => {
  for (let count = 1; count <= 40; count++) {
    const keys = ["0", ...Array.from({ length: count }, (_, i) => `same${String(i).padStart(3, "0")}`), "z"];
    for (const isBranch of [false, true]) assertSearches(keys, keys.flatMap((key) => around(Buffer.from(key))), isBranch);
  }
});
