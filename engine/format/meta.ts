/**
 * The meta page: which tree, freelist and high-water mark the transaction `txid` left. Two of them, pages 0 and 1, written in turn.
 *
 * Body (64 bytes behind the page header): magic u32, version u32, pageSize u32, flags u32, root u64, sequence u64, freelist u64,
 * highWaterMark u64, txid u64, checksum u64 (FNV-1a over the 56 bytes before it).
 */
import { readBigU64, readU32, readU64, writeBigU64, writeU32, writeU64 } from "../base/bytes.js";
import { fnv1a64 } from "./checksum.js";
import { FLAG_META, MAGIC, VERSION, type Pgid } from "./constants.js";
import { isReadablePageSize } from "./page-size.js";
import { writePageHeader } from "./page.js";

/** Where the fields stand, from the start of a meta page. */
export const META_AT = { magic: 16, version: 20, pageSize: 24, flags: 28, root: 32, sequence: 40, freelist: 48, highWaterMark: 56, txid: 64, checksum: 72 } as const;

/** Bytes that the checksum is over. */
const SUMMED = META_AT.checksum - META_AT.magic;

/** Bytes of a meta page that count, from the page's start: header and body. */
export const META_SIZE = 80;

/** No transaction can follow this one: its id would be 0, and the state before it would count as the newer. */
export const MAX_TXID: bigint = 0xffff_ffff_ffff_ffffn;

/** Freelist field of a meta whose free pages are not stored. */
export const FREELIST_NOT_STORED: bigint = 0xffff_ffff_ffff_ffffn;

/** One committed state: what a meta page says, decoded. */
export interface Meta {
  readonly pageSize: number;
  readonly root: Pgid;
  /** The sequence of the root bucket. */
  readonly sequence: bigint;
  /** undefined: the free pages are not stored. */
  readonly freelist: Pgid | undefined;
  /** The first page id never used yet. */
  readonly highWaterMark: Pgid;
  readonly txid: bigint;
}

/** Why a meta page does not count. */
export type MetaFault = "INVALID" | "VERSION_MISMATCH" | "CHECKSUM";

/**
 * Reads the meta whose page starts at `at`.
 * Checks what bbolt checks (magic, version, checksum) and that the page size is one: a power of two of 512 bytes to 16 MiB.
 */
export function decodeMeta(bytes: Uint8Array, at: number): Meta | MetaFault {
  if (at + META_SIZE > bytes.length) return "INVALID";
  if (readU32(bytes, at + META_AT.magic) !== MAGIC) return "INVALID";
  if (readU32(bytes, at + META_AT.version) !== VERSION) return "VERSION_MISMATCH";
  if (!checksumMatches(bytes, at)) return "CHECKSUM";
  const pageSize = readU32(bytes, at + META_AT.pageSize);
  if (!isReadablePageSize(pageSize)) return "INVALID";
  const freelist = readBigU64(bytes, at + META_AT.freelist);
  return {
    pageSize,
    root: readU64(bytes, at + META_AT.root),
    sequence: readBigU64(bytes, at + META_AT.sequence),
    freelist: freelist === FREELIST_NOT_STORED ? undefined : Number(freelist),
    highWaterMark: readU64(bytes, at + META_AT.highWaterMark),
    txid: readBigU64(bytes, at + META_AT.txid),
  };
}

/** bbolt up to 1.3.6 takes a checksum of 0 for "none"; files from then are read too. */
function checksumMatches(bytes: Uint8Array, at: number): boolean {
  const low = readU32(bytes, at + META_AT.checksum);
  const high = readU32(bytes, at + META_AT.checksum + 4);
  if (low === 0 && high === 0) return true;
  const sum = fnv1a64(bytes, at + META_AT.magic, SUMMED);
  return sum.low === low && sum.high === high;
}

/** The page that the transaction writes its meta to. */
export function metaPageOf(txid: bigint): Pgid {
  return Number(txid % 2n);
}

/** Writes header and body of a meta page at `at`; the rest of the page is left as it is. */
export function encodeMeta(bytes: Uint8Array, at: number, meta: Meta): void {
  bytes.fill(0, at, at + META_SIZE);
  writePageHeader(bytes, at, metaPageOf(meta.txid), FLAG_META, 0, 0);
  writeU32(bytes, at + META_AT.pageSize, meta.pageSize);
  writeU64(bytes, at + META_AT.root, meta.root);
  writeBigU64(bytes, at + META_AT.sequence, meta.sequence);
  writeBigU64(bytes, at + META_AT.freelist, meta.freelist === undefined ? FREELIST_NOT_STORED : BigInt(meta.freelist));
  writeU64(bytes, at + META_AT.highWaterMark, meta.highWaterMark);
  writeBigU64(bytes, at + META_AT.txid, meta.txid);
  sealMeta(bytes, at);
}

/** Gives the meta whose page starts at `at` its magic and version, and the checksum of what it says. */
export function sealMeta(bytes: Uint8Array, at: number): void {
  writeU32(bytes, at + META_AT.magic, MAGIC);
  writeU32(bytes, at + META_AT.version, VERSION);
  const sum = fnv1a64(bytes, at + META_AT.magic, SUMMED);
  writeU32(bytes, at + META_AT.checksum, sum.low);
  writeU32(bytes, at + META_AT.checksum + 4, sum.high);
}
