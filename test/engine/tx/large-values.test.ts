/**
 * Values of a page and more, of which the cache has the first page only until they are wanted: every way to a value gives its bytes, in a write transaction
 * that has changed its leaf, too, and what does not want the value does not read it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bucket, type DB, MemoryStorage, open, type ReadBucket, typed, utf8 } from "../../../engine/index.js";
import { Random, seedOfRun } from "../../support/random.js";
import { boltError, keyOf, requireBucket, verify } from "./database.js";

const seed = seedOfRun();
const PAGE_SIZE = 1024;
/** The smallest cache has room for a megabyte and a half. */
const OPTIONS = { pageSize: PAGE_SIZE, cacheSize: 0 } as const;

/** Counts what is read. */
class ReadCounter extends MemoryStorage {
  byteCount = 0;

  override read(target: Uint8Array, position: number): number {
    this.byteCount += target.length;
    return super.read(target, position);
  }

  /** Bytes that `run` reads. */
  during(run: () => void): number {
    this.byteCount = 0;
    run();
    return this.byteCount;
  }
}

function valueOf(i: number, size: number): Buffer {
  return Buffer.alloc(size, `${i}/${size};`);
}

/** A closed file with large values under `k0000`, `k0001`, … */
function fileOf(count: number, size: number): ReadCounter {
  const storage = new ReadCounter();
  const db = open("large.db", { ...OPTIONS, storage });
  db.update((tx) => {
    const bucket = tx.createBucket("b");
    for (let i = 0; i < count; i++) bucket.put(keyOf(i), valueOf(i, size));
  });
  db.close();
  return storage;
}

/** Every way to read a value. */
const WAYS: Readonly<Record<string, (bucket: ReadBucket, key: string) => Uint8Array | undefined>> = {
  get: (bucket, key) => bucket.get(key),
  getView: (bucket, key) => bucket.getView(key),
  "a cursor": (bucket, key) => bucket.cursor().seek(key)?.value,
  entries: (bucket, key) => [...bucket.entries({ gte: key, limit: 1 })][0]?.[1],
  "entries backward": (bucket, key) => [...bucket.entries({ lte: key, limit: 1, reverse: true })][0]?.[1],
  entriesView: (bucket, key) => [...bucket.entriesView({ gte: key, limit: 1 })][0]?.[1],
  "entriesView backward": (bucket, key) => [...bucket.entriesView({ lte: key, limit: 1, reverse: true })][0]?.[1],
  values: (bucket, key) => [...bucket.values({ gte: key, limit: 1 })][0],
  forEach: (bucket, key) => {
    let found: Uint8Array | undefined;
    bucket.forEach((name, value) => { if (name.toString() === key) found = value; });
    return found;
  },
  typed: (bucket, key) => {
    const text = typed(bucket, { key: utf8, value: utf8 }).get(key);
    return text === undefined ? undefined : Buffer.from(text);
  },
};

function requireSame(actual: Uint8Array | undefined, expected: Buffer, what: string): void {
  assert.ok(actual !== undefined && Buffer.from(actual).equals(expected), what);
}

for (const [way, read] of Object.entries(WAYS)) {
  test(`a large value that was not read yet: ${way} gives its bytes`, () => {
    for (const size of [PAGE_SIZE, PAGE_SIZE + 1, 2 * PAGE_SIZE, 70_000]) {
      const storage = fileOf(8, size);
      const db = open("large.db", { ...OPTIONS, storage });
      db.view((tx) => {
        const bucket = requireBucket(tx.bucket("b"));
        for (let i = 0; i < 8; i++) requireSame(read(bucket, keyOf(i)), valueOf(i, size), `${i}`);
      });
      db.close();
    }
  });

  test(`a large value whose leaf the transaction has changed: ${way} gives its bytes`, () => {
    for (const size of [PAGE_SIZE, 70_000]) {
      const storage = fileOf(8, size);
      const db = open("large.db", { ...OPTIONS, storage });
      db.update((tx) => {
        const bucket = requireBucket(tx.bucket("b"));
        for (let i = 0; i < 8; i++) {
          bucket.put(`${keyOf(i)} and behind`, "small");
          requireSame(read(bucket, keyOf(i)), valueOf(i, size), `${i}`);
        }
      });
      verify(db, storage);
      db.view((tx) => { for (let i = 0; i < 8; i++) requireSame(read(requireBucket(tx.bucket("b")), keyOf(i)), valueOf(i, size), `${i} committed`); });
      db.close();
    }
  });
}

