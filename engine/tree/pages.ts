/**
 * The port through which a tree sees pages. The tree declares it, the page cache has its shape: the hot paths read the slabs directly,
 * with no call and no object between the key and the value.
 */
import type { LookUpMemory } from "../base/bytes.js";
import type { Pgid } from "../format/constants.js";

/** Clean pages with their key indexes. */
export interface Pages {
  readonly lookUpMemory: LookUpMemory;
  readonly pageSize: number;
  /** Frame f is slot `f & frameMask` of slab `f >>> frameBits`. */
  readonly frameBits: number;
  readonly frameMask: number;
  readonly slabBytes: readonly Uint8Array[];
  /** The memory of `slabBytes`, which begins with it: to ask an array for its buffer costs more than to make a view. */
  readonly slabBuffers: readonly ArrayBufferLike[];
  /** The same memory by words, for small copies. */
  readonly slabWords: readonly DataView[];
  /** Key indexes: that of slot n begins at the word whose number is word n. */
  readonly slabIndex: readonly Uint32Array[];
  /** Gives the frame of a validated branch or leaf page with its index. Any other frame that is not pinned may be lost by it. */
  locate(pgid: Pgid): number;
  /** Gives where the key index of the frame begins, with room for so many keys; the array that it stands in may be a new one. */
  reserveIndex(frame: number, keyCount: number): number;
  /** Whether the frame still holds the page. */
  holds(frame: number, pgid: Pgid): boolean;
  /** Where the page starts in its slab. */
  pageStart(frame: number): number;
  /** Reads what was left out of a slab, for it is of one large value only. @see requireValue */
  complete(slab: Uint8Array): void;
  /** Says that a caller got a view into the frame. */
  markEscaped(frame: number): void;
  /** Whether a caller has a view into the frame: then its bytes must not change. */
  isEscaped(frame: number): boolean;
  /** Whether `take` may be called. */
  isTakeable(frame: number): boolean;
  /** Makes the frame of a single page, of which `size` bytes are in use, the writer's to change: no page id leads to it any more, and it is pinned. */
  take(frame: number, size: number): void;
  /** Gives the writer a frame with an empty leaf page. */
  takeEmpty(): number;
  /** Keeps the frame where it is, to the end of the transaction or until `discard`. */
  pin(frame: number): void;
  /** Ends the use of a frame of the writer's, or a pin. */
  discard(frame: number): void;
}

/**
 * Has a value read that was left out, before its bytes are looked at. No value smaller than a page ever is.
 * @param bytes the memory that it is in: a slab, or the transaction's own
 * @throws BoltError CORRUPT, IO, STALE_SNAPSHOT
 */
export function requireValue(pages: Pages, bytes: Uint8Array, valueSize: number): void {
  if (valueSize >= pages.pageSize) pages.complete(bytes);
}
