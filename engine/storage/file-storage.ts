/**
 * A storage that is a file of the operating system: pread, pwrite, ftruncate, fdatasync, flock.
 *
 * Kept true:
 * - a read or write moves all its bytes or throws, however the system divides it;
 * - the descriptor stays open until the last asynchronous operation has ended, also when `close` is called before:
 *   its number would be given to the next file that is opened, and the rest of the write would go there;
 * - the first `sync` of a file that had no more than a sector when opened also makes its name in the folder durable: whoever makes one syncs it
 *   before it grows beyond that.
 *
 * Errors are the system's own, unwrapped.
 */
import {
  type BigIntStats, closeSync, constants, fdatasync, fdatasyncSync, fstatSync, fsyncSync, ftruncateSync, lstatSync, openSync, readSync, realpathSync, statSync,
  write, writeSync, writev, writevSync,
} from "node:fs";
import { dirname, isAbsolute } from "node:path";
import { isFolderSyncRefused, quietly, systemCode } from "../base/errors.js";
import { tryLock } from "./file-lock.js";
import { FlushGauge } from "./flush-gauge.js";
import { type LockMode, SECTOR_SIZE, type Storage } from "./storage.js";
import { SyncStarter } from "./sync-starter.js";
import { SystemError } from "./system-error.js";
import { openLocked, openUnlessShut } from "./windows-lock.js";
import { checkPosition, readWhole, totalLength, writeWhole, writeWholeAsync } from "./transfer.js";

/** How a file is opened. */
export interface FileStorageOptions {
  /** Opens for reading only: a missing file is an error, every write fails with EBADF. Default false. */
  readonly readOnly?: boolean | undefined;
  /** Makes the file where it is missing; ignored with `readOnly`. Default true. */
  readonly create?: boolean | undefined;
  /** Permission bits of a file that is made, less the umask. Default 0600. */
  readonly mode?: number | undefined;
  /** `none` grants every lock without asking the system. Default `flock`. */
  readonly lock?: "flock" | "none" | undefined;
}

/**
 * Opens a file as a storage, never cutting it.
 * @throws the system's error; EISDIR for a folder, EINVAL for a fifo, socket or device
 */
export function openFileStorage(path: string, options: FileStorageOptions = {}): FileStorage {
  const readOnly = options.readOnly ?? false;
  const create = !readOnly && (options.create ?? true);
  // O_NONBLOCK does nothing to a regular file, but without it opening a fifo for reading waits for a writer.
  const flags = (readOnly ? constants.O_RDONLY : constants.O_RDWR) | (create ? constants.O_CREAT : 0) | constants.O_NONBLOCK;
  const mode = options.mode ?? 0o600;
  const lock = options.lock ?? "flock";
  // On Windows whoever holds the lock shuts the file: then there is no descriptor before there is the lock.
  const reopen = process.platform === "win32" && lock === "flock" ? (wanted: LockMode) => openLocked(path, flags, mode, wanted) : undefined;
  const fd = reopen === undefined ? openSync(path, flags, mode) : openUnlessShut(path, flags, mode);
  if (fd === undefined) return new FileStorage(undefined, lock, undefined, reopen);
  try {
    const stats = fstatSync(fd);
    if (stats.isDirectory()) throw new SystemError("EISDIR", "open", `illegal operation on a directory '${path}'`);
    if (!stats.isFile()) throw new SystemError("EINVAL", "open", `not a regular file '${path}'`);
    const newIn = !readOnly && stats.size <= SECTOR_SIZE ? folderOf(path) : undefined;
    return new FileStorage(fd, lock, newIn, reopen, readOnly && lock === "none" ? absolute(path) : undefined);
  } catch (error) {
    quietly(() => closeSync(fd));
    throw error;
  }
}

/** The path for when the program may be in another folder. Not made shorter: `link/..` is where the link leads to. */
function absolute(path: string): string {
  return isAbsolute(path) ? path : `${process.cwd()}/${path}`;
}

