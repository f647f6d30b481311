/** Calls deep in a recursion, where the stack is full in the middle of them: nothing half done is ever committed, and the database goes on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BoltError, openMemory, type DB, type Tx } from "../../engine/index.js";

/** Calls a function where the stack has room for about `count` small calls more. */
function nearTheEnd<T>(count: number, fn: () => T): T {
  let left = count;
  let isDone = false;
  const dive = (): T => {
    try {
      return dive();
    } catch (error) {
      if (isDone || left-- > 0) throw error;
      isDone = true;
      return fn();
    }
  };
  return dive();
}

function requireSound(db: DB): void {
  assert.deepEqual(db.view((tx) => [...tx.check()]), []);
}

/** Lets a call have no room on the stack, or more and more of it; gives how often it had too little. */
function countOverflows(from: number, to: number, step: number, call: (room: number) => void): number {
  let count = 0;
  for (let room = from; room < to; room += step) {
    try {
      nearTheEnd(room, () => call(room));
    } catch (error) {
      assert.ok(error instanceof RangeError || (error instanceof BoltError && error.code === "TX_CLOSED"), String(error));
      if (error instanceof RangeError) count++;
    }
  }
  return count;
}

/** Calls again with more room each time, until it has enough; gives how often it had too little. */
function overflowsUntilDone(call: () => void): number {
  for (let count = 0; ; count++) {
    try {
      nearTheEnd(4 * count, call);
      return count;
    } catch (error) {
      assert.ok(error instanceof RangeError, String(error));
    }
  }
}

test("a put or a deletion that had no room on the stack is not committed by halves, though the function goes on", () => {
  const db = openMemory({ noSync: true });
  db.update((tx) => { for (let i = 0, bucket = tx.createBucket("b"); i < 3000; i++) bucket.put(`k${i * 2}`, "v".repeat(i % 700)); });
  let changes = 0;
  let refused = 0;
  let room = 300;
  for (let round = 1; round <= 160; round++) {
    try {
      db.update((tx) => {
        const bucket = tx.bucket("b")!;
        // As a program that knows nothing of it: it catches the error, and goes on in the same transaction.
        for (let i = 0; i < 10; i++) {
          const key = `k${(++changes * 7919) % 6000}`;
          const at = room + (changes % 41) - 20;
          const overflows = countOverflows(at, at + 1, 1, () => (changes % 3 === 0 ? bucket.delete(key) : bucket.put(key, "w".repeat(changes % 900))));
          room += overflows > 0 ? 5 : -3;
        }
      });
    } catch (error) {
      assert.ok(error instanceof BoltError && error.code === "TX_CLOSED" && /broken off/.test(String(error.detail)), String(error));
      refused++;
    }
    if (round % 25 === 0) requireSound(db);
  }
  assert.ok(refused > 3, `${refused} transactions met it`);
  db.close();
});

test("an update, a begin, a commit or a rollback that has no room on the stack does nothing, and the next one is made", () => {
  const db = openMemory({ noSync: true });
  db.update((tx) => { for (let i = 0, bucket = tx.createBucket("b"); i < 500; i++) bucket.put(`k${i}`, "v".repeat(200)); });
  let overflows = 0;
  for (let from = 0; from < 40; from += 5) {
    overflows += countOverflows(from, 1500, 37, (room) => db.update((tx) => tx.bucket("b")!.put(`k${room}`, "new")));
    for (let room = from; room < 1500; room += 37) {
      let tx: Tx | undefined;
      overflows += countOverflows(room, room + 1, 1, () => { tx = db.begin(true); });
      tx?.rollback();
    }
    requireSound(db);
  }
  assert.ok(overflows > 10, `${overflows} calls met it`);
  const tx = db.begin(true);
  tx.bucket("b")!.put("last", "put");
  assert.ok(overflowsUntilDone(() => tx.commit()) > 0);
  const dropped = db.begin(true);
  assert.ok(overflowsUntilDone(() => dropped.rollback()) > 0);
  db.update((again) => assert.ok(again.bucket("b")?.get("last")));
  requireSound(db);
  db.close();
});
