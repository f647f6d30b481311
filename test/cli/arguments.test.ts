/**
 * Random and mutated command lines: whatever stands on one, the command ends with a documented status, says what is wrong and what to do about
 * it, shows no stack trace, and changes no file that it was not asked to change.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { optionsOf, parseArguments, type Arguments } from "../../engine/cli/args.js";
import { UsageError, type Command } from "../../engine/cli/command.js";
import { allCommands } from "../../engine/cli/commands.js";
import { MemoryOutput } from "../../engine/cli/io.js";
import { commandAmong, run } from "../../engine/cli/run.js";
import { open } from "../../engine/index.js";
import { contentOf } from "../support/content.js";
import { fixtureOriginal } from "../support/fixtures.js";
import { Random, seedOfRun } from "../support/random.js";
import { tempFolder } from "../support/temp.js";
import { hexbolt } from "./command.js";

const COMMANDS = await allCommands();

const seed = seedOfRun();
console.log(`# seed ${seed}`);
const RUNS = Number(process.env["ARGUMENT_RUNS"] ?? 350);

const FILES = ["app.db", "other.db", "damaged.db", "no-meta.db", "empty", "text.txt", "app.jsonl", "bad.jsonl", "closed.db"];
const PATHS = [
  ...FILES, "folder", "folder/inside.db", "missing.db", "ap.db", "app.db/below", "no-folder/new.db", "dangling", "loop", "pipe", "new.db", "näme.db", "-dash.db", "", ".", "/dev/null", "x".repeat(300),
];
const NAMES = ["users", "usres", "nested", "alice", "key", "", " ", "ÿ", "\u{1f600}", "a\nb", "\\x00", "__proto__", "constructor", "00ff", "0", "k".repeat(40_000)];
const NUMBERS = ["0", "1", "2", "3", "7", "-1", "-0", "+3", "1.5", "0x10", "1e9", "65535", "65536", "4294967296", "9007199254740991", "9007199254740993", "18446744073709551615", "9".repeat(400), "NaN", "Infinity", "٣", " 4"];
const WORDS = ["--", "-", "--json", "-json", "--json=false", "--json=1", "--help", "-h", "--=x", "---", "-o", "--output", "--output=", "--output=new.db", "--format", "hex", "bytes", "redacted", "--parse-format", "--create", "--merge", "--bucket", "root:3", "root:x,:,", "\u0007"];

/** Commands that change the file they are given, and nothing else. */
const CHANGING = new Set(["put", "delete", "shrink", "import"]);

/** Arguments behind the file with which a command does its work. */
const GOOD_REST: Readonly<Record<string, readonly string[]>> = {
  keys: ["users"], get: ["users", "alice"], put: ["users", "alice", "2"], delete: ["users", "alice"], page: ["3"], "page-item": ["4", "0"], dump: ["3"], diff: ["other.db"], import: ["app.jsonl", "--merge"],
  compact: ["-o", "new.db"], backup: ["new.db"], "surgery copy-page": ["--from-page", "3", "--to-page", "4"], "surgery clear-page": ["--pageId", "3"],
};

/** Makes the files that the command lines speak of. */
function makeWorld(): string {
  const folder = mkdtempSync(join(tempFolder(), "world-"));
  const at = (name: string): string => join(folder, name);
  const db = open(at("app.db"));
  db.update((tx) => {
    const users = tx.createBucket("users");
    for (let i = 0; i < 300; i++) users.put(`key ${i}`, `value ${i}`.repeat(10));
    users.put("alice", "1");
    users.createBucket("nested").put("key", "1");
  });
  db.update((tx) => { for (let i = 0; i < 250; i++) tx.bucket("users")?.delete(`key ${i}`); });
  db.close();
  copyFileSync(at("app.db"), at("other.db"));
  copyFileSync(at("app.db"), at("closed.db"));
  chmodSync(at("closed.db"), 0o000);
  copyFileSync(fixtureOriginal("leaf-pos-outside"), at("damaged.db"));
  copyFileSync(fixtureOriginal("bad-both-checksums"), at("no-meta.db"));
  writeFileSync(at("empty"), "");
  writeFileSync(at("text.txt"), "no database\n".repeat(1000));
  writeFileSync(at("app.jsonl"), '{"hexbolt":1,"pageSize":4096}\n{"bucket":["b"],"key":"k","value":"v"}\n');
  writeFileSync(at("bad.jsonl"), '{"bucket":["b"],"key":"k","value":"v"}\n{"bucket":["b"],"key":7}\n');
  mkdirSync(at("folder"));
  symlinkSync("nowhere", at("dangling"));
  symlinkSync("loop", at("loop"));
  assert.equal(spawnSync("mkfifo", [at("pipe")]).status, 0);
  return folder;
}

