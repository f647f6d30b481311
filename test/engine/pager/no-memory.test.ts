/** The system has no memory for another slab: the call that needs it fails with what the system says, and nothing is the worse for it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openMemory, type DB } from "../../../engine/index.js";

const KEY_COUNT = 20_000;
const keyOf = (i: number): string => String(i).padStart(8, "0");

/** Has no memory of a slab's size to be got while `work` runs. */
function withoutSlabs(work: () => void): void {
  const whole = Buffer.allocUnsafeSlow;
  let refusals = 0;
  Buffer.allocUnsafeSlow = (size) => {
    if (size < 1 << 20) return whole(size);
    refusals++;
    throw new RangeError("Array buffer allocation failed");
  };
  try {
    work();
  } finally {
    Buffer.allocUnsafeSlow = whole;
  }
  assert.ok(refusals > 0);
}

function filled(cacheSize: number): DB {
  const db = openMemory({ cacheSize });
  db.update((tx) => { for (let i = 0, bucket = tx.createBucket("b"); i < KEY_COUNT; i++) bucket.put(keyOf(i), Buffer.alloc(100, i)); });
  return db;
}

/** All is as it was put, and can be changed. */
function assertWell(db: DB): void {
  db.view((tx) => {
    for (let i = 0; i < KEY_COUNT; i++) assert.equal(tx.bucket("b")?.get(keyOf(i))?.[99], i % 256);
    assert.deepEqual([...tx.check()], []);
  });
  db.update((tx) => { for (let i = 0; i < KEY_COUNT; i++) tx.bucket("b")?.put(keyOf(i), Buffer.alloc(200, i)); });
  assert.deepEqual(db.view((tx) => [...tx.check()]), []);
  db.close();
}

test("a put that needs more memory than there is fails, its transaction leaves no trace, and the next one goes on", () => {
  const db = filled(1 << 26);
  withoutSlabs(() => {
    const put = (): void => db.update((tx) => { for (let i = 0; i < 3 * KEY_COUNT; i++) tx.bucket("b")?.put(keyOf(i), Buffer.alloc(200)); });
    assert.throws(put, { name: "RangeError", message: /no memory for 1048576 bytes/ });
  });
  assertWell(db);
});

test("where views have taken half a slab and there is no other memory for it, reading goes on with what is left", () => {
  const db = filled(1 << 20);
  withoutSlabs(() => {
    db.view((tx) => {
      const views: Uint8Array[] = [];
      try {
        for (let i = 0; i < KEY_COUNT; i++) views.push(tx.bucket("b")!.getView(keyOf((i * 7919) % KEY_COUNT))!);
      } catch (error) {
        assert.ok(error instanceof RangeError && /no memory for 1048576 bytes/.test(error.message), String(error));
      }
      assert.ok(views.length > 100);
      views.forEach((view, i) => { assert.equal(view[99], ((i * 7919) % KEY_COUNT) % 256); });
    });
  });
  assertWell(db);
});

test("a put for which there is no memory, caught, is one that was not made: the transaction can be committed", () => {
  const db = filled(1 << 26);
  db.update((tx) => {
    const bucket = tx.bucket("b")!;
    bucket.put("before", "1");
    withoutSlabs(() => assert.throws(() => bucket.put("large", Buffer.alloc(3 << 20)), { name: "RangeError", message: /no memory for/ }));
    bucket.put("after", "2");
  });
  db.update((tx) => {
    assert.deepEqual(["before", "large", "after"].map((key) => tx.bucket("b")?.get(key)?.toString()), ["1", undefined, "2"]);
    for (const key of ["before", "after"]) tx.bucket("b")!.delete(key);
  });
  assertWell(db);
});

test("a put over the only element of a page, for which there is no memory, leaves that element", () => {
  const db = filled(1 << 26);
  db.update((tx) => tx.createBucket("of one").put("key", Buffer.alloc(2000, 1)));
  db.update((tx) => {
    const bucket = tx.bucket("of one")!;
    bucket.put("key", Buffer.alloc(3000, 2));
    withoutSlabs(() => assert.throws(() => bucket.put("key", Buffer.alloc(3 << 20)), { name: "RangeError", message: /no memory for/ }));
    assert.deepEqual(bucket.get("key"), Buffer.alloc(3000, 2));
  });
  db.view((tx) => assert.deepEqual(tx.bucket("of one")?.get("key"), Buffer.alloc(3000, 2)));
  db.update((tx) => tx.deleteBucket("of one"));
  assertWell(db);
});

test("a cursor gives what was put last, where a put before that had found no memory", () => {
  const db = filled(1 << 26);
  db.update((tx) => {
    const bucket = tx.bucket("b")!;
    bucket.put(keyOf(1), Buffer.alloc(100, 1));
    const cursor = bucket.cursor();
    cursor.seek(keyOf(1));
    withoutSlabs(() => assert.throws(() => bucket.put(keyOf(3), Buffer.alloc(3 << 20)), { name: "RangeError", message: /no memory for/ }));
    bucket.put(keyOf(2), Buffer.alloc(100, 7));
    assert.equal(cursor.next()?.value?.[99], 7);
    bucket.put(keyOf(2), Buffer.alloc(100, 2));
  });
  assertWell(db);
});
