/** The bitmap of page ids against a plain Set: membership, order, and the runs that the allocator takes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readU64 } from "../../../engine/base/bytes.js";
import { PageSet, type Run } from "../../../engine/pager/page-set.js";
import { seedOfRun } from "../../support/random.js";

/** Ids that one chunk of the set covers: runs across this border are the hard ones. */
const CHUNK = 32_768;

function contents(set: PageSet): number[] {
  const ids: number[] = [];
  set.forEach((id) => ids.push(id));
  return ids;
}

/** Where the model has `length` neighbours: the lowest place inside of a chunk, else across the border of two. */
function placeOfRun(model: ReadonlySet<number>, length: number): number | undefined {
  let across: number | undefined;
  for (const id of [...model].sort((a, b) => a - b)) {
    let end = id;
    while (model.has(end) && end - id < length) end++;
    if (end - id < length) continue;
    if (Math.floor(id / CHUNK) === Math.floor((end - 1) / CHUNK)) return id;
    across ??= id;
  }
  return across;
}

function withIds(ranges: readonly (readonly [number, number])[]): PageSet {
  const set = new PageSet();
  for (const [from, to] of ranges) for (let id = from; id < to; id++) set.add(id);
  return set;
}

function takeFrom(model: Set<number>, { start, length }: Run): void {
  for (let id = start; id < start + length; id++) assert.ok(model.delete(id), `${id} was in the set`);
}

type Operation =
  | { readonly kind: "add"; readonly from: number; readonly length: number }
  | { readonly kind: "delete"; readonly from: number; readonly length: number }
  | { readonly kind: "run"; readonly length: number }
  | { readonly kind: "runs"; readonly length: number };

const place = fc.oneof(fc.nat({ max: 200 }), fc.integer({ min: CHUNK - 100, max: CHUNK + 100 }), fc.integer({ min: 2 ** 33, max: 2 ** 33 + 70 }));
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ kind: fc.constant("add" as const), from: place, length: fc.integer({ min: 1, max: 150 }) }),
  fc.record({ kind: fc.constant("delete" as const), from: place, length: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ kind: fc.constant("run" as const), length: fc.integer({ min: 1, max: 90 }) }),
  fc.record({ kind: fc.constant("runs" as const), length: fc.integer({ min: 1, max: 90 }) }),
);

function apply(operation: Operation, set: PageSet, model: Set<number>): void {
  if (operation.kind === "run") {
    const start = set.takeRun(operation.length);
    assert.equal(start, placeOfRun(model, operation.length), `the lowest run of ${operation.length}`);
    if (start !== undefined) takeFrom(model, { start, length: operation.length });
  } else if (operation.kind === "runs") {
    const before = model.size;
    const runs = set.takeRuns(operation.length);
    for (const [i, run] of runs.entries()) {
      assert.ok(i === 0 || runs[i - 1]!.start + runs[i - 1]!.length <= run.start, "runs ascend and do not overlap");
      takeFrom(model, run);
    }
    assert.equal(before - model.size, Math.min(before, operation.length), "as many as asked for, or all");
  } else {
    for (let id = operation.from; id < operation.from + operation.length; id++) {
      if (operation.kind === "add") assert.equal(set.add(id), !model.has(id));
      else assert.equal(set.delete(id), model.has(id));
      if (operation.kind === "add") model.add(id);
      else model.delete(id);
    }
  }
}

test("a page set is a set, whatever is added, deleted and taken", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  fc.assert(fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
    const set = new PageSet();
    const model = new Set<number>();
    for (const step of operations) {
      apply(step, set, model);
      assert.equal(set.size, model.size);
    }
    assert.deepEqual(contents(set), [...model].sort((a, b) => a - b));
    for (const id of [0, 1, 31, 32, CHUNK - 1, CHUNK, CHUNK + 1, 2 ** 33]) assert.equal(set.has(id), model.has(id));
  }), { seed, numRuns: 150 });
});

