/**
 * The commit manifest: what the transaction of a meta page wrote, in the part of the page that bolt leaves unused and clears when it writes.
 *
 * A disk that lies, or a kernel that drops pages after a failed sync, leaves a durable meta whose pages are not there. The manifest tells: the page
 * ranges of the commit, and the CRC-32 of all their bytes in ascending order. From byte 96 of the meta page:
 *
 *     0  magic u32 "HXBM"     4  CRC-32 u32 of the bytes behind it, up to the end of the ranges
 *     8  txid u64            16  CRC-32 u32 of the pages            20  range count u32            24  bytes of the ranges u32
 *    28… each range: pages from the end of the one before, and its length, as base-128 varints
 *
 * A commit in more ranges than fit has none. The last 16 bytes of the page say that the database was closed in order after it:
 * magic u64 "HXBCLOSE", txid u64. They have a sector to themselves (page sizes from 1 KiB on; smaller pages get no mark), so writing them cannot
 * damage the meta or the manifest.
 */
import { assert } from "../base/assert.js";
import { readBigU64, readU32, writeBigU64, writeU32 } from "../base/bytes.js";
import type { Pieces } from "../base/turns.js";
import { crc32 } from "./checksum.js";
import type { Pgid } from "./constants.js";

const MANIFEST = 96;
const MAGIC = 0x4d425848;
const CRC = 4;
const TXID = 8;
const PAGES_CRC = 16;
const RANGE_COUNT = 20;
const RANGES_SIZE = 24;
const RANGES = 28;

/** Bytes of a meta page that tell two commits apart: the meta and the fixed part of the manifest, all in its first sector. */
export const WATCHED_SIZE = 128;

/** Bytes that are summed up before something else may run. */
const PIECE_SIZE = 1 << 18;

/** Two varints of 64 bits. */
const MAX_RANGE_SIZE = 20;

const CLOSE_MARK_SIZE = 16;
/** Nothing is promised of the rest of a sector that is written and not synced. */
const CLOSE_MARK_SECTOR_SIZE = 512;
const CLOSE_MAGIC = 0x45534f4c43425848n;

/** Neighbouring pages that a commit wrote. */
export interface PageRange {
  readonly start: Pgid;
  length: number;
}

/** What a manifest says. */
export interface Manifest {
  readonly txid: bigint;
  readonly ranges: readonly PageRange[];
  /** CRC-32 of the pages in the order of the ranges. */
  readonly pagesCrc: number;
}

/** Pages as they go to the disk. */
interface PageWrite {
  /** In bytes. */
  readonly position: number;
  readonly chunks: readonly Uint8Array[];
}

/** Gives the ranges of what a commit writes, given in ascending order; undefined when they are more than fit. */
export function rangesOf(writes: readonly PageWrite[], pageSize: number): readonly PageRange[] | undefined {
  const ranges: PageRange[] = [];
  for (const { position, chunks } of writes) {
    let size = 0;
    for (const { length } of chunks) size += length;
    const start = position / pageSize;
    const last = ranges[ranges.length - 1];
    if (last !== undefined && last.start + last.length === start) last.length += size / pageSize;
    else ranges.push({ start, length: size / pageSize });
  }
  return rangesFit(pageSize, ranges) ? ranges : undefined;
}

/** Sums up what a commit writes, in pieces: of a commit spread over a large file a tenth of the work. Gives the CRC-32. */
export function* crcOf(writes: readonly PageWrite[]): Pieces<number> {
  let crc = 0;
  let sinceYield = 0;
  for (const { chunks } of writes) {
    for (const chunk of chunks) {
      crc = crc32(chunk, crc);
      sinceYield += chunk.length;
      if (sinceYield < PIECE_SIZE) continue;
      sinceYield = 0;
      yield;
    }
  }
  return crc;
}

