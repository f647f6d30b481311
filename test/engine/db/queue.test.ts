/** batch and updateAsync: sharing commits, turns, failures, closing while calls wait. */
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Tx } from "../../../engine/index.js";
import { MemoryStorage, open, openMemory } from "../../../engine/index.js";
import { Batch } from "../../../engine/db/batch.js";
import { WriterQueue } from "../../../engine/db/writer-queue.js";
import { Random, seedOfRun } from "../../support/random.js";
import { boltError, keyOf, requireBucket, withDatabaseAsync } from "../tx/database.js";

test("batch: many calls, few commits, each with its own result", async () => {
  await withDatabaseAsync(async ({ db }) => {
    db.update((tx) => tx.createBucket("bucket"));
    const before = db.view((tx) => tx.id);
    const results = await Promise.all(Array.from({ length: 500 }, (_, i) => db.batch((tx) => {
      requireBucket(tx.bucket("bucket")).put(keyOf(i), `value ${i}`);
      return i;
    })));
    assert.deepEqual(results, Array.from({ length: 500 }, (_, i) => i));
    const commits = Number(db.view((tx) => tx.id) - before);
    assert.ok(commits >= 1 && commits <= 5, `${commits} commits`);
    assert.equal(db.view((tx) => requireBucket(tx.bucket("bucket")).count()), 500);
  });
});

for (const member of ["batch", "updateAsync"] as const) {
  test(`${member}: functions that run in one turn each see what AsyncLocalStorage holds for their own caller, and so do their hooks`, async () => {
    await withDatabaseAsync(async ({ db }) => {
      db.update((tx) => tx.createBucket("log"));
      const user = new AsyncLocalStorage<string>();
      const names = ["ann", "bob", "cid"];
      const committed: (string | undefined)[] = [];
      const seen = await Promise.all(names.map((name) => user.run(name, () => db[member]((tx) => {
        tx.onCommit(() => committed.push(user.getStore()));
        return user.getStore();
      }))));
      assert.deepEqual(seen, names);
      assert.deepEqual(committed, names);
      assert.equal(await user.run("dot", () => db.updateAsync(async () => {
        await nextTurn();
        return user.getStore();
      })), "dot");
    });
  });

  test(`${member} takes a function`, async () => {
    await withDatabaseAsync(async ({ db }) => {
      await assert.rejects(db[member](5 as never), { name: "TypeError", message: `${member} takes a function` });
    });
  });
}

test("batch: a call that throws has its own failure; the others commit, and nothing of the failing one does", async () => {
  await withDatabaseAsync(async ({ db }) => {
    db.update((tx) => tx.createBucket("bucket"));
    const runs: number[] = new Array<number>(60).fill(0);
    const settled = await Promise.allSettled(runs.map((_, i) => db.batch((tx) => {
      runs[i] = (runs[i] ?? 0) + 1;
      requireBucket(tx.bucket("bucket")).put(keyOf(i), "value");
      if (i % 7 === 3) throw new Error(`call ${i}`);
      return i;
    })));
    for (const [i, outcome] of settled.entries()) {
      if (i % 7 === 3) assert.equal((outcome as PromiseRejectedResult).reason.message, `call ${i}`);
      else assert.equal((outcome as PromiseFulfilledResult<number>).value, i);
    }
    const keys = db.view((tx) => [...requireBucket(tx.bucket("bucket")).keys()].map(String));
    assert.deepEqual(keys, Array.from({ length: 60 }, (_, i) => i).filter((i) => i % 7 !== 3).map(keyOf));
    assert.ok(runs.some((count) => count > 1), "some ran again without the failing one");
  });
});

test("batch: a call that fails only beside others succeeds alone", async () => {
  await withDatabaseAsync(async ({ db }) => {
    db.update((tx) => tx.createBucket("bucket"));
    const create = (tx: Tx): number => {
      const bucket = requireBucket(tx.bucket("bucket"));
      if (bucket.count() % 2 === 1) throw new Error("an odd number of keys");
      bucket.put(keyOf(bucket.count()), "value");
      return bucket.count();
    };
    const outcomes = await Promise.allSettled([db.batch(create), db.batch((tx) => { requireBucket(tx.bucket("bucket")).put("other", "value"); }), db.batch(create)]);
    assert.deepEqual(outcomes.map(({ status }) => status), ["fulfilled", "fulfilled", "fulfilled"]);
  });
});

