/** The header that every page starts with. */
import { type BoltError, corrupt } from "../base/errors.js";
import { readU16, readU32, readU64, writeU16, writeU32, writeU64 } from "../base/bytes.js";
import {
  FLAG_BRANCH, FLAG_FREELIST, FLAG_LEAF, FLAG_META, MAX_DEPTH, PAGE_COUNT, PAGE_FLAGS, PAGE_ID, PAGE_OVERFLOW, type Pgid,
} from "./constants.js";

/** The fields of a page header. */
export interface PageHeader {
  readonly id: Pgid;
  readonly flags: number;
  readonly count: number;
  /** Further pages that belong to this one. */
  readonly overflow: number;
}

/** Reads the header of the page at `at`. */
export function readPageHeader(bytes: Uint8Array, at: number): PageHeader {
  return {
    id: readU64(bytes, at + PAGE_ID),
    flags: readU16(bytes, at + PAGE_FLAGS),
    count: readU16(bytes, at + PAGE_COUNT),
    overflow: readU32(bytes, at + PAGE_OVERFLOW),
  };
}

/** Writes the header of the page at `at`. */
export function writePageHeader(bytes: Uint8Array, at: number, id: Pgid, flags: number, count: number, overflow: number): void {
  writeU64(bytes, at + PAGE_ID, id);
  writeU16(bytes, at + PAGE_FLAGS, flags);
  writeU16(bytes, at + PAGE_COUNT, count);
  writeU32(bytes, at + PAGE_OVERFLOW, overflow);
}

/**
 * Checks the header of a page that a tree leads to.
 * @throws BoltError CORRUPT when it is no branch or leaf page, has another id, or reaches past the high-water mark
 */
export function requireTreePage(bytes: Uint8Array, at: number, pgid: Pgid, highWaterMark: Pgid): void {
  const { flags, id, overflow } = readPageHeader(bytes, at);
  if (flags !== FLAG_LEAF && flags !== FLAG_BRANCH) throw corrupt(pgid, `flags 0x${flags.toString(16)} name neither a branch nor a leaf page`);
  if (id !== pgid) throw corrupt(pgid, `identifies as page ${id}`);
  requireOverflow(pgid, overflow, highWaterMark);
}

/** @throws BoltError CORRUPT when a page's overflow pages reach past the high-water mark */
export function requireOverflow(pgid: Pgid, overflow: number, highWaterMark: Pgid): void {
  if (pgid + overflow >= highWaterMark) throw corrupt(pgid, `${overflow} overflow pages reach past the high-water mark ${highWaterMark}`);
}

/** The page type in bbolt's words, `unknown<hex>` when the flags name none. */
export function pageTypeName(flags: number): string {
  if (flags & FLAG_BRANCH) return "branch";
  if (flags & FLAG_LEAF) return "leaf";
  if (flags & FLAG_META) return "meta";
  if (flags & FLAG_FREELIST) return "freelist";
  return `unknown<${flags.toString(16).padStart(2, "0")}>`;
}

/** Makes the error for a tree that no file can hold: its pages lead round and round. */
export function tooDeep(pgid: Pgid): BoltError {
  return corrupt(pgid, `the tree is deeper than ${MAX_DEPTH} levels`);
}
