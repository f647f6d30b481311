/** `hexbolt shrink`: smaller in place, the same content, in steps that a budget or Ctrl-C ends. */
import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseMilliseconds } from "../../engine/cli/shrink.js";
import { open } from "../../engine/index.js";
import { fixtureCopy, repositoryRoot } from "../support/fixtures.js";
import { tempPath } from "../support/temp.js";
import { here, hexbolt, jsonLinesHere, outputHere, start } from "./command.js";
import { soundContentHash } from "./sound-content.js";

/** A file in which free pages lie between those in use. */
function fragmented(name: string, keyCount: number): string {
  const path = tempPath(name);
  const db = open(path, { noSync: true });
  for (let round = 0; round < 4; round++) {
    db.update((tx) => {
      const bucket = tx.createBucketIfNotExists("b");
      for (let i = round; i < keyCount; i += 4) bucket.put(`key ${String(i * 7919 % keyCount).padStart(8, "0")}`, Buffer.alloc(200, i));
    });
  }
  db.update((tx) => {
    const bucket = tx.bucket("b")!;
    for (const key of [...bucket.keys()]) if (Number(key.toString().slice(4)) % 40 !== 0) bucket.delete(key);
  });
  db.close();
  return path;
}

test("shrink makes the file smaller where it is, with the same content, and says by how much", async () => {
  const path = fragmented("shrink.db", 20_000);
  const [hash, before] = [soundContentHash(path), statSync(path).size];
  const text = await outputHere(["shrink", path]);
  const after = statSync(path).size;
  assert.equal(text, `${before} -> ${after} bytes (gain=${(before / after).toFixed(2)}x)\n`);
  assert.ok(after < before / 2, `${before} -> ${after}`);
  assert.equal(soundContentHash(path), hash);
  const again = (await jsonLinesHere(["shrink", path]))[0] as { before: number; after: number; movedPages: number; done: boolean };
  // Only pages that the first run itself gave up can be left to cut.
  assert.deepEqual([again.before, again.movedPages, again.done], [after, 0, true]);
  assert.ok(again.after <= after && again.after > after - 8 * 4096, `${after} -> ${again.after}`);
});

test("a budget ends shrinking early, and later runs go on to the end", async () => {
  const path = fragmented("budget.db", 20_000);
  const hash = soundContentHash(path);
  const run = await here(["shrink", path, "--budget", "0"]);
  assert.equal(run.status, 0);
  assert.match(run.stderr, /run it again to go on/);
  let runs = 0;
  for (let done = false; !done; runs++) {
    assert.ok(runs < 500, "it does not come to its end");
    done = ((await jsonLinesHere(["shrink", path, "--budget=5ms"]))[0] as { done: boolean }).done;
    assert.equal(soundContentHash(path), hash);
  }
  assert.equal((await here(["shrink", path, "--budget", "5m"])).stderr, "");
});

test("shrink refuses what it cannot shrink and leaves it as it is", async () => {
  const path = fragmented("refused.db", 2000);
  const bytes = readFileSync(path);
  const db = open(path, { readOnly: true });
  const busy = hexbolt(["shrink", path]);
  db.close();
  assert.equal(busy.status, 1);
  assert.match(busy.stderr, /in use by another process/);
  for (const budget of ["soon", "-1", "1e3", "5d", ""]) assert.equal((await here(["shrink", path, "--budget", budget])).status, 2, budget);
  assert.equal((await here(["shrink", tempPath("missing.db")])).status, 1);
  assert.deepEqual(readFileSync(path), bytes);
});

/** Has the stored freelist name pages in use in place of free ones. */
async function listPagesInUse(path: string): Promise<void> {
  const pages = await jsonLinesHere(["pages", path]) as readonly { readonly id: number; readonly type: string }[];
  const [info] = await jsonLinesHere(["info", path]) as readonly { readonly freelist: number }[];
  const bytes = readFileSync(path);
  const first = info!.freelist * 4096 + 16;
  const count = bytes.readUInt16LE(first - 6);
  const ids = Array.from({ length: count }, (_, i) => Number(bytes.readBigUInt64LE(first + 8 * i)));
  const leaves = pages.filter(({ type }) => type === "leaf").map(({ id }) => id);
  const listed = [...leaves, ...ids].slice(0, count).sort((a, b) => a - b);
  for (const [i, id] of listed.entries()) bytes.writeBigUInt64LE(BigInt(id), first + 8 * i);
  writeFileSync(path, bytes);
}

test("shrink refuses a file whose free pages are in use, and says what mends it", async () => {
  const path = fragmented("freed-in-use.db", 20_000);
  await listPagesInUse(path);
  const bytes = readFileSync(path);
  const run = await here(["shrink", path]);
  assert.equal(run.status, 1);
  assert.match(run.stderr, /page \d+: reachable freed; .*and more \(shrinking could destroy what can still be read: the file was left as it is\)\n.*freelist abandon.*rebuild.*compact/s);
  assert.deepEqual(readFileSync(path), bytes);
  const [abandoned, rebuilt] = [tempPath("abandoned.db"), tempPath("rebuilt.db")];
  await outputHere(["surgery", "freelist", "abandon", path, "-o", abandoned]);
  await outputHere(["surgery", "freelist", "rebuild", abandoned, "-o", rebuilt]);
  const hash = soundContentHash(rebuilt);
  await outputHere(["shrink", rebuilt]);
  assert.equal(soundContentHash(rebuilt), hash);
});

test("shrink refuses a file with a broken tree, and takes one that only has pages which nobody uses", async () => {
  const broken = fixtureCopy("branch-child-is-freelist");
  const bytes = readFileSync(broken);
  const run = await here(["shrink", broken]);
  assert.equal(run.status, 1);
  assert.match(run.stderr, /invalid type: freelist.*salvage/s);
  assert.deepEqual(readFileSync(broken), bytes);
  const leaking = fixtureCopy("page-leaked");
  assert.match((await here(["check", leaking])).stdout, /unreachable unfreed/);
  await outputHere(["shrink", leaking]);
  await outputHere(["shrink", fragmented("unchecked.db", 2000), "--no-check"]);
});

test("Ctrl-C ends shrinking after a step, with the status of the signal and a sound file", async () => {
  const path = fragmented("interrupted-shrink.db", 150_000);
  const hash = soundContentHash(path);
  const child = start(["shrink", path]);
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  const firstSize = statSync(path).mtimeMs;
  // It has begun when the file is written to.
  while (statSync(path).mtimeMs === firstSize && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill("SIGINT");
  const status = await ended;
  // On a fast machine it may be done before the signal comes.
  assert.ok(status === 130 || status === 0, String(status));
  assert.equal(soundContentHash(path), hash);
});

test("a budget is a number with a unit, seconds without one", () => {
  const times = ["500ms", "10s", "1.5", "5m", "1h", "0"].map((text) => parseMilliseconds(text, "--budget"));
  assert.deepEqual(times, [500, 10_000, 1500, 300_000, 3_600_000, 0]);
});

test("help, the error and the documentation name every form of a budget", async () => {
  const { stderr } = await here(["shrink", "any.db", "--budget", "soon"]);
  assert.match(stderr, /--budget must be a time such as 500ms, 30s, 5m or 1h, or a number of seconds, got "soon"/);
  assert.match(await outputHere(["shrink", "--help"]), /500ms, 30s, 5m or 1h; a number alone is seconds/);
  assert.match(readFileSync(join(repositoryRoot, "docs/cli.md"), "utf8"), /`500ms`, `30s`, `5m` or `1h`; a number alone is seconds/);
});