test("batch resolves when its commit is durable, not before", async () => {
  const storage = new MemoryStorage();
  const db = open("test.db", { storage });
  await db.batch((tx) => tx.createBucket("bucket"));
  const now = open("test.db", { storage: new MemoryStorage(storage.bytes()), readOnly: true });
  assert.ok(now.view((tx) => tx.bucket("bucket")));
  now.close();
  db.close();
});

test("updateAsync: first come, first served, one at a time, and the functions may await", async () => {
  await withDatabaseAsync(async ({ db }) => {
    db.update((tx) => tx.createBucket("bucket"));
    const order: string[] = [];
    let inside = 0;
    await Promise.all(Array.from({ length: 20 }, (_, i) => db.updateAsync(async (tx) => {
      assert.equal(++inside, 1);
      order.push(`${i} in`);
      if (i % 3 === 0) await nextTurn();
      requireBucket(tx.bucket("bucket")).put(keyOf(i), "value");
      order.push(`${i} out`);
      inside--;
    })));
    assert.deepEqual(order, Array.from({ length: 20 }, (_, i) => [`${i} in`, `${i} out`]).flat());
    assert.equal(db.view((tx) => requireBucket(tx.bucket("bucket")).count()), 20);
  });
});

test("updateAsync: a failure rolls back its own transaction and the next has its turn", async () => {
  await withDatabaseAsync(async ({ db }) => {
    const failing = db.updateAsync(async (tx) => {
      tx.createBucket("failing");
      await nextTurn();
      throw new Error("failure");
    });
    const next = db.updateAsync((tx) => tx.createBucket("next"));
    await assert.rejects(failing, /^Error: failure$/);
    await next;
    assert.deepEqual(db.view((tx) => [...tx.buckets()].map(String)), ["next"]);
  });
});

test("synchronous writers and asynchronous ones keep out of each other's way", async () => {
  await withDatabaseAsync(async ({ db }) => {
    const order: string[] = [];
    const held = db.begin(true);
    const waiting = db.updateAsync(() => { order.push("asynchronous"); });
    db.view(() => order.push("reading goes on"));
    await nextTurn();
    order.push("commit");
    held.commit();
    await waiting;
    assert.deepEqual(order, ["reading goes on", "commit", "asynchronous"]);
    let begin = (): void => undefined;
    const begun = new Promise<void>((resolve) => { begin = resolve; });
    const running = db.updateAsync(async () => {
      begin();
      await nextTurn();
    });
    await begun;
    assert.throws(() => db.update(() => undefined), boltError("TX_WRITER_BUSY", /^another write transaction is open/));
    await running;
    db.update(() => undefined);
  });
});

test("close while an asynchronous transaction is open: it is rolled back and its caller told, those that wait too", async () => {
  const storage = new MemoryStorage();
  const db = open("test.db", { storage });
  let resume = (): void => undefined;
  const paused = new Promise<void>((resolve) => { resume = resolve; });
  const open1 = db.updateAsync(async (tx) => {
    tx.createBucket("never");
    await paused;
  });
  const waiting = [db.updateAsync((tx) => tx.createBucket("never")), db.batch((tx) => tx.createBucket("never"))];
  const outcomes = Promise.allSettled([open1, ...waiting]);
  await nextTurn();
  db.close();
  resume();
  for (const outcome of await outcomes) {
    assert.equal(outcome.status, "rejected");
    assert.equal((outcome as PromiseRejectedResult).reason.code, "DATABASE_NOT_OPEN");
  }
  const again = open("test.db", { storage });
  assert.deepEqual(again.view((tx) => [...tx.buckets()]), []);
  again.close();
});

/** A disk whose asynchronous syncs wait until they are let go on. */
class HeldStorage extends MemoryStorage {
  readonly held: (() => void)[] = [];
  closed = false;

  override async syncAsync(): Promise<void> {
    await new Promise<void>((resolve) => this.held.push(resolve));
  }

  override close(): void {
    this.closed = true;
  }
}

test("close while a commit is on its way to the disk: the commit ends well, then the storage is given up", async () => {
  const storage = new HeldStorage();
  const db = open("test.db", { storage });
  const committing = db.updateAsync((tx) => tx.createBucket("bucket"));
  while (storage.held.length === 0) await nextTurn();
  db.close();
  assert.equal(db.isOpen, false);
  assert.equal(storage.closed, false);
  for (let sync = 0; sync < 2; sync++) {
    while (storage.held.length === 0) await nextTurn();
    storage.held.pop()?.();
  }
  await committing;
  assert.equal(storage.closed, true);
  const again = open("test.db", { storage });
  assert.ok(again.view((tx) => tx.bucket("bucket")));
  again.close();
});

