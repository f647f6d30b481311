/** A snapshot as a database file of its own. @see bbolt Tx.WriteTo */
import { encodeMeta, metaPageOf, type Meta } from "../format/meta.js";
import { requirePages } from "../format/walk.js";
import type { Storage } from "../storage/storage.js";
import type { TxState } from "./tx-state.js";

/** Bytes copied at a time: to read them takes some tenths of a millisecond. */
const COPY_SIZE = 1 << 20;

/** Writes the pages of a snapshot as they are, and both metas for it: the older one leads to the same state. */
export function copySnapshot(state: TxState, target: Storage): void {
  for (const { bytes, position } of slicesOf(state)) target.write([bytes], position);
}

/** What a copy of a snapshot is written from, in ascending order; each slice is read when it is asked for. @throws BoltError CORRUPT, IO, STALE_SNAPSHOT */
export function* slicesOf({ pager, snapshot }: TxState): Generator<{ readonly bytes: Uint8Array; readonly position: number }> {
  const { meta } = snapshot;
  const { pageSize, highWaterMark } = meta;
  yield { bytes: metaPages(meta), position: 0 };
  const pages = pager.rawPages(snapshot);
  const step = Math.max(1, COPY_SIZE / pageSize);
  for (let pgid = 2; pgid < highWaterMark; pgid += step) {
    const bytes = requirePages(pages, pgid, Math.min(step, highWaterMark - pgid));
    yield { bytes, position: pgid * pageSize };
  }
}

/** The two meta pages of a copy: both lead to the same state. Before transaction 0 there is none: then the other one has the number behind. */
export function metaPages(meta: Meta): Buffer {
  const pages = Buffer.alloc(2 * meta.pageSize);
  for (const copy of [meta, { ...meta, txid: meta.txid === 0n ? 1n : meta.txid - 1n }]) encodeMeta(pages, metaPageOf(copy.txid) * meta.pageSize, copy);
  return pages;
}
