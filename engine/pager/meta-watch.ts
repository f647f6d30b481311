/**
 * Live read: how a reader knows that the snapshot it reads has not been touched, while somebody else writes the file.
 *
 * The reader notes the bytes of both meta pages when its snapshot begins, and looks at them again after each read of a page. As long as
 * they are the same, the newest transaction T that it reads is the newest committed one. Whoever writes transaction T + 1 writes only to
 * pages that the tree of T does not reach (both bbolt and this engine), and T + 2, which may use what T + 1 freed, cannot begin
 * before the meta of T + 1 stands in the file. A meta page read while it is being written differs from the noted one, so it counts as moved.
 * A commit that failed may have left its meta for a moment, and the next one may have the same number, root and mark: then the manifest behind the
 * meta (format/manifest.ts) tells the two apart, by the sums of their pages. If neither has a manifest, because their pages lie in more ranges than
 * fit, nothing tells them apart.
 */
import { type BoltError, boltError, wrapIo } from "../base/errors.js";
import { WATCHED_SIZE } from "../format/manifest.js";
import { decodeMeta } from "../format/meta.js";
import type { Storage } from "../storage/storage.js";
import type { MetaSlots } from "./meta-pages.js";

function stale(): BoltError {
  return boltError("STALE_SNAPSHOT", "a commit has followed the one this snapshot reads; begin again");
}

/** The two meta pages as they were when a snapshot began. */
export class MetaWatch {
  readonly #storage: Storage;
  readonly #pageSize: number;
  readonly #noted: Buffer;
  readonly #seen: Buffer = Buffer.alloc(2 * WATCHED_SIZE);
  /** How often somebody was refused a page. */
  refusalCount = 0;

  constructor(storage: Storage, pageSize: number) {
    this.#storage = storage;
    this.#pageSize = pageSize;
    this.#noted = Buffer.alloc(2 * WATCHED_SIZE);
    this.#read(this.#noted);
  }

  /** What the noted bytes say. */
  get slots(): MetaSlots {
    return [decodeMeta(this.#noted, 0), decodeMeta(this.#noted, WATCHED_SIZE)];
  }

  /** Whether both meta pages still are what they were. */
  isUnmoved(): boolean {
    this.#read(this.#seen);
    return this.#seen.equals(this.#noted);
  }

  /** @throws BoltError STALE_SNAPSHOT when they are not */
  requireUnmoved(): void {
    if (wrapIo("read the meta pages", () => this.isUnmoved())) return;
    this.refusalCount++;
    throw stale();
  }

  /**
   * Whoever was refused a page may have caught that, and made do with less. The refusals count no more then: they are not those of a view around this one.
   * @param count `refusalCount` as it was
   * @throws BoltError STALE_SNAPSHOT when a page has been refused since
   */
  requireNoRefusalSince(count: number): void {
    if (this.refusalCount === count) return;
    this.refusalCount = count;
    throw stale();
  }

  #read(target: Buffer): void {
    target.fill(0);
    this.#storage.read(target.subarray(0, WATCHED_SIZE), 0);
    this.#storage.read(target.subarray(WATCHED_SIZE), this.#pageSize);
  }
}
