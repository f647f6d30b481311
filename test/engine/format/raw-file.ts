/** Pages of a database held in a byte array, and small pages made by hand: what walker, check and statistics are fed with. */
import { readFileSync } from "node:fs";
import { readU32, writeU16, writeU32, writeU64 } from "../../../engine/base/bytes.js";
import { BoltError } from "../../../engine/base/errors.js";
import { FLAG_BRANCH, FLAG_LEAF, PAGE_OVERFLOW } from "../../../engine/format/constants.js";
import { readFreelistPage } from "../../../engine/format/freelist-page.js";
import { decodeMeta, type Meta } from "../../../engine/format/meta.js";
import { writePageHeader } from "../../../engine/format/page.js";
import type { RawPages } from "../../../engine/format/walk.js";
import type { CheckInput } from "../../../engine/tx/check.js";
import { fixtureOriginal } from "../../support/fixtures.js";

/** Pages of `file`; what was given before is overwritten on each read, as the contract of RawPages allows. */
export function pagesOf(file: Uint8Array, pageSize: number, highWaterMark: number): RawPages {
  let given: Uint8Array | undefined;
  return {
    pageSize,
    highWaterMark,
    read: (pgid, pageCount) => {
      given?.fill(0xee);
      const start = pgid * pageSize;
      const end = start + pageCount * pageSize;
      given = end <= file.length ? new Uint8Array(file.subarray(start, end)) : undefined;
      return given;
    },
  };
}

/** The valid meta with the higher txid. */
export function newestMeta(file: Uint8Array): Meta | undefined {
  const found: Meta[] = [];
  const first = decodeMeta(file, 0);
  if (typeof first !== "string") found.push(first);
  for (let size = 512; size <= 65_536; size *= 2) {
    const second = decodeMeta(file, size);
    if (typeof second !== "string" && second.pageSize === size) found.push(second);
  }
  return found.sort((a, b) => (a.txid < b.txid ? 1 : -1))[0];
}

/** What a check of these bytes gets to see; undefined when there is no meta. */
export function checkInputOf(file: Uint8Array): CheckInput | undefined {
  const meta = newestMeta(file);
  if (meta === undefined) return undefined;
  const pages = pagesOf(file, meta.pageSize, meta.highWaterMark);
  const input = { pages, meta, fileSize: file.length, freeIds: undefined };
  if (meta.freelist === undefined) return input;
  try {
    return { ...input, freeIds: storedFreelist(pages, meta.freelist) };
  } catch (error) {
    if (!(error instanceof BoltError)) throw error;
    return { ...input, freelistProblem: error.message };
  }
}

function storedFreelist(pages: RawPages, pgid: number): Float64Array {
  const head = pages.read(pgid, 1);
  const bytes = head === undefined ? undefined : pages.read(pgid, 1 + readU32(head, PAGE_OVERFLOW));
  if (bytes === undefined) throw new BoltError("CORRUPT", `page ${pgid}: freelist lies beyond the end of the file`);
  return readFreelistPage(bytes, pgid);
}

/** A private copy of a fixture's bytes. */
export function fixtureBytes(name: string): Buffer {
  return readFileSync(fixtureOriginal(name));
}

/** Pages of a fixture that must have a meta. */
export function fixtureInput(name: string): CheckInput {
  const input = checkInputOf(fixtureBytes(name));
  if (input === undefined) throw new Error(`${name} has no valid meta`);
  return input;
}

/** An element of a leaf made by hand. */
export interface LeafElement {
  readonly key: string | Uint8Array;
  readonly value?: Uint8Array | string;
  readonly flags?: number;
}

/** Writes a leaf page at `at`; returns where its data ends. */
export function writeLeaf(file: Uint8Array, at: number, pgid: number, elements: readonly LeafElement[], overflow = 0): number {
  writePageHeader(file, at, pgid, FLAG_LEAF, elements.length, overflow);
  let data = at + 16 + 16 * elements.length;
  for (const [i, element] of elements.entries()) {
    const header = at + 16 + 16 * i;
    const key = Buffer.from(element.key);
    const value = Buffer.from(element.value ?? "");
    writeU32(file, header, element.flags ?? 0);
    writeU32(file, header + 4, data - header);
    writeU32(file, header + 8, key.length);
    writeU32(file, header + 12, value.length);
    file.set(key, data);
    file.set(value, data + key.length);
    data += key.length + value.length;
  }
  return data;
}

/** Writes a branch page of [key, child] pairs. */
export function writeBranch(file: Uint8Array, at: number, pgid: number, children: readonly (readonly [string, number])[], overflow = 0): void {
  writePageHeader(file, at, pgid, FLAG_BRANCH, children.length, overflow);
  let data = at + 16 + 16 * children.length;
  for (const [i, [text, child]] of children.entries()) {
    const header = at + 16 + 16 * i;
    const key = Buffer.from(text);
    writeU32(file, header, data - header);
    writeU32(file, header + 4, key.length);
    writeU64(file, header + 8, child);
    file.set(key, data);
    data += key.length;
  }
}

/** The value of a nested bucket with its own root page. */
export function bucketValue(root: number): Uint8Array {
  const value = new Uint8Array(16);
  writeU64(value, 0, root);
  return value;
}

/** The value of an inline bucket. */
export function inlineValue(elements: readonly LeafElement[]): Uint8Array {
  const value = new Uint8Array(4096);
  return value.slice(0, writeLeaf(value.subarray(16), 0, 0, elements) + 16);
}

/** Sets the element count of a page. */
export function setCount(file: Uint8Array, at: number, count: number): void {
  writeU16(file, at + 10, count);
}

/** A file of zero pages with page size 4096. */
export function emptyFile(pageCount: number): Uint8Array {
  return new Uint8Array(pageCount * 4096);
}
