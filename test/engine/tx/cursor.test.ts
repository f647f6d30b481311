/** Cursors: every move, in read and write transactions, over several pages, and while the same transaction puts and deletes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Bucket, Cursor, CursorEntry, ReadBucket } from "../../../engine/index.js";
import { Random, seedOfRun } from "../../support/random.js";
import { boltError, keyOf, requireBucket, withBothBuckets, withBucket, withDatabase } from "./database.js";

/** The key of what a move gives, as text. */
function at(entry: CursorEntry | undefined): string | undefined {
  return entry?.key.toString();
}

function fill(...keys: readonly string[]): (bucket: Bucket) => void {
  return (bucket) => { for (const key of keys) bucket.put(key, `value of ${key}`); };
}

function forward(bucket: ReadBucket): string[] {
  const keys: string[] = [];
  const cursor = bucket.cursor();
  for (let entry = cursor.first(); entry !== undefined; entry = cursor.next()) keys.push(entry.key.toString());
  return keys;
}

function backward(bucket: ReadBucket): string[] {
  const keys: string[] = [];
  const cursor = bucket.cursor();
  for (let entry = cursor.last(); entry !== undefined; entry = cursor.prev()) keys.push(entry.key.toString());
  return keys;
}

test("first, next, last and prev go through all keys in byte order, over many pages", () => {
  const keys = Array.from({ length: 1000 }, (_, i) => keyOf(i));
  const shuffled = [...keys].sort((a, b) => (a.slice(3) + a < b.slice(3) + b ? -1 : 1));
  withBothBuckets(fill(...shuffled), (bucket) => {
    assert.deepEqual(forward(bucket), keys);
    assert.deepEqual(backward(bucket), keys.toReversed());
  }, { pageSize: 1024 });
});

test("order is that of unsigned bytes, a prefix before what it begins", () => {
  const keys = [Buffer.of(0), Buffer.of(0, 0), Buffer.of(1), Buffer.of(0x7f), Buffer.of(0x80), Buffer.of(0x80, 1), Buffer.of(0xff), Buffer.of(0xff, 0xff)];
  withBothBuckets((bucket) => { for (const key of keys.toReversed()) bucket.put(key, ""); }, (bucket) => {
    assert.deepEqual([...bucket.keys()], keys);
  });
});

test("an entry has the value; a nested bucket's is undefined, an empty value is none of that", () => {
  withBothBuckets((bucket) => {
    bucket.put("a", "1");
    bucket.createBucket("b");
    bucket.put("c", "");
  }, (bucket) => {
    const cursor = bucket.cursor();
    assert.deepEqual(cursor.first(), { key: Buffer.from("a"), value: Buffer.from("1") });
    assert.deepEqual(cursor.next(), { key: Buffer.from("b"), value: undefined });
    assert.deepEqual(cursor.next(), { key: Buffer.from("c"), value: Buffer.alloc(0) });
  });
});

test("seek lands on the key or the next one", () => {
  withBothBuckets(fill("b", "d", "f"), (bucket) => {
    const cursor = bucket.cursor();
    for (const [sought, found] of [["", "b"], ["a", "b"], ["b", "b"], ["b\0", "d"], ["c", "d"], ["d", "d"], ["f", "f"], ["f\0", undefined], ["z", undefined]] as const) {
      assert.equal(at(cursor.seek(sought)), found, `seek ${sought}`);
    }
  });
});

test("seek past the end: prev gives the last key, next nothing", () => {
  withBothBuckets(fill("a", "b"), (bucket) => {
    const cursor = bucket.cursor();
    assert.equal(cursor.seek("z"), undefined);
    assert.equal(cursor.next(), undefined);
    assert.equal(at(cursor.prev()), "b");
    assert.equal(at(cursor.prev()), "a");
  });
});

test("next at the end stays on the last key, so prev gives the second last", () => {
  withBothBuckets(fill("a", "b", "c"), (bucket) => {
    const cursor = bucket.cursor();
    cursor.last();
    assert.equal(cursor.next(), undefined);
    assert.equal(cursor.next(), undefined);
    assert.equal(at(cursor.prev()), "b");
  });
});

