/** What the page cache knows of each frame: the page in it, and its state. */
import type { Pgid } from "../format/constants.js";

/** Looked at since the eviction's hand last passed. */
export const REFERENCED = 1;
/** A view into it was handed out. */
export const ESCAPED = 2;
export const PINNED = 4;
/** Its key index is built. */
export const INDEXED = 8;
/** Written by this process, not read: sound without a look at every element (measured: 0.7 µs less a page). */
export const ENCODED = 16;

/** No page is in the frame. */
export const EMPTY = -1;
/** The frame holds a changed page of the writer's, which has no page id yet. */
export const PRIVATE = -2;

/** Columns by frame. */
export class Frames {
  /** The page in it, EMPTY or PRIVATE. */
  pgids: Float64Array = new Float64Array(0);
  states: Uint8Array = new Uint8Array(0);
  /** The page's bytes, made when first wanted: to make a view costs as much as copying a page. */
  readonly views: (Uint8Array | undefined)[] = [];

  /** Makes the frames `from` to `to` empty ones, where they are new too. */
  clear(from: number, to: number): void {
    if (to > this.pgids.length) this.#grow(Math.max(to, 2 * this.pgids.length));
    this.pgids.fill(EMPTY, from, to);
    this.states.fill(0, from, to);
    this.views.fill(undefined, from, to);
  }

  isAnyPinned(from: number, to: number): boolean {
    for (let frame = from; frame < to; frame++) if (this.states[frame]! & PINNED) return true;
    return false;
  }

  isEmpty(from: number, to: number): boolean {
    for (let frame = from; frame < to; frame++) if (this.pgids[frame] !== EMPTY) return false;
    return true;
  }

  forEachPage(from: number, to: number, visit: (pgid: Pgid) => void): void {
    for (let frame = from; frame < to; frame++) if (this.pgids[frame] !== EMPTY) visit(this.pgids[frame]!);
  }

  #grow(length: number): void {
    const { pgids, states } = this;
    this.pgids = new Float64Array(length).fill(EMPTY);
    this.pgids.set(pgids);
    while (this.views.length < length) this.views.push(undefined);
    this.states = new Uint8Array(length);
    this.states.set(states);
  }
}
