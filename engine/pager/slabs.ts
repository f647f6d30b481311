/** Memory of the page cache: slabs with many frames, or with one for a large page, and the key indexes of each. Who is in a frame, frames.ts knows. */
import { KeyIndexes } from "./key-indexes.js";

const NO_BYTES: Uint8Array = new Uint8Array(0);

/** The slabs in use, by number. The numbers of those given up are used again. */
export class Slabs {
  readonly bytes: Uint8Array[] = [];
  /** The memory of `bytes`, which begins with it. */
  readonly buffers: ArrayBufferLike[] = [];
  /** The same memory by words. */
  readonly words: DataView[] = [];
  readonly indexes: KeyIndexes;
  readonly #freeNumbers: number[] = [];
  #size = 0;

  constructor(indexes: KeyIndexes) {
    this.indexes = indexes;
  }

  /** Bytes of memory in use. */
  get memorySize(): number {
    return this.#size + this.indexes.memorySize;
  }

  /** Takes memory as a new slab, of many pages or of a large one; gives its number. */
  add(bytes: Uint8Array, isLarge: boolean): number {
    const slab = this.#freeNumbers.pop() ?? this.bytes.length;
    this.setMemory(slab, bytes);
    if (isLarge) this.indexes.addLarge(slab);
    else this.indexes.add(slab);
    this.#size += bytes.length;
    return slab;
  }

  /** Gives a slab other memory of the same size. */
  setMemory(slab: number, bytes: Uint8Array): void {
    this.bytes[slab] = bytes;
    this.buffers[slab] = bytes.buffer;
    this.words[slab] = new DataView(bytes.buffer);
  }

  /** Gives up a slab. */
  remove(slab: number): void {
    this.#size -= this.bytes[slab]!.length;
    this.setMemory(slab, NO_BYTES);
    this.indexes.remove(slab);
    this.#freeNumbers.push(slab);
  }

  isRemoved(slab: number): boolean {
    return this.bytes[slab] === NO_BYTES;
  }
}
