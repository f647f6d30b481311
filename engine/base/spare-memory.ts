/**
 * Memory of large pages, kept for the next one of the same size: to take new memory from the system costs more than to fill it (measured: 0.6 ms a MiB,
 * where a copy takes 0.1).
 */
import { newMemory } from "./memory.js";

const LIMIT = 1 << 22;
/** Every piece given back is put before the others: of thousands of small ones that would take longer than new memory. */
const MAX_PIECES = 64;

/** A few pieces of memory that are not in use. */
export class SpareMemory {
  /** The newest first: of its size will be the next ones. */
  #pieces: Uint8Array[] = [];

  /** Gives memory with anything in it; undefined when there is not so much. */
  take(size: number): Uint8Array | undefined {
    const at = this.#pieces.findIndex(({ length }) => length === size);
    return at >= 0 ? this.#pieces.splice(at, 1)[0] : newMemory(size);
  }

  /** Takes memory that nobody has a view into. */
  keep(piece: Uint8Array): void {
    if (piece.length > LIMIT) return;
    let size = 0;
    this.#pieces = [piece, ...this.#pieces.slice(0, MAX_PIECES - 1)].filter(({ length }) => (size += length) <= LIMIT);
  }
}
