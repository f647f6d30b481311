/** A branch above leaves that a write transaction changes, and what it knows of those that the transaction has emptied. */
import type { Pgid } from "../format/constants.js";
import type { DirtyLeaf } from "./dirty-leaf.js";

/** A branch page with changed leaves below it. */
export interface DirtyBranch {
  readonly isBranch: true;
  readonly pgid: Pgid;
  parent: DirtyBranch | undefined;
  /** Which element of the parent leads to it. */
  index: number;
  readonly children: Map<number, DirtyBranch | DirtyLeaf>;
  /** By element of the page: 1 where it leads to what is empty by now, else 0. Made for the first. */
  emptied: Uint8Array | undefined;
  readonly childCount: number;
}

/** A leaf has lost its last element. */
export function noteEmptied(leaf: DirtyLeaf): void {
  let child: DirtyLeaf | DirtyBranch = leaf;
  for (let branch = leaf.parent; branch !== undefined; branch = branch.parent) {
    branch.emptied ??= new Uint8Array(branch.childCount);
    branch.emptied[child.index] = 1;
    if (branch.emptied.includes(0)) return;
    child = branch;
  }
}

/** A leaf gets an element. */
export function noteFilled(leaf: DirtyLeaf): void {
  let child: DirtyLeaf | DirtyBranch = leaf;
  for (let branch = leaf.parent; branch?.emptied?.[child.index] === 1; branch = branch.parent) {
    branch.emptied[child.index] = 0;
    child = branch;
  }
}
