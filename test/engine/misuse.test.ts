/**
 * Callers that do what they should not: throw, go on after the end, nest, close in the middle. Each gets a clear error, nothing is half done,
 * and the database goes on.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, test } from "node:test";
import { BoltError, Bucket, Cursor, type DB, type ErrorCode, open, Tx } from "../../engine/index.js";
import { rawProblems } from "../support/raw-check.js";
import { tempPath } from "../support/temp.js";

let db: DB | undefined;

/** A database with a bucket `b` of 500 keys and one nested bucket. */
function filled(path = tempPath("misuse.db")): DB {
  db = open(path, { noSync: true });
  db.update((tx) => {
    const bucket = tx.createBucket("b");
    for (let i = 0; i < 500; i++) bucket.put(`key ${i}`, `value ${i}`);
    bucket.createBucket("nested").put("inner", "value");
  });
  return db;
}

/** The database is as `filled` made it, with `extra` more keys in `b`, and can be written. */
function assertGoesOn(path: string, extra = 0): void {
  if (db?.isOpen !== true) db = open(path, { noSync: true });
  assert.equal(db.stats().openTxN, 0, "no transaction is left open");
  db.view((tx) => {
    assert.equal(tx.bucket("b")?.count(), 500 + extra);
    assert.deepEqual([...tx.check()], []);
  });
  db.update((tx) => { tx.bucket("b")?.put("goes on", "yes"); });
  db.close();
  assert.deepEqual(rawProblems(readFileSync(path)), []);
}

afterEach(() => { db?.close(); });

function hasCode(...codes: readonly ErrorCode[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof BoltError, String(error));
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
    return true;
  };
}

test("whatever a callback throws is thrown on, the same value, and the transaction has not been", async () => {
  const database = filled();
  for (const thrown of [new Error("of the caller"), new BoltError("TIMEOUT", "of the caller"), undefined, null, "text", 0, Object.freeze({ a: 1 }), Symbol("s")]) {
    const work = (tx: Tx): never => {
      tx.bucket("b")?.put("new", "value");
      tx.bucket("b")?.deleteBucket("nested");
      throw thrown;
    };
    const isSame = (error: unknown): boolean => { assert.equal(error, thrown); return true; };
    assert.throws(() => database.update(work), isSame);
    assert.throws(() => database.view(() => { throw thrown; }), isSame);
    await assert.rejects(database.updateAsync(work), isSame);
    await assert.rejects(database.updateAsync(async (tx) => { await Promise.resolve(); work(tx); }), isSame);
    await assert.rejects(database.batch(work), isSame);
  }
  assertGoesOn(database.path);
});

test("an error about a key or a bucket says which in its detail, and what is called too late or at once says what to do", () => {
  const database = filled();
  const detail = (work: (tx: Tx) => void): string | undefined => {
    try {
      database.update(work);
    } catch (error) {
      assert.ok(error instanceof BoltError);
      return error.detail;
    }
    return assert.fail("it did not throw");
  };
  assert.equal(detail((tx) => tx.deleteBucket("nope")), '"nope"');
  assert.equal(detail((tx) => tx.deleteBucket(Buffer.of(0, 255))), "(hex)00ff");
  assert.equal(detail((tx) => tx.deleteBucket("x".repeat(200))), `"${"x".repeat(59)}… (200 bytes)`);
  assert.equal(detail((tx) => { tx.createBucket("b"); }), '"b"');
  assert.equal(detail((tx) => { tx.createBucket("c").createBucket("nested"); tx.bucket("b")?.moveBucket("nested", tx.bucket("c") ?? tx); }), '"nested" in the target');
  assert.equal(detail((tx) => tx.bucket("b")?.put("nested", "")), 'the key "nested" is a bucket');
  assert.equal(detail((tx) => tx.bucket("b")?.delete("nested")), 'the key "nested" is a bucket');
  assert.equal(detail((tx) => tx.bucket("b")?.createBucket("key 1")), 'the key "key 1" has a value');
  assert.equal(detail((tx) => tx.bucket("b")?.deleteBucket("key 1")), 'the key "key 1" has a value');
  assert.match(String(detail(() => { database.update(() => undefined); })), /updateAsync and batch/);
  assert.match(String(detail(() => { [...database.view((tx) => tx.bucket("b")?.keys() ?? [])]; })), /take out of them what you need/);
  assertGoesOn(database.path);
});

test("a list is no range", () => {
  const database = filled();
  database.view((tx) => { assert.throws(() => Reflect.apply(Bucket.prototype.count, tx.bucket("b"), [["k"]]), { name: "TypeError", message: /a range must be an object/ }); });
  assertGoesOn(database.path);
});

test("a hook of onCommit that throws does not undo the commit", () => {
  const database = filled();
  const failure = new Error("of the hook");
  assert.throws(() => database.update((tx) => {
    tx.bucket("b")?.put("new", "value");
    tx.onCommit(() => { throw failure; });
  }), (error) => error === failure);
  assertGoesOn(database.path, 1);
});

