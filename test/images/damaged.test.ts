/** An image whose bytes are none is put anew as any other is: through every store, and through a server. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openMemory, type Bucket } from "../../engine/index.js";
import { connectImages, EtcdImageStore, ImagesError, LocalImageStore, serveImages } from "../../images/index.js";
import { encodeGoTime } from "../../images/go-time.js";
import { tempPath } from "../support/temp.js";
import { withFakeEtcd } from "./fake-etcd.js";
import { MapImageStore } from "./map-store.js";
import type { EditableImageStore, Image, ImageStore } from "../../images/index.js";

const namespace = "nsr";
const target = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 5 };
const born = new Date("2020-01-02T03:04:05.678Z");

/** A store with an image `sizeless`, one that was also `born`, one of an undated birth, and a plain key in an image's place. */
function damagedStore(): LocalImageStore {
  const db = openMemory();
  db.update((tx) => {
    const images = tx.createBucket("v1").createBucket(namespace).createBucket("images");
    const sizeless = (name: string): Bucket => {
      const bucket = images.createBucket(name);
      bucket.createBucket("target").put("size", Buffer.of(0x80));
      return bucket;
    };
    sizeless("sizeless");
    sizeless("born").put("createdat", encodeGoTime(born));
    sizeless("undated").put("createdat", "long ago");
    images.put("plain", "x");
  });
  return new LocalImageStore(db, { namespace });
}

async function throughServer(store: ImageStore, use: (client: EditableImageStore) => Promise<void>): Promise<void> {
  await using server = await serveImages(store, { path: tempPath("d.sock") });
  const client = connectImages(server.address, { namespace });
  try {
    await use(client);
  } finally {
    client.close();
  }
}

async function requireRepairs(store: EditableImageStore, repair: (name: string) => Promise<unknown>): Promise<void> {
  for (const name of ["sizeless", "born", "undated"]) {
    const begin = Date.now();
    const given = await repair(name);
    const stored = await store.get(name);
    assert.deepEqual([stored.target, stored.labels], [target, { k: "v" }], name);
    if (name === "born") assert.deepEqual(stored.createdAt, born);
    else assert.ok((stored.createdAt?.getTime() ?? 0) >= begin, name);
    if (given !== undefined) assert.deepEqual(given, stored, name);
  }
  await assert.rejects(repair("plain"), { code: "CORRUPT" });
  await assert.rejects(repair("plain"), /plain key/);
}

for (const [where, withStore] of [
  ["on a database", async (use) => use(damagedStore())],
  ["through a server", async (use) => throughServer(damagedStore(), use)],
] satisfies [string, (use: (store: EditableImageStore) => Promise<void>) => Promise<void>][]) {
  test(`a put repairs a damaged image ${where}, and keeps its creation time where there is one`, async () => {
    await withStore((store) => requireRepairs(store, (name) => store.put(name, target, { labels: { k: "v", none: "" } })));
  });

  test(`an update of all of a damaged image repairs it ${where}, one of some fields does not`, async () => {
    await withStore(async (store) => {
      await assert.rejects(store.update("born", { target, labels: { k: "v" }, fields: ["labels"] }), { code: "CORRUPT" });
      await requireRepairs(store, (name) => store.update(name, { target, labels: { k: "v", none: "" }, fields: [] }));
      await assert.rejects(store.update("missing", { target, fields: [] }), { code: "NOT_FOUND" });
    });
  });
}

test("an update returns the creation time that is stored, also Go's zero time", async () => {
  const db = openMemory();
  const store = new LocalImageStore(db, { namespace });
  await store.put("zero", target);
  db.update((tx) => tx.bucket("v1")!.bucket(namespace)!.bucket("images")!.bucket("zero")!.put("createdat", encodeGoTime(new Date(-62_135_596_800_000))));
  const updated = await store.update("zero", { target, fields: ["target"] });
  assert.deepEqual(updated, await store.get("zero"));
});

test("an update of all of a value in etcd that is no image repairs it", async () => {
  await withFakeEtcd(async (etcd) => {
    const store = new EtcdImageStore({ endpoints: etcd.url, namespace });
    etcd.put(Buffer.from(`/hexbolt/namespaces/${namespace}/images/bad`), Buffer.from("{}"));
    await assert.rejects(store.update("bad", { target, fields: ["target"] }), { code: "CORRUPT" });
    assert.deepEqual(await store.update("bad", { target, fields: [] }), await store.get("bad"));
  });
});

/** A store without `create` and `update`, in which `bad` is damaged until it is put. */
class DamagedMapStore extends MapImageStore {
  #isBad = true;

  override async put(...args: Parameters<MapImageStore["put"]>): Promise<void> {
    await super.put(...args);
    this.#isBad = false;
  }

  override async get(name: string): Promise<Image> {
    if (name === "bad" && this.#isBad) throw new ImagesError("CORRUPT", 'image "bad": damaged');
    return super.get(name);
  }
}

test("a put through a server repairs a damaged image of a store without create and update", async () => {
  await throughServer(new DamagedMapStore(), async (client) => {
    await assert.rejects(client.update("bad", { target, fields: ["target"] }), { code: "CORRUPT" });
    await client.put("bad", target);
    assert.deepEqual((await client.get("bad")).target, target);
  });
});
