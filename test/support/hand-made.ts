/** Database files made page by page, as no engine writes them: pages of 4,096 bytes, made when their ids are known. */
import { FLAG_FREELIST, LEAF_VALUE_SIZE } from "../../engine/format/constants.js";
import { readU32, writeU32, writeU64 } from "../../engine/base/bytes.js";
import { encodeMeta } from "../../engine/format/meta.js";
import { elementAt } from "../../engine/format/page-index.js";
import { writePageHeader } from "../../engine/format/page.js";
import { bucketValue, setCount, writeBranch, writeLeaf, type LeafElement } from "../engine/format/raw-file.js";

const PAGE_SIZE = 4096;

/** Makes the bytes of a page, and of the overflow pages behind it. */
export type MakePage = (pgid: number) => Buffer;

/** A leaf page. */
export function leaf(elements: readonly LeafElement[], overflow = 0): MakePage {
  return (pgid) => {
    const page = Buffer.alloc((1 + overflow) * PAGE_SIZE);
    writeLeaf(page, 0, pgid, elements, overflow);
    return page;
  };
}

/** A branch page; `count` is what it says of its elements, where that is not the truth. */
export function branch(children: readonly (readonly [key: string, child: number])[], count: number = children.length): MakePage {
  return (pgid) => {
    const page = Buffer.alloc(PAGE_SIZE);
    writeBranch(page, 0, pgid, children);
    setCount(page, 0, count);
    return page;
  };
}

/** A freelist page. */
export function freelist(ids: readonly number[]): MakePage {
  return (pgid) => {
    const page = Buffer.alloc(PAGE_SIZE);
    writePageHeader(page, 0, pgid, FLAG_FREELIST, ids.length, 0);
    for (const [i, id] of ids.entries()) writeU64(page, 16 + 8 * i, id);
    return page;
  };
}

/** A leaf whose values all reach to the end of the page: 4 KiB that count as many times as there are elements. */
export function leafOfSharedValues(count: number): MakePage {
  return (pgid) => {
    const page = leaf(Array.from({ length: count }, (_, i) => ({ key: String(i).padStart(4, "0") })))(pgid);
    for (let i = 0; i < count; i++) {
      const element = elementAt(0, i);
      writeU32(page, element + LEAF_VALUE_SIZE, PAGE_SIZE - element - readU32(page, element + 4) - 4);
    }
    return page;
  };
}

/** A bucket with pages of its own, as an element. */
export function bucketAt(key: string, root: number): LeafElement {
  return { key, value: bucketValue(root), flags: 1 };
}

/** A pair, as an element. */
export function pair(key: string, value = "v"): LeafElement {
  return { key, value };
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
