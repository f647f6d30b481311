/** The cursor that callers get. @see bbolt cursor.go, Cursor */
import { toBytes, type BytesLike } from "../base/bytes.js";
import { boltError, isCorrupt } from "../base/errors.js";
import type { BucketState } from "./bucket-state.js";
import { Place } from "./place.js";

/** What a cursor is on: the caller's own copies; `value` is undefined for a nested bucket. */
export interface CursorEntry {
  readonly key: Buffer;
  readonly value: Buffer | undefined;
}

/**
 * Moves over the keys of a bucket, nested buckets among them, in byte order.
 *
 * It knows its key: in a write transaction `next` is the first key greater and `prev` the last key smaller, whatever was put or deleted meanwhile.
 * A move to a key whose value is damaged throws CORRUPT and is made all the same: the next one goes on from there. Where a page of keys cannot be read,
 * `next` and `prev` stay where they are and may be called again; after a `first`, `last` or `seek` that failed, and where only the value could not be read
 * (IO, STALE_SNAPSHOT), the cursor is nowhere until one of these goes well.
 */
export class Cursor {
  readonly #bucket: BucketState;
  readonly #place: Place;
  /**
   * Not placed yet, nowhere in a bucket without keys, on a key (which may have been deleted since), behind the last key after a seek, or where nobody
   * knows, because going to the first or last key or to one that was sought has failed.
   */
  #state: "unplaced" | "nowhere" | "on" | "behind" | "failed" = "unplaced";

  /** Cursors come from a bucket or a transaction. @internal */
  constructor(bucket: BucketState) {
    this.#bucket = bucket;
    this.#place = new Place(bucket);
  }

  /** Goes to the first key; undefined when there is none. @throws BoltError TX_CLOSED */
  first(): CursorEntry | undefined {
    this.#bucket.requireReadable();
    this.#state = "failed";
    return this.#arrive(this.#place.first(), "nowhere");
  }

  /** Goes to the last key; undefined when there is none. @throws BoltError TX_CLOSED */
  last(): CursorEntry | undefined {
    this.#bucket.requireReadable();
    this.#state = "failed";
    return this.#arrive(this.#place.last(), "nowhere");
  }

  /** Goes to the key, or the next one; undefined when there is none: then `prev` gives the last key. @throws BoltError TX_CLOSED */
  seek(key: BytesLike): CursorEntry | undefined {
    this.#bucket.requireReadable();
    const keyBytes = toBytes(key, "key");
    this.#state = "failed";
    return this.#arrive(this.#place.seek(keyBytes), "behind");
  }

  /** Goes to the next key; undefined at the end, where it stays. @throws BoltError TX_CLOSED */
  next(): CursorEntry | undefined {
    this.#bucket.requireReadable();
    this.#requirePlace();
    this.#place.isBackward = false;
    if (this.#state !== "on" || !this.#place.next()) return undefined;
    return this.#arrive(true, "on");
  }

  /** Goes to the key before; undefined at the start, where it stays. @throws BoltError TX_CLOSED */
  prev(): CursorEntry | undefined {
    this.#bucket.requireReadable();
    this.#requirePlace();
    this.#place.isBackward = true;
    if (this.#state === "unplaced" || this.#state === "nowhere") return undefined;
    if (this.#state === "behind") return this.#arrive(this.#place.last(), "behind");
    return this.#place.previous() ? this.#arrive(true, "on") : undefined;
  }

  /**
   * Deletes the key it is on. Then `next` gives the one that followed and `prev` the one before.
   * @throws BoltError TX_CLOSED, TX_NOT_WRITABLE, INCOMPATIBLE_VALUE for a nested bucket, KEY_REQUIRED before any positioning, and after one that failed
   */
  delete(): void {
    this.#bucket.requireWritable();
    this.#requirePlace();
    if (this.#state === "unplaced") throw boltError("KEY_REQUIRED", "the cursor is on no key; call first, last or seek before delete");
    if (this.#state === "on") this.#place.delete();
  }

  #requirePlace(): void {
    if (this.#state === "failed") throw boltError("KEY_REQUIRED", "the cursor was to go elsewhere and could not; call first, last or seek");
  }

  #arrive(found: boolean, otherwise: "nowhere" | "on" | "behind"): CursorEntry | undefined {
    this.#state = found ? "on" : otherwise;
    if (!found) return undefined;
    const place = this.#place;
    if (place.isBucket) return { key: place.copyKey(), value: undefined };
    try {
      const [key, value] = place.copyPair();
      return { key, value };
    } catch (error) {
      // The caller has not seen this key: nothing is to be deleted for it.
      if (!isCorrupt(error)) this.#state = "failed";
      throw error;
    }
  }
}
