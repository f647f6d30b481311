/** Small files that would hold more than anybody can walk, because pages, elements and buckets are shared: each call ends, in CORRUPT or with the right answer. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { open, type DB, type ReadBucket } from "../../engine/index.js";
import { branch, bucketAt, fileOf, leaf, leafOfSharedValues, pair, type MakePage } from "../support/hand-made.js";
import { tempPath } from "../support/temp.js";

const corrupt = { code: "CORRUPT" };

function opened(pages: readonly MakePage[]): DB {
  const path = tempPath("shared.db");
  writeFileSync(path, fileOf(pages));
  return open(path);
}

/** Every branch page names the next one a hundred times; below is a leaf. */
function branches(levels: number, first: number, below: MakePage): MakePage[] {
  const level = (i: number): MakePage => branch(Array.from({ length: 100 }, (_, j) => [`k${String(j).padStart(3, "0")}`, first + i + 1] as const));
  return [...Array.from({ length: levels }, (_, i) => level(i)), below];
}

const walks: readonly (readonly [name: string, walk: (bucket: ReadBucket) => unknown])[] = [
  ["first", (bucket) => bucket.cursor().first()], ["last", (bucket) => bucket.cursor().last()], ["seek", (bucket) => bucket.cursor().seek("k")],
  ["count", (bucket) => bucket.count()], ["entries", (bucket) => [...bucket.entries()]], ["reverse", (bucket) => [...bucket.keys({ reverse: true })]],
  ["forEach", (bucket) => bucket.forEach(() => undefined)], ["buckets", (bucket) => [...bucket.buckets()]],
];

describe("an empty leaf to which there are 100^20 ways", () => {
  const pages = [leaf([bucketAt("b", 4)]), ...branches(20, 4, leaf([]))];
  for (const [name, walk] of walks) {
    test(name, () => {
      const db = opened(pages);
      assert.throws(() => db.view((tx) => walk(tx.bucket("b")!)), corrupt);
      assert.equal(db.view((tx) => tx.bucket("b")?.get("k050")), undefined);
      db.close();
    });
  }

  test("in writing: deleteBucket, and a cursor after a put that was taken back", () => {
    const db = opened(pages);
    assert.throws(() => db.update((tx) => tx.deleteBucket("b")), corrupt);
    const tx = db.begin(true);
    const bucket = tx.bucket("b")!;
    bucket.put("k050", "v");
    bucket.delete("k050");
    assert.throws(() => bucket.cursor().last(), corrupt);
    tx.rollback();
    assert.ok(db.view((read) => [...read.check()].length) > 0);
    db.close();
  });
});

test("elements that share their bytes with others are no elements", () => {
  const db = opened([leaf([bucketAt("b", 4)]), leafOfSharedValues(100)]);
  assert.throws(() => db.view((tx) => tx.bucket("b")?.get("0001")), { code: "CORRUPT", message: /shares its bytes with other elements/ });
  assert.throws(() => db.update((tx) => tx.bucket("b")?.put("zz", "v")), corrupt);
  db.close();
});

test("an inline bucket whose pairs share their bytes is none", () => {
  const page = leafOfSharedValues(20)(0);
  const db = opened([leaf([{ key: "b", value: Buffer.concat([Buffer.alloc(16), page]), flags: 1 }], 1)]);
  assert.throws(() => db.view((tx) => tx.bucket("b")?.count()), { code: "CORRUPT", message: /shares its bytes with other elements/ });
  db.close();
});

test("buckets of which each names the next one twice are copied by nobody", async () => {
  const levels = 50;
  const nested = Array.from({ length: levels }, (_, i) => leaf(i === levels - 1 ? [pair("k")] : [bucketAt("a", 5 + i), bucketAt("b", 5 + i)]));
  const db = opened([leaf([bucketAt("top", 4)]), ...nested]);
  assert.throws(() => db.compact(tempPath("compacted.db")), corrupt);
  await assert.rejects(db.backup(tempPath("backup.db")), corrupt);
  db.close();
});

test("leaves that have each other for overflow pages are not copied again and again", () => {
  const count = 60;
  const leaves = Array.from({ length: count }, (_, i): MakePage => (pgid) => {
    const page = leaf([{ key: `k${String(i).padStart(3, "0")}`, value: Buffer.alloc(3000) }])(pgid);
    // Its value goes on in all the leaves behind it.
    page.writeUInt32LE(count - 1 - i, 12);
    page.writeUInt32LE((count - i) * 4096 - 36, 16 + 12);
    return page;
  });
  const db = opened([leaf([bucketAt("b", 4)]), branch(leaves.map((_, i) => [`k${String(i).padStart(3, "0")}`, 5 + i] as const)), ...leaves]);
  assert.throws(() => db.compact(tempPath("overflowing.db")), { code: "CORRUPT", message: /more keys and values than the file has bytes/ });
  db.close();
});
