/**
 * The errors a caller can meet: one class, one stable code each. Messages start with bbolt's text and
 * may change; codes may not. Misuse of types is a TypeError, a broken invariant of ours an AssertionError.
 */

import { isUtf8 } from "node:buffer";

/** The stable codes of BoltError. */
export type ErrorCode =
  | "DATABASE_NOT_OPEN" | "DATABASE_READ_ONLY" | "INVALID" | "VERSION_MISMATCH" | "CHECKSUM" | "TIMEOUT"
  | "TX_NOT_WRITABLE" | "TX_CLOSED" | "TX_MANAGED" | "TX_WRITER_BUSY" | "TX_ASYNC_CALLBACK"
  | "BUCKET_NOT_FOUND" | "BUCKET_EXISTS" | "BUCKET_NAME_REQUIRED"
  | "KEY_REQUIRED" | "KEY_TOO_LARGE" | "VALUE_TOO_LARGE" | "INCOMPATIBLE_VALUE"
  | "MAX_SIZE_REACHED" | "SAME_BUCKETS" | "DIFFERENT_DB" | "FREE_PAGES_NOT_LOADED"
  | "CORRUPT" | "STALE_SNAPSHOT" | "IO";

/** The text each message starts with: bbolt's own where bbolt has the error. @see bbolt errors.go */
const TEXTS: Readonly<Record<Exclude<ErrorCode, "CORRUPT" | "IO">, string>> = {
  DATABASE_NOT_OPEN: "database not open",
  DATABASE_READ_ONLY: "database is in read-only mode",
  INVALID: "invalid database",
  VERSION_MISMATCH: "version mismatch",
  CHECKSUM: "checksum error",
  TIMEOUT: "timeout",
  TX_NOT_WRITABLE: "tx not writable",
  TX_CLOSED: "tx closed",
  TX_MANAGED: "managed tx commit/rollback not allowed",
  TX_WRITER_BUSY: "another write transaction is open",
  TX_ASYNC_CALLBACK: "callback returned a promise",
  BUCKET_NOT_FOUND: "bucket not found",
  BUCKET_EXISTS: "bucket already exists",
  BUCKET_NAME_REQUIRED: "bucket name required",
  KEY_REQUIRED: "key required",
  KEY_TOO_LARGE: "key too large",
  VALUE_TOO_LARGE: "value too large",
  INCOMPATIBLE_VALUE: "incompatible value",
  MAX_SIZE_REACHED: "database reached maximum size",
  SAME_BUCKETS: "the source and target are the same bucket",
  DIFFERENT_DB: "the source and target buckets are in different database files",
  FREE_PAGES_NOT_LOADED: "free pages are not pre-loaded",
  STALE_SNAPSHOT: "the writer has moved on",
};

/** Their message is bbolt's text to the letter, for whoever compares; the facts are in `detail`. */
const EXACT_MESSAGES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "BUCKET_NOT_FOUND", "BUCKET_EXISTS", "BUCKET_NAME_REQUIRED", "KEY_REQUIRED", "KEY_TOO_LARGE", "VALUE_TOO_LARGE", "INCOMPATIBLE_VALUE",
  "SAME_BUCKETS", "DIFFERENT_DB", "TX_CLOSED",
]);

/** Characters of a key or a name that an error shows. */
const SHOWN = 60;

/** A key or a bucket's name, as `detail` shows it: as text where it is one, else in hexadecimal; cut where it is long. */
export function shown(name: Uint8Array): string {
  const bytes = Buffer.from(name.buffer, name.byteOffset, name.byteLength);
  const isText = isUtf8(bytes) && /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u.test(bytes.toString());
  const text = isText ? JSON.stringify(bytes.toString()) : `(hex)${bytes.toString("hex")}`;
  return text.length <= SHOWN ? text : `${[...text].slice(0, SHOWN).join("")}… (${bytes.length} bytes)`;
}

