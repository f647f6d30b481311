/**
 * The command's database files: which may be read and written, how they are opened, and how a new one is made.
 *
 * Keeps true: a command that fails leaves no new file, and an empty one as it was; an error about a file names it.
 */
import { closeSync, existsSync, fsyncSync, linkSync, lstatSync, openSync, readlinkSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { BoltError, open } from "../engine/index.js";
import { FileFault, UsageError, codeOf } from "./cli-io.js";
import { ImagesError, quote } from "./errors.js";
import { randomHex } from "./random.js";
import type { Stats } from "node:fs";
import type { DB } from "../engine/index.js";

const STALE_ATTEMPTS = 10;
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

/** Gives a database file's size. @throws ImagesError NOT_FOUND; FileFault for what is no file */
export function requireFile(path: string): number {
  const stats = statsOf(path);
  if (stats === undefined) throw new ImagesError("NOT_FOUND", missing(path));
  if (stats.isDirectory()) throw new FileFault("NOT_A_FILE", `${path} is a folder`, "name a database file");
  // A pipe would be waited for without end, and no other thing can be read at a place.
  if (!stats.isFile()) throw new FileFault("NOT_A_FILE", `${path} is no file`, "a database must be a file on a disk");
  return stats.size;
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
  requireFile(path);
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

/** Opens a file that is there for writing; another command that has it is waited for. @throws FileFault for an empty one */
export function openToWrite(path: string, timeoutMs: number = LOCK_WAIT_MS): DB {
  // The engine makes a database of an empty file; somebody who mistyped a name has not asked for one.
  if (requireFile(path) === 0) throw new FileFault("EMPTY", `${path} is empty: no database`, "a new file is made where there is none");
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
 * @returns what `use` gave, or undefined when somebody else has made the file meanwhile
 */
export async function makeFile<T>(path: string, use: (db: DB) => Promise<T>): Promise<T | undefined> {
  const folder = dirname(path);
  if (/[/\\]$/.test(path)) throw new UsageError(`${quote(path)} names a folder: name the file in it`);
  if (!existsSync(folder)) throw new FileFault("NO_FOLDER", `there is no folder ${quote(folder)} to write ${quote(basename(path))} into`);
  const temporary = join(folder, `hexbolt-${randomHex(8)}.tmp`);
  try {
    const result = await closing(open(temporary), path, use);
    if (!giveName(temporary, path)) return undefined;
    syncFolder(folder);
    return result;
  } catch (error) {
    throw naming(path, error, temporary);
  } finally {
    removed(temporary);
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

/** Gives the file at `temporary` its name; false where that is taken. */
function giveName(temporary: string, path: string): boolean {
  try {
    // A second name fails where the name is taken, which a rename would replace.
    linkSync(temporary, path);
  } catch {
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return false;
    // File systems without second names, such as FAT.
    renameSync(temporary, path);
  }
  return true;
}

const FOLDER_SYNC_REFUSALS: ReadonlySet<string | undefined> = new Set(["EACCES", "EINVAL", "EISDIR", "ENOTSUP", "EOPNOTSUPP", "EPERM"]);

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
  const message = error.message.replaceAll(temporary, path);
  return new BoltError(error.code, message.includes(path) ? message : `${path}: ${message}`, { cause: error.cause });
}

function isHeld(error: unknown): boolean {
  return error instanceof BoltError && error.code === "TIMEOUT";
}
