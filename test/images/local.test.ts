/** The store on a database: both layouts pass the suite, in memory and on disk, locally and served; transactions are the caller's. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { open, openMemory } from "../../engine/index.js";
import { SimulatedDisk } from "../../engine/testing.js";
import { imageStoreConformance } from "../../images/conformance.js";
import {
  connectImages, initDB, isExists, isNotFound, listNamespaces, LocalImageStore, serveImages, TxImageStore,
} from "../../images/index.js";
import { tempPath } from "../support/temp.js";
import type { DB } from "../../engine/index.js";
import type { ImageStore } from "../../images/index.js";

const target = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 1 };

/** Ends every test: the tree is sound. */
function close(db: DB): void {
  db.view((tx) => assert.deepEqual([...tx.check()], []));
  db.close();
}

const PLACES: readonly [string, () => DB][] = [["memory", (): DB => openMemory()], ["a file", (): DB => open(tempPath("images.db"))]];

for (const [place, openPlace] of PLACES) {
  imageStoreConformance({
    name: `local, early layout, ${place}`,
    anyDescriptor: true,
    create: async () => {
      const db = openPlace();
      initDB(db);
      return { store: new LocalImageStore(db), close: async () => close(db) };
    },
  });
  imageStoreConformance({
    name: `local, containerd's layout, ${place}`,
    editable: true,
    create: async () => {
      const db = openPlace();
      return { store: new LocalImageStore(db, { namespace: "default" }), close: async () => close(db) };
    },
  });
}

/** Serves a local store and connects to it. */
async function remote(db: DB, served: LocalImageStore, namespace: string | undefined): Promise<{ store: ImageStore; close: () => Promise<void> }> {
  const server = await serveImages(served, { path: tempPath("local.sock") });
  const store = connectImages(server.address, namespace === undefined ? {} : { namespace });
  return {
    store,
    close: async () => {
      store.close();
      await server.close();
      close(db);
    },
  };
}

imageStoreConformance({
  name: "remote, on a local store in containerd's layout",
  editable: true,
  create: async () => {
    const db = openMemory();
    return remote(db, new LocalImageStore(db, { namespace: "default" }), "default");
  },
});
imageStoreConformance({
  name: "remote without a namespace, on a local store in the early layout",
  anyDescriptor: true,
  create: async () => {
    const db = openMemory();
    initDB(db);
    return remote(db, new LocalImageStore(db), undefined);
  },
});

test("a store that was never initialised is NOT_FOUND, and initDB twice keeps what is there", async () => {
  const db = openMemory();
  const store = new LocalImageStore(db);
  await assert.rejects(store.list(), isNotFound);
  await assert.rejects(store.get("a"), isNotFound);
  await assert.rejects(store.put("a", target), isNotFound);
  await assert.rejects(store.delete("a"), isNotFound);
  initDB(db);
  await store.put("a", target);
  initDB(db);
  assert.equal((await store.list()).length, 1);
  close(db);
});

test("images commit and roll back with the transaction that they are in", () => {
  const db = openMemory();
  initDB(db);
  assert.throws(() => db.update((tx) => {
    const store = new TxImageStore(tx);
    store.put("a", target);
    assert.equal(store.list().length, 1);
    tx.createBucket("mine").put("k", "v");
    throw new Error("no");
  }), /no/);
  db.update((tx) => {
    assert.deepEqual(new TxImageStore(tx).list(), []);
    new TxImageStore(tx).put("b", target);
    new TxImageStore(tx, { namespace: "ns" }).create("c", target);
    assert.throws(() => new TxImageStore(tx, { namespace: "ns" }).create("c", target), isExists);
  });
  db.view((tx) => {
    assert.deepEqual(new TxImageStore(tx).get("b"), { name: "b", target });
    assert.deepEqual(listNamespaces(tx), ["ns"]);
    assert.throws(() => new TxImageStore(tx).put("x", target), { code: "TX_NOT_WRITABLE" });
    assert.throws(() => new TxImageStore(tx).delete("b"), { code: "TX_NOT_WRITABLE" });
  });
  close(db);
});

test("many puts at once take few commits", async () => {
  const db = open(tempPath("batch.db"));
  initDB(db);
  const store = new LocalImageStore(db);
  const idBefore = db.view((tx) => tx.id);
  await Promise.all(Array.from({ length: 500 }, (_, index) => store.put(`image-${index}`, target)));
  const commits = Number(db.view((tx) => tx.id) - idBefore);
  assert.ok(commits >= 1 && commits <= 50, `${commits} commits for 500 puts`);
  assert.equal((await store.list()).length, 500);
  close(db);
});

