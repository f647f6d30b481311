/** The memory of a write transaction: what is taken, what is given up before its end, and what is kept for the next one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bucket, openMemory } from "../../../engine/index.js";
import { Arena } from "../../../engine/tree/arena.js";
import { Random, seedOfRun } from "../../support/random.js";
import { requireBucket } from "../tx/database.js";

const seed = seedOfRun();
const PAGE_SIZE = 4096;
const KEY = Buffer.from("key");

function stored(arena: Arena, value: Uint8Array): { readonly source: number; readonly offset: number } {
  arena.store(KEY, value);
  return { source: arena.source, offset: arena.offset };
}

function valueAt(arena: Arena, { source, offset }: { readonly source: number; readonly offset: number }, size: number): Buffer {
  return Buffer.from(arena.sources[source]!.subarray(offset + KEY.length, offset + KEY.length + size));
}

test("keys and values of any size are where store says", () => {
  for (const pageSize of [1024, PAGE_SIZE, 65_536]) {
    const arena = new Arena(pageSize);
    const values = [0, 1, 41, 5000, 65_532, 65_533, 65_536, 300_000].map((size, i) => Buffer.alloc(size, i + 1));
    const places = values.map((value) => stored(arena, value));
    for (const [i, value] of values.entries()) assert.deepEqual(valueAt(arena, places[i]!, value.length), value);
  }
});

test("a large value that is forgotten takes no memory; others stay, and so does a view of it", () => {
  const arena = new Arena(PAGE_SIZE);
  const small = stored(arena, Buffer.alloc(100, 1));
  const large = stored(arena, Buffer.alloc(1 << 20, 2));
  const other = stored(arena, Buffer.alloc(1 << 20, 3));
  const view = arena.sources[large.source]!.subarray(large.offset + KEY.length, large.offset + KEY.length + 10);
  arena.forget(small.source);
  arena.forget(large.source);
  assert.equal(arena.sources[large.source]!.length, 0);
  assert.equal(arena.leafPage(large.source), undefined);
  assert.deepEqual(valueAt(arena, small, 100), Buffer.alloc(100, 1));
  assert.deepEqual(valueAt(arena, other, 1 << 20), Buffer.alloc(1 << 20, 3));
  const next = stored(arena, Buffer.alloc(1 << 20, 4));
  assert.deepEqual(valueAt(arena, next, 1 << 20), Buffer.alloc(1 << 20, 4));
  assert.deepEqual(Buffer.from(view), Buffer.alloc(10, 2));
  arena.reset();
  assert.deepEqual(Buffer.from(view), Buffer.alloc(10, 2));
});

test("values of some KiB that are forgotten take no memory beyond the chunks that are kept", () => {
  const arena = new Arena(PAGE_SIZE);
  const kept = Array.from({ length: 1000 }, (_, i) => stored(arena, Buffer.alloc(10_000, i)));
  for (const { source } of kept.slice(1)) arena.forget(source);
  let size = 0;
  for (const { length } of new Set(arena.sources)) size += length;
  assert.ok(size < 5 << 20, `${size} bytes`);
  assert.deepEqual(valueAt(arena, kept[0]!, 10_000), Buffer.alloc(10_000, 0));
});

test("a value that is replaced again and again beside keys that stay takes the memory of one", () => {
  for (const size of [20, 900, 4000, 60_000]) {
    const arena = new Arena(PAGE_SIZE);
    for (let i = 0; i < 1000; i++) arena.store(KEY, Buffer.alloc(5000, i));
    const cold: ReturnType<typeof stored>[] = [];
    let hot = stored(arena, Buffer.alloc(size));
    for (let i = 0; i < 20_000_000 / size; i++) {
      if (i % 100 === 0) cold.push(stored(arena, Buffer.alloc(20, i)));
      const before = hot.source;
      arena.store(KEY, Buffer.alloc(size, i), true);
      arena.forget(before);
      hot = { source: arena.source, offset: arena.offset };
    }
    let byteCount = 0;
    for (const { length } of new Set(arena.sources)) byteCount += length;
    assert.ok(byteCount < 8 << 20, `${byteCount} bytes for values of ${size}`);
    for (const [i, place] of cold.entries()) assert.deepEqual(valueAt(arena, place, 20), Buffer.alloc(20, i * 100));
  }
});

test("so does one of a bucket", () => {
  const db = openMemory();
  db.update((tx) => {
    const bucket = tx.createBucket("b");
    for (let i = 0; i < 4000; i++) bucket.put(`filler ${i}`, Buffer.alloc(2000));
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 50_000; i++) {
      bucket.put(`cold ${i}`, "");
      bucket.put("hot", Buffer.alloc(4000, i));
    }
    // 200 MB were put. Some of it waits for the garbage collector.
    assert.ok(process.memoryUsage().arrayBuffers - before < 100 << 20);
  });
  db.close();
});

test(`values of all sizes, forgotten in any order, take memory as those do that are left (SEED=${seed})`, () => {
  const random = new Random(seed);
  const arena = new Arena(PAGE_SIZE);
  const left = new Map<number, { readonly place: { readonly source: number; readonly offset: number }; readonly value: Buffer }>();
  for (let i = 0; i < 60_000; i++) {
    const slot = random.below(300);
    arena.forget(left.get(slot)?.place.source ?? -1);
    const value = Buffer.alloc(random.below(i % 500 === 0 ? 100_000 : 3000), i % 251);
    left.set(slot, { place: stored(arena, value), value });
  }
  for (const { place, value } of left.values()) assert.deepEqual(valueAt(arena, place, value.length), value);
  let size = 0;
  for (const { length } of new Set(arena.sources)) size += length;
  // 90 MB were put, half a megabyte is left; sixteen chunks stay in any case.
  assert.ok(size < 14 << 20, `${size} bytes`);
});

for (const [what, change] of [
  ["overwritten", (bucket, value) => bucket.put("k", value)],
  ["put and deleted", (bucket, value) => { bucket.put("k", value); bucket.delete("k"); }],
] as readonly [string, (bucket: Bucket, value: Buffer) => void][]) {
  test(`a large value ${what} a hundred times in a transaction takes the memory of one`, () => {
    const db = openMemory({ cacheSize: 0 });
    db.update((tx) => tx.createBucket("b").put("other", Buffer.alloc(100)));
    db.update((tx) => {
      const bucket = requireBucket(tx.bucket("b"));
      const before = process.memoryUsage().arrayBuffers;
      const values = [1, 2].map((byte) => Buffer.alloc(4 << 20, byte));
      let most = 0;
      for (let i = 0; i < 100; i++) {
        change(bucket, values[i % 2]!);
        most = Math.max(most, process.memoryUsage().arrayBuffers - before);
      }
      bucket.put("k", values[1]!);
      // Some wait for the garbage collector, which counts them.
      assert.ok(most < 200 << 20, `${most >> 20} MiB`);
      assert.deepEqual(bucket.get("k"), values[1]);
    });
    db.view((tx) => assert.deepEqual([...tx.check()], []));
    db.close();
  });
}
