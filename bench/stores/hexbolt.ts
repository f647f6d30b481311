/**
 * hexbolt with the settings a user gets, one bucket of entries; images by the image store, in nested buckets as containerd lays them out.
 * `hexbolt-one-sync` differs in `durability` only. Cache and page size are set only where a workload is about them.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { open } from "../../engine/index.js";
import type { Bucket, DB, OpenOptions, Range, ReadTx, Tx } from "../../engine/index.js";
import { initDB, TxImageStore } from "../../images/index.js";
import { BENCH_DIRECTORY } from "./rival.js";
import type { HeldReader, ImageFields, ImageRecords, ScanRequest, Store, StoreOptions, Visit } from "./store.js";

const ENTRIES = Buffer.from("data");

/** Opens hexbolt on `data.db` in the store's directory. */
export function openHexbolt(options: StoreOptions): Store {
  const openOptions: OpenOptions = {
    noSync: !options.durable,
    noFreelistSync: options.noFreelistSync,
    durability: options.name === "hexbolt-one-sync" ? "one-sync" : "two-sync",
    ...(options.cacheBytes > 0 ? { cacheSize: options.cacheBytes } : {}),
    ...(options.pageSize > 0 ? { pageSize: options.pageSize } : {}),
  };
  return new HexboltStore(open(join(options.directory, "data.db"), openOptions));
}

class HexboltStore implements Store {
  readonly version: string = ownVersion();
  readonly images: ImageRecords;
  readonly #db: DB;
  #readTx: ReadTx | undefined;
  #readBucket: Bucket | ReturnType<ReadTx["bucket"]>;

  constructor(db: DB) {
    this.#db = db;
    this.images = new StoredImages(db);
  }

  write(keys: readonly Buffer[], values: readonly (Buffer | undefined)[]): void {
    this.#db.update((tx) => {
      const bucket = entries(tx);
      for (let index = 0; index < keys.length; index++) {
        const key = keys[index] as Buffer;
        const value = values[index];
        if (value === undefined) bucket.delete(key);
        else bucket.put(key, value);
      }
    });
  }

  beginRead(): void {
    this.#readTx = this.#db.begin();
    this.#readBucket = this.#readTx.bucket(ENTRIES);
  }

  endRead(): void {
    this.#readBucket = undefined;
    this.#readTx?.rollback();
    this.#readTx = undefined;
  }

  get(key: Buffer): Uint8Array | undefined {
    return this.#readBucket?.get(key);
  }

  getView(key: Buffer): Uint8Array | undefined {
    return this.#readBucket?.getView(key);
  }

  scan(request: ScanRequest, visit: Visit): void {
    const range: Range = {
      reverse: request.reverse,
      ...(request.start === undefined ? {} : request.reverse ? { lte: request.start } : { gte: request.start }),
      ...(Number.isFinite(request.limit) ? { limit: request.limit } : {}),
    };
    const bucket = this.#readBucket;
    if (bucket === undefined) return;
    const found = request.views ? bucket.entriesView(range) : bucket.entries(range);
    for (const [key, value] of found) visit(key, value);
  }

  putConcurrent(key: Buffer, value: Buffer): Promise<void> {
    return this.#db.batch((tx) => entries(tx).put(key, value));
  }

  holdReader(): HeldReader {
    const tx = this.#db.begin();
    const bucket = tx.bucket(ENTRIES);
    return { get: (key) => bucket?.get(key), release: () => tx.rollback() };
  }

  close(): void {
    this.#db.close();
  }
}

/** The image store of the package. */
class StoredImages implements ImageRecords {
  readonly #db: DB;

  constructor(db: DB) {
    this.#db = db;
  }

  put(names: readonly string[], fields: readonly ImageFields[]): void {
    if (this.#db.view((tx) => tx.bucket("v1")) === undefined) initDB(this.#db);
    this.#db.update((tx) => {
      const images = new TxImageStore(tx);
      names.forEach((name, index) => {
        const image = fields[index];
        if (image === undefined) throw new Error("an image without fields");
        images.put(name, image);
      });
    });
  }

  get(name: string): ImageFields | undefined {
    return this.#db.view((tx) => new TxImageStore(tx).get(name).target);
  }

  list(visit: (name: string, fields: ImageFields) => void): void {
    this.#db.view((tx) => {
      for (const { name, target } of new TxImageStore(tx).list()) visit(name, target);
    });
  }
}

function entries(tx: Tx): Bucket {
  return tx.createBucketIfNotExists(ENTRIES);
}

function ownVersion(): string {
  const description: unknown = JSON.parse(readFileSync(join(BENCH_DIRECTORY, "../package.json"), "utf8"));
  return typeof description === "object" && description !== null && "version" in description ? String(description.version) : "unknown";
}
