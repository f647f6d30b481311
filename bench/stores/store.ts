/**
 * The one face every JavaScript store shows to the workloads. A process opens one store only, so these calls stay monomorphic and
 * cost every rival the same.
 *
 * Reads are synchronous: each rival's fastest way to a value. Where a store iterates or commits only asynchronously, the method
 * returns a promise and the workload waits for it.
 */
import type { StoreName } from "../job.js";

export type MaybePromise<T> = T | Promise<T>;

/** Takes one entry of an iteration; what it is given is valid during the call only. */
export type Visit = (key: Uint8Array, value: Uint8Array) => void;

/** How a store is opened. */
export interface StoreOptions {
  readonly name: StoreName;
  /** An existing directory that is the store's own. */
  readonly directory: string;
  readonly durable: boolean;
  /** Bytes of cache; 0 = as much as holds the standard data set. */
  readonly cacheBytes: number;
  readonly pageSize: number;
  readonly noFreelistSync: boolean;
}

/** What to iterate over. */
export interface ScanRequest {
  /** First key, inclusive; undefined = from the end the direction starts at. */
  readonly start: Buffer | undefined;
  readonly reverse: boolean;
  readonly limit: number;
  readonly views: boolean;
}

/** A snapshot that stays as it is until released. */
export interface HeldReader {
  get(key: Buffer): Uint8Array | undefined;
  release(): void;
}

/** An open store. */
export interface Store {
  readonly version: string;
  /** Commits one transaction; an undefined value deletes. */
  write(keys: readonly Buffer[], values: readonly (Buffer | undefined)[]): MaybePromise<void>;
  /** Opens the snapshot that `get`, `getView` and `scan` read; where a store has none to open it does nothing. */
  beginRead(): void;
  endRead(): void;
  /** A copy of the value, the caller's own. */
  get(key: Buffer): Uint8Array | undefined;
  /** The value, valid until the next call; a copy where the store has no views. */
  getView(key: Buffer): Uint8Array | undefined;
  scan(request: ScanRequest, visit: Visit): MaybePromise<void>;
  /** Puts one entry as one of many callers; resolves when it is durable. */
  putConcurrent(key: Buffer, value: Buffer): Promise<void>;
  holdReader(): HeldReader;
  readonly images: ImageRecords;
  /** Finishes work the store has put off; absent where a store puts none off. */
  settle?(): Promise<void>;
  close(): MaybePromise<void>;
}

/** The three small fields of an image. */
export interface ImageFields {
  readonly digest: string;
  readonly mediaType: string;
  readonly size: number | bigint;
}

/** Image metadata the way the store would lay it out. */
export interface ImageRecords {
  put(names: readonly string[], fields: readonly ImageFields[]): MaybePromise<void>;
  get(name: string): ImageFields | undefined;
  list(visit: (name: string, fields: ImageFields) => void): MaybePromise<void>;
}

/** Opens one store with its options. */
export type OpenStore = (options: StoreOptions) => MaybePromise<Store>;

/** Loads a store's module, and no other's. */
export async function loadStore(name: StoreName): Promise<OpenStore> {
  switch (name) {
    case "hexbolt":
    case "hexbolt-one-sync":
      return (await import("./hexbolt.js")).openHexbolt;
    case "lmdb":
    case "lmdb-overlap":
      return (await import("./lmdb.js")).openLmdb;
    case "level":
    case "level-default":
      return (await import("./level.js")).openLevel;
    case "sqlite":
    case "node-sqlite":
      return (await import("./sqlite.js")).openSqlite;
    case "bbolt":
    case "bbolt-batch":
    case "boltdb":
      throw new Error(`${name} is a native program`);
  }
}

/** Loads and opens a store. */
export async function openStore(options: StoreOptions): Promise<Store> {
  return (await loadStore(options.name))(options);
}