test("a callback that returns a promise is refused, and what it goes on to do fails on the ended transaction", async () => {
  const database = filled();
  let later: unknown;
  const work = async (tx: Tx): Promise<void> => {
    tx.bucket("b")?.put("new", "value");
    await Promise.resolve();
    try {
      tx.bucket("b");
    } catch (error) {
      later = error;
      throw error;
    }
  };
  assert.throws(() => database.update(work), hasCode("TX_ASYNC_CALLBACK"));
  assert.throws(() => database.view((tx) => Promise.resolve(tx.id)), hasCode("TX_ASYNC_CALLBACK"));
  await assert.rejects(database.batch(work), hasCode("TX_ASYNC_CALLBACK"));
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(hasCode("TX_CLOSED")(later));
  assertGoesOn(database.path);
});

/** Members that are facts of an object and need no transaction. */
const FACTS: ReadonlySet<string> = new Set(["constructor", "id", "size", "writable", "db", "stats", "path", "isAt", "tx", "fillPercent", "root"]);

/** Calls with arguments that would do in an open transaction. */
const ARGUMENTS: Readonly<Record<string, readonly unknown[]>> = {
  put: ["k", "v"], forEach: [() => undefined], onCommit: [() => undefined], setSequence: [1n], page: [0], seek: ["k"], copyTo: [tempPath("copy.db")],
};

/** Uses every member of an object; gives the names of those that did not say TX_CLOSED. */
function membersThatWork(object: object): string[] {
  const names = Reflect.ownKeys(Object.getPrototypeOf(object) as object).filter((name) => name !== Symbol.dispose && !(typeof name === "string" && FACTS.has(name)));
  assert.ok(names.length >= 6, "the members are found");
  return names.filter((name) => {
    try {
      const member: unknown = Reflect.get(object, name, object);
      const given: unknown = typeof member === "function" ? Reflect.apply(member, object, ARGUMENTS[String(name)] ?? ["name"]) : member;
      // A scan may say it when it is asked for the first element.
      if (typeof given === "object" && given !== null && "next" in given && typeof given.next === "function") Reflect.apply(given.next, given, []);
      return true;
    } catch (error) {
      if (error instanceof BoltError && error.code === "TX_CLOSED") return false;
      throw new Error(`${String(name)}: ${String(error)}`, { cause: error });
    }
  }).map(String);
}

/** What of a transaction a caller can keep. */
function thingsOf(tx: Tx): readonly (Tx | Bucket | Cursor)[] {
  const bucket = tx.bucket("b");
  const nested = bucket?.bucket("nested");
  assert.ok(bucket !== undefined && nested !== undefined);
  const cursor = bucket.cursor();
  cursor.seek("key 250");
  return [tx, bucket, nested, cursor, tx.cursor(), nested.cursor()];
}

test("every member of a transaction, its buckets and cursors says TX_CLOSED after the end, however it ended", async () => {
  const database = filled();
  const ends: Readonly<Record<string, () => readonly object[] | Promise<readonly object[]>>> = {
    update: () => database.update(thingsOf),
    updateAsync: () => database.updateAsync(thingsOf),
    batch: () => database.batch(thingsOf),
    commit: () => { const tx = database.begin(true); const things = thingsOf(tx); tx.commit(); return things; },
    rollback: () => { const tx = database.begin(true); const things = thingsOf(tx); tx.rollback(); return things; },
    "a view": () => { let things: readonly object[] = []; database.view((tx) => { assert.ok(tx instanceof Tx); things = thingsOf(tx); }); return things; },
    "a throw": () => {
      let things: readonly object[] = [];
      assert.throws(() => database.update((tx) => { things = thingsOf(tx); throw new Error("end"); }), /end/);
      return things;
    },
  };
  for (const [name, end] of Object.entries(ends)) {
    for (const thing of await end()) assert.deepEqual(membersThatWork(thing), [], `${thing.constructor.name} after ${name}`);
  }
  assertGoesOn(database.path);
});

test("after close everything says so: the database DATABASE_NOT_OPEN, transactions and what they gave TX_CLOSED", async () => {
  const database = filled();
  const reader = database.begin();
  assert.ok(reader instanceof Tx);
  const writer = database.begin(true);
  writer.bucket("b")?.put("new", "value");
  const things = [...thingsOf(reader), ...thingsOf(writer)];
  database.close();
  database.close();
  for (const thing of things) assert.deepEqual(membersThatWork(thing), []);
  const isNotOpen = hasCode("DATABASE_NOT_OPEN");
  for (const use of [() => database.view(() => 1), () => database.update(() => 1), () => database.begin(), () => database.begin(true), () => database.stats(), () => { database.sync(); }]) {
    assert.throws(use, isNotOpen);
  }
  await assert.rejects(database.updateAsync(() => 1), isNotOpen);
  await assert.rejects(database.batch(() => 1), isNotOpen);
  assertGoesOn(database.path);
});

