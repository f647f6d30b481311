/**
 * `hexbolt shrink`: makes a database file smaller where it is. Works in steps, each some ordinary transactions, so it can be ended after any of
 * them and goes on from there the next time; a crash in the middle leaves a whole database.
 *
 * It checks the file first: where free pages are pages in use, what moves there destroys them, and there is no other copy.
 */
import { setImmediate } from "node:timers/promises";
import { checkFile, isOfLeak } from "./check.js";
import { EXIT_OK, Failure, UsageError, type Command } from "./command.js";
import { tellGain } from "./compact.js";
import type { Io } from "./io.js";
import { holdLock, openForWriting, requireDatabase, viewRaw } from "./open-file.js";
import { freeSet } from "./pages.js";
import { Progress } from "./terminal.js";
import type { DB } from "../index.js";

/** How long one step takes: so long Ctrl-C waits, and so often the bar moves. */
const STEP_MS = 500;
/** Steps in a row that gain nothing, after which there is nothing more to gain. */
const MAX_IDLE_STEPS = 3;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Reads a time such as 500ms, 30s, 5m or 1h; a number alone is seconds. @throws UsageError */
export function parseMilliseconds(text: string, what: string): number {
  const [, digits = "", unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  const value = digits === "" ? NaN : Number(digits) * (UNITS[unit] ?? 1000);
  if (!Number.isFinite(value)) throw new UsageError(`${what} must be a time such as 500ms, 30s, 5m or 1h, or a number of seconds, got ${JSON.stringify(text)}`);
  return value;
}

/** Problems that an error names. */
const PROBLEMS_SHOWN = 5;

/** @throws Failure CORRUPT for a file that shrinking could destroy; IN_USE */
function requireSound(io: Io, path: string): void {
  const shown: string[] = [];
  let count = 0;
  const { lock } = holdLock(io, path, "refuse");
  try {
    checkFile(io, path, undefined, (line) => {
      // A page that nobody uses and no freelist names only stays where it is.
      if (isOfLeak(line)) return;
      count++;
      if (shown.length < PROBLEMS_SHOWN) shown.push(line);
    });
  } finally {
    lock?.close();
  }
  if (count === 0) return;
  throw new Failure(
    "CORRUPT", `${shown.join("; ")}${count > shown.length ? "; and more" : ""} (shrinking could destroy what can still be read: the file was left as it is)`,
    "if only free pages are wrong, `hexbolt surgery freelist abandon` and then `rebuild` mend that, or `hexbolt compact` makes a copy that is small; otherwise `hexbolt surgery salvage` saves what is left",
  );
}

interface Shrunk {
  readonly movedPages: number;
  readonly done: boolean;
}

/** Shrinks step by step until nothing is left to gain, the time is over or the user wants it to end. */
async function shrink(db: DB, budgetMs: number, signal: AbortSignal, moved: (pageCount: number) => void): Promise<Shrunk> {
  const deadline = performance.now() + budgetMs;
  let movedPages = 0;
  for (let idleSteps = 0; ;) {
    const step = db.shrink({ budgetMs: Math.max(0, Math.min(STEP_MS, deadline - performance.now())) });
    movedPages += step.movedPageCount;
    moved(movedPages);
    idleSteps = step.movedPageCount === 0 && step.sizeAfter === step.sizeBefore ? idleSteps + 1 : 0;
    if (step.isDone || idleSteps === MAX_IDLE_STEPS) return { movedPages, done: true };
    // A signal is heard between two steps only: the engine works synchronously.
    await setImmediate();
    if (signal.aborted || performance.now() >= deadline) return { movedPages, done: false };
  }
}

/** Pages in use that lie where the file would end if it had no free ones: those that have to move. */
function pagesToMove(io: Io, path: string): number {
  return viewRaw(io, path, "refuse", (file) => {
    const meta = file.activeMeta();
    const free = freeSet(file, meta);
    let freeCount = 0;
    for (let pgid = 2; pgid < meta.highWaterMark; pgid++) if (free.has(pgid)) freeCount++;
    let count = 0;
    for (let pgid = meta.highWaterMark - freeCount; pgid < meta.highWaterMark; pgid++) if (!free.has(pgid)) count++;
    return count;
  });
}

/** The command. */
export const shrinkCommand: Command = {
  name: "shrink", summary: "make a database smaller where it is", usage: "FILE",
  details: "Moves pages from the end of the file into free ones further down, in ordinary transactions, and cuts the file behind the rest.\n"
    + "Needs no room for a copy; the file must not be in use. Ctrl-C or the end of the budget stops it after a step, and the next run goes on.\n"
    + "Checks the file first, which neither the budget nor Ctrl-C ends early, and refuses one that is not sound.\n"
    + "`hexbolt compact` writes the smallest possible file.",
  example: "hexbolt shrink app.db --budget 30s",
  options: [
    { name: "budget", value: "TIME", help: "stop after this time: 500ms, 30s, 5m or 1h; a number alone is seconds; default: when it is done" },
    { name: "no-check", help: "do not check the file first: for one that was checked" },
  ],
  minimum: 1, maximum: 1,
  run: async (args, io) => {
    const path = args.at(0);
    const budget = args.text("budget");
    const budgetMs = budget === undefined ? Infinity : parseMilliseconds(budget, "--budget");
    const before = requireDatabase(path);
    if (!args.has("no-check")) requireSound(io, path);
    const progress = new Progress(io, "shrinking", io.stderr.isTerminal ? pagesToMove(io, path) : 0);
    const db = openForWriting(path);
    let shrunk: Shrunk;
    try {
      shrunk = await shrink(db, budgetMs, io.signal, (pageCount) => progress.show(pageCount));
    } finally {
      progress.end();
      db.close();
    }
    tellGain(args, io, before, path, shrunk);
    if (!shrunk.done && !args.json) io.stderr.write("hexbolt: more may be gained: run it again to go on\n");
    return EXIT_OK;
  },
};
