/** What the surgery commands say of damage that they may do, beyond bbolt's words, and what they refuse. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { open } from "../../engine/index.js";
import { contentOf } from "../support/content.js";
import { fixtureOriginal, readFixture } from "../support/fixtures.js";
import { tempPath } from "../support/temp.js";
import { here, jsonLinesHere, outputHere, type Run } from "./command.js";

interface Row { readonly id: number; readonly type: string; readonly count: number; readonly overflow: number }

async function rows(path: string): Promise<Row[]> {
  return await jsonLinesHere(["pages", path]) as Row[];
}

/** Operates on a file; gives the result's path with what the command has said. */
async function operate(source: string, ...argv: readonly string[]): Promise<Run & { readonly path: string }> {
  const path = tempPath("operated.db");
  return { ...await here(["surgery", ...argv, source, "--output", path]), path };
}

function contentHash(path: string): string {
  const db = open(path, { readOnly: true });
  try {
    return db.view((tx) => contentOf(tx).sha256);
  } finally {
    db.close();
  }
}

test("clearing warns where Go would destroy pages at its next write, and compacting makes that right", async () => {
  const source = fixtureOriginal("tree-3-level");
  const branch = (await rows(source)).filter((row) => row.type === "branch").sort((a, b) => b.count - a.count)[0]!;
  const leaf = (await rows(source)).find((row) => row.type === "leaf" && row.count > 6)!;
  const clear = async (page: Row): ReturnType<typeof operate> => operate(source, "clear-page", "--pageId", String(page.id));
  const clearElements = async (page: Row, from: number, to: number): ReturnType<typeof operate> => (
    operate(source, "clear-page-elements", "--pageId", String(page.id), "--from-index", String(from), "--to-index", String(to))
  );
  for (const [made, problem] of [
    [await clearElements(leaf, 0, 1), `page ${leaf.id}: first key`], [await clear(leaf), `page ${leaf.id}: empty page`],
    [await clearElements(branch, 1, -1), `page ${branch.id}: branch page with 1 children`],
  ] as const) {
    assert.ok(made.stderr.startsWith(`WARNING: ${problem}`), made.stderr);
    assert.match(made.stderr, /execute `hexbolt compact \.\.\.` before\.\n$/);
    const compacted = tempPath("cleared-and-compacted.db");
    await outputHere(["compact", made.path, "-o", compacted]);
    assert.equal(await outputHere(["check", compacted]), "OK\n");
    assert.equal(contentHash(compacted), contentHash(made.path));
  }
  assert.match((await clear(branch)).stderr, /branch page with 0 children.*\n.*`hexbolt surgery salvage \.\.\.` before/);
  assert.equal((await clearElements(leaf, 1, 2)).stderr, "");
  // Nothing leads to a bucket's root by a key of it.
  const alone = fixtureOriginal("one-key");
  const only = (await rows(alone)).find((row) => row.type === "leaf" && row.count > 0)!;
  assert.doesNotMatch((await operate(alone, "clear-page", "--pageId", String(only.id))).stderr, /another program/i);
});

test("copy-page names the pages behind its target that it overwrites, and which of them are in use", async () => {
  const path = tempPath("large-values.db");
  const db = open(path, { pageSize: 4096 });
  db.update((tx) => { for (let i = 0, bucket = tx.createBucket("b"); i < 20; i++) bucket.put(`k${1000 + i}`, Buffer.alloc(9000, i)); });
  db.close();
  const [from, , to] = (await rows(path)).filter(({ type, overflow }) => type === "leaf" && overflow === 2);
  const target = to!.id - 1;
  const copied = await operate(path, "copy-page", "--from-page", String(from!.id), "--to-page", String(target));
  assert.equal(copied.status, 0);
  const [warning, uses] = copied.stderr.split("\n");
  assert.equal(warning, `WARNING: page ${from!.id} has 2 overflow pages: pages ${target} to ${target + 2} were overwritten.`);
  assert.match(uses!, new RegExp(`^In use: page ${target}: overflow, bucket b, .*; page ${to!.id}: leaf, bucket b, .*; page ${to!.id + 1}: overflow, bucket b, `));
  const bytes = readFileSync(path);
  for (const at of [72, 4096 + 72]) bytes[at] = bytes[at]! ^ 1;
  const headless = tempPath("no-meta.db");
  writeFileSync(headless, bytes);
  const unknown = await operate(headless, "copy-page", "--from-page", String(from!.id), "--to-page", String(target));
  assert.match(unknown.stderr, /were overwritten\.\nWhich of them are in use is not known: neither meta page is valid\.\n/);
});

test("copy-page says that the page it overwrites is in use, also where it has no overflow pages, and nothing of one that is free", async () => {
  const source = fixtureOriginal("heavy-deletes");
  const all = await rows(source);
  const [from, to] = all.filter(({ type, overflow }) => type === "leaf" && overflow === 0);
  const free = all.find(({ type }) => type === "free")!;
  const copyOver = async (path: string, target: number): Promise<Run> => operate(path, "copy-page", "--from-page", String(from!.id), "--to-page", String(target));
  assert.match((await copyOver(source, to!.id)).stderr, new RegExp(`^In use: page ${to!.id}: leaf, .*\\.\n$`));
  assert.equal((await copyOver(source, free.id)).stderr, "");
  const bytes = readFileSync(source);
  for (const at of [72, 4096 + 72]) bytes[at] = bytes[at]! ^ 1;
  const headless = tempPath("no-meta-either.db");
  writeFileSync(headless, bytes);
  assert.equal((await copyOver(headless, to!.id)).stderr, `Whether page ${to!.id} is in use is not known: neither meta page is valid.\n`);
});

