/** The numbers of the file format, version 2. @see docs/format.md */

/** A page id: the page lives at byte `pgid * pageSize`. Exact up to 2^53 - 1. */
export type Pgid = number;

/** What every meta page begins with. */
export const MAGIC = 0xed0cdaed;
export const VERSION = 2;

/** Page sizes in bytes. */
export const MIN_PAGE_SIZE = 1024;
export const MAX_PAGE_SIZE = 65_536;
export const DEFAULT_PAGE_SIZE = 4096;
/** Files are made with MIN_PAGE_SIZE to MAX_PAGE_SIZE and read with whatever power of two a valid meta says, up to where bbolt looks for meta 1. */
export const SMALLEST_READABLE_PAGE_SIZE = 512;
export const LARGEST_READABLE_PAGE_SIZE = 16_777_216;

/** Key sizes: 1..MAX_KEY_SIZE bytes; a bucket name has no upper limit but that of a value. */
export const MAX_KEY_SIZE = 32_768;
export const MAX_VALUE_SIZE = 2_147_483_646;

/** The page header: id u64, flags u16, count u16, overflow u32. */
export const PAGE_HEADER_SIZE = 16;
export const PAGE_ID = 0;
export const PAGE_FLAGS = 8;
export const PAGE_COUNT = 10;
export const PAGE_OVERFLOW = 12;

/** Page types: exactly one is set. */
export const FLAG_BRANCH = 0x01;
export const FLAG_LEAF = 0x02;
export const FLAG_META = 0x04;
export const FLAG_FREELIST = 0x10;

/** Branch element: pos u32, ksize u32, pgid u64. Leaf element: flags u32, pos u32, ksize u32, vsize u32. `pos` counts from the element's start. */
export const ELEMENT_SIZE = 16;
export const BRANCH_POS = 0;
export const BRANCH_KEY_SIZE = 4;
export const BRANCH_CHILD = 8;
export const LEAF_FLAGS = 0;
export const LEAF_POS = 4;
export const LEAF_KEY_SIZE = 8;
export const LEAF_VALUE_SIZE = 12;

/** Leaf element flag: the value is a nested bucket. */
export const BUCKET_FLAG = 1;

/** Elements that one page can count. */
export const MAX_ELEMENT_COUNT = 65_535;

/** Deeper trees cannot be: a branch has at least two children. */
export const MAX_DEPTH = 64;

/** Bucket value: root u64 (0 = inline, a leaf page follows), sequence u64. */
export const BUCKET_HEADER_SIZE = 16;

/** A bucket is stored inline up to this part of a page: header and elements of its one leaf. */
export const MAX_INLINE_FRACTION = 4;

/** Freelist count in the header from which on the first element holds the real count. */
export const FREELIST_COUNT_ESCAPE = 0xffff;
