/**
 * A leaf that a write transaction changes.
 *
 * 1. While it fits into one page it is that page in a frame that the writer has taken, changed in place (leaf-edit.ts), if the page is compact.
 * 2. Otherwise it is nodes in key order, which split as they grow, so that no insertion moves more than a node. It does not become a page again
 *    before the commit: filled and emptied in turns, it would be decoded into new columns each time.
 * 3. Without elements it has no frame. If it was a page until then, it takes one with the next element that fits.
 * 4. A view that was handed out stays as it is: a frame into which one leads becomes nodes with the next change, for they change no bytes. (Copied
 *    instead, a page whose values are viewed and changed in turns would take the memory of a page each time.)
 */
import { ELEMENT_SIZE, PAGE_HEADER_SIZE, type Pgid } from "../format/constants.js";
import type { Arena } from "./arena.js";
import { elementFlags, insertElement, putGrowth, removeElement, replaceValue, usedSize } from "./leaf-edit.js";
import { FLAGS, type LonePage, Node, OFFSET, SOURCE, VALUE_SIZE } from "./node.js";
import { nodeOfImage, PageImage } from "./page-image.js";
import type { Pages } from "./pages.js";
import { pageElementCount, pageIsCompact, pageOverflow } from "./search.js";
import type { DirtyBranch } from "./dirty-branch.js";

/** There is no frame: the leaf is nodes. */
export const NO_IMAGE = -1;

/** Elements from which on a node in memory is split. */
const MAX_NODE_COUNT = 256;

/** A changed leaf. A place in it is a node (0 while it is a page) and an element. */
export class DirtyLeaf {
  readonly isBranch = false;
  /** The page it was, 0 when it was none. */
  readonly pgid: Pgid;
  /** The branch that led to it when it was changed first, undefined where it is the root. */
  parent: DirtyBranch | undefined;
  /** Which element of that branch leads to it. */
  index = 0;
  /** 1 and the overflow pages it had. */
  readonly pageCount: number;
  /** Set where it had one element and became nodes with its first change, until that element goes. */
  lonePage: LonePage | undefined;
  /** The frame, or NO_IMAGE. */
  image: number = NO_IMAGE;
  /** In key order, none empty unless it is the only one; while the leaf is a page, one without elements or none. */
  readonly nodes: Node[] = [];
  /** Elements were removed or became smaller. */
  shrunk = false;
  /** All new elements came behind the last one. */
  appended = true;
  /** The frame that it is or that its nodes point into, NO_IMAGE when there is none any more. */
  #frame: number = NO_IMAGE;
  /** What the arena calls the memory of the page that became nodes, -1 when none has. */
  #source = -1;
  readonly #pages: Pages;
  readonly #arena: Arena;

  private constructor(pages: Pages, arena: Arena, pgid: Pgid, pageCount: number) {
    this.#pages = pages;
    this.#arena = arena;
    this.pgid = pgid;
    this.pageCount = pageCount;
  }

  /** The leaf of a tree that has no pages yet. */
  static ofNode(pages: Pages, arena: Arena, node: Node): DirtyLeaf {
    const leaf = new DirtyLeaf(pages, arena, 0, 0);
    leaf.nodes.push(node);
    return leaf;
  }

