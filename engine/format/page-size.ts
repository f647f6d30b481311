/** Which sizes pages can have. */
import { LARGEST_READABLE_PAGE_SIZE, MAX_PAGE_SIZE, MIN_PAGE_SIZE, SMALLEST_READABLE_PAGE_SIZE } from "./constants.js";

/** Whether files are made with pages of this size. */
export function isPageSize(size: number): boolean {
  return isPowerOfTwo(size, MIN_PAGE_SIZE, MAX_PAGE_SIZE);
}

/** Whether a file with pages of this size can be read. */
export function isReadablePageSize(size: number): boolean {
  return isPowerOfTwo(size, SMALLEST_READABLE_PAGE_SIZE, LARGEST_READABLE_PAGE_SIZE);
}

function isPowerOfTwo(size: number, least: number, most: number): boolean {
  return Number.isInteger(size) && size >= least && size <= most && (size & (size - 1)) === 0;
}
