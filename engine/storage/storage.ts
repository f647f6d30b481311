/**
 * The seam between the engine and whatever keeps its bytes: a file, memory, a simulated disk.
 *
 * A storage is one growable array of bytes with a durability barrier. It knows nothing of pages. The engine is its
 * only user while it is open, calls it from one thread, and relies on this:
 *
 * - what `write` was given is what the next `read` sees, at once;
 * - after `sync` returns, everything written, and the size, survives a power cut; before, any part of it may not;
 * - an operation that throws may have been done wholly, partly or not at all.
 *
 * Errors are whatever the system gives; the engine wraps them as `IO`.
 */
export interface Storage {
  /** Bytes from the start to the end. */
  size(): number;

  /**
   * Reads from `position` into `target` until it is full or the storage ends.
   * @returns the number of bytes read; fewer than `target.length` only at the end
   */
  read(target: Uint8Array, position: number): number;

  /** Writes the chunks one behind the other from `position` on, all bytes, growing the storage where it ends. The chunks are not kept. */
  write(chunks: readonly Uint8Array[], position: number): void;

  /** Cuts or extends (with zero bytes) to `size` bytes. */
  truncate(size: number): void;

  /** Makes all that was written, and the size, durable. */
  sync(): void;

  /**
   * Says that a `sync` will follow: what was written so far may begin to be made durable, while more is written. Returns at once, and reports
   * nothing: what fails, the `sync` must report. A storage that has no use for it leaves it out.
   */
  startSync?(): void;

  /** `write` off the calling thread. The chunks must not change until it resolves. */
  writeAsync(chunks: readonly Uint8Array[], position: number): Promise<void>;

  /** `sync` off the calling thread. */
  syncAsync(): Promise<void>;

  /**
   * Tries once to take the lock that keeps other openings out (`exclusive`: all others, `shared`: writers).
   * @returns false when another opening holds it; throws where the system cannot tell
   */
  lock(mode: LockMode): boolean;

  /**
   * For live read: switches to the file that has the name now, if that is another one, as after a compaction by somebody else. Called while no
   * snapshot is open: what was read before says nothing of that file. Optional: a storage without names omits it.
   * @returns whether it did
   */
  follow?(): boolean;

  /** Gives up the lock and the storage, once the asynchronous operations under way have ended; idempotent. */
  close(): void;
}

/** `exclusive` for an opening that writes, `shared` for one that only reads. */
export type LockMode = "exclusive" | "shared";

/** What a disk writes whole or not at all, in bytes. */
export const SECTOR_SIZE = 512;
