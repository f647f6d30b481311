/**
 * The two meta pages of a file: finding them, and making a new file so that a power cut at any point leaves
 * a file that can be opened.
 *
 * A new file is made in three steps, each made durable before the next: the first sector of meta 0 (txid 0); the empty freelist (page 2)
 * and the empty root leaf (page 3); meta 1 (txid 1). Meta 0 alone, of txid 0, therefore says "not finished": no transaction was ever
 * committed, and the last two steps are done again. A file that ends behind the first sector may have that in memory only, and no durable name:
 * then the first step is done again, too.
 */
import { quietly } from "../base/errors.js";
import { FLAG_FREELIST, FLAG_LEAF, LARGEST_READABLE_PAGE_SIZE, SMALLEST_READABLE_PAGE_SIZE } from "../format/constants.js";
import { decodeMeta, encodeMeta, META_SIZE, type Meta, type MetaFault } from "../format/meta.js";
import { writePageHeader } from "../format/page.js";
import { SECTOR_SIZE, type Storage } from "../storage/storage.js";

const FREELIST_PAGE = 2;
const ROOT_PAGE = 3;
const INITIAL_HIGH_WATER_MARK = 4;

/** What stands in meta page 0 and 1. */
export type MetaSlots = readonly [Meta | MetaFault, Meta | MetaFault];

/** Reads both meta pages; where meta 0 is none, meta 1 is looked for at every page size. */
export function readMetaSlots(storage: Storage): MetaSlots {
  const meta0 = readMetaAt(storage, 0);
  if (typeof meta0 !== "string") return [meta0, metaOfPageSize(storage, meta0.pageSize)];
  for (let pageSize = SMALLEST_READABLE_PAGE_SIZE; pageSize <= LARGEST_READABLE_PAGE_SIZE; pageSize *= 2) {
    const meta1 = metaOfPageSize(storage, pageSize);
    if (typeof meta1 !== "string") return [meta0, meta1];
  }
  return [meta0, "INVALID"];
}

/** Meta 1 of a file of that page size: another page size in it means that it is no meta page of this file. */
function metaOfPageSize(storage: Storage, pageSize: number): Meta | MetaFault {
  const meta = readMetaAt(storage, pageSize);
  return typeof meta === "string" || meta.pageSize === pageSize ? meta : "INVALID";
}

function readMetaAt(storage: Storage, position: number): Meta | MetaFault {
  const bytes = new Uint8Array(META_SIZE);
  return storage.read(bytes, position) < META_SIZE ? "INVALID" : decodeMeta(bytes, 0);
}

/** The valid metas, the newer first. */
export function validMetas([meta0, meta1]: MetaSlots): Meta[] {
  const metas = [meta0, meta1].filter((slot) => typeof slot !== "string");
  return metas.sort((a, b) => (a.txid > b.txid ? -1 : 1));
}

/** Reads both meta pages of a file that may be written: an empty one is made a database first, and one that is half made is finished. */
export function makeIfMissing(storage: Storage, pageSize: number): { readonly slots: MetaSlots; readonly isNew: boolean } {
  const isNew = isUninitialised(storage);
  if (isNew) initialise(storage, pageSize);
  const slots = readMetaSlots(storage);
  if (!isUnfinished(slots)) return { slots, isNew };
  initialise(storage, (slots[0] as Meta).pageSize);
  return { slots: readMetaSlots(storage), isNew: true };
}

/** Whether the storage is new, or making it was interrupted in the first step. */
export function isUninitialised(storage: Storage): boolean {
  const size = storage.size();
  if (size > SECTOR_SIZE) return false;
  const bytes = new Uint8Array(size);
  storage.read(bytes, 0);
  return bytes.every((byte) => byte === 0);
}

/** Whether making the file was interrupted in the second or third step. */
export function isUnfinished([meta0, meta1]: MetaSlots): boolean {
  return typeof meta0 !== "string" && typeof meta1 === "string" && meta0.txid === 0n && meta0.sequence === 0n && meta0.root === ROOT_PAGE && meta0.highWaterMark === INITIAL_HIGH_WATER_MARK;
}

/** Makes an empty database, or finishes one. */
export function initialise(storage: Storage, pageSize: number): void {
  if (storage.size() <= SECTOR_SIZE) {
    storage.write([initialMeta(SECTOR_SIZE, pageSize, 0n)], 0);
    storage.sync();
  }
  const pages = new Uint8Array(2 * pageSize);
  writePageHeader(pages, 0, FREELIST_PAGE, FLAG_FREELIST, 0, 0);
  writePageHeader(pages, pageSize, ROOT_PAGE, FLAG_LEAF, 0, 0);
  storage.write([pages], FREELIST_PAGE * pageSize);
  storage.sync();
  const page = initialMeta(pageSize, pageSize, 1n);
  try {
    storage.write([page], pageSize);
    storage.sync();
  } catch (error) {
    // After a failed sync the system may show a page that will never reach the disk: the next opening must not build on it, but do this step again.
    quietly(() => storage.write([page.fill(0)], pageSize));
    throw error;
  }
}

/** Gives the first `size` bytes of a meta page. */
function initialMeta(size: number, pageSize: number, txid: bigint): Uint8Array {
  const bytes = new Uint8Array(size);
  encodeMeta(bytes, 0, { pageSize, root: ROOT_PAGE, sequence: 0n, freelist: FREELIST_PAGE, highWaterMark: INITIAL_HIGH_WATER_MARK, txid });
  return bytes;
}
