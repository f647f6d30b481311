/** Connections that end, or that HTTP/2 has ended: what they leave. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { connect as connectHttp2, constants } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { GrpcServer } from "../../images/grpc-server.js";
import { loadHttp2 } from "../../images/http2.js";
import { connectImages, serveImages } from "../../images/index.js";
import { tempPath } from "../support/temp.js";
import { MapImageStore } from "./map-store.js";

const IS_NODE = !("Bun" in globalThis || "Deno" in globalThis);
const LIST = { ":method": "POST", ":path": "/containerd.services.images.v1.Images/List", "content-type": "application/grpc" };

test("nothing holds the session of a connection that is over", { skip: IS_NODE ? false : "asks for a garbage collection as Node knows it" }, async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const path = tempPath("over.sock");
  await loadHttp2();
  const server = new GrpcServer(new Map());
  const sessions: WeakRef<object>[] = [];
  server.http.on("session", (session) => { sessions.push(new WeakRef(session)); });
  server.http.listen(path);
  await once(server.http, "listening");
  for (let i = 0; i < 40; i++) {
    const socket = connect(path);
    await once(socket, "connect");
    socket.destroy();
    await once(socket, "close");
  }
  for (let i = 0; i < 100 && (sessions.length < 40 || sessions.some((session) => session.deref() !== undefined)); i++) {
    await sleep(10);
    collect();
  }
  assert.equal(sessions.length, 40);
  const left = sessions.filter((session) => session.deref() !== undefined).length;
  // The last ones may still be in somebody's hands.
  assert.ok(left < 5, `${left} are left`);
  await server.close(0);
});

test("a connection that HTTP/2 has ended, for very many calls were called off, gives its place to another", async () => {
  const path = tempPath("flood.sock");
  const server = await serveImages(new MapImageStore(), { path, limits: { connections: 1, handshakeMs: 200 } });
  const flood = connectHttp2("http://localhost", { createConnection: () => connect(path) });
  flood.on("error", () => undefined);
  for (let round = 0; round < 200 && !flood.destroyed; round++) {
    for (let i = 0; i < 50 && !flood.closed; i++) {
      const call = flood.request(LIST);
      call.on("error", () => undefined);
      setImmediate(() => call.close(constants.NGHTTP2_CANCEL));
    }
    await sleep(2);
  }
  const isEnded = flood.destroyed;
  flood.destroy();
  const client = connectImages(path, { namespace: "default" });
  try {
    // Bun has no such guard.
    assert.ok(isEnded || "Bun" in globalThis);
    for (let attempt = 0; ; attempt++) {
      try {
        assert.deepEqual(await client.list(), []);
        break;
      } catch (error) {
        if (attempt === 100) throw error;
        await sleep(50);
      }
    }
  } finally {
    client.close();
    await server.close({ graceMs: 0 });
  }
});
