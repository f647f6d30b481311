/**
 * New files: made under a temporary name beside their place, made durable, and given their name at the end, so that the name stands for a
 * whole file or for none. A name that is taken is never replaced.
 */
import { randomUUID } from "node:crypto";
import { chmodSync, chownSync, closeSync, copyFileSync, existsSync, fsyncSync, ftruncateSync, linkSync, lstatSync, openSync, readdirSync, readSync, realpathSync, renameSync, rmSync, statSync, writeSync, type Stats } from "node:fs";
import { basename, dirname, sep } from "node:path";
import { BoltError, isFolderSyncRefused, quietly, systemCode, wrapIo } from "../base/errors.js";
import type { Arguments } from "./args.js";
import { Failure, UsageError } from "./command.js";
import { DescriptorOutput, writeJson, type Io } from "./io.js";
import { Progress } from "./terminal.js";

const OWNER_READS = 0o400;
/** What the owner of a copy may do that is made to be changed. */
export const OWNER_WRITES = 0o600;
const PERMISSIONS = 0o777;
/**
 * Characters of a name that its temporary one begins with, at most. The engine keeps 55 of a name that it makes a temporary one of in its turn, and all of
 * this one has to be among them: by that `removeTemporary` finds what the engine has begun.
 */
const MAX_KEPT_NAME = 30;

/**
 * Has `fill` make a file under a temporary name and gives it its place.
 * @param original what it is a copy of: it gets its permissions, and its owner where that may be given
 * @param ownerMay permissions that its owner has in any case
 * @throws Failure EXISTS when the name is taken; what `fill` throws, and then nothing is left behind; BoltError IO when the name cannot be made durable: then the
 * new file is in place
 */
export async function withNewFile<T>(io: Io, path: string, fill: (temporary: string) => T | Promise<T>, original?: string, ownerMay: number = OWNER_READS): Promise<T> {
  refuseExisting(path);
  const temporary = temporaryName(path);
  io.temporary(temporary);
  let result: T;
  try {
    const stats = original === undefined ? undefined : statSync(original);
    result = await fill(temporary);
    finishFile(temporary, () => { if (stats !== undefined) makeLike(io, temporary, stats, ownerMay); });
    moveIntoPlace(temporary, path);
  } catch (error) {
    quietly(() => removeTemporary(temporary));
    nameTarget(error, temporary, path);
    throw error;
  }
  wrapIo(`write ${path}: the new file is in place, but a power cut may undo that; remove it and write it again`, () => syncFolder(dirname(path)));
  return result;
}

/** Has what the system says of the temporary file, or of writing without a word of which file, name the file that somebody has asked for. */
function nameTarget(error: unknown, temporary: string, path: string): void {
  const cause = error instanceof BoltError ? error.cause : error;
  if (!(error instanceof Error) || !(cause instanceof Error) || systemCode(cause) === undefined) return;
  // The engine has temporary files of its own, which begin with this one's name; and what it says is in place under this one is removed.
  const [first = "", ...others] = error.message.split(temporary);
  const isOfWriting = "syscall" in cause && cause.syscall !== "read" && !("path" in cause);
  error.message = others.length === 0 && isOfWriting ? `${first} '${path}'` : [first, ...others.map((text) => text.replace(/^[\w.-]*(?:: the new file is in place[^:]*)?/, ""))].join(path);
}

/**
 * Has `write` write text to a new file that only its owner can read, whatever the command writes to standard output otherwise. With --json that tells which
 * file it was.
 */
export async function withNewText(args: Arguments, io: Io, path: string, write: (io: Io) => number): Promise<number> {
  const status = await withNewFile(io, path, (temporary) => {
    const descriptor = openSync(temporary, "wx", OWNER_WRITES);
    try {
      const out = new DescriptorOutput(descriptor, false, 80, false);
      const result = write({ ...io, stdout: out });
      out.flush();
      return result;
    } finally {
      closeSync(descriptor);
    }
  });
  if (args.json) writeJson(io.stdout, { output: path, size: statSync(path).size });
  return status;
}

function temporaryName(path: string): string {
  // Half of a character that takes two would not be found again under the name that it gets.
  const kept = basename(path).slice(0, MAX_KEPT_NAME).toWellFormed();
  return beside(path, `${kept}.${randomUUID().slice(0, 13)}.tmp`);
}

/** Gives another name in the folder of a path, whose text stays as it is: `link/..` is not the folder of the link, as `join` has it. */
function beside(path: string, name: string): string {
  return path.slice(0, path.length - basename(path).length) + name;
}

