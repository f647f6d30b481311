/** How callers come to a database. */
import { MemoryStorage } from "../storage/memory-storage.js";
import { DB } from "./db.js";
import { requirePath, settingsFrom, type OpenOptions } from "./options.js";

/**
 * Opens the database file at a path; makes it (mode 0600) unless `readOnly`.
 * @throws BoltError TIMEOUT when somebody else has it locked; INVALID, VERSION_MISMATCH, CHECKSUM, CORRUPT for a file that is no sound database; IO;
 * STALE_SNAPSHOT in live read, when the writer was faster 100 times in a row
 * @throws TypeError for an option that is none
 */
export function open(path: string, options?: OpenOptions): DB {
  requirePath(path);
  return new DB(path, settingsFrom(options));
}

/** Opens a new database in memory: the same engine, nothing on disk. @throws TypeError for an option that is none, or makes no sense here */
export function openMemory(options?: Omit<OpenOptions, "storage" | "lock" | "timeout" | "mode" | "readOnly">): DB {
  const settings = settingsFrom(options);
  for (const name of ["readOnly", "storage", "lock", "timeout", "mode"]) {
    if (options !== undefined && Reflect.get(options, name)) throw new TypeError(`a database in memory is new and has no file: it takes no option "${name}"`);
  }
  return new DB(":memory:", { ...settings, storage: new MemoryStorage() });
}
