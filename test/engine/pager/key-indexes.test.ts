/** Places of key indexes: whatever moves, an index keeps what stands in it, and a slab never takes more than the longest indexes would. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { INDEX_KEYS } from "../../../engine/format/page-index.js";
import { KeyIndexes } from "../../../engine/pager/key-indexes.js";
import { seedOfRun } from "../../support/random.js";

const seed = seedOfRun();
const PAGE_SIZE = 1024;
const SLOTS = 16;
/** No page of that size has more keys. */
const MOST_KEYS = PAGE_SIZE / 16;

test(`an index keeps its words while others come, grow and move (SEED=${seed})`, () => {
  const request = fc.record({ slab: fc.nat(2), slot: fc.nat(SLOTS - 1), keyCount: fc.nat(MOST_KEYS) });
  fc.assert(fc.property(fc.array(request, { maxLength: 300, size: "max" }), (requests) => {
    const indexes = new KeyIndexes(SLOTS, PAGE_SIZE);
    for (const slab of [0, 1, 2]) indexes.add(slab);
    const model = new Map<string, readonly number[]>();
    let stamp = 1;
    const check = (slab: number, slot: number): void => {
      const words = model.get(`${slab} ${slot}`) ?? [];
      const at = indexes.slabs[slab]![slot]!;
      assert.deepEqual([...indexes.slabs[slab]!.subarray(at, at + words.length)], words, `slot ${slot} of slab ${slab}`);
    };
    for (const { slab, slot, keyCount } of requests) {
      const at = indexes.reserve(slab, slot, keyCount);
      assert.equal(at, indexes.slabs[slab]![slot]);
      check(slab, slot);
      const words = Array.from({ length: INDEX_KEYS + keyCount }, () => stamp++);
      indexes.slabs[slab]!.set(words, at);
      model.set(`${slab} ${slot}`, words);
      assert.ok(indexes.slabs[slab]!.byteLength <= indexes.largestSlabSize, `${indexes.slabs[slab]!.byteLength} bytes`);
    }
    for (const slab of [0, 1, 2]) for (let slot = 0; slot < SLOTS; slot++) check(slab, slot);
    assert.equal(indexes.memorySize, indexes.slabs.reduce((sum, { byteLength }) => sum + byteLength, 0));
  }), { seed, numRuns: 100 });
});

test("an index that grows key by key moves seldom, and its place serves shorter ones", () => {
  const indexes = new KeyIndexes(SLOTS, PAGE_SIZE);
  indexes.add(0);
  const places = new Set<number>();
  for (let keyCount = 0; keyCount <= MOST_KEYS; keyCount++) places.add(indexes.reserve(0, 3, keyCount));
  assert.ok(places.size <= 8, `${places.size} places`);
  const at = indexes.reserve(0, 3, MOST_KEYS);
  assert.equal(indexes.reserve(0, 3, 1), at);
});

test("a slab takes about as much as its indexes need, and a new one as much as the others", () => {
  const indexes = new KeyIndexes(256, 4096);
  for (let slab = 0; slab < 4; slab++) {
    indexes.add(slab);
    for (let slot = 0; slot < 256; slot++) indexes.reserve(slab, slot, 28);
  }
  const needed = 4 * 256 * 4 * (1 + INDEX_KEYS + 28);
  assert.ok(indexes.memorySize <= 2 * needed, `${indexes.memorySize} bytes for ${needed}`);
  for (let slot = 0; slot < 256; slot++) indexes.reserve(1, slot, 255);
  assert.ok(indexes.slabs[1]!.byteLength <= indexes.largestSlabSize);
  const { memorySize, slabSize } = indexes;
  indexes.add(4);
  assert.equal(indexes.memorySize, memorySize + slabSize);
  assert.ok(Math.abs(slabSize - memorySize / 4) <= 4, `${slabSize} bytes`);
});

test("more keys than a page can have get the place of the longest index, and no more", () => {
  const indexes = new KeyIndexes(SLOTS, PAGE_SIZE);
  indexes.add(0);
  const at = indexes.reserve(0, 0, 65_535);
  assert.ok(indexes.slabs[0]![at - 1]! >= INDEX_KEYS + MOST_KEYS);
  assert.ok(indexes.memorySize <= indexes.largestSlabSize);
});

test("what slabs took is given back with them; those of large pages are not counted", () => {
  const indexes = new KeyIndexes(SLOTS, PAGE_SIZE);
  indexes.add(0);
  const { memorySize } = indexes;
  indexes.addLarge(1);
  assert.equal(indexes.setLarge(1, 1000), indexes.slabs[1]![0]);
  assert.ok(indexes.slabs[1]!.length >= 1 + INDEX_KEYS + 1000);
  assert.equal(indexes.memorySize, memorySize);
  indexes.add(2);
  indexes.remove(2);
  indexes.remove(1);
  assert.equal(indexes.memorySize, memorySize);
  indexes.remove(0);
  assert.equal(indexes.memorySize, 0);
});
