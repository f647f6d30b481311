/**
 * A page being changed, or several that will be cut from it: its elements as columns, five words an element, that point to where the bytes
 * are — in the unchanged page or in the transaction's arena. Decoding is one pass over the element headers; no key is copied.
 *
 *     leaf    source, offset, key size, value size, flags      the value follows the key
 *     branch  source, offset, key size, child (low), child (high)
 */
import { compareBytes, readU32 } from "../base/bytes.js";
import {
  BRANCH_CHILD, BRANCH_KEY_SIZE, BRANCH_POS, ELEMENT_SIZE, LEAF_FLAGS, LEAF_KEY_SIZE, LEAF_POS, LEAF_VALUE_SIZE, PAGE_HEADER_SIZE, type Pgid,
} from "../format/constants.js";
import { elementAt } from "../format/page-index.js";
import type { Arena } from "./arena.js";
import type { PageImage } from "./page-image.js";
import type { PagePlan } from "./paginate.js";

/** Words an element, and where each column stands. */
export const STRIDE = 5;
export const SOURCE = 0;
export const OFFSET = 1;
export const KEY_SIZE = 2;
export const VALUE_SIZE = 3;
export const FLAGS = 4;
export const CHILD_LOW = 3;
export const CHILD_HIGH = 4;

const TWO_POW_32 = 0x1_0000_0000;

/**
 * A leaf page with one element. The commit keeps it where that element comes out alone and as it was, else it is released: a value of more than half a page is not
 * written again when a neighbour comes (measured: random puts of 4 kB in 0.7 of the time).
 */
export interface LonePage {
  readonly pgid: Pgid;
  readonly pageCount: number;
  /** Where the element is. */
  readonly source: number;
  readonly offset: number;
  isKept: boolean;
}

/** A page or several being changed. */
export class Node {
  readonly isBranch: boolean;
  readonly arena: Arena;
  columns: Uint32Array;
  /** Where the first element's columns stand. */
  base: number;
  capacity: number;
  count = 0;
  /** Bytes as one page: header, elements, keys and values. */
  byteSize: number = PAGE_HEADER_SIZE;
  /** Elements were removed: the node may have become too small. */
  shrunk = false;
  /** All new elements came behind the last one: pages cut from it are filled to the brim, for the next ones will come behind too. */
  appended = false;
  /** Branch: what the children that change have become, by element. */
  children: (Node | PageImage | undefined)[] | undefined;
  /** Branch: the planned pages that elements lead to, by element. */
  links: readonly (PagePlan | undefined)[] | undefined;
  /** Leaf: the page of one element that it was. */
  lonePage: LonePage | undefined;

  constructor(arena: Arena, isBranch: boolean, capacity: number) {
    this.arena = arena;
    this.isBranch = isBranch;
    this.capacity = capacity;
    this.columns = arena.columns(capacity * STRIDE);
    this.base = arena.offset;
  }

  column(i: number, which: number): number {
    return this.columns[this.base + i * STRIDE + which]!;
  }

  keyBytes(i: number): Uint8Array {
    return this.arena.sources[this.columns[this.base + i * STRIDE]!]!;
  }

  /** Bytes of element `i` on a page. */
  elementSize(i: number): number {
    const at = this.base + i * STRIDE;
    return ELEMENT_SIZE + this.columns[at + KEY_SIZE]! + (this.isBranch ? 0 : this.columns[at + VALUE_SIZE]!);
  }

  child(i: number): Pgid {
    const at = this.base + i * STRIDE;
    return this.columns[at + CHILD_HIGH]! * TWO_POW_32 + this.columns[at + CHILD_LOW]!;
  }

  setChild(i: number, pgid: Pgid): void {
    const at = this.base + i * STRIDE;
    this.columns[at + CHILD_LOW] = pgid >>> 0;
    this.columns[at + CHILD_HIGH] = Math.floor(pgid / TWO_POW_32);
  }

  /** Compares key `i` with a key. */
  compareKey(i: number, key: Uint8Array): number {
    const at = this.base + i * STRIDE;
    const { columns } = this;
    return compareBytes(this.arena.sources[columns[at]!]!, columns[at + OFFSET]!, columns[at + KEY_SIZE]!, key, 0, key.length);
  }

