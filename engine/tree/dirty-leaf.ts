/**
 * A leaf that a write transaction changes.
 *
 * 1. While it fits into one page it is that page in a frame that the writer has taken, changed in place (leaf-edit.ts), if the page is compact.
 * 2. Otherwise it is nodes in key order, which split as they grow, so that no insertion moves more than a node. It does not become a page again
 *    before the commit, unless it loses all its elements: without any it has no frame, and takes one with the next.
 * 3. A view that was handed out stays as it is: a frame into which one leads becomes nodes with the next change, for they change no bytes. (Copied
 *    instead, a page whose values are viewed and changed in turns would take the memory of a page each time.)
 */
import { ELEMENT_SIZE, PAGE_HEADER_SIZE, type Pgid } from "../format/constants.js";
import type { Arena } from "./arena.js";
import { elementFlags, insertElement, removeElement, replaceValue, usedSize, valueGrowth } from "./leaf-edit.js";
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
  /** In key order, none empty unless it is the only one. */
  readonly nodes: Node[] = [];
  /** Elements were removed or became smaller. */
  shrunk = false;
  /** All new elements came behind the last one. */
  appended = true;
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
    if (used + growth <= pages.pageSize) {
      pages.take(frame, used);
      arena.taken.add(frame);
      leaf.image = frame;
    } else {
      pages.pin(frame);
      arena.pinned.add(frame);
      leaf.#decode(frame);
      leaf.#noteLonePage(leaf.nodes[0]!, frame);
    }
    return leaf;
  }

  /** Whether its elements are all gone. A page that has lost them is one no more. */
  get isEmpty(): boolean {
    return this.image === NO_IMAGE && this.nodes[0]!.count === 0;
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
    if (this.#isRefillable(key.length + value.length)) {
      this.image = pages.takeEmpty();
      this.#arena.taken.add(this.image);
      this.nodes.length = 0;
    }
    const frame = this.image;
    if (frame !== NO_IMAGE && !pages.isEscaped(frame)) {
      if (exact) {
        const growth = valueGrowth(pages, frame, i, value.length);
        if (replaceValue(pages, frame, i, value)) {
          this.#noteGrowth(growth);
          return growth !== 0;
        }
      } else if (insertElement(pages, frame, i, key, value, flags)) {
        if (i < pageElementCount(pages, frame) - 1) this.appended = false;
        return true;
      }
    }
    return this.putUnfinished(nodeAt, i, exact, key, value, flags);
  }

  /** `put` of a value that may be completed until the pages are encoded: the arena's `source` and `offset` say where key and value are. */
  putUnfinished(nodeAt: number, i: number, exact: boolean, key: Uint8Array, value: Uint8Array, flags: number): boolean {
    const arena = this.#arena;
    const wasImage = this.image !== NO_IMAGE;
    // First: where there is no memory, nothing has changed.
    arena.store(key, value, exact);
    if (exact && this.#isLone) {
      this.#noteGrowth(valueGrowth(this.#pages, this.image, i, value.length));
      this.#leaveFrame();
      exact = false;
    } else {
      this.#leaveImage();
    }
    if (!exact) {
      this.#insert(nodeAt, i, key.length, value.length, flags);
      return true;
    }
    const node = this.nodes[nodeAt]!;
    const growth = value.length - node.column(i, VALUE_SIZE);
    this.#forget(node, i);
    node.set(i, arena.source, arena.offset, key.length, value.length, flags);
    node.byteSize += growth;
    this.#noteGrowth(growth);
    return wasImage;
  }

  /** Gives up the memory of what has changed: the leaf goes, with its tree. Views keep theirs. */
  forget(): void {
    if (this.image !== NO_IMAGE) this.#leaveFrame();
    for (const node of this.nodes) for (let i = 0; i < node.count; i++) this.#forget(node, i);
  }

  /** Removes the element at a place. */
  remove(nodeAt: number, i: number): void {
    this.shrunk = true;
    this.appended = false;
    if (this.#isLone) return this.#leaveFrame();
    if (this.image !== NO_IMAGE && !this.#pages.isEscaped(this.image)) return removeElement(this.#pages, this.image, i);
    this.#leaveImage();
    const node = this.nodes[nodeAt]!;
    this.#forget(node, i);
    node.remove(i);
    if (node.count === 0 && this.nodes.length > 1) this.nodes.splice(nodeAt, 1);
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

  /** Gives up the memory of an element that is about to go: of a page with overflow pages all, for it has no other. */
  #forget(node: Node, i: number): void {
    const source = node.column(i, SOURCE);
    this.#arena.forget(source);
    const { lonePage } = this;
    if (source !== lonePage?.source) return;
    this.lonePage = undefined;
    if (this.pageCount === 1) return;
    this.#arena.forgetSlab(source);
    this.#arena.pinned.delete(lonePage.frame);
    // A view may lead there by way of the node: its memory must not serve another page.
    this.#pages.markEscaped(lonePage.frame);
    this.#pages.unpin(lonePage.frame);
  }

  #noteGrowth(growth: number): void {
    if (growth > 0) this.appended = false;
    else if (growth < 0) this.shrunk = true;
  }

  /** Makes what the arena has stored last an element before that at a place. */
  #insert(nodeAt: number, at: number, keySize: number, valueSize: number, flags: number): void {
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
    node.set(i, this.#arena.source, this.#arena.offset, keySize, valueSize, flags);
    node.byteSize += ELEMENT_SIZE + keySize + valueSize;
  }

  #noteLonePage(node: Node, frame: number): void {
    const { pgid, pageCount } = this;
    if (node.count === 1) this.lonePage = { pgid, pageCount, frame, source: node.column(0, SOURCE), offset: node.column(0, OFFSET), isKept: false };
  }

  /** Makes the leaf nodes, where it is not yet. The frame stays pinned: the nodes point into it. */
  #leaveImage(): void {
    if (this.image === NO_IMAGE) return;
    this.#decode(this.image);
    this.image = NO_IMAGE;
  }

  /** Whether it is a page with one element. */
  get #isLone(): boolean {
    return this.image !== NO_IMAGE && pageElementCount(this.#pages, this.image) === 1;
  }

  /**
   * Makes a page whose only element goes a node without any and gives its frame back: what a transaction empties takes no memory until the commit. Views of
   * that element keep the memory that they lead to.
   */
  #leaveFrame(): void {
    const frame = this.image;
    this.nodes.push(new Node(this.#arena, false, 1));
    this.image = NO_IMAGE;
    this.#arena.taken.delete(frame);
    this.#pages.discard(frame);
  }

  /** Whether it was a single page, has nothing in its nodes, and an element of this size leaves it one: then it can be a page again. */
  #isRefillable(size: number): boolean {
    return this.isEmpty && this.pageCount === 1 && PAGE_HEADER_SIZE + ELEMENT_SIZE + size <= this.#pages.pageSize;
  }

  /** Makes the leaf a node that points into a pinned frame. */
  #decode(frame: number): void {
    this.nodes.push(nodeOfImage(this.#arena, new PageImage(this.#pages, frame)));
  }
}
