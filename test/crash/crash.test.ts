/**
 * Power cuts at every operation of random workloads, some thousands of images of them: enough to notice within seconds when a sync, an
 * order or a quarantine is missing. `npm run test:crash` looks at as many as are wanted, see main.ts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { seedOfRun } from "../support/random.js";
import { crashPool } from "./pool.js";

const seed = seedOfRun();

test(`no power cut loses an acknowledged commit, leaves half a transaction or a page that nobody owns (SEED=${seed})`, async (t) => {
  const { counts, runCount, failures } = await crashPool({ seed, imageCount: 8_000, workerCount: 2 });
  assert.equal(failures.join("\n"), "");
  assert.ok(counts.creationImages > 100 && counts.secondCutImages > 500 && counts.olderTrees > 1000 && counts.rawChecks > 1000, JSON.stringify(counts));
  t.diagnostic(`${counts.images} images at ${counts.cuts} cuts of ${runCount} workloads, ${counts.secondCutImages} of them of a second cut`);
});
