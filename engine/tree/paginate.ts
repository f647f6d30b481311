/** Where a node is cut into pages. */
import { MAX_ELEMENT_COUNT, PAGE_HEADER_SIZE, type Pgid } from "../format/constants.js";
import type { Node } from "./node.js";
import type { PageImage } from "./page-image.js";

const MIN_FILL_PERCENT = 0.1;
const MAX_FILL_PERCENT = 1;
/** A branch with one element makes Go's writer panic. */
const MIN_BRANCH_COUNT = 2;

/** One page to be written. */
export type PagePlan = NodePlan | PageImage;

/** A page to be encoded: elements `from` to `to` of a node. */
export interface NodePlan {
  readonly node: Node;
  readonly isBranch: boolean;
  readonly from: number;
  readonly to: number;
  /** 1 and the overflow pages. */
  readonly pageCount: number;
  /** Set when the pages are allocated. */
  pgid: Pgid;
}

/**
 * Cuts a node into pages, in element order.
 *
 * What fits into one page stays one. Else each page but the last is filled up to `fillPercent`, or with two elements — to the brim where the node grew at its
 * end only, so that sequential loads fill pages instead of halving them. A leaf element too large for a page gets pages of its own, so that
 * its neighbours are not rewritten with it.
 */
export function paginate(node: Node, pageSize: number, fillPercent: number): NodePlan[] {
  if (node.byteSize <= pageSize && node.count <= MAX_ELEMENT_COUNT) return [planPage(node, 0, node.count, node.byteSize, pageSize)];
  const fill = node.appended ? MAX_FILL_PERCENT : Math.min(MAX_FILL_PERCENT, Math.max(MIN_FILL_PERCENT, fillPercent));
  const threshold = Math.floor(pageSize * fill);
  return node.isBranch ? cutBranch(node, pageSize, threshold) : cutLeaf(node, pageSize, threshold);
}

function planPage(node: Node, from: number, to: number, byteSize: number, pageSize: number): NodePlan {
  return { node, isBranch: node.isBranch, from, to, pageCount: Math.ceil(byteSize / pageSize), pgid: 0 };
}

function cutLeaf(node: Node, pageSize: number, threshold: number): NodePlan[] {
  const plans: NodePlan[] = [];
  let from = 0;
  while (from < node.count) {
    // A stretch of elements that fit into pages, up to the next one that does not.
    let stretch = PAGE_HEADER_SIZE;
    let end = from;
    while (end < node.count && !isTooLarge(node, end, pageSize)) stretch += node.elementSize(end++);
    for (let rest = stretch; from < end; ) {
      const { to, size } = fillPage(node, from, end, rest, pageSize, threshold, 1);
      plans.push(planPage(node, from, to, size, pageSize));
      rest -= size - PAGE_HEADER_SIZE;
      from = to;
    }
    if (end < node.count) {
      plans.push(planPage(node, end, end + 1, PAGE_HEADER_SIZE + node.elementSize(end), pageSize));
      from = end + 1;
    }
  }
  return plans;
}

function cutBranch(node: Node, pageSize: number, threshold: number): NodePlan[] {
  const plans: NodePlan[] = [];
  let rest = node.byteSize;
  for (let from = 0; from < node.count; ) {
    let { to, size } = fillPage(node, from, node.count, rest, pageSize, threshold, MIN_BRANCH_COUNT);
    if (node.count - to < MIN_BRANCH_COUNT && to < node.count) {
      // One would be left alone: it comes along, or the last of this page goes to it.
      if (to - from > MIN_BRANCH_COUNT) size -= node.elementSize(--to);
      else for (; to < node.count; to++) size += node.elementSize(to);
    }
    plans.push(planPage(node, from, to, size, pageSize));
    rest -= size - PAGE_HEADER_SIZE;
    from = to;
  }
  return plans;
}

/**
 * Takes elements from `from` on for one page: all up to `end` when they fit, else up to the threshold, but at least `atLeast`, and two where they fit: values of a
 * quarter of a page and more would be left with a page each, half as full as bbolt's.
 */
function fillPage(node: Node, from: number, end: number, rest: number, pageSize: number, threshold: number, atLeast: number): { to: number; size: number } {
  if (rest <= pageSize && end - from <= MAX_ELEMENT_COUNT) return { to: end, size: rest };
  let to = from;
  let size = PAGE_HEADER_SIZE;
  for (; to < end && to - from < MAX_ELEMENT_COUNT; to++) {
    const next = size + node.elementSize(to);
    if (to - from >= atLeast && next > (to - from < 2 ? pageSize : threshold)) break;
    size = next;
  }
  return { to, size };
}

function isTooLarge(node: Node, i: number, pageSize: number): boolean {
  return node.elementSize(i) + PAGE_HEADER_SIZE > pageSize;
}