test("prev at the start stays on the first key, so next gives the second", () => {
  withBothBuckets(fill("a", "b", "c"), (bucket) => {
    const cursor = bucket.cursor();
    cursor.first();
    assert.equal(cursor.prev(), undefined);
    assert.equal(cursor.prev(), undefined);
    assert.equal(at(cursor.next()), "b");
  });
});

test("before any positioning next and prev give nothing and delete says so", () => {
  withBucket((bucket) => {
    bucket.put("a", "1");
    const cursor = bucket.cursor();
    assert.equal(cursor.next(), undefined);
    assert.equal(cursor.prev(), undefined);
    assert.throws(() => cursor.delete(), boltError("KEY_REQUIRED", "key required"));
    assert.deepEqual(forward(bucket), ["a"]);
  });
});

test("in an empty bucket no move gives anything", () => {
  withBothBuckets(() => undefined, (bucket) => {
    const cursor = bucket.cursor();
    assert.deepEqual([cursor.first(), cursor.next(), cursor.prev(), cursor.last(), cursor.seek("a"), cursor.prev()], new Array<undefined>(6).fill(undefined));
  });
});

test("after delete, next is the element that followed and prev the one before", () => {
  for (const [remove, next, prev] of [["b", "c", "a"], ["c", "d", "b"]] as const) {
    withBucket((bucket) => {
      fill("a", "b", "c", "d")(bucket);
      const cursor = bucket.cursor();
      cursor.seek(remove);
      cursor.delete();
      assert.equal(at(cursor.next()), next);
      bucket.put(remove, "again");
      cursor.seek(remove);
      cursor.delete();
      assert.equal(at(cursor.prev()), prev);
    });
  }
});

test("after deleting the first key, prev finds nothing and next still is the one that followed", () => {
  withBucket((bucket) => {
    fill("b", "c", "d")(bucket);
    const cursor = bucket.cursor();
    cursor.first();
    cursor.delete();
    assert.equal(cursor.prev(), undefined);
    assert.equal(at(cursor.next()), "c");
  });
});

test("after deleting the last key, next finds nothing and prev is the one before", () => {
  withBucket((bucket) => {
    fill("b", "c", "d")(bucket);
    const cursor = bucket.cursor();
    cursor.last();
    assert.equal(cursor.next(), undefined);
    cursor.delete();
    assert.equal(cursor.next(), undefined);
    assert.equal(at(cursor.prev()), "c");
  });
});

test("deleting twice at one place deletes one key", () => {
  withBucket((bucket) => {
    fill("a", "b", "c")(bucket);
    const cursor = bucket.cursor();
    cursor.seek("b");
    cursor.delete();
    cursor.delete();
    assert.deepEqual(forward(bucket), ["a", "c"]);
  });
});

test("a loop of next and delete empties a bucket of several pages, changed before or not", () => {
  for (const isChanged of [false, true]) {
    withDatabase(({ db }) => {
      db.update((tx) => { for (let i = 0, bucket = tx.createBucket("bucket"); i < 500; i++) bucket.put(keyOf(i), "some value"); });
      db.update((tx) => {
        const bucket = requireBucket(tx.bucket("bucket"));
        if (isChanged) bucket.put(keyOf(123), "changed");
        const cursor = bucket.cursor();
        let deleted = 0;
        for (let entry = cursor.first(); entry !== undefined; entry = cursor.next(), deleted++) {
          assert.equal(entry.key.toString(), keyOf(deleted));
          cursor.delete();
        }
        assert.equal(deleted, 500);
        assert.equal(bucket.count(), 0);
      });
      db.view((tx) => assert.equal(requireBucket(tx.bucket("bucket")).count(), 0));
    }, { pageSize: 1024 });
  }
});

