/**
 * New files: made under a temporary name beside their place, made durable, and given their name at the end, so that the name stands for a
 * whole file or for none. A name that is taken is never replaced.
 */
import { chmodSync, chownSync, closeSync, copyFileSync, existsSync, fsyncSync, linkSync, lstatSync, openSync, readdirSync, readSync, realpathSync, renameSync, rmSync, statSync, writeSync, type Stats } from "node:fs";
import { basename, dirname, join } from "node:path";
import { Failure } from "./command.js";
import type { Io } from "./io.js";
import { Progress } from "./terminal.js";

const OWNER_READS = 0o400;
/** What the owner of a copy may do that is made to be changed. */
export const OWNER_WRITES = 0o600;
const PERMISSIONS = 0o777;

/**
 * Has `fill` make a file under a temporary name and gives it its place.
 * @param original what it is a copy of: it gets its permissions, and its owner where that may be given
 * @param ownerMay permissions that its owner has in any case
 * @throws Failure EXISTS when the name is taken; what `fill` throws, and then nothing is left behind
 */
export async function withNewFile<T>(io: Io, path: string, fill: (temporary: string) => T | Promise<T>, original?: string, ownerMay: number = OWNER_READS): Promise<T> {
  refuseExisting(path);
  const temporary = `${path}.${process.pid}.${Date.now().toString(36)}.tmp`;
  io.temporary(temporary);
  try {
    const stats = original === undefined ? undefined : statSync(original);
    const result = await fill(temporary);
    if (stats !== undefined) makeLike(io, temporary, stats, ownerMay);
    makeDurable(temporary);
    moveIntoPlace(temporary, path);
    makeDurable(dirname(path));
    return result;
  } finally {
    removeTemporary(temporary);
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

/** @throws Failure EXISTS, NO_FOLDER */
export function refuseExisting(path: string): void {
  // A link that leads nowhere is a name that is taken too.
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw new Failure("EXISTS", `output file ${JSON.stringify(path)} already exists`, "name another file, or remove this one first");
  if (!existsSync(dirname(path))) throw new Failure("NO_FOLDER", `there is no folder ${JSON.stringify(dirname(path))} to write ${JSON.stringify(basename(path))} into`);
}

/** Gives the file its name unless it was taken meanwhile. */
function moveIntoPlace(temporary: string, path: string): void {
  try {
    // A second name fails where the name is taken, which a rename would replace.
    linkSync(temporary, path);
    rmSync(temporary);
  } catch (error) {
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw new Failure("EXISTS", `output file ${JSON.stringify(path)} already exists`);
    if (!(error instanceof Error)) throw error;
    // File systems without second names, such as FAT.
    renameSync(temporary, path);
  }
}

function makeDurable(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } catch (error) {
    // Some systems cannot sync a folder, or not one opened for reading.
    if (!(error instanceof Error && "code" in error && ["EINVAL", "EISDIR", "EPERM", "EBADF"].includes(String(error.code)))) throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** Files from this size on are copied in blocks where somebody watches: smaller ones are there before a bar would be. */
const WATCHED_SIZE = 64 << 20;
const COPY_BLOCK_SIZE = 8 << 20;

/** Copies a file into one that its owner can write, though the original may only be read; on a terminal a bar shows how far a large one is. */
export function copyFile(io: Io, source: string, target: string): void {
  const { size } = statSync(source);
  if (!io.stderr.isTerminal || size < WATCHED_SIZE) copyFileSync(source, target);
  else copyWatched(io, source, target, size);
  chmodSync(target, OWNER_WRITES);
}

function copyWatched(io: Io, source: string, target: string, size: number): void {
  const progress = new Progress(io, "copying", size);
  const from = openSync(source, "r");
  const to = openSync(target, "wx", 0o600);
  try {
    const block = Buffer.allocUnsafe(COPY_BLOCK_SIZE);
    for (let at = 0; ;) {
      const count = readSync(from, block, 0, block.length, at);
      if (count === 0) return;
      for (let done = 0; done < count;) done += writeSync(to, block, done, count - done, at + done);
      at += count;
      progress.show(at);
    }
  } finally {
    progress.end();
    closeSync(to);
    closeSync(from);
  }
}

/** Removes a temporary file, and what the engine may have put beside it under longer names. */
export function removeTemporary(temporary: string): void {
  const folder = dirname(temporary);
  if (!existsSync(folder)) return;
  const name = basename(temporary);
  for (const entry of readdirSync(folder)) if (entry.startsWith(name)) rmSync(join(folder, entry), { force: true });
}

/** Whether two paths are one file. */
export function isSameFile(a: string, b: string): boolean {
  return existsSync(a) && existsSync(b) && realpathSync(a) === realpathSync(b);
}