  /** The first element whose key is not less than `key`. */
  lowerBound(key: Uint8Array): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.compareKey(middle, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Sets the columns of element `i`. */
  set(i: number, source: number, offset: number, keySize: number, third: number, fourth: number): void {
    const at = this.base + i * STRIDE;
    const { columns } = this;
    columns[at] = source;
    columns[at + OFFSET] = offset;
    columns[at + KEY_SIZE] = keySize;
    columns[at + 3] = third;
    columns[at + 4] = fourth;
  }

  /** Makes room for `added` elements before `i`, all in one move; their columns are to be set. The byte size is the caller's to keep. */
  insert(i: number, added = 1): void {
    while (this.count + added > this.capacity) this.#grow();
    const at = this.base + i * STRIDE;
    const end = this.base + this.count * STRIDE;
    if (at < end) this.columns.copyWithin(at + added * STRIDE, at, end);
    this.count += added;
  }

  remove(i: number): void {
    this.byteSize -= this.elementSize(i);
    const at = this.base + i * STRIDE;
    this.columns.copyWithin(at, at + STRIDE, this.base + this.count * STRIDE);
    this.count--;
  }

  /** The element with which the second half of the bytes begins: never the first, nor one behind the last, however large that is. */
  middle(): number {
    let i = 1;
    for (let size = PAGE_HEADER_SIZE + this.elementSize(0); size < this.byteSize / 2 && i < this.count - 1; i++) size += this.elementSize(i);
    return i;
  }

  /** Moves the elements from `from` on into a new node, with room for as many as there were here. */
  splitOff(from: number): Node {
    const right = new Node(this.arena, this.isBranch, this.count);
    right.append(this, from, this.count);
    this.count = from;
    this.byteSize -= right.byteSize - PAGE_HEADER_SIZE;
    return right;
  }

  /** Copies the elements `from` to `to` of another node behind the last one. */
  append(other: Node, from: number, to: number): void {
    while (this.count + to - from > this.capacity) this.#grow();
    this.columns.set(other.columns.subarray(other.base + from * STRIDE, other.base + to * STRIDE), this.base + this.count * STRIDE);
    this.count += to - from;
    for (let i = from; i < to; i++) this.byteSize += other.elementSize(i);
  }

  #grow(): void {
    const old = this.columns.subarray(this.base, this.base + this.count * STRIDE);
    this.capacity = Math.max(8, this.capacity * 2);
    this.columns = this.arena.columns(this.capacity * STRIDE);
    this.base = this.arena.offset;
    this.columns.set(old, this.base);
  }
}

/** Makes a node of the validated leaf page at `page`; `source` names `bytes`. */
export function decodeLeaf(arena: Arena, source: number, bytes: Uint8Array, page: number, count: number): Node {
  const node = new Node(arena, false, count + 4);
  const { columns } = node;
  let at = node.base;
  let size = PAGE_HEADER_SIZE + count * ELEMENT_SIZE;
  for (let i = 0; i < count; i++, at += STRIDE) {
    const element = elementAt(page, i);
    const keySize = readU32(bytes, element + LEAF_KEY_SIZE);
    const valueSize = readU32(bytes, element + LEAF_VALUE_SIZE);
    columns[at] = source;
    columns[at + OFFSET] = element + readU32(bytes, element + LEAF_POS);
    columns[at + KEY_SIZE] = keySize;
    columns[at + VALUE_SIZE] = valueSize;
    columns[at + FLAGS] = readU32(bytes, element + LEAF_FLAGS);
    size += keySize + valueSize;
  }
  node.count = count;
  node.byteSize = size;
  return node;
}

/** Makes a node of the validated branch page at `page`; `source` names `bytes`. */
export function decodeBranch(arena: Arena, source: number, bytes: Uint8Array, page: number, count: number): Node {
  const node = new Node(arena, true, count + 4);
  const { columns } = node;
  let at = node.base;
  let size = PAGE_HEADER_SIZE + count * ELEMENT_SIZE;
  for (let i = 0; i < count; i++, at += STRIDE) {
    const element = elementAt(page, i);
    const keySize = readU32(bytes, element + BRANCH_KEY_SIZE);
    columns[at] = source;
    columns[at + OFFSET] = element + readU32(bytes, element + BRANCH_POS);
    columns[at + KEY_SIZE] = keySize;
    columns[at + CHILD_LOW] = readU32(bytes, element + BRANCH_CHILD);
    columns[at + CHILD_HIGH] = readU32(bytes, element + BRANCH_CHILD + 4);
    size += keySize;
  }
  node.count = count;
  node.byteSize = size;
  return node;
}