test("delete on a nested bucket is refused and changes nothing", () => {
  withBucket((bucket) => {
    bucket.createBucket("nested");
    const cursor = bucket.cursor();
    cursor.first();
    assert.throws(() => cursor.delete(), boltError("INCOMPATIBLE_VALUE", "incompatible value"));
    assert.ok(bucket.bucket("nested"));
  });
});

test("a cursor sees what the transaction puts ahead of it, not what it puts behind", () => {
  withBucket((bucket) => {
    fill("b", "d")(bucket);
    const cursor = bucket.cursor();
    assert.equal(at(cursor.first()), "b");
    fill("a", "c", "e")(bucket);
    assert.deepEqual([at(cursor.next()), at(cursor.next()), at(cursor.next()), at(cursor.next())], ["c", "d", "e", undefined]);
    fill("f")(bucket);
    assert.equal(at(cursor.next()), "f", "the end was not the end for good");
  });
});

test("a cursor over the top level shows the buckets", () => {
  withDatabase(({ db }) => {
    db.update((tx) => { for (const name of ["b", "a"]) tx.createBucket(name); });
    db.view((tx) => {
      const cursor = tx.cursor();
      assert.deepEqual(cursor.first(), { key: Buffer.from("a"), value: undefined });
      assert.equal(at(cursor.next()), "b");
    });
  });
});

test("two cursors of a bucket do not disturb each other", () => {
  withBothBuckets(fill(...Array.from({ length: 300 }, (_, i) => keyOf(i))), (bucket) => {
    const [up, down] = [bucket.cursor(), bucket.cursor()];
    let low = up.first();
    let high = down.last();
    for (let i = 0; i < 300; i++) {
      assert.equal(at(low), keyOf(i));
      assert.equal(at(high), keyOf(299 - i));
      low = up.next();
      high = down.prev();
    }
  }, { pageSize: 1024 });
});

test("a cursor of a read transaction refuses delete, and every move after the end", () => {
  withDatabase(({ db }) => {
    db.update((tx) => { fill("a")(tx.createBucket("bucket")); });
    const tx = db.begin();
    const cursor = requireBucket(tx.bucket("bucket")).cursor();
    cursor.first();
    assert.throws(() => cursor.delete(), boltError("TX_NOT_WRITABLE", "tx not writable"));
    tx.rollback();
    for (const move of ["first", "last", "next", "prev", "delete"] as const) assert.throws(() => cursor[move](), boltError("TX_CLOSED", "tx closed"), move);
    assert.throws(() => cursor.seek("a"), boltError("TX_CLOSED", "tx closed"));
  });
});

test("seek takes bytes or a string and nothing else", () => {
  withBucket((bucket) => {
    fill("b")(bucket);
    assert.equal(at(bucket.cursor().seek(new Uint8Array([0x62]))), "b");
    for (const wrong of [1, null, undefined, {}, ["b"], new ArrayBuffer(1)]) {
      assert.throws(() => Reflect.apply(bucket.cursor().seek, bucket.cursor(), [wrong]), TypeError);
    }
  });
});

/** The plain oracle: a sorted array, and the key that the cursor is on. */
class PlainCursor {
  readonly keys = new Set<string>();
  #key: string | undefined;
  #isBehind = false;

  #land(key: string | undefined): string | undefined {
    if (key === undefined) return undefined;
    this.#isBehind = false;
    return (this.#key = key);
  }

