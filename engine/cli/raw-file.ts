/**
 * A database file as it lies on the disk, page by page, sound or not. What the commands that look at pages read through.
 *
 * Of a file that somebody else writes, every read ends with a look at both meta pages: while they and their manifests stand as they stood at the start,
 * nothing that the snapshot's tree reaches was overwritten; once they differ the read throws STALE_SNAPSHOT and the command begins again.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { readBigU64, readU32 } from "../base/bytes.js";
import { BoltError, boltError } from "../base/errors.js";
import { newMemory } from "../base/memory.js";
import { LARGEST_READABLE_PAGE_SIZE, MAGIC, PAGE_ID, PAGE_OVERFLOW, SMALLEST_READABLE_PAGE_SIZE, type Pgid } from "../format/constants.js";
import { readFreelistPage } from "../format/freelist-page.js";
import { WATCHED_SIZE } from "../format/manifest.js";
import { decodeMeta, META_SIZE, type Meta } from "../format/meta.js";
import { isReadablePageSize } from "../format/page-size.js";
import { readPageHeader, type PageHeader } from "../format/page.js";
import type { RawPages } from "../format/walk.js";
import { Failure } from "./command.js";
import { metaFaultText, pageSizeFailure, readMetaFields, type MetaFields } from "./meta-fields.js";
import { readAt } from "./read-at.js";

/** A page with its overflow pages. */
export interface RawPage {
  readonly header: PageHeader;
  readonly bytes: Uint8Array;
}

/** An open file. */
export class RawFile {
  readonly path: string;
  /** Bytes of the file: no fewer than it had when its metas were read. */
  readonly size: number;
  /** From the meta that counts; else from one that at least looks like a meta; undefined when none does. */
  readonly pageSize: number | undefined;
  /** The fields of meta page 0 and 1, as far as they can be found. */
  readonly metas: readonly [MetaFields | undefined, MetaFields | undefined];
  readonly #descriptor: number;
  readonly #watched: Buffer | undefined;
  readonly #recoveredTxid: bigint | undefined;

