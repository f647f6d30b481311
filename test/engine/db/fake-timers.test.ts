/** Under the timers and clocks of a test runner, which stand still, the store goes on. */
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { open, openMemory } from "../../../engine/index.js";
import { tempPath } from "../../support/temp.js";

test("batch and updateAsync with immediates that never come", async () => {
  mock.timers.enable({ apis: ["setImmediate", "setTimeout"] });
  try {
    const db = openMemory();
    assert.equal(await db.batch((tx) => { tx.createBucket("b").put("k", "v".repeat(100_000)); return 1; }), 1);
    assert.equal(await db.updateAsync((tx) => tx.bucket("b")?.count()), 1);
    await db.closeAsync();
  } finally {
    mock.timers.reset();
  }
});

test("a lock that is held is waited for by a clock of its own", () => {
  const path = tempPath("held.db");
  const holder = open(path);
  const clock = mock.method(performance, "now", () => 5);
  try {
    assert.throws(() => open(path, { timeout: 100 }), { code: "TIMEOUT" });
  } finally {
    clock.mock.restore();
    holder.close();
  }
});

test("a path that is none is told by what it is", () => {
  for (const [path, what] of [[new URL("file:///x.db"), /a URL: fileURLToPath/], ["", /an empty one/], [Buffer.from("x.db"), /got object/], [undefined, /got undefined/]] as const) {
    assert.throws(() => open(path as string), { name: "TypeError", message: what });
  }
});
