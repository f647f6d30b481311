/** What a flush costs is told by syncs with little to write, and by no others. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FlushGauge } from "../../../engine/storage/flush-gauge.js";

test("a flush counts as cheap until a sync with little to write takes long, and again once one does not", () => {
  const gauge = new FlushGauge();
  assert.ok(gauge.isCheap);
  gauge.wrote(4096);
  gauge.synced(0.3);
  assert.ok(gauge.isCheap);
  gauge.wrote(4096);
  gauge.synced(5);
  assert.ok(!gauge.isCheap);
  gauge.synced(0.5);
  assert.ok(gauge.isCheap, "a sync with nothing to write tells as well");
});

test("a sync with much to write tells nothing, however its bytes came", () => {
  const gauge = new FlushGauge();
  gauge.wrote(65_537);
  gauge.synced(50);
  assert.ok(gauge.isCheap);
  for (let i = 0; i < 17; i++) gauge.wrote(4096);
  gauge.synced(50);
  assert.ok(gauge.isCheap);
  gauge.wrote(65_536);
  gauge.synced(50);
  assert.ok(!gauge.isCheap);
  gauge.wrote(1 << 20);
  gauge.synced(0.1);
  assert.ok(!gauge.isCheap);
});
