/** From a path to an open pager: the storage, its lock, and what is in it. */
import { boltError, BoltError, ioError } from "../base/errors.js";
import { Pager } from "../pager/pager.js";
import { openFileStorage } from "../storage/file-storage.js";
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
  const storage = settings.storage ?? openFile(path, settings);
  try {
    // On Windows a shared lock does not keep Go's bbolt from writing (storage/windows-lock.ts): what it overwrites must be noticed.
    const isLive = readOnly && (lock === "none" || (process.platform === "win32" && settings.storage === undefined));
    if (lock === "flock") acquireLock(storage, path, settings);
    return Pager.open(storage, { ...settings, live: isLive });
  } catch (error) {
    storage.close();
    throw error;
  }
}

function openFile(path: string, { readOnly, mode, lock }: Settings): Storage {
  try {
    return openFileStorage(path, { readOnly, mode, lock });
  } catch (error) {
    throw ioError(`open ${path}`, error);
  }
}

function acquireLock(storage: Storage, path: string, { readOnly, timeout }: Settings): void {
  const deadline = performance.now() + timeout;
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
