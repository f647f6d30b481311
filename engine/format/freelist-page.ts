/** The freelist page: sorted ids of all pages that no committed tree reaches. */
import { readU16, readU64, wordsOf, writeU64 } from "../base/bytes.js";
import { corrupt } from "../base/errors.js";
import { FLAG_FREELIST, FREELIST_COUNT_ESCAPE, PAGE_COUNT, PAGE_HEADER_SIZE, type Pgid } from "./constants.js";
import { pageTypeName, readPageHeader, writePageHeader } from "./page.js";

const ID_SIZE = 8;

/** Bytes that `count` ids take, header included; from 65,535 ids on the count takes a place of its own. */
export function freelistByteSize(count: number): number {
  return PAGE_HEADER_SIZE + (count >= FREELIST_COUNT_ESCAPE ? count + 1 : count) * ID_SIZE;
}

/** How many ids the freelist page at `at` says it holds, and where the first stands. */
export function readFreelistCount(bytes: Uint8Array, at: number): { readonly count: number; readonly first: number } {
  const count = readU16(bytes, at + PAGE_COUNT);
  if (count < FREELIST_COUNT_ESCAPE) return { count, first: at + PAGE_HEADER_SIZE };
  return { count: readU64(bytes, at + PAGE_HEADER_SIZE), first: at + PAGE_HEADER_SIZE + ID_SIZE };
}

/**
 * Reads the ids of the freelist page (with its overflow pages) that `bytes` holds, in the order they are stored.
 * @throws BoltError CORRUPT when it is no freelist page, has another id, or counts more ids than fit
 */
export function readFreelistPage(bytes: Uint8Array, pgid: Pgid): Float64Array {
  const header = readPageHeader(bytes, 0);
  if (header.flags !== FLAG_FREELIST) throw corrupt(pgid, `invalid freelist page, page type is ${pageTypeName(header.flags)}`);
  if (header.id !== pgid) throw corrupt(pgid, `freelist page identifies as page ${header.id}`);
  const { count, first } = readFreelistCount(bytes, 0);
  if (first + count * ID_SIZE > bytes.length) throw corrupt(pgid, `freelist of ${count} ids does not fit into ${bytes.length} bytes`);
  // By words and not by readU64: see pgid-list.ts.
  const words = wordsOf(bytes, first, 2 * count);
  const ids = new Float64Array(count);
  for (let i = 0; i < count; i++) ids[i] = words[2 * i + 1]! * 2 ** 32 + words[2 * i]!;
  return ids;
}

/** Writes header and count; gives the offset of the first id. The ids follow, 8 bytes each, in ascending order. */
export function writeFreelistHeader(bytes: Uint8Array, at: number, pgid: Pgid, count: number, overflow: number): number {
  const escaped = count >= FREELIST_COUNT_ESCAPE;
  writePageHeader(bytes, at, pgid, FLAG_FREELIST, escaped ? FREELIST_COUNT_ESCAPE : count, overflow);
  if (!escaped) return at + PAGE_HEADER_SIZE;
  writeU64(bytes, at + PAGE_HEADER_SIZE, count);
  return at + PAGE_HEADER_SIZE + ID_SIZE;
}
