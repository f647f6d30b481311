/** The bytes in the buckets: the drawing in docs/images.md, real files, and what happens when something else lies there. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MemoryStorage, open, openMemory } from "../../engine/index.js";
import {
  CorruptImagesError, hasEarlyLayout, initDB, isNotFound, listNamespaces, LocalImageStore, TxImageStore,
} from "../../images/index.js";
import { decodeVarint } from "../../images/varint.js";
import { fixtureCopy, fixtureOriginal, readFixture, repositoryRoot } from "../support/fixtures.js";
import type { ReadBucket, Tx } from "../../engine/index.js";
import type { Image } from "../../images/index.js";
import type { FixtureBucket } from "../support/fixtures.js";

const target = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 1 };

/** Draws a bucket as the document does: a line an element, a bucket with a slash, two more spaces a level. */
function draw(bucket: ReadBucket, depth = 0): string[] {
  const lines: string[] = [];
  bucket.forEach((key, value) => {
    const nested = value === undefined ? bucket.bucket(key) : undefined;
    lines.push(`${"  ".repeat(depth)}${key.toString()}${nested === undefined ? "" : "/"}`);
    if (nested !== undefined) lines.push(...draw(nested, depth + 1));
  });
  return lines;
}

test("the drawing of both layouts is what is written", () => {
  const document = readFileSync(join(repositoryRoot, "docs", "images.md"), "utf8");
  const drawings = [...document.matchAll(/^```layout\n([\s\S]*?)^```/gm)].map(([, text = ""]) =>
    text.trimEnd().split("\n").map((line) => line.replace(/ {2,}\S.*$/, (rest, at: number) => (line.slice(0, at).trim() === "" ? rest : "")).trimEnd()));
  const db = openMemory();
  initDB(db);
  const early = db.update((tx) => {
    new TxImageStore(tx).put("NAME", target);
    const schema = tx.bucket("v1");
    assert.ok(schema !== undefined);
    return ["v1/", ...draw(schema, 1)];
  });
  const present = openMemory();
  const namespaced = present.update((tx) => {
    new TxImageStore(tx, { namespace: "NAMESPACE" }).put("NAME", { ...target, annotations: { KEY: "v" } }, { labels: { KEY: "v" } });
    const schema = tx.bucket("v1");
    assert.ok(schema !== undefined);
    assert.equal(decodeVarint(schema.get("version") ?? Buffer.alloc(0)), 3);
    return ["v1/", ...draw(schema, 1)];
  });
  assert.deepEqual(drawings, [early, namespaced]);
});

/** Reads the images out of a fixture's JSON, without any code under test but the varint. */
function expectedImages(bucket: FixtureBucket): { name: string; mediaType: string; digest: string; size: string }[] {
  return bucket.entries.map((entry) => {
    const values = new Map((entry.bucket?.entries ?? []).map(({ k = "", v = "" }) => [Buffer.from(k, "hex").toString(), Buffer.from(v, "hex")]));
    return {
      name: Buffer.from(entry.k ?? "", "hex").toString(),
      mediaType: values.get("mediatype")?.toString() ?? "",
      digest: values.get("digest")?.toString() ?? "",
      size: String(decodeVarint(values.get("size") ?? Buffer.alloc(0))),
    };
  });
}

test("images that Go wrote, with the limits of int64 among their sizes, read the same", () => {
  const root = readFixture("images-limits").root;
  const images = root?.entries[0]?.bucket?.entries[0]?.bucket;
  assert.ok(images !== undefined);
  const db = open(fixtureOriginal("images-limits"), { readOnly: true });
  const listed = db.view((tx) => new TxImageStore(tx).list());
  assert.deepEqual(listed.map(({ name, target: { mediaType, digest, size } }) => ({ name, mediaType, digest, size: String(size) })), expectedImages(images));
  const sizes = new Set(listed.map((image) => image.target.size));
  for (const size of [0, -1, 1n << 62n, -(2n ** 63n), 2n ** 63n - 1n]) assert.ok(sizes.has(size), String(size));
  for (const image of listed) assert.deepEqual(db.view((tx) => new TxImageStore(tx).get(image.name)), image);
  db.close();
});

