/** Choosing the state to open: the newest that is whole, and what was lost where that is not the newest. */
import { boltError, corrupt } from "../base/errors.js";
import type { Recovery } from "../base/recovery.js";
import { crc32 } from "../format/checksum.js";
import type { Pgid } from "../format/constants.js";
import { decodeManifest, type Manifest, wasClosed } from "../format/manifest.js";
import { metaPageOf, type Meta, type MetaFault } from "../format/meta.js";
import type { Storage } from "../storage/storage.js";
import { validMetas, type MetaSlots } from "./meta-pages.js";

/** The state to open. */
export interface ChosenMeta {
  readonly meta: Meta;
  /** The other valid state, when its pages must be kept until the next commit is durable. */
  readonly older?: Meta | undefined;
  readonly recovery?: Recovery | undefined;
  /** The database was closed in order after it, and nobody has written to the other meta page since: all of it is durable. */
  readonly isDurable?: boolean;
}

/** Bytes read at a time while a commit is verified. */
const VERIFY_SIZE = 1 << 20;

/**
 * Chooses the newest meta, or the older one where a manifest shows that pages of the newest commit are not there.
 * @throws BoltError with the fault of meta 0 when neither meta is valid; CORRUPT when no state can be in the file
 */
export function chooseMeta(storage: Storage, slots: MetaSlots): ChosenMeta {
  const [newest, older] = requireMetas(slots);
  const isClosed = wasClosedAfter(storage, newest);
  const fault = isClosed ? undefined : commitFault(storage, newest);
  if (fault !== undefined && older !== undefined && commitFault(storage, older) === undefined && metaProblem(older, storage.size()) === undefined) {
    return { meta: older, recovery: { txid: older.txid, lostTxid: newest.txid, reason: `transaction ${newest.txid}: ${fault}` } };
  }
  const meta = newestMeta(slots, storage.size());
  if (fault !== undefined) throw corrupt(metaPageOf(newest.txid), `transaction ${newest.txid}: ${fault}, and there is no older state to go back to`);
  // Where a later commit failed and was undone, the disk may have its meta in that place.
  return { meta, older, recovery: damagedSlot(slots, meta), isDurable: isClosed && isOwnState(older, newest) };
}

/**
 * Whether the other meta page holds a state of its own, and not what undid a failed commit: a meta that leads to the same tree as the newest, or a part of one.
 * It is not to be touched before the next commit is: where a failed sync has dropped the newest meta, and nobody undid it, the disk has no other state.
 */
export function isOwnState(other: Meta | MetaFault | undefined, { root }: Meta): boolean {
  return typeof other === "object" && other.root !== root;
}

/**
 * The newest valid meta, for whoever reads while somebody else writes: such a file is never closed in order, so its manifest says nothing.
 * @param fileSize as it was after the metas were read: a writer makes the file longer before a meta says so
 * @throws BoltError as `chooseMeta`
 */
export function newestMeta(slots: MetaSlots, fileSize: number): Meta {
  const [meta] = requireMetas(slots);
  const problem = metaProblem(meta, fileSize);
  if (problem !== undefined) throw problem;
  return meta;
}

function requireMetas(slots: MetaSlots): readonly [Meta, Meta | undefined] {
  const [newest, older] = validMetas(slots);
  if (newest === undefined) throw boltError(slots[0] as MetaFault, "neither meta page is valid; is this a bolt file?");
  return [newest, older];
}

/** A meta page that is none: nobody can say which transaction it held. */
function damagedSlot(slots: MetaSlots, meta: Meta): Recovery | undefined {
  const page = slots.findIndex((slot) => typeof slot === "string");
  if (page < 0) return undefined;
  return { txid: meta.txid, lostTxid: undefined, reason: `meta page ${page} is not valid (${slots[page] as MetaFault})` };
}

/** Why a state cannot be in a file of that size. */
function metaProblem(meta: Meta, fileSize: number): Error | undefined {
  if (meta.highWaterMark * meta.pageSize > fileSize) {
    return corrupt(meta.highWaterMark - 1, `beyond the end of the file: the high-water mark is ${meta.highWaterMark}, the file has ${fileSize} bytes`);
  }
  if (meta.root < 2 || meta.root >= meta.highWaterMark) return corrupt(meta.root, `root of the tree is out of bounds: ${meta.highWaterMark}`);
  return undefined;
}

/** Both meta pages, one after the other in the same memory: a copied file may have them the other way round. */
function* metaPages(storage: Storage, pageSize: number): IterableIterator<readonly [Pgid, Uint8Array]> {
  const page = new Uint8Array(pageSize);
  for (const pgid of [0, 1]) {
    storage.read(page, pgid * pageSize);
    yield [pgid, page];
  }
}

function wasClosedAfter(storage: Storage, { pageSize, txid }: Meta): boolean {
  for (const [, page] of metaPages(storage, pageSize)) if (wasClosed(page, txid)) return true;
  return false;
}

/** Why the commit of a meta is not whole; undefined when it is, or when it has no manifest. */
function commitFault(storage: Storage, { pageSize, txid }: Meta): string | undefined {
  for (const [pgid, page] of metaPages(storage, pageSize)) {
    const manifest = decodeManifest(page);
    if (manifest === "torn" && pgid === metaPageOf(txid)) return "its meta page is not whole";
    if (manifest === undefined || manifest === "torn" || manifest.txid !== txid) continue;
    return pagesMatch(storage, pageSize, manifest) ? undefined : "pages that it wrote are not there";
  }
  return undefined;
}

function pagesMatch(storage: Storage, pageSize: number, { ranges, pagesCrc }: Manifest): boolean {
  const buffer = new Uint8Array(Math.max(VERIFY_SIZE, pageSize));
  let crc = 0;
  for (const { start, length } of ranges) {
    const end = (start + length) * pageSize;
    if (end > storage.size()) return false;
    for (let position = start * pageSize; position < end; ) {
      const chunk = buffer.subarray(0, Math.min(buffer.length, end - position));
      if (storage.read(chunk, position) < chunk.length) return false;
      crc = crc32(chunk, crc);
      position += chunk.length;
    }
  }
  return crc === pagesCrc;
}
