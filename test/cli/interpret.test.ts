/** What the viewer shows of a value: what stands there, and not what a parser makes of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { interpret } from "../../engine/cli/interpret.js";
import { seedOfRun } from "../support/random.js";

const seed = seedOfRun();

test("JSON is indented as it stands: digits, order and repeated names stay", () => {
  const shown = (text: string): string | undefined => interpret(Buffer.from(text)).json;
  assert.equal(shown('{"id":12345678901234567890,"a":1.0,"a":[],"2":{},"1":"x, {y}: \\" [z]"}'), [
    "{", '  "id": 12345678901234567890,', '  "a": 1.0,', '  "a": [],', '  "2": {},', '  "1": "x, {y}: \\" [z]"', "}",
  ].join("\n"));
  assert.equal(shown(' [ 1 , [ true,null ] , { "k" : "v" } ] '), "[\n  1,\n  [\n    true,\n    null\n  ],\n  {\n    \"k\": \"v\"\n  }\n]");
  assert.equal(shown('["", {}, [[]]]'), '[\n  "",\n  {},\n  [\n    []\n  ]\n]');
  for (const text of ["{oops", "[1,]", "plain", "12"]) assert.equal(shown(text), undefined);
});

test(`indented JSON says what it said before (SEED=${seed})`, () => {
  fc.assert(fc.property(fc.json(), fc.boolean(), (json, isSpaced) => {
    const source = isSpaced ? JSON.stringify(JSON.parse(json), undefined, 3) : json;
    const shown = interpret(Buffer.from(source)).json;
    if (shown !== undefined) assert.equal(shown, JSON.stringify(JSON.parse(source), undefined, 2));
  }), { seed, numRuns: 500 });
});
