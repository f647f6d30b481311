/**
 * Which transaction allocated a page, for pages noted since the table was emptied; 0 for the others.
 *
 * Kept by groups of neighbouring pages: one transaction may take more pages than a Map can have keys (2^24), and to note
 * eight million of them took eleven times as long.
 */
import type { Pgid } from "../format/constants.js";

/** Small: a transaction of a few scattered pages makes a group for each. */
const GROUP_SIZE = 32;

/** The transactions that allocated pages, by page id. */
export class Allocations {
  readonly #groups = new Map<number, number[]>();

  /** Who allocated a page, 0 when that was not noted. */
  get(pgid: Pgid): number {
    return this.#groups.get(Math.floor(pgid / GROUP_SIZE))?.[pgid % GROUP_SIZE] ?? 0;
  }

  /** Notes that transaction `serial` allocated the pages `from`..`to`, `to` not among them. */
  set(from: Pgid, to: Pgid, serial: number): void {
    for (let pgid = from; pgid < to; ) {
      const key = Math.floor(pgid / GROUP_SIZE);
      const start = key * GROUP_SIZE;
      let group = this.#groups.get(key);
      if (group === undefined) this.#groups.set(key, (group = new Array<number>(GROUP_SIZE).fill(0)));
      const end = Math.min(to, start + GROUP_SIZE);
      group.fill(serial, pgid - start, end - start);
      pgid = end;
    }
  }

  /** Forgets who allocated a page. */
  delete(pgid: Pgid): void {
    const group = this.#groups.get(Math.floor(pgid / GROUP_SIZE));
    if (group !== undefined) group[pgid % GROUP_SIZE] = 0;
  }

  /** Forgets all. */
  clear(): void {
    // Emptying an empty map would cost as much as the end of a reader otherwise takes.
    if (this.#groups.size > 0) this.#groups.clear();
  }
}
