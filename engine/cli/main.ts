#!/usr/bin/env node
/**
 * The program `hexbolt`. A command that makes a file runs in a thread of its own: the engine works synchronously, and only a thread that
 * has nothing else to do can hear Ctrl-C at once, end the work and remove the half file.
 */
import { constants } from "node:os";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { DescriptorOutput, readStandardInput, type Io } from "./io.js";
import { removeTemporary } from "./new-file.js";
import { findCommand, run } from "./run.js";
import { CLEAR_LINE } from "./terminal.js";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const EXIT_SIGNAL = 128;

/** What the thread tells: a temporary file is about to be made, or the end. */
type Message =
  | { readonly kind: "temporary"; readonly path: string }
  | { readonly kind: "end"; readonly status: number };

/** What the thread needs to know of the main one: only there the streams know whether they are terminals. */
interface Setting {
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

async function runHere(setting: Setting, signal: AbortSignal, temporary: Io["temporary"]): Promise<number> {
  const io = makeIo(setting, signal, temporary);
  const status = await run(setting.argv, io);
  try {
    io.stdout.flush();
  } catch {
    // The reader has gone: nobody is left to tell.
  }
  return status;
}

function exitStatusOf(signal: (typeof SIGNALS)[number]): number {
  return EXIT_SIGNAL + constants.signals[signal];
}

/** Runs a command in a thread and cleans up when a signal comes. */
function runInThread(setting: Setting): Promise<number> {
  const temporaries: string[] = [];
  const worker = new Worker(new URL(import.meta.url), { workerData: setting, stdin: false });
  return new Promise((resolve, reject) => {
    worker.on("message", (message: Message) => {
      if (message.kind === "end") resolve(message.status);
      else temporaries.push(message.path);
    });
    worker.on("error", reject);
    for (const signal of SIGNALS) process.once(signal, () => {
      // One turn of the loop first: the thread names a file before it makes it, and that message may still be on its way.
      setImmediate(() => void worker.terminate().then(() => {
        if (setting.errorIsTerminal) process.stderr.write(CLEAR_LINE);
        for (const path of temporaries) removeTemporary(path);
        process.exit(exitStatusOf(signal));
      }));
    });
  });
}

/** Commands that a signal ends in order: servers, and what works in steps. Others it ends at once. */
const SERVERS: readonly string[] = ["view", "images"];
const STEPWISE: readonly string[] = ["shrink"];

/** Runs a command in the main thread. */
async function runInMain(setting: Setting): Promise<number> {
  const controller = new AbortController();
  const [name = ""] = setting.argv;
  let received: (typeof SIGNALS)[number] | undefined;
  if (SERVERS.includes(name) || STEPWISE.includes(name)) for (const signal of SIGNALS) process.once(signal, () => {
    received = signal;
    controller.abort();
  });
  const status = await runHere(setting, controller.signal, () => undefined);
  return received !== undefined && STEPWISE.includes(name) ? exitStatusOf(received) : status;
}

// A recovery while opening is told in the command's own way; Node's form would name a process id and a flag of its own.
process.removeAllListeners("warning");
process.on("warning", (warning: Error & { readonly code?: string }) => {
  if (warning.code?.startsWith("HEXBOLT_") === true) process.stderr.write(`hexbolt: ${warning.message}\n`);
});

if (isMainThread) {
  const setting: Setting = {
    argv: process.argv.slice(2),
    outputIsTerminal: process.stdout.isTTY === true,
    errorIsTerminal: process.stderr.isTTY === true,
    columns: process.stdout.columns ?? 80,
  };
  process.exitCode = await (findCommand(setting.argv)?.command.makesFile === true ? runInThread(setting) : runInMain(setting));
} else {
  const port = parentPort!;
  const send = (message: Message): void => port.postMessage(message);
  const status = await runHere(workerData as Setting, new AbortController().signal, (path) => send({ kind: "temporary", path }));
  send({ kind: "end", status });
}
