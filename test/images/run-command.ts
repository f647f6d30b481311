/** Runs `hexbolt images` in this process, and gathers what it says. */
import { imagesCommand } from "../../images/cli.js";

/** What a command line came to. */
export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** A digest of one letter. */
export const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;

/** Runs a command line without an environment. */
export async function run(...args: string[]): Promise<Outcome> {
  return runWith({}, ...args);
}

/** Runs a command line. */
export async function runWith(env: Record<string, string>, ...args: string[]): Promise<Outcome> {
  return runOn(false, env, ...args);
}

/** Runs a command line whose results go to a terminal. */
export async function runOnTerminal(...args: string[]): Promise<Outcome> {
  return runOn(true, {}, ...args);
}

async function runOn(isTerminal: boolean, env: Record<string, string>, ...args: string[]): Promise<Outcome> {
  let out = "";
  let err = "";
  const stdout = { isTerminal, write: (text: string): void => { out += text; } };
  // Ends `serve` soon after it has begun.
  const signal = AbortSignal.timeout(20);
  const status = await imagesCommand(args, { stdout, stderr: { write: (text: string): void => { err += text; } }, env, signal });
  return { status, out, err };
}

/** Puts an image of 506 bytes. */
export const put = (target: string, name: string, ...more: string[]): Promise<Outcome> =>
  run("put", target, name, "--digest", digest("a"), "--size", "506", ...more);
