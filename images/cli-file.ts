/**
 * The command's database files: which may be read and written, how they are opened, and how a new one is made.
 *
 * Keeps true: a command that fails leaves no new file, but for one of which it says that it is in place; it leaves an empty one as it was; an error about a
 * file names it.
 */
import { closeSync, existsSync, fsyncSync, linkSync, lstatSync, openSync, readlinkSync, rmSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute } from "node:path";
import { BoltError, open } from "../engine/index.js";
import { FileFault, UsageError, codeOf } from "./cli-io.js";
import { ImagesError, quote } from "./errors.js";
import { randomHex } from "./random.js";
import type { Stats } from "node:fs";
import type { DB } from "../engine/index.js";

const STALE_ATTEMPTS = 10;
/** Characters of a name that a temporary one begins with. */
const KEPT_NAME = 50;
const LINKS_MAX = 40;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** What file systems without second names say, such as FAT. */
const NO_SECOND_NAMES: ReadonlySet<string | undefined> = new Set(["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EMLINK"]);
/** Another short command, a put say, is over by then: it is waited for. Who holds a file for longer has a socket. */
const LOCK_WAIT_MS = 1000;

/** What is at a path; undefined when nothing is. */
export function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** @throws ImagesError NOT_FOUND; FileFault for what is no file, and for an empty one: the engine would make a database of it, which nobody has asked for */
function requireDatabase(path: string): void {
  const stats = statsOf(path);
  if (stats === undefined) throw new ImagesError("NOT_FOUND", missing(path));
  if (stats.isDirectory()) throw new FileFault("NOT_A_FILE", `${path} is a folder`, "name a database file");
  // A pipe would be waited for without end, and no other thing can be read at a place.
  if (!stats.isFile()) throw new FileFault("NOT_A_FILE", `${path} is no file`, "a database must be a file on a disk");
  if (stats.size === 0) throw new FileFault("EMPTY", `${path} is empty: no database`, "a new file is made where there is none");
}

function missing(path: string): string {
  const isLink = lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  return isLink ? `${path} is a link to ${readlinkSync(path)}, which is not there` : `${path}: there is no such file`;
}

/**
 * Reads a file. One that a running program holds, as containerd holds its meta.db, is read live, without its lock; when the
 * program writes too much meanwhile, the reading begins anew.
 */
export async function readFile<T>(path: string, use: (db: DB) => Promise<T>): Promise<T> {
  requireDatabase(path);
  for (let attempt = 1; ; attempt++) {
    let db: DB | undefined;
    try {
      db = openToRead(path);
      return await use(db);
    } catch (error) {
      if (codeOf(error) !== "STALE_SNAPSHOT" || attempt === STALE_ATTEMPTS) throw naming(path, error);
    } finally {
      db?.close();
    }
  }
}

function openToRead(path: string): DB {
  try {
    return open(path, { readOnly: true });
  } catch (error) {
    if (!isHeld(error)) throw error;
    return open(path, { readOnly: true, lock: "none" });
  }
}

/** Opens a file that is there for writing; another command that has it is waited for. */
export function openToWrite(path: string, timeoutMs?: number): DB {
  requireDatabase(path);
  return openLocked(path, timeoutMs);
}

/** Opens a file, or makes it, under its lock. */
function openLocked(path: string, timeoutMs: number = LOCK_WAIT_MS): DB {
  try {
    return open(path, { timeout: Math.min(timeoutMs, LOCK_WAIT_MS) });
  } catch (error) {
    if (!isHeld(error)) throw naming(path, error);
    throw new ImagesError("UNAVAILABLE", `${path} is held by another program; give that program's socket instead`, { cause: error });
  }
}

/** Changes a file that is there. */
export async function changeFile<T>(path: string, timeoutMs: number | undefined, use: (db: DB) => Promise<T>): Promise<T> {
  return closing(openToWrite(path, timeoutMs), path, use);
}

/**
 * Makes a file under another name beside its place, and gives it its own when it is durable: nobody sees half of it, and where it cannot be made nothing is left.
 * Where its name cannot be made durable it is there all the same, which the error says.
 * @returns what `use` gave, or undefined when somebody else has made the file meanwhile
 */
