/** Calls that a store in a transaction refuses: they leave the images as they were, for the caller may go on and commit. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openMemory } from "../../engine/index.js";
import { initDB, TxImageStore } from "../../images/index.js";
import type { Tx } from "../../engine/index.js";

const target = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 1 };

function imagesOf(tx: Tx, namespace?: string): NonNullable<ReturnType<Tx["bucket"]>> {
  const schema = tx.bucket("v1");
  const images = (namespace === undefined ? schema : schema?.bucket(namespace))?.bucket("images");
  assert.ok(images !== undefined);
  return images;
}

/** All that lies in a bucket, as text. */
function contentOf(bucket: NonNullable<ReturnType<Tx["bucket"]>>): unknown {
  const content: Record<string, unknown> = {};
  bucket.forEach((key, value) => { content[key.toString("latin1")] = value === undefined ? contentOf(bucket.bucket(key)!) : value.toString("latin1"); });
  return content;
}

const LONG = "k".repeat(32_769);
/** What a put or create refuses, on an image called `a` that was made strange before. */
const REFUSED: readonly [string, string | undefined, (tx: Tx) => void, (store: TxImageStore) => unknown, string][] = [
  ["an annotation's key that is too long", "ns", () => undefined, (store) => store.put("a", { ...target, size: 9, annotations: { [LONG]: "v" } }, { labels: { b: "2" } }), "INVALID"],
  ["such a key of a new image", "ns", () => undefined, (store) => store.create("new", { ...target, annotations: { [LONG]: "v" } }), "INVALID"],
  ["half a surrogate pair in a label", "ns", () => undefined, (store) => store.put("a", target, { labels: { "\ud800": "1", "\ud801": "2" } }), "INVALID"],
  ["half a surrogate pair in a label's value", "ns", () => undefined, (store) => store.put("a", target, { labels: { a: "\udfff" } }), "INVALID"],
  ["a plain key called annotations", "ns", (tx) => imagesOf(tx, "ns").bucket("a")?.put("annotations", "x"), (store) => store.put("a", target, { labels: { b: "2" } }), "CORRUPT"],
  ["a bucket called createdat", "ns", (tx) => {
    const bucket = imagesOf(tx, "ns").bucket("a");
    bucket?.delete("createdat");
    bucket?.createBucket("createdat");
  }, (store) => store.put("a", target, { labels: { b: "2" } }), "CORRUPT"],
  ["a bucket called size in the target", "ns", (tx) => {
    const bucket = imagesOf(tx, "ns").bucket("a")?.bucket("target");
    bucket?.delete("size");
    bucket?.createBucket("size");
  }, (store) => store.put("a", { ...target, digest: `sha256:${"9".repeat(64)}` }, { labels: { b: "2" } }), "CORRUPT"],
  ["a bucket called size", undefined, (tx) => {
    const bucket = imagesOf(tx).bucket("a");
    bucket?.delete("size");
    bucket?.createBucket("size");
  }, (store) => store.put("a", { ...target, digest: "other" }), "CORRUPT"],
];

for (const [what, namespace, prepare, call, code] of REFUSED) {
  test(`${what} is ${code}, and the images stay as they were`, () => {
    const db = openMemory();
    initDB(db);
    db.update((tx) => {
      const store = new TxImageStore(tx, namespace === undefined ? {} : { namespace });
      store.put("a", target, namespace === undefined ? {} : { labels: { a: "1" } });
      prepare(tx);
      const before = contentOf(imagesOf(tx, namespace));
      assert.throws(() => call(store), { code });
      assert.deepEqual(contentOf(imagesOf(tx, namespace)), before);
    });
    db.close();
  });
}

test("a put replaces a creation time that is none", () => {
  const db = openMemory();
  db.update((tx) => {
    const store = new TxImageStore(tx, { namespace: "ns" });
    store.put("a", target);
    imagesOf(tx, "ns").bucket("a")?.put("createdat", Buffer.alloc(3));
    assert.throws(() => store.get("a"), { code: "CORRUPT" });
    store.put("a", target);
    assert.ok(store.get("a").createdAt instanceof Date);
  });
  db.close();
});

test("a name with half a surrogate pair names no image", () => {
  const db = openMemory();
  initDB(db);
  db.update((tx) => {
    const store = new TxImageStore(tx);
    store.put("\ufffd", target);
    for (const call of [(): unknown => store.get("\ud800"), (): unknown => store.delete("\udfff"), (): unknown => store.put("\ud800", target)]) {
      assert.throws(call, { code: "INVALID", message: /half a surrogate pair/ });
    }
    assert.equal(store.get("\ufffd").name, "\ufffd");
  });
  db.close();
});

test("in a transaction that is over every call says so, and a read transaction refuses to write", () => {
  const db = openMemory();
  initDB(db);
  for (const writable of [true, false]) {
    const tx = writable ? db.begin(true) : db.begin();
    const store = new TxImageStore(tx);
    if (!writable) for (const call of [(): unknown => store.put("a", target), (): unknown => store.delete("a")]) assert.throws(call, { code: "TX_NOT_WRITABLE" });
    tx.rollback();
    for (const call of [(): unknown => store.put("a", target), (): unknown => store.delete("a"), (): unknown => store.get("a"), (): unknown => store.list()]) {
      assert.throws(call, { code: "TX_CLOSED" });
    }
  }
  db.close();
});
