/**
 * Lists of page ids in ascending order, as a freelist page holds them.
 *
 * A file of some size has thousands of free pages, and they are read when nothing is compiled yet: a call an id would be most of what opening takes. So these
 * are plain loops (measured with 2,400 free pages, bench/cold-open.mjs: in a process that has just begun, opening takes 8 ms in place of 14).
 */
import type { Pgid } from "./constants.js";

/** Gives the ids in ascending order: the list itself where it is. */
export function ascending(ids: Float64Array): Float64Array {
  for (let i = 1; i < ids.length; i++) if (ids[i]! < ids[i - 1]!) return ids.slice().sort();
  return ids;
}

/** Gives the ids below `end` that are not among `others`. Both lists are in ascending order. */
export function without(ids: Float64Array, others: Float64Array, end: Pgid = Infinity): Float64Array {
  const left = new Float64Array(ids.length);
  let count = 0;
  let at = 0;
  for (let i = 0; i < ids.length && ids[i]! < end; i++) {
    const pgid = ids[i]!;
    while (at < others.length && others[at]! < pgid) at++;
    if (others[at] !== pgid) left[count++] = pgid;
  }
  return left.subarray(0, count);
}