test("a call that is given up while it waits for its commit does nothing, and the others go on", async () => {
  const db = openMemory();
  initDB(db);
  const store = new LocalImageStore(db);
  const controller = new AbortController();
  const calls = [store.put("a", target), store.put("b", target, { signal: controller.signal }), store.put("c", target)];
  controller.abort();
  const ends = await Promise.allSettled(calls);
  assert.deepEqual(ends.map((end) => end.status), ["fulfilled", "rejected", "fulfilled"]);
  assert.deepEqual((await store.list()).map((image) => image.name), ["a", "c"]);
  close(db);
});

test("a call that is given up while it waits for the writer ends then, and not when the writer does", async () => {
  const db = openMemory();
  initDB(db);
  const store = new LocalImageStore(db);
  const tx = db.begin(true);
  // A time limit alone keeps no process alive.
  const alive = setInterval(() => undefined, 1000);
  await assert.rejects(store.put("a", target, { timeoutMs: 20 }), { code: "DEADLINE_EXCEEDED" });
  const controller = new AbortController();
  const put = store.put("b", target, { signal: controller.signal });
  setImmediate(() => controller.abort());
  await assert.rejects(put, { code: "CANCELLED" });
  const kept = store.put("c", target, { timeoutMs: 60_000 });
  tx.rollback();
  await kept;
  assert.deepEqual((await store.list()).map(({ name }) => name), ["c"]);
  for (const wrong of [5, { signal: 5 }]) await assert.rejects(store.put("d", target, wrong as never), TypeError);
  clearInterval(alive);
  db.close();
});

test("the early layout refuses labels and annotations rather than to lose them", async () => {
  const db = openMemory();
  initDB(db);
  const store = new LocalImageStore(db);
  await assert.rejects(store.put("a", target, { labels: { k: "v" } }), { code: "INVALID" });
  await assert.rejects(store.put("a", { ...target, annotations: { k: "v" } }), { code: "INVALID" });
  await store.put("a", { ...target, annotations: {} }, { labels: {} });
  assert.deepEqual(await store.list(), [{ name: "a", target }]);
  close(db);
});

test("errors about the database itself come through as they are", async () => {
  const path = tempPath("readonly.db");
  close(open(path));
  const db = open(path, { readOnly: true });
  await assert.rejects(new LocalImageStore(db, { namespace: "ns" }).put("a", target), { name: "BoltError", code: "DATABASE_READ_ONLY" });
  db.close();
  await assert.rejects(new LocalImageStore(db, { namespace: "ns" }).list(), { name: "BoltError", code: "DATABASE_NOT_OPEN" });
});

test("a wrong type is a TypeError, a namespace that is none INVALID", async () => {
  const db = openMemory();
  initDB(db);
  const store = new LocalImageStore(db);
  const wrong: unknown = 7;
  await assert.rejects(store.put(wrong as string, target), TypeError);
  await assert.rejects(store.put("a", wrong as typeof target), TypeError);
  await assert.rejects(store.get(wrong as string), TypeError);
  assert.throws(() => new LocalImageStore(db, { namespace: "a/b" }), { code: "INVALID" });
  close(db);
});

test("options that are none are refused by every call", async () => {
  const db = openMemory();
  const store = new LocalImageStore(db, { namespace: "default" });
  await store.put("a", target);
  for (const [options, error] of [[5, { name: "TypeError" }], [{ signal: 5 }, { name: "TypeError" }], [{ timeoutMs: -1 }, { code: "INVALID" }], [{ timeoutMs: NaN }, { code: "INVALID" }]] as const) {
    for (const call of [(): unknown => Reflect.apply(store.get, store, ["a", options]), (): unknown => Reflect.apply(store.list, store, [options]), (): unknown => Reflect.apply(store.delete, store, ["a", options])]) {
      await assert.rejects(async () => call(), error);
    }
  }
  assert.equal((await store.list()).length, 1);
  close(db);
});

/** Counts how often the functions of batches run. */
function countRuns(db: DB): () => number {
  let runs = 0;
  const batch = db.batch.bind(db);
  db.batch = (fn) => batch((tx) => {
    runs++;
    return fn(tx);
  });
  return () => runs;
}