/** An open file. Made by `openFileStorage`; after `close` every call throws EBADF or rejects with it. */
export class FileStorage implements Storage {
  /** Undefined where another opening shuts the file (Windows). */
  #descriptor: number | undefined;
  readonly #lockMethod: "flock" | "none";
  readonly #reopen: ((mode: LockMode) => number | undefined) | undefined;
  /** The path, where a file that gets it in place of this one is to be read. */
  readonly #pathToFollow: string | undefined;
  #identity: BigIntStats | undefined;
  /** The folder whose entry for this file is not known to be durable. */
  #newIn: string | undefined;
  /** Made when it is wanted: only large commits do. */
  #syncStarter: SyncStarter | "none" | undefined;
  readonly #flushGauge = new FlushGauge();
  #isOpen = true;
  #inFlightCount = 0;

  /**
   * Takes over an open descriptor.
   * @param newIn the folder to sync with the first `sync`, for a file that may be new
   * @param reopen opens the file with the lock, where locking is a way of opening; gives undefined when the lock is held
   * @param pathToFollow the path, where a file that gets it in place of this one is to be read
   */
  constructor(fd: number | undefined, lockMethod: "flock" | "none", newIn?: string, reopen?: (mode: LockMode) => number | undefined, pathToFollow?: string) {
    this.#descriptor = fd;
    this.#lockMethod = lockMethod;
    this.#reopen = reopen;
    this.#newIn = newIn;
    this.#pathToFollow = pathToFollow;
  }

  size(): number {
    return fstatSync(this.#fd("fstat")).size;
  }

  read(target: Uint8Array, position: number): number {
    const fd = this.#fd("read");
    checkPosition(position);
    return readWhole(target, position, (part, at) => readSync(fd, part, 0, part.length, at));
  }

  write(chunks: readonly Uint8Array[], position: number): void {
    const fd = this.#fd("write");
    checkPosition(position);
    this.#flushGauge.wrote(totalLength(chunks));
    writeWhole(chunks, position, (batch, at) => writeOnce(fd, batch, at));
  }

  truncate(size: number): void {
    const fd = this.#fd("ftruncate");
    checkPosition(size);
    ftruncateSync(fd, size);
  }

  startSync(): void {
    const fd = this.#fd("fdatasync");
    if (!this.#flushGauge.isCheap) return;
    if (this.#syncStarter === undefined) this.#syncStarter = SyncStarter.of(fd) ?? "none";
    if (this.#syncStarter !== "none") this.#syncStarter.start();
  }

  /** fdatasync: data and size; Node makes it F_FULLFSYNC on macOS, where less would leave the bytes in the drive's cache. */
  sync(): void {
    const fd = this.#fd("fdatasync");
    const begin = performance.now();
    fdatasyncSync(fd);
    this.#flushGauge.synced(performance.now() - begin);
    this.#syncFolder();
  }

  async writeAsync(chunks: readonly Uint8Array[], position: number): Promise<void> {
    await this.#whileOpen("write", async (fd) => {
      checkPosition(position);
      this.#flushGauge.wrote(totalLength(chunks));
      await writeWholeAsync(chunks, position, (batch, at) => writeOnceAsync(fd, batch, at));
    });
  }

  async syncAsync(): Promise<void> {
    await this.#whileOpen("fdatasync", async (fd) => {
      const begin = performance.now();
      await new Promise<void>((resolve, reject) => {
        fdatasync(fd, (error) => (error === null ? resolve() : reject(error)));
      });
      this.#flushGauge.synced(performance.now() - begin);
      this.#syncFolder();
    });
  }