test("during a commit on its way readers see the state before, and synchronous writers are refused", async () => {
  const storage = new HeldStorage();
  const db = open("test.db", { storage });
  let late: Tx | undefined;
  const committing = db.updateAsync((tx) => {
    late = tx;
    tx.createBucket("bucket");
  });
  while (storage.held.length === 0) await nextTurn();
  assert.equal(db.view((tx) => tx.bucket("bucket")), undefined);
  assert.throws(() => db.begin(true), boltError("TX_WRITER_BUSY", /^another write transaction is open/));
  assert.throws(() => late?.createBucket("too late"), boltError("TX_CLOSED", "tx closed"));
  const closing = db.closeAsync();
  for (let sync = 0; sync < 2; sync++) {
    while (storage.held.length === 0) await nextTurn();
    storage.held.pop()?.();
  }
  await committing;
  await closing;
  assert.equal(storage.closed, true);
});

test("closeAsync lets everything that waits finish, and takes nothing new", async () => {
  const storage = new MemoryStorage();
  const db = open("test.db", { storage });
  db.update((tx) => tx.createBucket("bucket"));
  const put = (key: string) => (tx: Tx): void => requireBucket(tx.bucket("bucket")).put(key, "value");
  const calls = [db.batch(put("batch")), db.updateAsync(put("updateAsync")), db.batch((tx) => { put("failing")(tx); throw new Error("failing"); })];
  const outcomes = Promise.allSettled(calls);
  const closing = db.closeAsync();
  await assert.rejects(db.batch(put("too late")), boltError("DATABASE_NOT_OPEN", /^database not open/));
  await assert.rejects(db.updateAsync(put("too late")), boltError("DATABASE_NOT_OPEN", /^database not open/));
  await closing;
  assert.deepEqual((await outcomes).map(({ status }) => status), ["fulfilled", "fulfilled", "rejected"]);
  assert.equal(db.isOpen, false);
  const again = open("test.db", { storage });
  assert.deepEqual(again.view((tx) => [...requireBucket(tx.bucket("bucket")).keys()].map(String)), ["batch", "updateAsync"]);
  again.close();
});

test("a function that is none rejects, and the next call goes on", async () => {
  const db = openMemory();
  await assert.rejects(Promise.resolve(Reflect.apply(db.updateAsync, db, [5])), TypeError);
  await assert.rejects(Promise.resolve(Reflect.apply(db.batch, db, ["no function"])), TypeError);
  assert.throws(() => Reflect.apply(db.update, db, [undefined]), TypeError);
  await db.updateAsync((tx) => tx.createBucket("bucket"));
  await db.closeAsync();
});

