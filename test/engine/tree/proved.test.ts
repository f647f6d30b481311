/**
 * Bytes that branches prove are not compared below them: lookups and seeks among keys that share long prefixes against a sorted array, where the proof
 * does not hold (the ends of a branch, changed leaves) and where the file does not keep what it says.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PageCache } from "../../../engine/pager/page-cache.js";
import { branchChild, foundExact, foundIndex, provedBelow, searchPage } from "../../../engine/tree/search.js";
import { Tree } from "../../../engine/tree/tree.js";
import { TreeCursor } from "../../../engine/tree/tree-cursor.js";
import { seedOfRun } from "../../support/random.js";
import { writeBranch, writeLeaf } from "../format/raw-file.js";
import { errorOf } from "../tx/database.js";
import { sorted, TreeStore } from "./store.js";

const seed = seedOfRun();
const PAGE_SIZE = 1024;
const VALUE = Buffer.from("value");

/** Keys in a few groups; those of a group share a prefix of up to 120 bytes, and groups may begin alike. */
const groupedKeys = fc.array(fc.tuple(fc.constantFrom("", "p", "shared", "shared-long", "shared-longer".repeat(9), "q".repeat(5), "q".repeat(120)),
  fc.array(fc.string({ maxLength: 12 }), { minLength: 1, maxLength: 120 })), { minLength: 1, maxLength: 5 })
  .map((groups) => groups.flatMap(([prefix, tails]) => tails.map((tail) => Buffer.from(`${prefix}${tail}.`))));

/** The key, its neighbours, and others that differ in the middle. */
function probesOf(key: Buffer): Buffer[] {
  const changedAt = (at: number, by: number): Buffer => {
    const copy = Buffer.from(key);
    copy[at] = (copy[at]! + by) & 0xff;
    return copy;
  };
  const middle = key.length >>> 1;
  return [key, key.subarray(0, middle), Buffer.concat([key, Buffer.of(0)]), ...[0, middle, key.length - 1].flatMap((at) => [changedAt(at, 1), changedAt(at, 255)])];
}

function assertFinds(tree: Tree, keys: readonly Buffer[], probes: readonly Buffer[]): void {
  const cursor = new TreeCursor(tree);
  for (const probe of probes) {
    const at = keys.findIndex((key) => Buffer.compare(key, probe) >= 0);
    const found = at < 0 ? undefined : keys[at];
    assert.equal(tree.lookup(probe), found?.equals(probe) === true, probe.toString("hex"));
    assert.equal(cursor.seek(probe), found !== undefined, probe.toString("hex"));
    if (found !== undefined) assert.deepEqual(Buffer.from(cursor.bytes.subarray(cursor.keyStart, cursor.keyStart + cursor.keySize)), found);
  }
}

test(`keys that share long prefixes are found and told apart, committed and while they are changed (SEED=${seed})`, () => {
  fc.assert(fc.property(groupedKeys, groupedKeys, fc.infiniteStream(fc.boolean()), (first, second, coins) => {
    const store = new TreeStore(PAGE_SIZE);
    const keys = sorted(first.map((key) => [key, VALUE])).map(([key]) => key);
    const tree = store.begin();
    for (const key of keys) tree.put(key, VALUE, 0);
    store.commit(tree);
    const probes = [...keys, ...second].flatMap(probesOf);
    assertFinds(store.read(), keys, probes);
    const changing = store.begin();
    const left = keys.filter((key) => coins.next().value || !changing.remove(key, 0));
    for (const key of second) changing.put(key, VALUE, 0);
    assertFinds(changing, sorted([...left, ...second].map((key) => [key, VALUE])).map(([key]) => key), probes);
    store.commit(changing);
  }), { seed, numRuns: 40 });
});

test("a leaf whose keys were all replaced by lesser ones is not searched by what its branch proves", () => {
  const store = new TreeStore(PAGE_SIZE);
  const keys = Array.from({ length: 200 }, (_, i) => Buffer.from(`prefix-of-all-${String(i).padStart(4, "0")}`));
  const filling = store.begin();
  for (const key of keys) filling.put(key, VALUE, 0);
  store.commit(filling);
  const tree = store.begin();
  for (const key of keys.slice(0, 10)) tree.remove(key, 0);
  for (let i = 10; i < 200 && tree.dirtyLeaf(tree.leafPage) !== undefined; i++) tree.remove(keys[i]!, 0);
  const lesser = [Buffer.from("a-other-prefix-0003"), Buffer.from("a-other-prefix-0005")];
  for (const key of lesser) tree.put(key, VALUE, 0);
  const now = sorted([...keys.filter((key) => tree.lookup(key)), ...lesser].map((key) => [key, VALUE])).map(([key]) => key);
  assertFinds(tree, now, [...keys, ...lesser].flatMap(probesOf));
  store.discard();
});

/** Pages made by hand: a branch with three leaves. */
function cacheOf(separators: readonly string[], leaves: readonly (readonly string[])[]): PageCache {
  const pages = new Map<number, Uint8Array>();
  const page = (pgid: number, write: (bytes: Uint8Array) => void): void => {
    const bytes = new Uint8Array(PAGE_SIZE);
    write(bytes);
    pages.set(pgid, bytes);
  };
  page(10, (bytes) => { writeBranch(bytes, 0, 10, separators.map((key, i) => [key, 11 + i])); });
  leaves.forEach((keys, i) => { page(11 + i, (bytes) => { writeLeaf(bytes, 0, 11 + i, keys.map((key) => ({ key, value: `value of ${key}` }))); }); });
  const cache = new PageCache(PAGE_SIZE, 0, { readPages: (pgid, target) => { target.set(pages.get(pgid)!); } });
  cache.highWaterMark = 20;
  return cache;
}

test("a branch proves the prefix of its keys for a key between two of them, and nothing before the first and behind the last", () => {
  const cache = cacheOf(["prefix-b", "prefix-d", "prefix-f"], []);
  const frame = cache.locate(10);
  const provedFor = (key: string, proved: number): [number, number] => {
    const result = searchPage(cache, frame, Buffer.from(key), 0);
    return [provedBelow(cache, frame, result, proved), branchChild(cache, frame, foundExact(result) ? foundIndex(result) : Math.max(0, foundIndex(result) - 1))];
  };
  assert.deepEqual(provedFor("prefix-a", 0), [0, 11]);
  assert.deepEqual(provedFor("prefix-b", 0), [7, 11]);
  assert.deepEqual(provedFor("prefix-c", 0), [7, 11]);
  assert.deepEqual(provedFor("prefix-e", 0), [7, 12]);
  assert.deepEqual(provedFor("prefix-f", 0), [0, 13]);
  assert.deepEqual(provedFor("zzz", 0), [0, 13]);
  assert.deepEqual(provedFor("prefix-c", 9), [9, 11], "what is proved above stays so");
});

test("a key of a damaged leaf that equals the one looked for but for its prefix is not given out for it", () => {
  const cache = cacheOf(["prefix-a", "prefix-m", "prefix-x"], [["prefix-a", "prefix-b"], ["other!-m", "other!-n"], ["prefix-x"]]);
  const tree = new Tree(cache, undefined, 10, undefined, 10);
  assert.equal(tree.lookup(Buffer.from("prefix-b")), true);
  assert.equal(tree.lookup(Buffer.from("prefix-n")), false);
  assert.match(errorOf(() => new TreeCursor(tree).seek(Buffer.from("prefix-n"))).message, /page 12: a key lies outside/);
});
