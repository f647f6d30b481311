/** How a file grows: in steps, so that not every commit changes its size: of a sixteenth at most, but not under 32 KiB nor over 4 MiB. */
import { boltError } from "../base/errors.js";

const SMALLEST_STEP = 32_768;
const LARGEST_STEP = 4_194_304;

/**
 * Gives the size that a file of `size` bytes gets so that `needed` bytes fit.
 * @param maxSize bytes that the file may have at most
 * @throws BoltError MAX_SIZE_REACHED
 */
export function grownFileSize(size: number, needed: number, maxSize: number): number {
  if (needed <= size) return size;
  if (needed > maxSize) throw boltError("MAX_SIZE_REACHED", `the transaction needs ${needed} bytes, maxSize is ${maxSize}`);
  const step = Math.min(LARGEST_STEP, Math.max(SMALLEST_STEP, 2 ** Math.floor(Math.log2(needed / 16))));
  return Math.min(maxSize, Math.ceil(needed / step) * step);
}
