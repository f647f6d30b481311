/**
 * A set of page ids as one bitmap: 32 KiB for a file of 1 GiB, however many ids are in it.
 *
 * It grows up to the highest id that was added. So only ids that are known to lie inside the file may be added:
 * an id read from a page and not yet checked could ask for any amount of memory.
 */
import type { Pgid } from "./constants.js";

const WORD_BITS = 32;
const INITIAL_WORDS = 64;

/** A growing set of page ids; iterating gives them in ascending order. */
export class PgidSet implements Iterable<Pgid> {
  #words: Uint32Array = new Uint32Array(INITIAL_WORDS);

  /** Says whether the id is in the set; any number may be asked for. */
  has(pgid: Pgid): boolean {
    const word = this.#words[Math.floor(pgid / WORD_BITS)];
    return word !== undefined && (word & (1 << (pgid % WORD_BITS))) !== 0;
  }

  /**
   * Adds an id that lies inside the file.
   * @returns false when it was in the set before
   */
  add(pgid: Pgid): boolean {
    const index = Math.floor(pgid / WORD_BITS);
    if (index >= this.#words.length) this.#grow(index + 1);
    const bit = 1 << (pgid % WORD_BITS);
    const word = this.#words[index]!;
    if ((word & bit) !== 0) return false;
    this.#words[index] = word | bit;
    return true;
  }

  #grow(wordCount: number): void {
    const words = new Uint32Array(Math.max(wordCount, this.#words.length * 2));
    words.set(this.#words);
    this.#words = words;
  }

  *[Symbol.iterator](): IterableIterator<Pgid> {
    for (let index = 0; index < this.#words.length; index++) {
      let word = this.#words[index]!;
      while (word !== 0) {
        const bit = 31 - Math.clz32(word & -word);
        yield index * WORD_BITS + bit;
        word &= word - 1;
      }
    }
  }
}
