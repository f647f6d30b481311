/** The engine against a plain in-memory model, by random sessions; see test/support/session.ts for what is compared. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { seedOfRun } from "../support/random.js";
import { runSessions } from "../support/session.js";

const seed = seedOfRun();

test(`random sessions give the model's answers, states and snapshots (SEED=${seed})`, async (t) => {
  const ran = await runSessions(seed, 120, 12_000, "unit");
  assert.ok(ran > 0);
  t.diagnostic(`${ran} sessions`);
});
