/** Transactions: snapshots, ends, hooks, managed ones, top-level buckets, pages, counters. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { open, typed, utf8, type DB, type ReadTx, type Tx } from "../../../engine/index.js";
import { fixtureCopy } from "../../support/fixtures.js";
import { tempPath } from "../../support/temp.js";
import { boltError, keyOf, requireBucket, withDatabase } from "./database.js";

/** Calls a member by its name, as code without types can. */
function call(tx: Tx | ReadTx, member: string, ...args: readonly unknown[]): unknown {
  return Reflect.apply(Reflect.get(tx, member) as (...all: unknown[]) => unknown, tx, args);
}

test("a read transaction is a snapshot, whatever is committed after it began", () => {
  withDatabase(({ db }) => {
    db.update((tx) => tx.createBucket("bucket").put("key", "old"));
    const reader = db.begin();
    const bucket = requireBucket(reader.bucket("bucket"));
    for (let i = 0; i < 20; i++) {
      db.update((tx) => {
        requireBucket(tx.bucket("bucket")).put("key", `new ${i}`);
        tx.createBucket(keyOf(i)).put("key", Buffer.alloc(3000, i));
      });
    }
    assert.equal(bucket.get("key")?.toString(), "old");
    assert.deepEqual([...reader.buckets()].map(String), ["bucket"]);
    reader.rollback();
    db.view((tx) => assert.equal(tx.bucket("bucket")?.get("key")?.toString(), "new 19"));
  });
});

test("readers of many ages each see their own state while pages are used again", () => {
  withDatabase(({ db }) => {
    const readers: ReadTx[] = [];
    for (let age = 0; age < 30; age++) {
      db.update((tx) => {
        const bucket = tx.createBucketIfNotExists("bucket");
        for (let i = 0; i < 40; i++) bucket.put(keyOf(i), `${age} `.repeat(20));
      });
      readers.push(db.begin());
      if (age % 3 === 0) readers[age >> 1]?.rollback();
      for (const [i, reader] of readers.entries()) {
        if (!isOpen(reader)) continue;
        for (const value of requireBucket(reader.bucket("bucket")).values()) assert.equal(value.toString(), `${i} `.repeat(20));
      }
    }
    for (const reader of readers) if (isOpen(reader)) reader.rollback();
  }, { pageSize: 1024 });
});

function isOpen(tx: ReadTx): boolean {
  try {
    return tx.sequence >= 0n;
  } catch {
    return false;
  }
}

test("a write transaction sees its changes, nobody else does until the commit, and nobody after a rollback", () => {
  withDatabase(({ db }) => {
    db.update((tx) => tx.createBucket("bucket"));
    for (const commits of [false, true]) {
      const tx = db.begin(true);
      requireBucket(tx.bucket("bucket")).put("key", "value");
      assert.equal(tx.bucket("bucket")?.get("key")?.toString(), "value");
      assert.equal(db.view((reader) => reader.bucket("bucket")?.get("key")), undefined);
      if (commits) tx.commit();
      else tx.rollback();
      assert.equal(db.view((reader) => reader.bucket("bucket")?.has("key")), commits);
    }
  });
});

test("ids count commits, empty ones too; a rollback takes none", () => {
  withDatabase(({ db }) => {
    const before = db.view((tx) => tx.id);
    assert.equal(typeof before, "bigint");
    assert.equal(db.update((tx) => tx.id), before + 1n);
    db.begin(true).rollback();
    assert.equal(db.view((tx) => tx.id), before + 1n);
    assert.equal(db.update((tx) => tx.id), before + 2n);
  });
});

test("a transaction shows its database, its size and whether it writes", () => {
  withDatabase(({ db }) => {
    db.view((tx) => {
      assert.equal(tx.db, db);
      assert.equal(tx.writable, false);
      assert.equal(tx.size, 4 * 4096);
    });
    db.update((tx) => assert.equal(tx.writable, true));
  });
});

test("top-level buckets: made, listed, visited, deleted", () => {
  withDatabase(({ db }) => {
    db.update((tx) => {
      for (const name of ["b", "c", "a"]) tx.createBucket(name).put("key", name);
      assert.throws(() => tx.createBucket("a"), boltError("BUCKET_EXISTS", "bucket already exists"));
      assert.throws(() => tx.createBucket(""), boltError("BUCKET_NAME_REQUIRED", "bucket name required"));
      assert.throws(() => tx.deleteBucket("missing"), boltError("BUCKET_NOT_FOUND", "bucket not found"));
      assert.equal(tx.createBucketIfNotExists("a").get("key")?.toString(), "a");
      tx.deleteBucket("b");
    });
    db.view((tx) => {
      assert.deepEqual([...tx.buckets()].map(String), ["a", "c"]);
      const seen: string[] = [];
      tx.forEach((name, bucket) => seen.push(`${String(name)}=${String(bucket.get("key"))}`));
      assert.deepEqual(seen, ["a=a", "c=c"]);
      assert.equal(tx.bucket("b"), undefined);
      assert.equal(tx.sequence, 0n);
    });
  });
});

