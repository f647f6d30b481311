/** Where images lie: a refused call makes nothing, and neither layout is taken for the other. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openMemory } from "../../engine/index.js";
import { hasEarlyLayout, initDB, isNotFound, listNamespaces, LocalImageStore, TxImageStore } from "../../images/index.js";
import type { DB, Tx } from "../../engine/index.js";

const target = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 1 };

function withDB(use: (db: DB) => void): void {
  const db = openMemory();
  use(db);
  db.view((tx) => assert.deepEqual([...tx.check()], []));
  db.close();
}

/** Every bucket and key, as paths. */
function paths(tx: Tx): string[] {
  const found: string[] = [];
  type Parent = NonNullable<ReturnType<Tx["bucket"]>>;
  const walk = (parent: Parent, path: string): void => parent.forEach((key, value) => {
    found.push(`${path}/${key.toString()}`);
    if (value === undefined) walk(parent.bucket(key)!, `${path}/${key.toString()}`);
  });
  tx.forEach((name, bucket) => {
    found.push(name.toString());
    walk(bucket, name.toString());
  });
  return found;
}

/** As `ctr namespaces create images LABEL=VALUE` leaves it. */
function containerdNamespace(db: DB, labels: Readonly<Record<string, string>>): void {
  db.update((tx) => {
    const schema = tx.createBucket("v1");
    schema.put("version", Buffer.of(6));
    const bucket = schema.createBucket("images").createBucket("labels");
    for (const [key, value] of Object.entries(labels)) bucket.put(key, value);
  });
}

test("what is refused makes neither namespace nor bucket", () => {
  for (const prepare of [(): void => undefined, initDB]) {
    withDB((db) => {
      prepare(db);
      db.update((tx) => {
        const before = paths(tx);
        const store = new TxImageStore(tx, { namespace: "ns" });
        const refused = { target, fields: ["target"] };
        for (const call of [(): unknown => store.update("a", refused), (): unknown => store.get("a"), (): unknown => store.delete("a")]) assert.throws(call, isNotFound);
        assert.throws(() => store.put("a", { ...target, size: 0 }), { code: "INVALID" });
        assert.deepEqual(paths(tx), before);
      });
    });
  }
});

test("a namespace called version is INVALID, and leaves nothing", () => {
  withDB((db) => {
    const refusal = { code: "INVALID", message: /"version".*schema/ };
    assert.throws(() => new LocalImageStore(db, { namespace: "version" }), refusal);
    db.update((tx) => {
      assert.throws(() => new TxImageStore(tx, { namespace: "version" }).put("a", target), refusal);
      assert.deepEqual(paths(tx), []);
    });
  });
});

test("an early image called labels that is damaged is one yet, and hides no other", () => {
  const db = openMemory();
  initDB(db);
  db.update((tx) => {
    new TxImageStore(tx).put("labels", target);
    tx.bucket("v1")!.bucket("images")!.bucket("labels")!.delete("size");
    new TxImageStore(tx).put("app", target);
    new TxImageStore(tx).delete("labels");
    assert.deepEqual(new TxImageStore(tx).list().map(({ name }) => name), ["app"]);
  });
  db.close();
});

test("a containerd's namespace called images is a namespace, whatever its labels are called", () => {
  const labelled: readonly Readonly<Record<string, string>>[] = [{}, { size: "1" }, { digest: "x", mediatype: "y" }];
  for (const labels of labelled) {
    withDB((db) => {
      containerdNamespace(db, labels);
      db.view((tx) => assert.deepEqual([hasEarlyLayout(tx), listNamespaces(tx)], [false, ["images"]]));
      db.update((tx) => {
        const before = paths(tx);
        const early = new TxImageStore(tx);
        const refusal = { code: "INVALID", message: /namespace "images" and not the early layout: give \{ namespace \}/ };
        for (const call of [
          (): unknown => early.list(), (): unknown => early.get("labels"), (): unknown => early.delete("labels"), (): unknown => early.put("labels", target),
          (): unknown => early.put("a", target), (): unknown => early.create("images", target), (): unknown => early.update("labels", { target, fields: [] }),
        ]) assert.throws(call, refusal);
        assert.throws(() => early.get("a"), isNotFound);
        assert.throws(() => early.delete("a"), isNotFound);
        assert.deepEqual(paths(tx), before);
        new TxImageStore(tx, { namespace: "images" }).put("a", target);
        assert.throws(() => early.delete("images"), refusal);
      });
      db.view((tx) => {
        assert.deepEqual([hasEarlyLayout(tx), listNamespaces(tx)], [false, ["images"]]);
        const early = new TxImageStore(tx);
        assert.throws(() => early.get("a"), isNotFound);
        assert.throws(() => early.get("images"), { code: "INVALID" });
      });
    });
  }
});

test("a namespace called images is refused where the early layout lies in its place", () => {
  withDB((db) => {
    initDB(db);
    db.update((tx) => {
      const early = new TxImageStore(tx);
      const other = new TxImageStore(tx, { namespace: "images" });
      for (const prepare of [(): void => undefined, (): void => early.put("labels", target), (): void => early.put("images", target), (): void => early.put("a", target)]) {
        prepare();
        const before = paths(tx);
        for (const call of [
          (): unknown => other.list(), (): unknown => other.get("a"), (): unknown => other.put("a", target), (): unknown => other.delete("a"),
          (): unknown => other.create("b", target),
        ]) assert.throws(call, { code: "INVALID", message: /namespace "images" cannot be in this database/ });
        assert.deepEqual(paths(tx), before);
      }
      assert.deepEqual(early.list().map(({ name }) => name), ["a", "images", "labels"]);
    });
  });
});

test("without a namespace, on a database that has only namespaces, the error names them", () => {
  withDB((db) => {
    db.update((tx) => { for (const namespace of ["default", "k8s.io"]) new TxImageStore(tx, { namespace }).put("a", target); });
    db.update((tx) => {
      const early = new TxImageStore(tx);
      for (const call of [(): unknown => early.list(), (): unknown => early.get("a"), (): unknown => early.put("a", target), (): unknown => early.delete("a")]) {
        assert.throws(call, { code: "NOT_FOUND", message: /never initialised without a namespace; there are the namespaces "default", "k8s\.io": give one as \{ namespace \}$/ });
      }
      for (let index = 0; index < 20; index++) new TxImageStore(tx, { namespace: `n${index}` }).put("a", target);
      assert.throws(() => early.list(), { message: /"n15" and 12 more: give one/ });
    });
  });
});
