/** The fields of a meta page as they stand there, valid or not: what page, surgery and salvage look at. */
import { readBigU64, readU32, writeBigU64, writeU32 } from "../base/bytes.js";
import { fnv1a64 } from "../format/checksum.js";
import { LARGEST_READABLE_PAGE_SIZE, MAGIC, PAGE_HEADER_SIZE, SMALLEST_READABLE_PAGE_SIZE, VERSION } from "../format/constants.js";
import { decodeMeta, META_SIZE, type MetaFault } from "../format/meta.js";
import { Failure } from "./command.js";

const CHECKSUM = 56;

/** Freelist field of a meta whose free pages are not stored. */
export const NO_FREELIST = 0xffff_ffff_ffff_ffffn;

/** What a meta page holds. */
export interface MetaFields {
  readonly magic: number;
  readonly version: number;
  readonly pageSize: number;
  readonly flags: number;
  readonly root: bigint;
  readonly sequence: bigint;
  readonly freelist: bigint;
  readonly highWaterMark: bigint;
  readonly txid: bigint;
  readonly checksum: bigint;
  /** Why the meta does not count; undefined when it is valid. */
  readonly fault: MetaFault | undefined;
}

/** Texts of the faults, as bbolt's errors have them. */
export const FAULT_TEXTS: Readonly<Record<MetaFault, string>> = {
  INVALID: "invalid database", VERSION_MISMATCH: "version mismatch", CHECKSUM: "checksum error",
};

/** Reads the meta of the page that `page` starts with; undefined when it is cut off. */
export function readMetaFields(page: Uint8Array): MetaFields | undefined {
  if (page.length < META_SIZE) return undefined;
  const at = PAGE_HEADER_SIZE;
  const decoded = decodeMeta(page, 0);
  return {
    magic: readU32(page, at), version: readU32(page, at + 4), pageSize: readU32(page, at + 8), flags: readU32(page, at + 12),
    root: readBigU64(page, at + 16), sequence: readBigU64(page, at + 24), freelist: readBigU64(page, at + 32),
    highWaterMark: readBigU64(page, at + 40), txid: readBigU64(page, at + 48), checksum: readBigU64(page, at + CHECKSUM),
    fault: typeof decoded === "string" ? decoded : undefined,
  };
}

/**
 * The error for a meta that is whole but for its page size, which hexbolt does not read: Go's bbolt takes any when it makes a file. Undefined for any other.
 * The size is looked at last, so with the right magic there is no other reason to be INVALID.
 */
export function pageSizeFailure(fields: MetaFields | undefined): Failure | undefined {
  if (fields?.fault !== "INVALID" || fields.magic !== MAGIC) return undefined;
  return new Failure(
    "INVALID", `invalid database: meta page 0 says pages of ${fields.pageSize} bytes, and only powers of two from ${SMALLEST_READABLE_PAGE_SIZE} to ${LARGEST_READABLE_PAGE_SIZE} can be read`,
    "if a Go program made the file so, `bbolt compact -o NEW FILE` makes a copy that can be read; if it is damaged, `hexbolt surgery salvage` saves what is left",
  );
}

/** The fields that `meta update` can set. */
export type MetaChange = Partial<Pick<MetaFields, "pageSize" | "root" | "freelist" | "highWaterMark">>;

/**
 * Sets fields of a meta page, and magic, version and checksum to what they must be.
 * A new root gets the sequence 0, as with bbolt.
 * @param flags for the field of that name, which nobody reads: bbolt's `meta update` writes the meta page's type into it
 * @returns whether a field was given or any byte has changed
 */
export function changeMeta(page: Uint8Array, change: MetaChange, flags?: number): boolean {
  const before = Buffer.from(page.subarray(0, META_SIZE));
  const at = PAGE_HEADER_SIZE;
  writeU32(page, at, MAGIC);
  writeU32(page, at + 4, VERSION);
  if (flags !== undefined) writeU32(page, at + 12, flags);
  if (change.pageSize !== undefined) writeU32(page, at + 8, change.pageSize);
  if (change.root !== undefined) {
    writeBigU64(page, at + 16, change.root);
    writeBigU64(page, at + 24, 0n);
  }
  if (change.freelist !== undefined) writeBigU64(page, at + 32, change.freelist);
  if (change.highWaterMark !== undefined) writeBigU64(page, at + 40, change.highWaterMark);
  const sum = fnv1a64(page, at, CHECKSUM);
  writeU32(page, at + CHECKSUM, sum.low);
  writeU32(page, at + CHECKSUM + 4, sum.high);
  return Object.keys(change).length > 0 || before.compare(page, 0, META_SIZE) !== 0;
}
