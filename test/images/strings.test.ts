/** Labels and annotations of a wrong kind: refused by every store before anything is lost or made up. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openMemory } from "../../engine/index.js";
import { connectImages, EtcdImageStore, initDB, LocalImageStore, serveImages, TxImageStore } from "../../images/index.js";
import { tempPath } from "../support/temp.js";
import { withFakeEtcd } from "./fake-etcd.js";
import type { EditableImageStore } from "../../images/index.js";

const target = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 1 };
const labels = { keep: "me" };

/** What is no object of strings, as a caller without types may give it. */
const WRONG: readonly unknown[] = [
  new Map([["a", "b"]]), new Set(["a"]), new URLSearchParams("a=b"), "ab", new String("ab"), ["x"], [], new Uint8Array(1), 5, true, Symbol("s"), null, () => undefined,
];

function refusal(what: string): object {
  return { name: "TypeError", message: new RegExp(`^${what} are an object of strings`) };
}

async function assertRefusals(store: EditableImageStore): Promise<void> {
  await store.put("a", target, { labels });
  for (const wrong of WRONG) {
    const said = Object.prototype.toString.call(wrong);
    const strings = wrong as Record<string, string>;
    const annotated = { ...target, annotations: strings };
    for (const call of [
      async (): Promise<unknown> => store.put("a", target, { labels: strings }),
      async (): Promise<unknown> => store.create("b", target, { labels: strings }),
      ...[[], ["labels"], ["labels.keep"], ["target"]].map((fields) => async (): Promise<unknown> => store.update("a", { target, labels: strings, fields })),
    ]) await assert.rejects(call, refusal("labels"), said);
    for (const call of [
      async (): Promise<unknown> => store.put("a", annotated),
      async (): Promise<unknown> => store.create("b", annotated),
      ...[[], ["annotations"], ["annotations.keep"], ["labels"]].map((fields) => async (): Promise<unknown> => store.update("a", { target: annotated, labels, fields })),
    ]) await assert.rejects(call, refusal("annotations"), said);
  }
  assert.deepEqual((await store.list()).map((image) => [image.name, image.labels, image.target]), [["a", labels, target]]);
}

test("labels and annotations that are no object of strings are a TypeError in every store, and change nothing", async () => {
  const db = openMemory();
  const local = new LocalImageStore(db, { namespace: "default" });
  await assertRefusals(local);
  const server = await serveImages(local, { path: tempPath("strings.sock") });
  for (const options of [{ namespace: "default" }, {}]) {
    const remote = connectImages(server.address, options);
    await assertRefusals(remote);
    remote.close();
  }
  await server.close();
  await withFakeEtcd(async (etcd) => {
    await assertRefusals(new EtcdImageStore({ endpoints: etcd.url }));
    await assertRefusals(new EtcdImageStore({ endpoints: etcd.url, namespace: "default" }));
  });
  db.close();
});

test("labels and annotations that are no object of strings are a TypeError in a transaction, and in the early layout", () => {
  const db = openMemory();
  initDB(db);
  for (const options of [{}, { namespace: "default" }]) {
    db.update((tx) => {
      const store = new TxImageStore(tx, options);
      for (const wrong of WRONG) {
        const strings = wrong as Record<string, string>;
        assert.throws(() => store.put("a", target, { labels: strings }), refusal("labels"));
        assert.throws(() => store.put("a", { ...target, annotations: strings }), refusal("annotations"));
      }
      assert.deepEqual(store.list(), []);
      store.put("a", target, { labels: Object.create(null) as Record<string, string> });
    });
  }
  db.close();
});
