/**
 * Writes whole trees in one pass, from sorted elements, into a new file: pages in ascending order, each once, none free at the end.
 *
 * 1. Memory is bounded: of each open tree the leaves that are being packed, and a branch page or two a level.
 * 2. What it writes follows docs/format.md: branch keys are first keys (rule 1), no page but a root is empty (2), branches have two children (3).
 * 3. Elements must come in ascending order of their keys; others are refused as what they are, a broken source.
 */
import { compareBytes, writeU32, writeU64 } from "../base/bytes.js";
import { BoltError } from "../base/errors.js";
import { writeBucketHeader } from "../format/bucket-header.js";
import {
  BRANCH_CHILD, BRANCH_KEY_SIZE, BRANCH_POS, BUCKET_FLAG, BUCKET_HEADER_SIZE, ELEMENT_SIZE, FLAG_BRANCH, FLAG_LEAF, LEAF_FLAGS, LEAF_KEY_SIZE,
  LEAF_POS, LEAF_VALUE_SIZE, MAX_ELEMENT_COUNT, MAX_INLINE_FRACTION, PAGE_HEADER_SIZE, type Pgid,
} from "../format/constants.js";
import { elementAt } from "../format/page-index.js";
import { writePageHeader } from "../format/page.js";
import type { Storage } from "../storage/storage.js";
import { MAX_OVERFLOWING_COUNT, packLeaves } from "./leaf-packing.js";

/** Pages of elements that are packed into leaves at a time. */
const WINDOW_PAGES = 128;
/** An element of more pages gets a leaf of its own: what it could share is no hundredth of it. */
const MAX_SHARING_PAGES = 100;

interface Element {
  readonly flags: number;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** A branch element to be. */
interface Child {
  readonly key: Uint8Array;
  readonly pgid: Pgid;
}

/** New pages one behind the other. */
export class PageOutput {
  readonly pageSize: number;
  readonly #storage: Storage;
  readonly #batchSize: number;
  #batch: Uint8Array[] = [];
  #batchBytes = 0;
  #batchStart: Pgid;
  #next: Pgid;

  /** @param batchSize bytes that are gathered before they are written */
  constructor(storage: Storage, pageSize: number, batchSize: number, first: Pgid) {
    this.#storage = storage;
    this.pageSize = pageSize;
    this.#batchSize = batchSize;
    this.#batchStart = this.#next = first;
  }

  /** The id that the next page gets: in the end the high-water mark. */
  get next(): Pgid {
    return this.#next;
  }

