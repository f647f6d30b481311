/** The commands that write: put, delete, export and import, diff, backup. Each result is looked at through the engine. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { open, type Bucket, type Tx } from "../../engine/index.js";
import { fixtureOriginal } from "../support/fixtures.js";
import { tempFolder, tempPath } from "../support/temp.js";
import { here, hexbolt, jsonLinesHere, output, outputHere, start } from "./command.js";
import { soundContentHash } from "./sound-content.js";

function noHalfFiles(): void {
  assert.deepEqual(readdirSync(tempFolder()).filter((name) => name.endsWith(".tmp")), []);
}

test("put sets a key, delete takes it away, both durable in one transaction", async () => {
  const path = tempPath("put.db");
  assert.equal((await here(["put", path, "users", "alice", "x"])).status, 1);
  assert.equal(existsSync(path), false);
  await outputHere(["put", "--create", path, "users", "nested", "alice", "value"]);
  assert.equal(await outputHere(["get", path, "users", "nested", "alice"]), "value\n");
  const missing = await here(["put", path, "usres", "bob", "x"]);
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /did you mean "users"\?\n.*--create/);
  await outputHere(["put", path, "users", "00ff", "c0ffee", "--parse-format", "hex", "--value-format", "hex"]);
  await outputHere(["put", path, "users", "big", "--value-from", "-"], Buffer.alloc(100_000, 7));
  const db = open(path, { readOnly: true });
  db.view((tx) => {
    assert.deepEqual(tx.bucket("users")?.get(Buffer.from([0, 255])), Buffer.from("c0ffee", "hex"));
    assert.deepEqual(tx.bucket("users")?.get("big"), Buffer.alloc(100_000, 7));
  });
  db.close();
  assert.equal((await here(["delete", path, "users", "nobody"])).status, 1);
  assert.match((await here(["delete", path, "users", "nested"])).stderr, /incompatible value/);
  await outputHere(["delete", path, "users", "nested", "alice"]);
  assert.equal((await here(["get", path, "users", "nested", "alice"])).status, 1);
  await outputHere(["delete", "--bucket", path, "users", "nested"]);
  await outputHere(["delete", "--bucket", path, "users"]);
  assert.equal(await outputHere(["buckets", path]), "");
  assert.match((await here(["put", path, "b", "", "v", "--create"])).stderr, /key required/);
  const refused = tempPath("refused-put.db");
  assert.match((await here(["put", refused, "", "k", "v", "--create"])).stderr, /bucket name required/);
  assert.equal(existsSync(refused), false);
  writeFileSync(refused, "");
  assert.match((await here(["put", refused, "b", "k", "v"])).stderr, /is empty: no database\n.*--create/);
  assert.equal(statSync(refused).size, 0);
  assert.match((await here(["put", refused, "b", "", "k", "v", "--create"])).stderr, /bucket name required/);
  assert.equal(statSync(refused).size, 0);
  await outputHere(["put", refused, "b", "k", "v", "--create"]);
  assert.equal(await outputHere(["get", refused, "b", "k"]), "v\n");
});

test("a file in use is read live and never written", () => {
  const path = tempPath("busy.db");
  output(["put", "--create", path, "b", "k", "before"]);
  const db = open(path);
  db.update((tx) => tx.bucket("b")?.put("k", "after"));
  for (const argv of [["put", path, "b", "k", "x"], ["delete", path, "b", "k"], ["import", "--merge", path, fixtureOriginal("one-key")]]) {
    const run = hexbolt(argv);
    assert.equal(run.status, 1, argv[0]);
    assert.match(run.stderr, /in use by another process/, argv[0]);
  }
  const live: readonly (readonly [readonly string[], RegExp])[] = [
    [["get", path, "b", "k"], /^after\n$/], [["info", path], /^Page Size: 4096\n$/], [["pages", path], /^ID {7}TYPE[^]*leaf/], [["check", path], /^OK\n$/],
    [["page", path, "0"], /^Page ID/], [["stats", path], /^Aggregate/], [["export", path], /"after"/], [["diff", path, path], /^$/],
  ];
  for (const [argv, expected] of live) {
    const run = hexbolt(argv);
    assert.equal(run.status, 0, `${argv[0]}: ${run.stderr}`);
    assert.match(run.stdout, expected, argv[0]);
    assert.match(run.stderr, /is in use by another process; reading it live\n/, argv[0]);
  }
  const copy = tempPath("busy-copy.db");
  assert.equal(hexbolt(["backup", path, copy]).status, 0);
  const refused = hexbolt(["surgery", "revert-meta-page", path, "--output", tempPath("busy-surgery.db")]);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /in use/);
  db.close();
  assert.equal(soundContentHash(copy), soundContentHash(path));
  noHalfFiles();
});

type Content = readonly (readonly [Uint8Array, Uint8Array | { readonly sequence: bigint; readonly entries: Content }])[];

const bytes = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.string({ unit: "grapheme", maxLength: 12 }).map((text) => Buffer.from(text)));
const { content } = fc.letrec<{ content: Content; bucket: { sequence: bigint; entries: Content } }>((tie) => ({
  content: fc.array(fc.tuple(fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.string({ minLength: 1, maxLength: 8 }).map((text) => Buffer.from(text))),
    fc.oneof({ maxDepth: 3 }, { weight: 4, arbitrary: bytes }, { weight: 1, arbitrary: tie("bucket") })), { maxLength: 12 }) as fc.Arbitrary<Content>,
  bucket: fc.record({ sequence: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), entries: tie("content") }),
}));

function fill(bucket: Bucket, entries: Content): void {
  for (const [key, value] of entries) {
    if (value instanceof Uint8Array) {
      if (bucket.bucket(key) === undefined) bucket.put(key, value);
    } else if (!bucket.has(key)) {
      const nested = bucket.createBucketIfNotExists(key);
      nested.setSequence(value.sequence);
      fill(nested, value.entries);
    }
  }
}

test("import of an export has the same content, byte for byte", async () => {
  const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
  await fc.assert(fc.asyncProperty(fc.array(content, { minLength: 1, maxLength: 4 }), async (contents) => {
    const path = tempPath("random.db");
    const db = open(path, { noSync: true });
    db.update((tx: Tx) => contents.forEach((entries, i) => fill(tx.createBucket(`top ${i}`), entries)));
    db.close();
    const [lines, copy] = [tempPath("random.jsonl"), tempPath("random-copy.db")];
    await outputHere(["export", path, "-o", lines]);
    await outputHere(["import", copy, lines]);
    assert.equal(soundContentHash(copy), soundContentHash(path));
    assert.equal(await outputHere(["diff", path, copy]), "");
  }), { seed, numRuns: 40 });
});

test("export and import of fixtures: page size, sequences, binary keys", async () => {
  for (const name of ["sequences", "binary-keys", "pagesize-16384", "overflow-values"]) {
    const copy = tempPath(`${name}-copy.db`);
    await outputHere(["import", copy], (await here(["export", fixtureOriginal(name)])).bytes);
    assert.equal(soundContentHash(copy), soundContentHash(fixtureOriginal(name)), name);
    assert.equal(await outputHere(["info", copy]), await outputHere(["info", fixtureOriginal(name)]), name);
  }
});

test("a line that cannot be taken names itself, and nothing is left of the import", async () => {
  const path = tempPath("bad-import.db");
  const lines: readonly (readonly [string, RegExp])[] = [
    ['{"bucket":["b"],"key":"k","value":1}', /line 2: "value" must be/], ["{oops", /line 2: .*JSON/], ['{"bucket":[],"key":"k","value":"v"}', /outside of every bucket/],
    ['{"bucket":["b","k"]}\n{"bucket":["b"],"key":"k","value":"v"}', /line 3: incompatible value/], ['{"bucket":["b"],"key":"","value":"v"}', /line 2: key required/],
    ['{"bucket":["b"],"Key":"k","value":"v"}', /line 2: a line has no "Key"/], ['{"bucket":["b"],"value":"v"}', /line 2: .*needs "key"/],
    ['{"hexbolt":1,"pageSize":12345}', /line 2: "pageSize" must be a power of two/], ['{"hexbolt":2}', /version 2/], ['{"hexbolt":2,"new":1}', /version 2/], ['{"bucket":["b"],"key":"\\ud800","value":"v"}', /surrogate/], ["[]", /"bucket"/],
  ];
  for (const [line, expected] of lines) {
    const run = await here(["import", path], `{"hexbolt":1}\n${line}\n`);
    assert.equal(run.status, 1, line);
    assert.match(run.stderr, expected, line);
    assert.equal(existsSync(path), false);
  }
  noHalfFiles();
  await outputHere(["put", "--create", path, "b", "k", "old"]);
  const before = soundContentHash(path);
  assert.equal((await here(["import", "--merge", path], '{"bucket":["b"],"key":"k","value":"new"}\n{oops\n')).status, 1);
  assert.equal(soundContentHash(path), before);
  await outputHere(["import", "--merge", path], '{"bucket":["b"],"key":"k","value":"new"}\n{"bucket":["c"],"sequence":"9"}\n');
  // A sequence of the file that is higher stays: the numbers up to it may be keys.
  await outputHere(["import", "--merge", path], '{"bucket":["c"],"sequence":"3"}\n{"bucket":["d"],"sequence":"4"}\n');
  const db = open(path, { readOnly: true });
  assert.deepEqual(db.view((tx) => ["c", "d"].map((name) => tx.bucket(name)?.sequence)), [9n, 4n]);
  db.close();
  const { stderr } = await here(["import", "--merge", path], '{"bucket":["c","k"]}\n{"bucket":["c"],"key":"k","value":"v"}\n');
  assert.match(stderr, /line 2: incompatible value\n {2}the key "k" is a bucket/);
  assert.equal(await outputHere(["get", path, "b", "k"]), "new\n");
  assert.match((await here(["import", path], "")).stderr, /already exists/);
});

test("the first line is a line too: what is wrong with it is told with its number; and bytes that are no UTF-8 are not taken for others", async () => {
  const path = tempPath("first-line.db");
  for (const [line, expected] of [
    ['{"bucket":["b"],"key":"","value":"v"}', /line 1: key required/], ['{"hexbolt":1,"pageSize":-1}', /line 1: "pageSize"/],
    ['{"bucket":["b"],"sequence":"99999999999999999999"}', /line 1: a sequence must be/], [Buffer.from('{"bucket":["a"],"key":"k","value":"caf\xe9"}', "latin1"), /line 1: it is no UTF-8/],
  ] as const) {
    const { status, stderr } = await here(["import", path], line);
    assert.equal(status, 1);
    assert.match(stderr, expected);
  }
});

test("an export of a file whose pages can be read and not made becomes one with the nearest size, which is told", async () => {
  for (const [exported, made] of [[512, 1024], [131_072, 65_536]] as const) {
    const target = tempPath("nearest-size.db");
    const lines = `{"hexbolt":1,"pageSize":${exported}}\n{"bucket":["b"],"key":"k","value":"v"}\n`;
    const { status, stderr } = await here(["import", target], lines);
    assert.deepEqual([status, stderr], [0, `hexbolt: the exported file has pages of ${exported} bytes, which cannot be made: the new one has pages of ${made} bytes\n`]);
    const db = open(target, { readOnly: true });
    assert.deepEqual([db.pageSize, db.view((tx) => tx.bucket("b")?.get("k")?.toString())], [made, "v"]);
    db.close();
    assert.equal((await here(["import", tempPath("chosen-size.db"), "--page-size", "4096"], lines)).stderr, "");
    assert.equal((await here(["import", "--merge", target], lines)).stderr, "");
  }
});

test("a line with members that do not belong together is refused, for some of them would be lost", async () => {
  for (const [line, expected] of [
    ['{"hexbolt":1,"bucket":["a"],"key":"k","value":"v"}', /"hexbolt", "bucket", "key", "value"/], ['{"hexbolt":1,"foo":2}', /a line has no "foo"/], ['{"pageSize":4096}', /"pageSize"/],
    ['{"bucket":["a"],"key":"k","value":"v","sequence":"7"}', /"bucket", "key", "value", "sequence"/], ['{"bucket":["a"],"sequence":"7","pageSize":4096}', /"bucket", "sequence", "pageSize"/],
    ['{"bucket":["a"],"key":"k","value":{"hex":"00","y":1}}', /"value" must be/], ['{"bucket":["a"],"key":{"hex":"00","base64":"AA=="},"value":"v"}', /"key" must be/],
  ] as const) {
    for (const before of ["", '{"hexbolt":1}\n', '{"bucket":["a"],"key":"k","value":"v"}\n']) {
      const path = tempPath("mixed-line.db");
      const { status, stderr } = await here(["import", path], `${before}${line}\n`);
      assert.equal(status, 1, line);
      assert.match(stderr, new RegExp(`line ${before === "" ? 1 : 2}: .*${expected.source}`), line);
      assert.equal(existsSync(path), false);
    }
  }
});

test("an import says what it has made, not how many lines there were", async () => {
  const path = tempPath("counted.db");
  const lines = ["a", "b", "a"].map((key) => `{"bucket":["x","y"],"key":"${key}","value":"v"}\n`).join("");
  assert.equal(await outputHere(["import", path], lines), "2 keys, 2 buckets, 1 value replaced\n");
  assert.equal(await outputHere(["import", "--merge", path], `${lines}{"bucket":["x"],"key":"c","value":"v"}\n{"bucket":["z"]}\n`), "1 keys, 1 buckets, 3 values replaced\n");
  assert.deepEqual(JSON.parse(await outputHere(["import", tempPath("counted-json.db"), "--json"], lines)), { keys: 2, buckets: 2, replaced: 1 });
  assert.equal(await outputHere(["import", tempPath("counted-plain.db")], '{"bucket":["b"]}\n{"bucket":["b"],"key":"k","value":"v"}\n'), "1 keys, 1 buckets\n");
});

test("an argument that is no UTF-8 is refused, not changed", async () => {
  const path = tempPath("argument.db");
  await outputHere(["put", "--create", path, "b", "k", "v"]);
  for (const argv of [["put", path, "b", "caf\ufffd", "v"], ["get", path, "b", "caf\ufffd"]]) {
    const { status, stderr } = await here(argv);
    assert.equal(status, 2);
    assert.match(stderr, /not UTF-8.*hexadecimal, see the options .* -format/);
  }
});

test("buckets whose names are no text are reached by hexadecimal digits, and none is made of bytes that Node cannot read", async () => {
  const path = tempPath("named.db");
  await outputHere(["put", "--create", path, "fffe", "6b", "v", "--bucket-format", "hex", "--parse-format", "hex"]);
  assert.equal(await outputHere(["get", path, "fffe", "k", "--bucket-format", "hex"]), "v\n");
  assert.deepEqual(await jsonLinesHere(["export", path, "fffe", "--parse-format", "hex"]).then((lines) => lines.at(-1)), { bucket: [{ hex: "fffe" }], key: "k", value: "v" });
  assert.match(await outputHere(["stats", path, "ff", "--parse-format", "hex"]), /Aggregate statistics for 1 buckets/);
  await outputHere(["delete", path, "fffe", "k", "--bucket-format", "hex"]);
  assert.equal(await outputHere(["keys", path, "fffe", "--parse-format", "hex"]), "");
  for (const args of [["put", "--create", path, "\ufffd", "k", "v"], ["get", path, "\ufffd", "k"], ["delete", path, "\ufffd", "k"], ["export", path, "\ufffd"], ["stats", path, "\ufffd"]]) {
    assert.equal((await here(args)).status, 2, args.join(" "));
  }
  assert.equal(await outputHere(["buckets", path, "--format", "hex"]), "fffe\n");
});

test("page sizes that are none are a user's mistake", async () => {
  for (const argv of [["compact", "--page-size", "3000", "-o", tempPath("x.db"), fixtureOriginal("one-key")], ["import", "--page-size", "3000", tempPath("y.db")], ["bench", "--page-size", "3000"]]) {
    const { status, stderr } = await here(argv);
    assert.equal(status, 2, stderr);
    assert.match(stderr, /--page-size must be a power of two, got 3000/);
  }
});

test("an import without a single line is refused: what should have written them has failed; an export of nothing writes nothing", async () => {
  const path = tempPath("nothing.db");
  for (const options of [[], ["--merge"]]) {
    if (options.length > 0) open(path).close();
    for (const lines of ["", "\n", "\n\n"]) assert.equal((await here(["import", ...options, path], lines)).status, 1);
    const { stderr } = await here(["import", ...options, path], "\n");
    assert.match(stderr, /there is not a single line\n {2}every export has one.*did the command before this one fail\?/);
    assert.equal(existsSync(path), options.length > 0);
  }
  const failed = await here(["export", fixtureOriginal("one-key"), "no such bucket"]);
  assert.deepEqual([failed.status, failed.stdout], [1, ""]);
});

test("a blank line of an import is passed over with the line breaks of Windows and with spaces in it, too; it counts as a line", async () => {
  const path = tempPath("blank-lines.db");
  const line = '{"bucket":["b"],"key":"k","value":"v"}';
  assert.equal(await outputHere(["import", path], `\r\n${line}\r\n\r\n \t\r\n`), "1 keys, 1 buckets\n");
  assert.match((await here(["import", tempPath("blank-bad.db")], `${line}\r\n\r\noops\r\n`)).stderr, /line 3: /);
  assert.match((await here(["import", tempPath("blank-only.db")], "\r\n \n")).stderr, /not a single line/);
});

test("Ctrl-C during an import leaves neither the file nor a half one", async () => {
  const lines = tempPath("endless.jsonl");
  writeFileSync(lines, Array.from({ length: 400_000 }, (_, i) => `{"bucket":["b"],"key":"key ${i}","value":"${"x".repeat(50)}"}\n`).join(""));
  const path = tempPath("interrupted.db");
  const child = start(["import", path, lines]);
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  const folder = dirname(path);
  const isBegun = (): boolean => readdirSync(folder).some((name) => name.endsWith(".tmp") && name.includes("interrupted") && statSync(`${folder}/${name}`).size > 65_536);
  while (!isBegun() && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill("SIGINT");
  assert.equal(await ended, 130);
  assert.equal(existsSync(path), false);
  noHalfFiles();
});

test("diff tells what was removed, added and changed, and by its status whether anything was", async () => {
  const [a, b] = [tempPath("a.db"), tempPath("b.db")];
  const lines = (extra: readonly string[]): string => ['{"bucket":["t"],"key":"same","value":"1"}', ...extra].join("\n");
  await outputHere(["import", a], lines(['{"bucket":["t"],"sequence":"1"}', '{"bucket":["t"],"key":"gone","value":"1"}', '{"bucket":["t"],"key":"k","value":"old"}', '{"bucket":["t","x"],"key":"deep","value":"1"}']));
  await outputHere(["import", b], lines(['{"bucket":["t"],"sequence":"2"}', '{"bucket":["t"],"key":"k","value":"new"}', '{"bucket":["t"],"key":"more","value":{"hex":"ff"}}', '{"bucket":["t"],"key":"x","value":"now a value"}']));
  const run = await here(["diff", a, b]);
  assert.equal(run.status, 1);
  assert.equal(run.stdout, '~ "t": sequence 1 -> 2\n- "t" / "gone": 1\n~ "t" / "k": old -> new\n+ "t" / "more": ff\n- "t" / "x" (bucket)\n- "t" / "x" / "deep": 1\n+ "t" / "x": now a value\n');
  assert.equal((await here(["diff", a, a])).status, 0);
  assert.equal((await here(["diff", "--quiet", a, b])).stdout, "");
  const json = (await here(["diff", a, b, "--json"])).stdout.trimEnd().split("\n").map((line) => JSON.parse(line) as unknown);
  assert.deepEqual(json[2], { change: "changed", kind: "key", path: ["t", "k"], before: "old", after: "new" });
});

test("backup: the same content, a sound file, never over another file", async () => {
  const copy = tempPath("backup.db");
  const source = fixtureOriginal("containerd-meta");
  await outputHere(["backup", source, "-o", copy]);
  assert.equal(soundContentHash(copy), soundContentHash(source));
  const before = readFileSync(copy);
  assert.match((await here(["backup", source, copy])).stderr, /already exists/);
  assert.deepEqual(readFileSync(copy), before);
  assert.equal((await here(["backup", source, source])).status, 2);
  assert.match((await here(["backup", fixtureOriginal("page-leaked"), tempPath("unsound.db")])).stderr, /page 52: unreachable unfreed/);
  await outputHere(["backup", "--no-check", fixtureOriginal("page-leaked"), tempPath("unsound-copy.db")]);
  assert.match((await here(["backup", source, "/nonexistent-folder/x.db"])).stderr, /no folder/);
  assert.equal(((await jsonLinesHere(["backup", source, tempPath("backup-json.db")]))[0] as { size: number }).size > 0, true);
  noHalfFiles();
});

test("compact: the same content in fewer bytes, bbolt's line, and never half of it", async () => {
  for (const name of ["heavy-deletes", "nested-5", "sequences", "pagesize-1024"]) {
    const [source, copy] = [fixtureOriginal(name), tempPath(`${name}-compact.db`)];
    const line = await outputHere(["compact", "-o", copy, "-tx-max-size=4096", source]);
    const [, before, after, gain] = /^(\d+) -> (\d+) bytes \(gain=([\d.]+)x\)\n$/.exec(line)!;
    assert.deepEqual([Number(before), Number(after)], [statSync(source).size, statSync(copy).size]);
    assert.equal(gain, (Number(before) / Number(after)).toFixed(2));
    assert.equal(soundContentHash(copy), soundContentHash(source), name);
  }
  const [source, copy] = [fixtureOriginal("heavy-deletes"), tempPath("refused.db")];
  assert.equal((await here(["compact", source])).status, 2);
  assert.equal((await here(["compact", "-o", source, source])).status, 2);
  writeFileSync(copy, "precious");
  assert.match((await here(["compact", "-o", copy, source])).stderr, /already exists/);
  assert.equal(readFileSync(copy, "utf8"), "precious");
  assert.equal((await here(["compact", "-o", tempPath("broken-compact.db"), fixtureOriginal("leaf-pos-outside")])).status, 1);
  noHalfFiles();
});
