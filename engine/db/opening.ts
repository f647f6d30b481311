/** From a path to an open pager: the storage, its lock, and what is in it. */
import { boltError, BoltError, ioError } from "../base/errors.js";
import { Pager } from "../pager/pager.js";
import { FileStorage, openFileStorage } from "../storage/file-storage.js";
import type { Storage } from "../storage/storage.js";
import type { Settings } from "./options.js";

/** Between two tries to get the lock, as bbolt. */
const LOCK_RETRY_MS = 50;

/**
 * Opens what `settings` name; on any error everything is closed and unlocked again.
 * @throws BoltError TIMEOUT, IO, INVALID, VERSION_MISMATCH, CHECKSUM, CORRUPT
 */
export function openPager(path: string, settings: Settings): Pager {
  const { readOnly, lock } = settings;
  const storage = openStorage(path, settings);
  try {
    // On Windows a shared lock does not keep Go's bbolt from writing (storage/windows-lock.ts): what it overwrites must be noticed.
    const isLive = readOnly && (lock === "none" || (process.platform === "win32" && settings.storage === undefined));
    return Pager.open(storage, { ...settings, live: isLive });
  } catch (error) {
    storage.close();
    throw error;
  }
}

/**
 * Opens the storage and takes its lock. A file may be replaced while its lock is waited for: then it has no name any more, what is written to it would be
 * lost, and the one that has got the name is opened in its place.
 */
function openStorage(path: string, settings: Settings): Storage {
  const deadline = performance.now() + settings.timeout;
  for (;;) {
    const storage = settings.storage ?? openFile(path, settings);
    try {
      if (settings.lock === "flock") acquireLock(storage, path, settings, deadline);
      if (settings.lock === "none" || !(storage instanceof FileStorage) || settings.storage !== undefined || storage.isAt(path)) return storage;
    } catch (error) {
      storage.close();
      throw error;
    }
    storage.close();
  }
}

function openFile(path: string, { readOnly, mode, lock }: Settings): FileStorage {
  try {
    return openFileStorage(path, { readOnly, mode, lock });
  } catch (error) {
    throw ioError(`open ${path}`, error);
  }
}

function acquireLock(storage: Storage, path: string, { readOnly, timeout }: Settings, deadline: number): void {
  for (;;) {
    if (tryLock(storage, path, readOnly)) return;
    const left = deadline - performance.now();
    if (left <= 0) throw boltError("TIMEOUT", `${path} is in use by another process or another DB; waited ${timeout} ms for its lock`);
    sleep(Math.min(LOCK_RETRY_MS, left));
  }
}

function tryLock(storage: Storage, path: string, readOnly: boolean): boolean {
  try {
    return storage.lock(readOnly ? "shared" : "exclusive");
  } catch (error) {
    throw error instanceof BoltError ? error : ioError(`lock ${path}`, error);
  }
}

/** Blocks the thread. */
function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
