/** Which overflow pages are read at once and which when they are wanted; and slabs that serve other pages afterwards. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { writeU32 } from "../../../engine/base/bytes.js";
import {
  BUCKET_FLAG, ELEMENT_SIZE, FLAG_BRANCH, FLAG_LEAF, LEAF_FLAGS, LEAF_KEY_SIZE, LEAF_POS, LEAF_VALUE_SIZE, PAGE_HEADER_SIZE,
} from "../../../engine/format/constants.js";
import { elementAt } from "../../../engine/format/page-index.js";
import { writePageHeader } from "../../../engine/format/page.js";
import { OverflowPages, type PageReader } from "../../../engine/pager/overflow-pages.js";
import { PageCache } from "../../../engine/pager/page-cache.js";

const PAGE_SIZE = 4096;
const PGID = 7;
const REST = 0xee;

/** Notes what is read: the rest of pages, all of it REST. */
class RestReader implements PageReader {
  readonly reads: [pgid: number, size: number][] = [];

  readPages(pgid: number, target: Uint8Array): void {
    this.reads.push([pgid, target.length]);
    target.fill(REST);
  }
}

interface Shape {
  readonly flags?: number;
  readonly count?: number;
  readonly elementFlags?: number;
  readonly keySize: number;
  readonly valueSize: number;
}

/** A slab of `pageCount` pages with the headers of a page in its first; of the elements but the first nothing is said. */
function slabOf({ flags = FLAG_LEAF, count = 1, elementFlags = 0, keySize, valueSize }: Shape, pageCount = 4): Uint8Array {
  const slab = new Uint8Array(pageCount * PAGE_SIZE);
  writePageHeader(slab, 0, PGID, flags, count, pageCount - 1);
  const element = elementAt(0, 0);
  writeU32(slab, element + LEAF_FLAGS, elementFlags);
  writeU32(slab, element + LEAF_POS, count * ELEMENT_SIZE);
  writeU32(slab, element + LEAF_KEY_SIZE, keySize);
  writeU32(slab, element + LEAF_VALUE_SIZE, valueSize);
  return slab;
}

/** The longest key of an only element that is in the first page as a whole. */
const LONGEST_KEY = PAGE_SIZE - PAGE_HEADER_SIZE - ELEMENT_SIZE;

const LATER: Readonly<Record<string, Shape>> = {
  "a value of a page": { keySize: 10, valueSize: PAGE_SIZE },
  "a value of three pages": { keySize: 10, valueSize: 3 * PAGE_SIZE },
  "a key to the end of the first page": { keySize: LONGEST_KEY, valueSize: PAGE_SIZE },
};

const AT_ONCE: Readonly<Record<string, Shape>> = {
  "a value smaller than a page": { keySize: 10, valueSize: PAGE_SIZE - 1 },
  "a key beyond the first page": { keySize: LONGEST_KEY + 1, valueSize: PAGE_SIZE },
  "a nested bucket": { keySize: 10, valueSize: PAGE_SIZE, elementFlags: BUCKET_FLAG },
  "two elements": { keySize: 10, valueSize: PAGE_SIZE, count: 2 },
  "no element": { keySize: 0, valueSize: 0, count: 0 },
  "a branch": { keySize: 10, valueSize: PAGE_SIZE, flags: FLAG_BRANCH },
};

for (const [name, shape] of Object.entries(LATER)) {
  test(`${name}: the overflow pages are read when they are wanted, once`, () => {
    const reader = new RestReader();
    const pages = new OverflowPages(PAGE_SIZE, reader);
    const slab = slabOf(shape);
    const head = slab.slice(0, PAGE_SIZE);
    pages.read(PGID, slab);
    assert.deepEqual(reader.reads, []);
    for (let times = 0; times < 2; times++) pages.complete(slab);
    assert.deepEqual(reader.reads, [[PGID + 1, 3 * PAGE_SIZE]]);
    assert.deepEqual(slab.slice(0, PAGE_SIZE), head);
    assert.ok(slab.subarray(PAGE_SIZE).every((byte) => byte === REST));
  });
}

for (const [name, shape] of Object.entries(AT_ONCE)) {
  test(`${name}: the overflow pages are read at once`, () => {
    const reader = new RestReader();
    const pages = new OverflowPages(PAGE_SIZE, reader);
    const slab = slabOf(shape);
    pages.read(PGID, slab);
    assert.deepEqual(reader.reads, [[PGID + 1, 3 * PAGE_SIZE]]);
    pages.complete(slab);
    assert.equal(reader.reads.length, 1);
  });
}

test("memory that was never a large page's, or is no longer, is left as it is", () => {
  const reader = new RestReader();
  const pages = new OverflowPages(PAGE_SIZE, reader);
  const slab = slabOf({ keySize: 10, valueSize: PAGE_SIZE });
  pages.complete(slab);
  pages.read(PGID, slab);
  pages.forget(slab);
  pages.complete(slab);
  assert.deepEqual(reader.reads, []);
});

test("pages whose reading fails are read again", () => {
  let failures = 1;
  const pages = new OverflowPages(PAGE_SIZE, { readPages: () => { if (failures-- > 0) throw new Error("a broken disk"); } });
  const slab = slabOf({ keySize: 10, valueSize: PAGE_SIZE });
  pages.read(PGID, slab);
  assert.throws(() => pages.complete(slab), /a broken disk/);
  pages.complete(slab);
  assert.equal(failures, -1);
});

test("memory of a page whose value nobody wanted serves a new page, and is not written over when that is looked at", () => {
  const pageCount = 4;
  const cache = new PageCache(PAGE_SIZE, 2 ** 24, {
    readPages: (pgid, target) => {
      assert.equal(pgid, PGID, "the overflow pages are not read");
      target.set(slabOf({ keySize: 10, valueSize: PAGE_SIZE }, pageCount).subarray(0, PAGE_SIZE));
      target[PAGE_HEADER_SIZE + ELEMENT_SIZE] = 1;
    },
  });
  cache.highWaterMark = 100;
  const first = cache.slabBytes[cache.locate(PGID) >>> cache.frameBits];
  cache.drop(PGID);
  const second = cache.slabBytes[cache.allocate(50, pageCount) >>> cache.frameBits]!;
  assert.equal(second, first, "the memory is used again");
  second.fill(1);
  cache.complete(second);
  assert.ok(second.every((byte) => byte === 1));
});