function rangesFit(pageSize: number, ranges: readonly PageRange[]): boolean {
  const room = pageSize - (pageSize > CLOSE_MARK_SECTOR_SIZE ? CLOSE_MARK_SECTOR_SIZE : CLOSE_MARK_SIZE) - MANIFEST - RANGES;
  let size = 0;
  let end = 0;
  for (const { start, length } of ranges) {
    if (size + MAX_RANGE_SIZE > room) return false;
    size += varintSize(start - end) + varintSize(length);
    end = start + length;
  }
  return true;
}

/**
 * Writes a manifest into a meta page.
 * @param page the whole meta page
 * @param manifest its ranges are known to fit: `rangesOf` gives no others
 */
export function encodeManifest(page: Uint8Array, { txid, ranges, pagesCrc }: Manifest): void {
  let at = MANIFEST + RANGES;
  let end = 0;
  for (const { start, length } of ranges) {
    at = writeVarint(page, at, start - end);
    at = writeVarint(page, at, length);
    end = start + length;
  }
  assert(at <= page.length - CLOSE_MARK_SIZE, "the manifest fits");
  writeU32(page, MANIFEST, MAGIC);
  writeBigU64(page, MANIFEST + TXID, txid);
  writeU32(page, MANIFEST + PAGES_CRC, pagesCrc);
  writeU32(page, MANIFEST + RANGE_COUNT, ranges.length);
  writeU32(page, MANIFEST + RANGES_SIZE, at - MANIFEST - RANGES);
  writeU32(page, MANIFEST + CRC, crc32(page.subarray(MANIFEST + TXID, at)));
}

/** Reads the manifest of a meta page; undefined when there is none, "torn" when it is not whole. */
export function decodeManifest(page: Uint8Array): Manifest | "torn" | undefined {
  if (page.length < MANIFEST + RANGES + CLOSE_MARK_SIZE || readU32(page, MANIFEST) !== MAGIC) return undefined;
  const end = MANIFEST + RANGES + readU32(page, MANIFEST + RANGES_SIZE);
  if (end > page.length - CLOSE_MARK_SIZE || crc32(page.subarray(MANIFEST + TXID, end)) !== readU32(page, MANIFEST + CRC)) return "torn";
  const ranges: PageRange[] = [];
  const place = { at: MANIFEST + RANGES };
  let previousEnd = 0;
  for (let i = readU32(page, MANIFEST + RANGE_COUNT); i > 0; i--) {
    const start = previousEnd + readVarint(page, place, end);
    const length = readVarint(page, place, end);
    // NaN too, which is where the bytes of the ranges end too soon.
    if (!(start + length <= Number.MAX_SAFE_INTEGER)) return "torn";
    ranges.push({ start, length });
    previousEnd = start + length;
  }
  return { txid: readBigU64(page, MANIFEST + TXID), ranges, pagesCrc: readU32(page, MANIFEST + PAGES_CRC) };
}

/** The bytes that say "closed in order after `txid`", and where in the meta page they stand. */
export function closeMark(pageSize: number, txid: bigint): { readonly bytes: Uint8Array; readonly offset: number } {
  const bytes = new Uint8Array(CLOSE_MARK_SIZE);
  writeBigU64(bytes, 0, CLOSE_MAGIC);
  writeBigU64(bytes, 8, txid);
  return { bytes, offset: pageSize - CLOSE_MARK_SIZE };
}

/** Whether the database was closed in order after the transaction of this meta page. */
export function wasClosed(page: Uint8Array, txid: bigint): boolean {
  const at = page.length - CLOSE_MARK_SIZE;
  return readBigU64(page, at) === CLOSE_MAGIC && readBigU64(page, at + 8) === txid;
}

function writeVarint(bytes: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes[at++] = (rest % 0x80) | 0x80;
  bytes[at++] = rest;
  return at;
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

/** NaN when it does not end before `end`: the CRC says that the bytes are those that were written, not that they were written by this engine. */
function readVarint(bytes: Uint8Array, place: { at: number }, end: number): number {
  let value = 0;
  for (let factor = 1; place.at < end; factor *= 0x80) {
    const byte = bytes[place.at++]!;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return value;
  }
  return Number.NaN;
}
