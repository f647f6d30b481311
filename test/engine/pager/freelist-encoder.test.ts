/** Freelist pages, made from those before. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readU64, writeU64 } from "../../../engine/base/bytes.js";
import { writeChangedIds } from "../../../engine/pager/freelist-encoder.js";
import type { Run } from "../../../engine/pager/page-set.js";
import { seedOfRun } from "../../support/random.js";

const id = fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 2, max: 60 }) }, { weight: 1, arbitrary: fc.integer({ min: 2 ** 32 - 4, max: 2 ** 32 + 4 }) });

function encoded(ids: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(8 * ids.length);
  for (const [i, pgid] of ids.entries()) writeU64(bytes, 8 * i, pgid);
  return bytes;
}

function runsOf(ids: readonly number[]): Run[] {
  const runs: { start: number; length: number }[] = [];
  for (const pgid of ids) {
    const last = runs.at(-1);
    if (last !== undefined && last.start + last.length === pgid) last.length++;
    else runs.push({ start: pgid, length: 1 });
  }
  return runs;
}

test("what is removed is left out, what is added stands in its place, and all else is copied", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  const ascending = (a: number, b: number): number => a - b;
  fc.assert(fc.property(fc.uniqueArray(fc.tuple(id, fc.constantFrom("kept", "kept", "removed", "added")), { maxLength: 50, selector: ([pgid]) => pgid }), (ids) => {
    const are = (...states: string[]): number[] => ids.filter(([, state]) => states.includes(state)).map(([pgid]) => pgid).sort(ascending);
    const expected = are("kept", "added");
    const target = new Uint8Array(5 + 8 * expected.length + 8).fill(0xaa);
    assert.equal(writeChangedIds(encoded(are("kept", "removed")), runsOf(are("removed")), are("added"), target, 5), target.length - 8);
    assert.deepEqual(expected.map((_, i) => readU64(target, 5 + 8 * i)), expected);
    assert.ok(target.subarray(target.length - 8).every((byte) => byte === 0xaa), "nothing is written behind them");
  }), { seed, numRuns: 400 });
});
