/** Memory that is kept for the next large page. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SpareMemory } from "../../../engine/base/spare-memory.js";

test("memory that was kept is given again for the same size, once", () => {
  const spare = new SpareMemory();
  const piece = spare.take(100_000)!;
  assert.equal(piece.length, 100_000);
  spare.keep(piece);
  assert.notEqual(spare.take(99_999), piece);
  assert.equal(spare.take(100_000), piece);
  assert.notEqual(spare.take(100_000), piece);
});

test("of what is kept the oldest goes first, and what is larger than the limit is not kept", () => {
  const spare = new SpareMemory();
  const pieces = [1_000_000, 1_100_000, 1_200_000, 1_300_000].map((size) => spare.take(size)!);
  for (const piece of pieces) spare.keep(piece);
  const vast = spare.take(5_000_000)!;
  spare.keep(vast);
  assert.notEqual(spare.take(5_000_000), vast);
  assert.deepEqual(pieces.map((piece) => spare.take(piece.length) === piece), [false, true, true, true]);
});

test("of many small pieces the newest 64 are kept", () => {
  const spare = new SpareMemory();
  const pieces = Array.from({ length: 100 }, (_, i) => spare.take(1000 + i)!);
  for (const piece of pieces) spare.keep(piece);
  assert.deepEqual(pieces.map((piece) => spare.take(piece.length) === piece), pieces.map((_, i) => i >= 36));
});

test("more memory than there is comes as undefined", () => {
  assert.equal(new SpareMemory().take(2 ** 53), undefined);
});
