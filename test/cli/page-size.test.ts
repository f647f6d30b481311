/** A file whose pages have a size that is no power of two: Go's bbolt makes one when it is told to, and hexbolt does not read it. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { changeMeta } from "../../engine/cli/meta-fields.js";
import { fixtureOriginal } from "../support/fixtures.js";
import { tempPath } from "../support/temp.js";
import { here } from "./command.js";

function oddFile(): string {
  const path = tempPath("odd.db");
  const bytes = Buffer.from(readFileSync(fixtureOriginal("pagesize-4096")));
  // The metas alone: nothing else is looked at.
  for (const page of [0, 1]) changeMeta(bytes.subarray(page * 4096), { pageSize: 5000 });
  bytes.copy(bytes, 5000, 4096, 4096 + 80);
  writeFileSync(path, bytes);
  return path;
}

test("commands name a page size that cannot be read, and a way out", async () => {
  const path = oddFile();
  const target = tempPath("new.db");
  for (const argv of [["info", path], ["check", path], ["buckets", path], ["keys", path, "b"], ["put", path, "b", "k", "v"], ["diff", path, path], ["compact", "-o", target, path], ["backup", path, target], ["pages", path]]) {
    const { status, stderr } = await here(argv);
    assert.equal(status, 1, argv[0]);
    assert.match(stderr, /^Error: .*odd\.db: invalid database: meta page 0 says pages of 5000 bytes, and only powers of two from 512 to 16777216 can be read\n {2}.*bbolt compact -o NEW FILE/, argv[0]);
  }
});

test("what is no database at all is not said to have pages", async () => {
  const path = tempPath("text.db");
  writeFileSync(path, "no database".repeat(2000));
  const { stderr } = await here(["info", path]);
  assert.match(stderr, /is this a bolt file/);
  assert.doesNotMatch(stderr, /pages of/);
});
