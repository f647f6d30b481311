/** What the surgery commands say of damage that they may do, beyond bbolt's words, and what they refuse. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../../engine/index.js";
import { contentOf } from "../support/content.js";
import { fixtureOriginal } from "../support/fixtures.js";
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