test("forEach over the top level goes on while its callback deletes the bucket it is on", () => {
  withDatabase(({ db }) => {
    db.update((tx) => { for (let i = 0; i < 100; i++) tx.createBucket(keyOf(i)).put("key", "value"); });
    db.update((tx) => tx.forEach((name) => tx.deleteBucket(name)));
    db.view((tx) => assert.equal([...tx.buckets()].length, 0));
  });
});

test("what writes is refused in a read transaction, by value as by type", () => {
  withDatabase(({ db }) => {
    const tx = db.begin();
    const expected = boltError("TX_NOT_WRITABLE", "tx not writable");
    for (const member of ["createBucket", "createBucketIfNotExists", "deleteBucket", "moveBucket"]) assert.throws(() => call(tx, member, 5), expected, member);
    assert.throws(() => call(tx, "onCommit", 5), expected);
    assert.throws(() => call(tx, "commit"), expected);
    tx.rollback();
  });
});

test("after its end every use is TX_CLOSED, a second end too", () => {
  withDatabase(({ db }) => {
    for (const end of ["commit", "rollback"] as const) {
      const tx = db.begin(true);
      tx[end]();
      const members = ["bucket", "createBucket", "createBucketIfNotExists", "deleteBucket", "moveBucket", "buckets", "forEach", "cursor", "onCommit", "commit", "rollback", "check", "page", "copyTo"];
      for (const member of members) assert.throws(() => call(tx, member, 5), boltError("TX_CLOSED", "tx closed"), member);
      assert.throws(() => tx.sequence, boltError("TX_CLOSED", "tx closed"));
    }
  });
});

test("a transaction's database is a DB, by type too", () => {
  withDatabase(({ db }) => {
    const isOurs = (own: DB): boolean => own === db;
    assert.ok(db.view((tx) => isOurs(tx.db)));
    assert.ok(db.update((tx) => isOurs(tx.db)));
  });
});

test("forEach takes a function, also where there is nothing to call it with", () => {
  withDatabase(({ db }) => {
    const wrong = { name: "TypeError", message: "forEach takes a function" };
    assert.throws(() => db.view((tx) => call(tx, "forEach", 5)), wrong);
    db.update((tx) => {
      const bucket = tx.createBucket("empty");
      assert.throws(() => bucket.forEach(undefined as never), wrong);
      assert.throws(() => typed(bucket, { key: utf8, value: utf8 }).forEach(5 as never), wrong);
    });
  });
});

test("a managed transaction refuses commit and rollback, and goes on", async () => {
  const managed = boltError("TX_MANAGED", "managed tx commit/rollback not allowed");
  const refusal = (tx: Tx | ReadTx): void => {
    assert.throws(() => call(tx, "commit"), managed);
    assert.throws(() => call(tx, "rollback"), managed);
  };
  const results: string[] = [];
  withDatabase(({ db }) => {
    db.view(refusal);
    db.update((tx) => {
      refusal(tx);
      tx.createBucket("bucket");
    });
    assert.ok(db.view((tx) => tx.bucket("bucket")));
    results.push("sync");
  });
  const { openMemory } = await import("../../../engine/index.js");
  const db = openMemory();
  await db.batch(refusal);
  await db.updateAsync(refusal);
  await db.closeAsync();
  assert.deepEqual(results, ["sync"]);
});

test("onCommit functions run in order, after the commit, when its state can be read; not after a rollback", () => {
  withDatabase(({ db }) => {
    const calls: string[] = [];
    db.update((tx) => {
      tx.createBucket("bucket").put("key", "value");
      tx.onCommit(() => calls.push(`first: ${String(db.view((reader) => reader.bucket("bucket")?.get("key")))}`));
      tx.onCommit(() => {
        db.update((next) => next.bucket("bucket")?.put("other", "value"));
        calls.push("second");
      });
      assert.throws(() => call(tx, "onCommit", 5), TypeError);
      assert.deepEqual(calls, []);
    });
    assert.deepEqual(calls, ["first: value", "second"]);
    const tx = db.begin(true);
    tx.onCommit(() => calls.push("never"));
    tx.rollback();
    assert.deepEqual(calls, ["first: value", "second"]);
  });
});