/** What is in a folder: names, and of files what they hold. */
function stateOf(folder: string): Map<string, string> {
  const state = new Map<string, string>();
  // Not `recursive`: Bun would follow the links of this folder, one of which leads to itself.
  const folders = [folder];
  for (let at = folders.pop(); at !== undefined; at = folders.pop()) {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      const path = join(at, entry.name);
      const name = path.slice(folder.length + 1);
      if (entry.isDirectory()) folders.push(path);
      if (entry.isFile()) state.set(name, createHash("sha256").update(readFileSync(path)).digest("hex"));
      else state.set(name, entry.isSymbolicLink() ? `link to ${readlinkSync(path)}` : "other");
    }
  }
  return state;
}

/** The content of a sound database; undefined of anything else. */
function contentHash(path: string): string | undefined {
  try {
    const db = open(path, { readOnly: true });
    try {
      return db.view((tx) => contentOf(tx).sha256);
    } finally {
      db.close();
    }
  } catch {
    return undefined;
  }
}

/** A command line that may be good: the command with as many arguments as it takes, and some of its options. */
function likelyLine(command: Command, random: Random): string[] {
  const line = command.name.split(" ");
  if (random.below(3) === 0) {
    const output = command.name.startsWith("surgery") && command.options.some(({ name }) => name === "output") ? ["--output", "new.db"] : [];
    return command.maximum === 0 ? line : [...line, "app.db", ...(GOOD_REST[command.name] ?? []), ...output];
  }
  const count = command.minimum + random.below(Math.min(command.maximum, command.minimum + 2) - command.minimum + 1);
  for (let i = 0; i < count; i++) line.push(i === 0 ? random.pick(FILES) : random.pick([...NAMES, ...PATHS, ...NUMBERS]));
  for (const option of command.options) {
    if (random.below(3) > 0) continue;
    const value = option.choices !== undefined && random.below(4) > 0 ? random.pick(option.choices) : option.name === "output" ? "new.db" : random.pick([...NUMBERS, ...NAMES, ...PATHS]);
    line.push(`--${option.name}`, ...(option.value === undefined ? [] : [value]));
  }
  return line;
}

function mutate(line: string[], random: Random): string[] {
  const changed = [...line];
  const at = random.below(changed.length + 1);
  const strange = random.pick([...PATHS, ...NAMES, ...NUMBERS, ...WORDS, ...random.pick(COMMANDS).options.map(({ name }) => `--${name}`)]);
  switch (random.below(5)) {
    case 0: changed.splice(at, 1); break;
    case 1: changed.splice(at, 0, strange); break;
    case 2: changed.splice(at, 1, strange); break;
    case 3: {
      const word = changed[at] ?? "";
      const cut = random.below(word.length + 1);
      changed.splice(at, 1, word.slice(0, cut) + random.pick(["", "x", "=", "-", "7", " "]) + word.slice(cut + random.below(2)));
      break;
    }
    default: {
      const other = random.below(changed.length);
      [changed[other], changed[at % changed.length]] = [changed[at % changed.length] ?? "", changed[other] ?? ""];
    }
  }
  return changed;
}

function parsed(argv: readonly string[]): { readonly command: Command; readonly args: Arguments } | undefined {
  const found = commandAmong(COMMANDS, argv);
  if (found === undefined) return undefined;
  try {
    return { command: found.command, args: parseArguments(found.rest, found.command) };
  } catch (error) {
    assert.ok(error instanceof UsageError);
    return undefined;
  }
}

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function runLine(argv: readonly string[]): Promise<Outcome> {
  const [stdout, stderr] = [new MemoryOutput(), new MemoryOutput()];
  // A server would run on until somebody ends it: here somebody has.
  const status = await run(argv, { stdout, stderr, env: {}, signal: AbortSignal.abort(), readInput: () => 0, temporary: () => undefined });
  return { status, stdout: stdout.bytes().toString(), stderr: stderr.bytes().toString() };
}

