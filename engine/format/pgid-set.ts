/**
 * A set of page ids in bitmaps of 32,768 ids each: 4 KiB for every 128 MiB of a file of which pages are in it, however many and however large the ids are.
 */
import type { Pgid } from "./constants.js";

const WORD_BITS = 32;
const BITMAP_WORDS = 1024;
const BITMAP_BITS = WORD_BITS * BITMAP_WORDS;

/** A growing set of page ids; iterating gives them in ascending order. */
export class PgidSet implements Iterable<Pgid> {
  readonly #bitmaps = new Map<number, Uint32Array>();
  // The bitmap that was used last: neighbours are asked for one after the other.
  #last = -1;
  #bitmap: Uint32Array | undefined;

  /** Says whether the id is in the set; any number may be asked for. */
  has(pgid: Pgid): boolean {
    const bitmap = this.#bitmapOf(pgid);
    return bitmap !== undefined && (bitmap[wordOf(pgid)]! & (1 << (pgid % WORD_BITS))) !== 0;
  }

  /** Adds an id. @returns false when it was in the set before */
  add(pgid: Pgid): boolean {
    const bitmap = this.#bitmapOf(pgid) ?? this.#newBitmap(pgid);
    const index = wordOf(pgid);
    const bit = 1 << (pgid % WORD_BITS);
    const word = bitmap[index]!;
    if ((word & bit) !== 0) return false;
    bitmap[index] = word | bit;
    return true;
  }

  #bitmapOf(pgid: Pgid): Uint32Array | undefined {
    const at = Math.floor(pgid / BITMAP_BITS);
    if (at !== this.#last) {
      this.#bitmap = this.#bitmaps.get(at);
      this.#last = at;
    }
    return this.#bitmap;
  }

  #newBitmap(pgid: Pgid): Uint32Array {
    const bitmap = (this.#bitmap = new Uint32Array(BITMAP_WORDS));
    this.#bitmaps.set(Math.floor(pgid / BITMAP_BITS), bitmap);
    return bitmap;
  }

  *[Symbol.iterator](): IterableIterator<Pgid> {
    for (const at of [...this.#bitmaps.keys()].sort((a, b) => a - b)) {
      const bitmap = this.#bitmaps.get(at)!;
      for (let index = 0; index < BITMAP_WORDS; index++) {
        let word = bitmap[index]!;
        while (word !== 0) {
          const bit = 31 - Math.clz32(word & -word);
          yield at * BITMAP_BITS + index * WORD_BITS + bit;
          word &= word - 1;
        }
      }
    }
  }
}

function wordOf(pgid: Pgid): number {
  return Math.floor(pgid / WORD_BITS) % BITMAP_WORDS;
}
