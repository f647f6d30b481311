/**
 * Live reads of a file that Go writes at full speed: a view shows one transaction, whole, or ends in STALE_SNAPSHOT. What
 * Go writes (`ledger` in go/main.go) carries invariants over several buckets and many pages, so that a mixture of two
 * transactions shows.
 */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { test } from "node:test";
import type { ReadBucket, ReadTx } from "../../engine/index.js";
import { BoltError, open } from "../../engine/index.js";
import { Random, seedOfRun } from "../support/random.js";
import { tempPath } from "../support/temp.js";
import type { GoBolt } from "./go.js";
import { GoBoltBuild } from "./go.js";

const build = new GoBoltBuild();
const seed = seedOfRun();
const seconds = Number(process.env["LIVE_SECONDS"] ?? 5);
const BUCKET_COUNT = 6;
const TOTAL = BUCKET_COUNT * 300 * 1000;

function numberAt(bucket: ReadBucket, key: string): number {
  const value = bucket.get(key);
  assert.ok(value !== undefined && value.length === 8, `no number under ${key}`);
  return Number(value.readBigUInt64BE());
}

function ledger(tx: ReadTx, i: number): ReadBucket {
  const bucket = tx.bucket(`ledger-${i}`);
  assert.ok(bucket !== undefined, `ledger-${i} is gone`);
  return bucket;
}

/** All buckets are of the same transaction: a few pages of each. */
function verifyNumbers(tx: ReadTx): void {
  for (let i = 0; i < BUCKET_COUNT; i++) assert.equal(BigInt(numberAt(ledger(tx, i), "number")), tx.id, `ledger-${i} is of another transaction`);
}

/** Money moves between the buckets and is neither made nor lost: all accounts. */
function verifyAccounts(tx: ReadTx): void {
  let total = 0;
  for (let i = 0; i < BUCKET_COUNT; i++) {
    const accounts = ledger(tx, i).bucket("accounts");
    assert.ok(accounts !== undefined, "accounts are gone");
    for (const [, value] of accounts.entries()) total += Number(value.readBigUInt64BE());
  }
  assert.equal(total, TOTAL, "money was made or lost");
}

/** Every bucket has as many rows as it says, and each of them is of one piece: all pages. */
function verifyRows(tx: ReadTx): void {
  for (let i = 0; i < BUCKET_COUNT; i++) {
    const bucket = ledger(tx, i);
    let rowCount = 0;
    for (const [key, value] of bucket.entries({ prefix: "row-" })) {
      rowCount++;
      assert.ok(value.length === 0 || value.equals(Buffer.alloc(value.length, value[0])), `${key.toString()} is torn`);
    }
    assert.equal(rowCount, numberAt(bucket, "rows"), `rows of ledger-${i}`);
  }
}

function verifyAll(tx: ReadTx): void {
  verifyNumbers(tx);
  verifyAccounts(tx);
  verifyRows(tx);
}

const VIEWS = { numbers: verifyNumbers, accounts: verifyAccounts, all: verifyAll };
type ViewName = keyof typeof VIEWS;

interface Tally {
  readonly whole: Record<ViewName, number>;
  readonly ids: Set<bigint>;
  stale: number;
  commits: number;
}

/** Reads in every way while Go writes; anything but a whole view or STALE_SNAPSHOT is an error. */
async function readWhile(go: GoBolt, path: string, ms: number, pauseMs: number): Promise<Tally> {
  const tally: Tally = { whole: { numbers: 0, accounts: 0, all: 0 }, ids: new Set(), stale: 0, commits: 0 };
  let isWriting = true;
  const writer = go.must({ op: "ledger", ms, pauseMs, seed: seed + 1 }).finally(() => { isWriting = false; });
  const random = new Random(seed);
  using db = open(path, { readOnly: true, lock: "none" });
  while (isWriting) {
    const name = random.pick(["numbers", "accounts", "all"] as const);
    try {
      db.view((tx) => { VIEWS[name](tx); tally.ids.add(tx.id); });
      tally.whole[name]++;
    } catch (error) {
      if (!(error instanceof BoltError) || error.code !== "STALE_SNAPSHOT") throw error;
      tally.stale++;
    }
    await setImmediate();
  }
  tally.commits = (await writer).commits;
  db.view(verifyAll);
  return tally;
}

for (const { pace, ms, pauseMs, needed } of [
  { pace: "at full speed", ms: seconds * 1000, pauseMs: 0, needed: "numbers" },
  { pace: "with pauses of 30 ms", ms: Math.min(seconds * 1000, 3000), pauseMs: 30, needed: "all" },
] as const) {
  test(`live reads under a Go writer ${pace} show whole transactions only (SEED=${seed})`, { skip: build.skip }, async (t) => {
    const path = tempPath("live.db");
    const go = build.start();
    try {
      await go.must({ op: "open", path, timeoutMs: 1000 });
      await go.must({ op: "ledger", ms: 50, pauseMs: 0, seed });
      let tally = await readWhile(go, path, ms, pauseMs);
      // A busy machine may come to a handful of views: then it gets more time.
      for (let more = 0; more < 10 && (tally.whole[needed] === 0 || tally.ids.size < 2); more++) tally = await readWhile(go, path, ms, pauseMs);
      const { whole, ids, stale, commits } = tally;
      t.diagnostic(`whole views: ${JSON.stringify(whole)} of ${ids.size} transactions; ${stale} stale; ${commits} commits meanwhile`);
      assert.ok(whole[needed] > 0, `no view of ${needed} was ever whole`);
      assert.ok(ids.size > 1, "the reader never saw the writer move on");
    } finally {
      await go.end();
    }
  });
}