function assertTold(argv: readonly string[], { status, stderr, stdout }: Outcome): void {
  const isAnswer = ["check", "diff"].includes(argv[0] ?? "") && status === 1 && stdout !== "" || argv[0] === "diff" && status === 1 && argv.some((word) => /^--?q/.test(word));
  assert.ok([0, 1, 2].includes(status), `status ${status}`);
  if (status !== 0 && !isAnswer) assert.ok(stderr.trim().length > 5, "no word on standard error");
  for (const text of [stderr, ...(status === 0 ? [] : [stdout])]) {
    assert.doesNotMatch(text, /^\s+at .*:\d+:\d+/m, "a stack trace");
    assert.doesNotMatch(text, /\bundefined\b|\[object |UNEXPECTED|fault of hexbolt/);
  }
  const isJson = argv.some((word) => /^--?json$/.test(word));
  if (status === 2 && !isJson) assert.match(stderr, /Try: hexbolt|Usage: hexbolt/);
  if (status === 1 && !isAnswer && isJson) assert.ok(stderr.split("\n").some((line) => line.startsWith('{"error":{"code":"')), stderr);
}

/** @param before the folder's state, and content of the file the command names */
function assertFilesKept(folder: string, argv: readonly string[], status: number, before: Map<string, string>, contentBefore: string | undefined): void {
  const after = stateOf(folder);
  const line = parsed(argv);
  const writes = line !== undefined && !line.args.has("help") && CHANGING.has(line.command.name) ? line.args.positionals[0] : undefined;
  for (const [name, hash] of before) {
    if (name !== writes) assert.equal(after.get(name), hash, `${name} was changed`);
    else if (status !== 0) assert.equal(contentHash(join(folder, name)), contentBefore, `${name} was changed by a command that failed`);
  }
  const added = [...after.keys()].filter((name) => !before.has(name));
  assert.ok(!added.some((name) => name.endsWith(".tmp")), `half files: ${added.join(" ")}`);
  if (status !== 0) assert.deepEqual(added, [], "a new file of a command that failed");
  const makes = line !== undefined && !line.args.has("help") && (line.command.makesFile === true || line.command.name === "put" || line.command.options.some(({ name }) => name === "output"));
  assert.ok(added.length <= (makes ? 1 : 0), `new files: ${added.join(" ")}`);
  if (line?.command.name === "put" && added.length === 1) assert.equal(added[0], writes);
}

async function tryLine(folder: string, argv: readonly string[]): Promise<Outcome> {
  const before = stateOf(folder);
  const file = parsed(argv)?.args.positionals[0];
  const contentBefore = file !== undefined && before.has(file) ? contentHash(join(folder, file)) : undefined;
  const outcome = await runLine(argv);
  assertTold(argv, outcome);
  assertFilesKept(folder, argv, outcome.status, before, contentBefore);
  return outcome;
}

/** `bench` measures for seconds when its line is good, and `view --write` is a server's matter: those have tests of their own. */
function tamed(argv: string[]): string[] {
  const name = commandAmong(COMMANDS, argv)?.command.name;
  // What these read may be a pipe, and a pipe is waited for.
  if (name === "import" || name === "put") return argv.map((word) => word.replace(/pipe$/, "empty"));
  return name === "bench" ? [...argv, "--count", "-1"] : argv;
}

test("mutated command lines end with a status and a message, and leave other files alone", async () => {
  const random = new Random(seed);
  const home = process.cwd();
  const counts = new Map<number, number>();
  const tried = new Set<string>();
  try {
    let folder = makeWorld();
    for (let i = 0; i < RUNS; i++) {
      if (i % 50 === 0) process.chdir(folder = makeWorld());
      const command = COMMANDS[i % COMMANDS.length]!;
      let argv = likelyLine(command, random);
      for (let mutations = random.below(4); mutations > 0; mutations--) argv = mutate(argv, random);
      if (argv[0] === "images" || argv.length === 0) continue;
      argv = tamed(argv);
      const shown = argv.map((word) => JSON.stringify(word.length > 60 ? `${word.slice(0, 60)}…` : word)).join(" ");
      const { status } = await tryLine(folder, argv).catch((error: unknown) => {
        throw new Error(`SEED=${seed}, run ${i}: hexbolt ${shown}\n${error instanceof Error ? error.stack : String(error)}`);
      });
      counts.set(status, (counts.get(status) ?? 0) + 1);
      if (status === 0) tried.add(commandAmong(COMMANDS, argv)?.command.name ?? "");
      rmSync(join(folder, "new.db"), { force: true });
    }
  } finally {
    process.chdir(home);
  }
  // Lines that are all refused at the door would test little.
  for (const status of [0, 1, 2]) assert.ok((counts.get(status) ?? 0) > RUNS / 25, `status ${status}: ${String(counts.get(status))} of ${RUNS}`);
  assert.ok(tried.size > COMMANDS.length / 3, [...tried].join(" "));
});

test("every command says which file it cannot use, and why", async () => {
  const folder = makeWorld();
  const home = process.cwd();
  process.chdir(folder);
  try {
    for (const command of COMMANDS.filter(({ usage }) => usage.includes("FILE"))) {
      for (const path of ["missing.db", "folder", "app.db/below", "dangling", "loop", "pipe", "/dev/null", ""]) {
        const rest: Readonly<Record<string, readonly string[]>> = { keys: ["b"], get: ["b", "k"], put: ["b", "k", "v"], delete: ["b", "k"], page: ["3"], "page-item": ["3", "0"], dump: ["3"], diff: ["app.db"] };
        const needed: Readonly<Record<string, readonly string[]>> = {
          "surgery copy-page": ["--from-page", "3", "--to-page", "4"], "surgery clear-page": ["--pageId", "3"], "surgery clear-page-elements": ["--pageId", "3", "--from-index", "0", "--to-index", "1"],
        };
        const output = command.options.some(({ name }) => name === "output") && command.name !== "export" ? ["--output", "new.db"] : [];
        const merge = command.name === "import" ? ["app.jsonl", "--merge"] : [];
        const argv = [...command.name.split(" "), path, ...(rest[command.name] ?? []), ...output, ...(needed[command.name] ?? []), ...merge];
        const { status, stderr } = await tryLine(folder, argv);
        assert.ok(status === 1 || status === 2, `${argv.join(" ")}: status ${status}`);
        if (path === "app.db/below") assert.match(stderr, /a part of the path is a file|already exists|no folder/);
        if (path === "loop") assert.match(stderr, /leads to itself/);
        const named = path === "" ? "path required" : basename(path);
        assert.ok(stderr.includes(named), `${argv.join(" ")}: ${stderr}`);
      }
    }
  } finally {
    process.chdir(home);
  }
});

test("numbers that are none, or too large, name the argument", async () => {
  const folder = makeWorld();
  const path = join(folder, "app.db");
  for (const command of COMMANDS) {
    for (const option of optionsOf(command).filter(({ value }) => value !== undefined && /^(?:N|ID|COUNT|BYTES|PORT|TIME)$/.test(value))) {
      for (const number of ["x", "", "-5", "9".repeat(30), "1e3"]) {
        const words = Array.from({ length: Math.min(command.minimum, 4) }, (_, i) => (i === 0 ? path : "3"));
        const { status, stderr } = await runLine([...command.name.split(" "), ...words, `--${option.name}`, number, "--output", join(folder, "new.db")].slice(0, command.options.some(({ name }) => name === "output") ? undefined : -2));
        if (option.name === "budget" && number === "9".repeat(30)) continue;
        assert.equal(status, 2, `${command.name} --${option.name} ${number}: ${stderr}`);
        assert.match(stderr, /number|time|required|needs|must/, `${command.name} --${option.name} ${number}`);
      }
    }
  }
});

test("the program itself ends so: a closed file, a folder, a pipe", () => {
  const folder = makeWorld();
  for (const [argv, expected] of [
    [["check", join(folder, "folder")], /is a folder/], [["compact", "-o", join(folder, "new.db"), join(folder, "pipe")], /no file/], [["backup", join(folder, "damaged.db"), join(folder, "new.db")], /\S/],
    [["import", join(folder, "new.db"), join(folder, "folder")], /is a folder/], [["import", join(folder, "new.db"), join(folder, "bad.jsonl")], /line 2/], [["export", join(folder, "text.txt"), "-o", join(folder, "new.db")], /invalid database/],
  ] as const) {
    const before = stateOf(folder);
    const { status, stderr } = hexbolt(argv);
    assert.equal(status, 1, argv.join(" "));
    assert.match(stderr, expected);
    assert.doesNotMatch(stderr, /^\s+at /m);
    assert.deepEqual(stateOf(folder), before);
  }
  assert.equal(statSync(join(folder, "closed.db")).mode & 0o777, 0);
});

test("what a command takes is said where it takes nothing, and where an option changes it", async () => {
  for (const name of ["version", "bench"]) assert.match((await runLine([name, "x"])).stderr, /too many arguments: it takes none\n/);
  for (const argv of [["delete", "--bucket"], ["delete", "app.db", "--bucket"]]) assert.match((await runLine(argv)).stderr, /not enough arguments: it takes FILE BUCKET\.\.\. KEY or --bucket FILE BUCKET\.\.\.\n/);
});
