/** The remote store passes the suite against our own server: on a socket, on TCP, on a plain store, without a namespace; and what it makes of a service that is not there. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http2";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { imageStoreConformance } from "../../images/conformance.js";
import { frame } from "../../images/grpc-frame.js";
import { connectImages, serveImages } from "../../images/index.js";
import { EARLY_SERVICE, PRESENT_SERVICE } from "../../images/services.js";
import { tempPath } from "../support/temp.js";
import { MapImageStore } from "./map-store.js";
import type { ServerHttp2Session } from "node:http2";
import type { CallOptions, Image, ImageStore, ServeOptions } from "../../images/index.js";
import type { RemoteImageStore } from "../../images/remote-store.js";

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

const OK = { "grpc-status": "0" };
const UNIMPLEMENTED = { "grpc-status": "12" };
const target = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 1 };

/** A server that says what the test says to each service, and an empty message; `asked` are the services it heard of since it was last looked at. */
interface Answering {
  say: (isEarly: boolean) => Readonly<Record<string, string | number>>;
  asked(): string[];
  /** Ends its connections. */
  cut(): void;
}

async function withAnswering(use: (client: RemoteImageStore, server: Answering) => Promise<void>): Promise<void> {
  const server = createServer();
  const sessions: ServerHttp2Session[] = [];
  const asked: string[] = [];
  const answering: Answering = {
    say: () => OK,
    asked: () => asked.splice(0),
    cut: () => { for (const session of sessions.splice(0)) session.destroy(); },
  };
  server.on("session", (session) => { sessions.push(session); });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => undefined);
    const isEarly = String(headers[":path"]).startsWith(`/${EARLY_SERVICE}/`);
    asked.push(isEarly ? EARLY_SERVICE : PRESENT_SERVICE);
    stream.respond({ ":status": 200, "content-type": "application/grpc", ...answering.say(isEarly) });
    stream.end(frame(Buffer.alloc(0)));
  });
  const path = tempPath("answering.sock");
  await once(server.listen(path), "listening");
  const client = connectImages(path);
  try {
    await use(client, answering);
  } finally {
    client.close();
    answering.cut();
    server.close();
  }
}

const LISTING = { what: "list", call: (client: RemoteImageStore) => client.list(), first: PRESENT_SERVICE, second: EARLY_SERVICE };
const PUTTING = { what: "put", call: (client: RemoteImageStore) => client.put("a", target), first: EARLY_SERVICE, second: PRESENT_SERVICE };
// The early service stores no times: it is for a server that has no other.
const PUTTING_A_TIME = {
  what: "put with a time", call: (client: RemoteImageStore) => client.put("a", target, { sourceDateEpoch: new Date(0) }), first: PRESENT_SERVICE, second: EARLY_SERVICE,
};

for (const { call, first, second, what } of [LISTING, PUTTING, PUTTING_A_TIME]) {
  const isFirst = (isEarly: boolean): boolean => (isEarly ? EARLY_SERVICE : PRESENT_SERVICE) === first;

  test(`a ${what} asks the other service of a server that lacks one, and later that one alone, until the connection is another`, async () => {
    await withAnswering(async (client, server) => {
      server.say = (isEarly) => (isFirst(isEarly) ? UNIMPLEMENTED : OK);
      await call(client);
      assert.deepEqual(server.asked(), [first, second]);
      await call(client);
      server.asked();
      await call(client);
      assert.deepEqual(server.asked(), [second]);
      server.cut();
      server.say = () => OK;
      // The client may hear of the end only with the next call.
      await call(client).catch(() => undefined);
      server.asked();
      await call(client);
      assert.deepEqual(server.asked(), [first]);
    });
  });

  test(`a ${what} takes a page that there is none for no lack of a service, nor one that both services lack`, async () => {
    await withAnswering(async (client, server) => {
      server.say = () => ({ ":status": 404, "content-type": "text/html" });
      await assert.rejects(call(client), { code: "UNAVAILABLE", message: /HTTP status 404/ });
      assert.deepEqual(server.asked(), [first]);
      server.say = () => UNIMPLEMENTED;
      for (let round = 0; round < 3; round++) await assert.rejects(call(client), { code: "UNAVAILABLE", message: /^UNIMPLEMENTED/ });
      server.say = () => OK;
      server.asked();
      await call(client);
      assert.deepEqual(server.asked(), [first]);
    });
  });
}
