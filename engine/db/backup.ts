/**
 * A hot backup: one committed state as a database file of its own, while writers go on.
 *
 * 1. It holds a read transaction, so nothing that the state reaches is overwritten; pages that it gives up meanwhile wait until the end.
 * 2. Reads are short, writes and syncs are off the calling thread: nobody waits for it longer than a few milliseconds.
 * 3. The copy is opened and checked before it gets its name. A backup that is there is whole.
 */
import { setImmediate } from "node:timers/promises";
import { BoltError, boltError } from "../base/errors.js";
import type { Meta } from "../format/meta.js";
import type { RawPages } from "../format/walk.js";
import { readMetaSlots } from "../pager/meta-pages.js";
import { chooseMeta } from "../pager/recovery.js";
import { readStoredFreelist } from "../pager/stored-freelist.js";
import { writeFileAtomicallyLater } from "../storage/atomic-file.js";
import type { Storage } from "../storage/storage.js";
import { modeOfCopy } from "./target.js";
import { checkStepwise } from "../tx/check.js";
import { slicesOf } from "../tx/copy.js";
import type { TxState } from "../tx/tx-state.js";

/** What a backup is. */
export interface BackupResult {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** The transaction whose state it holds. */
  readonly txid: bigint;
  readonly durationMs: number;
}

/** How long the check of the copy runs before it lets others have a turn. */
const CHECK_SLICE_MS = 4;
/** Problems that an error names. */
const PROBLEMS_SHOWN = 5;

/** Makes the backup of the snapshot that an open read transaction has. @throws BoltError as `DB.backup` */
export async function backUp(state: TxState, path: string): Promise<BackupResult> {
  const start = performance.now();
  await writeFileAtomicallyLater(path, modeOfCopy(state.pager.storage), (storage) => backUpInto(state, storage));
  const { highWaterMark, pageSize, txid } = state.snapshot.meta;
  return { path, size: highWaterMark * pageSize, txid, durationMs: performance.now() - start };
}

/** Writes the backup into an empty storage and checks it, whole but not synced. @throws BoltError as `DB.backup` */
export async function backUpInto(state: TxState, storage: Storage): Promise<void> {
  await copySnapshotLater(state, storage);
  await verifyCopy(storage);
}

async function copySnapshotLater(state: TxState, target: Storage): Promise<void> {
  for (const { bytes, position } of slicesOf(state)) {
    await target.writeAsync([bytes], position);
    if (!state.isOpen) throw boltError("DATABASE_NOT_OPEN", "it was closed during the backup");
  }
}

/** Opens a copy and checks it. @throws BoltError CORRUPT naming the first problems, and what opening throws */
async function verifyCopy(storage: Storage): Promise<void> {
  const { meta } = chooseMeta(storage, readMetaSlots(storage));
  const pages = rawPagesOf(storage, meta);
  const freeIds = meta.freelist === undefined ? undefined : readStoredFreelist(pages, meta.freelist).ids;
  const problems: string[] = [];
  let sliceEnd = performance.now() + CHECK_SLICE_MS;
  for (const problem of checkStepwise({ pages, meta, fileSize: storage.size(), freeIds })) {
    if (problem !== undefined) problems.push(problem);
    if (problems.length > PROBLEMS_SHOWN) break;
    if (performance.now() < sliceEnd) continue;
    await setImmediate();
    sliceEnd = performance.now() + CHECK_SLICE_MS;
  }
  if (problems.length === 0) return;
  const shown = problems.slice(0, PROBLEMS_SHOWN).join("; ");
  throw new BoltError("CORRUPT", `${shown}${problems.length > PROBLEMS_SHOWN ? "; and more" : ""} (found in the backup, and so in the database: no backup was made)`);
}

function rawPagesOf(storage: Storage, { pageSize, highWaterMark }: Meta): RawPages {
  return {
    pageSize,
    highWaterMark,
    read: (pgid, pageCount) => {
      if ((pgid + pageCount) * pageSize > storage.size()) return undefined;
      const bytes = Buffer.allocUnsafe(pageCount * pageSize);
      return storage.read(bytes, pgid * pageSize) === bytes.length ? bytes : undefined;
    },
  };
}