/**
 * Every error that a caller, a file or the system causes. `code` is stable, `detail` says which facts led here or what to do,
 * `cause` is the system's error where there is one.
 */
export class BoltError extends Error {
  override readonly name: string = "BoltError";
  readonly code: ErrorCode;
  declare readonly detail?: string;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown; readonly detail?: string }) {
    super(message, options);
    this.code = code;
    if (options?.detail !== undefined) this.detail = options.detail;
  }
}

/**
 * Makes the error of a code: bbolt's text, and `detail` behind it, except in EXACT_MESSAGES.
 * @param detail which facts led here, or what the caller can do
 */
export function boltError(code: keyof typeof TEXTS, detail?: string, cause?: unknown): BoltError {
  const message = detail === undefined || EXACT_MESSAGES.has(code) ? TEXTS[code] : `${TEXTS[code]}: ${detail}`;
  return new BoltError(code, message, { ...(cause === undefined ? {} : { cause }), ...(detail === undefined ? {} : { detail }) });
}

/** Makes the error for a structure that cannot be: names the page and the fault. */
export function corrupt(pgid: number | bigint, fault: string): BoltError {
  return new BoltError("CORRUPT", `page ${pgid}: ${fault}`);
}

/** Reads the `code` of an error of the system; undefined for anything else. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

const FOLDER_SYNC_REFUSALS: ReadonlySet<string | undefined> = new Set(["EACCES", "EINVAL", "EISDIR", "ENOTSUP", "EOPNOTSUPP", "EPERM"]);

/** Whether the system says that it cannot open or sync a folder, or may not: there is nothing to be done about it then. */
export function isFolderSyncRefused(error: unknown): boolean {
  return FOLDER_SYNC_REFUSALS.has(systemCode(error));
}

/** Wraps an error of the operating system: what was being done, then the system's own message. */
export function ioError(action: string, cause: unknown): BoltError {
  const message = cause instanceof Error ? cause.message : String(cause);
  // Node begins its messages with the code; Deno leaves it out of those of some calls, and people search for ENOSPC.
  const code = systemCode(cause);
  const head = code === undefined || message.includes(code) ? "" : `${code}: `;
  return new BoltError("IO", `${action}: ${head}${message}`, { cause });
}

/** Whether the file is damaged, and asking again will not help. */
export function isCorrupt(error: unknown): error is BoltError {
  return error instanceof BoltError && error.code === "CORRUPT";
}

/** Gives a bucket that a walk has listed. @throws BoltError CORRUPT when it was not found by its name: then the tree leads to it on a wrong way */
export function requireListed<T>(bucket: T | undefined, name: Uint8Array): T {
  if (bucket === undefined) throw new BoltError("CORRUPT", `bucket (hex)${Buffer.from(name).toString("hex")} is listed and not found`);
  return bucket;
}

/** @throws TypeError naming what takes the function when it is none */
export function requireFunction(fn: unknown, member: string): void {
  if (typeof fn !== "function") throw new TypeError(`${member} takes a function`);
}

/** Lets BoltErrors pass, and that the stack is full, and gives every other error of a storage the code IO. */
export function wrapIo<T>(action: string, operate: () => T): T {
  try {
    return operate();
  } catch (error) {
    if (error instanceof BoltError || isFullStack(error)) throw error;
    throw ioError(action, error);
  }
}

/** Does what nobody waits for, or what follows another failure, so that nobody can be told of its error. */
export function quietly(work: () => void): void {
  try {
    work();
  } catch {
    // There is nothing to be done about it.
  }
}

/** Closes what an operation was to use when that fails; closing it may fail as well, but the first error is the one to be told. */
export function orClose<T>(used: { close(): void }, operate: () => T): T {
  try {
    return operate();
  } catch (error) {
    quietly(() => used.close());
    throw error;
  }
}

/** What engines say of a caller's recursion: it is no error of the storage that happens to be called in it. */
function isFullStack(error: unknown): boolean {
  return error instanceof RangeError && error.message.startsWith("Maximum call stack size exceeded");
}