test("page says what a page is, and nothing from the high-water mark on", () => {
  withDatabase(({ db }) => {
    db.update((tx) => { for (let i = 0, bucket = tx.createBucket("bucket"); i < 1000; i++) bucket.put(keyOf(i), "value"); });
    db.update((tx) => tx.bucket("bucket")?.put("large", Buffer.alloc(10_000)));
    db.view((tx) => {
      assert.deepEqual(tx.page(0), { id: 0, type: "meta", count: 0, overflowCount: 0 });
      assert.equal(tx.page(1)?.type, "meta");
      const pages = Array.from({ length: tx.size / 4096 }, (_, id) => tx.page(id));
      assert.ok(pages.every((page, id) => page?.id === id));
      const types = new Set(pages.map((page) => page?.type));
      for (const type of ["meta", "leaf", "branch", "free", "freelist"]) assert.ok(types.has(type), type);
      assert.ok(pages.some((page) => page?.overflowCount === 2 && page.type === "leaf"));
      assert.equal(tx.page(tx.size / 4096), undefined);
      assert.equal(tx.page(2 ** 50), undefined);
      for (const wrong of [-1, 1.5, NaN, 2 ** 60, "1", undefined]) assert.throws(() => call(tx, "page", wrong), TypeError);
    });
  });
});

/** What the pages of a snapshot are, in order. */
function pageTypes(tx: ReadTx): (string | undefined)[] {
  return Array.from({ length: tx.size / tx.db.pageSize }, (_, id) => tx.page(id)?.type);
}

test("page knows the free pages of each snapshot: read-only, and whether the file stores them or not", () => {
  for (const noFreelistSync of [false, true]) {
    const path = tempPath("pages.db");
    const db = open(path, { noFreelistSync });
    db.update((tx) => { for (let i = 0, bucket = tx.createBucket("bucket"); i < 1000; i++) bucket.put(keyOf(i), "value ".repeat(9)); });
    db.update((tx) => { for (let i = 0; i < 900; i++) tx.bucket("bucket")?.delete(keyOf(i)); });
    const snapshot = db.begin();
    const types = pageTypes(snapshot);
    const used = types.filter((type) => type === "leaf" || type === "branch").length;
    assert.equal(used, snapshot.bucket("bucket")!.stats().leafPageN + snapshot.bucket("bucket")!.stats().branchPageN + 1);
    assert.ok(types.includes("free"));
    db.update((tx) => { for (let i = 900; i < 1000; i++) tx.bucket("bucket")?.put(keyOf(i), "other"); });
    snapshot.db.view((tx) => assert.notDeepEqual(pageTypes(tx), types));
    db.update((tx) => {
      const begun = pageTypes(tx);
      tx.bucket("bucket")?.put(keyOf(1000), "another");
      assert.deepEqual(pageTypes(tx), begun);
    });
    const again = pageTypes(snapshot);
    assert.deepEqual(again, types, "what has been freed since is in use here");
    snapshot.rollback();
    const newest = db.view(pageTypes);
    db.close();
    const readOnly = open(path, { readOnly: true });
    assert.deepEqual(readOnly.view(pageTypes), newest);
    readOnly.close();
  }
});

test("page says where a file keeps its free pages so that nobody can tell which they are", () => {
  for (const name of ["freelist-is-leaf", "freelist-beyond-file"]) {
    const db = open(fixtureCopy(name), { readOnly: true });
    db.view((tx) => assert.throws(() => tx.page(2), boltError("FREE_PAGES_NOT_LOADED", /^free pages are not pre-loaded: /)));
    db.close();
  }
});

test("check finds nothing in a sound state, in every kind of transaction, and leaves changes of its own out", () => {
  withDatabase(({ db }) => {
    db.update((tx) => { for (let i = 0, bucket = tx.createBucket("bucket"); i < 500; i++) bucket.put(keyOf(i), "value"); });
    const reader = db.begin();
    db.update((tx) => {
      for (let i = 0; i < 500; i += 2) tx.bucket("bucket")?.delete(keyOf(i));
      tx.deleteBucket("bucket");
      assert.deepEqual([...tx.check()], []);
    });
    assert.deepEqual([...reader.check()], []);
    reader.rollback();
  });
});

test("counters: what a transaction has done", () => {
  withDatabase(({ db }) => {
    db.update((tx) => { for (let i = 0, bucket = tx.createBucket("bucket"); i < 1000; i++) bucket.put(keyOf(i), "value"); });
    const before = db.stats();
    const tx = db.begin(true);
    tx.bucket("bucket")?.put(keyOf(500), "changed");
    tx.bucket("bucket")?.cursor().first();
    tx.commit();
    const { pageCount, pageAlloc, cursorCount, nodeCount, spill, write } = tx.stats();
    // A leaf, the bucket's root, the root bucket's leaf, and the freelist.
    assert.deepEqual({ pageCount, pageAlloc, cursorCount, nodeCount, spill }, { pageCount: 4, pageAlloc: 4 * 4096, cursorCount: 1, nodeCount: 3, spill: 3 });
    assert.ok(write >= 2);
    assert.equal(db.stats().txStats.pageCount - before.txStats.pageCount, 4);
  });
});
