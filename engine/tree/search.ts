/**
 * Searching one page through its key index: the page itself is touched only where four bytes of a key decide nothing.
 *
 * On the way down a branch proves something: a key between two of its separators begins with the bytes that all of them share, and so do all keys of the
 * child. These bytes need not be compared below (measured with 160 of them: gets take two thirds of the time). The proof holds for a sound file only:
 * so an equal key is compared as a whole, and whoever relies on another element found this way must check that it begins with the same bytes, see
 * `requireProved`.
 */
import { assert } from "../base/assert.js";
import { compareBytes, keyWord, readU32 } from "../base/bytes.js";
import { corrupt } from "../base/errors.js";
import { BRANCH_CHILD, BRANCH_KEY_SIZE, BRANCH_POS, LEAF_KEY_SIZE, LEAF_POS, PAGE_FLAGS, type Pgid } from "../format/constants.js";
import {
  alikeAt, elementAt, INDEX_ALIKE, INDEX_BRANCH, INDEX_COMPACT, INDEX_COUNT, INDEX_COUNT_MASK, INDEX_KEYS, INDEX_OVERFLOW, INDEX_PREFIX_SIZE, INDEX_PREFIX_WORD,
} from "../format/page-index.js";
import type { Pages } from "./pages.js";

const EXACT = 1;
/** Bytes in a word of the index. */
const WORD_SIZE = 4;
/** Elements of equal words that are passed one by one; where there are more, their end is searched for. */
const FEW_EQUAL = 8;

/** The element of a search result. */
export function foundIndex(result: number): number {
  return result >>> 1;
}

/** Whether the element's key is the key searched for. */
export function foundExact(result: number): boolean {
  return (result & EXACT) !== 0;
}

/**
 * Finds the first element whose key is not less than `key`.
 * @param proved bytes at the start of the key that all keys of the page share with it, as far as the branches above say
 * @returns its index (count when there is none) and whether it is equal, packed: see foundIndex, foundExact
 */
export function searchPage(pages: Pages, frame: number, key: Uint8Array, proved = 0): number {
  const slab = frame >>> pages.frameBits;
  const slot = frame & pages.frameMask;
  const index = pages.slabIndex[slab]!;
  const at = index[slot]!;
  const head = index[at]!;
  const count = head & INDEX_COUNT_MASK;
  const isBranch = (head & INDEX_BRANCH) !== 0;
  const prefixSize = index[at + INDEX_PREFIX_SIZE]!;
  const bytes = pages.slabBytes[slab]!;
  const page = slot * pages.pageSize;
  if ((head & INDEX_ALIKE) === 0) fetchHeaders(bytes, page);
  if (prefixSize > 0 && (prefixSize > proved || prefixSize <= WORD_SIZE)) {
    const side = comparePrefix(bytes, page, isBranch, key, prefixSize, index[at + INDEX_PREFIX_WORD]!, proved);
    if (side !== 0) return side < 0 ? 0 : count << 1;
  }
  const words = at + INDEX_KEYS;
  const word = keyWord(key, prefixSize, key.length - prefixSize);
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (index[words + middle]! < word) low = middle + 1;
    else high = middle;
  }
  // From `low` on the words are equal or greater: among the equal ones, which can be all of them, the keys decide.
  high = low;
  while (high < count && index[words + high] === word && high - low < FEW_EQUAL) high++;
  if (high - low === FEW_EQUAL) high = endOfEqual(index, words, high, count, word);
  if ((head & INDEX_ALIKE) !== 0) return searchAlike(bytes, elementAt(page, count), index[at + INDEX_OVERFLOW]!, key, low, high);
  while (low < high) {
    const middle = (low + high) >>> 1;
    const element = elementAt(page, middle);
    const start = element + readU32(bytes, element + (isBranch ? BRANCH_POS : LEAF_POS));
    const size = readU32(bytes, element + (isBranch ? BRANCH_KEY_SIZE : LEAF_KEY_SIZE));
    const order = compareBytes(bytes, start + prefixSize, size - prefixSize, key, prefixSize, key.length - prefixSize);
    if (order === 0) {
      // In a leaf what was proved is compared after all, with the one element that can be equal.
      const isEqual = proved === 0 || isBranch || compareBytes(bytes, start, prefixSize, key, 0, prefixSize) === 0;
      return isEqual ? (middle << 1) | EXACT : middle << 1;
    }
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return low << 1;
}

/**
 * The first element from `from` on with another word, where none has a lesser one. (Measured with pages of 64 KiB: gets among integers of which one is far
 * from the others, so that the words of these are equal, take a quarter of the time.)
 */
function endOfEqual(index: Uint32Array, words: number, from: number, count: number, word: number): number {
  let low = from;
  let end = count;
  while (low < end) {
    const middle = (low + end) >>> 1;
    if (index[words + middle] === word) low = middle + 1;
    else end = middle;
  }
  return low;
}

/** Goes on where all elements have these sizes, between `low` and `high`: their headers are not looked at. */
function searchAlike(bytes: Uint8Array, data: number, sizes: number, key: Uint8Array, from: number, to: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compareBytes(bytes, alikeAt(data, sizes, middle), sizes >>> 16, key, 0, key.length);
    if (order === 0) return (middle << 1) | EXACT;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return low << 1;
}

