/** Changing a leaf page in place: after every edit it is the page that would have been written anew, and its index finds every key. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MAX_ELEMENT_COUNT } from "../../../engine/format/constants.js";
import { INDEX_ALIKE, INDEX_COMPACT, INDEX_COUNT, INDEX_KEYS, indexPage } from "../../../engine/format/page-index.js";
import { PageCache } from "../../../engine/pager/page-cache.js";
import { elementFlags, insertElement, removeElement, replaceValue, usedSize, valueGrowth } from "../../../engine/tree/leaf-edit.js";
import { foundExact, foundIndex, searchPage } from "../../../engine/tree/search.js";
import { seedOfRun } from "../../support/random.js";
import { writeLeaf } from "../format/raw-file.js";
import { anyValue, hardKey } from "./arbitraries.js";

const seed = seedOfRun();
const PAGE_SIZE = 1024;

interface Element {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly flags: number;
}

/** A page with the elements that the writer has taken. */
function copyOf(elements: readonly Element[], pageSize = PAGE_SIZE): { readonly cache: PageCache; readonly frame: number } {
  const page = new Uint8Array(pageSize);
  writeLeaf(page, 0, 7, elements);
  const cache = new PageCache(pageSize, 0, { readPages: (_, target) => { target.set(page); } });
  cache.highWaterMark = 8;
  const source = cache.locate(7);
  cache.take(source, usedSize(cache, source));
  return { cache, frame: source };
}

function sizeOf(elements: readonly Element[]): number {
  return 16 + elements.reduce((sum, { key, value }) => sum + 16 + key.length + value.length, 0);
}

function assertIs(cache: PageCache, frame: number, elements: readonly Element[]): void {
  const start = cache.pageStart(frame);
  const page = Buffer.from(cache.slabBytes[frame >>> cache.frameBits]!.subarray(start, start + cache.pageSize));
  const expected = Buffer.alloc(cache.pageSize);
  writeLeaf(expected, 0, 7, elements);
  assert.ok(page.equals(expected), "the page written anew");
  assert.equal(usedSize(cache, frame), sizeOf(elements));
  const index = new Uint32Array(INDEX_KEYS + elements.length);
  indexPage(page, 0, cache.pageSize, 7, index, 0);
  const slab = cache.slabIndex[frame >>> cache.frameBits]!;
  // An edit may leave unsaid that elements are alike, and find it still true of few.
  assert.equal(slab[slab[frame & cache.frameMask]!]! & ~INDEX_ALIKE, index[INDEX_COUNT]! & ~INDEX_ALIKE);
  assert.ok((index[INDEX_COUNT]! & INDEX_COMPACT) !== 0);
  for (const [i, { key, flags }] of elements.entries()) {
    const found = searchPage(cache, frame, key);
    assert.ok(foundExact(found) && foundIndex(found) === i, `key ${i} is found`);
    assert.equal(elementFlags(cache, frame, i), flags);
    const behind = searchPage(cache, frame, Buffer.concat([key, Buffer.of(0)]));
    assert.equal(foundIndex(behind), i + 1, `what lies behind key ${i} is found to lie there`);
  }
}

test(`a page after edits is the page written anew (SEED=${seed})`, () => {
  const edit = fc.record({ key: hardKey, value: anyValue, flags: fc.constantFrom(0, 1), removes: fc.boolean(), at: fc.nat() });
  let fullCount = 0;
  fc.assert(fc.property(fc.array(edit, { minLength: 20, maxLength: 60, size: "max" }), (edits) => {
    const elements: Element[] = [];
    const { cache, frame } = copyOf(elements);
    for (const { key, value: anyBytes, flags, removes, at } of edits) {
      // Long enough for a bucket.
      const value = Buffer.concat([Buffer.alloc(16), anyBytes]);
      if (removes && elements.length > 0) {
        removeElement(cache, frame, at % elements.length);
        elements.splice(at % elements.length, 1);
      } else {
        const found = searchPage(cache, frame, key);
        const i = foundIndex(found);
        const changed = elements.toSpliced(i, foundExact(found) ? 1 : 0, { key, value, flags: foundExact(found) ? elements[i]!.flags : flags });
        if (foundExact(found)) assert.equal(valueGrowth(cache, frame, i, value.length), value.length - elements[i]!.value.length);
        const fits = foundExact(found) ? replaceValue(cache, frame, i, value) : insertElement(cache, frame, i, key, value, flags);
        assert.equal(fits, sizeOf(changed) <= PAGE_SIZE);
        if (fits) elements.splice(0, Infinity, ...changed);
        else fullCount++;
      }
      assertIs(cache, frame, elements);
    }
  }), { seed, numRuns: 300 });
  assert.ok(fullCount > 100, `${fullCount} edits did not fit`);
});