for (const [what, change] of [
  ["replaced", (bucket) => { bucket.put(keyOf(0), "short"); }], ["deleted", (bucket) => { bucket.delete(keyOf(0)); }],
] as readonly [string, (bucket: Bucket) => void][]) {
  test(`a view of a large value stays as it is though the value is ${what} and others are read`, () => {
    const size = 5 * PAGE_SIZE;
    const storage = fileOf(600, size);
    const db = open("large.db", { ...OPTIONS, storage });
    db.update((tx) => {
      const bucket = requireBucket(tx.bucket("b"));
      bucket.put(`${keyOf(0)} and behind`, "small");
      const view = bucket.getView(keyOf(0));
      change(bucket);
      for (let i = 1; i < 600; i++) requireSame(bucket.get(keyOf(i)), valueOf(i, size), `${i}`);
      requireSame(view, valueOf(0, size), "the view");
    });
    verify(db, storage);
    db.close();
  });
}

/** Places of the pages of a type. */
function pagesOf(bytes: Buffer, flags: number): number[] {
  return Array.from({ length: bytes.length / PAGE_SIZE }, (_, i) => i * PAGE_SIZE).filter((at) => bytes.readUInt16LE(at + 8) === flags && bytes.readUInt32LE(at) === at / PAGE_SIZE);
}

for (const size of [3 * PAGE_SIZE, 700]) {
  test(`that a page in use is listed as free is told when a neighbour of its only key comes, a value of ${size} bytes`, () => {
    const storage = fileOf(20, size);
    const writing = open("large.db", { ...OPTIONS, storage });
    writing.update((tx) => { for (let i = 10; i < 20; i++) requireBucket(tx.bucket("b")).delete(keyOf(i)); });
    writing.close();
    const bytes = Buffer.from(storage.bytes());
    const [leaf] = pagesOf(bytes, 2).filter((at) => bytes.readUInt16LE(at + 10) === 1 && bytes.subarray(at, at + 64).includes(keyOf(0)));
    for (const freelist of pagesOf(bytes, 16)) if (bytes.readUInt16LE(freelist + 10) > 0) bytes.writeUInt32LE(leaf! / PAGE_SIZE, freelist + 16);
    const db = open("large.db", { ...OPTIONS, storage: new MemoryStorage(bytes) });
    const put = (): void => db.update((tx) => requireBucket(tx.bucket("b")).put(`${keyOf(0)} and behind`, valueOf(1, 700)));
    assert.throws(put, boltError("CORRUPT", new RegExp(`^page ${leaf! / PAGE_SIZE}: already freed$`)));
    db.close();
  });
}

/** What can be done without the values. */
const WITHOUT_VALUES: Readonly<Record<string, (db: DB) => void>> = {
  "a walk over the keys": (db) => db.view((tx) => assert.equal([...requireBucket(tx.bucket("b")).keys()].length, 40)),
  has: (db) => db.view((tx) => { for (let i = 0; i < 40; i++) assert.ok(requireBucket(tx.bucket("b")).has(keyOf(i))); }),
  "keys that are not there": (db) => db.view((tx) => { for (let i = 0; i < 40; i++) assert.equal(requireBucket(tx.bucket("b")).get(`${keyOf(i)}!`), undefined); }),
  "puts beside them": (db) => db.update((tx) => { for (let i = 0; i < 40; i++) requireBucket(tx.bucket("b")).put(`${keyOf(i)}!`, "small"); }),
  "puts in their place": (db) => db.update((tx) => { for (let i = 0; i < 40; i++) requireBucket(tx.bucket("b")).put(keyOf(i), "small"); }),
  deletions: (db) => db.update((tx) => { for (let i = 0; i < 40; i++) requireBucket(tx.bucket("b")).delete(keyOf(i)); }),
  "the deletion of the bucket": (db) => db.update((tx) => tx.deleteBucket("b")),
};

