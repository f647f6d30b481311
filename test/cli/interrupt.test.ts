/** Ctrl-C, SIGTERM and a terminal that closes, once or twice, at any moment of a command that makes a file: the file is there whole or not at all, and nothing else is left. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { open } from "../../engine/index.js";
import { Random, seedOfRun } from "../support/random.js";
import { tempPath } from "../support/temp.js";
import { outputHere, start, startWithInput } from "./command.js";

const seed = seedOfRun();
console.log(`# seed ${seed}`);
const STATUSES: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
const TRIES = 3;
/** How long after the temporary file has appeared the signal comes, at most; half of the time it comes at once. */
const SPREAD_MS = 300;

const folder = tempPath("interrupted");
mkdirSync(folder);
const source = join(folder, "source.db");
/** As long as a name may be, less the room that a shorter temporary name would leave. */
const target = join(folder, "new".padEnd(243, "-"));

function fillSource(): void {
  const db = open(source, { noSync: true });
  for (let round = 0; round < 8; round++) {
    db.update((tx) => {
      const bucket = tx.createBucketIfNotExists("b");
      for (let i = 0; i < 8000; i++) bucket.put(`key ${(i * 7919) % 64_000 + round}`, Buffer.alloc(120, round));
    });
  }
  db.close();
}

/** @param againMs sends the signal a second time so much later, as timeout(1) does: to the process, and to its group */
async function interrupt(argv: readonly string[], signal: NodeJS.Signals, afterMs: number, againMs: number | undefined): Promise<number | undefined> {
  const child = start(argv);
  const ended = new Promise<{ readonly status: number | null; readonly by: NodeJS.Signals | null }>((resolve) => child.on("close", (status, by) => resolve({ status, by })));
  while (child.exitCode === null && readdirSync(folder).length <= 2) await sleep(2);
  await sleep(afterMs);
  child.kill(signal);
  if (againMs !== undefined) {
    await sleep(againMs);
    child.kill(signal);
  }
  const { by, status } = await ended;
  // When the work is done nobody listens any more, and in the last moment the system may end the process: with the same status to a shell.
  return by === null ? status ?? undefined : STATUSES[by];
}

test("a signal leaves a whole file or none", { timeout: 600_000 }, async () => {
  const random = new Random(seed);
  fillSource();
  const lines = join(folder, "lines");
  await outputHere(["export", source, "-o", lines]);
  const before = readFileSync(source);
  const commands: readonly (readonly string[])[] = [
    ["compact", "-o", target, source], ["backup", source, target], ["export", source, "-o", target], ["import", target, lines],
    ["surgery", "salvage", source, target], ["surgery", "freelist", "abandon", source, "--output", target],
  ];
  let interrupted = 0;
  for (const argv of commands) {
    for (let i = 0; i < TRIES; i++) {
      const signal = random.pick(["SIGINT", "SIGTERM", "SIGHUP"] as const);
      const againMs = i === 0 ? undefined : random.below(5);
      const label = `SEED=${seed}, ${argv.slice(0, 2).join(" ")}, ${signal}, again after ${String(againMs)} ms, try ${i}`;
      const status = await interrupt(argv, signal, random.below(2) === 0 ? 0 : random.below(SPREAD_MS), againMs);
      assert.ok(status === 0 || status === STATUSES[signal], `${label}: status ${String(status)}`);
      if (status !== 0) interrupted++;
      // The name may have been given in the moment before the signal was heard.
      assert.ok(status !== 0 || existsSync(target), label);
      if (existsSync(target) && argv[0] !== "export") assert.equal(await outputHere(["check", target]), "OK\n", label);
      if (existsSync(target) && argv[0] === "export") assert.equal(statSync(target).size, statSync(lines).size, label);
      rmSync(target, { force: true });
      assert.deepEqual(readdirSync(folder).sort(), ["lines", "source.db"], label);
      assert.ok(readFileSync(source).equals(before), `${label}: the original was changed`);
    }
  }
  console.log(`# ${interrupted} of ${commands.length * TRIES} interrupted`);
  assert.ok(interrupted > 0, "no command was interrupted");
});

test("a signal ends a command that waits for its input, and leaves nothing of what it had begun", { timeout: 60_000, skip: process.platform === "win32" ? "no such signals there" : false }, async () => {
  const child = startWithInput(["import", target]);
  const ended = new Promise<number | undefined>((resolve) => child.on("close", (status, by) => resolve(by === null ? status ?? undefined : STATUSES[by])));
  child.stdin.write('{"hexbolt":1,"pageSize":4096}\n{"bucket":["b"]}\n');
  while (!readdirSync(folder).some((name) => name.endsWith(".tmp"))) await sleep(5);
  child.kill("SIGINT");
  assert.equal(await ended, STATUSES["SIGINT"]);
  assert.deepEqual(readdirSync(folder).filter((name) => name.startsWith("new")), []);
});
