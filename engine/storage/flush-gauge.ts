/**
 * Whether a flush of the disk is cheap, judging by the syncs that had little to write: those of meta pages and of small commits. Starting a sync
 * early costs one more flush. Where a flush takes 0.2 ms, commits in many places gain by it; there are disks on which the flush takes many
 * milliseconds, and all the rest next to nothing.
 */

/** Bytes up to which the time of a sync is that of the flush. */
const SMALL_SIZE = 65_536;

/** What a commit of a hundred scattered pages wins at most, in milliseconds. */
const MAX_FLUSH_MS = 1;

/** Watches the writes and syncs of one file. */
export class FlushGauge {
  #unsyncedSize = 0;
  #flushMs = 0;

  /** True as well as long as no sync has told. */
  get isCheap(): boolean {
    return this.#flushMs <= MAX_FLUSH_MS;
  }

  wrote(size: number): void {
    this.#unsyncedSize += size;
  }

  synced(milliseconds: number): void {
    if (this.#unsyncedSize <= SMALL_SIZE) this.#flushMs = milliseconds;
    this.#unsyncedSize = 0;
  }
}
