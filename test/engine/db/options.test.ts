/** Options of open: each that is none is a TypeError which names it and leaves no file behind; each that is one works. */
import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { test } from "node:test";
import type { DB, OpenOptions } from "../../../engine/index.js";
import { MemoryStorage, open, openMemory } from "../../../engine/index.js";
import { tempPath } from "../../support/temp.js";
import { boltError, requireBucket } from "../tx/database.js";

/** Opens with arguments that the types would not let pass. */
function openWith(...args: readonly unknown[]): DB {
  return Reflect.apply(open, undefined, args);
}

const WRONG: Readonly<Record<keyof OpenOptions, readonly unknown[]>> = {
  readOnly: [1, "true", null, {}],
  timeout: [-1, NaN, "5", null, 5n],
  noSync: [0, "yes", null],
  noFreelistSync: [0, null],
  noGrowSync: [0, null],
  pageSize: [0, 512, 1000, 1025, 131_072, -4096, 4096.5, NaN, Infinity, "4096", null, 4096n],
  mode: [-1, 0o10000, 1.5, NaN, "0600", null],
  maxSize: [-1, NaN, "1", null],
  cacheSize: [-1, NaN, "1", null],
  strict: [1, null],
  lock: ["shared", "", true, null],
  durability: ["none", "", 1, null],
  storage: [null, 5, "file", {}, { close: () => undefined }],
};

test("an option of another type or out of range is a TypeError that names it, and no file is made", () => {
  const path = tempPath("wrong.db");
  for (const [name, values] of Object.entries(WRONG)) {
    for (const value of values) {
      assert.throws(() => openWith(path, { [name]: value }), { name: "TypeError", message: new RegExp(`\\b${name}\\b`) }, `${name}: ${String(value)}`);
    }
  }
  assert.equal(existsSync(path), false);
});

test("an option that does not exist is a TypeError that names those that do", () => {
  for (const name of ["readonly", "ReadOnly", "page_size", "", "toString", "constructor", "hasOwnProperty"]) {
    assert.throws(() => openWith("x.db", { [name]: true }), { name: "TypeError", message: /cacheSize/ }, name);
  }
});

test("options must be an object, the path a string that is not empty", () => {
  for (const wrong of [null, 5, "readOnly", true]) assert.throws(() => openWith("x.db", wrong), TypeError, String(wrong));
  for (const wrong of ["", undefined, null, 5, {}, Buffer.from("x.db")]) assert.throws(() => openWith(wrong), TypeError, String(wrong));
});

test("a database in memory is new and has no file, so it takes no option that is about one", () => {
  for (const options of [{ readOnly: true }, { storage: new MemoryStorage() }, { lock: "flock" }, { timeout: 1 }, { mode: 0o600 }]) {
    assert.throws(() => Reflect.apply(openMemory, undefined, [options]), { name: "TypeError", message: /in memory/ });
  }
  for (const options of [null, 5]) assert.throws(() => Reflect.apply(openMemory, undefined, [options]), TypeError);
  openMemory({ pageSize: 1024 }).close();
});

test("what an object of options has inherited counts as its own", () => {
  class Settings {
    get pageSize(): number {
      return 1024;
    }
  }
  for (const options of [new Settings(), Object.create({ pageSize: 1024 }) as object]) {
    const db = openMemory(options);
    assert.equal(db.pageSize, 1024);
    db.close();
  }
});

test("undefined stands for the default", () => {
  const names = Object.keys(WRONG).filter((name) => name !== "storage");
  const db = openWith("test.db", { ...Object.fromEntries(names.map((name) => [name, undefined])), storage: new MemoryStorage() });
  assert.equal(db.pageSize, 4096);
  assert.equal(db.readOnly, false);
  db.close();
});

test("pageSize counts for a new file only, every power of two from 1 KiB to 64 KiB", () => {
  for (let pageSize = 1024; pageSize <= 65_536; pageSize *= 2) {
    const storage = new MemoryStorage();
    const db = open("test.db", { storage, pageSize });
    assert.equal(db.pageSize, pageSize);
    db.update((tx) => tx.createBucket("bucket").put("key", Buffer.alloc(3 * pageSize)));
    db.close();
    const again = open("test.db", { storage, pageSize: pageSize === 1024 ? 2048 : 1024 });
    assert.equal(again.pageSize, pageSize);
    assert.equal(again.view((tx) => requireBucket(tx.bucket("bucket")).get("key")?.length), 3 * pageSize);
    again.close();
  }
});