for (const [limits, options] of [["without limits", undefined], ["with a time limit", { timeoutMs: 60_000 }]] as const) {
  test(`calls that are refused have no others of their commit run again, ${limits}`, async () => {
    const db = openMemory();
    const store = new LocalImageStore(db, { namespace: "default" });
    await store.create("there", target);
    const runs = countRuns(db);
    const calls = Array.from({ length: 100 }, (_, i) => [
      store.create(`new-${i}`, target, options), store.create("there", target, options), store.delete("missing", options), store.put("", target, options),
    ]).flat();
    const ends = (await Promise.allSettled(calls)).map((end) => end.status === "fulfilled" ? end.status : (end.reason as { code: string }).code);
    assert.deepEqual(ends, Array.from({ length: 100 }, () => ["fulfilled", "EXISTS", "NOT_FOUND", "INVALID"]).flat());
    assert.equal(runs(), calls.length);
    assert.equal((await store.list()).length, 101);
    close(db);
  });
}

test("a refusal alone makes no commit, and is the one that a transaction gives", async () => {
  const db = openMemory();
  const store = new LocalImageStore(db, { namespace: "default" });
  await store.create("there", target);
  const before = db.view((tx) => tx.id);
  const tx = db.begin(true);
  const inTx = new TxImageStore(tx, { namespace: "default" });
  const refusals: [() => Promise<unknown>, () => unknown][] = [
    [(): Promise<unknown> => store.create("there", target), (): unknown => inTx.create("there", target)],
    [(): Promise<unknown> => store.delete("missing"), (): unknown => inTx.delete("missing")],
    [(): Promise<unknown> => store.put("", target), (): unknown => inTx.put("", target)],
  ];
  const expected = refusals.map(([, refuse]) => {
    try {
      return refuse();
    } catch (error) {
      return error;
    }
  });
  tx.rollback();
  for (const [i, [refuse]] of refusals.entries()) await assert.rejects(refuse(), expected[i] as Error);
  // Behind a change, too, with whose commit they are told.
  const ends = await Promise.allSettled([store.put("a", target), ...refusals.map(([refuse]) => refuse())]);
  for (const [i, end] of ends.slice(1).entries()) assert.deepEqual(end, { status: "rejected", reason: expected[i] });
  assert.equal(db.view(({ id }) => id) - before, 1n);
  close(db);
});

test("a call that was given up is no change that refusals behind it wait for", async () => {
  const disk = new SimulatedDisk();
  const db = open("a.db", { storage: disk });
  const store = new LocalImageStore(db, { namespace: "default" });
  await store.create("there", target);
  const controller = new AbortController();
  const calls = [store.put("a", target, { signal: controller.signal }), store.create("there", target), store.delete("missing", { timeoutMs: 60_000 })];
  controller.abort();
  disk.inject({ failure: "error", on: "write" });
  const ends = await Promise.allSettled(calls);
  assert.deepEqual(ends.map((end) => end.status === "rejected" && (end.reason as { code: string }).code), ["CANCELLED", "EXISTS", "NOT_FOUND"]);
  disk.clearFaults();
  db.close();
});

test("a call that is given up while its commit is run again does nothing, and has the others run once more only", async () => {
  const db = openMemory();
  const store = new LocalImageStore(db, { namespace: "default" });
  const controller = new AbortController();
  const runs = countRuns(db);
  const calls = [
    store.put("a", target), store.put("b", target, { signal: controller.signal }), store.put("c", target),
    db.batch(() => {
      controller.abort();
      throw new Error("fails for another reason");
    }),
  ];
  const ends = await Promise.allSettled(calls);
  assert.deepEqual(ends.map((end) => end.status === "fulfilled" ? end.status : (end.reason as Error).name), ["fulfilled", "AbortError", "fulfilled", "Error"]);
  // All in the first transaction, three in the second, and the one that failed alone.
  assert.equal(runs(), 4 + 3 + 1);
  assert.deepEqual((await store.list()).map(({ name }) => name), ["a", "c"]);
  close(db);
});

test("a refusal that rests on a change is not told where that change does not become durable", async () => {
  const disk = new SimulatedDisk();
  const db = open("a.db", { storage: disk });
  const store = new LocalImageStore(db, { namespace: "default" });
  await store.create("there", target);
  for (const options of [undefined, { timeoutMs: 60_000 }]) {
    disk.inject({ failure: "error", on: "write" });
    const ends = await Promise.allSettled([store.create("a", target, options), store.create("a", target, options)]);
    assert.deepEqual(ends.map((end) => end.status === "rejected" && (end.reason as { code: string }).code), ["IO", "IO"]);
  }
  assert.deepEqual((await store.list()).map(({ name }) => name), ["there"]);
  db.close();
});
