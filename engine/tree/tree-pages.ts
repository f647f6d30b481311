/** The pages of one tree, as the snapshot has them: for giving up a whole bucket. */
import { MAX_DEPTH, type Pgid } from "../format/constants.js";
import { tooDeep } from "../format/page.js";
import type { Pages } from "./pages.js";
import { branchChild, pageElementCount, pageIsBranch, pageOverflow } from "./search.js";

/**
 * Calls back with every page of the tree below `root`, parents first, nested buckets left out.
 * @throws BoltError CORRUPT
 */
export function forEachPage(pages: Pages, root: Pgid, visit: (pgid: Pgid, pageCount: number) => void, depth = 0): void {
  if (depth > MAX_DEPTH) throw tooDeep(root);
  const frame = pages.locate(root);
  visit(root, 1 + pageOverflow(pages, frame));
  if (!pageIsBranch(pages, frame)) return;
  const children: Pgid[] = [];
  for (let i = 0; i < pageElementCount(pages, frame); i++) children.push(branchChild(pages, frame, i));
  for (const child of children) forEachPage(pages, child, visit, depth + 1);
}
