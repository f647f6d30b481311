/** The power of real file systems is cut while processes write, see test/kill/power-cuts.ts. `npm run test:kill -- --power-cuts ext4` takes any number of rounds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FILE_SYSTEMS, powerCutRounds, whyNoPowerCuts } from "../kill/power-cuts.js";
import { seedOfRun } from "../support/random.js";

const seed = seedOfRun();
const ROUNDS = 24;

for (const type of FILE_SYSTEMS) {
  test(`what a process reported before the power of its ${type} was cut is there (SEED=${seed})`, { skip: whyNoPowerCuts(type) ?? false }, async (t) => {
    const report = await powerCutRounds(seed, ROUNDS, type);
    assert.equal(report.rounds, ROUNDS);
    assert.ok(report.acknowledged > ROUNDS, `only ${report.acknowledged} commits were acknowledged`);
    t.diagnostic(JSON.stringify(report));
  });
}
