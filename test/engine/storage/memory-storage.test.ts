/** What only the storage in memory does: sparse files, initial bytes, snapshots, a second life after close. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runInNewContext } from "node:vm";

import { MemoryStorage } from "../../../engine/storage/memory-storage.js";

test("a byte 4 TiB away costs a block, not 4 TiB", () => {
  const storage = new MemoryStorage();
  const before = process.memoryUsage().arrayBuffers;
  const position = 2 ** 42 - 1;
  storage.write([Uint8Array.of(1, 2)], position);
  assert.equal(storage.size(), 2 ** 42 + 1);
  const target = new Uint8Array(6).fill(9);
  assert.equal(storage.read(target, position - 2), 4);
  assert.deepEqual([...target], [0, 0, 1, 2, 9, 9]);
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20);
  storage.truncate(2 ** 42);
  storage.truncate(2 ** 43);
  storage.read(target, position);
  assert.deepEqual([...target], [1, 0, 0, 0, 0, 0]);
});

test("initial bytes and snapshots are copies", () => {
  const initial = Uint8Array.of(1, 2, 3);
  const storage = new MemoryStorage(initial);
  initial[0] = 9;
  const snapshot = storage.bytes();
  snapshot[1] = 9;
  assert.deepEqual([...storage.bytes()], [1, 2, 3]);
});

test("bytes to begin with that are none are a TypeError", () => {
  for (const wrong of [new ArrayBuffer(8), new Uint16Array(4), "hello world", [1, 2], null]) {
    assert.throws(() => new MemoryStorage(wrong as never), { name: "TypeError", message: /must be a Uint8Array/ });
  }
});

test("bytes of another realm are taken", () => {
  assert.equal(new MemoryStorage(runInNewContext("new Uint8Array(10)") as Uint8Array).size(), 10);
});

test("the content outlives close", () => {
  const storage = new MemoryStorage();
  storage.write([Uint8Array.of(5)], 0);
  storage.close();
  storage.close();
  assert.ok(storage.lock());
  assert.deepEqual([...storage.bytes()], [5]);
});

test("a write past the largest safe position is refused and changes nothing", () => {
  const storage = new MemoryStorage();
  assert.throws(() => storage.write([new Uint8Array(2)], Number.MAX_SAFE_INTEGER), RangeError);
  assert.equal(storage.size(), 0);
});
