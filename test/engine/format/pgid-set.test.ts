/** The bitmap of page ids, against a Set. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PgidSet } from "../../../engine/format/pgid-set.js";
import { Random, seedOfRun } from "../../support/random.js";

test("a page id set holds what a Set holds, in ascending order", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  const random = new Random(seed);
  const set = new PgidSet();
  const oracle = new Set<number>();
  for (let i = 0; i < 5000; i++) {
    const pgid = random.below(random.pick([64, 5000, 1_000_000])) + random.pick([0, 0, 0, 2 ** 32 - 100, 2 ** 40, 2 ** 53 - 2 ** 21]);
    assert.equal(set.add(pgid), !oracle.has(pgid));
    oracle.add(pgid);
  }
  assert.deepEqual([...set], [...oracle].sort((a, b) => a - b));
  for (let i = 0; i < 5000; i++) { const pgid = random.below(5000); assert.equal(set.has(pgid), oracle.has(pgid)); }
});

test("a page id near the end of all that a number can name takes no more memory than a small one", () => {
  const set = new PgidSet();
  for (const pgid of [2 ** 53 - 1, 7, 2 ** 45]) assert.equal(set.add(pgid), true);
  assert.deepEqual([...set], [7, 2 ** 45, 2 ** 53 - 1]);
});

test("asking for ids that no file has costs nothing", () => {
  const set = new PgidSet();
  set.add(31);
  set.add(32);
  for (const pgid of [2 ** 31, 2 ** 32, 2 ** 40 + 31, 2 ** 63, 1.8e19]) assert.equal(set.has(pgid), false);
  assert.deepEqual([...set], [31, 32]);
});
