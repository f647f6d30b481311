/** Where a new file may be made, and where one that was begun is found again. */
import assert from "node:assert/strict";
import { appendFileSync, chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { removeTemporary, withNewFile } from "../../engine/cli/new-file.js";
import { BoltError, open } from "../../engine/index.js";
import { asAnybody } from "../support/anybody.js";
import { tempPath } from "../support/temp.js";
import { here, outputHere } from "./command.js";
import { io } from "./viewed-file.js";

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

test("a temporary file lies beside its place, also where the path leads out of a linked folder", { skip: process.platform === "win32" ? "a path there leads out of a link by its text" : false }, async () => {
  const folder = tempPath("around");
  mkdirSync(join(folder, "real", "inner"), { recursive: true });
  mkdirSync(join(folder, "outer"));
  symlinkSync(join(folder, "real", "inner"), join(folder, "outer", "link"));
  const path = `${join(folder, "outer", "link")}/../new.db`;
  for (const fails of [false, true]) {
    const making = withNewFile(io, path, (temporary) => {
      writeFileSync(temporary, "new");
      // As the engine does, beside it.
      writeFileSync(`${temporary}.5.tmp`, "");
      assert.deepEqual(readdirSync(join(folder, "outer")), ["link"]);
      assert.equal(readdirSync(join(folder, "real")).filter((name) => /^new\.db\..*\.tmp$/.test(name)).length, 2);
      if (fails) throw new Error("no");
      rmSync(`${temporary}.5.tmp`);
    });
    await (fails ? assert.rejects(making, /no/) : making);
    assert.deepEqual(readdirSync(join(folder, "real")).sort(), fails ? ["inner"] : ["inner", "new.db"]);
    if (!fails) rmSync(path);
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

test("whatever a command makes of a database that only its owner can read, only its owner can read", { skip: process.platform === "win32" ? "files there have no such permissions" : false }, async () => {
  const folder = tempPath("private");
  mkdirSync(folder);
  const source = join(folder, "source.db");
  await outputHere(["put", "--create", source, "b", "k", "v"]);
  const lines = join(folder, "export");
  const umask = process.umask(0o022);
  try {
    await outputHere(["export", source, "-o", lines]);
    await outputHere(["map", source, "-o", join(folder, "map.svg")]);
    await outputHere(["import", join(folder, "import"), lines]);
    await outputHere(["compact", source, "-o", join(folder, "compact")]);
    await outputHere(["backup", source, join(folder, "backup")]);
    await outputHere(["backup", source, join(folder, "unchecked"), "--no-check"]);
    await outputHere(["surgery", "salvage", source, join(folder, "salvage")]);
    await outputHere(["surgery", "freelist", "abandon", source, join(folder, "abandon")]);
  } finally {
    process.umask(umask);
  }
  for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
  assert.equal(readdirSync(folder).length, 9);
});

test("export and map say with --json which file they have written, as the others do, and else nothing", async () => {
  const source = tempPath("told.db");
  await outputHere(["put", "--create", source, "b", "k", "v"]);
  for (const command of ["export", "map"]) {
    const path = tempPath(`told.${command}`);
    assert.deepEqual(JSON.parse(await outputHere([command, source, "-o", path, "--json"])), { output: path, size: statSync(path).size });
    assert.equal(await outputHere([command, source, "-o", tempPath(`quiet.${command}`)]), "");
  }
});

test("where a new file cannot be made or written, the error names the file that was asked for, not the temporary one", async () => {
  const source = tempPath("readable.db");
  await outputHere(["put", "--create", source, "b", "k", "v"]);
  chmodSync(source, 0o444);
  const folder = tempPath("closed");
  mkdirSync(folder);
  const path = join(folder, "new");
  const message = async (error: Error): Promise<string> => withNewFile(io, path, (temporary) => {
    error.message = error.message.replace("TEMPORARY", temporary);
    throw error;
  }).then(() => "", (thrown: Error) => thrown.message);
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC", syscall: "write" });
  assert.equal(await message(full), `ENOSPC: no space left on device, write '${path}'`);
  assert.equal(await message(new BoltError("IO", "write: ENOSPC: no space left on device, write", { cause: full })), `write: ENOSPC: no space left on device, write '${path}'`);
  assert.equal(await message(Object.assign(new Error("EROFS: read-only file system, open 'TEMPORARY.7.tmp'"), { code: "EROFS", syscall: "open" })), `EROFS: read-only file system, open '${path}'`);
  assert.equal(await message(Object.assign(new Error("EIO: i/o error, read"), { code: "EIO", syscall: "read" })), "EIO: i/o error, read");
  if (process.platform === "win32") return;
  chmodSync(folder, 0o555);
  await asAnybody(async () => {
    for (const argv of [["export", source, "-o", path], ["map", source, "-o", path], ["backup", source, path], ["compact", source, "-o", path], ["surgery", "freelist", "abandon", source, path], ["put", "--create", path, "b", "k", "v"]]) {
      const { status, stderr } = await here(argv);
      assert.equal(status, 1, argv.join(" "));
      assert.match(stderr, /EACCES/, argv.join(" "));
      assert.ok(stderr.includes(path) && !stderr.includes(".tmp"), `${argv.join(" ")}: ${stderr}`);
    }
  });
  chmodSync(folder, 0o755);
});
