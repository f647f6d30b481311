/**
 * A file as a storage that is only read, for what takes long: it counts what was read, for a progress bar, and can show the database as
 * though another page were its root, for `check --from-page`.
 */
import { closeSync, fstatSync, openSync } from "node:fs";
import { encodeMeta, META_SIZE, type Meta } from "../format/meta.js";
import type { Pgid } from "../format/constants.js";
import type { Storage } from "../index.js";
import { readAt } from "./read-at.js";

/** Makes and owns the descriptor. */
export class CheckStorage implements Storage {
  readonly #descriptor: number;
  readonly #size: number;
  readonly #progress: (byteCount: number) => void;
  #metas: Buffer | undefined;
  #pageSize = 0;
  #byteCount = 0;

  /** @param progress told how many bytes have been read so far */
  constructor(path: string, progress: (byteCount: number) => void) {
    this.#descriptor = openSync(path, "r");
    this.#size = fstatSync(this.#descriptor).size;
    this.#progress = progress;
  }

  /** From now on both meta pages say that `root` is the root. */
  pretendRoot(meta: Meta, root: Pgid): void {
    this.#pageSize = meta.pageSize;
    this.#metas = Buffer.alloc(2 * meta.pageSize);
    for (const txid of [meta.txid, meta.txid - 1n]) encodeMeta(this.#metas, Number(txid % 2n) * meta.pageSize, { ...meta, root, txid });
  }

  size(): number {
    return this.#size;
  }

  read(target: Uint8Array, position: number): number {
    const done = readAt(this.#descriptor, target, position);
    if (this.#metas !== undefined && position < 2 * this.#pageSize) this.#overlay(target, position);
    this.#byteCount += done;
    this.#progress(this.#byteCount);
    return done;
  }

  #overlay(target: Uint8Array, position: number): void {
    for (const start of [0, this.#pageSize]) {
      const from = Math.max(start, position);
      const to = Math.min(start + META_SIZE, position + target.length);
      if (from < to) target.set(this.#metas!.subarray(from, to), from - position);
    }
  }

  write(): void {
    throw new Error("this storage is only read");
  }

  truncate(): void {
    throw new Error("this storage is only read");
  }

  sync(): void {
    // Nothing was written.
  }

  writeAsync(): Promise<void> {
    return Promise.reject(new Error("this storage is only read"));
  }

  syncAsync(): Promise<void> {
    return Promise.resolve();
  }

  /** The command holds the file's lock by other means. */
  lock(): boolean {
    return true;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
