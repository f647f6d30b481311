/**
 * Validating a branch or leaf page, and the key index made of it in the same pass.
 *
 * The index of a page is what a search reads instead of the page: a few words in one place, not headers and keys spread over
 * four cache lines each. Uint32 words from `at`:
 *
 *     0  element count, with INDEX_BRANCH set when the page is a branch, INDEX_COMPACT when a copy of it can be changed in place, INDEX_ALIKE when
 *        it is a compact leaf of many plain elements that are known to have keys of one size and values of one size
 *     1  prefix size: bytes that all keys of the page share
 *     2  the last four bytes of the prefix, big-endian; of a shorter prefix all of it, zeros behind
 *     3  overflow pages; with INDEX_ALIKE, when there are none, the two sizes: the key's shifted by 16, and the value's. From them and its number follows
 *        the place of an element: its header, far from it, need not be fetched (measured with 8-byte integers: gets take three quarters of the time)
 *     4… one word a key: the four bytes behind the prefix, big-endian, zeros where the key is shorter
 *
 * Equal words say nothing; then the keys themselves are compared. An index takes 4 + count words, and since an element header takes
 * 16 bytes, a page of n bytes never needs more than 4 + n / 16.
 */
import { compareBytes, keyWord, readU16, readU32 } from "../base/bytes.js";
import { corrupt } from "../base/errors.js";
import {
  BRANCH_KEY_SIZE, BRANCH_POS, BUCKET_FLAG, BUCKET_HEADER_SIZE, ELEMENT_SIZE, FLAG_BRANCH, LEAF_FLAGS, LEAF_KEY_SIZE, LEAF_POS,
  LEAF_VALUE_SIZE, PAGE_COUNT, PAGE_FLAGS, PAGE_HEADER_SIZE, PAGE_OVERFLOW, type Pgid,
} from "./constants.js";

/** Words of an index, from its start. */
export const INDEX_COUNT = 0;
export const INDEX_PREFIX_SIZE = 1;
export const INDEX_PREFIX_WORD = 2;
export const INDEX_OVERFLOW = 3;
export const INDEX_KEYS = 4;
/** Set in the count word of a branch page. */
export const INDEX_BRANCH = 0x10000;
/** Set when there are no overflow pages and the elements' bytes stand side by side in element order, right behind the headers. */
export const INDEX_COMPACT = 0x20000;
/** Set when INDEX_OVERFLOW holds the sizes that all elements have. */
export const INDEX_ALIKE = 0x40000;
export const INDEX_COUNT_MASK = 0xffff;

/** Elements from which on it is worth to know that they are alike: of fewer, a search has most headers fetched already. */
const MANY = 62;

/** The sizes of an element in one word, 0 for such as it cannot tell. */
export function sizesOf(keySize: number, valueSize: number): number {
  return keySize <= 0x7fff && valueSize <= 0xffff ? (keySize << 16) | valueSize : 0;
}

/** Byte offset of the key of element `i`, behind which the value stands, where all elements of a leaf have these sizes and the first key is at `data`. */
export function alikeAt(data: number, sizes: number, i: number): number {
  return data + i * ((sizes >>> 16) + (sizes & 0xffff));
}

/** Byte offset of element `i` of the page at `page`. */
export function elementAt(page: number, i: number): number {
  return page + PAGE_HEADER_SIZE + i * ELEMENT_SIZE;
}

/** Where the data of the last element of a leaf ends: of all, where they stand in element order. */
export function leafDataEnd(bytes: Uint8Array, page: number, count: number): number {
  if (count === 0) return page + PAGE_HEADER_SIZE;
  const last = elementAt(page, count - 1);
  return last + readU32(bytes, last + LEAF_POS) + readU32(bytes, last + LEAF_KEY_SIZE) + readU32(bytes, last + LEAF_VALUE_SIZE);
}

/** `leafDataEnd` of a branch, which has elements. */
export function branchDataEnd(bytes: Uint8Array, page: number, count: number): number {
  const last = elementAt(page, count - 1);
  return last + readU32(bytes, last + BRANCH_POS) + readU32(bytes, last + BRANCH_KEY_SIZE);
}

/**
 * Validates every element of the branch or leaf page of `size` bytes at `page` and writes its index.
 * The page's flags must have been checked before: exactly branch or leaf.
 * @param pgid names the page in errors
 * @param isTrusted this process wrote the page: nothing is validated
 * @throws BoltError CORRUPT for an element outside the page, an empty key, keys out of order, unknown element flags, a bucket value too short
 */
