/** Lists of page ids, against Sets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ascending, without } from "../../../engine/format/pgid-list.js";
import { seedOfRun } from "../../support/random.js";

const seed = seedOfRun();
const list = fc.array(fc.oneof(fc.nat(40), fc.integer({ min: 2 ** 33, max: 2 ** 33 + 40 })), { maxLength: 60 }).map((ids) => Float64Array.from(ids).sort());

test(`what one list has and the other has not, ids that are listed twice among them (SEED=${seed})`, () => {
  fc.assert(fc.property(list, list, fc.oneof(fc.nat(50), fc.constant(undefined)), (ids, others, end) => {
    const known = new Set(others);
    assert.deepEqual([...without(ids, others, end)], [...ids].filter((pgid) => !known.has(pgid) && pgid < (end ?? Infinity)));
  }), { seed });
});

test("a list in order is given as it is, another as a copy in order", () => {
  for (const ids of [[], [7], [3, 3, 4], [2, 9, 2 ** 33]]) {
    const inOrder = Float64Array.from(ids);
    assert.equal(ascending(inOrder), inOrder);
  }
  const mixed = Float64Array.of(9, 2 ** 33, 10, 2);
  assert.deepEqual([...ascending(mixed)], [2, 9, 10, 2 ** 33]);
  assert.deepEqual([...mixed], [9, 2 ** 33, 10, 2]);
});