  #sorted(): string[] {
    return [...this.keys].sort();
  }

  move(kind: string, sought: string): string | undefined {
    const sorted = this.#sorted();
    const key = this.#key;
    switch (kind) {
      case "first":
      case "last":
        if (sorted.length === 0) this.#key = undefined;
        this.#isBehind = false;
        return this.#land(kind === "first" ? sorted[0] : sorted.at(-1));
      case "seek": {
        const found = sorted.find((other) => other >= sought);
        if (found === undefined) this.#key = undefined;
        this.#isBehind = found === undefined;
        return this.#land(found);
      }
      case "next":
        return key === undefined ? undefined : this.#land(sorted.find((other) => other > key));
      default:
        if (this.#isBehind) return this.#land(sorted.at(-1));
        return key === undefined ? undefined : this.#land(sorted.findLast((other) => other < key));
    }
  }

  delete(): void {
    if (this.#key !== undefined) this.keys.delete(this.#key);
  }

  get isPlaced(): boolean {
    return this.#key !== undefined;
  }
}

/** Does a random step on a cursor, or on its bucket, and on the plain one. */
function randomStep(random: Random, cursor: Cursor, bucket: Bucket, plain: PlainCursor, text: string, size: number): void {
  switch (random.below(10)) {
    case 0:
    case 1:
      bucket.put(text, "v".repeat(random.below(size)));
      plain.keys.add(text);
      break;
    case 2:
      bucket.delete(text);
      plain.keys.delete(text);
      break;
    case 3:
    case 4:
      if (plain.isPlaced) cursor.delete();
      plain.delete();
      break;
    case 5:
      assert.equal(bucket.getView(text) !== undefined, plain.keys.has(text));
      break;
    default: {
      const kind = random.pick(["first", "last", "seek", "next", "next", "next", "next", "prev", "prev", "prev", "prev"] as const);
      const found = kind === "seek" ? cursor.seek(text) : cursor[kind]();
      assert.equal(at(found), plain.move(kind, text), kind);
    }
  }
}

test("random moves, puts and deletes give what a sorted array gives, in a new bucket and in a stored one", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  const random = new Random(seed);
  for (let round = 0; round < 90; round++) {
    withDatabase(({ db }) => {
      const plain = new PlainCursor();
      const range = random.pick([4, 12, 150]);
      const size = random.pick([1, 40, 300, 1500]);
      const isStored = random.below(3) > 0;
      db.update((tx) => {
        const bucket = tx.createBucket("bucket");
        for (let i = 0; isStored && i < range; i++) {
          bucket.put(keyOf(i), "v".repeat(random.below(size)));
          plain.keys.add(keyOf(i));
        }
      });
      db.update((tx) => {
        const bucket = requireBucket(tx.bucket("bucket"));
        const cursor = bucket.cursor();
        for (let step = 0; step < 200; step++) randomStep(random, cursor, bucket, plain, keyOf(random.below(range)), size);
        assert.deepEqual(forward(bucket), [...plain.keys].sort());
        assert.deepEqual(backward(bucket), [...plain.keys].sort().reverse());
      });
      db.view((tx) => assert.deepEqual(forward(requireBucket(tx.bucket("bucket"))), [...plain.keys].sort()));
    }, { pageSize: 1024 });
  }
});

test("every second, every third and all but every third key deleted on the way, to and fro, leave the others", () => {
  for (const [every, isKept] of [[2, false], [3, false], [3, true], [1, false]] as const) {
    for (const isBackward of [false, true]) {
      withDatabase(({ db }) => {
        const goes = (i: number): boolean => (i % every === 0) !== isKept;
        db.update((tx) => { for (let i = 0, bucket = tx.createBucket("bucket"); i < 600; i++) bucket.put(keyOf(i), "some value".repeat(1 + (i % 7))); });
        db.update((tx) => {
          const bucket = requireBucket(tx.bucket("bucket"));
          const cursor = bucket.cursor();
          let i = isBackward ? 599 : 0;
          for (let entry = isBackward ? cursor.last() : cursor.first(); entry !== undefined; entry = isBackward ? cursor.prev() : cursor.next()) {
            assert.equal(entry.key.toString(), keyOf(i));
            if (goes(i)) cursor.delete();
            i += isBackward ? -1 : 1;
          }
          assert.equal(i, isBackward ? -1 : 600);
        });
        const kept = Array.from({ length: 600 }, (_, i) => keyOf(i)).filter((_, i) => !goes(i));
        db.view((tx) => assert.deepEqual(forward(requireBucket(tx.bucket("bucket"))), kept));
      }, { pageSize: 1024 });
    }
  }
});
