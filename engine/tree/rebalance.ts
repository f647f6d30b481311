/**
 * The first half of writing a tree: from what has changed to nodes, with no page too empty.
 *
 * Every changed leaf and every branch above one becomes an image where it stays one page under the same first key, a node where it does not; the
 * page it was is released. Then, from the bottom up, an empty child leaves its parent, a child that deletions have left too small is merged with
 * a neighbour, and a leaf that has become too large shares with one. So at the end (docs/format.md, rules 2 and 3) no page but a root is empty and
 * every branch has two children, except for a root that is left with one: it collapses into it.
 */
import { corrupt } from "../base/errors.js";
import type { Pgid } from "../format/constants.js";
import type { Arena } from "./arena.js";
import { type DirtyLeaf, NO_IMAGE } from "./dirty-leaf.js";
import { usedSize } from "./leaf-edit.js";
import { type LonePage, Node } from "./node.js";
import { nodeOfImage, PageImage } from "./page-image.js";
import type { Pages } from "./pages.js";
import { pageElementCount, pageIsBranch, pageIsCompact, pageOverflow } from "./search.js";
import type { DirtyBranch } from "./dirty-branch.js";
import type { Tree } from "./tree.js";

/** Part of a page below which a node that has lost elements is merged. */
const UNDERFULL_FRACTION = 4;
/**
 * How full two leaves may be that share what one of them has too much. Measured: leaves that random puts make are 0.77 full, and were 0.66 when each was cut; the file is an
 * eighth smaller, a random put takes 3 to 5 % longer (`bench/value-sizes.mjs`). Fuller ones soon overflow again.
 */
const MAX_SHARED_FILL = 0.86;
/** With fewer elements a leaf can seldom be cut near its middle. */
const MIN_SHARED_COUNT = 8;

/** Where pages that are no longer needed go. */
export interface PageReleaser {
  release(pgid: Pgid, pageCount: number): void;
}

/** What rebalancing counts. @see bbolt TxStats */
export interface RebalanceCounts {
  nodeCount: number;
  rebalance: number;
}

/** What a changed page has become. */
type Changed = Node | PageImage;

/** The root of a changed tree, or the page that has become its root without being changed. */
export type Root = Changed | { readonly page: Pgid };

/** Turns the changes of a tree into nodes. */
export class Rebalancer {
  readonly #pages: Pages;
  readonly #arena: Arena;
  readonly #releaser: PageReleaser;
  readonly #counts: RebalanceCounts;
  /** Pages of one element among the changed leaves: to be released when all is planned, unless they are kept. */
  readonly lonePages: LonePage[] = [];

  readonly #keepsLonePages: boolean;

  constructor(pages: Pages, arena: Arena, releaser: PageReleaser, counts: RebalanceCounts, keepsLonePages: boolean) {
    this.#pages = pages;
    this.#arena = arena;
    this.#releaser = releaser;
    this.#counts = counts;
    this.#keepsLonePages = keepsLonePages;
  }

  /** Turns the changes of a tree into nodes. */
  rebalance(tree: Tree): Root {
    let root = this.#build(tree.dirtyRoot()!);
    while (root instanceof Node && root.isBranch && root.count <= 1) {
      if (root.count === 0) return new Node(this.#arena, false, 0);
      const child: Changed | undefined = root.children![0];
      if (child === undefined && this.#isBranchPage(root.child(0))) return { page: root.child(0) };
      root = child ?? this.#take(root.child(0));
    }
    return root;
  }

  #build(dirty: DirtyBranch | DirtyLeaf): Changed {
    return dirty.isBranch ? this.#buildBranch(dirty) : dirty.image === NO_IMAGE ? this.#joinNodes(dirty) : this.#buildLeaf(dirty);
  }

  /** A branch stays a page where every changed child does. */
  #buildBranch(dirty: DirtyBranch): Changed {
    const images = new Map<number, PageImage>();
    const nodes = new Map<number, Node>();
    for (const [i, child] of dirty.children) {
      const built = this.#build(child);
      if (built instanceof Node) nodes.set(i, built);
      else images.set(i, built);
    }
    const image = nodes.size === 0 ? this.#imageOfBranch(dirty.pgid, images) : undefined;
    if (image !== undefined) return image;
    const node = this.#take(dirty.pgid);
    for (const [i, child] of images) node.children![i] = child;
    for (const [i, child] of nodes) node.children![i] = child;
    const last = nodes.get(node.count - 1);
    node.appended = dirty.children.size === 1 && last !== undefined && last.appended;
    this.#settle(node);
    return node;
  }

