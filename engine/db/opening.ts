/** From a path to an open pager: the storage, its lock, and what is in it. */
import { boltError, orClose, quietly, wrapIo } from "../base/errors.js";
import { sleep } from "../base/sleep.js";
import { Pager } from "../pager/pager.js";
import { type FileStorage, openFileStorage, REPLACED_MAX } from "../storage/file-storage.js";
import type { Storage } from "../storage/storage.js";
import { untilWhole } from "./live-view.js";
import type { Settings } from "./options.js";

/** Between two tries to get the lock, as bbolt. */
const LOCK_RETRY_MS = 50;

/** As it is when the module is loaded: test runners put a clock in its place that stands still, and whoever waits by that waits for ever. */
const now = performance.now.bind(performance);

/**
 * Opens what `settings` name; on any error everything is closed and unlocked again.
 * @throws BoltError TIMEOUT, IO, INVALID, VERSION_MISMATCH, CHECKSUM, CORRUPT, STALE_SNAPSHOT as `untilWhole`
 */
export function openPager(path: string, settings: Settings): Pager {
  const { readOnly, lock } = settings;
  const storage = openStorage(path, settings);
  // On Windows a shared lock does not keep Go's bbolt from writing (storage/windows-lock.ts): what it overwrites must be noticed.
  const isLive = readOnly && (lock === "none" || (process.platform === "win32" && settings.storage === undefined));
  return orClose(storage, () => untilWhole(() => Pager.open(storage, { ...settings, live: isLive })));
}

/**
 * Opens the storage and takes its lock. A file may be replaced while its lock is waited for: then it has no name any more, what is written to it would be
 * lost, and the one that has got the name is opened in its place.
 */
function openStorage(path: string, settings: Settings): Storage {
  const deadline = now() + settings.timeout;
  if (settings.storage !== undefined) return locked(settings.storage, path, settings, deadline);
  for (let replaced = 0; ; replaced++) {
    const file = locked(openFile(path, settings), path, settings, deadline);
    if (settings.lock === "none" || hasItsName(file, path)) return file;
    quietly(() => file.close());
    if (replaced === REPLACED_MAX) throw boltError("TIMEOUT", `${path} was replaced by another file each time that its lock had been taken`);
  }
}

function hasItsName(file: FileStorage, path: string): boolean {
  return orClose(file, () => wrapIo(`open ${path}`, () => file.hasName(path)));
}

/** Takes the lock of a storage, which is closed where that fails. */
function locked<S extends Storage>(storage: S, path: string, settings: Settings, deadline: number): S {
  if (settings.lock === "flock") orClose(storage, () => acquireLock(storage, path, settings, deadline));
  return storage;
}

function openFile(path: string, { readOnly, mode, lock }: Settings): FileStorage {
  return wrapIo(`open ${path}`, () => openFileStorage(path, { readOnly, mode, lock }));
}

function acquireLock(storage: Storage, path: string, { readOnly, timeout }: Settings, deadline: number): void {
  for (;;) {
    if (wrapIo(`lock ${path}`, () => storage.lock(readOnly ? "shared" : "exclusive"))) return;
    const left = deadline - now();
    if (left <= 0) throw boltError("TIMEOUT", `${path} is in use by another process or another DB; waited ${timeout} ms for its lock`);
    sleep(Math.min(LOCK_RETRY_MS, left));
  }
}
