/** Typed buckets: the members of a bucket with decoded types, errors that name bucket and key, types without annotations. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  BoltError, bytes, date, json, openMemory, tuple, typed, uint32, uint64, utf8,
  type Bucket, type BytesLike, type Codec, type DB, type ReadBucket, type ReadTypedBucket, type TypedBucket,
} from "../../../engine/index.js";

const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
console.log(`# seed ${seed}`);

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;
/** Compiles only for true: the build is the test. */
const holds = <T extends true>(fact?: T): T | undefined => fact;

interface Order { readonly item: string; readonly count: number }

function withBucket(run: (bucket: Bucket, db: DB) => void, name: BytesLike = "orders"): void {
  const db = openMemory();
  db.update((tx) => run(tx.createBucket(name), db));
  db.view((tx) => assert.deepEqual([...tx.check()], []));
  db.close();
}

describe("typed buckets", () => {
  test("types follow from the codecs", () => {
    withBucket((bucket) => {
      const orders = typed(bucket, { key: uint64, value: json<Order>() });
      holds<Same<typeof orders, TypedBucket<bigint, Order>>>();
      const events = typed(bucket, { key: tuple(utf8, date, uint32), value: bytes });
      holds<Same<typeof events, TypedBucket<[string, Date, number], Uint8Array>>>();
      const own = typed(bucket, { key: utf8, value: { encode: (order: Order) => `${order.item} ${order.count}`, decode: (stored) => ({ item: stored.toString(), count: 1 }) } });
      holds<Same<typeof own, TypedBucket<string, Order>>>();
      holds<Same<ReturnType<typeof orders.get>, Order | undefined>>();
      for (const [key, { count }] of orders) holds<Same<[typeof key, typeof count], [bigint, number]>>();
      const reading = typed(bucket as ReadBucket, { key: uint64, value: utf8 });
      holds<Same<typeof reading, ReadTypedBucket<bigint, string>>>();
      holds<Same<Extract<keyof typeof reading, "put" | "delete" | "nextSequence" | "createBucket">, never>>();
      // `prefix` of a tuple takes its first parts, each of its own type.
      type Prefix = Extract<NonNullable<NonNullable<Parameters<typeof events.entries>[0]>["prefix"]>, readonly unknown[]>;
      holds<Same<Prefix, readonly [string, Date, number] | readonly [string, Date] | readonly [string] | readonly []>>();
    });
  });

  test("take readonly tuples, and give tuples that may be changed", () => {
    withBucket((bucket) => {
      const places = typed(bucket, { key: tuple(utf8, uint32), value: tuple(uint32, uint32) });
      const [key, value]: [readonly [string, number], readonly [number, number]] = [["a", 1], [2, 3]];
      places.put(key, value);
      const found: [number, number] | undefined = places.get(key);
      assert.deepEqual([found, places.getView(key), places.has(key), places.count({ gte: key, lte: key })], [value, value, true, 1]);
      assert.deepEqual([...places.keys({ prefix: ["a"] as const })], [key]);
      const cursor = places.cursor();
      assert.deepEqual(cursor.seek(key), { key, value });
      places.delete(key);
      holds<Same<Parameters<typeof places.has>[0], [string, number] | readonly [string, number]>>();
      // What takes any type still takes it.
      const use = <K, V>(cover: TypedBucket<K, V>, one: K, other: V): void => cover.put(one, other);
      use<unknown, unknown>(typed(bucket, { key: json<unknown>(), value: json<unknown>() }), "k", null);
      assert.equal(bucket.get('"k"')?.toString(), "null");
    });
  });

  test("hold what a Map of the values would hold, in the order of the keys", () => {
    const values = fc.array(fc.tuple(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.string()), { maxLength: 60 });
    fc.assert(fc.property(values, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (pairs, bound) => withBucket((bucket) => {
      const cover = typed(bucket, { key: uint64, value: json<string>() });
      const model = new Map(pairs);
      for (const [key, value] of pairs) cover.put(key, value);
      const sorted = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
      assert.deepEqual([...cover], sorted);
      assert.deepEqual([...cover.entriesView()], sorted);
      assert.deepEqual([...cover.keys({ gte: bound })], sorted.map(([key]) => key).filter((key) => key >= bound));
      assert.deepEqual([...cover.values({ lt: bound, reverse: true })], sorted.filter(([key]) => key < bound).map(([, value]) => value).reverse());
      assert.equal(cover.count({ gt: bound }), sorted.filter(([key]) => key > bound).length);
      for (const [key, value] of sorted) assert.deepEqual([cover.get(key), cover.getView(key), cover.has(key)], [value, value, true]);
      const cursor = cover.cursor();
      const walked: unknown[] = [];
      for (let at = cursor.seek(bound); at !== undefined; at = cursor.next()) walked.push([at.key, at.value]);
      assert.deepEqual(walked, sorted.filter(([key]) => key >= bound));
      const [first] = sorted;
      if (first !== undefined) {
        assert.deepEqual(cursor.first(), { key: first[0], value: first[1] });
        cursor.delete();
        assert.equal(cover.has(first[0]), false);
        assert.equal(cover.get(first[0]), undefined);
      }
    })), { seed, numRuns: 100 });
  });

  test("give the tuples with the same first parts by prefix, forwards and backwards", () => {
    withBucket((bucket) => {
      const log = typed(bucket, { key: tuple(utf8, uint32), value: utf8 });
      for (const name of ["a", "a\0", "a\0b", "ab", "b"]) for (const number of [2, 1, 300]) log.put([name, number], `${name}${number}`);
      assert.deepEqual([...log.keys({ prefix: ["a"] })], [["a", 1], ["a", 2], ["a", 300]]);
      assert.deepEqual([...log.keys({ prefix: ["a\0"], reverse: true, limit: 1 })], [["a\0", 300]]);
      assert.deepEqual([...log.values({ prefix: ["a\0b", 2] })], ["a\0b2"]);
      assert.equal(log.count({ prefix: [] }), 15);
      assert.equal(log.count({ prefix: Buffer.from("a\0\xff", "latin1") }), 6);
    });
  });

  test("nested buckets stand among the keys, as in an untyped bucket", () => {
    withBucket((bucket, db) => {
      const cover = typed(bucket, { key: utf8, value: uint32 });
      cover.put("a", 1);
      cover.createBucket("b").put("x", "y");
      cover.put("c", 3);
      const seen: unknown[] = [];
      cover.forEach((key, value) => seen.push([key, value]));
      assert.deepEqual(seen, [["a", 1], ["b", undefined], ["c", 3]]);
      assert.deepEqual(cover.cursor().seek("b"), { key: "b", value: undefined });
      assert.deepEqual([...cover.entries()], [["a", 1], ["c", 3]]);
      assert.deepEqual([...cover.buckets()].map(String), ["b"]);
      assert.equal(cover.get("b"), undefined);
      assert.equal(cover.bucket("b")?.get("x")?.toString(), "y");
      const other = typed(cover.createBucketIfNotExists("d"), { key: utf8, value: utf8 });
      cover.moveBucket("b", other);
      assert.deepEqual([...other.buckets()].map(String), ["b"]);
      cover.deleteBucket("d");
      assert.equal(cover.nextSequence(), 1n);
      cover.setSequence(7n);
      assert.equal(cover.sequence, bucket.sequence);
      cover.fillPercent = 0.9;
      assert.equal(bucket.fillPercent, 0.9);
      assert.equal(cover.tx.db, db);
      assert.equal(cover.untyped, bucket);
      assert.deepEqual(cover.path.map(String), ["orders"]);
    });
  });

  test("a value that its codec refuses is a TypeError that names bucket and key", () => {
    withBucket((bucket) => {
      const cover = typed(bucket.createBucket("by year"), { key: uint32, value: uint32 });
      assert.throws(() => cover.put(1815, -1), (error) =>
        error instanceof TypeError && error.message === 'bucket "orders"/"by year", value of key 1815: uint32 takes a whole number from 0 to 2^32 - 1, got -1' && error.cause instanceof TypeError);
      assert.throws(() => cover.put(1.5, 1), (error) => error instanceof TypeError && error.message.startsWith('bucket "orders"/"by year", key 1.5: uint32 takes'));
      for (const use of [() => cover.get(-1), () => cover.has(-1), () => cover.delete(-1), () => cover.entries({ gt: -1 }), () => cover.count({ lte: -1 }), () => cover.cursor().seek(-1)]) {
        assert.throws(use, (error) => error instanceof TypeError && error.message.includes('bucket "orders"/"by year", key -1:'));
      }
      assert.equal(cover.count(), 0);
    });
  });

  test("a typed bucket moves where an untyped one does, and says as it does that a target is none", () => {
    withBucket((bucket) => {
      const orders = typed(bucket, { key: utf8, value: utf8 });
      for (const wrong of [undefined, null, 5, "y", {}]) assert.throws(() => orders.moveBucket("x", wrong as never), { name: "TypeError", message: /^the target must be/ });
      orders.createBucket("x");
      orders.moveBucket("x", typed(bucket.createBucket("archive"), { key: utf8, value: utf8 }));
      assert.ok(bucket.bucket("archive")?.bucket("x"));
    });
  });

  test("an iterator goes on behind what cannot be decoded, and behind where a loop was left, as a cursor does", () => {
    withBucket((bucket) => {
      const numbers = typed(bucket, {
        key: utf8, value: { encode: String, decode: (stored) => { const value = Number(stored.toString()); if (value === 3) throw new Error("three"); return value; } },
      });
      for (let i = 1; i <= 5; i++) numbers.put(`k${i}`, i);
      for (const members of [() => numbers.entries(), () => numbers.entriesView(), () => numbers.values(), () => numbers[Symbol.iterator]()]) {
        const iterator: Iterator<unknown> = members();
        const given: unknown[] = [];
        for (;;) {
          try {
            const { done, value } = iterator.next();
            if (done === true) break;
            given.push(Array.isArray(value) ? value[1] : value);
          } catch (error) {
            given.push((error as Error & { cause?: Error }).cause?.message);
          }
        }
        assert.deepEqual(given, [1, 2, "three", 4, 5]);
      }
      const keys = numbers.keys();
      for (const key of keys) if (key === "k2") break;
      assert.deepEqual([...keys], ["k3", "k4", "k5"]);
    });
  });

  test("bytes that a codec cannot decode are an INCOMPATIBLE_VALUE that names bucket and key", () => {
    withBucket((bucket) => {
      bucket.put(Buffer.from([0, 0, 0, 9]), "three");
      bucket.put("odd key", Buffer.from([0, 0, 0, 1]));
      const cover = typed(bucket, { key: uint32, value: uint32 });
      const names = (text: string) => (error: unknown): boolean => error instanceof BoltError && error.code === "INCOMPATIBLE_VALUE" && error.message === `incompatible value: bucket (hex)ff00, ${text}`;
      assert.throws(() => cover.get(9), names("value of key 9: uint32 has 4 bytes, got 5: (hex)7468726565"));
      assert.throws(() => [...cover], names("value of key 9: uint32 has 4 bytes, got 5: (hex)7468726565"));
      assert.throws(() => [...cover.values()], names("value of key 9: uint32 has 4 bytes, got 5: (hex)7468726565"));
      assert.throws(() => [...cover.keys()], names("key (hex)6f6464206b6579: uint32 has 4 bytes, got 7: (hex)6f6464206b6579"));
      assert.throws(() => cover.cursor().last(), names("key (hex)6f6464206b6579: uint32 has 4 bytes, got 7: (hex)6f6464206b6579"));
      assert.throws(() => typed(bucket, { key: bytes, value: json() }).get(Buffer.from([0, 0, 0, 9])), (error) => error instanceof BoltError && error.cause instanceof SyntaxError);
    }, Buffer.from([0xff, 0]));
  });

  test("a nested bucket's name that the key codec cannot decode is called one", () => {
    withBucket((bucket) => {
      const cover = typed(bucket, { key: uint64, value: utf8 });
      cover.put(1n, "one");
      cover.createBucket("meta");
      const message = (name: string, size: number, hex: string): string => `incompatible value: bucket "orders", key ${name}, the name of a nested bucket: uint64 has 8 bytes, got ${size}: (hex)${hex}`;
      const isNamed = (error: unknown): boolean => error instanceof BoltError && error.code === "INCOMPATIBLE_VALUE" && error.message === message('"meta"', 4, "6d657461");
      assert.throws(() => cover.forEach(() => undefined), isNamed);
      assert.throws(() => cover.cursor().last(), isNamed);
      assert.deepEqual([...cover.keys()], [1n]);
      cover.createBucket(Buffer.from([0xff]));
      assert.throws(() => cover.cursor().last(), { message: message("(hex)ff", 1, "ff") });
    });
  });

  test("a validator's error is the cause", () => {
    class Invalid extends Error {}
    const even: Codec<number> = {
      encode: (value) => { if (value % 2 !== 0) throw new Invalid("odd"); return String(value); },
      decode: (stored) => { const value = Number(stored.toString()); if (value % 2 !== 0) throw new Invalid("odd"); return value; },
    };
    withBucket((bucket) => {
      const cover = typed(bucket, { key: utf8, value: even });
      cover.put("two", 2);
      assert.equal(cover.get("two"), 2);
      assert.throws(() => cover.put("three", 3), (error) => error instanceof TypeError && error.cause instanceof Invalid && error.message === 'bucket "orders", value of key "three": odd');
      bucket.put("three", "3");
      assert.throws(() => cover.get("three"), (error) => error instanceof BoltError && error.cause instanceof Invalid);
    });
  });

  test("what a range has inherited counts as its own, and a key without memory is refused with its name", () => {
    openMemory().update((tx) => {
      const bucket = typed(tx.createBucket("b"), { key: utf8, value: utf8 });
      for (const key of ["a1", "a2", "b1"]) bucket.put(key, "");
      class Page {
        get prefix(): string {
          return "a";
        }
        get limit(): number {
          return 1;
        }
      }
      assert.deepEqual([...bucket.keys(new Page())], ["a1"]);
      assert.deepEqual([...bucket.keys(Object.create({ gt: "a1" }) as object)], ["a2", "b1"]);
      assert.throws(() => bucket.count([] as never), { name: "TypeError", message: /a range must be an object/ });
      const gone = new Uint8Array(4);
      structuredClone(gone, { transfer: [gone.buffer] });
      assert.throws(() => typed(bucket.untyped, { key: bytes, value: utf8 }).get(gone), { name: "TypeError", message: /^bucket "b", key \(hex\)/ });
    });
  });

  test("what is no codec or no range is refused", () => {
    withBucket((bucket) => {
      assert.throws(() => typed(bucket, { key: utf8, value: { encode: String } as never }), /value must be a codec/);
      assert.throws(() => typed(bucket, undefined as never), TypeError);
      const cover = typed(bucket, { key: utf8, value: utf8 });
      assert.throws(() => cover.entries({ from: "a" } as never), /no "from"/);
      assert.throws(() => cover.entries({ prefix: ["a"] as never }), /bucket "orders", prefix \["a"\]: this key codec has no parts/);
      const wrong = typed(bucket, { key: tuple({ size: 4, encode: () => "abc", decode: String }), value: utf8 });
      assert.throws(() => wrong.put(["x"], "y"), /part 0: its codec gave 3 bytes, its size is 4/);
    });
  });

  test("a read transaction's typed bucket refuses to write", () => {
    const db = openMemory();
    db.update((tx) => tx.createBucket("b"));
    db.view((tx) => {
      const cover = typed(tx.bucket("b")!, { key: utf8, value: utf8 });
      assert.equal(cover.writable, false);
      assert.throws(() => (cover as TypedBucket<string, string>).put("a", "b"), { code: "TX_NOT_WRITABLE" });
    });
    db.close();
  });
});

test("what is no bucket, no codec or no end of arrays in arrays is a TypeError that says so", () => {
  const db = openMemory();
  db.update((tx) => {
    const codecs = { key: utf8, value: utf8 };
    assert.throws(() => typed(tx.bucket("missing") as never, codecs), { name: "TypeError", message: /takes a bucket \(undefined: there is none of that name\), got undefined/ });
    assert.throws(() => typed(null as never, codecs), { name: "TypeError", message: /takes a bucket .*, got null/ });
    for (const wrong of [undefined, {}, { encode: () => "" }]) assert.throws(() => tuple(utf8, wrong as never), { name: "TypeError", message: /^part 1 of a tuple must be a codec/ });
    const endless: unknown[] = [];
    endless.push(endless);
    assert.throws(() => typed(tx.createBucket("b"), codecs).put(endless as never, "v"), { name: "TypeError", message: /\[\[\[\[…\]\]\]\]/ });
  });
  db.close();
});
