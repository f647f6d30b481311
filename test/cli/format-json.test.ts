/** `--json` beside a format that was asked for: what was to be hidden, or shown in another way, is so in JSON too. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { FORMATS } from "../../engine/cli/command.js";
import { allCommands } from "../../engine/cli/commands.js";
import { fromJsonBytes } from "../../engine/cli/json-bytes.js";
import { open } from "../../engine/index.js";
import { fixtureOriginal } from "../support/fixtures.js";
import { tempPath } from "../support/temp.js";
import { here, jsonLinesHere, outputHere } from "./command.js";

const SECRET = "hunter2";
const redactedText = (text: string): string => `<redacted len:${text.length} sha256:${createHash("sha256").update(text).digest("hex")}>`;
const redacted = (text: string): object => ({ redacted: redactedText(text) });

function secretFile(value: string = SECRET): string {
  const path = tempPath("secret.db");
  const db = open(path);
  db.update((tx) => {
    const bucket = tx.createBucket("b");
    bucket.put("password", value);
    // Too large to lie inside the page of its parent.
    bucket.put("rest", "x".repeat(2000));
  });
  db.close();
  return path;
}

async function leafPage(path: string): Promise<string> {
  const pages = await jsonLinesHere(["page", path, "--all"]) as { readonly id: number; readonly items?: readonly { readonly key: unknown }[] }[];
  return String(pages.find(({ items }) => items?.some(({ key }) => key === "password"))!.id);
}

test("--json gives the text of a format that was asked for, under the format's name", async () => {
  const path = secretFile();
  const page = await leafPage(path);
  assert.deepEqual(await jsonLinesHere(["get", path, "b", "password", "--format", "redacted"]), [{ key: "password", value: redacted(SECRET) }]);
  assert.deepEqual(await jsonLinesHere(["get", path, "b", "password", "--format", "hex"]), [{ key: "password", value: { hex: Buffer.from(SECRET).toString("hex") } }]);
  assert.deepEqual(await jsonLinesHere(["get", path, "b", "password", "--format", "ascii-encoded"]), [{ key: "password", value: { "ascii-encoded": `"${SECRET}"` } }]);
  assert.deepEqual(await jsonLinesHere(["get", path, "b", "password", "--format", "auto"]), [{ key: "password", value: { auto: SECRET } }]);
  assert.deepEqual(await jsonLinesHere(["keys", path, "b", "--prefix", "p", "--format", "redacted"]), [{ key: redacted("password"), bucket: false }]);
  assert.deepEqual(await jsonLinesHere(["buckets", path, "--format", "redacted"]), [redacted("b")]);
  assert.deepEqual(await jsonLinesHere(["page-item", path, page, "0", "--format", "redacted"]), [{ key: redacted("password"), value: redacted(SECRET) }]);
  assert.deepEqual(await jsonLinesHere(["page-item", path, page, "0", "--value-only", "--format", "redacted"]), [{ value: redacted(SECRET) }]);
  const [shown] = await jsonLinesHere(["page", path, page, "--format-value", "redacted"]) as [{ readonly items: readonly unknown[] }];
  assert.deepEqual(shown.items[0], { key: "password", value: redacted(SECRET) });
  const { stdout } = await here(["diff", path, secretFile("other"), "--format", "redacted", "--json"]);
  assert.deepEqual(JSON.parse(stdout), { change: "changed", kind: "key", path: ["b", "password"], before: redacted(SECRET), after: redacted("other") });
});

test("--json without a format, or with bytes, gives the bytes themselves", async () => {
  const path = secretFile();
  for (const format of [[], ["--format", "bytes"]]) assert.deepEqual(await jsonLinesHere(["get", path, "b", "password", ...format]), [{ key: "password", value: SECRET }]);
});

test("no command that takes a format shows with --json what redacted hides", async () => {
  const path = secretFile();
  const page = await leafPage(path);
  const lines: Readonly<Record<string, readonly string[]>> = {
    get: ["get", path, "b", "password"], keys: ["keys", path, "b"], buckets: ["buckets", path], page: ["page", path, page], "page-item": ["page-item", path, page, "0"],
    diff: ["diff", path, secretFile("other")],
  };
  const formatted = (await allCommands()).filter(({ options }) => options.some(({ choices }) => choices === FORMATS));
  assert.deepEqual(formatted.map(({ name }) => name).sort(), Object.keys(lines).sort());
  for (const { name, options } of formatted) {
    const option = options.find(({ choices }) => choices === FORMATS)!.name;
    const { stdout } = await here([...lines[name]!, `--${option}`, "redacted", "--json"]);
    assert.match(stdout, /"redacted":"<redacted len:/, name);
    assert.ok(!stdout.includes(SECRET), name);
  }
});

test("a page of no known type shows none of its bytes where a format was asked for", async () => {
  const path = secretFile();
  const page = await leafPage(path);
  const { openSync, writeSync, closeSync } = await import("node:fs");
  const fd = openSync(path, "r+");
  writeSync(fd, Buffer.from([0x20, 0]), 0, 2, Number(page) * 4096 + 8);
  closeSync(fd);
  const [plain, hidden] = [await outputHere(["page", path, page, "--json"]), await outputHere(["page", path, page, "--json", "--format-value", "redacted"])];
  assert.match(plain, /"hex"/);
  assert.doesNotMatch(hidden, /"hex"/);
});

test("get --raw beside --format is refused: it would print what the format hides", async () => {
  const { status, stderr, stdout } = await here(["get", secretFile(), "b", "password", "--raw", "--format", "redacted"]);
  assert.equal(status, 2);
  assert.equal(stdout, "");
  assert.match(stderr, /--raw goes with neither --format nor --json/);
});

test("import takes no value that was redacted for bytes", () => {
  assert.throws(() => fromJsonBytes(redacted(SECRET), "value"), /must be a string or/);
});

test("get takes --raw without --json alone: the value's bytes are no JSON", async () => {
  const { status, stderr, stdout } = await here(["get", fixtureOriginal("one-key"), "b", "k", "--raw", "--json"]);
  assert.deepEqual([status, stdout], [2, ""]);
  assert.match(stderr, /"code":"USAGE".*--raw goes with neither --format nor --json/);
});

test("diff shows the whole of a hash: a part of one cannot be compared", async () => {
  const [a, b] = [tempPath("a.db"), tempPath("b.db")];
  await outputHere(["put", "--create", a, "b", "k", "old"]);
  await outputHere(["put", "--create", b, "b", "k", "new"]);
  const { stdout } = await here(["diff", a, b, "--format", "redacted"]);
  assert.match(stdout, /^~ "b" \/ "k": <redacted len:3 sha256:[0-9a-f]{64}> -> <redacted len:3 sha256:[0-9a-f]{64}>\n$/);
});
