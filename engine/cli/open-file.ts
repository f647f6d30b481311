/**
 * Opens the files that commands work on. Reading takes the shared lock, and reads live, without a lock, what another process writes; writing
 * takes the exclusive lock or refuses.
 */
import { readdirSync, readlinkSync, statSync, type Stats } from "node:fs";
import { basename, dirname } from "node:path";
import { systemCode } from "../base/errors.js";
import { BoltError, open, type DB, type ReadTx, type Tx } from "../index.js";
import { CheckStorage } from "./check-storage.js";
import { Failure, UsageError } from "./command.js";
import { visible } from "./go-text.js";
import { MemoryOutput, type Io, type Output } from "./io.js";
import { pageSizeFailure } from "./meta-fields.js";
import { RawFile } from "./raw-file.js";
import { didYouMean } from "./suggest.js";
import type { Progress } from "./terminal.js";

/** How long a command begins again when the writer of a file that is read live has moved on: a busy one pauses in some second out of many. */
const LIVE_PATIENCE_MS = 30_000;

/** The tries of one read of a file that somebody else may write. */
export class LiveTries {
  readonly #end: number;

  constructor(isLive: boolean, patienceMs: number = LIVE_PATIENCE_MS) {
    this.#end = isLive ? performance.now() + patienceMs : 0;
  }