test("twenty thousand images that Go wrote are listed in order, changed and checked", () => {
  const path = fixtureCopy("images-20k");
  const db = open(path);
  const count = Number(readFixture("images-20k").rootSummary?.totalBuckets ?? 0) - 2;
  const listed = db.view((tx) => new TxImageStore(tx).list());
  assert.equal(listed.length, count);
  for (let index = 1; index < listed.length; index++) {
    assert.ok(Buffer.compare(Buffer.from(listed[index - 1]?.name ?? ""), Buffer.from(listed[index]?.name ?? "")) < 0);
  }
  db.update((tx) => {
    const store = new TxImageStore(tx);
    for (const image of listed.filter((_, index) => index % 3 === 0)) store.delete(image.name);
    for (let index = 0; index < 500; index++) store.put(`new/${index}`, { ...target, size: index });
  });
  db.view((tx) => {
    assert.equal(new TxImageStore(tx).list().length, count - Math.ceil(count / 3) + 500);
    assert.deepEqual([...tx.check()], []);
  });
  db.close();
});

/** The lines of `ctr images ls` that the fixture's authors kept, by namespace. */
function ctrImages(): Map<string, { name: string; mediaType: string; digest: string; labels: string }[]> {
  const text = readFileSync(join(repositoryRoot, "test", "fixtures", "containerd-meta.ctr.txt"), "utf8");
  const result = new Map<string, { name: string; mediaType: string; digest: string; labels: string }[]>();
  for (const [, namespace = "", body = ""] of text.matchAll(/^# ctr -n (\S+) images ls\n([\s\S]*?)(?=^# )/gm)) {
    const rows = body.trimEnd().split("\n").slice(1).map((line) => {
      const parts = /^(\S+) +(\S+) +(sha256:\S+) +\S+ \S+ +\S+ +(.*)$/.exec(line);
      assert.ok(parts !== null, line);
      return { name: parts[1] ?? "", mediaType: parts[2] ?? "", digest: parts[3] ?? "", labels: parts[4] ?? "" };
    });
    result.set(namespace, rows);
  }
  return result;
}

test("a real containerd's database shows what ctr lists, in every namespace", () => {
  const expected = ctrImages();
  const db = open(fixtureOriginal("containerd-meta"), { readOnly: true });
  db.view((tx) => {
    assert.deepEqual(listNamespaces(tx), ["default", "k8s.io", "team-shared"]);
    assert.deepEqual([...expected.keys()].sort(), listNamespaces(tx));
    assert.equal(hasEarlyLayout(tx), false);
    for (const [namespace, rows] of expected) {
      const images = new TxImageStore(tx, { namespace }).list();
      assert.deepEqual(images.map((image) => ({
        name: image.name, mediaType: image.target.mediaType, digest: image.target.digest,
        labels: Object.entries(image.labels ?? {}).map(([key, value]) => `${key}=${value}`).sort().join(",") || "-",
      })), rows);
      for (const image of images) {
        assert.ok(image.createdAt !== undefined && image.updatedAt !== undefined && image.updatedAt >= image.createdAt);
        assert.equal(image.createdAt.toISOString().slice(0, 10), "2026-11-24");
      }
    }
  });
  db.close();
});

test("a put on containerd's image keeps its creation time to the nanosecond, and what else lies in its bucket", () => {
  const db = open(fixtureCopy("containerd-meta"));
  db.update((tx) => {
    const store = new TxImageStore(tx, { namespace: "default" });
    const name = store.list()[0]?.name ?? "";
    const bucket = imagesOf(tx, "default").bucket(name);
    assert.ok(bucket !== undefined);
    const created = bucket.get("createdat");
    bucket.put("unknown", "key");
    bucket.createBucket("unknown-bucket").put("k", "v");
    store.put(name, target);
    assert.deepEqual(bucket.get("createdat"), created);
    assert.equal(bucket.get("unknown")?.toString(), "key");
    assert.equal(bucket.bucket("labels"), undefined);
    assert.deepEqual(store.get(name).target, target);
  });
  db.view((tx) => assert.deepEqual([...tx.check()], []));
  db.close();
});

function imagesOf(tx: Tx, namespace?: string): NonNullable<ReturnType<Tx["bucket"]>> {
  const schema = tx.bucket("v1");
  const images = (namespace === undefined ? schema : schema?.bucket(namespace))?.bucket("images");
  assert.ok(images !== undefined);
  return images;
}

/** An image without labels and annotations, to damage. */
function damagedCopy(tx: Tx): NonNullable<ReturnType<Tx["bucket"]>> {
  new TxImageStore(tx, { namespace: "ns" }).put("bad", target);
  const bucket = imagesOf(tx, "ns").bucket("bad");
  assert.ok(bucket !== undefined);
  return bucket;
}

/** What may lie where an image belongs, and what is said about it. */
const DAMAGE: readonly [string, string | undefined, (tx: Tx) => void, RegExp][] = [
  ["a plain key in place of the image", undefined, (tx) => imagesOf(tx).put("bad", "x"), /plain key/],
  ["a size that ends too early", undefined, (tx) => imagesOf(tx).createBucket("bad").put("size", Buffer.from([0x80])), /size 0x80/],
  ["an empty size", undefined, (tx) => imagesOf(tx).createBucket("bad").put("size", ""), /size/],
  ["a size of more than 64 bits", undefined, (tx) => imagesOf(tx).createBucket("bad").put("size", Buffer.alloc(11, 0xff)), /size/],
  ["a name that is no UTF-8", undefined, (tx) => void imagesOf(tx).createBucket(Buffer.from([0x62, 0xff])), /UTF-8/],
  ["no target", "ns", (tx) => imagesOf(tx, "ns").createBucket("bad").put("createdat", ""), /target/],
  ["a time that is none", "ns", (tx) => {
    const bucket = imagesOf(tx, "ns").createBucket("bad");
    bucket.createBucket("target");
    bucket.put("updatedat", "soon");
  }, /updatedat/],
  ["a label that is no UTF-8", "ns", (tx) => void damagedCopy(tx).createBucket("labels").put(Buffer.from([0x61, 0xff]), "x"), /labels is no UTF-8/],
  ["the text of an annotation that is no UTF-8", "ns", (tx) => void damagedCopy(tx).createBucket("annotations").put("a", Buffer.from([0xff])), /annotations is no UTF-8/],
  ["a digest that is no UTF-8", undefined, (tx) => imagesOf(tx).createBucket("bad").put("digest", Buffer.from([0x73, 0xff])), /digest is no UTF-8/],
  ["a media type that is no UTF-8", undefined, (tx) => imagesOf(tx).createBucket("bad").put("mediatype", Buffer.from([0xc3])), /mediatype is no UTF-8/],
  ["a plain key in place of a namespaced image", "ns", (tx) => imagesOf(tx, "ns").put("bad", "x"), /plain key/],
];

for (const [what, namespace, damage, reason] of DAMAGE) {
  test(`${what} is CORRUPT, named, and hides no other image`, () => {
    const db = openMemory();
    initDB(db);
    db.update((tx) => {
      const store = new TxImageStore(tx, namespace === undefined ? {} : { namespace });
      store.put("a", target);
      store.put("c", target);
      damage(tx);
      assert.throws(() => store.list(), (error) => {
        assert.ok(error instanceof CorruptImagesError && error.code === "CORRUPT");
        assert.deepEqual(error.images.map((image) => image.name), ["a", "c"]);
        assert.equal(error.corrupt.length, 1);
        assert.match(error.corrupt[0]?.name ?? "", /^b/);
        assert.match(error.message, reason);
        return true;
      });
      assert.equal(store.get("a").name, "a");
      const name = what.startsWith("a name") ? undefined : "bad";
      if (name !== undefined) assert.throws(() => store.get(name), { code: "CORRUPT", message: /"bad"/ });
    });
    db.view((tx) => assert.deepEqual([...tx.check()], []));
    db.close();
  });
}

test("a put or delete on a plain key is CORRUPT with the engine's error as its cause", () => {
  const db = openMemory();
  initDB(db);
  db.update((tx) => {
    imagesOf(tx).put("bad", "x");
    const store = new TxImageStore(tx);
    for (const call of [(): void => store.put("bad", target), (): void => store.delete("bad")]) {
      assert.throws(call, (error) => error instanceof Error && "code" in error && error.code === "CORRUPT" &&
        error.cause instanceof Error && "code" in error.cause && error.cause.code === "INCOMPATIBLE_VALUE");
    }
  });
  db.close();
});

test("unknown keys and nested buckets inside an image are skipped; a missing key reads as Go's zero value", () => {
  const db = openMemory();
  initDB(db);
  db.update((tx) => {
    const bucket = imagesOf(tx).createBucket("a");
    bucket.put("unknown", "x");
    bucket.createBucket("nested").put("size", "y");
    bucket.createBucket("digest");
    bucket.put("size", Buffer.from([0x54, 0xff]));
    assert.deepEqual(new TxImageStore(tx).get("a"), { name: "a", target: { mediaType: "", digest: "", size: 42 } } satisfies Image);
  });
  db.close();
});

test("a database may hold both layouts; the early images are no namespace, a namespace called images is", () => {
  const db = openMemory();
  db.update((tx) => new TxImageStore(tx, { namespace: "images" }).put("a", target));
  db.view((tx) => assert.deepEqual([listNamespaces(tx), hasEarlyLayout(tx)], [["images"], false]));
  db.close();
  const early = openMemory();
  initDB(early);
  early.view((tx) => assert.deepEqual([listNamespaces(tx), hasEarlyLayout(tx)], [[], true]));
  early.update((tx) => {
    new TxImageStore(tx).put("labels", target);
    // The first one in byte order, and it lacks its digest.
    imagesOf(tx).createBucket("a").put("mediatype", "m");
    new TxImageStore(tx, { namespace: "ns" }).put("a", target);
  });
  early.view((tx) => {
    assert.deepEqual([listNamespaces(tx), hasEarlyLayout(tx)], [["ns"], true]);
    assert.throws(() => new TxImageStore(tx, { namespace: "other" }).get("a"), isNotFound);
    assert.deepEqual(new TxImageStore(tx, { namespace: "other" }).list(), []);
  });
  early.close();
});

test("what a local store was asked while others write is one snapshot", async () => {
  const db = openMemory();
  initDB(db);
  const store = new LocalImageStore(db);
  await Promise.all([store.put("a", target), store.put("b", target)]);
  const [listed] = await Promise.all([store.list(), store.delete("a")]);
  assert.deepEqual(listed.map((image) => image.name), ["a", "b"]);
  db.close();
});

/** Counts how often each page of a storage is read. */
class CountingStorage extends MemoryStorage {
  readonly reads = new Map<number, number>();

  override read(bytes: Uint8Array, position: number): number {
    for (let page = Math.floor(position / 4096); page * 4096 < position + bytes.length; page++) this.reads.set(page, (this.reads.get(page) ?? 0) + 1);
    return super.read(bytes, position);
  }
}

test("a list reads each page once, with a cache far smaller than the file", () => {
  const storage = new CountingStorage();
  storage.write([readFileSync(fixtureOriginal("images-20k"))], 0);
  const db = open("counted", { storage, readOnly: true, cacheSize: 1 << 20 });
  storage.reads.clear();
  const listed = db.view((tx) => new TxImageStore(tx).list());
  assert.ok(listed.length > 18_000);
  assert.ok(storage.reads.size > 1000, `${storage.reads.size} pages were read`);
  const again = [...storage.reads].filter(([, count]) => count > 1);
  assert.deepEqual(again, []);
  db.close();
});

const TARGET = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 1 };

