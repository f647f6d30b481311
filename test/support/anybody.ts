/** Tests of what the system refuses: where they run as root, it refuses nothing. */
import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { basename, dirname } from "node:path";
import { tempFolder } from "./temp.js";

/** Runs work as anybody, without root's rights. */
export async function asAnybody(work: () => void | Promise<void>): Promise<void> {
  if (process.getuid?.() !== 0) return work();
  assert.ok(process.seteuid !== undefined && process.setegid !== undefined);
  for (let folder = tempFolder(); basename(folder).startsWith("hexbolt-test-"); folder = dirname(folder)) chmodSync(folder, 0o711);
  process.setegid(65_534);
  process.seteuid(65_534);
  try {
    await work();
  } finally {
    process.seteuid(0);
    process.setegid(0);
  }
}
