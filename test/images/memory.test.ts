/** What calls keep in memory that nobody waits for any more. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { openMemory } from "../../engine/index.js";
import { frame } from "../../images/grpc-frame.js";
import { GrpcServer } from "../../images/grpc-server.js";
import { loadHttp2 } from "../../images/http2.js";
import { connectImages, LocalImageStore, serveImages } from "../../images/index.js";
import { tempPath } from "../support/temp.js";
import { rawSession, rawStream } from "./raw-client.js";

const IS_NODE = !("Bun" in globalThis || "Deno" in globalThis);
const onNode = { skip: IS_NODE ? false : "asks for a garbage collection as Node knows it" };
const target = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 1 };
const MEGABYTE = 1_000_000;

/** Labels of a megabyte that share no memory with others. */
function largeLabels(): Record<string, string> {
  return Object.fromEntries(Array.from({ length: 250 }, (_, i) => [`label-${i}`, Buffer.alloc(3990, "x").toString("latin1")]));
}

/** Asks until no more is in use than that, as what was let go of may be in somebody's hands for a moment. */
async function usedBytes(enough = Infinity): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let attempt = 1; ; attempt++) {
    collect();
    const { arrayBuffers, heapUsed } = process.memoryUsage();
    if (heapUsed + arrayBuffers <= enough || attempt === 50) return heapUsed + arrayBuffers;
    await sleep(20);
  }
}

async function assertKeepsLittle(before: number): Promise<void> {
  const kept = await usedBytes(before + 5 * MEGABYTE) - before;
  assert.ok(kept <= 5 * MEGABYTE, `${kept} bytes are kept`);
}

test("changes that are given up while the writer is busy keep none of their data", onNode, async () => {
  const db = openMemory();
  const store = new LocalImageStore(db, { namespace: "default" });
  await store.put("there", target);
  const before = await usedBytes();
  const tx = db.begin(true);
  const giveUp = new AbortController();
  const { signal } = giveUp;
  const calls = Array.from({ length: 10 }, (_, i) => [
    store.put("there", target, { labels: largeLabels(), signal }),
    store.create(`new-${i}`, { ...target, annotations: largeLabels() }, { signal }),
    store.update("there", { target, labels: largeLabels(), fields: [] }, { signal }),
    store.delete(Buffer.alloc(MEGABYTE, "x").toString("latin1"), { signal }),
  ]).flat();
  const ends = Promise.allSettled(calls.splice(0));
  setImmediate(() => giveUp.abort());
  assert.deepEqual(new Set((await ends).map(({ status }) => status)), new Set(["rejected"]));
  await assertKeepsLittle(before);
  tx.rollback();
  await store.put("later", target);
  assert.deepEqual((await store.list()).map(({ labels, name }) => [name, labels]), [["later", undefined], ["there", undefined]]);
  db.close();
});

test("a server keeps no request that was given up while the writer was busy", onNode, async () => {
  const db = openMemory();
  const store = new LocalImageStore(db, { namespace: "default" });
  await store.put("there", target);
  const server = await serveImages(store, { path: tempPath("given-up.sock") });
  const client = connectImages(server.address, { namespace: "default" });
  await client.list();
  const before = await usedBytes();
  const tx = db.begin(true);
  const calls = Array.from({ length: 20 }, (_, i) => client.create(`new-${i}`, target, { labels: largeLabels(), timeoutMs: 500 }));
  for (const end of await Promise.allSettled(calls.splice(0))) assert.equal(end.status, "rejected");
  await assertKeepsLittle(before);
  tx.rollback();
  await store.put("later", target);
  assert.deepEqual((await client.list()).map(({ name }) => name), ["later", "there"]);
  client.close();
  await server.close();
  db.close();
});

test("a server keeps no request whose answer is not read", onNode, async () => {
  const path = tempPath("unread.sock");
  await loadHttp2();
  let callCount = 0;
  const server = new GrpcServer(new Map([["/s/m", () => {
    callCount++;
    return { message: Buffer.alloc(1) };
  }]]));
  server.http.listen(path);
  await once(server.http, "listening");
  const session = rawSession(path, { initialWindowSize: 0 });
  await once(session, "remoteSettings");
  const before = await usedBytes();
  for (let i = 0; i < 20; i++) {
    const stream = rawStream(session, "/s/m");
    stream.end(frame(Buffer.alloc(MEGABYTE)));
    await once(stream, "response");
  }
  await assertKeepsLittle(before);
  assert.equal(callCount, 20);
  session.destroy();
  await server.close(0);
});
