/** The pages of a file that nothing leads to: which they are, and in what order they are best looked at. */
import { BoltError } from "../base/errors.js";
import { readU16, readU32, readU64 } from "../base/bytes.js";
import {
  BRANCH_CHILD, BUCKET_FLAG, BUCKET_HEADER_SIZE, FLAG_BRANCH, FLAG_LEAF, LEAF_FLAGS, LEAF_KEY_SIZE, LEAF_POS, PAGE_COUNT, type Pgid,
} from "../format/constants.js";
import type { Meta } from "../format/meta.js";
import { elementAt } from "../format/page-index.js";
import { readPageHeader } from "../format/page.js";
import { PgidSet } from "../format/pgid-set.js";
import type { RawFile } from "./raw-file.js";

/** Bytes that are read at once. */
const BLOCK_SIZE = 4 << 20;

/** A branch or leaf page that no tree has reached. */
export interface LostPage {
  readonly pgid: Pgid;
  readonly isLeaf: boolean;
}

/** The pages with something in them that no tree has reached. */
export interface LostPages {
  readonly lost: LostPage[];
  /** Those that are said to be free: what is in them was deleted or replaced, if that is true. */
  readonly free: LostPage[];
}

/** Finds the branch and leaf pages that no tree has reached. */
export function findLostPages(file: RawFile, pageSize: number, reached: PgidSet, freeIds: PgidSet): LostPages {
  const found: LostPages = { lost: [], free: [] };
  const pageCount = Math.floor(file.size / pageSize);
  const blockPages = Math.max(1, Math.floor(BLOCK_SIZE / pageSize));
  // The same memory again: of a file with large holes new memory would take ten times as long as reading them.
  const memory = Buffer.alloc(Math.min(blockPages, pageCount) * pageSize);
  for (let begin = 0; begin < pageCount; begin += blockPages) {
    const block = file.readInto(memory, begin * pageSize);
    for (let at = 0; at + pageSize <= block.length; at += pageSize) {
      const pgid = begin + at / pageSize;
      const { count, flags, id } = readPageHeader(block, at);
      if (id !== pgid || pgid < 2 || count === 0 || (flags !== FLAG_BRANCH && flags !== FLAG_LEAF) || reached.has(pgid)) continue;
      (freeIds.has(pgid) ? found.free : found.lost).push({ pgid, isLeaf: flags === FLAG_LEAF });
    }
  }
  return found;
}

/**
 * Orders lost pages so that what leads to others comes first, leaves that name buckets before all: pages are taken once, and so they are with the name of
 * their bucket, and what is below a page stays together.
 */
export function topDown(file: RawFile, pageSize: number, lost: readonly LostPage[]): LostPage[] {
  const named = new Set<Pgid>();
  const naming = new Set<Pgid>();
  for (const page of lost) {
    const pgids = namedBy(file.readBytes(page.pgid * pageSize, pageSize), page.isLeaf);
    if (page.isLeaf && pgids.length > 0) naming.add(page.pgid);
    for (const pgid of pgids) named.add(pgid);
  }
  const rank = ({ isLeaf, pgid }: LostPage): number => (named.has(pgid) ? 3 : 0) + (naming.has(pgid) ? 0 : isLeaf ? 2 : 1);
  return [...lost].sort((a, b) => rank(a) - rank(b) || a.pgid - b.pgid);
}

/** The pages that the elements of a page name, as far as they lie in it: children, or roots of buckets. */
function namedBy(bytes: Uint8Array, isLeaf: boolean): Pgid[] {
  const named: Pgid[] = [];
  for (let i = 0; i < readU16(bytes, PAGE_COUNT) && elementAt(0, i + 1) <= bytes.length; i++) {
    const element = elementAt(0, i);
    if (!isLeaf) {
      named.push(readU64(bytes, element + BRANCH_CHILD));
      continue;
    }
    const value = element + readU32(bytes, element + LEAF_POS) + readU32(bytes, element + LEAF_KEY_SIZE);
    if (readU32(bytes, element + LEAF_FLAGS) !== BUCKET_FLAG || value + BUCKET_HEADER_SIZE > bytes.length) continue;
    const root = readU64(bytes, value);
    if (root !== 0) named.push(root);
  }
  return named;
}

/** What a file says of its free pages. */
export interface FreePages {
  readonly ids: PgidSet;
  /** It says which they are. If not, every page that nothing leads to may be free, and may have something in it all the same. */
  readonly isKnown: boolean;
  /** Why what it says is not believed. */
  readonly fault?: string | undefined;
}

/** Of a file that does not say which pages are free, or not so that it can be believed. */
export function unknownFreePages(fault?: string): FreePages {
  return { ids: new PgidSet(), isKnown: false, fault };
}

/** Reads which pages a state says are free. @param used those that its tree has */
export function freePagesOf(file: RawFile, meta: Meta, used: PgidSet): FreePages {
  const pageCount = Math.ceil(file.size / meta.pageSize);
  try {
    const stored = file.freeIds(meta);
    if (stored === undefined) return unknownFreePages();
    const ids = new PgidSet();
    for (const pgid of stored) {
      if (pgid < 2 || used.has(pgid)) return unknownFreePages(`page ${pgid} is in use and listed as free`);
      if (pgid >= meta.highWaterMark) return unknownFreePages(`page ${pgid} is listed as free and out of bounds: ${meta.highWaterMark}`);
      // No set takes up what is no page of the file: there is no end to those.
      if (pgid < pageCount && !ids.add(pgid)) return unknownFreePages(`page ${pgid} is listed as free twice`);
    }
    return { ids, isKnown: true };
  } catch (error) {
    if (!(error instanceof BoltError && error.code === "CORRUPT")) throw error;
    return unknownFreePages(error.message);
  }
}

/** Says why a list of free pages cannot be right: a page that is not on it leads to one that is. @param lost pages that the tree may need */
export function contradiction(file: RawFile, pageSize: number, lost: readonly LostPage[], free: PgidSet): string | undefined {
  for (const { isLeaf, pgid } of lost) {
    const child = namedBy(file.readBytes(pgid * pageSize, pageSize), isLeaf).find((named) => free.has(named));
    if (child !== undefined) return `page ${child} is listed as free, and page ${pgid}, which is not, leads to it`;
  }
  return undefined;
}
