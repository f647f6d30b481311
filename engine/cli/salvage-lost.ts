/** The pages of a file that nothing leads to: which they are, and in what order they are best looked at. */
import { BoltError } from "../base/errors.js";
import { readU16, readU32, readU64 } from "../base/bytes.js";
import {
  BRANCH_CHILD, BUCKET_FLAG, BUCKET_HEADER_SIZE, FLAG_BRANCH, FLAG_LEAF, LEAF_FLAGS, LEAF_KEY_SIZE, LEAF_POS, PAGE_COUNT, PAGE_HEADER_SIZE, type Pgid,
} from "../format/constants.js";
import { elementAt } from "../format/page-index.js";
import { readPageHeader } from "../format/page.js";
import { PgidSet } from "../format/pgid-set.js";
import type { RawFile } from "./raw-file.js";

/** A branch or leaf page that no tree has reached. */
export interface LostPage {
  readonly pgid: Pgid;
  readonly isLeaf: boolean;
}

/** Finds the branch and leaf pages that no tree has reached. */
export function findLostPages(file: RawFile, pageSize: number, reached: PgidSet, free: PgidSet): LostPage[] {
  const lost: LostPage[] = [];
  const pageCount = Math.floor(file.size / pageSize);
  for (let pgid = 2; pgid < pageCount; pgid++) {
    if (reached.has(pgid) || free.has(pgid)) continue;
    const { count, flags, id } = readPageHeader(file.readBytes(pgid * pageSize, PAGE_HEADER_SIZE), 0);
    if (id === pgid && count > 0 && (flags === FLAG_BRANCH || flags === FLAG_LEAF)) lost.push({ pgid, isLeaf: flags === FLAG_LEAF });
  }
  return lost;
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
  readonly fault: string | undefined;
  /** From here on there are no pages, whatever lies there. */
  readonly highWaterMark: Pgid;
}

/** Reads which pages a file says are free. */
export function freePagesOf(file: RawFile): FreePages {
  const ids = new PgidSet();
  const [newest] = file.validMetas();
  const highWaterMark = newest?.meta.highWaterMark ?? Infinity;
  try {
    const stored = newest === undefined ? undefined : file.freeIds(newest.meta);
    const limit = Math.ceil(file.size / (file.pageSize ?? 1));
    for (const pgid of stored ?? []) if (pgid < limit) ids.add(pgid);
    return { ids, isKnown: stored !== undefined, fault: undefined, highWaterMark };
  } catch (error) {
    if (!(error instanceof BoltError && error.code === "CORRUPT")) throw error;
    return { ids, isKnown: false, fault: error.message, highWaterMark };
  }
}