  /** Gives zeroed memory for neighbouring pages, to be filled before the next call. */
  allocate(pageCount: number): Buffer {
    if (this.#batchBytes >= this.#batchSize) this.flush();
    const bytes = Buffer.alloc(pageCount * this.pageSize);
    this.#batch.push(bytes);
    this.#batchBytes += bytes.length;
    this.#next += pageCount;
    return bytes;
  }

  /** Writes what is left. */
  flush(): void {
    if (this.#batch.length > 0) this.#storage.write(this.#batch, this.#batchStart * this.pageSize);
    this.#batch = [];
    this.#batchBytes = 0;
    this.#batchStart = this.#next;
  }
}

/** One tree that grows at its right end. */
export class BulkTree {
  readonly #output: PageOutput;
  readonly #levels: BranchLevel[] = [];
  #window: Element[] = [];
  #windowBytes = 0;
  #lastKey: Uint8Array | undefined;
  #hasBucket = false;

  constructor(output: PageOutput) {
    this.#output = output;
  }

  /**
   * Adds an element behind all others. Key and value are kept.
   * @throws BoltError CORRUPT when the key is not greater than the last one
   */
  add(flags: number, key: Uint8Array, value: Uint8Array): void {
    const last = this.#lastKey;
    if (last !== undefined && compareBytes(last, 0, last.length, key, 0, key.length) >= 0) {
      throw new BoltError("CORRUPT", `key (hex)${Buffer.from(key).toString("hex").slice(0, 80)} is out of order`);
    }
    this.#lastKey = key;
    this.#hasBucket ||= flags === BUCKET_FLAG;
    const size = ELEMENT_SIZE + key.length + value.length;
    const isAlone = size > MAX_SHARING_PAGES * this.#output.pageSize;
    if (isAlone) this.#pack(true);
    this.#window.push({ flags, key, value });
    this.#windowBytes += size;
    if (isAlone) this.#pack(true);
    else if (this.#windowBytes > WINDOW_PAGES * this.#output.pageSize) this.#pack(false);
  }

  /** Ends a nested bucket; gives the value that its parent holds. */
  finishBucket(sequence: bigint): Buffer {
    const isInline = this.#levels.length === 0 && !this.#hasBucket && PAGE_HEADER_SIZE + this.#windowBytes <= this.#output.pageSize / MAX_INLINE_FRACTION;
    const value = Buffer.alloc(BUCKET_HEADER_SIZE + (isInline ? PAGE_HEADER_SIZE + this.#windowBytes : 0));
    writeBucketHeader(value, 0, isInline ? 0 : this.finish(), sequence);
    if (isInline) writeLeaf(value.subarray(BUCKET_HEADER_SIZE), 0, 0, this.#window);
    return value;
  }

  /** Ends the tree; gives its root page. */
  finish(): Pgid {
    this.#pack(true);
    // A tree without elements is an empty leaf.
    if (this.#levels.length === 0) this.#writeLeaf([]);
    for (let level = 0; ; level++) {
      const root = this.#levels[level]!.finish();
      if (root !== undefined) return root;
    }
  }

  /** Writes the elements of the window as leaves; unless it is the end, the last ones wait for what they can share a page with. */
  #pack(isLast: boolean): void {
    const ends = this.#leafEnds(isLast);
    const leafCount = isLast ? ends.length : Math.max(1, ends.length - 2);
    let from = 0;
    for (const to of ends.slice(0, leafCount)) {
      this.#writeLeaf(this.#window.slice(from, to));
      from = to;
    }
    this.#window = this.#window.slice(from);
    this.#windowBytes = sizeOfLeaf(this.#window) - PAGE_HEADER_SIZE;
  }

  #leafEnds(isLast: boolean): number[] {
    const count = this.#window.length;
    // All of the tree, and few enough for one leaf: together they take no more pages than apart, and need no branch page above.
    if (isLast && this.#levels.length === 0 && count > 0 && count <= MAX_OVERFLOWING_COUNT) return [count];
    return packLeaves(this.#window.map(({ key, value }) => ELEMENT_SIZE + key.length + value.length), this.#output.pageSize);
  }

  #writeLeaf(elements: readonly Element[]): void {
    const pageCount = Math.ceil(sizeOfLeaf(elements) / this.#output.pageSize);
    const pgid = this.#output.next;
    writeLeaf(this.#output.allocate(pageCount), pgid, pageCount - 1, elements);
    this.#addChild(0, { key: elements[0]?.key ?? new Uint8Array(0), pgid });
  }

  #addChild(level: number, child: Child): void {
    this.#levels[level] ??= new BranchLevel(this.#output, (branch) => this.#addChild(level + 1, branch));
    this.#levels[level].add(child);
  }
}

/** The branch pages of one level: the one that is being filled, and the full one before it, which waits in case the last needs a child from it. */
class BranchLevel {
  readonly #output: PageOutput;
  readonly #written: (branch: Child) => void;
  #hasWritten = false;
  #full: Child[] = [];
  #filling: Child[] = [];
  #size = PAGE_HEADER_SIZE;

  constructor(output: PageOutput, written: (branch: Child) => void) {
    this.#output = output;
    this.#written = written;
  }

  add(child: Child): void {
    const size = ELEMENT_SIZE + child.key.length;
    if (this.#filling.length >= 2 && (this.#size + size > this.#output.pageSize || this.#filling.length === MAX_ELEMENT_COUNT)) {
      this.#write(this.#full);
      this.#full = this.#filling;
      this.#filling = [];
      this.#size = PAGE_HEADER_SIZE;
    }
    this.#filling.push(child);
    this.#size += size;
  }

  /** Ends the level; gives the root when there is nothing above it. */
  finish(): Pgid | undefined {
    const isAlone = !this.#hasWritten && this.#full.length === 0;
    if (isAlone && this.#filling.length === 1) return this.#filling[0]!.pgid;
    if (this.#full.length > 0 && this.#filling.length === 1) {
      if (this.#full.length > 2) this.#filling.unshift(this.#full.pop()!);
      else this.#full.push(this.#filling.pop()!);
    }
    this.#write(this.#full);
    this.#write(this.#filling);
    return undefined;
  }

  #write(children: readonly Child[]): void {
    if (children.length === 0) return;
    const size = children.reduce((sum, { key }) => sum + ELEMENT_SIZE + key.length, PAGE_HEADER_SIZE);
    const pageCount = Math.ceil(size / this.#output.pageSize);
    const pgid = this.#output.next;
    writeBranch(this.#output.allocate(pageCount), pgid, pageCount - 1, children);
    this.#hasWritten = true;
    this.#written({ key: children[0]!.key, pgid });
  }
}

function sizeOfLeaf(elements: readonly Element[]): number {
  return elements.reduce((sum, { key, value }) => sum + ELEMENT_SIZE + key.length + value.length, PAGE_HEADER_SIZE);
}

function writeLeaf(page: Uint8Array, pgid: Pgid, overflow: number, elements: readonly Element[]): void {
  writePageHeader(page, 0, pgid, FLAG_LEAF, elements.length, overflow);
  let data = elementAt(0, elements.length);
  for (const [i, { flags, key, value }] of elements.entries()) {
    const element = elementAt(0, i);
    writeU32(page, element + LEAF_FLAGS, flags);
    writeU32(page, element + LEAF_POS, data - element);
    writeU32(page, element + LEAF_KEY_SIZE, key.length);
    writeU32(page, element + LEAF_VALUE_SIZE, value.length);
    page.set(key, data);
    page.set(value, data + key.length);
    data += key.length + value.length;
  }
}

function writeBranch(page: Uint8Array, pgid: Pgid, overflow: number, children: readonly Child[]): void {
  writePageHeader(page, 0, pgid, FLAG_BRANCH, children.length, overflow);
  let data = elementAt(0, children.length);
  for (const [i, { key, pgid: child }] of children.entries()) {
    const element = elementAt(0, i);
    writeU32(page, element + BRANCH_POS, data - element);
    writeU32(page, element + BRANCH_KEY_SIZE, key.length);
    writeU64(page, element + BRANCH_CHILD, child);
    page.set(key, data);
    data += key.length;
  }
}