test("an update inside an update is refused and the outer one goes on; views inside see what was committed before", () => {
  const database = filled();
  database.update((tx) => {
    tx.bucket("b")?.put("outer", "before");
    assert.throws(() => database.update(() => 1), hasCode("TX_WRITER_BUSY"));
    assert.throws(() => database.begin(true), hasCode("TX_WRITER_BUSY"));
    assert.throws(() => { tx.commit(); }, hasCode("TX_MANAGED"));
    assert.throws(() => { tx.rollback(); }, hasCode("TX_MANAGED"));
    database.view((inner) => {
      assert.equal(inner.bucket("b")?.has("outer"), false);
      assert.equal(inner.id, tx.id - 1n);
      database.view((innermost) => { assert.equal(innermost.id, inner.id); });
    });
    tx.bucket("b")?.put("outer", "after");
  });
  database.view((tx) => {
    assert.equal(String(tx.bucket("b")?.get("outer")), "after");
    database.update((inner) => { inner.bucket("b")?.delete("outer"); });
    assert.equal(String(tx.bucket("b")?.get("outer")), "after", "the snapshot stays");
  });
  assertGoesOn(database.path);
});

test("asynchronous writers that are called inside an update wait for its end", async () => {
  const database = filled();
  const order: string[] = [];
  const waiting: Promise<unknown>[] = [];
  database.update((tx) => {
    waiting.push(database.updateAsync((inner) => { order.push("updateAsync"); assert.ok(inner.bucket("b")?.has("outer")); }));
    waiting.push(database.batch((inner) => { order.push("batch"); assert.ok(inner.bucket("b")?.has("outer")); }));
    tx.bucket("b")?.put("outer", "value");
    order.push("update");
  });
  await Promise.all(waiting);
  assert.equal(order[0], "update");
  assert.deepEqual(order.sort(), ["batch", "update", "updateAsync"]);
  assertGoesOn(database.path, 1);
});

test("close inside a transaction ends it without a trace, and the file can be opened at once", async () => {
  const isEnded = hasCode("TX_CLOSED", "DATABASE_NOT_OPEN");
  const ways: readonly ((database: DB) => void | Promise<void>)[] = [
    (database) => { assert.throws(() => database.update((tx) => { tx.bucket("b")?.put("new", "v"); database.close(); }), isEnded); },
    (database) => { assert.throws(() => database.update((tx) => { database.close(); tx.bucket("b")?.put("new", "v"); }), isEnded); },
    (database) => { assert.throws(() => database.view((tx) => { database.close(); return tx.bucket("b"); }), isEnded); },
    (database) => { assert.throws(() => database.view((tx) => { for (const _ of tx.bucket("b")?.keys() ?? []) database.close(); }), isEnded); },
    (database) => { assert.throws(() => database.update((tx) => { tx.bucket("b")?.forEach(() => { database.close(); }); }), isEnded); },
    (database) => { const tx = database.begin(true); database.close(); assert.throws(() => { tx.commit(); }, isEnded); },
    async (database) => { await assert.rejects(database.updateAsync(async (tx) => { tx.bucket("b")?.put("new", "v"); await Promise.resolve(); database.close(); }), isEnded); },
    async (database) => { await assert.rejects(database.batch((tx) => { tx.bucket("b")?.put("new", "v"); database.close(); }), isEnded); },
    async (database) => {
      const queued = Promise.allSettled([database.updateAsync(() => 1), database.batch(() => 1), database.updateAsync(() => 1)]);
      database.close();
      for (const outcome of await queued) assert.ok(outcome.status === "rejected" && isEnded(outcome.reason));
    },
  ];
  for (const way of ways) {
    const database = filled();
    await way(database);
    assert.equal(database.isOpen, false);
    assertGoesOn(database.path);
  }
});

test("close in a hook of onCommit, or while a commit is on its way, keeps the commit", async () => {
  const first = filled();
  first.update((tx) => { tx.bucket("b")?.put("new", "v"); tx.onCommit(() => { first.close(); }); });
  assertGoesOn(first.path, 1);

  const second = filled();
  const promise = second.updateAsync((tx) => { tx.bucket("b")?.put("new", "v"); });
  // The commit's first write is on its way when the microtasks are done.
  await Promise.resolve().then(() => Promise.resolve()).then(() => Promise.resolve()).then(() => Promise.resolve());
  second.close();
  const outcome = await promise.then(() => "committed", (error: unknown) => (hasCode("DATABASE_NOT_OPEN", "TX_CLOSED")(error) ? "refused" : "other"));
  assertGoesOn(second.path, outcome === "committed" ? 1 : 0);
});
