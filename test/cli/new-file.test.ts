/** Where a new file may be made, and where one that was begun is found again. */
import assert from "node:assert/strict";
import { appendFileSync, chmodSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { removeTemporary } from "../../engine/cli/new-file.js";
import { open } from "../../engine/index.js";
import { asAnybody } from "../support/anybody.js";
import { tempPath } from "../support/temp.js";
import { outputHere } from "./command.js";

test("a folder that may be written and not read takes new files", { skip: process.platform === "win32" ? "folders there have no such permissions" : false }, async () => {
  const source = tempPath("source.db");
  open(source).close();
  chmodSync(source, 0o444);
  const folder = tempPath("write-only");
  mkdirSync(folder);
  chmodSync(folder, 0o333);
  await asAnybody(async () => {
    assert.throws(() => readdirSync(folder), { code: "EACCES" });
    await outputHere(["backup", source, join(folder, "backup")]);
    await outputHere(["compact", "-o", join(folder, "compacted"), source]);
    await outputHere(["export", source, "-o", join(folder, "lines")]);
  });
  chmodSync(folder, 0o755);
  assert.deepEqual(readdirSync(folder).sort(), ["backup", "compacted", "lines"]);
});

test("a new file may have a name of any length that the system takes, also one cut in the middle of a character", async () => {
  const folder = tempPath("long");
  mkdirSync(folder);
  const source = join(folder, "source");
  open(source).close();
  for (const name of ["n".repeat(250), `${"n".repeat(29)}${"\u{1F600}".repeat(50)}`]) {
    await outputHere(["compact", "-o", join(folder, name), source]);
    assert.deepEqual(readdirSync(folder).sort(), [name, "source"]);
    await outputHere(["check", join(folder, name)]);
    removeTemporary(join(folder, name));
  }
});

test("what is removed with a temporary file are those that begin with its name", () => {
  const folder = tempPath("begun");
  mkdirSync(folder);
  for (const name of ["a.tmp", "a.tmp.5.tmp", "a.tm", "b.a.tmp"]) writeFileSync(join(folder, name), "");
  removeTemporary(join(folder, "a.tmp"));
  assert.deepEqual(readdirSync(folder).sort(), ["a.tm", "b.a.tmp"]);
  removeTemporary(join(folder, "nowhere", "a.tmp"));
});

test("a copy that surgery works on has the holes of its original, and is as long", { skip: process.platform === "linux" ? false : "needs a file system with holes" }, async () => {
  const source = tempPath("sparse.db");
  const db = open(source);
  db.update((tx) => tx.createBucket("b").put("k", "v"));
  db.close();
  // Content behind the hole, too.
  truncateSync(source, 256 << 20);
  appendFileSync(source, "behind it");
  const path = tempPath("abandoned.db");
  await outputHere(["surgery", "freelist", "abandon", source, "-o", path]);
  const [original, copy] = [statSync(source), statSync(path)];
  assert.equal(copy.size, original.size);
  assert.ok(copy.blocks * 512 < 2 << 20, `${copy.blocks} blocks of 512 bytes, the original has ${original.blocks}`);
  const [before, after] = [readFileSync(source), readFileSync(path)];
  assert.equal(after.subarray(-9).toString(), "behind it");
  assert.ok(after.subarray(8192).equals(before.subarray(8192)));
  assert.equal(await outputHere(["get", path, "b", "k"]), "v\n");
});
