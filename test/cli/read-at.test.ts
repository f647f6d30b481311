/** Reading from a file in several calls. */
import assert from "node:assert/strict";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { readAt } from "../../engine/cli/read-at.js";
import { tempPath } from "../support/temp.js";

test("all bytes are read, in calls of any size, up to the end of the file", () => {
  const content = Uint8Array.from({ length: 1000 }, (_, i) => i * 7);
  const path = tempPath("content");
  writeFileSync(path, content);
  const descriptor = openSync(path, "r");
  for (const callSize of [undefined, 1, 7, 300, 1000, 5000]) {
    for (const [position, size] of [[0, 1000], [0, 0], [3, 900], [990, 100], [1000, 5], [4000, 5]] as const) {
      const target = new Uint8Array(size).fill(1);
      const expected = content.subarray(position, position + size);
      assert.equal(readAt(descriptor, target, position, callSize), expected.length);
      assert.deepEqual([...target], [...expected, ...new Uint8Array(size - expected.length).fill(1)]);
    }
  }
  closeSync(descriptor);
});
