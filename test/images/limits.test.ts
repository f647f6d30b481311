/** What times and limits may be: Infinity is none, what is no number is refused. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { openMemory } from "../../engine/index.js";
import { frame } from "../../images/grpc-frame.js";
import { connectImages, EtcdImageStore, initDB, LocalImageStore, serveImages } from "../../images/index.js";
import { PRESENT_SERVICE } from "../../images/services.js";
import { tempPath } from "../support/temp.js";
import { withFakeEtcd } from "./fake-etcd.js";
import { MapImageStore } from "./map-store.js";
import { rawAnswer, rawCall, rawSession, rawStream } from "./raw-client.js";
import type { Image } from "../../images/index.js";

const LIST = `/${PRESENT_SERVICE}/List`;
const target = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 1 };

/** A timer of Infinity would have run out after one millisecond, before this one. */
const longerThanAnAccident = async (): Promise<void> => sleep(50);

test("a server with an infinite grace waits for the calls that are under way", async () => {
  let letGo = (): void => undefined;
  let hasBegun = (): void => undefined;
  const begun = new Promise<void>((resolve) => { hasBegun = resolve; });
  class SlowStore extends MapImageStore {
    override async list(): Promise<Image[]> {
      await new Promise<void>((resolve) => {
        letGo = resolve;
        hasBegun();
      });
      return super.list();
    }
  }
  const server = await serveImages(new SlowStore(), { path: tempPath("grace.sock") });
  const client = connectImages(server.address);
  const listing = client.list();
  await begun;
  await assert.rejects(server.close({ graceMs: Number.NaN }), { code: "INVALID" });
  const closing = server.close({ graceMs: Infinity });
  await longerThanAnAccident();
  letGo();
  assert.deepEqual(await listing, []);
  client.close();
  await closing;
});

test("infinite limits are no limits", async () => {
  const limits = {
    requestMs: Infinity, answerMs: Infinity, handshakeMs: Infinity, idleMs: Infinity, callsPerConnection: Infinity, connections: Infinity, requestBytes: Infinity,
    answerBytes: Infinity,
  };
  const server = await serveImages(new MapImageStore(), { path: tempPath("infinite.sock"), limits });
  const session = rawSession(server.address);
  assert.equal((await rawCall(session, LIST, frame(Buffer.alloc(0)))).grpcStatus, 0);
  const stream = rawStream(session, LIST);
  const answer = rawAnswer(stream);
  await longerThanAnAccident();
  stream.end(frame(Buffer.alloc(0)));
  assert.equal((await answer).grpcStatus, 0);
  await longerThanAnAccident();
  assert.equal(session.closed, false);
  session.destroy();
  await server.close({ graceMs: 0 });
});

test("a limit that is none is INVALID, and an unknown one a TypeError", async () => {
  for (const limits of [{ idleMs: Number.NaN }, { requestMs: -1 }, { answerMs: 0 }, { connections: 0 }, { callsPerConnection: 1.5 }, { requestBytes: -Infinity }, { answerBytes: 0 }]) {
    await assert.rejects(serveImages(new MapImageStore(), { limits }), { code: "INVALID", message: new RegExp(`limits.${Object.keys(limits)[0] ?? ""} `) });
  }
  const limits = { idle: 1, idleMs: 1 };
  await assert.rejects(serveImages(new MapImageStore(), { limits }), { name: "TypeError", message: /"idle"; there are .*idleMs/ });
  const server = await serveImages(new MapImageStore(), { limits: { idleMs: undefined } });
  await server.close();
});

test("limits that a class or a prototype gives count as others do", async () => {
  class Limits {
    get requestBytes(): number { return 4; }
  }
  for (const limits of [new Limits(), Object.create({ requestBytes: 4 }) as object]) {
    const server = await serveImages(new MapImageStore(), { limits });
    const session = rawSession(server.address);
    assert.equal((await rawCall(session, LIST, frame(Buffer.alloc(0)))).grpcStatus, 8);
    session.destroy();
    await server.close({ graceMs: 0 });
  }
  class NoLimits {
    get idleMs(): number { return Number.NaN; }
  }
  await assert.rejects(serveImages(new MapImageStore(), { limits: new NoLimits() }), { code: "INVALID", message: /limits\.idleMs/ });
});

test("a call with an infinite time limit has none, in every store", async () => {
  const db = openMemory();
  initDB(db);
  const server = await serveImages(new LocalImageStore(db), { path: tempPath("patient.sock") });
  await withFakeEtcd(async (etcd) => {
    const remote = connectImages(server.address, { timeoutMs: Infinity });
    const stores = [
      new LocalImageStore(db), remote, new EtcdImageStore({ endpoints: etcd.url, timeoutMs: Infinity, attemptMs: Infinity }), new EtcdImageStore({ endpoints: etcd.url }),
    ];
    for (const store of stores) {
      await store.put("a", target);
      await store.put("a", target, { timeoutMs: Infinity });
      assert.equal((await store.get("a", { timeoutMs: Infinity })).name, "a");
      for (const timeoutMs of [0, -1, Number.NaN]) await assert.rejects(store.get("a", { timeoutMs }), { code: "INVALID" });
    }
    remote.close();
  });
  await server.close({ graceMs: 0 });
});
