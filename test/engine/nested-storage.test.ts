/** A database whose storage is made of another one, which it looks into and changes each time a page is read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStorage, open, openMemory } from "../../engine/index.js";

const SMALL = { cacheSize: 0, pageSize: 1024 };
const KEY_COUNT = 9000;
const outerKey = (i: number): string => `key of the outer database ${String((i * 7919) % KEY_COUNT).padStart(8, "0")}`;
const valueOf = (i: number): string => `value ${i} `.repeat(25);
const innerKey = (i: number): string => `key of the inner database ${String(i % 500).padStart(8, "0")}`;

class IndexedStorage extends MemoryStorage {
  readonly #index = openMemory(SMALL);
  readCount = 0;

  constructor() {
    super();
    this.#index.update((tx) => {
      const bucket = tx.createBucket("index");
      for (let i = 0; i < 500; i++) bucket.put(innerKey(i), `place ${i}`);
    });
  }

  override read(target: Uint8Array, position: number): number {
    const i = this.readCount++;
    assert.ok(this.#index.view((tx) => tx.bucket("index")?.get(innerKey(i))) !== undefined);
    if (i % 3 === 0) this.#index.update((tx) => tx.bucket("index")?.put(innerKey(i), `place ${i}`.repeat(i % 5 + 1)));
    return super.read(target, position);
  }
}

test("a storage may look into another database while a page is read from it", () => {
  const storage = new IndexedStorage();
  const db = open("outer.db", { storage, ...SMALL });
  for (let first = 0; first < KEY_COUNT; first += 500) {
    db.update((tx) => {
      const bucket = tx.createBucketIfNotExists("b");
      for (let i = first; i < first + 500; i++) bucket.put(outerKey(i), valueOf(i));
    });
  }
  db.update((tx) => { for (let i = 0; i < KEY_COUNT; i += 3) tx.bucket("b")?.delete(outerKey(i)); });
  db.view((tx) => {
    const bucket = tx.bucket("b");
    for (let i = 0; i < KEY_COUNT; i++) assert.equal(bucket?.get(outerKey(i))?.toString(), i % 3 === 0 ? undefined : valueOf(i));
    assert.equal(bucket?.count(), KEY_COUNT - KEY_COUNT / 3);
    assert.deepEqual([...tx.check()], []);
  });
  db.close();
  assert.ok(storage.readCount > KEY_COUNT, "the cache is too small for these keys");
});