  /** The located leaf page in `frame`, which is about to grow by so many bytes. */
  static ofPage(pages: Pages, arena: Arena, pgid: Pgid, frame: number, growth: number): DirtyLeaf {
    const leaf = new DirtyLeaf(pages, arena, pgid, 1 + pageOverflow(pages, frame));
    const used = pageIsCompact(pages, frame) && pages.isTakeable(frame) ? usedSize(pages, frame) : Infinity;
    arena.frames.add(frame);
    leaf.#frame = frame;
    if (used + growth <= pages.pageSize) {
      pages.take(frame, used);
      leaf.image = frame;
    } else {
      pages.pin(frame);
      leaf.#decode();
      const node = leaf.nodes[0]!;
      if (node.count === 1) leaf.lonePage = { pgid, pageCount: leaf.pageCount, source: leaf.#source, offset: node.column(0, OFFSET), isKept: false };
    }
    return leaf;
  }

  get isEmpty(): boolean {
    return this.image === NO_IMAGE ? this.nodes[0]!.count === 0 : pageElementCount(this.#pages, this.image) === 0;
  }

  flagsAt(nodeAt: number, i: number): number {
    return this.image === NO_IMAGE ? this.nodes[nodeAt]!.column(i, FLAGS) : elementFlags(this.#pages, this.image, i);
  }

  /**
   * Puts an element at a place: instead of the one that is there (`exact`), or before it. Key and value are copied.
   * @returns whether other elements are elsewhere now
   */
  put(nodeAt: number, i: number, exact: boolean, key: Uint8Array, value: Uint8Array, flags: number): boolean {
    const pages = this.#pages;
    const size = PAGE_HEADER_SIZE + ELEMENT_SIZE + key.length + value.length;
    // It was a page until it lost all its elements: with one that fits it is a page again.
    if (this.image === NO_IMAGE && this.#source < 0 && this.pageCount === 1 && this.isEmpty && size <= pages.pageSize) {
      this.image = this.#frame = pages.takeEmpty();
      this.#arena.frames.add(this.image);
    }
    if (this.image === NO_IMAGE) return this.#putIntoNode(nodeAt, i, exact, key, value, flags);
    const frame = this.image;
    const growth = putGrowth(pages, frame, i, exact, key, value);
    const isDone = !pages.isEscaped(frame) && (exact ? replaceValue(pages, frame, i, value) : insertElement(pages, frame, i, key, value, flags));
    if (!isDone) return this.putUnfinished(nodeAt, i, exact, key, value, flags);
    if (exact) this.#noteGrowth(growth);
    else if (i < pageElementCount(pages, frame) - 1) this.appended = false;
    return growth !== 0;
  }

  /** `put` of a value that may be completed until the pages are encoded: the arena's `source` and `offset` say where key and value are. */
  putUnfinished(nodeAt: number, i: number, exact: boolean, key: Uint8Array, value: Uint8Array, flags: number): true {
    if (this.image !== NO_IMAGE) this.#decode();
    this.#putIntoNode(nodeAt, i, exact, key, value, flags);
    return true;
  }

  /** Removes the element at a place. */
  remove(nodeAt: number, i: number): void {
    this.shrunk = true;
    this.appended = false;
    if (this.image !== NO_IMAGE) {
      if (pageElementCount(this.#pages, this.image) === 1) return this.#leaveFrame();
      if (!this.#pages.isEscaped(this.image)) return removeElement(this.#pages, this.image, i);
      this.#decode();
    }
    const node = this.nodes[nodeAt]!;
    this.#forget(node, i);
    node.remove(i);
    if (node.count > 0) return;
    if (this.nodes.length > 1) this.nodes.splice(nodeAt, 1);
    else this.#leaveFrame();
  }

  /** Gives up the memory of all elements. */
  forget(): void {
    for (const node of this.nodes) for (let i = 0; i < node.count; i++) this.#forget(node, i);
    this.#leaveFrame();
  }

  /** The node that a key belongs to: the last whose first key is not greater. */
  nodeFor(key: Uint8Array): number {
    let low = 1;
    let high = this.nodes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.nodes[middle]!.compareKey(0, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #putIntoNode(nodeAt: number, i: number, exact: boolean, key: Uint8Array, value: Uint8Array, flags: number): boolean {
    const arena = this.#arena;
    arena.store(key, value, exact);
    if (!exact) {
      this.#insert(nodeAt, i, arena.source, arena.offset, key.length, value.length, flags);
      return true;
    }
    const node = this.nodes[nodeAt]!;
    const growth = value.length - node.column(i, VALUE_SIZE);
    this.#forget(node, i);
    node.set(i, arena.source, arena.offset, key.length, value.length, flags);
    node.byteSize += growth;
    this.#noteGrowth(growth);
    return false;
  }

  /** Gives up the memory of an element that is about to go: of a page with overflow pages all, for it has no other. */
  #forget(node: Node, i: number): void {
    const source = node.column(i, SOURCE);
    if (source !== this.#source) return this.#arena.forget(source);
    if (this.lonePage !== undefined && this.pageCount > 1) this.#leaveFrame();
    this.lonePage = undefined;
  }

  #noteGrowth(growth: number): void {
    if (growth > 0) this.appended = false;
    else if (growth < 0) this.shrunk = true;
  }

  #insert(nodeAt: number, at: number, source: number, offset: number, keySize: number, valueSize: number, flags: number): void {
    const { nodes } = this;
    let node = nodes[nodeAt]!;
    let i = at;
    const isLast = nodeAt === nodes.length - 1 && i === node.count;
    if (!isLast) this.appended = false;
    if (node.count >= MAX_NODE_COUNT) {
      const from = isLast ? node.count : node.count >>> 1;
      const right = node.splitOff(from);
      nodes.splice(nodeAt + 1, 0, right);
      if (i > from || isLast) {
        node = right;
        i -= from;
      }
    }
    node.insert(i);
    node.set(i, source, offset, keySize, valueSize, flags);
    node.byteSize += ELEMENT_SIZE + keySize + valueSize;
  }

  /** Gives the frame back when no element is in it any more: what a transaction empties takes no memory until the commit. */
  #leaveFrame(): void {
    const frame = this.#frame;
    if (frame === NO_IMAGE) return;
    this.#frame = NO_IMAGE;
    if (this.image === NO_IMAGE) {
      this.#arena.forget(this.#source);
      // A view may lead there by way of a node: its memory must not serve another page.
      this.#pages.markEscaped(frame);
    }
    this.image = NO_IMAGE;
    this.nodes[0] ??= new Node(this.#arena, false, 1);
    this.#arena.frames.delete(frame);
    this.#pages.discard(frame);
  }

  /** Makes the leaf a node that points into its frame, which stays pinned. */
  #decode(): void {
    this.nodes[0] = nodeOfImage(this.#arena, new PageImage(this.#pages, this.#frame));
    this.#source = this.#arena.source;
    this.image = NO_IMAGE;
  }
}
