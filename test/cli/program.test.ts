/** The program itself: help, suggestions, statuses, pipes, colours. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseArguments } from "../../engine/cli/args.js";
import { allCommands, commandsNear } from "../../engine/cli/commands.js";
import { MemoryOutput, type Output } from "../../engine/cli/io.js";
import { open } from "../../engine/index.js";
import { reportError, run } from "../../engine/cli/run.js";
import { editDistance, nearest } from "../../engine/cli/suggest.js";
import { hasColour, Progress } from "../../engine/cli/terminal.js";
import { fixtureOriginal, repositoryRoot } from "../support/fixtures.js";
import { tempPath } from "../support/temp.js";
import { here, hexbolt, jsonLinesHere, output } from "./command.js";

test("every command has help with an example that its own parser takes", async () => {
  const commands = await allCommands();
  assert.ok(commands.length > 20);
  for (const command of commands) {
    assert.ok((await commandsNear(command.name.split(" ", 1)[0] ?? "")).includes(command), command.name);
    const { status, stdout } = await here([...command.name.split(" "), "--help"]);
    assert.equal(status, 0, command.name);
    assert.match(stdout, new RegExp(`Usage: hexbolt ${command.name}`));
    assert.match(stdout, /--json/);
    assert.ok(stdout.includes(`Example\n  ${command.example}`), command.name);
    assert.ok(command.example.startsWith(`hexbolt ${command.name}`), command.name);
    const words = (command.example.split(/ [>|] /)[0] ?? "").match(/'[^']*'|\S+/g)!.map((word) => word.replace(/^'|'$/g, ""));
    parseArguments(words.slice(1 + command.name.split(" ").length), command);
    assert.equal((await here(["help", ...command.name.split(" ")])).stdout, stdout);
  }
});

test("the program lists its commands, and groups theirs", async () => {
  const { status, stdout } = await here(["--help"]);
  assert.equal(status, 0);
  for (const { name } of await allCommands()) assert.ok(stdout.includes(`  ${name} `), name);
  assert.ok(stdout.includes("  images "));
  assert.equal((await here([])).status, 2);
  const surgery = await here(["surgery", "--help"]);
  assert.match(surgery.stdout, /surgery salvage/);
  assert.doesNotMatch(surgery.stdout, /  info /);
  assert.equal((await here(["surgery", "freelist"])).status, 2);
});

test("what is mistyped gets a suggestion and status 2", async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["chekc", "x"], /unknown command "chekc"; did you mean "check"\?/], [["surgery", "salvag"], /unknown command "surgery salvag"; did you mean "surgery salvage"\?/],
    [["surgery", "freelist", "abandn"], /did you mean "surgery freelist abandon"\?/], [["keys", "f", "b", "--fromat", "hex"], /no option --fromat; did you mean "--format"\?/],
    [["get", "f", "b"], /not enough arguments: it takes FILE BUCKET\.\.\. KEY/], [["keys", "f", "b", "--format", "xml"], /must be one of auto\|/], [["keys", "f", "b", "--format"], /needs a value/],
    [["pages", "f", "g"], /too many arguments/], [["page", "f", "x"], /a page id must be a whole number/], [["dump", "f", "-1"], /no option -1/],
    [["check", "f", "--from-page", "-3"], /--from-page must be/], [["check", "f", "--json=5"], /takes no value/], [["--version"], /hexbolt version/],
  ];
  for (const [argv, expected] of cases) {
    const { status, stderr, stdout } = await here(argv);
    assert.equal(status, 2, argv.join(" "));
    assert.match(stderr, expected);
    assert.equal(stdout, "");
  }
  assert.deepEqual(nearest("keyz", ["keys", "get", "page"]), ["keys"]);
  assert.deepEqual(nearest("zzz", ["keys", "get"]), []);
  assert.equal(editDistance("chekc", "check"), 1);
  assert.equal(editDistance("", "abc"), 3);
});

test("Go's way of writing options is taken too", async () => {
  const command = (await allCommands()).find(({ name }) => name === "keys")!;
  for (const argv of [["-format", "hex", "f", "b"], ["-format=hex", "f", "b"], ["f", "b", "--format=hex"], ["-f", "hex", "f", "b"], ["f", "--format", "hex", "--", "b"]]) {
    const args = parseArguments(argv, command);
    assert.equal(args.text("format"), "hex");
    assert.deepEqual(args.positionals, ["f", "b"]);
  }
  assert.deepEqual(parseArguments(["f", "--", "-x", "--json"], command).positionals, ["f", "-x", "--json"]);
  assert.equal(parseArguments(["f", "b", "--json=false"], command).json, false);
});

test("version names the package's version", async () => {
  const { version } = JSON.parse(readFileSync(join(repositoryRoot, "package.json"), "utf8")) as { readonly version: string };
  assert.match(output(["version"]), new RegExp(`^hexbolt Version: ${version}\nRuntime: \\S+ \\S+\nOS/Arch: `));
  assert.equal(((await jsonLinesHere(["version"]))[0] as { version: string }).version, version);
});

test("a reader that goes away is no fault", () => {
  const program = fileURLToPath(new URL("../../engine/cli/main.js", import.meta.url));
  const shell = spawnSync("sh", ["-c", `"$0" "$1" export "$2" | head -n 1; echo "status $?"`, process.execPath, program, fixtureOriginal("tree-3-level")], { encoding: "utf8" });
  assert.equal(shell.stdout, '{"hexbolt":1,"pageSize":4096}\nstatus 0\n');
  assert.equal(shell.stderr, "");
});

test("colours are for terminals alone, and NO_COLOR turns them off", () => {
  const terminal = { isTerminal: true, columns: 80, write: () => undefined, flush: () => undefined };
  assert.equal(hasColour(terminal, {}), true);
  assert.equal(hasColour(terminal, { NO_COLOR: "1" }), false);
  assert.equal(hasColour(terminal, { NO_COLOR: "" }), true);
  assert.equal(hasColour(terminal, { TERM: "dumb" }), false);
  assert.equal(hasColour(new MemoryOutput(), {}), false);
  assert.doesNotMatch(hexbolt(["check", fixtureOriginal("page-leaked")]).stdout, /\x1b/);
});

test("names of buckets are bytes in a pipe, and on a terminal what can be printed", async () => {
  const path = tempPath("coloured.db");
  const name = "w\x1b[31mred";
  const db = open(path);
  db.update((tx) => tx.createBucket(name));
  db.close();
  const shown = async (isTerminal: boolean): Promise<string> => {
    const parts: string[] = [];
    const stdout = { isTerminal, columns: 80, write: (data: string | Uint8Array) => { parts.push(Buffer.from(data).toString()); }, flush: () => undefined };
    assert.equal(await run(["buckets", path], { stdout, stderr: new MemoryOutput(), env: {}, signal: new AbortController().signal, readInput: () => 0, temporary: () => undefined }), 0);
    return parts.join("");
  };
  assert.equal(await shown(false), `${name}\n`);
  assert.equal(await shown(true), `${Buffer.from(name).toString("hex")}\n`);
});

test("a link that leads nowhere is told as that", { skip: process.platform === "win32" ? "links need rights there" : false }, () => {
  const path = tempPath("dangling.db");
  symlinkSync("nowhere.db", path);
  const { status, stderr } = hexbolt(["check", path]);
  assert.equal(status, 1);
  assert.match(stderr, /file not found: .*dangling\.db is a link to nowhere\.db, which is not there\n/);
});

test("a value that is longer than a text can be is told as that, whoever says it", () => {
  const tooLong = Object.assign(new Error("Cannot create a string longer than 0x1fffffe8 characters"), { code: "ERR_STRING_TOO_LONG" });
  for (const error of [tooLong, new RangeError("Invalid string length")]) {
    const stderr = new MemoryOutput();
    const io = { stdout: new MemoryOutput(), stderr, env: {}, signal: new AbortController().signal, readInput: () => 0, temporary: () => undefined };
    assert.equal(reportError(error, undefined, ["get"], io), 1);
    assert.match(stderr.bytes().toString(), /^Error: .*\n {2}a value is longer than a text can be: `hexbolt get --raw` writes its bytes\n$/);
  }
});

test("a progress bar shows on a terminal, after a moment, and goes away", (t) => {
  let clock = 1000;
  t.mock.method(performance, "now", () => clock);
  const shown: string[] = [];
  const terminal = { isTerminal: true, columns: 80, write: (data: string | Uint8Array) => { shown.push(String(data)); }, flush: () => undefined };
  const progressOn = (stderr: Output): Progress => new Progress({ stdout: new MemoryOutput(), stderr, env: {}, signal: new AbortController().signal, readInput: () => 0, temporary: () => undefined }, "checking", 200);
  const progress = progressOn(terminal);
  progress.show(50);
  clock += 299;
  progress.show(75);
  assert.deepEqual(shown, []);
  clock += 1;
  progress.show(100);
  assert.match(shown.join(""), /^\r\x1b\[Kchecking █{15}░{15} {2}50 %$/);
  progress.end();
  assert.ok(String(shown.at(-1)).endsWith("\r\x1b[K"));
  const piped = new MemoryOutput();
  const silent = progressOn(piped);
  clock += 350;
  silent.show(100);
  silent.end();
  assert.equal(piped.bytes().length, 0);
});

test("what takes long shows a bar on a terminal, which is gone before the result stands there, and none in a pipe", async (t) => {
  // Each look at the clock is 200 ms later than the one before: so everything takes long.
  let clock = 0;
  t.mock.method(performance, "now", () => clock += 200);
  const source = fixtureOriginal("nested-5");
  const lines = tempPath("bars.jsonl");
  const commands: readonly (readonly [string, readonly string[]])[] = [
    ["checking", ["check", source]], ["compacting", ["compact", "-o", tempPath("bars-compact.db"), source]], ["copying", ["backup", source, tempPath("bars-backup.db")]],
    ["exporting", ["export", source, "-o", lines]], ["importing", ["import", tempPath("bars-import.db"), lines]], ["salvaging", ["surgery", "salvage", source, tempPath("bars-salvage.db")]],
  ];
  for (const [label, argv] of commands) {
    const written: string[] = [];
    const output = (isTerminal: boolean): Output => ({ isTerminal, columns: 80, write: (data) => { written.push(String(data)); }, flush: () => undefined });
    const status = await run(argv, { stdout: output(false), stderr: output(true), env: {}, signal: new AbortController().signal, readInput: () => 0, temporary: () => undefined });
    assert.equal(status, 0, label);
    const bars = written.filter((text) => text.startsWith(`\r\x1b[K${label} `));
    assert.ok(bars.length > 0, `${label}: ${JSON.stringify(written)}`);
    for (const bar of bars) assert.match(bar, /[█░]{30} +\d+ %$/);
    const last = written.findLastIndex((text) => text.includes("%"));
    assert.equal(written[last + 1], "\r\x1b[K", label);
    assert.ok(written.slice(last + 2).every((text) => !text.includes("\r")), label);
  }
  for (const argv of [["check", source], ["compact", "-o", tempPath("bars-pipe.db"), source]]) assert.equal((await here(argv)).stderr, "");
});

test("the program can be started by its name", () => {
  const program = fileURLToPath(new URL("../../engine/cli/main.js", import.meta.url));
  assert.ok(readFileSync(program, "utf8").startsWith("#!/usr/bin/env node\n"));
  assert.ok(statSync(program).isFile());
});

test("images is the image store's own command", () => {
  assert.match(output(["images", "--help"]), /hexbolt images COMMAND/);
  assert.match(output(["images", "namespaces", fixtureOriginal("containerd-meta")]), /\S/);
});