  /**
   * @param isLive somebody else may be writing the file
   * @param recoveredTxid the transaction that opening went back to, when the newest one turned out to be incomplete
   */
  constructor(path: string, isLive: boolean, recoveredTxid?: bigint) {
    this.path = path;
    this.#recoveredTxid = recoveredTxid;
    this.#descriptor = openSync(path, "r");
    try {
      this.size = fstatSync(this.#descriptor).size;
      const page0 = this.readBytes(0, META_SIZE);
      const fields0 = readMetaFields(page0);
      this.pageSize = this.#findPageSize(fields0);
      this.metas = [fields0, this.pageSize === undefined ? undefined : readMetaFields(this.readBytes(this.pageSize, META_SIZE))];
      this.#watched = isLive && this.pageSize !== undefined ? this.#metaBytes(this.pageSize) : undefined;
      this.size = Math.max(this.size, fstatSync(this.#descriptor).size);
    } catch (error) {
      closeSync(this.#descriptor);
      throw error;
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  /** Reads bytes; fewer at the end of the file. */
  readBytes(position: number, size: number): Buffer {
    const memory = newMemory(Math.max(0, Math.min(size, this.size - position)));
    if (memory === undefined) throw new BoltError("CORRUPT", `${size} bytes at ${position}: there is not so much memory`);
    return this.readInto(Buffer.from(memory.buffer, memory.byteOffset, memory.length), position);
  }

  /** Reads bytes into memory that there is; gives the part of it that was filled: less than all at the end of the file. */
  readInto(bytes: Buffer, position: number): Buffer {
    const done = readAt(this.#descriptor, bytes, position);
    if (this.#watched !== undefined && !this.#metaBytes(this.pageSize ?? 0).equals(this.#watched)) {
      throw new BoltError("STALE_SNAPSHOT", "the writer has moved on: the file was committed to while it was read");
    }
    return bytes.subarray(0, done);
  }

  #metaBytes(pageSize: number): Buffer {
    const bytes = Buffer.alloc(2 * WATCHED_SIZE);
    readSync(this.#descriptor, bytes, 0, WATCHED_SIZE, 0);
    readSync(this.#descriptor, bytes, WATCHED_SIZE, WATCHED_SIZE, pageSize);
    return bytes;
  }

  #findPageSize(fields0: MetaFields | undefined): number | undefined {
    if (fields0 !== undefined && fields0.fault === undefined) return fields0.pageSize;
    const found: { readonly size: number; readonly fields: MetaFields | undefined }[] = [];
    for (let size = SMALLEST_READABLE_PAGE_SIZE; size <= LARGEST_READABLE_PAGE_SIZE && size + META_SIZE <= this.size; size *= 2) {
      found.push({ size, fields: readMetaFields(this.readBytes(size, META_SIZE)) });
    }
    const valid = found.find(({ fields, size }) => fields?.fault === undefined && fields?.pageSize === size);
    if (valid !== undefined) return valid.size;
    if (fields0?.magic === MAGIC && isReadablePageSize(fields0.pageSize)) return fields0.pageSize;
    return found.find(({ fields }) => fields?.magic === MAGIC)?.size;
  }

  /** The page size. @throws BoltError INVALID when the file has no meta page to tell it */
  needPageSize(): number {
    if (this.pageSize === undefined) throw pageSizeFailure(this.metas[0]) ?? new BoltError("INVALID", "invalid database: the Meta Page has wrong (unexpected) magic");
    return this.pageSize;
  }

  /** The valid metas with their page numbers, the one that counts first: the newest unless opening went back. */
  validMetas(): { readonly page: number; readonly meta: Meta }[] {
    const found: { page: number; meta: Meta }[] = [];
    for (const page of [0, 1]) {
      if (this.pageSize === undefined || this.metas[page]?.fault !== undefined) continue;
      const meta = decodeMeta(this.readBytes(page * this.pageSize, META_SIZE), 0);
      if (typeof meta !== "string" && meta.pageSize === this.pageSize) found.push({ page, meta });
    }
    const rank = ({ meta }: { readonly meta: Meta }): number => (meta.txid === this.#recoveredTxid ? 0 : 1);
    return found.sort((a, b) => rank(a) - rank(b) || (a.meta.txid === b.meta.txid ? a.page - b.page : a.meta.txid > b.meta.txid ? -1 : 1));
  }

  /** Which meta pages are not valid, a line each. */
  metaProblems(): string[] {
    const valid = this.validMetas().map(({ page }) => page);
    return [0, 1].filter((page) => !valid.includes(page)).map((page) => `meta page ${page} is not valid (${metaFaultText(this.metas[page])})`);
  }

  /** The meta that counts. @throws BoltError INVALID when neither does */
  activeMeta(): Meta {
    const [newest] = this.validMetas();
    if (newest !== undefined) return newest.meta;
    const [meta0] = this.metas;
    throw pageSizeFailure(meta0) ?? boltError(meta0?.fault ?? "INVALID", "neither meta page is valid; is this a bolt file?");
  }

  /** The pages as a walk reads them. */
  pages(highWaterMark: Pgid): RawPages {
    const pageSize = this.needPageSize();
    return {
      pageSize,
      highWaterMark,
      read: (pgid, pageCount) => {
        if (!((pgid + pageCount) * pageSize <= this.size)) return undefined;
        const bytes = this.readBytes(pgid * pageSize, pageCount * pageSize);
        return bytes.length === pageCount * pageSize ? bytes : undefined;
      },
    };
  }

  /** @throws Failure OUT_OF_RANGE unless the file has pages, BoltError CORRUPT where it ought to have them */
  requirePages(pgid: Pgid, pageCount: number): void {
    const limit = Math.floor(this.size / this.needPageSize());
    if (pgid + pageCount <= limit) return;
    if (pgid < Number(this.metas[0]?.highWaterMark ?? 0n)) throw new BoltError("CORRUPT", `page ${Math.max(pgid, limit)} lies beyond the end of the file`);
    throw new Failure("OUT_OF_RANGE", `${pageCount === 1 ? `page ${pgid} is` : `pages ${pgid} to ${pgid + pageCount - 1} are`} out of range [0, ${limit})`);
  }

  /**
   * Reads a page with its overflow pages.
   * @throws as `requirePages`; BoltError CORRUPT when it names another page or claims more overflow pages than there can be
   */
  page(pgid: Pgid): RawPage {
    const pageSize = this.needPageSize();
    this.requirePages(pgid, 1);
    const first = this.readBytes(pgid * pageSize, pageSize);
    const header = readPageHeader(first, 0);
    if (header.id !== pgid) throw new BoltError("CORRUPT", `invalid value due to unexpected Page id: ${readBigU64(first, PAGE_ID)} != ${pgid}`);
    const limit = Number(this.metas[0]?.highWaterMark ?? 0n);
    if (header.overflow >= Math.max(limit, this.size / pageSize) - 3 && header.overflow > 0) {
      throw new BoltError("CORRUPT", `invalid value, Page claims to have ${header.overflow} overflow pages (>=hwm=${limit}). Interrupting to avoid risky OOM`);
    }
    if (header.overflow === 0) return { header, bytes: first };
    const size = (1 + header.overflow) * pageSize;
    const bytes = pgid * pageSize + size > this.size ? first : this.readBytes(pgid * pageSize, size);
    if (bytes.length < size) throw new BoltError("CORRUPT", `page ${pgid}: its ${header.overflow} overflow pages do not fit into the file`);
    return { header, bytes };
  }

  /**
   * The ids on the freelist page of a meta, free and pending; undefined when the file does not store them.
   * @throws BoltError CORRUPT when that page is no freelist
   */
  freeIds(meta: Meta): Float64Array | undefined {
    if (meta.freelist === undefined) return undefined;
    const pages = this.pages(meta.highWaterMark);
    const head = pages.read(meta.freelist, 1);
    const bytes = head === undefined ? undefined : pages.read(meta.freelist, 1 + readU32(head, PAGE_OVERFLOW));
    if (bytes === undefined) throw new BoltError("CORRUPT", `page ${meta.freelist}: freelist lies beyond the end of the file`);
    return readFreelistPage(bytes, meta.freelist);
  }
}
