/** What the program's main thread and the thread beside it have in common: how a command line is run on the real streams, and what they tell each other. */
import { ClosedPipe, DescriptorOutput, readStandardInput, type Io } from "./io.js";
import { reportError, run } from "./run.js";

/** What the thread tells: a temporary file is about to be made, or the end. */
export type Message =
  | { readonly kind: "temporary"; readonly path: string }
  | { readonly kind: "end"; readonly status: number };

/** What the thread needs to know of the main one: only there the streams know whether they are terminals. */
export interface Setting {
  readonly argv: readonly string[];
  readonly outputIsTerminal: boolean;
  readonly errorIsTerminal: boolean;
  readonly columns: number;
}

function makeIo(setting: Setting, signal: AbortSignal, temporary: Io["temporary"]): Io & { readonly stdout: DescriptorOutput } {
  return {
    stdout: new DescriptorOutput(1, setting.outputIsTerminal, setting.columns, false),
    stderr: new DescriptorOutput(2, setting.errorIsTerminal, setting.columns, true),
    env: process.env,
    signal,
    readInput: readStandardInput,
    temporary,
  };
}

/** Runs a command line on the streams of the process. @returns the exit status */
export async function runHere(setting: Setting, signal: AbortSignal, temporary: Io["temporary"]): Promise<number> {
  const io = makeIo(setting, signal, temporary);
  const status = await run(setting.argv, io);
  try {
    io.stdout.flush();
    return status;
  } catch (error) {
    // Where the reader has gone, nobody is left to tell.
    return error instanceof ClosedPipe ? status : reportError(error, undefined, setting.argv, io);
  }
}

/** Tells a recovery while opening in the command's own way; Node's form would name a process id and a flag of its own. */
export function tellWarnings(): void {
  process.removeAllListeners("warning");
  process.on("warning", (warning: Error & { readonly code?: string }) => {
    if (warning.code?.startsWith("HEXBOLT_") === true) process.stderr.write(`hexbolt: ${warning.message}\n`);
  });
}
