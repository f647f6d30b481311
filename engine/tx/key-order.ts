/**
 * The order of keys, in the words of bbolt's check. A sound page costs one comparison a key; only when one fails are lines made.
 * @see bbolt tx_check.go, verifyKeyOrder
 */
import { compareBytes, readU32 } from "../base/bytes.js";
import { LEAF_KEY_SIZE, LEAF_POS, MAX_KEY_SIZE, type Pgid } from "../format/constants.js";
import { elementAt } from "../format/page-index.js";
import type { KeyRange } from "../format/walk-visitor.js";

/** Where a key stands that may be out of order. */
export interface KeyPlace {
  readonly pgid: Pgid;
  /** `leaf` or `branch`, and for an inline bucket which. */
  readonly pageType: string;
  readonly stack: readonly Pgid[];
}

const NO_LINES: readonly string[] = [];

/** Makes a key readable. */
export type KeyText = (key: Uint8Array) => string;

/** A key in hexadecimal: all of it, if it is one that could be put. A damaged file can have keys of which no text can be made. */
export function hexKey(key: Uint8Array): string {
  const text = Buffer.from(key.buffer, key.byteOffset, Math.min(key.byteLength, MAX_KEY_SIZE)).toString("hex");
  return key.byteLength > MAX_KEY_SIZE ? `${text}... (${key.byteLength} bytes)` : text;
}

/** Compares two keys as unsigned bytes. */
export function compareKeys(a: KeyRange, b: KeyRange): number {
  return compareBytes(a.bytes, a.start, a.size, b.bytes, b.start, b.size);
}

/** The bytes of a key as a view. */
export function keyBytes(key: KeyRange): Uint8Array {
  return key.bytes.subarray(key.start, key.start + key.size);
}

/** The key of element `index` of a leaf page. */
export function leafKey(bytes: Uint8Array, index: number): KeyRange {
  const element = elementAt(0, index);
  return { bytes, start: element + readU32(bytes, element + LEAF_POS), size: readU32(bytes, element + LEAF_KEY_SIZE) };
}

/**
 * Gives the lines for one key.
 * @param previous the key before it; for the first key of a page the key of the branch element that leads to the page
 * @param max what the key must be below
 */
export function keyOrderLines(
  place: KeyPlace, index: number, key: KeyRange, previous: KeyRange | undefined, max: KeyRange | undefined, text: KeyText,
): readonly string[] {
  const difference = previous === undefined ? -1 : compareKeys(previous, key);
  const isBelowPrevious = index === 0 ? difference > 0 : difference >= 0;
  const isAboveMax = max !== undefined && compareKeys(key, max) >= 0;
  if (!isBelowPrevious && !isAboveMax) return NO_LINES;

  const where = `on ${place.pageType} page(${place.pgid})`;
  const stack = `[${place.stack.join(" ")}]`;
  const name = `key[${index}]=(hex)${text(keyBytes(key))}`;
  const previousText = previous === undefined ? "" : text(keyBytes(previous));
  const lines: string[] = [];
  if (isBelowPrevious) {
    const found = difference > 0 ? "<" : "=";
    lines.push(index === 0
      ? `the first ${name} ${where} needs to be >= the key in the ancestor (${previousText}). Stack: ${stack}`
      : `${name} ${where} needs to be > (found ${found}) than previous element (hex)${previousText}. Stack: ${stack}`);
  }
  if (isAboveMax) {
    // bbolt prints the previous key here, not the bound that it names. The line is kept as bbolt's users know (and compare) it.
    lines.push(`${name} ${where} needs to be < than key of the next element in ancestor (hex)${previousText}. Pages stack: ${stack}`);
  }
  return lines;
}

/**
 * Says whether all keys of a leaf are readable and in strict order within `min` (may be equal) and `max`.
 * Plain offsets and no object a key: this is where a check spends its time.
 */
export function leafIsInOrder(bytes: Uint8Array, count: number, min: KeyRange | undefined, max: KeyRange | undefined): boolean {
  if (count === 0) return true;
  let previousStart = 0;
  let previousSize = 0;
  for (let i = 0; i < count; i++) {
    const element = elementAt(0, i);
    const start = element + readU32(bytes, element + LEAF_POS);
    const size = readU32(bytes, element + LEAF_KEY_SIZE);
    if (i > 0 && compareBytes(bytes, previousStart, previousSize, bytes, start, size) >= 0) return false;
    previousStart = start;
    previousSize = size;
  }
  if (min !== undefined && compareKeys(min, leafKey(bytes, 0)) > 0) return false;
  return max === undefined || compareBytes(bytes, previousStart, previousSize, max.bytes, max.start, max.size) < 0;
}