/**
 * Has the first 31 element headers fetched from memory, a cache line each read, at once and while the index is fetched, which lies elsewhere: one wait
 * instead of several (measured among a million entries: a fifth more gets a second, 5 % more ranges; none less where all of it is in the processor's caches).
 */
export function fetchHeaders(bytes: Uint8Array, page: number): void {
  const at = page + PAGE_FLAGS;
  const seen = bytes[at]! | bytes[at + 64]! | bytes[at + 128]! | bytes[at + 192]! | bytes[at + 256]! | bytes[at + 320]! | bytes[at + 384]! | bytes[at + 448]!;
  // What is read must be used, or V8 leaves the reading out; and the page says what it is in the first byte. Of tiny pages the last ones of a slab
  // may end before: behind the end of an array there is nothing, not an error.
  assert(seen !== 0, "a page is in the frame");
}

/** Where the key lies against all keys of the page: before (-1), behind (1), or among those that share the prefix (0). */
function comparePrefix(
  bytes: Uint8Array, page: number, isBranch: boolean, key: Uint8Array, prefixSize: number, prefixWord: number, proved: number,
): number {
  const size = key.length < prefixSize ? key.length : prefixSize;
  const wordStart = prefixSize <= WORD_SIZE ? 0 : prefixSize - WORD_SIZE;
  if (proved >= wordStart) {
    const word = keyWord(key, wordStart, size - wordStart);
    if (word !== prefixWord) return word < prefixWord ? -1 : 1;
  } else {
    const element = elementAt(page, 0);
    const first = element + readU32(bytes, element + (isBranch ? BRANCH_POS : LEAF_POS));
    const order = compareBytes(key, proved, size - proved, bytes, first + proved, size - proved);
    if (order !== 0) return order;
  }
  return size < prefixSize ? -1 : 0;
}

/** The branch element whose subtree a key belongs to: the last one not greater than the key, the first when all are. */
export function searchBranch(pages: Pages, frame: number, key: Uint8Array, proved = 0): number {
  return childOf(searchPage(pages, frame, key, proved));
}

/** The branch element whose subtree a key belongs to, by the result of `searchPage`. */
export function childOf(result: number): number {
  const index = foundIndex(result);
  return foundExact(result) || index === 0 ? index : index - 1;
}

/** Bytes of the key that are proved for the child that `searchPage` on a branch leads to: more than a word, or none, for a word is compared as quickly as not. */
export function provedBelow(pages: Pages, frame: number, result: number, proved: number): number {
  const index = pages.slabIndex[frame >>> pages.frameBits]!;
  const at = index[frame & pages.frameMask]!;
  const prefixSize = index[at + INDEX_PREFIX_SIZE]!;
  // Between two separators: not before the first, where the result is 0, and not behind the last.
  const isBetween = result !== 0 && childOf(result) + 1 < (index[at]! & INDEX_COUNT_MASK);
  return isBetween && prefixSize > proved && prefixSize > WORD_SIZE ? prefixSize : proved;
}

/**
 * Holds the file to what its branches say.
 * @throws BoltError CORRUPT when a key of the page does not begin with the bytes that were proved
 */
export function requireProved(bytes: Uint8Array, keyStart: number, keySize: number, key: Uint8Array, proved: number, pgid: Pgid): void {
  if (proved > 0 && (keySize < proved || compareBytes(bytes, keyStart, proved, key, 0, proved) !== 0)) {
    throw corrupt(pgid, "a key lies outside of what the branch above it says");
  }
}

/** The child that element `i` of a branch page leads to. */
export function branchChild(pages: Pages, frame: number, i: number): Pgid {
  const bytes = pages.slabBytes[frame >>> pages.frameBits]!;
  const element = elementAt((frame & pages.frameMask) * pages.pageSize, i);
  return readU32(bytes, element + BRANCH_CHILD + 4) * 0x1_0000_0000 + readU32(bytes, element + BRANCH_CHILD);
}

/** Whether a located page is a branch. */
export function pageIsBranch(pages: Pages, frame: number): boolean {
  return (indexWord(pages, frame, INDEX_COUNT) & INDEX_BRANCH) !== 0;
}

/** Whether a copy of a located page can be changed in place. @see INDEX_COMPACT */
export function pageIsCompact(pages: Pages, frame: number): boolean {
  return (indexWord(pages, frame, INDEX_COUNT) & INDEX_COMPACT) !== 0;
}

/** Overflow pages of a located page. */
export function pageOverflow(pages: Pages, frame: number): number {
  return pageIsAlike(pages, frame) ? 0 : indexWord(pages, frame, INDEX_OVERFLOW);
}

/** The sizes of all elements of a located page that are alike. @see sizesOf */
export function alikeSizes(pages: Pages, frame: number): number {
  return indexWord(pages, frame, INDEX_OVERFLOW);
}

/** Whether the elements of a located page are known to be alike. @see INDEX_ALIKE */
export function pageIsAlike(pages: Pages, frame: number): boolean {
  return (indexWord(pages, frame, INDEX_COUNT) & INDEX_ALIKE) !== 0;
}

/** Elements of a located page. */
export function pageElementCount(pages: Pages, frame: number): number {
  return indexWord(pages, frame, INDEX_COUNT) & INDEX_COUNT_MASK;
}

function indexWord(pages: Pages, frame: number, word: number): number {
  const index = pages.slabIndex[frame >>> pages.frameBits]!;
  return index[index[frame & pages.frameMask]! + word]!;
}
