/** The leaf page inside the value of an inline bucket. */
import { compareBytes, readU16, readU32, readU64 } from "../base/bytes.js";
import { corrupt } from "../base/errors.js";
import {
  BUCKET_HEADER_SIZE, ELEMENT_SIZE, FLAG_LEAF, LEAF_FLAGS, LEAF_KEY_SIZE, LEAF_POS, LEAF_VALUE_SIZE, PAGE_COUNT, PAGE_FLAGS, PAGE_HEADER_SIZE, type Pgid,
} from "../format/constants.js";
import { elementAt, INDEX_KEYS, indexPage } from "../format/page-index.js";

/** Grows to the largest inline bucket met; only its validation is wanted. */
let inlineIndex: Uint32Array = new Uint32Array(64);

/**
 * Whether a bucket value of `size` bytes at `value` holds an inline bucket of plain pairs in strict order: what inline buckets are. Quicker than the
 * validation of a page that is to be indexed; of another value `validateInline` says what is wrong with it.
 */
export function isInlineOfPairs(bytes: Uint8Array, value: number, size: number): boolean {
  const page = value + BUCKET_HEADER_SIZE;
  const pageSize = size - BUCKET_HEADER_SIZE;
  if (pageSize < PAGE_HEADER_SIZE || readU64(bytes, value) !== 0 || readU16(bytes, page + PAGE_FLAGS) !== FLAG_LEAF) return false;
  const count = readU16(bytes, page + PAGE_COUNT);
  return PAGE_HEADER_SIZE + count * ELEMENT_SIZE <= pageSize && arePairsInOrder(bytes, page, count, pageSize);
}

function arePairsInOrder(bytes: Uint8Array, page: number, count: number, size: number): boolean {
  const dataStart = PAGE_HEADER_SIZE + count * ELEMENT_SIZE;
  let previousKey = 0;
  let previousSize = 0;
  let room = size - dataStart;
  for (let i = 0; i < count; i++) {
    const element = elementAt(page, i);
    const position = element - page + readU32(bytes, element + LEAF_POS);
    const keySize = readU32(bytes, element + LEAF_KEY_SIZE);
    const pairSize = keySize + readU32(bytes, element + LEAF_VALUE_SIZE);
    // Pairs that share bytes would hold more than the page.
    room -= pairSize;
    const isPair = readU32(bytes, element + LEAF_FLAGS) === 0 && keySize > 0 && position >= dataStart && position + pairSize <= size && room >= 0;
    if (!isPair || compareBytes(bytes, previousKey, previousSize, bytes, page + position, keySize) >= 0) return false;
    previousKey = page + position;
    previousSize = keySize;
  }
  return true;
}

/**
 * Finds the first element of an inline bucket whose key is not less than `key`.
 * @returns its index and whether it is equal, packed as by searchPage
 */
export function searchInline(value: Uint8Array, key: Uint8Array): number {
  let low = 0;
  let high = inlineCount(value);
  while (low < high) {
    const middle = (low + high) >>> 1;
    const element = elementAt(BUCKET_HEADER_SIZE, middle);
    const order = compareBytes(value, element + readU32(value, element + LEAF_POS), readU32(value, element + LEAF_KEY_SIZE), key, 0, key.length);
    if (order === 0) return (middle << 1) | 1;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return low << 1;
}

/** Elements of the inline bucket in a bucket value. */
export function inlineCount(value: Uint8Array): number {
  return readU16(value, BUCKET_HEADER_SIZE + PAGE_COUNT);
}

/**
 * Checks an inline bucket.
 * @param value the bucket's value: header, then page
 * @param holder the page that it is in, for errors
 * @throws BoltError CORRUPT
 */
export function validateInline(value: Uint8Array, holder: Pgid): void {
  if (isInlineOfPairs(value, 0, value.length)) return;
  const size = value.length - BUCKET_HEADER_SIZE;
  if (size < PAGE_HEADER_SIZE) throw corrupt(holder, `inline bucket of ${value.length} bytes has no page`);
  const flags = readU16(value, BUCKET_HEADER_SIZE + PAGE_FLAGS);
  if (flags !== FLAG_LEAF) throw corrupt(holder, `inline bucket has a page with flags 0x${flags.toString(16)}, not a leaf`);
  const count = inlineCount(value);
  if (PAGE_HEADER_SIZE + count * ELEMENT_SIZE > size) throw corrupt(holder, `inline bucket counts ${count} elements, more than fit into ${size} bytes`);
  if (inlineIndex.length < INDEX_KEYS + count) inlineIndex = new Uint32Array(2 * (INDEX_KEYS + count));
  indexPage(value, BUCKET_HEADER_SIZE, size, holder, inlineIndex, 0);
}