for (const [what, run] of Object.entries(WITHOUT_VALUES)) {
  test(`${what}: large values are not read`, () => {
    const storage = fileOf(40, 50 * PAGE_SIZE);
    const db = open("large.db", { ...OPTIONS, storage });
    const byteCount = storage.during(() => run(db));
    // A page of each value and the pages above, twice where all that there is in a bucket is looked at before its pages are: with the values it would be two megabytes.
    assert.ok(byteCount <= 100 * PAGE_SIZE, `${byteCount} bytes read`);
    verify(db, storage);
    db.close();
  });
}

test("a value is read once, and its first page with it but once", () => {
  const storage = fileOf(1, 50 * PAGE_SIZE);
  const db = open("large.db", { ...OPTIONS, storage });
  db.view((tx) => {
    const bucket = requireBucket(tx.bucket("b"));
    assert.ok(bucket.has(keyOf(0)));
    const first = storage.during(() => requireSame(bucket.get(keyOf(0)), valueOf(0, 50 * PAGE_SIZE), "value"));
    assert.equal(first, 50 * PAGE_SIZE);
    assert.equal(storage.during(() => bucket.get(keyOf(0))), 0);
  });
  db.close();
});

test("where the rest of a value cannot be read, keys are there and the value is an error, time and again", () => {
  const storage = fileOf(4, 50 * PAGE_SIZE);
  const whole = Buffer.from(storage.bytes());
  const db = open("large.db", { ...OPTIONS, storage, readOnly: true });
  db.view((tx) => {
    const bucket = requireBucket(tx.bucket("b"));
    assert.ok(bucket.has(keyOf(0)));
    storage.truncate(4 * PAGE_SIZE);
    for (let times = 0; times < 2; times++) assert.throws(() => bucket.get(keyOf(0)), boltError("CORRUPT", /beyond the end of the file$/));
    storage.write([whole], 0);
    requireSame(bucket.get(keyOf(0)), valueOf(0, 50 * PAGE_SIZE), "the value once it is there again");
  });
  db.close();
});

for (const writable of [false, true]) {
  test(`where a value cannot be read, a cursor and an iterator are on its key and go on from there, ${writable ? "in a write" : "in a read"} transaction`, () => {
    const storage = fileOf(3, 50 * PAGE_SIZE);
    // The leaf page of the value in the middle stays, the pages behind it do not.
    const second = Buffer.from(storage.bytes()).indexOf(valueOf(1, 50 * PAGE_SIZE));
    const cut = Math.ceil(second / PAGE_SIZE) * PAGE_SIZE;
    const db = open("large.db", { ...OPTIONS, storage, readOnly: !writable });
    const read = storage.read.bind(storage);
    storage.read = (target, position) => position <= cut && position + target.length > cut ? 0 : read(target, position);
    const tx = writable ? db.begin(true) : db.begin();
    const bucket = requireBucket(tx.bucket("b"));
    const keyIn = (entry: { readonly key: Buffer } | undefined): string | undefined => entry?.key.toString();
    const cursor = bucket.cursor();
    for (const move of [() => cursor.seek(keyOf(1)), () => (cursor.first(), cursor.next()), () => (cursor.last(), cursor.prev())]) {
      assert.throws(move, boltError("CORRUPT", /beyond the end of the file$/));
      assert.equal(keyIn(cursor.next()), keyOf(2));
      assert.throws(() => cursor.prev(), boltError("CORRUPT", /beyond the end of the file$/));
      assert.equal(keyIn(cursor.prev()), keyOf(0));
    }
    const entries = bucket.entries();
    assert.equal(entries.next().value?.[0].toString(), keyOf(0));
    assert.throws(() => entries.next(), boltError("CORRUPT", /beyond the end of the file$/));
    assert.equal(entries.next().value?.[0].toString(), keyOf(2));
    tx.rollback();
    db.close();
  });
}

