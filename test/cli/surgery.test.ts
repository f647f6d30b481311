/** Surgery: every operation on a copy, the original untouched, bbolt's words; and salvage of the damaged fixtures. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmodSync, chownSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { open } from "../../engine/index.js";
import { contentOf } from "../support/content.js";
import { fixtureCopy, fixtureNames, fixtureOriginal, readFixture } from "../support/fixtures.js";
import { tempPath } from "../support/temp.js";
import { here, hexbolt, jsonLinesHere, outputHere } from "./command.js";

interface Row { readonly id: number; readonly type: string; readonly count: number; readonly overflow: number }

async function rows(path: string): Promise<Row[]> {
  return await jsonLinesHere(["pages", path]) as Row[];
}

function content(path: string): { readonly sha256: string; readonly keyCount: number; readonly txid: bigint } {
  const db = open(path, { readOnly: true });
  try {
    return db.view((tx) => ({ ...contentOf(tx), txid: tx.id }));
  } finally {
    db.close();
  }
}

/** Operates on a file and gives the result's path and text; the original must not change. */
async function operate(source: string, argv: readonly string[]): Promise<{ readonly path: string; readonly text: string }> {
  const before = createHash("sha256").update(readFileSync(source)).digest("hex");
  const path = tempPath("operated.db");
  const text = await outputHere(["surgery", ...argv, source, "--output", path]);
  assert.equal(createHash("sha256").update(readFileSync(source)).digest("hex"), before);
  return { path, text };
}

/** A file with three transactions. */
function threeStates(): { readonly path: string; readonly states: readonly string[] } {
  const path = tempPath("three.db");
  const db = open(path);
  const states: string[] = [];
  for (const value of ["one", "two", "three"]) {
    db.update((tx) => tx.createBucketIfNotExists("b").put("k", value));
    states.push(db.view((tx) => contentOf(tx).sha256));
  }
  db.close();
  return { path, states };
}

test("revert-meta-page undoes the last transaction", async () => {
  const { path, states } = threeStates();
  const { path: reverted, text } = await operate(path, ["revert-meta-page"]);
  assert.equal(text, "The meta page is reverted.\n");
  assert.equal(content(reverted).sha256, states[1]);
  const older = tempPath("reverted-as-1.3.db");
  await outputHere(["surgery", "revert-meta-page", path, older]);
  assert.deepEqual(readFileSync(older), readFileSync(reverted));
  assert.match((await here(["surgery", "revert-meta-page", path, "--output", older])).stderr, /already exists/);
  assert.equal((await here(["surgery", "revert-meta-page", path])).status, 2);
});

test("freelist abandon and rebuild: the same content, the free pages found again", async () => {
  for (const name of ["heavy-deletes", "nested-5", "pagesize-1024"]) {
    const source = fixtureOriginal(name);
    const { path: abandoned, text } = await operate(source, ["freelist", "abandon"]);
    assert.match(text, /^The freelist was abandoned in both meta pages\.\nIt may cause some delay on next startup/);
    assert.equal(((await jsonLinesHere(["info", abandoned]))[0] as { freelist?: number }).freelist, undefined);
    assert.equal(content(abandoned).sha256, content(source).sha256, name);
    const { path: rebuilt, text: done } = await operate(abandoned, ["freelist", "rebuild"]);
    assert.equal(done, "The freelist was successfully rebuilt.\n");
    assert.equal(await outputHere(["check", rebuilt]), "OK\n", name);
    assert.notEqual(((await jsonLinesHere(["info", rebuilt]))[0] as { freelist?: number }).freelist, undefined);
    const twice = await here(["surgery", "freelist", "rebuild", rebuilt, "--output", tempPath("twice.db")]);
    assert.equal(twice.status, 1);
    assert.match(twice.stderr, /the file already has freelist, please consider to abandon the freelist to forcibly rebuild it/);
  }
});

test("freelist abandon says which meta page it has left as it was", async () => {
  for (const bad of [0, 1]) {
    const source = fixtureCopy("nested-5");
    const bytes = readFileSync(source);
    bytes[bad * 4096 + 16 + 40]! ^= 1;                   // a field under the checksum
    writeFileSync(source, bytes);
    const { path, text } = await operate(source, ["freelist", "abandon"]);
    assert.match(text, new RegExp(`^The freelist was abandoned in meta page ${1 - bad}; meta page ${bad} is not valid, and was left as it is\\.\nIt may cause some delay`));
    assert.deepEqual(readFileSync(path).subarray(bad * 4096, (bad + 1) * 4096), bytes.subarray(bad * 4096, (bad + 1) * 4096));
    assert.equal(content(path).sha256, content(source).sha256);
  }
});