test("mode -0 is 0", () => {
  const path = tempPath("mode.db");
  assert.throws(() => {
    open(path, { mode: -0 }).close();
    // Root may read a file that nobody may.
    open(path, { mode: -0 }).close();
    throw Object.assign(new Error(), { code: "IO" });
  }, { code: "IO" });
  assert.equal(statSync(path).mode & 0o777, process.platform === "win32" ? 0o444 : 0);
});

test("mode is that of a new file", () => {
  for (const [mode, expected] of [[undefined, 0o600], [0o640, 0o640], [0o600, 0o600]] as const) {
    const path = tempPath("mode.db");
    open(path, { mode }).close();
    assert.equal(statSync(path).mode & 0o777, expected & ~process.umask());
  }
});

test("a missing file opened read-only is an IO error with the system's, and none is made", () => {
  const path = tempPath("missing.db");
  assert.throws(() => open(path, { readOnly: true }), (error: Error) => {
    assert.deepEqual({ name: error.name, code: Reflect.get(error, "code") }, { name: "BoltError", code: "IO" });
    assert.equal((error.cause as NodeJS.ErrnoException).code, "ENOENT");
    return error.message.includes(path);
  });
  assert.equal(existsSync(path), false);
});

test("timeout is how long the lock is waited for", (t) => {
  const path = tempPath("locked.db");
  const first = open(path);
  let waited = 0;
  const { wait } = Atomics;
  t.mock.method(Atomics, "wait", (array: Int32Array, index: number, value: number, ms: number) => {
    waited += ms;
    return wait(array, index, value, ms);
  });
  for (const [timeout, atLeast] of [[0, 0], [120, 115]] as const) {
    const start = performance.now();
    waited = 0;
    assert.throws(() => open(path, { timeout }), boltError("TIMEOUT", /^timeout/));
    const elapsed = performance.now() - start;
    // Each try starts a program, which takes a busy machine as long as it will: only the waiting between them has an upper end.
    assert.ok(elapsed >= atLeast && waited <= timeout, `${elapsed} ms, ${waited} of them asleep, for ${timeout}`);
  }
  first.close();
  open(path).close();
});

test("read-only openings share a file and keep writers out", () => {
  const path = tempPath("shared.db");
  open(path).close();
  const readers = [open(path, { readOnly: true }), open(path, { readOnly: true })];
  assert.throws(() => open(path), boltError("TIMEOUT", /^timeout/));
  for (const reader of readers) reader.close();
  open(path).close();
});

test("a freelist that is not stored is found again, and an opening without the option stores it by a commit", () => {
  const storage = new MemoryStorage();
  const first = open("test.db", { storage, noFreelistSync: true });
  first.update((tx) => tx.createBucket("bucket").put("key", Buffer.alloc(100_000)));
  first.update((tx) => tx.deleteBucket("bucket"));
  const id = first.view((tx) => tx.id);
  const { freePageN, pendingPageN } = first.stats();
  first.close();
  const unstored = open("test.db", { storage, noFreelistSync: true });
  assert.equal(unstored.view((tx) => tx.id), id);
  assert.equal(unstored.stats().freePageN + unstored.stats().pendingPageN, freePageN + pendingPageN);
  unstored.close();
  const stored = open("test.db", { storage });
  assert.equal(stored.view((tx) => tx.id), id + 1n);
  assert.deepEqual(stored.view((tx) => [...tx.check()]), []);
  stored.close();
});

test("cacheSize 0 works: what is needed at one time is kept all the same", () => {
  const db = openMemory({ cacheSize: 0 });
  db.update((tx) => { for (let i = 0, bucket = tx.createBucket("bucket"); i < 20_000; i++) bucket.put(`key ${i}`, `value ${i}`); });
  db.view((tx) => {
    const bucket = requireBucket(tx.bucket("bucket"));
    for (let i = 0; i < 20_000; i += 7) assert.equal(bucket.get(`key ${i}`)?.toString(), `value ${i}`);
  });
  db.close();
});