/** Gives a file its permissions and makes it durable. */
function finishFile(path: string, givePermissions: () => void): void {
  const { descriptor, isForWriting } = openToSync(path);
  try {
    givePermissions();
    fsyncSync(descriptor);
  } catch (error) {
    // Windows, where the engine has made durable what it has copied.
    if (isForWriting || systemCode(error) !== "EPERM") throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** Windows makes durable only what is open for writing; and a copy of what may only be read may only be read. */
function openToSync(path: string): { readonly descriptor: number; readonly isForWriting: boolean } {
  try {
    return { descriptor: openSync(path, "r+"), isForWriting: true };
  } catch (error) {
    if (!["EACCES", "EPERM"].includes(systemCode(error) ?? "")) throw error;
    return { descriptor: openSync(path, "r"), isForWriting: false };
  }
}

/**
 * A service whose file root has compacted must be able to open it: so root gives it to the original's owner, with the permissions as they are. Others keep what
 * they make, and their umask counts.
 */
function makeLike(io: Io, path: string, { gid, mode, uid }: Stats, ownerMay: number): void {
  const permissions = (mode | ownerMay) & PERMISSIONS;
  if (process.geteuid?.() !== 0) return chmodSync(path, permissions & ~process.umask());
  try {
    chownSync(path, uid, gid);
  } catch (error) {
    // In a container without that right, or where the owner is not known; the copy is worth more than its owner.
    io.stderr.write(`hexbolt: the new file belongs to root: ${error instanceof Error ? error.message : String(error)}\n`);
  }
  chmodSync(path, permissions);
}

/** @throws Failure EXISTS, NO_FOLDER; UsageError for the name of a folder, and for none */
export function refuseExisting(path: string): void {
  if (path === "") throw new UsageError("path required");
  if (path.endsWith("/") || path.endsWith(sep)) throw new UsageError(`${JSON.stringify(path)} names a folder: name the file in it`);
  // A link that leads nowhere is a name that is taken too.
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw new Failure("EXISTS", `output file ${JSON.stringify(path)} already exists`, "name another file, or remove this one first");
  if (!existsSync(dirname(path))) throw new Failure("NO_FOLDER", `there is no folder ${JSON.stringify(dirname(path))} to write ${JSON.stringify(basename(path))} into`);
}

/** Gives the file its name unless it was taken meanwhile. */
function moveIntoPlace(temporary: string, path: string): void {
  try {
    // A second name fails where the name is taken, which a rename would replace.
    linkSync(temporary, path);
  } catch {
    // A network file system may have made the link and say that the name is taken: then the file has two names.
    if (lstatSync(temporary).nlink < 2) {
      if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw new Failure("EXISTS", `output file ${JSON.stringify(path)} already exists`);
      // File systems without second names, such as FAT.
      return renameSync(temporary, path);
    }
  }
  // The file is in place, whatever becomes of its other name.
  quietly(() => rmSync(temporary));
}

function syncFolder(path: string): void {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, "r");
    fsyncSync(descriptor);
  } catch (error) {
    if (!isFolderSyncRefused(error)) throw error;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Files from this size on are copied in blocks where somebody watches: smaller ones are there before a bar would be. */
const WATCHED_SIZE = 64 << 20;
const COPY_BLOCK_SIZE = 256 << 10;
/** What `Stats` counts in. */
const STAT_BLOCK_SIZE = 512;

/**
 * Copies a file into one that its owner can write, though the original may only be read; on a terminal a bar shows how far a large one is. A file with holes is
 * copied with them: its length can be more than the disk has room for.
 */
export function copyFile(io: Io, source: string, target: string): void {
  const { blocks, size } = statSync(source);
  const hasHoles = blocks * STAT_BLOCK_SIZE < size;
  if (!hasHoles && (!io.stderr.isTerminal || size < WATCHED_SIZE)) copyFileSync(source, target);
  else copyInBlocks(io, source, target, size);
  chmodSync(target, OWNER_WRITES);
}

/** Writes no block of zeros: what is not written reads as zeros. */
function copyInBlocks(io: Io, source: string, target: string, size: number): void {
  const progress = new Progress(io, "copying", size);
  const from = openSync(source, "r");
  const to = openSync(target, "wx", OWNER_WRITES);
  try {
    const block = Buffer.allocUnsafe(COPY_BLOCK_SIZE);
    const zeros = Buffer.alloc(COPY_BLOCK_SIZE);
    let at = 0;
    for (let count: number; (count = readSync(from, block, 0, block.length, at)) > 0; at += count) {
      const isHole = block.compare(zeros, 0, count, 0, count) === 0;
      for (let done = 0; !isHole && done < count;) done += writeSync(to, block, done, count - done, at + done);
      progress.show(at);
    }
    ftruncateSync(to, at);
  } finally {
    progress.end();
    closeSync(to);
    closeSync(from);
  }
}

/** Removes a temporary file, and what the engine may have put beside it under longer names. */
export function removeTemporary(temporary: string): void {
  rmSync(temporary, { force: true });
  const name = basename(temporary);
  for (const entry of namesIn(dirname(temporary))) if (entry.startsWith(name)) rmSync(beside(temporary, entry), { force: true });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // It is gone, or may be written and not read: the engine, unless it was interrupted, has removed its own.
    return [];
  }
}

/** @throws UsageError when the output would be the original itself */
export function refuseOriginal(original: string, output: string): void {
  const isSame = existsSync(original) && existsSync(output) && realpathSync(original) === realpathSync(output);
  if (isSame) throw new UsageError("the output must be another file than the original");
}