test("a wrong freelist is mended by abandoning and rebuilding it", async () => {
  for (const name of ["page-leaked", "freelist-lists-page-twice", "freelist-count-huge", "freelist-is-leaf"]) {
    const { path } = await operate(fixtureOriginal(name), ["freelist", "abandon"]);
    assert.equal(await outputHere(["check", (await operate(path, ["freelist", "rebuild"])).path]), "OK\n", name);
  }
});

test("copy-page puts a page, with its overflow, over another one", async () => {
  const source = fixtureOriginal("tree-3-level");
  const [first, second] = (await rows(source)).filter((row) => row.type === "leaf");
  const { path, text } = await operate(source, ["copy-page", "--from-page", String(first!.id), "--to-page", String(second!.id)]);
  assert.equal(text, `WARNING: the free list might have changed.\nPlease consider executing \`hexbolt surgery freelist abandon ...\`\nThe page ${first!.id} was successfully copied to page ${second!.id}\n`);
  const shown = async (id: number): Promise<string> => (await outputHere(["page", path, String(id)])).replace(/^Page ID:.*\n/, "");
  assert.equal(await shown(first!.id), await shown(second!.id));
  assert.match((await here(["surgery", "copy-page", source, "--output", tempPath("x.db"), "--from-page", "3", "--to-page", "3"])).stderr, /same value: 3/);
  assert.match((await here(["surgery", "copy-page", source, "--output", tempPath("y.db"), "--from-page", "3", "--to-page", "99999999"])).stderr, /page 99999999 is out of range \[0, 1024\)/);
});

