/** What a command says, and what it leaves, where its new file or the name of it cannot be made durable, or a temporary name cannot be removed. */
import { failing } from "./failing-fs.js";
import assert from "node:assert/strict";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { removeTemporary } from "../../engine/cli/new-file.js";
import { tempPath } from "../support/temp.js";
import { here, outputHere } from "./command.js";

const IS_NODE = !("Bun" in globalThis || "Deno" in globalThis);
const SKIP = { skip: IS_NODE && process.platform !== "win32" ? false : "replaces functions of node:fs, and counts syncs of folders, which Windows has not" };

const folder = tempPath("faults");
const source = join(folder, "source.db");
const path = join(folder, "new.db");
const MAKERS: Readonly<Record<string, readonly string[]>> = {
  "compact": ["compact", source, "-o", path],
  "backup": ["backup", source, path],
  "backup --no-check": ["backup", source, path, "--no-check"],
};

mkdirSync(folder);
await outputHere(["put", "--create", source, "b", "k", "v"]);

for (const [name, argv] of Object.entries(MAKERS)) {
  test(`${name}: a file or a folder that cannot be synced is an error, which says that the new file is in place where it is, and only there`, SKIP, async () => {
    const outcomes = [
      // The engine's syncs of the folder, with the new file and with the name that the engine gives it: that is a temporary one, which goes.
      { error: `write ${path}: EIO: i/o error, fsync`, left: ["source.db"] },
      { error: `write ${path}: EIO: i/o error, fsync`, left: ["source.db"] },
      // The command's, of the file and of the folder.
      { error: `EIO: i/o error, fsync '${path}'`, left: ["source.db"] },
      { error: `write ${path}: the new file is in place, but a power cut may undo that; remove it and write it again: EIO: i/o error, fsync`, left: ["new.db", "source.db"] },
    ];
    for (const [i, { error, left }] of outcomes.entries()) {
      const { status, stderr } = await failing("fsyncSync", i + 1, () => here(argv));
      assert.deepEqual({ status, stderr, left: readdirSync(folder).sort() }, { status: 1, stderr: `Error: ${error}\n`, left }, `sync ${i + 1}`);
    }
    assert.equal(await outputHere(["get", path, "b", "k"]), "v\n");
    removeTemporary(path);
    assert.equal((await failing("fsyncSync", outcomes.length + 1, () => here(argv))).status, 0, "there are no more syncs");
    removeTemporary(path);
  });

  test(`${name}: a temporary name that cannot be removed is no error, for the new file is in place`, SKIP, async () => {
    // The engine's and the command's.
    for (const [i, temporary] of [/^new\.db\.[\w-]+\.tmp\.[\w-]+\.tmp$/, /^new\.db\.[\w-]+\.tmp$/].entries()) {
      const { status, stderr } = await failing("rmSync", i + 1, () => here(argv));
      assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
      const left = readdirSync(folder).filter((each) => each.endsWith(".tmp"));
      assert.equal(left.length, 1);
      assert.match(left[0] ?? "", temporary);
      assert.equal(await outputHere(["get", path, "b", "k"]), "v\n");
      removeTemporary(path);
    }
  });

  test(`${name}: a link that is made and reported as failed, as over a network that has lost the answer, is no name that was taken`, SKIP, async () => {
    // The engine's, if it makes one, and the command's.
    for (const nth of [1, 2]) {
      const { status, stderr } = await failing("linkSync", nth, () => here(argv), true);
      assert.deepEqual({ status, stderr, left: readdirSync(folder).sort() }, { status: 0, stderr: "", left: ["new.db", "source.db"] });
      removeTemporary(path);
    }
  });
}
