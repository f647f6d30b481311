/** Finds what somebody may have meant who mistyped a name. */

/** Names or keys that are looked at for a suggestion, at most: a bucket can hold millions. */
export const SUGGESTION_LIMIT = 10_000;

/** Edits (insert, delete, replace, swap of neighbours) between two words. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (isSame ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, beforeLast[j - 2]! + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}

/** Gives the names nearest to a mistyped one, the nearest first, at most three; none that is wholly different. */
export function nearest(word: string, names: Iterable<string>): string[] {
  const lower = word.toLowerCase();
  const allowed = Math.max(1, Math.floor(word.length / 3));
  const found: { readonly name: string; readonly distance: number }[] = [];
  for (const name of names) {
    const other = name.toLowerCase();
    const isPart = word.length >= 3 && (other.startsWith(lower) || lower.startsWith(other)) && other.length > 0;
    // Names of very different length are never near: no need to compare them.
    const distance = isPart ? 1 : Math.abs(other.length - lower.length) > allowed ? Infinity : editDistance(lower, other);
    if (distance <= allowed) found.push({ name, distance });
  }
  return found.sort((a, b) => a.distance - b.distance).slice(0, 3).map(({ name }) => name);
}

/** The sentence part that suggests: `; did you mean "keys"?`, or nothing. */
export function didYouMean(word: string, names: Iterable<string>, prefix = ""): string {
  const near = nearest(word, names).map((name) => JSON.stringify(prefix + name));
  return near.length === 0 ? "" : `; did you mean ${near.join(" or ")}?`;
}
