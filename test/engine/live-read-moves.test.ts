/** Live read while the writer does what moves pages, metas and the end of the file: right values, or STALE_SNAPSHOT, never damage that is none. */
import assert from "node:assert/strict";
import { type closeSync, mkdirSync, readFileSync, renameSync, rmSync, truncateSync, unlinkSync, writeFileSync } from "node:fs";
import { createRequire, syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { type DB, MemoryStorage, open, type ReadTx } from "../../engine/index.js";
import { tempFolder, tempPath } from "../support/temp.js";

const keyOf = (i: number): string => String(i).padStart(6, "0");
const stale = { code: "STALE_SNAPSHOT" };

function put(db: DB, count: number, byte: number): void {
  db.update((tx) => { for (let i = 0, bucket = tx.createBucketIfNotExists("b"); i < count; i++) bucket.put(keyOf(i), Buffer.alloc(300, byte)); });
}

/** Deletes nearly all and makes the file smaller. */
function cut(db: DB): void {
  db.update((tx) => { for (let i = 10; i < 2000; i++) tx.bucket("b")?.delete(keyOf(i)); });
  const { sizeBefore, sizeAfter } = db.shrink();
  assert.ok(sizeAfter < sizeBefore / 4);
}

/** Memory whose size is asked for at a chosen moment. */
class WatchedStorage extends MemoryStorage {
  beforeSize: (() => void) | undefined;

  override size(): number {
    this.beforeSize?.();
    return super.size();
  }
}

for (const durability of ["two-sync", "one-sync"] as const) {
  test(`a snapshot of a commit that failed is none of the one that follows it under the same number, ${durability}`, () => {
    const storage = new MemoryStorage();
    const writer = open("live.db", { storage, durability });
    for (const byte of [1, 2, 3]) put(writer, 40, byte);
    const reader = open("live.db", { storage, readOnly: true, lock: "none", cacheSize: 0 });
    let tx: ReturnType<typeof reader.begin> | undefined;
    const write = storage.write.bind(storage);
    storage.write = (chunks, position) => {
      write(chunks, position);
      if (position >= 2 * 4096 || tx !== undefined) return;
      // The meta stands in the file, and a reader looks before it is taken back.
      tx = reader.begin();
      assert.equal(tx.bucket("b")?.get(keyOf(0))?.[0], 100);
      throw new Error("EIO");
    };
    assert.throws(() => put(writer, 40, 100), { code: "IO" });
    put(writer, 40, 200);
    assert.equal(writer.view(({ id }) => id), tx?.id, "both have the same number");
    assert.throws(() => tx?.bucket("b")?.get(keyOf(39)), stale);
    assert.equal(reader.view((next) => next.bucket("b")?.get(keyOf(39))?.[0]), 200);
    for (const db of [reader, writer]) db.close();
  });
}

for (const noFreelistSync of [false, true]) {
  test(`after the writer has cut the file an older snapshot is stale in all that it is asked, freelist ${noFreelistSync ? "not " : ""}stored`, async () => {
    const storage = new MemoryStorage();
    const writer = open("cut.db", { storage, noFreelistSync });
    put(writer, 2000, 1);
    const reader = open("cut.db", { storage, readOnly: true, lock: "none" });
    const older = reader.begin();
    cut(writer);
    const newer = reader.begin();
    assert.throws(() => [...older.check()], stale);
    assert.throws(() => older.page(170), stale);
    assert.throws(() => older.copyTo(tempPath("stale.db")), stale);
    assert.throws(() => older.bucket("b")?.get(keyOf(1999)), stale);
    assert.deepEqual([...newer.check()], []);
    await reader.backup(tempPath("fresh.db"));
    for (const db of [reader, writer]) db.close();
  });
}

test("a view whose function catches what a stale snapshot throws, or throws another error for it, runs again", () => {
  const storage = new MemoryStorage();
  const writer = open("caught.db", { storage });
  put(writer, 2000, 1);
  const openReader = (): DB => open("caught.db", { storage, readOnly: true, lock: "none" });
  for (const handle of [(): void => undefined, (cause: unknown): void => { throw new Error("cannot load", { cause }); }]) {
    const reader = openReader();
    let runs = 0;
    const count = reader.view((tx) => {
      runs++;
      let found = 0;
      for (let i = 0; i < 2000; i++) {
        if (i === 500 && runs === 1) put(writer, 1, 2);
        try { if (tx.bucket("b")?.get(keyOf(i)) !== undefined) found++; } catch (error) { handle(error); }
      }
      return found;
    });
    assert.deepEqual([runs, count], [2, 2000]);
    reader.close();
  }
  const reader = openReader();
  // A page that was refused to a view inside is no matter of the one around it, if that has read all it wanted.
  let [outer, inner] = [0, 0];
  assert.equal(reader.view((around) => {
    outer++;
    around.bucket("b")?.get(keyOf(0));
    return reader.view((tx) => {
      if (inner++ === 0) put(writer, 1, 4);
      return tx.bucket("b")?.get(keyOf(1000))?.[0];
    });
  }), 1);
  assert.deepEqual([outer, inner], [1, 2]);
  let runs = 0;
  assert.throws(() => reader.view((tx) => {
    runs++;
    tx.bucket("b")?.get(keyOf(0));
    put(writer, 1, 3);
    try { tx.bucket("b")?.get(keyOf(1999)); } catch { return "incomplete"; }
    return "whole";
  }), stale);
  assert.equal(runs, 100);
  for (const db of [reader, writer]) db.close();
});

test("a view that was refused a page says nothing of later ones: the file may be again what it was", () => {
  const path = tempPath("again.db");
  const writer = open(path, { noSync: true });
  put(writer, 2000, 1);
  writer.close();
  const bytes = readFileSync(path);
  const reader = open(path, { readOnly: true, lock: "none" });
  assert.throws(() => reader.view((tx) => {
    writeFileSync(path, "");
    return tx.bucket("b")?.get(keyOf(1000));
  }));
  writeFileSync(path, bytes);
  let runs = 0;
  assert.equal(reader.view((tx) => {
    runs++;
    return tx.bucket("b")?.get(keyOf(1000))?.[0];
  }), 1);
  assert.equal(runs, 1);
  reader.close();
});

test("a file that is cut while a snapshot is taken of it is no damaged one", () => {
  for (let nth = 1; nth <= 6; nth++) {
    const storage = new WatchedStorage();
    const writer = open("size.db", { storage });
    put(writer, 2000, 1);
    let left = nth;
    storage.beforeSize = () => {
      if (--left > 0) return;
      storage.beforeSize = undefined;
      cut(writer);
    };
    const reader = open("size.db", { storage, readOnly: true, lock: "none" });
    for (let i = 0; i < 4; i++) assert.equal(reader.view((tx) => tx.bucket("b")?.get(keyOf(5))?.[0]), 1);
    storage.beforeSize = undefined;
    put(writer, 2000, 2);
    assert.equal(reader.view((tx) => tx.bucket("b")?.get(keyOf(5))?.[0]), 2);
    for (const db of [reader, writer]) db.close();
  }
});

/** Memory in which something happens before operations of a reader, counted from 1. */
class EventfulStorage extends MemoryStorage {
  #count = 0;
  #events = new Map<number, () => void>();

  /** Gives how many operations the work made. */
  during(work: () => void, events: ReadonlyMap<number, () => void> = new Map()): number {
    this.#count = 0;
    this.#events = new Map(events);
    work();
    this.#events.clear();
    return this.#count;
  }

  override size(): number {
    this.#next();
    return super.size();
  }

  override read(target: Uint8Array, position: number): number {
    this.#next();
    return super.read(target, position);
  }

  #next(): void {
    const count = ++this.#count;
    const event = this.#events.get(count);
    if (event === undefined) return;
    // What it does itself does not count.
    this.#count = -Infinity;
    event();
    this.#count = count;
  }
}

