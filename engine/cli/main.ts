#!/usr/bin/env node
/**
 * The program `hexbolt`. A command that makes a file runs in a thread of its own: the engine works synchronously, and only a thread that
 * has nothing else to do can hear Ctrl-C at once, end the work and remove the half file.
 */
import { constants } from "node:os";
import { removeTemporary } from "./new-file.js";
import { runHere, tellWarnings, type Message, type Setting } from "./program.js";
import { findCommand } from "./run.js";
import { CLEAR_LINE } from "./terminal.js";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const EXIT_SIGNAL = 128;
const PATIENCE_MS = 500;

function exitStatusOf(signal: (typeof SIGNALS)[number]): number {
  return EXIT_SIGNAL + constants.signals[signal];
}

/** Runs a command in a thread and cleans up when a signal comes. */
async function runInThread(setting: Setting): Promise<number> {
  // The other commands need no threads, and a start without them is two milliseconds shorter.
  const { Worker } = await import("node:worker_threads");
  const temporaries: string[] = [];
  const worker = new Worker(new URL("./thread.js", import.meta.url), { workerData: setting, stdin: false });
  return new Promise((resolve, reject) => {
    worker.on("message", (message: Message) => {
      if (message.kind === "end") resolve(message.status);
      else temporaries.push(message.path);
    });
    worker.on("error", reject);
    const end = (finish: () => void): void => {
      if (setting.errorIsTerminal) process.stderr.write(CLEAR_LINE);
      for (const path of temporaries) removeTemporary(path);
      finish();
    };
    let isEnding = false;
    for (const signal of SIGNALS) process.on(signal, () => {
      // Those that follow are no other wish: timeout(1) sends the process one and its group another, a user presses Ctrl-C twice.
      if (isEnding) return;
      isEnding = true;
      // One turn of the loop first: the thread names a file before it makes it, and that message may still be on its way.
      setImmediate(() => void worker.terminate().then(() => end(() => process.exit(exitStatusOf(signal)))));
      // A thread that waits in a system call, for its input say, does not end before that, nor does a process that exits: the signal itself ends both.
      setTimeout(() => end(() => {
        process.removeAllListeners(signal);
        process.kill(process.pid, signal);
      }), PATIENCE_MS);
    });
  });
}

/** Commands that a signal ends in order: servers, and what works in steps. Others it ends at once. */
function isServer([name, ...words]: readonly string[]): boolean {
  return name === "view" || (name === "images" && words.includes("serve"));
}

const STEPWISE: readonly string[] = ["shrink"];

/** Runs a command in the main thread. */
async function runInMain(setting: Setting): Promise<number> {
  const controller = new AbortController();
  const [name = ""] = setting.argv;
  let received: (typeof SIGNALS)[number] | undefined;
  let receivedAt = 0;
  if (isServer(setting.argv) || STEPWISE.includes(name)) for (const signal of SIGNALS) process.on(signal, () => {
    // One that follows at once belongs to the first; who sends one later does not want to wait for the end.
    if (received !== undefined && performance.now() - receivedAt > PATIENCE_MS) process.exit(exitStatusOf(signal));
    received ??= signal;
    receivedAt ||= performance.now();
    controller.abort();
  });
  const status = await runHere(setting, controller.signal, () => undefined);
  return received !== undefined && STEPWISE.includes(name) ? exitStatusOf(received) : status;
}

tellWarnings();
const setting: Setting = {
  argv: process.argv.slice(2),
  outputIsTerminal: process.stdout.isTTY === true,
  errorIsTerminal: process.stderr.isTTY === true,
  columns: process.stdout.columns ?? 80,
};
process.exitCode = await ((await findCommand(setting.argv))?.command.makesFile === true ? runInThread(setting) : runInMain(setting));
