/** Files made to stop the command: it ends, with an answer or with the file's fault. */
import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { open } from "../../engine/index.js";
import { branch, bucketAt, fileOf, freelist, leaf, pair, type MakePage } from "../support/hand-made.js";
import { fixtureOriginal } from "../support/fixtures.js";
import { tempPath } from "../support/temp.js";
import { here, jsonLinesHere, outputHere } from "./command.js";

function fileWith(pages: readonly MakePage[], options: Parameters<typeof fileOf>[1] = {}): string {
  const path = tempPath("hostile.db");
  writeFileSync(path, fileOf(pages, options));
  return path;
}

/** A sound file with buckets that nest so deep. */
function nestedFile(depth: number): string {
  const path = tempPath("deep.db");
  const db = open(path, { noSync: true });
  db.update((tx) => {
    let bucket = tx.createBucket("a");
    for (let i = 1; i < depth; i++) bucket = bucket.createBucket("a");
    bucket.put("k", "v");
  });
  db.close();
  return path;
}

test("buckets that nest 6,000 deep", async () => {
  const path = nestedFile(6000);
  const other = nestedFile(5999);
  assert.equal((await here(["diff", path, path])).status, 0);
  const { status, stdout } = await here(["diff", path, other, "--json"]);
  assert.equal(status, 1);
  assert.deepEqual(stdout.trim().split("\n").map((line) => { const { change, kind, path: names } = JSON.parse(line) as { change: string; kind: string; path: unknown[] }; return [change, kind, names.length]; }),
    [["removed", "bucket", 6000], ["removed", "key", 6001], ["added", "key", 6000]]);
  assert.match((await here(["inspect", path])).stderr, /nest more than 1000 deep/);
  assert.match(await outputHere(["map", path]), /and 5\d\d\d more buckets/);
  assert.match(await outputHere(["map", path, "--svg"]), /… 5\d\d\d more …/);
  const saved = tempPath("deep-saved.db");
  assert.match(await outputHere(["surgery", "salvage", path, "-o", saved]), /Salvaged 1 keys in 6000 buckets; 0 problems/);
  assert.equal((await here(["diff", path, saved])).status, 0);
});

test("buckets of which each names the next one twice are not written out", async () => {
  const levels = 40;
  const path = fileWith([leaf([bucketAt("top", 4)]), ...Array.from({ length: levels }, (_, i) => leaf(i === levels - 1 ? [pair("k")] : [bucketAt("a", 5 + i), bucketAt("b", 5 + i)]))]);
  for (const argv of [["export", path], ["diff", path, path], ["compact", path, "-o", tempPath("x.db")]]) assert.match((await here(argv)).stderr, /more keys and values than the file has bytes/, argv[0]);
});

test("page ids and sizes that no file has", async () => {
  const far = fileWith([leaf([bucketAt("a", 4)]), leaf([pair("k")])], { free: freelist([2 ** 33, 2 ** 51]), highWaterMark: 2 ** 52 });
  assert.match(await outputHere(["pages", far]), /4 {8}leaf/);
  const claims = fileWith([leaf([bucketAt("a", 4)]), (pgid) => { const page = leaf([pair("k")])(pgid); page.writeUInt32LE(2 ** 31 - 1, 12); return page; }], { highWaterMark: 2 ** 52 });
  assert.match(await outputHere(["page", claims, "4", "3"]), /2147483647 overflow pages do not fit[^]*leaf/);
  assert.match(await outputHere(["surgery", "salvage", claims, "-o", tempPath("claims.db")]), /Salvaged 1 keys in 1 buckets; 2 problems /);
});

test("pages lists the pages of a file whose list of free pages cannot be read, and those behind a number of overflow pages that no file has", async () => {
  const made = [leaf([bucketAt("a", 4)]), leaf([pair("k")]), leaf([pair("old")]), leaf([pair("behind")])];
  const lost = fileOf(made);
  lost.fill(0, 2 * 4096, 3 * 4096);
  const path = tempPath("no-freelist.db");
  writeFileSync(path, lost);
  const { status, stderr, stdout } = await here(["pages", path]);
  assert.deepEqual([status, stdout.trimEnd().split("\n").slice(2).map((line) => line.split(/ +/)[1])], [0, ["meta", "meta", "unknown<00>", "leaf", "leaf", "free", "free"]]);
  assert.equal(stderr, "hexbolt: page 2: invalid freelist page, page type is unknown<00>: what nothing leads to is listed as free\n");
  // The tree is broken, too.
  lost.writeUInt16LE(0, 4 * 4096 + 8);
  writeFileSync(path, lost);
  assert.deepEqual((await jsonLinesHere(["pages", path]) as { type: string }[]).map(({ type }) => type), ["meta", "meta", "unknown<00>", "leaf", "unknown<00>", "free", "free"]);
  const claims = fileOf(made);
  claims.writeUInt32LE(2 ** 31, 4 * 4096 + 12);
  writeFileSync(path, claims);
  assert.deepEqual((await jsonLinesHere(["pages", path]) as { id: number }[]).map(({ id }) => id), [0, 1, 2, 3, 4, 5, 6]);
});

test("salvage follows branch pages whose counts cannot be through as many as there are", async () => {
  const depth = 3000;
  const path = fileWith([...Array.from({ length: depth }, (_, i) => branch([["a", 4 + i]], 60_000)), leaf([pair("b"), bucketAt("c", 0)])]);
  const [report] = await jsonLinesHere(["surgery", "salvage", path, "-o", tempPath("chain.db"), "--json"]) as { keys: number }[];
  assert.equal(report?.keys, 1);
});