test(`elements come into a page of many that are alike, and go, and change their size (SEED=${seed})`, () => {
  const keyOf = (i: number, size: number): Buffer => Buffer.from(`${String(i).padStart(3, "0")}${"-".repeat(size)}`);
  const edit = fc.record({
    number: fc.nat(199), keySize: fc.constantFrom(2, 2, 2, 2, 2, 2, 2, 2, 2, 3), value: fc.constantFrom(18, 18, 18, 18, 18, 18, 18, 18, 18, 17, 19).map((size) => Buffer.alloc(size, 1)),
    flags: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 0, 1), removes: fc.boolean(), at: fc.nat(),
  });
  let alikeCount = 0;
  fc.assert(fc.property(fc.array(edit, { minLength: 1, maxLength: 20 }), (edits) => {
    const elements = Array.from({ length: 70 }, (_, i): Element => ({ key: keyOf(2 * i, 2), value: Buffer.alloc(18, i), flags: 0 }));
    const { cache, frame } = copyOf(elements, 4096);
    for (const { number, keySize, value, flags, removes, at } of edits) {
      const key = keyOf(number, keySize);
      const found = searchPage(cache, frame, key);
      const i = foundIndex(found);
      if (removes) removeElement(cache, frame, at % elements.length);
      else if (foundExact(found)) assert.ok(replaceValue(cache, frame, i, value));
      else assert.ok(insertElement(cache, frame, i, key, value, flags));
      if (removes) elements.splice(at % elements.length, 1);
      else elements.splice(i, foundExact(found) ? 1 : 0, { key, value, flags: foundExact(found) ? elements[i]!.flags : flags });
      assertIs(cache, frame, elements);
      const slab = cache.slabIndex[frame >>> cache.frameBits]!;
      if ((slab[slab[frame & cache.frameMask]!]! & INDEX_ALIKE) !== 0) alikeCount++;
    }
  }), { seed, numRuns: 150 });
  assert.ok(alikeCount > 100, `${alikeCount} times the elements were alike`);
});

test("a page can be filled to the last byte, and not over it", () => {
  const { cache, frame } = copyOf([]);
  assert.ok(!insertElement(cache, frame, 0, Buffer.from("key"), Buffer.alloc(PAGE_SIZE - 16 - 16 - 3 + 1), 0));
  assertIs(cache, frame, []);
  assert.ok(insertElement(cache, frame, 0, Buffer.from("key"), Buffer.alloc(PAGE_SIZE - 16 - 16 - 3, 1), 0));
  assert.equal(usedSize(cache, frame), PAGE_SIZE);
  assert.ok(!replaceValue(cache, frame, 0, Buffer.alloc(PAGE_SIZE - 16 - 16 - 3 + 1)));
  assertIs(cache, frame, [{ key: Buffer.from("key"), value: Buffer.alloc(PAGE_SIZE - 16 - 16 - 3, 1), flags: 0 }]);
});

test("a page that counts as many elements as a page can takes no more, whatever room there is", () => {
  const pageSize = 2 ** 21;
  const elements = Array.from({ length: MAX_ELEMENT_COUNT }, (_, i) => ({ key: Buffer.of(i >>> 8, i & 0xff), value: "" }));
  const page = new Uint8Array(pageSize);
  writeLeaf(page, 0, 7, elements);
  const cache = new PageCache(pageSize, 0, { readPages: (_, target) => { target.set(page); } });
  cache.highWaterMark = 8;
  const source = cache.locate(7);
  cache.take(source, usedSize(cache, source));
  const frame = source;
  assert.equal(insertElement(cache, frame, MAX_ELEMENT_COUNT, Buffer.of(0xff, 0xff), Buffer.alloc(0), 0), false);
  const found = searchPage(cache, frame, elements[4711]!.key);
  assert.ok(foundExact(found) && foundIndex(found) === 4711);
});

test("a page that is changed and the page as it was do not know of each other", () => {
  const elements = ["a", "b", "c"].map((name): Element => ({ key: Buffer.from(name), value: Buffer.from(`value of ${name}`), flags: 0 }));
  const { cache, frame } = copyOf(elements);
  removeElement(cache, frame, 1);
  assertIs(cache, cache.locate(7), elements);
  assertIs(cache, frame, elements.toSpliced(1, 1));
});

test("bytes that lay behind the data of a page do not come along", () => {
  const page = new Uint8Array(PAGE_SIZE).fill(0xaa);
  writeLeaf(page, 0, 7, [{ key: "key", value: "value" }]);
  page.fill(0xaa, 16 + 16 + 8);
  const cache = new PageCache(PAGE_SIZE, 0, { readPages: (_, target) => { target.set(page); } });
  cache.highWaterMark = 8;
  const source = cache.locate(7);
  cache.take(source, usedSize(cache, source));
  const frame = source;
  assertIs(cache, frame, [{ key: Buffer.from("key"), value: Buffer.from("value"), flags: 0 }]);
});
