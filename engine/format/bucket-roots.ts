/**
 * The buckets that a walk by names has entered. In a damaged file several names can lead to one bucket and each of its names to one more, so that a few
 * pages hold more than anybody can walk.
 */
import { corrupt } from "../base/errors.js";
import type { Pgid } from "./constants.js";

/** Roots of buckets, each of which one name leads to. */
export class BucketRoots {
  readonly #entered = new Set<Pgid>();

  /**
   * Notes that the bucket at a root is entered; any number of inline ones, which have 0, may be.
   * @throws BoltError CORRUPT when it was before
   */
  enter(root: Pgid): void {
    if (root === 0) return;
    if (this.#entered.has(root)) throw corrupt(root, "multiple references");
    this.#entered.add(root);
  }
}
