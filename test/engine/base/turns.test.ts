/** Work in pieces. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { atOnce, inTurns, type Pieces } from "../../../engine/base/turns.js";

/** Takes `ms` milliseconds in pieces of a tenth of one. */
function* work(ms: number): Pieces<string> {
  for (let i = 0; i < ms * 10; i++) {
    const end = performance.now() + 0.1;
    while (performance.now() < end);
    yield;
  }
  return "done";
}

test("work at once gives its result and lets nothing else run", () => {
  let ran = false;
  setImmediate(() => (ran = true));
  assert.equal(atOnce(work(5)), "done");
  assert.equal(ran, false);
});

test("work in turns lets the event loop go round, many times in work that takes long", async () => {
  let roundCount = 0;
  let isDone = false;
  const count = (): void => {
    roundCount++;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  assert.equal(await inTurns(work(30)), "done");
  isDone = true;
  assert.ok(roundCount >= 5, `${roundCount} rounds`);
});

test("what work throws comes out of both", async () => {
  function* failing(): Pieces<void> {
    yield;
    throw new Error("broken");
  }
  assert.throws(() => atOnce(failing()), /^Error: broken$/);
  await assert.rejects(inTurns(failing()), /^Error: broken$/);
});
