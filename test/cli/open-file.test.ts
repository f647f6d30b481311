/** Opening the files that commands work on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LiveTries } from "../../engine/cli/open-file.js";
import { BoltError } from "../../engine/index.js";

test("what was read while the writer moved on is read again as long as patience lasts, and nothing else is", () => {
  const stale = new BoltError("STALE_SNAPSHOT", "the writer has moved on");
  const begin = performance.now();
  const tries = new LiveTries(true, 50);
  let count = 0;
  assert.throws(() => { for (;; count++) tries.requireAnother(stale); }, stale);
  assert.ok(count > 1 && performance.now() - begin >= 50);
  assert.throws(() => new LiveTries(true).requireAnother(new BoltError("CORRUPT", "page 5: broken")), { code: "CORRUPT" });
  assert.throws(() => new LiveTries(false).requireAnother(stale), stale);
});