export function indexPage(bytes: Uint8Array, page: number, size: number, pgid: Pgid, index: Uint32Array, at: number, isTrusted = false): void {
  const count = readU16(bytes, page + PAGE_COUNT);
  const isBranch = (readU16(bytes, page + PAGE_FLAGS) & FLAG_BRANCH) !== 0;
  if (PAGE_HEADER_SIZE + count * ELEMENT_SIZE > size) throw corrupt(pgid, `${count} elements do not fit into ${size} bytes`);
  index[at + INDEX_COUNT] = isBranch ? count | INDEX_BRANCH : count;
  index[at + INDEX_OVERFLOW] = readU32(bytes, page + PAGE_OVERFLOW);
  index[at + INDEX_PREFIX_SIZE] = 0;
  index[at + INDEX_PREFIX_WORD] = 0;
  const isSingle = index[at + INDEX_OVERFLOW] === 0;
  if (count === 0) {
    if (isBranch) throw corrupt(pgid, "branch page without elements");
    if (isSingle) index[at + INDEX_COUNT] = INDEX_COMPACT;
    return;
  }
  const isOrdered = isTrusted || (isBranch ? validateBranchElements(bytes, page, size, pgid, count) : validateLeafElements(bytes, page, size, pgid, count));
  if (isSingle && isOrdered) {
    const sizes = isBranch ? 0 : commonSizes(bytes, page, count);
    index[at + INDEX_COUNT] = index[at + INDEX_COUNT]! | (sizes === 0 ? INDEX_COMPACT : INDEX_COMPACT | INDEX_ALIKE);
    index[at + INDEX_OVERFLOW] = sizes;
  }
  if (isTrusted) return indexTrustedKeys(bytes, page, isBranch, count, index, at);
  indexKeys(bytes, page, pgid, isBranch, count, index, at);
}

/** Gives whether the elements' bytes stand side by side in element order. */
function validateLeafElements(bytes: Uint8Array, page: number, size: number, pgid: Pgid, count: number): boolean {
  const dataStart = PAGE_HEADER_SIZE + count * ELEMENT_SIZE;
  let end = dataStart;
  let isOrdered = true;
  for (let i = 0; i < count; i++) {
    const element = elementAt(page, i);
    const flags = readU32(bytes, element + LEAF_FLAGS);
    const start = element - page + readU32(bytes, element + LEAF_POS);
    const keySize = readU32(bytes, element + LEAF_KEY_SIZE);
    const valueSize = readU32(bytes, element + LEAF_VALUE_SIZE);
    const isInside = start >= dataStart && start + keySize + valueSize <= size;
    if (!isInside || keySize === 0 || flags > BUCKET_FLAG || (flags === BUCKET_FLAG && valueSize < BUCKET_HEADER_SIZE)) {
      throw corrupt(pgid, leafFault(i, isInside, flags, start, keySize, valueSize, size));
    }
    isOrdered &&= start === end;
    end = start + keySize + valueSize;
  }
  if (!isOrdered) refuseShared(bytes, page, size, pgid, count, LEAF_KEY_SIZE, LEAF_VALUE_SIZE);
  return isOrdered;
}

function validateBranchElements(bytes: Uint8Array, page: number, size: number, pgid: Pgid, count: number): boolean {
  const dataStart = PAGE_HEADER_SIZE + count * ELEMENT_SIZE;
  let end = dataStart;
  let isOrdered = true;
  for (let i = 0; i < count; i++) {
    const element = elementAt(page, i);
    const start = element - page + readU32(bytes, element + BRANCH_POS);
    const keySize = readU32(bytes, element + BRANCH_KEY_SIZE);
    const isInside = start >= dataStart && start + keySize <= size;
    if (!isInside || keySize === 0) throw corrupt(pgid, branchFault(i, isInside, start, keySize, size));
    isOrdered &&= start === end;
    end = start + keySize;
  }
  if (!isOrdered) refuseShared(bytes, page, size, pgid, count, BRANCH_KEY_SIZE);
  return isOrdered;
}

/**
 * Refuses elements that claim the same bytes: with them a small page could hold any amount of data, and whoever copies it would never come to an end.
 * @param sizes where an element's header has the sizes of its parts
 */
function refuseShared(bytes: Uint8Array, page: number, size: number, pgid: Pgid, count: number, ...sizes: readonly number[]): void {
  let room = size - PAGE_HEADER_SIZE - count * ELEMENT_SIZE;
  for (let i = 0; i < count; i++) {
    for (const field of sizes) room -= readU32(bytes, elementAt(page, i) + field);
    if (room < 0) throw corrupt(pgid, sharedFault(i));
  }
}

/** What is wrong with the first element whose bytes, with those of the elements before, do not fit into the page: some belong to several. */
export function sharedFault(index: number): string {
  return `element ${index} shares its bytes with other elements`;
}

/** What is wrong with a leaf element that lies outside its page of `size` bytes, or inside and is no sound one. */
export function leafFault(index: number, isInside: boolean, flags: number, start: number, keySize: number, valueSize: number, size: number): string {
  if (!isInside) return `element ${index} lies outside the page (offset ${start}, key ${keySize} bytes, value ${valueSize} bytes, page ${size} bytes)`;
  if (keySize === 0) return `element ${index} has an empty key`;
  if (flags > BUCKET_FLAG) return `element ${index} has unknown flags 0x${flags.toString(16)}`;
  return `element ${index} is a bucket of ${valueSize} bytes, less than a bucket header`;
}