test("a file that grows by a commit and is cut again is no damaged one, wherever in an opening and a view that happens", () => {
  let pairs = 0;
  for (const isOpenBefore of [false, true]) {
    let operationCount = 2;
    for (let first = 1; first < operationCount; first++) {
      for (let second = first + 1; second <= operationCount; second++) {
        const storage = new EventfulStorage();
        const writer = open("grown.db", { storage });
        put(writer, 10, 1);
        const openReader = (): DB => open("grown.db", { storage, readOnly: true, lock: "none" });
        let reader = isOpenBefore ? openReader() : undefined;
        reader?.view((tx) => tx.id);
        put(writer, 10, 2);
        const read = (): void => {
          reader ??= openReader();
          assert.equal(reader.view((tx) => tx.bucket("b")?.get(keyOf(5))?.[0]), 2);
        };
        operationCount = storage.during(read, new Map([
          [first, () => writer.update((tx) => tx.bucket("b")?.put("large", Buffer.alloc(1_000_000)))],
          [second, () => {
            writer.update((tx) => tx.bucket("b")?.delete("large"));
            for (let i = 0; i < 3; i++) put(writer, 10, 2);
            writer.shrink();
          }],
        ]));
        assert.deepEqual(reader?.view((tx) => [...tx.check()]), []);
        for (const db of [reader, writer]) db?.close();
        pairs++;
      }
    }
  }
  assert.ok(pairs > 20, `${pairs} pairs`);
});

