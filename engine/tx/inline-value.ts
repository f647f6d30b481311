/** Writing the value of an inline bucket at once, from its pairs. @see docs/format.md, "Nested buckets" */
import { compareBytes, writeU32, type BytesLike } from "../base/bytes.js";
import {
  BUCKET_HEADER_SIZE, ELEMENT_SIZE, FLAG_LEAF, LEAF_KEY_SIZE, LEAF_POS, LEAF_VALUE_SIZE, MAX_KEY_SIZE, PAGE_HEADER_SIZE,
} from "../format/constants.js";
import { elementAt } from "../format/page-index.js";
import { writePageHeader } from "../format/page.js";

/** A key and its value; a string stands for its UTF-8. */
export type InlinePair = readonly [key: Uint8Array, value: BytesLike];

/** UTF-16 code units become at most three bytes each. */
const MAX_UTF8_BYTES = 3;

/**
 * Gives the value of an inline bucket with these pairs and sequence 0; undefined when its page would be larger than `maxPageSize`, or a key is
 * empty, too large or not greater than the one before.
 */
export function encodeInline(pairs: readonly InlinePair[], maxPageSize: number): Uint8Array | undefined {
  let at = BUCKET_HEADER_SIZE + PAGE_HEADER_SIZE + pairs.length * ELEMENT_SIZE;
  let capacity = at;
  for (const [key, value] of pairs) capacity += key.length + MAX_UTF8_BYTES * value.length;
  if (capacity > 4 * (maxPageSize + BUCKET_HEADER_SIZE)) return undefined;
  const bytes = Buffer.allocUnsafe(capacity);
  bytes.fill(0, 0, at);
  writePageHeader(bytes, BUCKET_HEADER_SIZE, 0, FLAG_LEAF, pairs.length, 0);
  let previousKey = 0;
  let previousSize = 0;
  for (let i = 0; i < pairs.length; i++) {
    const [key, value] = pairs[i]!;
    if (key.length > MAX_KEY_SIZE || compareBytes(bytes, previousKey, previousSize, key, 0, key.length) >= 0) return undefined;
    const element = elementAt(BUCKET_HEADER_SIZE, i);
    writeU32(bytes, element + LEAF_POS, at - element);
    writeU32(bytes, element + LEAF_KEY_SIZE, key.length);
    previousKey = at;
    previousSize = key.length;
    at = append(bytes, at, key);
    const valueEnd = append(bytes, at, value);
    writeU32(bytes, element + LEAF_VALUE_SIZE, valueEnd - at);
    at = valueEnd;
  }
  return at - BUCKET_HEADER_SIZE <= maxPageSize ? bytes.subarray(0, at) : undefined;
}

/** Writes bytes or text; gives where they end. */
function append(bytes: Buffer, at: number, value: BytesLike): number {
  if (typeof value === "string") return at + bytes.write(value, at);
  for (let i = 0; i < value.length; i++) bytes[at + i] = value[i]!;
  return at + value.length;
}