  lock(mode: LockMode): boolean {
    if (this.#reopen !== undefined && this.#isOpen) return this.#lockByReopening(this.#reopen, mode);
    const fd = this.#fd("flock");
    return this.#lockMethod === "none" || tryLock(fd, mode);
  }

  /** The file's permission bits. */
  get mode(): number {
    return fstatSync(this.#fd("fstat")).mode & 0o777;
  }

  /** Whether the file is what a path names. False where the path names nothing. */
  isAt(path: string): boolean {
    const named = statSync(path, { bigint: true, throwIfNoEntry: false });
    // What a descriptor is of does not change.
    const own = (this.#identity ??= fstatSync(this.#fd("fstat"), { bigint: true }));
    return named !== undefined && named.ino === own.ino && deviceOf(named) === deviceOf(own);
  }

  /** `isAt`, as far as the file system lets it be told: it may number a file anew with every call. */
  hasName(path: string): boolean {
    return this.isAt(path) || renumbersFiles(path);
  }

  follow(): boolean {
    const path = this.#pathToFollow;
    if (path === undefined || !this.#isReplaced(path)) return false;
    const left = this.#fd("follow");
    const next = openFileStorage(path, { readOnly: true, lock: "none" });
    // Closed it is, whatever the system says of it: nothing more is read there.
    quietly(() => closeSync(left));
    this.#descriptor = next.#descriptor;
    this.#identity = undefined;
    return true;
  }

  /** Whether another file has the name. Where nobody can tell, or there is none, what was opened is read on. */
  #isReplaced(path: string): boolean {
    try {
      return !this.hasName(path) && statSync(path, { throwIfNoEntry: false })?.isFile() === true;
    } catch {
      return false;
    }
  }

  /**
   * Gives up the file and its lock: at once, or when the asynchronous operations under way have ended. Should closing
   * fail then, the last of them rejects with that error.
   */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    try {
      if (this.#inFlightCount === 0 && this.#descriptor !== undefined) closeSync(this.#descriptor);
    } finally {
      if (this.#syncStarter instanceof SyncStarter) this.#syncStarter.close();
    }
  }

  /** An opening of our own would shut us out: it is given up first. */
  #lockByReopening(reopen: (mode: LockMode) => number | undefined, mode: LockMode): boolean {
    this.#identity = undefined;
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
    this.#descriptor = reopen(mode);
    return this.#descriptor !== undefined;
  }

  #fd(syscall: string): number {
    if (!this.#isOpen || this.#descriptor === undefined) throw new SystemError("EBADF", syscall, "the storage is closed");
    return this.#descriptor;
  }

  async #whileOpen(syscall: string, operation: (fd: number) => Promise<void>): Promise<void> {
    const fd = this.#fd(syscall);
    this.#inFlightCount++;
    try {
      await operation(fd);
    } finally {
      this.#inFlightCount--;
      if (!this.#isOpen && this.#inFlightCount === 0) closeSync(fd);
    }
  }

  /** Once in the life of a new file, so it may block also where the caller asked not to. */
  #syncFolder(): void {
    if (this.#newIn === undefined) return;
    syncFolder(this.#newIn);
    this.#newIn = undefined;
  }
}

/** The folder whose entry for a new file must last: where the name is a link, that of the file itself. */
function folderOf(path: string): string {
  try {
    return dirname(lstatSync(path).isSymbolicLink() ? realpathSync(path) : path);
  } catch (error) {
    // The absolute path may lead through a folder that may not be looked into, or has a name that is no text.
    if (systemCode(error) === undefined) throw error;
    return dirname(path);
  }
}

/** On Windows there are Nodes of which `stat` gives the volume's number with 64 bits and `fstat` with 32. */
function deviceOf({ dev }: { readonly dev: bigint }): bigint {
  return process.platform === "win32" ? BigInt.asUintN(32, dev) : dev;
}

function writeOnce(fd: number, batch: readonly Uint8Array[], position: number): number {
  const [first] = batch;
  if (first !== undefined && batch.length === 1) return writeSync(fd, first, 0, first.length, position);
  return writevSync(fd, batch, position);
}

function writeOnceAsync(fd: number, batch: readonly Uint8Array[], position: number): Promise<number> {
  const [first] = batch;
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, byteCount: number): void => (error === null ? resolve(byteCount) : reject(error));
    if (first !== undefined && batch.length === 1) write(fd, first, 0, first.length, position, done);
    else writev(fd, batch, position, done);
  });
}

/** So often a file is looked for again that has lost its name to another one before it was locked. */
export const REPLACED_MAX = 100;

/**
 * Whether the file system numbers a file anew with every call: then each of some calls in a row gives another number, which files
 * that are replaced in between do not have.
 */
function renumbersFiles(path: string): boolean {
  const numbers = Array.from({ length: 5 }, () => statSync(path, { bigint: true, throwIfNoEntry: false })?.ino);
  return new Set(numbers).size === numbers.length;
}

/** Makes the names in a folder durable, where the system can. */
export function syncFolder(path: string): void {
  let fd: number | undefined;
  try {
    fd = openSync(path, "r");
    fsyncSync(fd);
  } catch (error) {
    if (!isFolderSyncRefused(error)) throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