  /** Takes a branch page of which only page ids will change; undefined where more does. */
  #imageOfBranch(pgid: Pgid, children: ReadonlyMap<number, PageImage>): PageImage | undefined {
    const pages = this.#pages;
    const frame = pages.locate(pgid);
    if (!pageIsCompact(pages, frame) || !pages.isTakeable(frame) || pageElementCount(pages, frame) < 2) return undefined;
    for (const [i, child] of children) if (!child.hasFirstKey(frame, i)) return undefined;
    pages.take(frame, usedSize(pages, frame));
    this.#arena.frames.add(frame);
    this.#releaser.release(pgid, 1);
    this.#counts.nodeCount++;
    return new PageImage(pages, frame, children);
  }

  /** What little is left of a leaf may be merged, or become an inline bucket: as a node. */
  #buildLeaf(dirty: DirtyLeaf): Changed {
    const pages = this.#pages;
    const image = new PageImage(pages, dirty.image);
    this.#releaser.release(dirty.pgid, 1);
    this.#counts.nodeCount++;
    if (usedSize(pages, dirty.image) > pages.pageSize / UNDERFULL_FRACTION) return image;
    const node = nodeOfImage(this.#arena, image);
    node.shrunk = dirty.shrunk;
    node.appended = dirty.appended;
    return node;
  }

  /** Joins the nodes of a changed leaf; where they are to be cut is decided when it is written. */
  #joinNodes(dirty: DirtyLeaf): Node {
    let [node] = dirty.nodes as [Node, ...Node[]];
    if (dirty.nodes.length > 1) {
      const all = new Node(this.#arena, false, dirty.nodes.reduce((sum, { count }) => sum + count, 0));
      for (const part of dirty.nodes) all.append(part, 0, part.count);
      node = all;
    }
    node.shrunk = dirty.shrunk;
    node.appended = dirty.appended;
    const { lonePage } = dirty;
    if (lonePage !== undefined && this.#keepsLonePages) {
      this.lonePages.push((node.lonePage = lonePage));
    } else if (dirty.pgid !== 0) {
      if (lonePage !== undefined) this.#pages.complete(this.#arena.sources[lonePage.source]!);
      this.#releaser.release(dirty.pgid, dirty.pageCount);
    }
    this.#counts.nodeCount++;
    return node;
  }

  /** Makes a node of a page and releases the page. */
  #take(pgid: Pgid): Node {
    const pages = this.#pages;
    const frame = pages.locate(pgid);
    pages.pin(frame);
    this.#arena.frames.add(frame);
    const page = new PageImage(pages, frame);
    pages.complete(page.bytes);
    this.#releaser.release(pgid, 1 + pageOverflow(pages, frame));
    this.#counts.nodeCount++;
    return nodeOfImage(this.#arena, page);
  }

  /** Removes or merges the children of a branch that are too small. */
  #settle(branch: Node): void {
    const children = branch.children!;
    for (let i = 0; i < branch.count; ) {
      const child = children[i];
      if (child === undefined || child instanceof PageImage) {
        i++;
      } else if (child.count === 0) {
        branch.remove(i);
        children.splice(i, 1);
        branch.shrunk = true;
      } else if (this.#isUnderfull(child) && branch.count > 1) {
        const left = this.#neighbourToMerge(branch, i);
        if (left === undefined) i++;
        else i = this.#merge(branch, left);
      } else {
        if (this.#isOverfull(child)) this.#share(branch, i, child);
        i++;
      }
    }
  }

  #isUnderfull(node: Node): boolean {
    if (node.isBranch && node.count < 2) return true;
    return node.shrunk && node.byteSize <= this.#pages.pageSize / UNDERFULL_FRACTION;
  }

  /** The left one of the two children to merge: the left neighbour if there is one. A leaf is not merged into one with overflow pages. */
  #neighbourToMerge(branch: Node, i: number): number | undefined {
    for (const neighbour of i > 0 ? [i - 1, i + 1] : [i + 1]) {
      if (neighbour < branch.count && this.#isMergeable(branch, neighbour)) return Math.min(i, neighbour);
    }
    return undefined;
  }

  #isMergeable(branch: Node, i: number): boolean {
    const node = branch.children![i];
    if (node instanceof PageImage) return true;
    if (node !== undefined) return node.isBranch || node.byteSize <= this.#pages.pageSize;
    const frame = this.#pages.locate(branch.child(i));
    return pageIsBranch(this.#pages, frame) || pageOverflow(this.#pages, frame) === 0;
  }

  /** Merges child `left + 1` into child `left`; gives the index to go on from. */
  #merge(branch: Node, left: number): number {
    const node = this.#join(branch, left);
    this.#counts.rebalance++;
    node.shrunk = true;
    node.appended = false;
    if (node.isBranch) this.#settle(node);
    branch.remove(left + 1);
    branch.children!.splice(left + 1, 1);
    branch.shrunk = true;
    return left;
  }

  /** Puts what child `left + 1` holds into child `left`. @throws BoltError CORRUPT where one is a leaf and one a branch */
  #join(branch: Node, left: number): Node {
    const target = this.#childNode(branch, left);
    const source = this.#childNode(branch, left + 1);
    // Only a damaged file has leaves at different levels; merged, the elements of the branch would become keys.
    if (source.isBranch !== target.isBranch) throw corrupt(branch.child(left + 1), "a leaf and a branch page are children of one branch");
    target.append(source, 0, source.count);
    if (target.isBranch) for (const child of source.children!) target.children!.push(child);
    return (branch.children![left] = target);
  }

  /** Whether a leaf needs a second page, and can be cut near its middle. One that grows at its end leaves full pages behind as it is. */
  #isOverfull(node: Node): boolean {
    return !node.isBranch && !node.appended && node.byteSize > this.#pages.pageSize && node.count >= MIN_SHARED_COUNT;
  }

  /** Makes overfull child `i` and the emptier one of its neighbours equally large, where that leaves room in both. */
  #share(branch: Node, i: number, { byteSize }: Node): void {
    let room = 2 * this.#pages.pageSize * MAX_SHARED_FILL - byteSize;
    let left: number | undefined;
    for (const neighbour of [i + 1, i - 1]) {
      const size = neighbour < 0 || neighbour >= branch.count ? Infinity : this.#sizeOf(branch, neighbour);
      if (size > room) continue;
      room = size;
      left = Math.min(i, neighbour);
    }
    if (left === undefined) return;
    const node = this.#join(branch, left);
    branch.children![left + 1] = node.splitOff(node.middle());
  }

  /** Bytes of a child, with those on overflow pages: there is never room for them. */
  #sizeOf(branch: Node, i: number): number {
    const node = branch.children![i];
    return node instanceof Node ? node.byteSize : usedSize(this.#pages, node?.frame ?? this.#pages.locate(branch.child(i)));
  }

  #childNode(branch: Node, i: number): Node {
    const child = branch.children![i] ?? this.#take(branch.child(i));
    return child instanceof PageImage ? nodeOfImage(this.#arena, child) : child;
  }

  #isBranchPage(pgid: Pgid): boolean {
    return pageIsBranch(this.#pages, this.#pages.locate(pgid));
  }
}