test("a page that the file does not have is told with the range of those that it has, and is no damage", async () => {
  const source = fixtureOriginal("nested-5");
  const count = statSync(source).size / 4096;
  for (const argv of [["copy-page", "--from-page", "3", "--to-page", "999"], ["copy-page", "--from-page", "999", "--to-page", "3"], ["clear-page", "--pageId", "999"], ["clear-page-elements", "--pageId", "999", "--from-index", "0", "--to-index", "1"]]) {
    const { status, stderr } = await operate(source, ...argv);
    assert.deepEqual([status, stderr], [1, `Error: page 999 is out of range [0, ${count})\n`], argv.join(" "));
  }
  for (const argv of [["dump", source, "999"], ["page-item", source, "999", "0"]]) assert.equal((await here(argv)).stderr, `Error: page 999 is out of range [0, ${count})\n`);
  assert.match(await outputHere(["page", source, "999"]), /Printing page 999 failed: page 999 is out of range/);
  const large = fixtureOriginal("overflow-values");
  const { id, overflow } = (await rows(large)).find((row) => row.overflow > 0)!;
  const last = statSync(large).size / 4096 - 1;
  const { stderr } = await operate(large, "copy-page", "--from-page", String(id), "--to-page", String(last));
  assert.equal(stderr, `Error: pages ${last} to ${last + overflow} are out of range [0, ${last + 1})\n`);
});

test("copy-page puts only a meta page over a meta page", async () => {
  const source = fixtureOriginal("nested-5");
  const leaf = (await rows(source)).find(({ type }) => type === "leaf")!;
  const refused = await operate(source, "copy-page", "--from-page", String(leaf.id), "--to-page", "1");
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, new RegExp(`page 1 must be a meta page, and page ${leaf.id} is a "leaf" page`));
  const { path } = await operate(source, "copy-page", "--from-page", "0", "--to-page", "1");
  assert.equal(await outputHere(["surgery", "meta", "validate", path]), "The meta page 0 is valid!\nThe meta page 1 is valid!\n");
});

test("meta update refuses a page size that cannot be read and warns of pages that the file does not have", async () => {
  const source = fixtureOriginal("nested-5");
  const pageCount = statSync(source).size / 4096;
  const update = async (fields: string, path = source): ReturnType<typeof operate> => operate(path, "meta", "update", "--fields", fields);
  for (const size of ["3000", "0", "256", "33554432", "99999999999"]) {
    const { status, stderr } = await update(`pageSize:${size}`);
    assert.equal(status, 2);
    assert.match(stderr, new RegExp(`invalid value "${size}" for field "pageSize": pages have a power of two bytes, from 512 to 16777216`));
  }
  const mark = BigInt(readFixture("nested-5").meta!.highWater);
  for (const [fields, warnings] of [
    ["root:4,freelist:5", ""],
    ["root:99999,freelist:1", `WARNING: the root is page 99999, and the pages of content are 2 to ${mark - 1n}\nWARNING: the freelist is page 1, and the pages of content are 2 to ${mark - 1n}\n`],
    ["root:4,freelist:18446744073709551615,pgid:18446744073709551615", `WARNING: the high-water mark is 18446744073709551615, and the file has ${pageCount} pages\n`],
  ] as const) {
    const { status, stderr } = await update(fields);
    assert.deepEqual([status, stderr], [0, warnings], fields);
  }
  const sizeless = await update("root:4", fixtureOriginal("meta-page-size-0"));
  assert.match(sizeless.stderr, /WARNING: the page size is 0: the meta page does not count/);
});

test("a new file or a page that is named twice is a user's mistake, and makes neither file", async () => {
  const source = fixtureOriginal("nested-5");
  const [first, second] = [tempPath("positional.db"), tempPath("option.db")];
  const commands: readonly (readonly string[])[] = [
    ["backup"], ["surgery", "salvage"], ["surgery", "revert-meta-page"], ["surgery", "freelist", "abandon"], ["surgery", "freelist", "rebuild"], ["surgery", "meta", "update"],
    ["surgery", "copy-page", "--from-page", "3", "--to-page", "4"], ["surgery", "clear-page", "--pageId", "3"], ["surgery", "clear-page-elements", "--pageId", "3", "--from-index", "0", "--to-index", "1"],
  ];
  for (const command of commands) {
    const { status, stderr } = await here([...command, source, first, "-o", second]);
    assert.equal(status, 2, command.join(" "));
    assert.match(stderr, /too many arguments: with --output it takes FILE\n/, command.join(" "));
  }
  for (const [argv, option] of [[["copy-page", source, first, "3", "4", "--from-page", "5"], "from-page"], [["clear-page", source, first, "3", "--pageId", "4"], "pageId"]] as const) {
    const { status, stderr } = await here(["surgery", ...argv]);
    assert.equal(status, 2);
    assert.match(stderr, new RegExp(`--${option} is given as an argument, too`));
  }
  assert.deepEqual([existsSync(first), existsSync(second)], [false, false]);
});
