/** `hexbolt check`: is the database sound? One line a problem, in bbolt's words. */
import { BoltError, open, type DB } from "../index.js";
import { CheckStorage } from "./check-storage.js";
import { EXIT_FAILED, EXIT_OK, Failure, type Command } from "./command.js";
import { textOrHex } from "./go-text.js";
import { writeJson, type Io } from "./io.js";
import { holdLock, plainly, readRaw, requireDatabase, untilCurrent, usedSize } from "./open-file.js";
import { paintFor, Progress } from "./terminal.js";

/** Keys in lines of the check are in hexadecimal; bbolt's command prints those that are text as text. */
function withReadableKeys(line: string): string {
  if (!line.includes("(hex)") && !line.includes("in the ancestor")) return line;
  const text = (digits: string): string => textOrHex(Buffer.from(digits, "hex"));
  return line
    .replace(/\(hex\)((?:[0-9a-f]{2})*)(?![0-9a-f])/g, (_, digits: string) => `(hex)${text(digits)}`)
    .replace(/the key in the ancestor \(((?:[0-9a-f]{2})*)\)/, (_, digits: string) => `the key in the ancestor (${text(digits)})`);
}

/** Says whether a line of the check is of a page that nothing leads to and that is not free: it takes up room, and harms nothing. */
export function isOfLeak(line: string): boolean {
  return line.endsWith(": unreachable unfreed");
}

/**
 * Checks a file.
 * @param fromPage checks what this page reaches alone; undefined: all of it
 * @param found told of each problem; of a file that is read live only once the check has come to its end
 * @param takesLock false reads live in any case, so that nobody who wants to write is kept out meanwhile
 * @returns how many problems there are
 */
export function checkFile(io: Io, path: string, fromPage: number | undefined, found: (line: string) => void, takesLock = true): number {
  requireDatabase(path);
  const { lock, isLive } = takesLock ? holdLock(io, path, "live") : { lock: undefined, isLive: true };
  const progress = new Progress(io, "checking", usedSize(path));
  try {
    return untilCurrent(isLive, () => {
      const lines: string[] = [];
      const count = checkOnce(path, isLive, fromPage, isLive ? (line) => lines.push(line) : found, (byteCount) => progress.show(byteCount));
      for (const line of lines) found(line);
      return count;
    });
  } finally {
    progress.end();
    lock?.close();
  }
}

function checkOnce(path: string, isLive: boolean, fromPage: number | undefined, found: (line: string) => void, progress: (byteCount: number) => void): number {
  const storage = new CheckStorage(path, progress);
  if (fromPage !== undefined) pretend(storage, path, fromPage);
  let db: DB;
  try {
    db = open(path, { readOnly: true, storage, lock: isLive ? "none" : "flock" });
  } catch (error) {
    // So broken that it cannot be opened: that is a finding, and there is no tree to look for others in.
    if (!(error instanceof BoltError) || error.code !== "CORRUPT") throw plainly(error, path);
    found(error.message);
    return 1;
  }
  const tx = db.begin();
  try {
    let count = 0;
    for (const line of tx.check()) {
      // Seen from one page, all others are unreachable: that is no fault of theirs.
      if (fromPage !== undefined && isOfLeak(line)) continue;
      count++;
      found(withReadableKeys(line));
    }
    return count;
  } finally {
    tx.rollback();
    db.close();
  }
}

/** Tells what no check of bbolt's looks at: with one meta page gone the state before is a sound database. */
function tellInvalidMetas(io: Io, path: string): void {
  readRaw(path, false, (file) => {
    const [valid] = file.validMetas();
    if (valid !== undefined) for (const line of file.metaProblems()) io.stderr.write(`hexbolt: ${line}: transaction ${valid.meta.txid} was checked\n`);
  });
}

function pretend(storage: CheckStorage, path: string, fromPage: number): void {
  const meta = readRaw(path, false, (file) => file.activeMeta());
  const { highWaterMark } = meta;
  if (fromPage < 2 || fromPage >= highWaterMark) throw new Failure("OUT_OF_RANGE", `page ID (${fromPage}) out of range [2, ${highWaterMark})`);
  storage.pretendRoot(meta, fromPage);
}

/** The command. */
export const checkCommand: Command = {
  name: "check", summary: "verify that a database is sound", usage: "FILE",
  details: "Looks at every page that can be reached: references, overflow, the order of keys, the freelist. Exit status 1 when anything is wrong.\nA sound file that misbehaves elsewhere: compare `hexbolt pages` and `hexbolt stats`. A broken one: `hexbolt surgery salvage`.",
  example: "hexbolt check app.db",
  options: [{ name: "from-page", value: "ID", help: "check only what this page reaches" }],
  minimum: 1, maximum: 1, statusOfCutOutput: EXIT_FAILED,
  run: (args, io) => {
    const paint = paintFor(io.stdout, io.env);
    const fromPage = args.integer("from-page", 0);
    const count = checkFile(io, args.at(0), fromPage === 0 ? undefined : fromPage, (line) => {
      if (args.json) writeJson(io.stdout, { problem: line });
      else io.stdout.write(`${paint.bad(line)}\n`);
    });
    tellInvalidMetas(io, args.at(0));
    if (args.json) writeJson(io.stdout, { ok: count === 0, problems: count });
    else if (count === 0) io.stdout.write(`${paint.good("OK")}\n`);
    else io.stdout.write(`${paint.bad(`${count} errors found`)}\ninvalid value\n`);
    return count === 0 ? EXIT_OK : EXIT_FAILED;
  },
};