  /** Returns when it is to be tried again; throws the error when not. */
  requireAnother(error: unknown): void {
    const isStale = error instanceof BoltError && error.code === "STALE_SNAPSHOT";
    if (!isStale || performance.now() >= this.#end) throw error;
  }
}

/** Does something again until the writer of a file that is read live has not moved on meanwhile. Any other error ends it. */
export function untilCurrent<T>(isLive: boolean, attempt: () => T, patienceMs?: number): T {
  for (const tries = new LiveTries(isLive, patienceMs); ;) {
    try {
      return attempt();
    } catch (error) {
      tries.requireAnother(error);
    }
  }
}

/**
 * Does something that writes. Of a file that is read live, what it writes is kept back until all of it is known to belong together; it may run more than once.
 * @param attempt gets the output, empty, each time that it asks
 */
export function writeCurrent<T>(io: Io, isLive: boolean, attempt: (begin: () => Output) => T): T {
  if (!isLive) return attempt(() => io.stdout);
  return untilCurrent(isLive, () => {
    let out = new MemoryOutput(io.stdout);
    const result = attempt(() => (out = new MemoryOutput(io.stdout)));
    io.stdout.write(out.bytes());
    return result;
  });
}

/** A database that is read, and whether somebody else may be writing it. */
export interface Reading {
  readonly db: DB;
  readonly isLive: boolean;
  /** Closes the database and gives up its lock. */
  close(): void;
}

/** @throws Failure NOT_FOUND, with what the name may have been meant for, unless there is a file */
export function requireFile(path: string): number {
  const stats = statsOf(path);
  if (stats === undefined) throw missing(path);
  if (stats.isDirectory()) throw new Failure("NOT_A_FILE", `${path} is a folder`, "name a database file");
  // A pipe would be waited for without end, and no other thing can be read at a place.
  if (!stats.isFile()) throw new Failure("NOT_A_FILE", `${path} is no file`, "a database must be a file on a disk");
  return stats.size;
}

/** Gives the bytes of a file that is not empty. The library makes a database of an empty one; somebody who mistyped a name has not asked for that. */
export function requireDatabase(path: string): number {
  const size = requireFile(path);
  if (size === 0) throw new Failure("EMPTY", `${path} is empty: no database`, "`hexbolt put --create` makes a database of it");
  return size;
}

/** What is at a path; undefined when nothing is. By `throwIfNoEntry` Node 22 says nothing, too, of a path below a file, where 20 says ENOTDIR. */
export function statsOf(path: string): Stats | undefined {
  if (path === "") throw new UsageError("path required");
  try {
    return statSync(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function missing(path: string): Failure {
  const link = linkAt(path);
  return new Failure("NOT_FOUND", `file not found: ${path}${link === undefined ? didYouMean(basename(path), neighbours(path)) : ` is a link to ${link}, which is not there`}`);
}

/** Where a symbolic link leads; undefined when there is none. */
function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function neighbours(path: string): string[] {
  try {
    return readdirSync(dirname(path));
  } catch {
    return [];
  }
}

/** Why a lock could not be had, when that is why the error came. */
function lockTrouble(error: unknown): "in use" | "no locks" | undefined {
  if (!(error instanceof BoltError)) return undefined;
  if (error.code === "TIMEOUT") return "in use";
  const cause = error.cause;
  return cause instanceof Error && "code" in cause && (cause.code === "LOCK_HELPER_MISSING" || cause.code === "LOCK_FAILED") ? "no locks" : undefined;
}

function readingOf(db: DB, isLive: boolean, lock?: DB): Reading {
  return {
    db, isLive,
    close: () => {
      db.close();
      lock?.close();
    },
  };
}

/** Opens a file for reading; to be closed. @param progress shown what was read so far */
export function openForReading(io: Io, path: string, progress?: Progress): Reading {
  requireDatabase(path);
  if (progress?.isVisible === true) return openCounted(io, path, progress);
  try {
    return readingOf(open(path, { readOnly: true }), false);
  } catch (error) {
    const trouble = lockTrouble(error);
    if (trouble === undefined) throw plainly(error, path);
    tellLive(io, path, trouble);
    return readingOf(open(path, { readOnly: true, lock: "none" }), true);
  }
}

/** Reads through a storage that counts; the lock is held beside it. */
function openCounted(io: Io, path: string, progress: Progress): Reading {
  const { lock, isLive } = holdLock(io, path, "live");
  try {
    const storage = new CheckStorage(path, (byteCount) => progress.show(byteCount));
    return readingOf(open(path, { readOnly: true, storage, lock: isLive ? "none" : "flock" }), isLive, lock);
  } catch (error) {
    lock?.close();
    throw plainly(error, path);
  }
}

/** Has an error of the library, or one in its place, say which file it is about; the command's other errors, and the system's, do so by themselves. */
export function named(error: unknown, path: string): unknown {
  const isNameless = error instanceof BoltError || (error instanceof Failure && error.code === "INVALID");
  if (isNameless && !error.message.startsWith(`${path}: `) && !error.message.includes(`'${path}'`)) error.message = `${path}: ${error.message}`;
  return error;
}

/** The codes of what is wrong with all of a file; what is wrong with a page is told in bbolt's words alone. */
const OF_WHOLE_FILE: readonly unknown[] = ["INVALID", "CHECKSUM", "VERSION_MISMATCH"];

/** Has an error name the file if it is one about the whole of it. */
export function namedWhole(error: unknown, path: string): unknown {
  return error instanceof Error && "code" in error && OF_WHOLE_FILE.includes(error.code) ? named(error, path) : error;
}

/** Says of a file that is no database why that is, where the command knows it better than the library. */
export function plainly(error: unknown, path: string): unknown {
  const better = error instanceof BoltError && error.code === "INVALID" ? readRaw(path, false, (file) => pageSizeFailure(file.metas[0])) : undefined;
  return namedWhole(better ?? error, path);
}

/** Bytes of the pages in use: what is read of a file by whoever reads all of it once. Of one that cannot tell, its size. */
export function usedSize(path: string): number {
  return readRaw(path, false, (file) => {
    try {
      const meta = file.activeMeta();
      return Math.min(file.size, (meta.highWaterMark - (file.freeIds(meta)?.length ?? 0)) * meta.pageSize);
    } catch (error) {
      if (error instanceof BoltError) return file.size;
      throw error;
    }
  });
}

function tellLive(io: Io, path: string, trouble: "in use" | "no locks"): void {
  const why = trouble === "in use" ? "is in use by another process" : "cannot be locked here";
  io.stderr.write(`hexbolt: ${visible(path)} ${why}; reading it live\n`);
}

/** Reads a database in one snapshot. @see writeCurrent */
export function viewFile<T>(io: Io, path: string, read: (tx: ReadTx, out: Output) => T, progress?: Progress): T {
  const reading = openForReading(io, path, progress);
  try {
    return writeCurrent(io, reading.isLive, (begin) => reading.db.view((tx) => read(tx, begin())));
  } finally {
    reading.close();
  }
}

/** @throws Failure unless there is something at `path` to read from its start to its end: a file, or a pipe. */
export function requireInput(path: string): void {
  const stats = statsOf(path);
  if (stats === undefined) throw missing(path);
  if (stats.isDirectory()) throw new Failure("NOT_A_FILE", `${path} is a folder`, "name a file, or - for the standard input");
}

/** Opens a file for writing; to be closed. @throws Failure IN_USE, NOT_FOUND, EMPTY */
export function openForWriting(path: string): DB {
  requireDatabase(path);
  try {
    return open(path);
  } catch (error) {
    throw inUseOr(error, path);
  }
}

function inUseOr(error: unknown, path: string): unknown {
  if (lockTrouble(error) !== "in use") return plainly(error, path);
  return new Failure("IN_USE", `timeout: ${path} is in use by another process, and only one can write it`, "stop the other process first, or read the file: that is always possible");
}

/** Changes a database in one transaction. */
export function updateFile<T>(path: string, change: (tx: Tx) => T): T {
  const db = openForWriting(path);
  try {
    return db.update(change);
  } finally {
    db.close();
  }
}

/** What may be done with a raw file that another process writes: read it live, or nothing. */
export type InUse = "live" | "refuse";

/** Reads a file page by page, be it a sound database or not. The shared lock is held meanwhile where the file can be opened at all. @see writeCurrent */
export function viewRaw<T>(io: Io, path: string, inUse: InUse, read: (file: RawFile, out: Output) => T): T {
  requireDatabase(path);
  const { lock, isLive } = holdLock(io, path, inUse);
  try {
    return writeCurrent(io, isLive, (begin) => readRaw(path, isLive, (file) => read(file, begin()), lock?.recovery?.txid));
  } finally {
    lock?.close();
  }
}

/** Opens a raw file for as long as `read` takes, without a lock. @see RawFile for the other parameters */
export function readRaw<T>(path: string, isLive: boolean, read: (file: RawFile) => T, recoveredTxid?: bigint): T {
  const file = new RawFile(path, isLive, recoveredTxid);
  try {
    return read(file);
  } catch (error) {
    throw namedWhole(error, path);
  } finally {
    file.close();
  }
}

/** Takes the shared lock by opening the database; of a file that is no sound one there is none to be had, but it is known not to be in use. */
export function holdLock(io: Io, path: string, inUse: InUse): { readonly lock: DB | undefined; readonly isLive: boolean } {
  try {
    return { lock: open(path, { readOnly: true }), isLive: false };
  } catch (error) {
    const trouble = lockTrouble(error);
    if (trouble === "in use" && inUse === "refuse") throw inUseOr(error, path);
    // A plain copy is no live read: nobody would notice what is written meanwhile.
    if (trouble === "no locks" && inUse === "refuse") throw error;
    if (trouble !== undefined) {
      tellLive(io, path, trouble);
      return { lock: undefined, isLive: true };
    }
    if (error instanceof BoltError && error.code === "IO") throw error;
    return { lock: undefined, isLive: false };
  }
}
