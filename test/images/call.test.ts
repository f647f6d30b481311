/** What a call leaves with the caller's signal: nothing, however many calls share it. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { openMemory } from "../../engine/index.js";
import { TimeLimitReached, withinLimits } from "../../images/call.js";
import { connectImages, EtcdImageStore, LocalImageStore, serveImages } from "../../images/index.js";
import type { ImageStore } from "../../images/index.js";
import { tempPath } from "../support/temp.js";
import { withFakeEtcd } from "./fake-etcd.js";
import { MapImageStore } from "./map-store.js";

const target = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 1 };

/** Gives the signal's reason when it aborts. */
async function reasonOf(signal: AbortSignal | undefined): Promise<unknown> {
  assert.ok(signal !== undefined);
  // A call's timer alone keeps no process alive.
  for (let i = 0; i < 1000 && !signal.aborted; i++) await sleep(5);
  return signal.reason;
}

test("a call's signal aborts with the caller's, for the caller's reason, be it before the call or in it", async () => {
  const reason = new Error("enough");
  assert.equal(await withinLimits({ signal: AbortSignal.abort(reason) }, undefined, reasonOf), reason);
  assert.equal(await withinLimits({ signal: AbortSignal.abort(reason) }, 60_000, reasonOf), reason);
  const controller = new AbortController();
  const calls = Array.from({ length: 5 }, () => withinLimits({ signal: controller.signal, timeoutMs: 60_000 }, undefined, reasonOf));
  controller.abort(reason);
  assert.deepEqual(await Promise.all(calls), calls.map(() => reason));
});

test("a call's signal aborts when its time is over: the caller's limit, or the default", async () => {
  assert.ok(await withinLimits({ timeoutMs: 1 }, 60_000, reasonOf) instanceof TimeLimitReached);
  assert.ok(await withinLimits(undefined, 1, reasonOf) instanceof TimeLimitReached);
  assert.equal(await withinLimits(undefined, undefined, async (signal) => signal), undefined);
});

test("a call that is over is not aborted any more, neither by the caller's signal nor by its time limit", async () => {
  const controller = new AbortController();
  const first = await withinLimits({ signal: controller.signal, timeoutMs: 5 }, undefined, async (signal) => signal);
  await assert.rejects(withinLimits({ signal: controller.signal, timeoutMs: 5 }, undefined, async (signal) => {
    assert.ok(signal !== undefined && !signal.aborted);
    throw new Error("the call's own");
  }), /the call's own/);
  await sleep(20);
  controller.abort();
  assert.equal(first?.aborted, false);
});

/** Makes many calls at once and after each other under one signal: Node warns of nothing, and nothing is left with the signal, nor any other made to depend on it. */
async function useSignal(store: ImageStore, t: { mock: { method: typeof import("node:test").mock.method } }): Promise<void> {
  const { signal } = new AbortController();
  const joined = t.mock.method(AbortSignal, "any").mock;
  const warnings: Error[] = [];
  const note = (warning: Error): void => { warnings.push(warning); };
  process.on("warning", note);
  for (let round = 0; round < 3; round++) {
    const options = { signal, timeoutMs: 60_000 };
    await Promise.all(Array.from({ length: 30 }, (_, i) => store.put(`image-${i}`, target, i % 2 === 0 ? options : { signal })));
    await Promise.all(Array.from({ length: 30 }, (_, i) => store.get(`image-${i}`, options)));
    await store.list({ signal });
  }
  await new Promise(setImmediate);
  process.off("warning", note);
  assert.deepEqual(warnings.map(String).filter((warning) => /AbortSignal|EventTarget/.test(warning)), []);
  assert.ok(getEventListeners(signal, "abort").length <= 1, `${getEventListeners(signal, "abort").length} listeners are left`);
  assert.equal(joined.calls.filter(({ arguments: [signals] }) => [...signals as Iterable<AbortSignal>].includes(signal)).length, 0);
}

test("calls of a local store share a signal", async (t) => {
  const db = openMemory();
  await useSignal(new LocalImageStore(db, { namespace: "default" }), t);
  db.close();
});

test("calls of a remote store share a signal", async (t) => {
  const path = tempPath("signals.sock");
  const server = await serveImages(new MapImageStore(), { path });
  const client = connectImages(path, { namespace: "default" });
  try {
    await useSignal(client, t);
  } finally {
    client.close();
    await server.close({ graceMs: 0 });
  }
});

test("calls of etcd's store share a signal", async (t) => {
  await withFakeEtcd(async (etcd) => { await useSignal(new EtcdImageStore({ endpoints: etcd.url }), t); });
});
