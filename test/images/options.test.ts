/** Options: one that is undefined counts as not given, one that is unknown is refused by its name. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openMemory } from "../../engine/index.js";
import { connectImages, EtcdImageStore, LocalImageStore, serveImages, TxImageStore } from "../../images/index.js";
import { MapImageStore } from "./map-store.js";
import type { CallOptions, ConnectOptions, DeleteOptions, EtcdOptions, LayoutOptions, ListOptions, PutOptions, ServeOptions } from "../../images/index.js";

test("an option that is undefined counts as not given, to the types too", async () => {
  const call: CallOptions = { signal: undefined, timeoutMs: undefined };
  const put: PutOptions = { ...call, labels: undefined };
  const list: ListOptions = { ...call, filters: undefined };
  const remove: DeleteOptions = { ...call, digest: undefined };
  const layout: LayoutOptions = { namespace: undefined };
  const connect: ConnectOptions = { ...layout, timeoutMs: undefined };
  const etcd: EtcdOptions = { endpoints: "http://h", prefix: undefined, namespace: undefined, pageSize: undefined, timeoutMs: undefined, attemptMs: undefined, headers: undefined };
  const serve: ServeOptions = { path: undefined, host: undefined, port: undefined, limits: undefined };
  connectImages("h:1", connect).close();
  assert.ok(new EtcdImageStore(etcd));
  await (await serveImages(new MapImageStore(), serve)).close({ graceMs: undefined });
  const db = openMemory();
  assert.ok(new LocalImageStore(db, layout));
  const store = new LocalImageStore(db, { namespace: "ns" });
  const target = { mediaType: "m", digest: `sha256:${"0".repeat(64)}`, size: 1 };
  await store.put("a", target, put);
  await store.update("a", { target, labels: undefined, fields: [] }, call);
  assert.deepEqual((await store.list(list)).map(({ labels, name }) => [name, labels]), [["a", undefined]]);
  await store.delete("a", remove);
  db.close();
});

test("an unknown option is a TypeError that names it and those that there are", async () => {
  const db = openMemory();
  const mistaken = { nameSpace: "ns", namespace: undefined };
  const refusal = { name: "TypeError", message: /there is no option "nameSpace"; there are .*namespace/ };
  assert.throws(() => new LocalImageStore(db, mistaken), refusal);
  assert.throws(() => db.view((tx) => new TxImageStore(tx, mistaken)), refusal);
  assert.throws(() => connectImages("h:1", mistaken), refusal);
  assert.throws(() => new EtcdImageStore({ endpoints: "http://h", ...mistaken }), refusal);
  const address = { sock: "/tmp/x", path: undefined };
  await assert.rejects(serveImages(new MapImageStore(), address), { name: "TypeError", message: /there is no option "sock"; there are .*path/ });
  db.close();
});
