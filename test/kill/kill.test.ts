/** Processes that write to real files and are killed with SIGKILL, twenty times; see rounds.ts. `npm run test:kill` takes any number. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { seedOfRun } from "../support/random.js";
import { killRounds } from "./rounds.js";

const seed = seedOfRun();

test(`what a process reported before it was killed is there, and its lock is free (SEED=${seed})`, async (t) => {
  const report = await killRounds(seed, 20);
  assert.equal(report.rounds, 20);
  assert.ok(report.acknowledged > 40, `only ${report.acknowledged} commits were acknowledged`);
  t.diagnostic(JSON.stringify(report));
});