test("clear-page and clear-page-elements remove elements and leave the others as they were", async () => {
  const source = fixtureOriginal("tree-3-level");
  const leaf = (await rows(source)).find((row) => row.type === "leaf" && row.count > 6)!;
  const keys = async (path: string): Promise<string[]> => (((await jsonLinesHere(["page", path, String(leaf.id)]))[0] as { items: { key: string; value: string }[] }).items).map((item) => JSON.stringify(item));
  const before = await keys(source);
  const { path, text } = await operate(source, ["clear-page-elements", "--pageId", String(leaf.id), "--from-index", "1", "--to-index", "4"]);
  assert.equal(text, `All elements in [1, 4) in page ${leaf.id} were cleared\n`);
  assert.deepEqual(await keys(path), [before[0], ...before.slice(4)]);
  assert.equal(await outputHere(["check", path]), "OK\n");
  assert.equal(content(path).keyCount, content(source).keyCount - 3);
  const tail = await operate(source, ["clear-page-elements", "--pageId", String(leaf.id), "--from-index", "2", "--to-index", "-1"]);
  assert.deepEqual(await keys(tail.path), before.slice(0, 2));
  const cleared = await operate(source, ["clear-page", "--pageId", String(leaf.id)]);
  assert.equal(cleared.text, `The page (${leaf.id}) was cleared\n`);
  assert.deepEqual(await keys(cleared.path), []);
  const branch = (await rows(source)).find((row) => row.type === "branch")!;
  assert.match((await operate(source, ["clear-page-elements", "--pageId", String(branch.id), "--from-index", "0", "--to-index", "1"])).text, /^WARNING: The clearing has abandoned some pages/);
  const errors: readonly (readonly [readonly string[], RegExp])[] = [
    [["--pageId", "1", "--from-index", "0", "--to-index", "1"], /pageId must be at least 2, but got 1/], [["--pageId", String(leaf.id), "--from-index", "500", "--to-index", "501"], /start index \(500\) is out of range/],
    [["--pageId", String(leaf.id), "--from-index", "1", "--to-index", "1"], /is equal to the end index/], [["--pageId", String(leaf.id), "--from-index", "3", "--to-index", "1"], /is bigger than the end index/],
    [["--pageId", String(leaf.id), "--from-index", "0", "--to-index", "9999"], /end index \(9999\) is out of range/],
    [["--pageId", readFixture("tree-3-level").meta!.freelist, "--from-index", "0", "--to-index", "1"], /can't clear elements in "freelist" page/],
  ];
  for (const [argv, expected] of errors) {
    const target = tempPath("refused.db");
    const run = await here(["surgery", "clear-page-elements", source, "--output", target, ...argv]);
    assert.ok(run.status === 1 || run.status === 2);
    assert.match(run.stderr, expected);
    assert.equal(existsSync(target), false);
  }
});

test("clearing an element with overflow pages gives the pages up", async () => {
  const source = fixtureOriginal("overflow-values");
  const leaf = (await rows(source)).find((row) => row.type === "leaf" && row.overflow > 0)!;
  const { path, text } = await operate(source, ["clear-page", "--pageId", String(leaf.id)]);
  assert.match(text, /^WARNING/);
  assert.equal((await rows(path)).find((row) => row.id === leaf.id)?.overflow, 0);
});

test("meta validate tells which meta page is valid, meta update makes one valid", async () => {
  assert.equal(await outputHere(["surgery", "meta", "validate", fixtureOriginal("nested-5")]), "The meta page 0 is valid!\nThe meta page 1 is valid!\n");
  const bad = fixtureOriginal("bad-both-checksums");
  assert.equal(await outputHere(["surgery", "meta", "validate", bad]), "WARNING: The meta page 0 isn't valid: checksum error!\nWARNING: The meta page 1 isn't valid: checksum error!\n");
  const { path, text } = await operate(bad, ["meta", "update", "--meta-page", "0"]);
  assert.equal(text, "The meta page 0 has been updated!\n");
  assert.match(await outputHere(["surgery", "meta", "validate", path]), /^The meta page 0 is valid!/);
  const again = await operate(path, ["meta", "update"]);
  assert.equal(again.text, "Nothing changed!\n");
  const magic = await operate(fixtureOriginal("bad-magic"), ["meta", "update", "--meta-page", "1"]);
  assert.match(await outputHere(["surgery", "meta", "validate", magic.path]), /The meta page 1 is valid!/);
  assert.equal((await operate(path, ["meta", "update", "--fields", "pageSize:4096"])).text, "The meta page 0 has been updated!\n");
  const changed = await operate(fixtureOriginal("nested-5"), ["meta", "update", "--fields", "root:16,freelist:8", "--fields", "pgid:128", "--meta-page", "1"]);
  const shown = await outputHere(["page", changed.path, "1"]);
  assert.match(shown, /Root: {7}<pgid=16>\nFreelist: {3}<pgid=8>\nHWM: {8}<pgid=128>/);
  for (const [fields, expected] of [["txid:1", /field "txid" isn't allowed to be updated/], ["root", /invalid key-value pair: root/], ["root:x", /invalid value "x" for field "root"/]] as const) {
    assert.match((await here(["surgery", "meta", "update", bad, "--output", tempPath("z.db"), "--fields", fields])).stderr, expected);
  }
});

test("an operation outlives the commit manifest that vouched for the file as it was", async () => {
  const path = tempPath("manifest.db");
  const db = open(path);
  for (let i = 0; i < 2; i++) db.update((tx) => { for (let j = 0; j < 300; j++) tx.createBucketIfNotExists("b").put(`key ${j}`, `value ${i}`); });
  db.close();
  const leaf = (await rows(path)).find((row) => row.type === "leaf" && row.count > 20)!;
  const { path: operated } = await operate(path, ["clear-page-elements", "--pageId", String(leaf.id), "--from-index", "1", "--to-index", "2"]);
  const after = open(operated);
  assert.equal(after.recovery, undefined);
  assert.equal(after.view((tx) => tx.bucket("b")?.count()), 299);
  assert.equal(after.view((tx) => tx.bucket("b")?.get("key 299")?.toString()), "value 1");
  after.close();
});

test("salvage of every sound fixture has the same content", async () => {
  for (const name of ["nested-5", "binary-keys", "sequences", "overflow-values", "pagesize-65536", "meta0-bad-newest", "no-freelist-sync", "containerd-meta"]) {
    const { path } = await operate(fixtureOriginal(name), ["salvage"]);
    assert.equal(content(path).sha256, readFixture(name).contentSha256, name);
  }
});

test("salvage of every damaged fixture gives a sound file, or says that there is nothing", async () => {
  const names = fixtureNames().filter((name) => readFixture(name).kind === "corrupt");
  assert.ok(names.length > 40);
  const empty: string[] = [];
  for (const name of names) {
    const target = tempPath(`${name}-saved.db`);
    const run = await here(["surgery", "salvage", fixtureOriginal(name), "--output", target, "--json"]);
    if (run.status !== 0) {
      assert.match(run.stderr, /"code":"(?:NOTHING_FOUND|EMPTY)"/, name);
      assert.equal(existsSync(target), false);
      empty.push(name);
      continue;
    }
    const { keys } = JSON.parse(run.stdout) as { keys: number };
    assert.equal(content(target).keyCount, keys, name);
    assert.equal((await here(["check", target])).stdout, "OK\n", name);
  }
  assert.deepEqual(empty.filter((name) => !/^(text|truncated|zero)/.test(name)), []);
});

test("damage costs the entries of the damaged page, no others", async () => {
  // How many keys each of these files had before it was damaged shows in what Go could read, where it could.
  const source = fixtureOriginal("tree-3-level");
  const bytes = readFileSync(source);
  const victims = (await rows(source)).filter((row) => row.type === "leaf" && row.count > 10).slice(3, 6);
  for (const { id } of victims) bytes.fill(0xff, id * 4096, id * 4096 + 16);
  const broken = tempPath("three-pages-gone.db");
  writeFileSync(broken, bytes);
  const lost = victims.reduce((sum, row) => sum + row.count, 0);
  const { path } = await operate(broken, ["salvage"]);
  assert.equal(content(path).keyCount, content(source).keyCount - lost);
});

test("a count that cannot be costs nothing that its page still names", async () => {
  // Go reads the entries that stand in the pages, whatever their headers count.
  const inline = await operate(fixtureOriginal("inline-count-huge"), ["salvage"]);
  assert.equal(await outputHere(["keys", inline.path, "inline"]), "a\nb\n");
  const branch = await operate(fixtureOriginal("branch-count-0"), ["salvage"]);
  assert.match(await outputHere(["keys", branch.path, "tree"]), /^key-00001\nkey-00002\n/);
  assert.ok(content(branch.path).keyCount > 400, String(content(branch.path).keyCount));
});

test("--scan finds leaves that nothing leads to any more", async () => {
  const source = fixtureOriginal("branch-child-is-freelist");
  const target = tempPath("scanned.db");
  assert.match((await here(["surgery", "salvage", source, "--output", tempPath("unscanned.db")])).stdout, /^1 page holds something, is not free, and nothing leads to it: --scan takes it/m);
  const { keys } = JSON.parse(await outputHere(["surgery", "salvage", source, "--output", target, "--scan", "--json"])) as { keys: number };
  assert.ok(keys > 500, String(keys));
  assert.match(await outputHere(["buckets", target, "lost+found"]), /^page \d+\n/);
});

test("a copy that root makes belongs to whom the original belongs to, with its permissions", { skip: process.geteuid?.() === 0 ? false : "needs to be root" }, async () => {
  const path = fixtureCopy("one-key");
  chownSync(path, 12_345, 23_456);
  chmodSync(path, 0o640);
  for (const [i, argv] of [["compact", path, "-o"], ["backup", path, "-o"], ["surgery", "salvage", path, "-o"], ["surgery", "freelist", "abandon", path, "-o"]].entries()) {
    const copy = tempPath(`owned-${i}.db`);
    await outputHere([...argv, copy]);
    const { gid, mode, uid } = statSync(copy);
    assert.deepEqual([uid, gid, mode & 0o777], [12_345, 23_456, 0o640], argv.join(" "));
  }
});

test("surgery needs to read the original, not to write it: the copy is its owner's to write", async () => {
  const path = fixtureCopy("one-key");
  chmodSync(path, 0o444);
  const copy = tempPath("abandoned.db");
  await outputHere(["surgery", "freelist", "abandon", path, "-o", copy]);
  assert.equal(statSync(copy).mode & 0o777, 0o644);
});

test("where the file cannot be locked surgery refuses: a plain copy would not notice what is written meanwhile", () => {
  const copy = tempPath("unlocked.db");
  const { status, stderr } = hexbolt(["surgery", "freelist", "abandon", fixtureCopy("one-key"), "-o", copy], "", { PATH: "/nonexistent" });
  assert.equal(status, 1);
  assert.match(stderr, /cannot lock the file/);
  assert.equal(existsSync(copy), false);
});

test("salvage takes the values of sound pages also where a damaged one claims their overflow pages", async () => {
  const path = tempPath("claimed.db");
  const db = open(path);
  db.update((tx) => { for (let i = 0, bucket = tx.createBucket("b"); i < 400; i++) bucket.put(`k${1000 + i}`, Buffer.alloc(i % 40 === 39 ? 9000 : 20, i)); });
  db.close();
  const claims = (await rows(path)).find(({ type, overflow }) => type === "leaf" && overflow === 2);
  assert.ok(claims !== undefined);
  const bytes = readFileSync(path);
  bytes.writeUInt32LE(18, claims.id * 4096 + 12);
  writeFileSync(path, bytes);
  const saved = tempPath("saved.db");
  await outputHere(["surgery", "salvage", path, "--output", saved]);
  const whole = open(saved, { readOnly: true });
  whole.view((tx) => {
    assert.equal(tx.bucket("b")?.count(), 400);
    for (let i = 0; i < 400; i++) assert.deepEqual(tx.bucket("b")?.get(`k${1000 + i}`), Buffer.alloc(i % 40 === 39 ? 9000 : 20, i));
  });
  whole.close();
});

test("what is in a bucket of a page that another one has cut off comes along", async () => {
  const path = tempPath("cut-bucket.db");
  const db = open(path, { pageSize: 4096 });
  db.update((tx) => { for (let i = 0, bucket = tx.createBucket("b"); i < 30; i++) bucket.put(`k${1000 + i}`, Buffer.alloc(9000, i)); });
  db.close();
  const [claims, cut] = (await rows(path)).filter(({ type, overflow }) => type === "leaf" && overflow === 2);
  assert.ok(claims !== undefined && cut !== undefined && cut.id > claims.id && cut.id < claims.id + 18);
  // As Go leaves it: behind the large value an inline bucket, on the same page.
  const bytes = readFileSync(path);
  const page = cut.id * 4096;
  const [name] = bytes.subarray(page + 32, page + 37).toString().split("\0");
  const inline = Buffer.alloc(58);
  for (const [at, value] of [[24, 2], [26, 1]] as const) inline.writeUInt16LE(value, at);
  for (const [at, value] of [[36, 16], [40, 2], [44, 8]] as const) inline.writeUInt32LE(value, at);
  inline.write("inprecious", 48);
  bytes.writeUInt16LE(2, page + 10);
  for (const [at, value] of [[20, 32], [24, 5], [28, 9000], [32, 1], [36, 9053 - 32], [40, 6], [44, inline.length]] as const) bytes.writeUInt32LE(value, page + at);
  bytes.write(name!, page + 48);
  bytes.fill(1, page + 53, page + 9053);
  bytes.write(`${name!}z`, page + 9053);
  inline.copy(bytes, page + 9059);
  writeFileSync(path, bytes);
  assert.equal(await outputHere(["check", path]), "OK\n");
  bytes.writeUInt32LE(18, claims.id * 4096 + 12);
  writeFileSync(path, bytes);
  const saved = tempPath("cut-bucket-saved.db");
  await outputHere(["surgery", "salvage", path, "--output", saved]);
  const whole = open(saved, { readOnly: true });
  whole.view((tx) => assert.equal(tx.bucket("b")?.bucket(`${name!}z`)?.get("in")?.toString(), "precious"));
  whole.close();
});

test("salvage says which transaction it has left out, and takes what is in it when it is asked to", async () => {
  const path = tempPath("torn.db");
  const db = open(path);
  db.update((tx) => tx.createBucket("old").put("k", "v"));
  const root = db.update((tx) => {
    const bucket = tx.createBucket("new");
    for (let i = 0; i < 100; i++) bucket.put(`k${i}`, Buffer.alloc(60, 7));
    return tx.id;
  });
  const bytes = readFileSync(path);
  db.close();
  const at = bytes.indexOf(Buffer.alloc(60, 7), 8192);
  bytes[at + 30] = 6;
  writeFileSync(path, bytes);
  const run = await here(["surgery", "salvage", path, "--output", tempPath("without.db")]);
  assert.match(run.stdout, new RegExp(`^Transaction ${root} was left out, for pages of it are damaged: --older takes what it leads to`, "m"));
  const saved = tempPath("with.db");
  assert.doesNotMatch(await outputHere(["surgery", "salvage", path, "--older", "--output", saved]), /left out/);
  const both = open(saved, { readOnly: true });
  both.view((tx) => assert.deepEqual([tx.bucket("old")?.count(), tx.bucket("new")?.count()], [1, 100]));
  both.close();
});
