/** The leaf page inside the value of an inline bucket. */
import { readU16 } from "../base/bytes.js";
import { corrupt } from "../base/errors.js";
import { BUCKET_HEADER_SIZE, ELEMENT_SIZE, FLAG_LEAF, PAGE_COUNT, PAGE_FLAGS, PAGE_HEADER_SIZE, type Pgid } from "../format/constants.js";
import { INDEX_KEYS, indexPage } from "../format/page-index.js";

/** Grows to the largest inline bucket met; only its validation is wanted. */
let inlineIndex: Uint32Array = new Uint32Array(64);

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
  const size = value.length - BUCKET_HEADER_SIZE;
  if (size < PAGE_HEADER_SIZE) throw corrupt(holder, `inline bucket of ${value.length} bytes has no page`);
  const flags = readU16(value, BUCKET_HEADER_SIZE + PAGE_FLAGS);
  if (flags !== FLAG_LEAF) throw corrupt(holder, `inline bucket has a page with flags 0x${flags.toString(16)}, not a leaf`);
  const count = inlineCount(value);
  if (PAGE_HEADER_SIZE + count * ELEMENT_SIZE > size) throw corrupt(holder, `inline bucket counts ${count} elements, more than fit into ${size} bytes`);
  if (inlineIndex.length < INDEX_KEYS + count) inlineIndex = new Uint32Array(2 * (INDEX_KEYS + count));
  indexPage(value, BUCKET_HEADER_SIZE, size, holder, inlineIndex, 0);
}