test("a file that was cut and is whole again has no problem, though a view of it failed meanwhile", () => {
  const path = tempPath("whole-again.db");
  const writer = open(path);
  put(writer, 200, 1);
  writer.close();
  const bytes = readFileSync(path);
  const reader = open(path, { readOnly: true, lock: "none" });
  reader.view((tx) => tx.id);
  truncateSync(path, 100);
  assert.throws(() => reader.view((tx) => tx.id), { code: "CORRUPT" });
  writeFileSync(path, bytes);
  assert.deepEqual(reader.view((tx) => [...tx.check()]), []);
  reader.close();
});

test("a read that fails is IO, whatever it was for", () => {
  const storage = new MemoryStorage();
  const writer = open("io.db", { storage, noFreelistSync: true });
  put(writer, 200, 1);
  const reader = open("io.db", { storage, readOnly: true, lock: "none" });
  const tx = reader.begin();
  const { read } = storage;
  storage.read = () => { throw new Error("EIO"); };
  assert.throws(() => [...tx.check()], { code: "IO", message: /EIO/ });
  assert.throws(() => tx.bucket("b")?.get(keyOf(0)), { code: "IO", message: /EIO/ });
  storage.read = read;
  tx.rollback();
  for (const db of [reader, writer]) db.close();
});

/** Makes a database with one value, and gives it a name that another file may have. */
function replaceBy(path: string, value: string, pageSize?: number): void {
  const next = tempPath("next.db");
  const db = open(next, pageSize === undefined ? {} : { pageSize });
  db.update((tx) => {
    const bucket = tx.createBucket("b");
    for (let i = 0; i < 2000; i++) bucket.put(keyOf(i), value);
  });
  db.close();
  renameSync(next, path);
}

test("another file that gets the name is read by the next view that begins while no other is open, whatever its page size", () => {
  const path = tempPath("replaced.db");
  replaceBy(path, "first");
  const reader = open(path, { readOnly: true, lock: "none", cacheSize: 0 });
  const valueOf = (i: number): string | undefined => reader.view((tx) => tx.bucket("b")?.get(keyOf(i))?.toString());
  assert.equal(valueOf(0), "first");
  const begun = reader.begin();
  assert.equal(begun.bucket("b")?.get(keyOf(0))?.toString(), "first");
  replaceBy(path, "second", 16_384);
  assert.equal(begun.bucket("b")?.get(keyOf(1999))?.toString(), "first");
  assert.equal(valueOf(0), "first");
  begun.rollback();
  assert.equal(valueOf(0), "second");
  assert.equal(reader.pageSize, 16_384);
  unlinkSync(path);
  assert.equal(valueOf(1999), "second", "a file without a name is read on");
  writeFileSync(path, "no database".repeat(1000));
  assert.throws(() => valueOf(0), { code: "INVALID" });
  unlinkSync(path);
  replaceBy(path, "third");
  assert.equal(valueOf(1999), "third");
  assert.equal(reader.view((tx) => [...tx.check()].length), 0);
  reader.close();
});

