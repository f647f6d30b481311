/**
 * Runs the `hexbolt` command: as its users do, as a program of its own, or in the test's own process, which takes a tenth of the time and leaves
 * out only what main.ts does (signals, threads, the descriptors).
 */
import { spawn, spawnSync, type ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { MemoryOutput } from "../../engine/cli/io.js";
import { run } from "../../engine/cli/run.js";

const PROGRAM = fileURLToPath(new URL("../../engine/cli/main.js", import.meta.url));
const TIME_LIMIT_MS = 60_000;

/** What a run gave. */
export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly bytes: Buffer;
}

/** Runs a command to its end. */
export function hexbolt(argv: readonly string[], input: string | Uint8Array = "", env: Readonly<Record<string, string>> = {}): Run {
  const run = spawnSync(process.execPath, [PROGRAM, ...argv], { input, env: { ...process.env, ...env }, timeout: TIME_LIMIT_MS, maxBuffer: 1 << 28 });
  return { status: run.status, stdout: run.stdout.toString("utf8"), stderr: run.stderr.toString("utf8"), bytes: run.stdout };
}

/** Runs a command that must end well and gives its output. */
export function output(argv: readonly string[], input: string | Uint8Array = ""): string {
  const { status, stderr, stdout } = hexbolt(argv, input);
  if (status !== 0) throw new Error(`hexbolt ${argv.join(" ")}: exit status ${String(status)}\n${stderr}${stdout.slice(0, 2000)}`);
  return stdout;
}

/** Runs a command in this process. */
export async function here(argv: readonly string[], input: string | Uint8Array = ""): Promise<Run> {
  const [stdout, stderr] = [new MemoryOutput(), new MemoryOutput()];
  let rest: Uint8Array = typeof input === "string" ? Buffer.from(input) : input;
  const readInput = (target: Uint8Array): number => {
    const part = rest.subarray(0, target.length);
    target.set(part);
    rest = rest.subarray(part.length);
    return part.length;
  };
  const status = await run(argv, { stdout, stderr, env: {}, signal: new AbortController().signal, readInput, temporary: () => undefined });
  return { status, stdout: stdout.bytes().toString("utf8"), stderr: stderr.bytes().toString("utf8"), bytes: stdout.bytes() };
}

/** Runs a command in this process that must end well and gives its output. */
export async function outputHere(argv: readonly string[], input: string | Uint8Array = ""): Promise<string> {
  const { status, stderr, stdout } = await here(argv, input);
  if (status !== 0) throw new Error(`hexbolt ${argv.join(" ")}: exit status ${String(status)}\n${stderr}${stdout.slice(0, 2000)}`);
  return stdout;
}

/** The JSON values of the lines that a command writes, run in this process. */
export async function jsonLinesHere(argv: readonly string[]): Promise<unknown[]> {
  const text = await outputHere([...argv, "--json"]);
  return text.trimEnd().split("\n").map((line) => JSON.parse(line) as unknown);
}

/** Starts a command that runs on. */
export function start(argv: readonly string[]): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, [PROGRAM, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
}

/** Starts a command that is given its input piece by piece. */
export function startWithInput(argv: readonly string[]): ChildProcessByStdio<Writable, Readable, Readable> {
  return spawn(process.execPath, [PROGRAM, ...argv], { stdio: ["pipe", "pipe", "pipe"] });
}
