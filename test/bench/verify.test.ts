/** The benchmark must not pass a wrong result: its verifier, its data and its targets are tested here. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Data } from "../../bench/data.js";
import type { KeyKind } from "../../bench/data.js";
import { makeOrder } from "../../bench/orders.js";
import { barChart, scalingChart } from "../../bench/report/chart.js";
import { makeCell } from "../../bench/results.js";
import type { Row } from "../../bench/results.js";
import { judge } from "../../bench/targets.js";
import { loadedModel, ScanVerifier, Verifier } from "../../bench/verify.js";
import { catalogue } from "../../bench/workloads.js";
import type { Workload } from "../../bench/workloads.js";
import type { Answer, StoreName } from "../../bench/job.js";

const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 32));
console.log(`SEED=${seed}`);

const KINDS: readonly KeyKind[] = ["random", "sequential", "integer", "long"];
const ENTRY_COUNT = 300;

function sortedEntries(data: Data): { key: Buffer; value: Buffer }[] {
  const entries = Array.from({ length: ENTRY_COUNT }, (_, index) => ({ key: data.key(index), value: Buffer.from(data.value(index, 0)) }));
  return entries.sort((a, b) => a.key.compare(b.key));
}

function verifyEntries(data: Data, entries: readonly { key: Buffer; value: Buffer }[]): number {
  const verifier = new Verifier(data, loadedModel(ENTRY_COUNT, ENTRY_COUNT));
  const scan = new ScanVerifier(verifier, ENTRY_COUNT);
  for (const { key, value } of entries) scan.visit(key, value);
  scan.end();
  return verifier.checksum;
}

for (const kind of KINDS) {
  test(`${kind} keys are distinct and carry their index`, () => {
    const data = new Data(kind, 100, seed);
    const keys = Array.from({ length: ENTRY_COUNT }, (_, index) => data.key(index));
    assert.equal(new Set(keys.map((key) => key.toString("hex"))).size, ENTRY_COUNT);
    keys.forEach((key, index) => assert.equal(data.indexOf(key), index));
  });
}

test("sequential and integer keys ascend, random keys do not", () => {
  const ascends = (kind: KeyKind): boolean => {
    const data = new Data(kind, 8, seed);
    return Array.from({ length: ENTRY_COUNT - 1 }, (_, index) => data.key(index).compare(data.key(index + 1))).every((order) => order < 0);
  };
  assert.deepEqual(KINDS.map(ascends), [false, true, true, false]);
});

test("the verifier passes what was put and refuses a changed byte, a missing, a repeated, a foreign and a misplaced entry", () => {
  const data = new Data("random", 100, seed);
  const entries = sortedEntries(data);
  verifyEntries(data, entries);
  const changed = sortedEntries(data);
  const victim = changed[seed % ENTRY_COUNT];
  assert.ok(victim !== undefined);
  victim.value[seed % 100] = (victim.value[seed % 100] ?? 0) ^ 1;
  assert.throws(() => verifyEntries(data, changed), /other bytes/);
  assert.throws(() => verifyEntries(data, entries.slice(1)), /299 entries of 300/);
  assert.throws(() => verifyEntries(data, [...entries.slice(0, 1), ...entries]), /out of order/);
  assert.throws(() => verifyEntries(data, [...entries].reverse()), /out of order/);
  const foreign = { key: Buffer.alloc(16, 0), value: Buffer.alloc(100) };
  assert.throws(() => verifyEntries(data, [foreign, ...entries]), /never put/);
});

test("the verifier refuses a value where none may be, none where one must be, and an old version", () => {
  const data = new Data("random", 100, seed);
  const model = loadedModel(ENTRY_COUNT, 2 * ENTRY_COUNT);
  model.put(7, 3);
  model.delete(8);
  const verifier = new Verifier(data, model);
  verifier.point(7, data.value(7, 3));
  verifier.point(8, undefined);
  verifier.point(ENTRY_COUNT, undefined);
  assert.equal(verifier.verified, 3);
  assert.throws(() => verifier.point(7, data.value(7, 0)), /other bytes/);
  assert.throws(() => verifier.point(8, data.value(8, 0)), /is absent/);
  assert.throws(() => verifier.point(9, undefined), /nothing came back/);
});

test("orders stay within the entries they are for", () => {
  const [operationCount, entryCount] = [500, 1000];
  const uniform = makeOrder("uniform", entryCount, operationCount, seed);
  assert.equal(uniform.length, 2 * operationCount);
  assert.ok(uniform.every((index) => index < entryCount));
  const repeated = makeOrder("repeated", entryCount, operationCount, seed);
  assert.deepEqual(repeated.subarray(operationCount), repeated.subarray(0, operationCount));
  assert.notDeepEqual(repeated, uniform);
  assert.ok(makeOrder("absent", entryCount, operationCount, seed).every((index) => index >= entryCount && index < 2 * entryCount));
  assert.equal(new Set(makeOrder("shuffled", entryCount, operationCount, seed)).size, operationCount);
  const zipf = makeOrder("zipf", entryCount, operationCount, seed);
  assert.ok(zipf.every((index) => index < entryCount));
  const counts = new Map<number, number>();
  for (const index of zipf) counts.set(index, (counts.get(index) ?? 0) + 1);
  const most = Math.max(...counts.values());
  // The most popular of 1000 zipf keys draws about 13 %; uniformly it would be 0.1 %.
  assert.ok(most > 50 && most < 300, `${most} of 1000`);
});

function rowOf(id: string, figures: Readonly<Partial<Record<StoreName, number>>>): Row {
  const workload = catalogue(1).find((candidate) => candidate.id === id);
  assert.ok(workload !== undefined);
  const cells = Object.entries(figures).map(([store, figure]) => makeCell(workload, store as StoreName, [answerOf(workload, figure)]));
  return { id, title: workload.title, unit: workload.unit, durability: "reads", entryCount: 1000, operationCount: 1000, verified: 1, cells };
}

function answerOf(workload: Workload, figure: number): Answer {
  const elapsedMs = workload.unit === "ms" ? figure : 1000;
  const operations = workload.unit === "ms" ? 1 : figure;
  return { operations, elapsedMs, peakRssBytes: 1, fileBytes: 1, verified: 1, checksum: 0, extra: {}, version: "" };
}

test("targets judge ratios within a row, and for times the other way round", () => {
  const verdictOf = (row: Row, text: string): boolean | undefined => judge([row]).find((verdict) => verdict.text.startsWith(text))?.reached;
  assert.equal(verdictOf(rowOf("get", { hexbolt: 150, lmdb: 100, bbolt: 149 }), "hexbolt against lmdb"), true);
  assert.equal(verdictOf(rowOf("get", { hexbolt: 149, lmdb: 100, bbolt: 150 }), "hexbolt against lmdb"), false);
  assert.equal(verdictOf(rowOf("get", { hexbolt: 149, lmdb: 100, bbolt: 150 }), "hexbolt against bbolt"), false);
  assert.equal(verdictOf(rowOf("start", { hexbolt: 50, lmdb: 100, level: 70 }), "hexbolt against the best, level"), true);
  assert.equal(verdictOf(rowOf("start", { hexbolt: 60, lmdb: 100, level: 70 }), "hexbolt against the best, level"), false);
  assert.deepEqual(judge([rowOf("get", { lmdb: 100, bbolt: 150 })]), []);
});

test("a durability mode is part of a workload, ids are distinct, and one-sync stands in durable rows only", () => {
  const workloads = catalogue(1);
  assert.equal(new Set(workloads.map(({ id }) => id)).size, workloads.length);
  for (const { job, stores, writes } of workloads) {
    if (job.durable === true) assert.ok(writes);
    if (stores.includes("hexbolt-one-sync")) assert.equal(job.durable, true);
  }
});

test("charts name every store of a row", () => {
  const row = rowOf("get", { hexbolt: 150, lmdb: 100, bbolt: 149 });
  const bars = barChart(row);
  const curve = scalingChart("Point read", [{ ...row, curve: { name: "Point read", entryCount: 1000 } }, { ...row, curve: { name: "Point read", entryCount: 10_000 } }]);
  for (const chart of [bars, curve]) {
    for (const store of ["hexbolt", "lmdb", "bbolt"]) assert.ok(chart.includes(`>${store}</text>`), store);
    assert.doesNotMatch(chart, /NaN|Infinity|undefined/);
  }
});
