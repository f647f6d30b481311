/** A key that is kept while the page that holds it is left, in memory that serves the next one again. */
import { compareBytes, copyBytes } from "../base/bytes.js";

const SMALLEST = 64;

/** One key at a time. */
export class KeptKey {
  #bytes = new Uint8Array(0);
  #size = 0;

  /** Keeps the `size` bytes of a key from `start` on in place of what was kept. */
  keep(bytes: Uint8Array, start: number, size: number): void {
    if (size > this.#bytes.length) this.#bytes = new Uint8Array(Math.max(SMALLEST, 2 * size));
    copyBytes(this.#bytes, 0, bytes, start, size);
    this.#size = size;
  }

  /** Compares the kept key with another. */
  compare(bytes: Uint8Array, start: number, size: number): number {
    return compareBytes(this.#bytes, 0, this.#size, bytes, start, size);
  }

  copy(): Uint8Array {
    return this.#bytes.slice(0, this.#size);
  }
}
