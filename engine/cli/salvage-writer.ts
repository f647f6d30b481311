/** Takes what a salvage finds into a new database: in any order, twice or broken, and counts what could not be taken. */
import { BoltError, open, type Bucket, type DB, type Tx } from "../index.js";

/** Bytes after which a transaction is committed. */
const BATCH_SIZE = 4 << 20;

/** Where things go that have no place of their own. */
export const LOST_AND_FOUND: Buffer = Buffer.from("lost+found");

/** What was written. */
export interface SalvageCounts {
  keys: number;
  buckets: number;
  /** Keys that were found once more in the same bucket; the first one stays. */
  duplicates: number;
  /** Entries that no database can hold: an empty key, one that is too long, a bucket where a value is. */
  refused: number;
}

/** Writes in transactions of a bounded size. */
export class SalvageWriter {
  readonly counts: SalvageCounts = { keys: 0, buckets: 0, duplicates: 0, refused: 0 };
  readonly #db: DB;
  #tx: Tx | undefined;
  #size = 0;
  /** The buckets that are open, from the top down. */
  readonly #open: { readonly name: Buffer; readonly bucket: Bucket }[] = [];

  /** Makes the file; nothing is synced before it is complete. */
  constructor(path: string, pageSize: number) {
    this.#db = open(path, { noSync: true, pageSize });
  }

  /** Makes a bucket, or sets the sequence of one that was made before, if it is larger: a sequence that goes back gives numbers a second time. */
  bucket(path: readonly Buffer[], sequence: bigint): void {
    this.#attempt(() => {
      const bucket = this.#bucketAt(path);
      if (sequence > bucket.sequence) bucket.setSequence(sequence);
    });
  }

  /**
   * Writes a pair; one that stands outside of every bucket goes into lost+found.
   * @param apart a bucket for a pair whose key has another value already, or is a bucket's; undefined: the first one counts
   */
  put(path: readonly Buffer[], key: Buffer, value: Uint8Array, apart?: Buffer): void {
    this.#attempt(() => {
      const bucket = this.#bucketAt(path.length === 0 ? [LOST_AND_FOUND] : path);
      if (bucket.has(key) || (apart !== undefined && bucket.bucket(key) !== undefined)) {
        if (apart !== undefined && bucket.get(key)?.equals(value) !== true) return this.put([...path, apart], key, value);
        this.counts.duplicates++;
        return;
      }
      bucket.put(key, value);
      this.counts.keys++;
      this.#size += key.length + value.length;
    });
    if (this.#size >= BATCH_SIZE) this.#commit();
  }

  /** Commits and closes; gives the problems that a check of the new file finds: there must be none. */
  finish(): string[] {
    this.#commit();
    const problems = this.#db.view((tx) => [...tx.check()]);
    this.#db.close();
    return problems;
  }

  /** Closes after an error. */
  abandon(): void {
    this.#db.close();
  }

  /** An entry that cannot be written is left out; anything else that goes wrong ends the salvage. */
  #attempt(write: () => void): void {
    try {
      write();
    } catch (error) {
      const isRefused = error instanceof BoltError && ["KEY_REQUIRED", "KEY_TOO_LARGE", "VALUE_TOO_LARGE", "INCOMPATIBLE_VALUE", "BUCKET_NAME_REQUIRED"].includes(error.code);
      if (!isRefused) throw error;
      this.counts.refused++;
    }
  }

  /** Opens or makes the bucket at a path of at least one name; the buckets on the way that were open for the path before need not be looked for. */
  #bucketAt(path: readonly Buffer[]): Bucket {
    const open = this.#open;
    let depth = 0;
    while (depth < path.length && open[depth]?.name.equals(path[depth]!) === true) depth++;
    open.length = depth;
    this.#tx ??= this.#db.begin(true);
    for (; depth < path.length; depth++) {
      const name = path[depth]!;
      const holder: Tx | Bucket = open[depth - 1]?.bucket ?? this.#tx;
      const present = holder.bucket(name);
      const bucket: Bucket = present ?? holder.createBucket(name);
      if (present === undefined) this.counts.buckets++;
      open.push({ name, bucket });
    }
    return open[depth - 1]!.bucket;
  }

  #commit(): void {
    this.#tx?.commit();
    this.#tx = undefined;
    this.#open.length = 0;
    this.#size = 0;
  }
}
