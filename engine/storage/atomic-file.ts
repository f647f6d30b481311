/**
 * Writing a file so that it is there whole or not at all: under a temporary name, made durable, then given its name, and the new name made
 * durable too. A power cut at any moment leaves what was at the path before, or the whole new file.
 */
import { randomUUID } from "node:crypto";
import { existsSync, linkSync, lstatSync, renameSync, rmSync } from "node:fs";
import { basename, dirname } from "node:path";
import { BoltError, boltError, ioError, orClose, quietly, systemCode, wrapIo } from "../base/errors.js";
import { type FileStorage, openFileStorage, REPLACED_MAX, syncFolder } from "./file-storage.js";
import type { Storage } from "./storage.js";

/** Characters of a file's name that its temporary name begins with, at most: of four bytes each they leave room for the rest in the 255 of a name. */
const MAX_KEPT_NAME = 55;

/** A name in a folder that a new file is to get, with a temporary name beside it. */
export interface Destination {
  /** For errors. */
  readonly path: string;
  /** Makes an empty file under the temporary name. @throws BoltError TIMEOUT where the name cannot be given away */
  open(): Storage;
  /** Gives the file, which is closed and durable, its name; what had the name before is gone. @throws BoltError TIMEOUT where that is open by now */
  rename(): void;
  /** Makes the names of the folder durable. */
  syncNames(): void;
  /** Removes the file under the temporary name; where there is none, or it cannot be removed, what that throws is told to nobody. */
  remove(): void;
}

/**
 * Has `fill` write a new file and puts it in place of `path`. When anything fails, `path` is as it was and nothing is left behind.
 * Only the last step, the sync of the folder, cannot be undone: when that fails, the new file is in place, and the error says that a power cut may
 * undo that.
 * @param mode permission bits of the new file, less the umask
 * @throws BoltError TIMEOUT when the file at `path` is a database that somebody has open; IO; and what `fill` throws
 */
export function writeFileAtomically(path: string, mode: number, fill: (storage: Storage) => void): void {
  writeAtomically(new FileDestination(path, mode), fill);
}

/** `writeFileAtomically` with a `fill` that may await; the last sync is off the calling thread. */
export function writeFileAtomicallyLater(path: string, mode: number, fill: (storage: Storage) => Promise<void>): Promise<void> {
  return writeAtomicallyLater(new FileDestination(path, mode), fill);
}

/** `writeFileAtomically` to any destination. */
export function writeAtomically(destination: Destination, fill: (storage: Storage) => void): void {
  let storage: Storage | undefined;
  try {
    storage = destination.open();
    fill(storage);
    storage.sync();
    putInPlace(destination, storage);
  } catch (error) {
    throw abandoned(destination, storage, error);
  }
}

/** `writeFileAtomicallyLater` to any destination. */
export async function writeAtomicallyLater(destination: Destination, fill: (storage: Storage) => Promise<void>): Promise<void> {
  let storage: Storage | undefined;
  try {
    storage = destination.open();
    await fill(storage);
    await storage.syncAsync();
    putInPlace(destination, storage);
  } catch (error) {
    throw abandoned(destination, storage, error);
  }
}

function putInPlace(destination: Destination, storage: Storage): void {
  storage.close();
  destination.rename();
  wrapIo(`write ${destination.path}: the new file is in place, but a power cut may undo that; write it again`, () => destination.syncNames());
}

/** Leaves nothing behind; gives the error to throw. */
function abandoned(destination: Destination, storage: Storage | undefined, error: unknown): Error {
  quietly(() => storage?.close());
  quietly(() => destination.remove());
  return error instanceof BoltError ? error : ioError(`write ${destination.path}`, error);
}

/** A path of the file system. */
class FileDestination implements Destination {
  readonly path: string;
  readonly #mode: number;
  readonly #temporary: string;

  constructor(path: string, mode: number) {
    this.path = path;
    this.#mode = mode;
    // Threads of this process, and processes of other containers, may write to the same path at a time: they have the same process id.
    const kept = path.slice(0, path.length - Math.max(0, basename(path).length - MAX_KEPT_NAME));
    this.#temporary = `${kept}.${randomUUID().slice(0, 13)}.tmp`;
  }

  open(): Storage {
    // What cannot be a name is told before all the work.
    lstatSync(this.path, { throwIfNoEntry: false });
    lockPresent(this.path)?.close();
    return openFileStorage(this.#temporary, { lock: "none", mode: this.#mode });
  }

  rename(): void {
    try {
      // A second name fails where the name is taken: a rename would replace a database that was made there since somebody looked.
      linkSync(this.#temporary, this.path);
    } catch {
      // It is taken, or the file system has no second names.
      this.#replace();
    }
    // After a rename there is none, unless a network file system has made the link and said that it is taken: a rename does nothing then.
    quietly(() => this.remove());
  }

  #replace(): void {
    // Locked until it has lost its name: whoever opens it meanwhile, or waits for its lock, sees that it has and opens the new one.
    const present = lockPresent(this.path);
    try {
      // Windows replaces no file that is open.
      if (process.platform === "win32") present?.close();
      renameSync(this.#temporary, this.path);
    } finally {
      quietly(() => present?.close());
    }
  }

  syncNames(): void {
    syncFolder(dirname(this.path));
  }

  remove(): void {
    rmSync(this.#temporary);
  }
}

/**
 * Locks the file that is at a path, if there is one: a database that is open must not be replaced, for whoever has it open would go on writing to a
 * file without a name.
 * @throws BoltError TIMEOUT
 */
function lockPresent(path: string): FileStorage | undefined {
  for (let replaced = 0; replaced < REPLACED_MAX && existsSync(path); replaced++) {
    const present = openToLock(path);
    const isNamed = orClose(present, () => {
      if (!present.lock("exclusive")) throw inUse(path);
      // It may have lost its name before it was locked: then whoever has opened the one that has it now would lose that.
      return present.hasName(path);
    });
    if (isNamed) return present;
    present.close();
  }
  if (existsSync(path)) throw inUse(path);
  return undefined;
}

/** To replace a file takes the right to write the folder, not the file. */
function openToLock(path: string): FileStorage {
  try {
    return openFileStorage(path, { create: false });
  } catch (error) {
    if (systemCode(error) !== "EACCES") throw error;
    return openFileStorage(path, { readOnly: true });
  }
}

/** The error for a file that is to be replaced and is open. */
export function inUse(path: string): BoltError {
  return boltError("TIMEOUT", `${path} is in use by another process or another DB, so it cannot be replaced`);
}
