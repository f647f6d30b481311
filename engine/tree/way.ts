/** The branches that a cursor came down by: page ids, and the elements that it took. Right as long as the tree's `version` is the same. */
import { MAX_DEPTH, type Pgid } from "../format/constants.js";
import { tooDeep } from "../format/page.js";
import { branchChild } from "./search.js";
import type { Tree } from "./tree.js";

/** There is no subtree in that direction. */
export const NO_SUBTREE = -1;

/** The way down to a leaf. */
export class Way {
  depth = 0;
  readonly #tree: Tree;
  readonly #pgids: Pgid[] = [];
  readonly #indexes: number[] = [];
  readonly #counts: number[] = [];

  constructor(tree: Tree) {
    this.#tree = tree;
  }

  /** It goes on by element `i` of a branch of `count`. @throws BoltError CORRUPT where the tree is too deep */
  note(branch: Pgid, i: number, count: number): void {
    const { depth } = this;
    if (depth === MAX_DEPTH) throw tooDeep(branch);
    this.#pgids[depth] = branch;
    this.#indexes[depth] = i;
    this.#counts[depth] = count;
    this.depth = depth + 1;
  }

  /** It goes on by the first (1) or last (-1) element of a branch that leads to something; gives that, or the very first or last where none does. */
  noteEnd(branch: Pgid, count: number, direction: 1 | -1): number {
    const end = direction > 0 ? 0 : count - 1;
    const nearest = this.#passEmptied(branch, end, direction);
    const i = nearest < 0 ? end : nearest;
    this.note(branch, i, count);
    return i;
  }

  /** Turns off at the lowest branch that has another element in a direction. Gives the subtree there; NO_SUBTREE when there is none. */
  turn(direction: 1 | -1): Pgid {
    const { pages } = this.#tree;
    for (let level = this.depth - 1; level >= 0; level--) {
      const i = this.#passEmptied(this.#pgids[level]!, this.#indexes[level]! + direction, direction);
      if (i < 0 || i >= this.#counts[level]!) continue;
      // The branches above are used again only after many leaves: without a word for them a small cache would drop them and read them again.
      for (let above = 0; above < level; above++) pages.locate(this.#pgids[above]!);
      this.#indexes[level] = i;
      this.depth = level + 1;
      return branchChild(pages, pages.locate(this.#pgids[level]!), i);
    }
    return NO_SUBTREE;
  }

  /** The nearest child from `from` on that the transaction has not emptied; behind the end of the branch, or -1, when there is none. */
  #passEmptied(branch: Pgid, from: number, direction: 1 | -1): number {
    const emptied = this.#tree.emptiedChildren(branch);
    if (emptied === undefined || from < 0) return from;
    return direction > 0 ? emptied.indexOf(0, from) : emptied.lastIndexOf(0, from);
  }
}
