/**
 * The bytes of a simulated disk: one array in whole sectors, and the size of the file on it.
 *
 * Kept true: every byte of the array behind the size is zero, so a sector can be copied whole wherever the end lies,
 * and a file that shrank and grew again reads as zero there.
 */
import { SECTOR_SIZE } from "./storage.js";

/** Rounds a number of bytes up to whole sectors. */
export function sectorsFor(byteCount: number): number {
  return Math.ceil(byteCount / SECTOR_SIZE);
}

/** A file's bytes, growable. Knows nothing of what is durable. */
export class DiskImage {
  #bytes: Uint8Array;
  #size: number;

  constructor(size = 0, capacity: number = size) {
    this.#bytes = new Uint8Array(sectorsFor(Math.max(size, capacity)) * SECTOR_SIZE);
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  /** Copies the image, with room for `capacity` bytes. */
  clone(capacity: number = this.#size): DiskImage {
    const copy = new DiskImage(this.#size, capacity);
    copy.#bytes.set(this.#bytes.subarray(0, sectorsFor(this.#size) * SECTOR_SIZE));
    return copy;
  }

  /** Copies the file out. */
  toBytes(): Uint8Array {
    return this.#bytes.slice(0, this.#size);
  }

  /** Copies the bytes of sectors `first` to `end`, which must lie within what was written. */
  sectors(first: number, end: number): Uint8Array {
    return this.#bytes.slice(first * SECTOR_SIZE, end * SECTOR_SIZE);
  }

  /** Fills `target` from `position` on, as far as the file goes; returns the number of bytes. */
  read(target: Uint8Array, position: number): number {
    const length = Math.max(0, Math.min(target.length, this.#size - position));
    if (length > 0) target.set(this.#bytes.subarray(position, position + length));
    return length;
  }

  /** Writes at a position, growing the file where needed. No bytes do not grow it. */
  write(chunk: Uint8Array, position: number): void {
    if (chunk.length === 0) return;
    const end = position + chunk.length;
    this.#reserve(end);
    this.#bytes.set(chunk, position);
    if (end > this.#size) this.#size = end;
  }

  /** Puts whole sectors, or zeros, from sector `first` on; the file then reaches at least to `size`, which lies within them or before. */
  putSectors(first: number, content: Uint8Array | "zeros", sectorCount: number, size: number): void {
    const start = first * SECTOR_SIZE;
    const end = start + sectorCount * SECTOR_SIZE;
    this.#reserve(end);
    if (content === "zeros") this.#bytes.fill(0, start, end);
    else this.#bytes.set(content, start);
    if (size > this.#size) this.#size = size;
  }

  /** Cuts or extends the file. */
  resize(size: number): void {
    if (size < this.#size) this.#bytes.fill(0, size, this.#size);
    else this.#reserve(size);
    this.#size = size;
  }

  #reserve(end: number): void {
    if (end <= this.#bytes.length) return;
    const grown = new Uint8Array(sectorsFor(Math.max(end, this.#bytes.length * 2)) * SECTOR_SIZE);
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}