/** What is wrong with a branch element that lies outside its page of `size` bytes, or inside and has no key. */
export function branchFault(index: number, isInside: boolean, start: number, keySize: number, size: number): string {
  return isInside ? `element ${index} has an empty key` : `element ${index} lies outside the page (offset ${start}, key ${keySize} bytes, page ${size} bytes)`;
}

/** Gives the sizes that all elements of a leaf have; 0 when they differ, one is a bucket, or they are not many. */
function commonSizes(bytes: Uint8Array, page: number, count: number): number {
  if (count < MANY) return 0;
  const first = elementAt(page, 0);
  const keySize = readU32(bytes, first + LEAF_KEY_SIZE);
  const valueSize = readU32(bytes, first + LEAF_VALUE_SIZE);
  for (let i = 0; i < count; i++) {
    const element = elementAt(page, i);
    const isAlike = readU32(bytes, element + LEAF_KEY_SIZE) === keySize && readU32(bytes, element + LEAF_VALUE_SIZE) === valueSize;
    if (!isAlike || readU32(bytes, element + LEAF_FLAGS) !== 0) return 0;
  }
  return sizesOf(keySize, valueSize);
}

/** Writes prefix and key words of a page whose keys are known to be in order. */
function indexTrustedKeys(bytes: Uint8Array, page: number, isBranch: boolean, count: number, index: Uint32Array, at: number): void {
  const posOffset = isBranch ? BRANCH_POS : LEAF_POS;
  const sizeOffset = isBranch ? BRANCH_KEY_SIZE : LEAF_KEY_SIZE;
  const prefixSize = writePrefix(bytes, page, posOffset, sizeOffset, count, index, at);
  for (let i = 0; i < count; i++) {
    const element = elementAt(page, i);
    const key = element + readU32(bytes, element + posOffset);
    index[at + INDEX_KEYS + i] = keyWord(bytes, key + prefixSize, readU32(bytes, element + sizeOffset) - prefixSize);
  }
}

/** Writes what all keys of the page share, taken from the first and the last; gives its size. */
function writePrefix(bytes: Uint8Array, page: number, posOffset: number, sizeOffset: number, count: number, index: Uint32Array, at: number): number {
  const first = elementAt(page, 0);
  const firstKey = first + readU32(bytes, first + posOffset);
  const last = elementAt(page, count - 1);
  const prefixSize = count === 1 ? 0
    : sharedPrefix(bytes, firstKey, readU32(bytes, first + sizeOffset), last + readU32(bytes, last + posOffset), readU32(bytes, last + sizeOffset));
  index[at + INDEX_PREFIX_SIZE] = prefixSize;
  index[at + INDEX_PREFIX_WORD] = prefixSize <= 4 ? keyWord(bytes, firstKey, prefixSize) : keyWord(bytes, firstKey + prefixSize - 4, 4);
  return prefixSize;
}

/** Writes prefix and key words; checks on the way that the keys are in strict order. */
function indexKeys(bytes: Uint8Array, page: number, pgid: Pgid, isBranch: boolean, count: number, index: Uint32Array, at: number): void {
  const posOffset = isBranch ? BRANCH_POS : LEAF_POS;
  const sizeOffset = isBranch ? BRANCH_KEY_SIZE : LEAF_KEY_SIZE;
  const prefixSize = writePrefix(bytes, page, posOffset, sizeOffset, count, index, at);
  const firstKey = elementAt(page, 0) + readU32(bytes, elementAt(page, 0) + posOffset);
  let previousWord = -1;
  let previousKey = 0;
  let previousSize = 0;
  for (let i = 0; i < count; i++) {
    const element = elementAt(page, i);
    const key = element + readU32(bytes, element + posOffset);
    const keySize = readU32(bytes, element + sizeOffset);
    if (keySize < prefixSize || sharedPrefix(bytes, firstKey, prefixSize, key, prefixSize) < prefixSize) throw corrupt(pgid, `key ${i} is out of order`);
    const word = keyWord(bytes, key + prefixSize, keySize - prefixSize);
    if (word < previousWord || (word === previousWord && compareBytes(bytes, previousKey, previousSize, bytes, key, keySize) >= 0)) {
      throw corrupt(pgid, `key ${i} is out of order`);
    }
    index[at + INDEX_KEYS + i] = word;
    previousWord = word;
    previousKey = key;
    previousSize = keySize;
  }
}

function sharedPrefix(bytes: Uint8Array, a: number, aSize: number, b: number, bSize: number): number {
  const size = aSize < bSize ? aSize : bSize;
  let i = 0;
  while (i < size && bytes[a + i] === bytes[b + i]) i++;
  return i;
}