test("another file that gets the name is read though the one before it cannot be closed", () => {
  const path = tempPath("replaced.db");
  replaceBy(path, "first");
  const reader = open(path, { readOnly: true, lock: "none", cacheSize: 0 });
  const valueOf = (i: number): string | undefined => reader.view((tx) => tx.bucket("b")?.get(keyOf(i))?.toString());
  assert.equal(valueOf(0), "first");
  replaceBy(path, "second");
  const fs = createRequire(import.meta.url)("node:fs") as { closeSync: typeof closeSync };
  const real = fs.closeSync;
  fs.closeSync = (fd) => {
    real(fd);
    throw new Error("EIO: i/o error, close");
  };
  syncBuiltinESMExports();
  try {
    assert.equal(valueOf(0), "second");
  } finally {
    fs.closeSync = real;
    syncBuiltinESMExports();
  }
  assert.equal(valueOf(1999), "second");
  reader.close();
});

/** Two files with the very same meta pages, and another value for each key. */
function alike(): readonly [string, string] {
  const paths = ["first", "other"].map((value) => {
    const path = tempPath(`${value}.db`);
    const db = open(tempPath(`${value}-source.db`));
    db.update((tx) => { for (let i = 0, bucket = tx.createBucket("b"); i < 3000; i++) bucket.put(keyOf(i), value); });
    db.compact(path);
    db.close();
    return path;
  }) as [string, string];
  const metasOf = (path: string): Buffer => readFileSync(path).subarray(0, 2 * 4096);
  assert.deepEqual(metasOf(paths[0]), metasOf(paths[1]));
  return paths;
}

test("a snapshot never goes over to another file, though its meta pages may be the same: the view after it does", async () => {
  const [path, other] = alike();
  const reader = open(path, { readOnly: true, lock: "none", cacheSize: 0 });
  const valuesOf = (tx: ReadTx): string[] => [...new Set([...tx.bucket("b")!.values()].map(String))];
  const begun = reader.begin();
  assert.equal(begun.bucket("b")?.get(keyOf(0))?.toString(), "first");
  renameSync(other, path);
  assert.deepEqual(reader.view(valuesOf), ["first"]);
  assert.deepEqual(valuesOf(begun), ["first"]);
  const copy = tempPath("copy.db");
  await reader.backup(copy);
  begun.rollback();
  assert.deepEqual(reader.view(valuesOf), ["other"]);
  const backup = open(copy, { readOnly: true });
  assert.deepEqual(backup.view(valuesOf), ["first"]);
  for (const db of [backup, reader]) db.close();
});

test("a file that was empty when it got the name, and was filled then, is read as it is", () => {
  const [path, other] = alike();
  const bytes = readFileSync(other);
  const reader = open(path, { readOnly: true, lock: "none" });
  assert.equal(reader.view((tx) => tx.bucket("b")?.get(keyOf(0))?.toString()), "first");
  const empty = tempPath("empty.db");
  writeFileSync(empty, "");
  renameSync(empty, path);
  assert.throws(() => reader.view(() => undefined), { code: "INVALID" });
  writeFileSync(path, bytes);
  assert.deepEqual(reader.view((tx) => [...new Set([...tx.bucket("b")!.values()].map(String))]), ["other"]);
  reader.close();
});

test("a name that leads to no file, or that nobody may look at, keeps no reader from what it has opened", () => {
  const folder = tempFolder();
  const path = join(folder, "data.db");
  replaceBy(path, "there");
  const reader = open(path, { readOnly: true, lock: "none", cacheSize: 0 });
  const isThere = (): void => { assert.equal(reader.view((tx) => tx.bucket("b")?.get(keyOf(1999))?.toString()), "there"); };
  unlinkSync(path);
  isThere();
  mkdirSync(path);
  isThere();
  rmSync(folder, { recursive: true });
  isThere();
  writeFileSync(folder, "a file in place of the folder");
  isThere();
  reader.close();
});
