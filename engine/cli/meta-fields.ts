/** The fields of a meta page as they stand there, valid or not: what page, surgery and salvage look at. */
import { readBigU64, readU32, writeBigU64, writeU32 } from "../base/bytes.js";
import { LARGEST_READABLE_PAGE_SIZE, MAGIC, SMALLEST_READABLE_PAGE_SIZE } from "../format/constants.js";
import { decodeMeta, META_AT, META_SIZE, sealMeta, type MetaFault } from "../format/meta.js";
import { Failure } from "./command.js";

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
  const decoded = decodeMeta(page, 0);
  return {
    magic: readU32(page, META_AT.magic), version: readU32(page, META_AT.version),
    pageSize: readU32(page, META_AT.pageSize), flags: readU32(page, META_AT.flags),
    root: readBigU64(page, META_AT.root), sequence: readBigU64(page, META_AT.sequence), freelist: readBigU64(page, META_AT.freelist),
    highWaterMark: readBigU64(page, META_AT.highWaterMark), txid: readBigU64(page, META_AT.txid), checksum: readBigU64(page, META_AT.checksum),
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

/** Why a meta page is not valid, and of which transaction it seems to be. */
export function metaFaultText(fields: MetaFields | undefined): string {
  if (fields?.fault === "CHECKSUM") return `checksum, transaction ${fields.txid}`;
  return fields?.fault === "VERSION_MISMATCH" ? `version ${fields.version}` : "it is none";
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
  if (flags !== undefined) writeU32(page, META_AT.flags, flags);
  if (change.pageSize !== undefined) writeU32(page, META_AT.pageSize, change.pageSize);
  if (change.root !== undefined) {
    writeBigU64(page, META_AT.root, change.root);
    writeBigU64(page, META_AT.sequence, 0n);
  }
  if (change.freelist !== undefined) writeBigU64(page, META_AT.freelist, change.freelist);
  if (change.highWaterMark !== undefined) writeBigU64(page, META_AT.highWaterMark, change.highWaterMark);
  sealMeta(page, 0);
  return Object.keys(change).length > 0 || before.compare(page, 0, META_SIZE) !== 0;
}
