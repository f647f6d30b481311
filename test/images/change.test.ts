/** What a change makes of an image, by containerd's field mask. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { applyChange } from "../../images/change.js";
import type { Image } from "../../images/types.js";

const target = { mediaType: "m", digest: `sha256:${"0".repeat(64)}`, size: 1 };
const image: Image = { name: "a", target, labels: { keep: "k", drop: "d" } };

test("a label that is taken away is held to the length of labels, though nothing of it is stored", () => {
  for (const labels of [undefined, {}, { ["k".repeat(4097)]: "" }]) {
    assert.throws(() => applyChange(image, { target, labels, fields: [`labels.${"k".repeat(4097)}`] }), { code: "INVALID", message: /longer than 4096 bytes/ });
  }
  assert.throws(() => applyChange(image, { target, fields: ["labels.\ud800"] }), { code: "INVALID", message: /half a surrogate pair/ });
  assert.deepEqual(applyChange(image, { target, fields: [`labels.${"k".repeat(4096)}`, "labels.drop", "labels."] }).labels, { keep: "k" });
});