test("salvage --scan takes what many lost pages lead to once", async () => {
  const lost = 200;
  const shared = Array.from({ length: 20 }, (_, i) => leaf(Array.from({ length: 20 }, (_, j) => pair(`k${String(i).padStart(2, "0")}${String(j).padStart(2, "0")}`, "v".repeat(100)))));
  const first = 4 + lost + 1;
  const path = fileWith([
    leaf([]), ...Array.from({ length: lost }, () => branch([["k", 4 + lost]])),
    branch(shared.map((_, i) => [`k${String(i).padStart(2, "0")}`, first + i] as const)), ...shared,
  ]);
  const saved = tempPath("scanned.db");
  assert.match(await outputHere(["surgery", "salvage", path, "-o", saved, "--scan"]), /Salvaged 400 keys/);
  assert.ok(statSync(saved).size < 2 * statSync(path).size);
});

/** A copy as \`cp\` makes it of a file that is being written: the meta pages of one moment, the other pages of some commits later. */
function tornCopy(noFreelistSync: boolean): string {
  const path = tempPath("written.db");
  const db = open(path, { noSync: true, noFreelistSync });
  const put = (from: number): void => db.update((tx) => {
    const bucket = tx.createBucketIfNotExists("logs");
    for (let i = from; i < from + 500; i++) bucket.put(String(i).padStart(8, "0"), "x".repeat(100));
    if (from > 0) for (let i = from - 500; i < from - 250; i++) bucket.delete(String(i).padStart(8, "0"));
  });
  for (let i = 0; i < 8000; i += 500) put(i);
  const metas = readFileSync(path).subarray(0, 2 * 4096);
  for (let i = 8000; i < 10_000; i += 500) put(i);
  db.close();
  const torn = tempPath("torn.db");
  const bytes = readFileSync(path);
  bytes.set(metas);
  writeFileSync(torn, bytes);
  return torn;
}

test("a copy made of a file while it was written: salvage and compact say that it is damaged, though what they reach may be sound", async () => {
  const path = tornCopy(false);
  const run = await here(["surgery", "salvage", path, "-o", tempPath("torn-saved.db"), "--json"]);
  const report = JSON.parse(run.stdout) as { problems: string[]; unreachedPages: number; isFreeKnown: boolean };
  assert.ok(report.problems.length > 0 && report.unreachedPages > 0, run.stdout);
  assert.match((await here(["compact", path, "-o", tempPath("torn-compacted.db")])).stderr, /content may be missing from the copy|page \d+: /);
  const scanned = tempPath("torn-scanned.db");
  await outputHere(["surgery", "salvage", path, "-o", scanned, "--scan"]);
  assert.ok(statSync(scanned).size > 0.3 * statSync(path).size, "the entries are there");
});

test("of a file that does not store its free pages salvage does not say that they are lost", async () => {
  const path = tempPath("unstored.db");
  const db = open(path, { noFreelistSync: true });
  db.update((tx) => { for (let i = 0, bucket = tx.createBucket("b"); i < 2000; i++) bucket.put(`key ${i}`, "x".repeat(100)); });
  db.update((tx) => { for (let i = 0; i < 1500; i++) tx.bucket("b")?.delete(`key ${i}`); });
  db.close();
  const { stderr, stdout } = await here(["surgery", "salvage", path, "-o", tempPath("unstored-saved.db")]);
  assert.match(stdout, /0 problems on the way[^]*the file does not say which of them are free/);
  assert.equal(stderr, "");
});

test("where no tree can be begun, buckets are saved under the names that other pages have for them", async () => {
  const path = tempPath("metas.db");
  const db = open(path);
  for (const name of ["users", "orders", "items"]) db.update((tx) => { for (let i = 0, bucket = tx.createBucket(name); i < 400; i++) bucket.put(`${name} ${i}`, Buffer.alloc(40)); });
  db.close();
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.fill(0, 0, 2 * 4096));
  const saved = tempPath("metas-saved.db");
  await outputHere(["surgery", "salvage", path, "-o", saved]);
  const copy = open(saved, { readOnly: true });
  copy.view((tx) => {
    const lost = tx.bucket("lost+found")!;
    for (const name of ["users", "orders", "items"]) {
      assert.ok([...lost.buckets()].some((page) => lost.bucket(page)?.bucket(name)?.count() === 400), name);
    }
  });
  copy.close();
});

test("pages behind the mark, of a commit that came to nothing, are no damage", async () => {
  assert.match(await outputHere(["surgery", "salvage", fixtureOriginal("crash-before-meta"), "-o", tempPath("mark.db")]), /; 0 problems on the way/);
});

test("an export that ends at damage has written all that was read before it", async () => {
  const { status, stdout } = await here(["export", fixtureOriginal("leaf-count-huge")]);
  assert.equal(status, 1);
  assert.match(stdout, /"key-00421"/);
});

test("what is in a bucket before damage is exported and compared before the damage is met", async () => {
  const path = fileWith([branch([["a", 4], ["b", 5]]), leaf([bucketAt("a", 6)]), () => Buffer.alloc(4096, 0xff), leaf([pair("in a")])]);
  const exported = await here(["export", path]);
  assert.equal(exported.status, 1);
  assert.match(exported.stdout, /"in a"/);
  const compared = await here(["diff", path, fileWith([leaf([])])]);
  assert.equal(compared.status, 1);
  assert.match(compared.stdout, /- "a" \/ "in a"/);
});
