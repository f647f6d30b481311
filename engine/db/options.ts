/** What a database can be opened with. */
import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, MIN_PAGE_SIZE } from "../format/constants.js";
import { isPageSize } from "../format/page-size.js";
import type { Storage } from "../storage/storage.js";

/** Options of `open`; all are optional. */
export interface OpenOptions {
  /** Shared lock, no writes. Default false. */
  readonly readOnly?: boolean | undefined;
  /** Milliseconds to wait for the file lock, the thread blocked; default 0: fail at once. */
  readonly timeout?: number | undefined;
  /** Commits do not wait for the disk: a power cut can lose or damage the file. Default false. */
  readonly noSync?: boolean | undefined;
  /** Free pages are not stored; the next opening finds them by a walk over all keys. Default false. */
  readonly noFreelistSync?: boolean | undefined;
  /** Taken for bbolt's sake: growth is made durable by the commit's first sync, which noSync leaves out. Default false. */
  readonly noGrowSync?: boolean | undefined;
  /** Bytes a page, for a new file: a power of two from 1,024 to 65,536. Default 4,096. */
  readonly pageSize?: number | undefined;
  /** Permission bits of a new file. Default 0600. */
  readonly mode?: number | undefined;
  /** Bytes that the file may have at most. Default, and 0 as for bbolt: no limit. */
  readonly maxSize?: number | undefined;
  /** Bytes of clean pages kept in memory. Default 256 MiB. */
  readonly cacheSize?: number | undefined;
  /** Checks the whole database after every commit, which stays whatever the check finds or cannot read. Default false. */
  readonly strict?: boolean | undefined;
  /** `flock` (default) keeps other writers out, in any process and language. With `readOnly`, `none` is live read: a file that somebody else writes. */
  readonly lock?: "flock" | "none" | undefined;
  /** `two-sync` (default): pages, sync, meta, sync, as bolt. `one-sync`: one sync a commit, told whole from torn by the commit manifest. */
  readonly durability?: "two-sync" | "one-sync" | undefined;
  /** Where the bytes are; then the path is only a name. Default: the file at the path. */
  readonly storage?: Storage | undefined;
}

/** Options with their defaults: every one has a value, but the storage where it is the file at the path. */
export type Settings = {
  readonly [Name in keyof OpenOptions]-?: Name extends "storage" ? OpenOptions[Name] : NonNullable<OpenOptions[Name]>;
};

const DEFAULT_CACHE_SIZE = 268_435_456;
const DEFAULTS: Settings = {
  readOnly: false, timeout: 0, noSync: false, noFreelistSync: false, noGrowSync: false, pageSize: DEFAULT_PAGE_SIZE, mode: 0o600,
  maxSize: Number.MAX_SAFE_INTEGER, cacheSize: DEFAULT_CACHE_SIZE, strict: false, lock: "flock", durability: "two-sync", storage: undefined,
};

const OPTION_NAMES = Object.keys(DEFAULTS) as (keyof Settings)[];

/** What no database can do without: `updateAsync`, `batch` and `backup` want the asynchronous ones, too. */
const STORAGE_MEMBERS = ["size", "read", "write", "truncate", "sync", "lock", "close"] as const;

/**
 * Checks options and fills in the defaults.
 * @throws TypeError naming the option, what it got and what it takes
 */
export function settingsFrom(options: OpenOptions = {}): Settings {
  requireOptions(options, OPTION_NAMES);
  // By name, for what an object has inherited counts too.
  const given = OPTION_NAMES.map((name) => [name, options[name]] as const).filter(([, value]) => value !== undefined);
  const settings: Settings = { ...DEFAULTS, ...Object.fromEntries(given) };
  const demand = (isValid: boolean, name: keyof Settings, expected: string): void => requireOption(isValid, name, expected, settings[name]);
  for (const name of ["readOnly", "noSync", "noFreelistSync", "noGrowSync", "strict"] as const) demand(typeof settings[name] === "boolean", name, "true or false");
  for (const name of ["timeout", "maxSize", "cacheSize"] as const) demand(typeof settings[name] === "number" && settings[name] >= 0, name, "a number of at least 0");
  const { durability, lock, mode, pageSize, storage } = settings;
  // Whoever writes without types may give null.
  demand(storage === undefined || STORAGE_MEMBERS.every((name) => typeof storage?.[name] === "function"), "storage", "a Storage: MemoryStorage, SimulatedDisk or your own");
  requirePageSize(pageSize);
  demand(Number.isInteger(mode) && mode >= 0 && mode <= 0o7777, "mode", "permission bits, 0 to 0o7777");
  demand(lock === "flock" || lock === "none", "lock", `"flock" or "none"`);
  demand(durability === "two-sync" || durability === "one-sync", "durability", `"two-sync" or "one-sync"`);
  // Node ends the process where the bits are the number -0.
  return { ...settings, mode: mode + 0, maxSize: settings.maxSize === 0 ? DEFAULTS.maxSize : settings.maxSize };
}

/** @throws TypeError unless an option is as it is expected */
export function requireOption(isValid: boolean, name: string, expected: string, got: unknown): void {
  if (!isValid) throw new TypeError(`option ${name} must be ${expected}, got ${Object(got) === got ? "an object" : String(got)}`);
}

/** @throws TypeError unless the option pageSize is a page size */
export function requirePageSize(pageSize: number): void {
  requireOption(isPageSize(pageSize), "pageSize", `a power of two from ${MIN_PAGE_SIZE} to ${MAX_PAGE_SIZE}`, pageSize);
}

/** @throws TypeError unless options are an object with no other names than these */
export function requireOptions(options: object, names: readonly string[]): void {
  if (typeof options !== "object" || options === null) throw new TypeError("options must be an object");
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && !names.includes(name)) throw new TypeError(`there is no option "${name}"; there are ${names.join(", ")}`);
  }
}

/** @throws TypeError unless a path is one */
export function requirePath(path: string): void {
  if (typeof path !== "string" || path.length === 0) throw new TypeError(`path must be a string that is not empty, got ${kindOf(path)}`);
}

function kindOf(path: unknown): string {
  if (path === "") return "an empty one";
  return path instanceof URL ? "a URL: fileURLToPath of node:url makes a path of it" : path === null ? "null" : typeof path;
}
