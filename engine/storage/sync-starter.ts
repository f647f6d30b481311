/**
 * Begins to write a file back while the thread that owns it goes on.
 *
 * It has a descriptor of its own. The system reports a failed write-back once to each descriptor; when it is reported to this one, where nobody waits
 * for it, the owner's next sync still hears of it. Linux keeps that promise (errseq, since 4.13; what Node runs on is newer); of other systems that
 * is not known, so they get no SyncStarter.
 */
import { closeSync, constants, fdatasync, openSync } from "node:fs";

/** Descriptors that wait for the end of a sync, at most: a program that opens and closes databases in a loop, without a turn of the event loop, lets none end. */
const MAX_LEFT_OPEN = 16;

/** Starts syncs of one file. */
export class SyncStarter {
  /** Descriptors that their owners have given up, and that are in use yet. */
  static #leftOpenCount = 0;

  readonly #fd: number;
  #underWayCount = 0;
  #isOpen = true;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Opens the file behind a descriptor once more; undefined where it cannot be, or where errors would get lost. */
  static of(fd: number): SyncStarter | undefined {
    if (process.platform !== "linux" || SyncStarter.#leftOpenCount >= MAX_LEFT_OPEN) return undefined;
    try {
      return new SyncStarter(openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY));
    } catch {
      // No /proc, no descriptor left: commits wait a little longer for their sync.
      return undefined;
    }
  }

  start(): void {
    this.#underWayCount++;
    fdatasync(this.#fd, () => {
      this.#underWayCount--;
      if (this.#isOpen || this.#underWayCount > 0) return;
      SyncStarter.#leftOpenCount--;
      closeSync(this.#fd);
    });
  }

  /** Gives up the descriptor, once the syncs under way have ended. */
  close(): void {
    this.#isOpen = false;
    if (this.#underWayCount === 0) closeSync(this.#fd);
    else SyncStarter.#leftOpenCount++;
  }
}
