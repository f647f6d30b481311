/** Database files made page by page, as no engine writes them. Page size 4,096; what is not said of a page is as it should be. */
import { encodeMeta } from "../../engine/format/meta.js";

const PAGE_SIZE = 4096;
const BRANCH = 0x01;
const LEAF = 0x02;
const FREELIST = 0x10;

interface PageOptions {
  /** What the header says, in place of the true number. */
  readonly count?: number;
  readonly overflow?: number;
}

/** An element of a leaf. */
export interface LeafElement {
  readonly key: string;
  readonly value: Uint8Array;
  readonly isBucket?: boolean;
}

/** A page by its id: made when the id is known. */
export type MakePage = (pgid: number) => Buffer;

function pageOf(pgid: number, flags: number, count: number, { overflow = 0, ...said }: PageOptions, pageCount = 1 + overflow): Buffer {
  const page = Buffer.alloc(pageCount * PAGE_SIZE);
  page.writeBigUInt64LE(BigInt(pgid), 0);
  page.writeUInt16LE(flags, 8);
  page.writeUInt16LE(said.count ?? count, 10);
  page.writeUInt32LE(overflow, 12);
  return page;
}

/** A leaf page. */
export function leaf(elements: readonly LeafElement[], options: PageOptions = {}): MakePage {
  return (pgid) => {
    const page = pageOf(pgid, LEAF, elements.length, options);
    let data = 16 + 16 * elements.length;
    for (const [i, { isBucket, key, value }] of elements.entries()) {
      const at = 16 + 16 * i;
      page.writeUInt32LE(isBucket === true ? 1 : 0, at);
      page.writeUInt32LE(data - at, at + 4);
      page.writeUInt32LE(key.length, at + 8);
      page.writeUInt32LE(value.length, at + 12);
      page.write(key, data);
      page.set(value, data + key.length);
      data += key.length + value.length;
    }
    return page;
  };
}

/** A branch page. */
export function branch(children: readonly { readonly key: string; readonly child: number }[], options: PageOptions = {}): MakePage {
  return (pgid) => {
    const page = pageOf(pgid, BRANCH, children.length, options);
    let data = 16 + 16 * children.length;
    for (const [i, { child, key }] of children.entries()) {
      const at = 16 + 16 * i;
      page.writeUInt32LE(data - at, at);
      page.writeUInt32LE(key.length, at + 4);
      page.writeBigUInt64LE(BigInt(child), at + 8);
      page.write(key, data);
      data += key.length;
    }
    return page;
  };
}

/** A freelist page. */
export function freelist(ids: readonly number[]): MakePage {
  return (pgid) => {
    const page = pageOf(pgid, FREELIST, ids.length, {});
    for (const [i, id] of ids.entries()) page.writeBigUInt64LE(BigInt(id), 16 + 8 * i);
    return page;
  };
}

/** A leaf whose elements all have one value, that of the last of them: 4 KiB that count as many times as there are elements. */
export function leafOfSharedValues(count: number): MakePage {
  return (pgid) => {
    const keys = Array.from({ length: count }, (_, i) => String(i).padStart(4, "0"));
    const page = leaf(keys.map((key) => ({ key, value: new Uint8Array(0) })))(pgid);
    for (let i = 0; i < count; i++) {
      const at = 16 + 16 * i;
      page.writeUInt32LE(PAGE_SIZE - at - page.readUInt32LE(at + 4) - 4, at + 12);
    }
    return page;
  };
}

/** A bucket with pages of its own, as an element. */
export function bucketAt(key: string, root: number): LeafElement {
  const value = Buffer.alloc(16);
  value.writeBigUInt64LE(BigInt(root), 0);
  return { key, value, isBucket: true };
}

/** A pair, as an element. */
export function pair(key: string, value = "v"): LeafElement {
  return { key, value: Buffer.from(value) };
}

/**
 * The bytes of a file: two meta pages, a freelist on page 2, and from page 3 on what is given, one behind the other; page 3 is the root bucket's.
 * @param highWaterMark what the metas say, where it is not the number of pages
 */
export function fileOf(pages: readonly MakePage[], { free = freelist([]), highWaterMark }: { readonly free?: MakePage; readonly highWaterMark?: number } = {}): Buffer {
  const made: Buffer[] = [free(2)];
  let pageCount = 3;
  for (const make of pages) {
    const page = make(pageCount);
    pageCount += page.length / PAGE_SIZE;
    made.push(page);
  }
  const metas = [1000n, 1001n].map((txid) => {
    const page = Buffer.alloc(PAGE_SIZE);
    encodeMeta(page, 0, { pageSize: PAGE_SIZE, root: 3, sequence: 0n, freelist: 2, highWaterMark: highWaterMark ?? pageCount, txid });
    return page;
  });
  return Buffer.concat([...metas, ...made]);
}
