/** Where a copy of the database is to go: a path that is one, and not the database itself; and its permissions: those of the database. */
import { wrapIo } from "../base/errors.js";
import { inUse } from "../storage/atomic-file.js";
import { FileStorage } from "../storage/file-storage.js";
import type { Storage } from "../storage/storage.js";
import { requirePath } from "./options.js";

/**
 * Checks the path that a copy is to get. That nobody else has the file there open its lock tells; a database that was opened without one tells it here.
 * @throws TypeError unless it is a path; BoltError TIMEOUT when it is the file of the database itself
 */
export function requireTarget(path: string, own: Storage): void {
  requirePath(path);
  if (own instanceof FileStorage && isAt(own, path)) throw inUse(path);
}

function isAt(own: FileStorage, path: string): boolean {
  try {
    return own.isAt(path);
  } catch {
    // What is wrong with the path, writing to it will tell.
    return false;
  }
}

/** Permission bits for a copy: those of the database's file; 0600 where it is none. @throws BoltError IO */
export function modeOfCopy(own: Storage): number {
  return own instanceof FileStorage ? wrapIo("mode of the file", () => own.mode) : 0o600;
}
