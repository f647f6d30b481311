/** A database file page by page, as the commands that look at pages read it. */
import assert from "node:assert/strict";
import { closeSync, openSync, writeSync } from "node:fs";
import { test } from "node:test";
import { RawFile } from "../../engine/cli/raw-file.js";
import { open } from "../../engine/index.js";
import { tempPath } from "../support/temp.js";

test("a commit that differs from the one that was read by its manifest alone, as after one that failed, ends the read", () => {
  const path = tempPath("raw.db");
  const db = open(path);
  db.update((tx) => tx.createBucket("b"));
  db.close();
  const file = new RawFile(path, true);
  file.readBytes(0, 100);
  const descriptor = openSync(path, "r+");
  // The checksum of the pages that the commit wrote: docs/format.md, "Commit manifest".
  writeSync(descriptor, Buffer.from([0x55]), 0, 1, 4096 + 96 + 16);
  closeSync(descriptor);
  assert.throws(() => file.readBytes(0, 100), { code: "STALE_SNAPSHOT" });
  file.close();
});