test("a store goes on where the bucket of images was deleted, moved or made anew in its transaction", () => {
  const db = openMemory();
  db.update((tx) => {
    const schema = tx.createBucket("v1");
    schema.createBucket("images");
    const early = new TxImageStore(tx);
    const inNamespace = new TxImageStore(tx, { namespace: "ns" });
    for (const store of [early, inNamespace]) store.put("a", TARGET);
    schema.deleteBucket("images");
    assert.throws(() => early.put("b", TARGET), { code: "NOT_FOUND" });
    schema.createBucket("images");
    early.put("c", TARGET);
    assert.deepEqual(early.list().map(({ name }) => name), ["c"]);
    schema.bucket("ns")?.moveBucket("images", schema.createBucket("elsewhere"));
    inNamespace.put("d", TARGET);
    assert.deepEqual(inNamespace.list().map(({ name }) => name), ["d"]);
    tx.deleteBucket("v1");
    assert.throws(() => early.put("e", TARGET), { code: "NOT_FOUND" });
    inNamespace.put("f", TARGET);
    assert.deepEqual(inNamespace.list().map(({ name }) => name), ["f"]);
  });
  assert.throws(() => {
    const kept = db.update((tx) => {
      const store = new TxImageStore(tx, { namespace: "ns" });
      store.put("g", TARGET);
      return store;
    });
    kept.put("h", TARGET);
  }, { code: "TX_CLOSED" });
  db.close();
});
