/** The time that a caller gives a change in place of the present one: in every store that keeps times, and over a server. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openMemory } from "../../engine/index.js";
import { connectImages, EtcdImageStore, initDB, LocalImageStore, serveImages, TxImageStore } from "../../images/index.js";
import { decodeCreate, decodeUpdate, encodeCreate, encodeUpdate } from "../../images/messages.js";
import { withFakeEtcd } from "./fake-etcd.js";
import { SAMPLE_IMAGE } from "./sample-image.js";
import type { EditableImageStore, Image } from "../../images/index.js";

const target = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 1 };
const [FIRST, SECOND, THIRD] = [new Date(1_000_000_000_000), new Date(1_500_000_000_000), new Date(500_000_000_000)];

type WithStore = (run: (store: EditableImageStore) => Promise<void>) => Promise<void>;

const onDatabase: WithStore = async (run) => {
  const db = openMemory();
  await run(new LocalImageStore(db, { namespace: "ns" }));
  db.close();
};
const onServer: WithStore = (run) => onDatabase(async (local) => {
  const server = await serveImages(local);
  // Without a namespace, so that a put could be the early service's, which knows no such time.
  const client = connectImages(server.address);
  await run(client);
  client.close();
  await server.close();
});
const onEtcd: WithStore = (run) => withFakeEtcd((etcd) => run(new EtcdImageStore({ endpoints: etcd.url, namespace: "ns" })));

const STORES: readonly [string, WithStore][] = [["a database", onDatabase], ["a server", onServer], ["etcd", onEtcd]];

function timesOf({ createdAt, updatedAt }: Image): readonly (Date | undefined)[] {
  return [createdAt, updatedAt];
}

for (const [what, withStore] of STORES) {
  test(`${what} stores the time that is given`, async () => {
    await withStore(async (store) => {
      assert.deepEqual(timesOf(await store.create("a", target, { sourceDateEpoch: FIRST })), [FIRST, FIRST]);
      assert.deepEqual(timesOf(await store.get("a")), [FIRST, FIRST]);
      const changed = await store.update("a", { target, labels: { k: "v" }, fields: ["labels.k"] }, { sourceDateEpoch: SECOND });
      assert.deepEqual(timesOf(changed), [FIRST, SECOND]);
      await store.put("a", target, { sourceDateEpoch: THIRD });
      assert.deepEqual(timesOf(await store.get("a")), [FIRST, THIRD]);
      await store.put("b", target, { sourceDateEpoch: SECOND });
      assert.deepEqual(timesOf(await store.get("b")), [SECOND, SECOND]);
    });
  });

  test(`${what} stores the present time where none is given`, async () => {
    await withStore(async (store) => {
      const begin = Date.now();
      await store.create("a", target, { sourceDateEpoch: FIRST });
      const [createdAt, updatedAt] = timesOf(await store.update("a", { target, fields: ["target"] }));
      assert.deepEqual(createdAt, FIRST);
      assert.ok(updatedAt !== undefined && updatedAt.getTime() >= begin);
    });
  });

  test(`${what} keeps the time as it was when the call was made, and refuses one that is none`, async () => {
    await withStore(async (store) => {
      const time = new Date(FIRST);
      const created = store.create("a", target, { sourceDateEpoch: time });
      time.setTime(0);
      assert.deepEqual(timesOf(await created), [FIRST, FIRST]);
      for (const none of [new Date(Number.NaN), 0 as never, "2001-09-09" as never]) {
        const refused = { name: "TypeError", message: /sourceDateEpoch/ };
        await assert.rejects(store.put("a", { ...target, size: 2 }, { sourceDateEpoch: none }), refused);
        await assert.rejects(store.create("b", target, { sourceDateEpoch: none }), refused);
        await assert.rejects(store.update("a", { target: { ...target, size: 2 }, fields: [] }, { sourceDateEpoch: none }), refused);
      }
      assert.deepEqual((await store.list()).map(({ name, target: { size } }) => [name, size]), [["a", 1]]);
    });
  });
}

test("the early layout, which keeps no times, takes the option all the same", () => {
  const db = openMemory();
  initDB(db);
  db.update((tx) => {
    const store = new TxImageStore(tx);
    store.put("a", target, { sourceDateEpoch: FIRST });
    assert.deepEqual(store.create("b", target, { sourceDateEpoch: FIRST }), { name: "b", target });
    assert.throws(() => store.put("a", target, { sourceDateEpoch: new Date(Number.NaN) }), TypeError);
  });
  db.close();
});

test("the time has containerd's number in each request", () => {
  // Timestamp: seconds = 1, a varint.
  const time = "080a";
  const ends = (message: Buffer, hex: string): void => assert.equal(message.toString("hex").slice(-hex.length), hex);
  ends(encodeCreate(SAMPLE_IMAGE, new Date(10_000)), `1202${time}`);
  ends(encodeUpdate(SAMPLE_IMAGE, ["a"], new Date(10_000)), `12030a0161${`1a02${time}`}`);
  assert.deepEqual(decodeCreate(encodeCreate(SAMPLE_IMAGE, FIRST)), { image: SAMPLE_IMAGE, sourceDateEpoch: FIRST });
  assert.deepEqual(decodeUpdate(encodeUpdate(SAMPLE_IMAGE, ["a"], FIRST)), { image: SAMPLE_IMAGE, fields: ["a"], sourceDateEpoch: FIRST });
  assert.equal(decodeCreate(encodeCreate(SAMPLE_IMAGE)).sourceDateEpoch, undefined);
});
