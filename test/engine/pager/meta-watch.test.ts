/** Live read: whatever a writer does to a meta page between two looks is noticed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStorage, open } from "../../../engine/index.js";
import { META_SIZE } from "../../../engine/format/meta.js";
import { initialise, readMetaSlots } from "../../../engine/pager/meta-pages.js";
import { MetaWatch } from "../../../engine/pager/meta-watch.js";

const PAGE_SIZE = 4096;

function newStorage(): MemoryStorage {
  const storage = new MemoryStorage();
  initialise(storage, PAGE_SIZE);
  return storage;
}

test("both metas are noted as they are", () => {
  const storage = newStorage();
  assert.deepEqual(new MetaWatch(storage, PAGE_SIZE).slots, readMetaSlots(storage));
});

test("a change of any byte of either meta is seen, torn or whole, and so is changing it back", () => {
  const storage = newStorage();
  const watch = new MetaWatch(storage, PAGE_SIZE);
  for (const page of [0, 1]) {
    for (let i = 0; i < META_SIZE; i++) {
      const byte = new Uint8Array(1);
      storage.read(byte, page * PAGE_SIZE + i);
      storage.write([byte.map((value) => value ^ 1)], page * PAGE_SIZE + i);
      assert.equal(watch.isUnmoved(), false, `byte ${i} of meta page ${page}`);
      storage.write([byte], page * PAGE_SIZE + i);
      assert.equal(watch.isUnmoved(), true);
    }
  }
});

test("writes elsewhere do not count: other pages, and what stands behind meta and manifest on their page", () => {
  const storage = newStorage();
  const watch = new MetaWatch(storage, PAGE_SIZE);
  for (const position of [128, PAGE_SIZE - 16, PAGE_SIZE + 128, 2 * PAGE_SIZE, 9 * PAGE_SIZE]) storage.write([Buffer.from("x")], position);
  assert.ok(watch.isUnmoved());
});

test("every commit moves it, and closing does not", () => {
  const storage = newStorage();
  const writer = open("x", { storage });
  for (let i = 0; i < 4; i++) {
    const watch = new MetaWatch(storage, PAGE_SIZE);
    assert.ok(watch.isUnmoved());
    writer.update((tx) => { tx.createBucketIfNotExists("b").put("k", `${i}`); });
    assert.ok(!watch.isUnmoved());
  }
  const last = new MetaWatch(storage, PAGE_SIZE);
  writer.close();
  assert.ok(last.isUnmoved());
});

test("a file that is cut has moved, and a meta that is not there is invalid", () => {
  const storage = newStorage();
  const watch = new MetaWatch(storage, PAGE_SIZE);
  storage.truncate(PAGE_SIZE);
  assert.ok(!watch.isUnmoved());
  const [meta0, meta1] = new MetaWatch(storage, PAGE_SIZE).slots;
  assert.deepEqual([typeof meta0, typeof meta1], ["object", "string"]);
});