test("a large value left alone under a branch becomes the root with its bytes", () => {
  const storage = fileOf(2, 20 * PAGE_SIZE);
  const db = open("large.db", { ...OPTIONS, storage });
  db.update((tx) => requireBucket(tx.bucket("b")).delete(keyOf(0)));
  verify(db, storage);
  db.view((tx) => requireSame(tx.bucket("b")?.get(keyOf(1)), valueOf(1, 20 * PAGE_SIZE), "value"));
  db.close();
});

test("a shrink moves large values that nobody has read", () => {
  const storage = fileOf(60, 20 * PAGE_SIZE);
  const writing = open("large.db", { ...OPTIONS, storage });
  writing.update((tx) => { for (let i = 0; i < 40; i++) requireBucket(tx.bucket("b")).delete(keyOf(i)); });
  writing.close();
  const before = storage.size();
  const db = open("large.db", { ...OPTIONS, storage });
  while (!db.shrink().isDone);
  verify(db, storage);
  assert.ok(storage.size() < before / 2, `${before} bytes, then ${storage.size()}`);
  db.view((tx) => { for (let i = 40; i < 60; i++) requireSame(tx.bucket("b")?.get(keyOf(i)), valueOf(i, 20 * PAGE_SIZE), `${i}`); });
  db.close();
});

/** One step of a random transaction: changes the bucket and the model alike, or compares them. */
function step(random: Random, bucket: Bucket, model: Map<string, Buffer>, version: number): void {
  const key = keyOf(random.below(120));
  const kind = random.below(10);
  if (kind < 3) {
    const value = valueOf(version, random.pick([10, PAGE_SIZE - 80, PAGE_SIZE, 3 * PAGE_SIZE, 40_000, 80_000]));
    bucket.put(key, value);
    model.set(key, value);
  } else if (kind < 5) {
    bucket.delete(key);
    model.delete(key);
  } else {
    const expected = model.get(key);
    assert.equal(bucket.has(key), expected !== undefined);
    if (expected === undefined) return;
    const way = random.pick(Object.keys(WAYS).filter((name) => name !== "forEach"));
    requireSame(WAYS[way]!(bucket, key), expected, `${key} by ${way}`);
  }
}

test(`random transactions over large and small values, with the smallest cache, give what was put (SEED=${seed})`, () => {
  const random = new Random(seed);
  const storage = new MemoryStorage();
  let db = open("large.db", { ...OPTIONS, storage });
  db.update((tx) => tx.createBucket("b"));
  let model = new Map<string, Buffer>();
  for (let version = 0; version < 250; version++) {
    const isCommitted = random.below(5) > 0;
    const changed = new Map(model);
    const tx = db.begin(true);
    const bucket = requireBucket(tx.bucket("b"));
    for (let steps = random.below(12); steps >= 0; steps--) step(random, bucket, changed, version);
    if (isCommitted) {
      tx.commit();
      model = changed;
    } else {
      tx.rollback();
    }
    if (random.below(4) === 0) {
      db.close();
      db = open("large.db", { ...OPTIONS, storage });
    }
    db.view((reader) => {
      const found = requireBucket(reader.bucket("b"));
      assert.deepEqual([...found.keys()].map(String), [...model.keys()].sort());
      if (version % 25 === 0) for (const [key, value] of found.entriesView()) requireSame(value, model.get(Buffer.from(key).toString())!, Buffer.from(key).toString());
    });
  }
  verify(db, storage);
  db.close();
});
