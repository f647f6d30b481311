/** What iterators and cursors hand out as copies: neighbours are copied at once, and nobody may notice. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Range, ReadBucket } from "../../../engine/index.js";
import { PageCache } from "../../../engine/pager/page-cache.js";
import { Tree } from "../../../engine/tree/tree.js";
import { Place } from "../../../engine/tx/place.js";
import type { BucketState } from "../../../engine/tx/bucket-state.js";
import { writeU32 } from "../../../engine/base/bytes.js";
import { writeLeaf } from "../format/raw-file.js";
import { keyOf, requireBucket, withDatabase } from "./database.js";

type Pair = readonly [key: Buffer, value: Buffer];

/** Values of many sizes, empty ones and larger ones than a page among them. */
function valueOf(i: number): Buffer {
  return Buffer.alloc([0, 1, 7, 100, 300, 900, 2700, 2800, 5000][i % 9]!, i);
}

function expected(count: number): Pair[] {
  return Array.from({ length: count }, (_, i) => [Buffer.from(keyOf(i)), valueOf(i)] as const);
}

const COUNT = 400;

function walkers(bucket: ReadBucket): Record<string, () => Pair[]> {
  const byCursor = (move: "next" | "prev"): Pair[] => {
    const cursor = bucket.cursor();
    const pairs: Pair[] = [];
    for (let entry = move === "next" ? cursor.first() : cursor.last(); entry !== undefined; entry = cursor[move]()) pairs.push([entry.key, entry.value!]);
    return pairs;
  };
  const range = (options: Range): Pair[] => [...bucket.entries(options)];
  return {
    "forward": () => range({}),
    "backward": () => range({ reverse: true }).reverse(),
    "in a range": () => range({ gte: keyOf(0), lte: keyOf(COUNT) }),
    "backward in a range": () => range({ gte: keyOf(0), lte: keyOf(COUNT), reverse: true }).reverse(),
    "by a cursor": () => byCursor("next"),
    "by a cursor, backward": () => byCursor("prev").reverse(),
  };
}

/** What a copy may keep in memory: the pool of the runtime, which is larger from Node 26 on. */
const KEPT_AT_MOST = Math.max(65_536, Buffer.allocUnsafe(1).buffer.byteLength);

for (const pageSize of [1024, 4096, 65_536]) {
  test(`entries in pages of ${pageSize} bytes are the caller's, each of its own bytes, whatever way they are walked`, () => {
    withDatabase(({ db }) => {
      db.update((tx) => {
        const bucket = tx.createBucket("bucket");
        for (const [key, value] of expected(COUNT)) bucket.put(key, value);
      });
      db.view((tx) => {
        const bucket = requireBucket(tx.bucket("bucket"));
        for (const [name, walk] of Object.entries(walkers(bucket))) {
          const pairs = walk();
          assert.deepEqual(pairs, expected(COUNT), name);
          pairs.forEach(([key, value], i) => {
            key.fill(i & 0xff);
            value.fill((i + 1) & 0xff);
          });
          pairs.forEach(([key, value], i) => {
            assert.ok(key.every((byte) => byte === (i & 0xff)) && value.every((byte) => byte === ((i + 1) & 0xff)), `${name}: entry ${i} is its own`);
            assert.ok(value.length > 4096 || value.buffer.byteLength <= KEPT_AT_MOST, "a kept copy keeps little memory");
          });
          assert.deepEqual(walk(), expected(COUNT), `${name}: the database has its own`);
        }
      });
    }, { pageSize });
  });
}

test("a cursor that turns round gives the same entries again, though the caller has changed those it got", () => {
  withDatabase(({ db }) => {
    db.update((tx) => {
      const bucket = tx.createBucket("bucket");
      for (const [key, value] of expected(COUNT)) bucket.put(key, value);
    });
    db.view((tx) => {
      const all = expected(COUNT);
      const cursor = requireBucket(tx.bucket("bucket")).cursor();
      cursor.first();
      let at = 0;
      for (const steps of [5, -3, 40, -40, 200, -120, 90]) {
        for (let i = 0; i < Math.abs(steps); i++) {
          at += Math.sign(steps);
          const entry = steps > 0 ? cursor.next() : cursor.prev();
          assert.deepEqual([entry?.key, entry?.value], all[Math.max(0, at)]);
          entry?.key.fill(0xff);
          entry?.value?.fill(0xff);
          at = Math.max(0, at);
        }
      }
    });
  });
});

test("in a write transaction an entry is as it is when it is reached, also where its neighbours were copied before", () => {
  for (const reverse of [false, true]) {
    withDatabase(({ db }) => {
      db.update((tx) => {
        const bucket = tx.createBucket("bucket");
        for (let i = 0; i < 60; i++) bucket.put(keyOf(i), "old");
      });
      db.update((tx) => {
        const bucket = requireBucket(tx.bucket("bucket"));
        const values: string[] = [];
        for (const [key, value] of bucket.entries({ reverse })) {
          values.push(value.toString());
          const next = Number(key.toString().slice(1)) + (reverse ? -1 : 1);
          // Of the same size: nothing moves, and the iterator's place stays right.
          if (next >= 0 && next < 60) bucket.put(keyOf(next), "new");
        }
        assert.deepEqual(values, ["old", ...Array.from({ length: 59 }, () => "new")]);
      });
    });
  }
});

test("elements of a strange file that share bytes are copied apart", () => {
  const page = new Uint8Array(1024);
  writeLeaf(page, 0, 7, ["a", "b", "c"].map((key) => ({ key, value: "value" })));
  // The value of each runs over all that follows.
  for (let i = 0; i < 3; i++) writeU32(page, 16 + 16 * i + 12, 6 * (3 - i) - 1);
  const cache = new PageCache(1024, 0, { readPages: (_, target) => { target.set(page); } });
  cache.highWaterMark = 8;
  const tree = new Tree(cache, undefined, 7, undefined, 7);
  const place = new Place({ tree, tx: { isWritable: false, stats: { cursorCount: 0 } } } as BucketState);
  const pairs: Pair[] = [];
  for (let found = place.first(); found; found = place.next()) pairs.push(place.copyPair());
  assert.deepEqual(pairs.map(([key, value]) => `${key.toString()} ${value.toString()}`), ["a valuebvaluecvalue", "b valuecvalue", "c value"]);
  pairs[0]![1].fill(0);
  assert.equal(pairs[1]![1].toString(), "valuecvalue");
});