export async function makeFile<T>(path: string, use: (db: DB) => Promise<T>): Promise<T | undefined> {
  if (/[/\\]$/.test(path)) throw new UsageError(`${quote(path)} names a folder: name the file in it`);
  const place = endOfLinks(path);
  const folder = dirname(place);
  if (!existsSync(folder)) throw new FileFault("NO_FOLDER", `there is no folder ${quote(folder)} to write ${quote(basename(place))} into`);
  const temporary = beside(place, `${basename(place).slice(0, KEPT_NAME).toWellFormed()}.${randomHex(8)}.tmp`);
  try {
    return await withTemporary(temporary, async () => {
      const result = await closing(open(temporary), path, use);
      if (!giveName(temporary, place)) return undefined;
      makeNameDurable(folder, path);
      return result;
    });
  } catch (error) {
    if (!NO_SECOND_NAMES.has(codeOf(error))) throw naming(path, error, temporary);
  }
  // There the lock of the file itself keeps two who make it from each other.
  return closing(openLocked(place), path, use);
}

/** Where a path leads, through links that need not lead to a file. */
function endOfLinks(path: string): string {
  let place = path;
  for (let i = 0; i < LINKS_MAX && lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink() === true; i++) {
    const target = readlinkSync(place);
    place = isAbsolute(target) ? target : beside(place, target);
  }
  return place;
}

/** Gives another path in the folder of a path, whose text stays as it is: `link/..` is not the folder of the link, as `join` has it. */
function beside(path: string, name: string): string {
  return path.slice(0, path.length - basename(path).length) + name;
}

/** Removes the file at the end, also where a signal ends the program. */
async function withTemporary<T>(path: string, work: () => Promise<T>): Promise<T> {
  const end = (signal: NodeJS.Signals): void => {
    removed(path);
    process.kill(process.pid, signal);
  };
  for (const signal of SIGNALS) process.once(signal, end);
  try {
    return await work();
  } finally {
    for (const signal of SIGNALS) process.off(signal, end);
    removed(path);
  }
}

/** Removes a file, and tells whether it could: what stays is less than what the command has to say. */
export function removed(path: string): boolean {
  try {
    rmSync(path, { force: true });
    return true;
  } catch {
    return false;
  }
}

async function closing<T>(db: DB, path: string, use: (db: DB) => Promise<T>): Promise<T> {
  try {
    return await use(db);
  } catch (error) {
    throw naming(path, error);
  } finally {
    await db.closeAsync();
  }
}

/** Gives the file at `temporary` its name; false where that is taken, which a rename would replace. */
function giveName(temporary: string, path: string): boolean {
  try {
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

const FOLDER_SYNC_REFUSALS: ReadonlySet<string | undefined> = new Set(["EACCES", "EINVAL", "EISDIR", "ENOTSUP", "EOPNOTSUPP", "EPERM"]);

/** @throws BoltError IO, which says that the new file is there */
function makeNameDurable(folder: string, path: string): void {
  try {
    syncFolder(folder);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BoltError("IO", `${path}: the new file is in place, but a power cut may undo that; remove it and run the command again: ${reason}`, { cause: error });
  }
}

/** Makes the names in a folder durable, where the system does that. */
function syncFolder(path: string): void {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, "r");
    fsyncSync(descriptor);
  } catch (error) {
    if (!FOLDER_SYNC_REFUSALS.has(codeOf(error))) throw error;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** The engine's error with the file in its message. */
function naming(path: string, error: unknown, temporary: string = path): unknown {
  if (!(error instanceof BoltError)) return error;
  const message = error.message.replaceAll(temporary, () => path);
  const isNamed = message.startsWith(`${path}: `) || message.includes(`'${path}'`);
  return new BoltError(error.code, isNamed ? message : `${path}: ${message}`, { cause: error.cause });
}

function isHeld(error: unknown): boolean {
  return error instanceof BoltError && error.code === "TIMEOUT";
}
