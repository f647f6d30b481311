/** Damaged protobuf messages and gRPC frames: a message or the typed error of its layer, whatever comes. Tens of thousands here; millions by `npm run test:fuzz`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { seedOfRun } from "../support/random.js";
import { MessageFuzzer } from "./messages.js";

const seed = seedOfRun();
const COUNT = 60_000;

test(`${COUNT} damaged messages and frames are read or refused in order (SEED=${seed})`, () => {
  const fuzzer = new MessageFuzzer(seed);
  for (let number = 0; number < COUNT; number++) fuzzer.try(number);
  const { frames, messages, refused } = fuzzer.tally;
  assert.equal(frames + messages, COUNT);
  // A run that only meets refusals, or none, tests next to nothing.
  assert.ok(frames > COUNT / 5 && refused > COUNT / 10 && refused < COUNT * 0.9, JSON.stringify(fuzzer.tally));
});
