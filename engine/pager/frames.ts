/**
 * What the page cache knows of each frame: the page in it, and its state.
 *
 * The columns are kept by slab, because a slab of one large page has one frame and not the hundreds that its numbers leave room for: columns by frame
 * number took 4 KiB a large page, and for a gigabyte of cache full of values of a few KiB an array longer than V8 allows.
 */
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
/** No frame. */
export const NO_FRAME = -1;

/** The frame holds a changed page of the writer's, which has no page id yet. */
export const PRIVATE = -2;

/** The frames of all slabs. Frame f is slot `f & mask` of slab `f >>> bits`. */
export class Frames {
  readonly #bits: number;
  readonly #mask: number;
  readonly #pgids: Float64Array[] = [];
  readonly #states: Uint8Array[] = [];
  readonly #views: (Uint8Array | undefined)[][] = [];
  #count = 0;
  #clockHand = 0;

  constructor(bits: number) {
    this.#bits = bits;
    this.#mask = (1 << bits) - 1;
  }

  /** Frames of all slabs together. */
  get count(): number {
    return this.#count;
  }

  /** The page in a frame, EMPTY or PRIVATE. */
  pgid(frame: number): Pgid {
    return this.#pgids[frame >>> this.#bits]![frame & this.#mask]!;
  }

  setPgid(frame: number, pgid: Pgid): void {
    this.#pgids[frame >>> this.#bits]![frame & this.#mask] = pgid;
  }

  state(frame: number): number {
    return this.#states[frame >>> this.#bits]![frame & this.#mask]!;
  }

  setState(frame: number, state: number): void {
    this.#states[frame >>> this.#bits]![frame & this.#mask] = state;
  }

  /** The page's bytes, kept where they were wanted before: to make a view costs as much as copying a page. */
  view(frame: number): Uint8Array | undefined {
    return this.#views[frame >>> this.#bits]![frame & this.#mask];
  }

  setView(frame: number, view: Uint8Array): Uint8Array {
    return (this.#views[frame >>> this.#bits]![frame & this.#mask] = view);
  }

  /** Second chance: goes on by one and gives the frame under the hand if its page was not looked at since the hand last passed, else NO_FRAME. */
  advanceHand(): number {
    const frame = (this.#clockHand = this.#next(this.#clockHand));
    const state = this.state(frame);
    if (this.pgid(frame) === EMPTY || state & PINNED) return NO_FRAME;
    this.setState(frame, state & ~REFERENCED);
    return state & REFERENCED ? NO_FRAME : frame;
  }

  /** The frame after `frame`, the first one after the last. */
  #next(frame: number): number {
    let slab = frame >>> this.#bits;
    if ((frame & this.#mask) + 1 < this.#states[slab]!.length) return frame + 1;
    do slab = slab + 1 === this.#states.length ? 0 : slab + 1;
    while (this.#states[slab]!.length === 0);
    return slab << this.#bits;
  }

  /** Gives a slab this many frames, all of them empty; 0 when the slab is given up. */
  reset(slab: number, slotCount: number): void {
    const before = this.#states[slab]?.length;
    this.#count += slotCount - (before ?? 0);
    if (before !== slotCount) {
      this.#pgids[slab] = new Float64Array(slotCount);
      this.#states[slab] = new Uint8Array(slotCount);
    }
    this.#pgids[slab]!.fill(EMPTY);
    this.#states[slab]!.fill(0);
    this.#views[slab] = [];
  }

  isAnyPinned(slab: number): boolean {
    return this.#states[slab]!.some((state) => (state & PINNED) !== 0);
  }

  isEmpty(slab: number): boolean {
    return this.#pgids[slab]!.every((pgid) => pgid === EMPTY);
  }

  forEachPage(slab: number, visit: (pgid: Pgid) => void): void {
    for (const pgid of this.#pgids[slab]!) if (pgid !== EMPTY) visit(pgid);
  }
}