test("two sets are written together, in ascending order, as 64-bit integers", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  fc.assert(fc.property(fc.uniqueArray(fc.tuple(fc.boolean(), place), { maxLength: 60, selector: ([, id]) => id }), (ids) => {
    const sets = [new PageSet(), new PageSet()] as const;
    for (const [isFirst, id] of ids) sets[isFirst ? 0 : 1].add(id);
    const bytes = new Uint8Array(3 + ids.length * 8);
    assert.equal(sets[0].writeUnion(sets[1], new DataView(bytes.buffer), 3), bytes.length);
    assert.deepEqual(ids.map((_, i) => readU64(bytes, 3 + i * 8)), ids.map(([, id]) => id).sort((a, b) => a - b));
  }), { seed, numRuns: 200 });
});

test("a run is taken at its first place, across the border of two chunks too", () => {
  const set = withIds([[5, 8], [CHUNK - 3, CHUNK + 4]]);
  assert.equal(set.takeRun(7), CHUNK - 3);
  assert.equal(set.takeRun(4), undefined);
  assert.equal(set.takeRun(2), 5);
  assert.deepEqual(contents(set), [7]);
});

test("a run may be longer than a chunk, but not go over a gap of one id", () => {
  const set = withIds([[0, 2 * CHUNK + 10]]);
  set.delete(CHUNK + 1);
  assert.equal(set.takeRun(CHUNK + 9), undefined);
  assert.equal(set.takeRun(CHUNK + 2), CHUNK + 2);
  assert.equal(set.takeRun(CHUNK + 1), 0);
  assert.equal(set.takeRun(6), 2 * CHUNK + 4);
  assert.equal(set.size, 0);
});

test("chunks that only look like neighbours form no run", () => {
  const set = withIds([[CHUNK - 2, CHUNK], [2 * CHUNK, 2 * CHUNK + 2]]);
  assert.equal(set.takeRun(3), undefined);
});

test("long runs go before short ones", () => {
  const set = withIds([[10, 11], [20, 22], [100, 180], [200, 204]]);
  assert.deepEqual(set.takeRuns(80), [{ start: 100, length: 80 }]);
  assert.deepEqual(set.takeRuns(5), [{ start: 20, length: 1 }, { start: 200, length: 4 }]);
  assert.deepEqual(set.takeRuns(9), [{ start: 10, length: 1 }, { start: 21, length: 1 }]);
  assert.deepEqual(set.takeRuns(1), []);
});

test("an id given back to a searched chunk makes its run long enough again", () => {
  const set = withIds([[0, 4], [5, 9]]);
  assert.equal(set.takeRun(9), undefined);
  set.add(4);
  assert.equal(set.takeRun(9), 0);
});

test("ids added from the highest down come out in ascending order", () => {
  const set = new PageSet();
  for (const id of [5 * CHUNK, 3 * CHUNK + 7, 31, 2, 7 * CHUNK]) set.add(id);
  assert.deepEqual(contents(set), [2, 31, 3 * CHUNK + 7, 5 * CHUNK, 7 * CHUNK]);
});

const ascendingIds = fc.array(fc.record({ from: place, length: fc.integer({ min: 1, max: 150 }) }), { maxLength: 12 }).map((ranges) => {
  const ids = new Set<number>();
  for (const { from, length } of ranges) for (let id = from; id < from + length; id++) ids.add(id);
  return Float64Array.from(ids).sort();
});

test("ids that are added together are found, and taken in runs, as those that are added one by one", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  fc.assert(fc.property(ascendingIds, fc.array(operation, { maxLength: 30 }), (ids, operations) => {
    const set = new PageSet();
    assert.equal(set.addAscending(ids), undefined);
    const model = new Set(ids);
    assert.equal(set.size, model.size);
    for (const next of operations) apply(next, set, model);
    assert.deepEqual(contents(set), [...model].sort((a, b) => a - b));
  }), { seed });
});

test("of ids that are added together, one that is there already is named", () => {
  const set = withIds([[5, 8]]);
  assert.equal(set.addAscending(Float64Array.of(1, CHUNK + 1)), undefined);
  assert.equal(set.addAscending(Float64Array.of(2, 7, 9)), 7);
  assert.equal(set.addAscending(Float64Array.of(10, 10)), 10);
  assert.equal(set.addAscending(Float64Array.of(11, CHUNK + 1)), CHUNK + 1);
});
