/** Opening the files that commands work on. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { untilCurrent } from "../../engine/cli/open-file.js";
import { BoltError, open } from "../../engine/index.js";
import { fixtureOriginal } from "../support/fixtures.js";
import { tempPath } from "../support/temp.js";
import { here } from "./command.js";

test("what was read while the writer moved on is read again as long as patience lasts, and nothing else is", () => {
  const stale = new BoltError("STALE_SNAPSHOT", "the writer has moved on");
  const begin = performance.now();
  let count = 0;
  const fail = (error: Error) => (): never => {
    count++;
    throw error;
  };
  assert.throws(() => untilCurrent(true, fail(stale), 50), stale);
  assert.ok(count > 2 && performance.now() - begin >= 50);
  count = 0;
  assert.throws(() => untilCurrent(true, fail(new BoltError("CORRUPT", "page 5: broken"))), { code: "CORRUPT" });
  assert.throws(() => untilCurrent(false, fail(stale)), stale);
  assert.equal(count, 2);
});

test("an empty file is said to be empty by every command that needs a database", async () => {
  const path = tempPath("nothing.db");
  writeFileSync(path, "");
  const target = tempPath("of-nothing.db");
  for (const argv of [
    ["info", path], ["buckets", path], ["keys", path, "b"], ["get", path, "b", "k"], ["stats", path], ["inspect", path], ["pages", path], ["page", path, "0"], ["page-item", path, "3", "0"], ["dump", path, "0"], ["map", path],
    ["check", path], ["export", path], ["diff", fixtureOriginal("one-key"), path], ["diff", path, path], ["view", path], ["compact", path, "-o", target], ["backup", path, target], ["shrink", path], ["put", path, "b", "k", "v"],
    ["delete", path, "b", "k"], ["surgery", "salvage", path, target], ["surgery", "meta", "validate", path], ["surgery", "freelist", "abandon", path, target],
  ]) {
    const { status, stderr } = await here(argv);
    assert.equal(status, 1, argv.join(" "));
    assert.equal(stderr, `Error: ${path} is empty: no database\n  \`hexbolt put --create\` makes a database of it\n`, argv.join(" "));
  }
  assert.deepEqual([statSync(path).size, existsSync(target)], [0, false]);
});

test("what is wrong with a whole file is told with its name, and of two files whatever is wrong", async () => {
  const [good, bad, damaged] = [fixtureOriginal("one-key"), fixtureOriginal("bad-both-checksums"), fixtureOriginal("leaf-pos-outside")];
  const target = tempPath("of-bad.db");
  for (const argv of [
    ["diff", good, bad], ["diff", bad, good], ["info", bad], ["keys", bad, "b"], ["put", bad, "b", "k", "v"], ["check", bad], ["export", bad], ["pages", bad], ["view", bad], ["shrink", bad], ["compact", bad, "-o", target], ["backup", bad, target],
    ["surgery", "revert-meta-page", bad, target], ["surgery", "freelist", "abandon", bad, target], ["surgery", "freelist", "rebuild", bad, target],
  ]) {
    const { status, stderr } = await here(argv);
    assert.equal(status, 1, argv.join(" "));
    assert.ok(stderr.startsWith(`Error: ${bad}: `), `${argv.join(" ")}: ${stderr}`);
    assert.equal(stderr.split(bad).length, 2, stderr);
  }
  for (const argv of [["diff", good, damaged], ["diff", damaged, good], ["diff", damaged, damaged]]) assert.match((await here(argv)).stderr, new RegExp(`^Error: ${damaged}: page \\d+`), argv.join(" "));
});

test("a file is named also where its name is a part of what is said of it", async () => {
  const folder = tempPath("short-names");
  mkdirSync(folder);
  writeFileSync(join(folder, "a"), "no database");
  const home = process.cwd();
  process.chdir(folder);
  try {
    assert.match((await here(["diff", fixtureOriginal("one-key"), "a"])).stderr, /^Error: a: invalid database/);
    assert.match((await here(["diff", "b", "a"])).stderr, /^Error: file not found: b/);
  } finally {
    process.chdir(home);
  }
});

test("a command line without the name of a file where one must stand is a wrong one", async () => {
  const source = fixtureOriginal("one-key");
  for (const argv of [["info", ""], ["put", "--create", "", "b", "k", "v"], ["put", source, "b", "k", "--value-from", ""], ["import", ""], ["import", "--merge", "", source], ["import", tempPath("x.db"), ""], ["export", source, "-o", ""], ["map", source, "-o", ""], ["surgery", "salvage", "", tempPath("y.db")]]) {
    const { status, stderr } = await here(argv);
    assert.equal(status, 2, argv.join(" "));
    assert.match(stderr, /: path required\n/, argv.join(" "));
  }
});

test("what a name has in it for terminals is shown, not sent to them", async () => {
  const name = "odd\x1b[31m\n\x9b\u202ename.db";
  const shown = "odd\\x1b[31m\\n\\u009b\\u202ename.db";
  const folder = tempPath("odd-names");
  mkdirSync(folder);
  for (const argv of [["info", join(folder, name)], ["info", join(folder, name, "below")], ["export", fixtureOriginal("one-key"), "-o", `${join(folder, name)}/`], ["export", fixtureOriginal("one-key"), "-o", join(folder, name, "below")]]) {
    const { status, stderr } = await here(argv);
    assert.ok(status === 1 || status === 2);
    assert.ok(stderr.includes(shown) || stderr.includes("odd\\u001b[31m\\n\\u009b\\u202ename.db"), stderr);
    assert.doesNotMatch(stderr, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  }
  const path = join(folder, name);
  const db = open(path);
  const { stderr } = await here(["info", path]);
  db.close();
  assert.equal(stderr, `hexbolt: ${join(folder, shown)} is in use by another process; reading it live\n`);
});
