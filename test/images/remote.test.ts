/** The remote store passes the suite against our own server: on a socket, on TCP, on a plain store, without a namespace. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { imageStoreConformance } from "../../images/conformance.js";
import { connectImages, serveImages } from "../../images/index.js";
import { tempPath } from "../support/temp.js";
import { MapImageStore } from "./map-store.js";
import type { CallOptions, Image, ImageStore, ServeOptions } from "../../images/index.js";

function served(place: () => ServeOptions, namespace: string | undefined): () => Promise<{ store: ImageStore; close: () => Promise<void> }> {
  return async () => {
    const server = await serveImages(new MapImageStore(), place());
    const store = connectImages(server.address, namespace === undefined ? {} : { namespace });
    return {
      store,
      close: async () => {
        store.close();
        await server.close();
      },
    };
  };
}

imageStoreConformance({ name: "a plain store", create: async () => ({ store: new MapImageStore(), close: async () => undefined }) });
imageStoreConformance({ name: "remote, unix socket, on a plain store", create: served(() => ({ path: tempPath("plain.sock") }), "default") });
imageStoreConformance({ name: "remote, TCP, without a namespace, on a plain store", create: served(() => ({}), undefined) });

test("a clock that is set ends no call", async () => {
  class SlowStore extends MapImageStore {
    override async get(name: string, options?: CallOptions): Promise<Image> {
      await sleep(50);
      return super.get(name, options);
    }
  }
  const store = new SlowStore();
  await store.put("a", { mediaType: "m", digest: `sha256:${"0".repeat(64)}`, size: 1 });
  const server = await serveImages(store, {});
  const client = connectImages(server.address);
  const now = Date.now;
  let hours = 0;
  Date.now = (): number => now() + 3_600_000 * hours++;
  try {
    assert.equal((await client.get("a")).name, "a");
  } finally {
    Date.now = now;
    client.close();
    await server.close({ graceMs: 0 });
  }
});
