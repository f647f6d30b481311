/**
 * The second half of writing a tree: cutting its nodes into pages, and writing the pages once they have their places.
 *
 * Planning goes from the bottom up and needs no page ids: a parent's element takes the first key of each page its child is cut into (docs/format.md, rule 1),
 * the page id follows when all pages of the transaction have been allocated at once.
 */
import { copyBytes, writeU32 } from "../base/bytes.js";
import { ELEMENT_SIZE, FLAG_BRANCH, FLAG_LEAF, PAGE_HEADER_SIZE } from "../format/constants.js";
import { elementAt } from "../format/page-index.js";
import { writePageHeader } from "../format/page.js";
import { CHILD_HIGH, CHILD_LOW, FLAGS, KEY_SIZE, Node, OFFSET, SOURCE, STRIDE, VALUE_SIZE } from "./node.js";
import { PageImage } from "./page-image.js";
import { type NodePlan, paginate, type PagePlan } from "./paginate.js";

/** How pages are cut. */
export interface SpillOptions {
  readonly pageSize: number;
  readonly fillPercent: number;
}

/**
 * Plans all pages of a tree, children before parents, into `plans`.
 * @returns the page that will be the root
 */
export function planTree(root: Node | PageImage, options: SpillOptions, plans: PagePlan[]): PagePlan {
  if (root instanceof PageImage) return planImage(root, plans);
  let top: readonly PagePlan[] = planNode(root, options, plans);
  while (top.length > 1) {
    const node = new Node(root.arena, true, top.length);
    node.appended = root.appended;
    for (const [i, plan] of top.entries()) {
      node.insert(i);
      linkChild(node, i, plan);
      node.byteSize += node.elementSize(i);
    }
    node.links = top;
    top = cut(node, options, plans);
  }
  return top[0]!;
}

function planImage(image: PageImage, plans: PagePlan[]): PageImage {
  for (const child of image.children.values()) planImage(child, plans);
  plans.push(image);
  return image;
}

function planNode(node: Node, options: SpillOptions, plans: PagePlan[]): NodePlan[] {
  if (node.children !== undefined) planChildren(node, node.children, options, plans);
  return cut(node, options, plans);
}

function cut(node: Node, { pageSize, fillPercent }: SpillOptions, plans: PagePlan[]): NodePlan[] {
  const own = paginate(node, pageSize, fillPercent);
  for (const plan of own) if (!isKept(plan)) plans.push(plan);
  return own;
}

/** Whether the plan is a page of one element as it stands in the file: then that page is kept. */
function isKept(plan: NodePlan): boolean {
  const { node, from, to } = plan;
  const { lonePage } = node;
  if (lonePage === undefined || to - from !== 1 || node.column(from, SOURCE) !== lonePage.source || node.column(from, OFFSET) !== lonePage.offset) return false;
  plan.pgid = lonePage.pgid;
  lonePage.isKept = true;
  return true;
}

/** Plans the changed children and puts an element for each of their pages in place of the child's. */
function planChildren(node: Node, children: readonly (Node | PageImage | undefined)[], options: SpillOptions, plans: PagePlan[]): void {
  const links: (PagePlan | undefined)[] = [];
  for (const child of children) {
    const i = links.length;
    if (child === undefined) {
      links.push(undefined);
      continue;
    }
    const pages = child instanceof PageImage ? [planImage(child, plans)] : planNode(child, options, plans);
    node.byteSize -= node.elementSize(i);
    if (pages.length > 1) node.insert(i + 1, pages.length - 1);
    for (const plan of pages) {
      linkChild(node, links.length, plan);
      node.byteSize += node.elementSize(links.length);
      links.push(plan);
    }
  }
  node.links = links;
}

/** Gives element `i` of a branch the first key of a page; the page id comes later. */
function linkChild(node: Node, i: number, plan: PagePlan): void {
  if (plan instanceof PageImage) {
    const { arena } = node;
    node.set(i, arena.slabSource(plan.frame >>> plan.pages.frameBits, plan.bytes), plan.firstKeyStart, plan.firstKeySize, 0, 0);
    return;
  }
  const { node: child, from } = plan;
  node.set(i, child.column(from, SOURCE), child.column(from, OFFSET), child.column(from, KEY_SIZE), 0, 0);
}

/** The memory that is the page already but for its headers, where it holds one large new element; undefined otherwise. `writePage` completes it. */
export function readyPage({ node, from, to }: NodePlan): Uint8Array | undefined {
  return to - from === 1 && !node.isBranch ? node.arena.leafPage(node.column(from, SOURCE)) : undefined;
}

/** Encodes a page to `target` from `at` on; every byte of its pages is set. */
export function writePage(plan: NodePlan, target: Uint8Array, at: number, pageSize: number): void {
  const { node, from, to, pageCount, pgid } = plan;
  if (node.isBranch) resolveLinks(plan);
  writePageHeader(target, at, pgid, node.isBranch ? FLAG_BRANCH : FLAG_LEAF, to - from, pageCount - 1);
  const end = writeElements(node, from, to, target, at);
  target.fill(0, end, at + pageCount * pageSize);
}

function resolveLinks({ node, from, to }: NodePlan): void {
  if (node.links === undefined) return;
  for (let i = from; i < to; i++) {
    const child = node.links[i];
    if (child !== undefined) node.setChild(i, child.pgid);
  }
}

/**
 * Writes the elements of a page whose header is at `page`, keys and values behind them in element order.
 * Neighbours on the page that they come from are copied in one run: a page with one changed key costs two or three copies.
 * @returns where the data ends
 */
export function writeElements(node: Node, from: number, to: number, target: Uint8Array, page: number): number {
  const { columns, isBranch } = node;
  const { sources } = node.arena;
  let data = elementAt(page, to - from);
  let runSource = -1;
  let runStart = 0;
  let runEnd = 0;
  for (let i = from, at = node.base + from * STRIDE, element = page + PAGE_HEADER_SIZE; i < to; i++, at += STRIDE, element += ELEMENT_SIZE) {
    const source = columns[at + SOURCE]!;
    const offset = columns[at + OFFSET]!;
    const keySize = columns[at + KEY_SIZE]!;
    const pending = runEnd - runStart;
    const size = isBranch ? keySize : keySize + columns[at + VALUE_SIZE]!;
    if (source !== runSource || offset !== runEnd) {
      if (pending > 0) copyBytes(target, data, sources[runSource]!, runStart, pending);
      data += pending;
      runSource = source;
      runStart = runEnd = offset;
    }
    const position = data + (runEnd - runStart) - element;
    runEnd += size;
    if (isBranch) {
      writeU32(target, element, position);
      writeU32(target, element + 4, keySize);
      writeU32(target, element + 8, columns[at + CHILD_LOW]!);
      writeU32(target, element + 12, columns[at + CHILD_HIGH]!);
    } else {
      writeU32(target, element, columns[at + FLAGS]!);
      writeU32(target, element + 4, position);
      writeU32(target, element + 8, keySize);
      writeU32(target, element + 12, columns[at + VALUE_SIZE]!);
    }
  }
  const pending = runEnd - runStart;
  const isInPlace = data === runStart && sources[runSource] === target;
  if (pending > 0 && !isInPlace) copyBytes(target, data, sources[runSource]!, runStart, pending);
  return data + pending;
}