test("the writer queue runs one after the other and only when the place is free", async () => {
  let isFree = false;
  const queue = new WriterQueue(() => isFree);
  const order: number[] = [];
  for (let i = 0; i < 5; i++) {
    queue.add(async () => {
      order.push(i);
      await nextTurn();
      order.push(i);
    });
  }
  await nextTurn();
  assert.deepEqual(order, []);
  isFree = true;
  queue.kick();
  assert.deepEqual(order, [], "never within the call");
  await queue.drained();
  assert.deepEqual(order, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
  await queue.drained();
});

test("the writer queue keeps the order of those that come while others wait, and of thousands", async () => {
  const queue = new WriterQueue(() => true);
  const order: number[] = [];
  const add = (i: number): void => queue.add(async () => {
    order.push(i);
    if (i < 3000) add(10_000 + i);
    if (i % 500 === 0) await nextTurn();
  });
  for (let i = 0; i < 3000; i++) add(i);
  await queue.drained();
  assert.deepEqual(order, [...Array.from({ length: 3000 }, (_, i) => i), ...Array.from({ length: 3000 }, (_, i) => 10_000 + i)]);
});

test("batch: what a hook of one call throws rejects that call alone; all are committed, and the others' hooks are called", async () => {
  await withDatabaseAsync(async ({ db }) => {
    db.update((tx) => tx.createBucket("bucket"));
    const called: number[] = [];
    const settled = await Promise.allSettled([1, 2, 3].map((i) => db.batch((tx) => {
      requireBucket(tx.bucket("bucket")).put(keyOf(i), "v");
      tx.onCommit(() => {
        called.push(i);
        assert.ok(db.view((reader) => requireBucket(reader.bucket("bucket")).has(keyOf(i))));
        if (i === 2) throw new Error("hook of 2");
      });
      return i;
    })));
    assert.deepEqual(settled.map((outcome) => (outcome.status === "fulfilled" ? outcome.value : String(outcome.reason))), [1, "Error: hook of 2", 3]);
    assert.deepEqual(called, [1, 2, 3]);
    assert.equal(db.view((tx) => requireBucket(tx.bucket("bucket")).count()), 3);
  });
});

test("batch: hooks of a run that is made again are called once", async () => {
  await withDatabaseAsync(async ({ db }) => {
    db.update((tx) => tx.createBucket("bucket"));
    const called: number[] = [];
    await Promise.allSettled([1, 2, 3].map((i) => db.batch((tx) => {
      tx.onCommit(() => called.push(i));
      if (i === 2) throw new Error("call 2");
    })));
    assert.deepEqual(called, [1, 3]);
  });
});

test("closeAsync rolls back what begin(true) has left open, so that those who wait behind it come to their turn", async () => {
  const storage = new MemoryStorage();
  const db = open("left-open.db", { storage });
  db.update((tx) => tx.createBucket("bucket"));
  const tx = db.begin(true);
  tx.createBucket("left open");
  const waiting = [db.batch((batched) => requireBucket(batched.bucket("bucket")).put("a", "v")), db.updateAsync((later) => requireBucket(later.bucket("bucket")).put("b", "v"))];
  const closed = db.closeAsync();
  assert.throws(() => db.begin(true), boltError("DATABASE_NOT_OPEN", /being closed/));
  await Promise.all([closed, ...waiting]);
  assert.throws(() => tx.commit(), boltError("TX_CLOSED", "tx closed"));
  const again = open("left-open.db", { storage });
  again.view((reader) => {
    assert.deepEqual([...requireBucket(reader.bucket("bucket")).keys()].map(String), ["a", "b"]);
    assert.equal(reader.bucket("left open"), undefined);
  });
  again.close();
});

test("a batch takes calls that arrive while it waits for its turn, a thousand at most", async () => {
  const sizes: number[] = [];
  let size = 0;
  const batch = new Batch<{ onCommit(): void; takeCommitHooks(): [] }>(async (work) => {
    await nextTurn();
    size = 0;
    await work({ onCommit: () => undefined, takeCommitHooks: () => [] });
    sizes.push(size);
  });
  const calls = Array.from({ length: 2500 }, () => batch.add(() => ++size));
  await Promise.all(calls);
  await batch.drained();
  assert.deepEqual(sizes, [1000, 1000, 500]);
});

test("random mixes of batch, updateAsync and update leave what a plain map has", async (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  const random = new Random(seed);
  await withDatabaseAsync(async ({ db }) => {
    db.update((tx) => tx.createBucket("bucket"));
    const expected = new Set<string>();
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 400; i++) {
      const fails = random.below(6) === 0;
      const put = (tx: Tx): void => {
        requireBucket(tx.bucket("bucket")).put(keyOf(i), "value");
        if (fails) throw new Error("on purpose");
      };
      if (!fails) expected.add(keyOf(i));
      calls.push((random.below(2) === 0 ? db.batch(put) : db.updateAsync(async (tx) => {
        if (random.below(3) === 0) await nextTurn();
        put(tx);
      })).catch((error: Error) => assert.equal(error.message, "on purpose")));
      if (random.below(20) === 0) await nextTurn();
    }
    await Promise.all(calls);
    assert.deepEqual(db.view((tx) => [...requireBucket(tx.bucket("bucket")).keys()].map(String)), [...expected].sort());
  });
});

test("batch: what is no function is refused, and the calls beside it are made", async () => {
  await withDatabaseAsync(async ({ db }) => {
    const before = db.batch((tx) => { tx.createBucket("a"); });
    for (const wrong of [5, undefined, null, {}]) await assert.rejects(Reflect.apply(db.batch, db, [wrong]), { name: "TypeError", message: /batch takes a function/ });
    await before;
    db.view((tx) => assert.ok(tx.bucket("a") !== undefined));
  });
});
