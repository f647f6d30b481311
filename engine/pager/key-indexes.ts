/**
 * Where the key indexes of the pages stand: `slabs[s]` holds those of slab s.
 *
 * An index takes four words and one a key (format/page-index.ts). In places of the greatest length that is a quarter of the memory of the pages, most of it never
 * written to but fetched by the system all the same; so every index has a place of its own length. Words of `slabs[s]`:
 *
 *     0 … slotCount - 1    by slot, where the index of its page begins; 0 where it never had one
 *     behind them          places: the number of words in it, then these words
 *
 * A place stays with its slot and serves the next page there, if it is long enough. Places that slots have left lie dead until there is no room for another: then the
 * others move into a new array.
 */
import { ELEMENT_SIZE } from "../format/constants.js";
import { INDEX_KEYS } from "../format/page-index.js";

/** A place and the word before it are a multiple of these: an index may grow by a few keys where it is. */
const PLACE_UNIT = 8;
const NO_INDEX: Uint32Array = new Uint32Array(0);

/** The key indexes of all slabs. */
export class KeyIndexes {
  readonly slabs: Uint32Array[] = [];
  readonly #slotCount: number;
  /** Words of the longest index of a single page. */
  readonly #longest: number;
  /** By slab: where the next place begins. */
  readonly #ends: number[] = [];
  /** Words in all slabs of many pages. */
  #length = 0;
  /** Slabs of many pages. */
  slabCount = 0;

  constructor(slotCount: number, pageSize: number) {
    this.#slotCount = slotCount;
    this.#longest = INDEX_KEYS + pageSize / ELEMENT_SIZE;
  }

  /** Bytes of memory in use, but for large pages. */
  get memorySize(): number {
    return this.#length * 4;
  }

  /** Bytes that a new slab takes to begin with: as many as the others have; for the first one, what pages with values of a hundred bytes need. */
  get slabSize(): number {
    return 4 * (this.slabCount > 0 ? Math.ceil(this.#length / this.slabCount) : this.#slotCount * (1 + placeSize(this.#longest >>> 3)));
  }

  /** Bytes of a slab in which every index is as long as it can be. */
  get largestSlabSize(): number {
    return 4 * this.#slotCount * (1 + placeSize(this.#longest));
  }

  /** Begins a slab of many pages. */
  add(slab: number): void {
    this.slabs[slab] = new Uint32Array(this.slabSize / 4);
    this.#ends[slab] = this.#slotCount;
    this.#length += this.slabs[slab]!.length;
    this.slabCount++;
  }

  /** Begins a slab of one large page, which may never be searched. */
  addLarge(slab: number): void {
    this.slabs[slab] = NO_INDEX;
    this.#ends[slab] = 0;
  }

  /** Gives the slab of one large page an index for so many keys; gives where it begins. It is small, and not counted. */
  setLarge(slab: number, keyCount: number): number {
    this.slabs[slab] = new Uint32Array(1 + INDEX_KEYS + keyCount);
    return (this.slabs[slab]![0] = 1);
  }

  /** Ends a slab. */
  remove(slab: number): void {
    if (this.#ends[slab]! > 0) {
      this.#length -= this.slabs[slab]!.length;
      this.slabCount--;
    }
    this.#ends[slab] = 0;
    this.slabs[slab] = NO_INDEX;
  }

  /**
   * Makes room for the index of so many keys, which keeps what stands in it. The slab's array may be another one after it.
   * @returns where the index begins
   */
  reserve(slab: number, slot: number, keyCount: number): number {
    const index = this.slabs[slab]!;
    const at = index[slot]!;
    const wanted = Math.min(INDEX_KEYS + keyCount, this.#longest);
    if (at !== 0 && index[at - 1]! >= wanted) return at;
    // One that grows will go on growing.
    return this.#move(slab, slot, placeSize(at === 0 ? wanted : Math.min(this.#longest, wanted + (wanted >>> 2))));
  }

  /** Gives a slot another place of `size` words, the one before it included. */
  #move(slab: number, slot: number, size: number): number {
    const index = this.slabs[slab]!;
    const at = this.#ends[slab]! + 1;
    if (at - 1 + size > index.length) return this.#rebuild(slab, slot, size);
    const from = index[slot]!;
    if (from !== 0) index.copyWithin(at, from, from + index[from - 1]!);
    index[at - 1] = size - 1;
    index[slot] = at;
    this.#ends[slab] = at - 1 + size;
    return at;
  }

  /** Moves the places in use into a new array, with one of `size` words for `moved` and room for others. */
  #rebuild(slab: number, moved: number, size: number): number {
    const old = this.slabs[slab]!;
    const sizes = Array.from({ length: this.#slotCount }, (_, slot) => (slot === moved ? size : old[slot] === 0 ? 0 : 1 + old[old[slot]! - 1]!));
    const needed = sizes.reduce((sum, words) => sum + words, this.#slotCount);
    const index = new Uint32Array(Math.min(needed + (needed >>> 2), this.largestSlabSize / 4));
    let end = this.#slotCount;
    for (const [slot, words] of sizes.entries()) {
      if (words === 0) continue;
      const from = old[slot]!;
      index[end] = words - 1;
      index[slot] = end + 1;
      if (from !== 0) index.set(old.subarray(from, from + old[from - 1]!), end + 1);
      end += words;
    }
    this.#ends[slab] = end;
    this.#length += index.length - old.length;
    this.slabs[slab] = index;
    return index[moved]!;
  }
}

/** Words of a place for an index, and of the word before it. */
function placeSize(words: number): number {
  return Math.ceil((1 + words) / PLACE_UNIT) * PLACE_UNIT;
}
