/** A mutant: the engine with one mistake in it that somebody could make. Some test must notice each of them. */

/** One mistake. */
export interface Mutant {
  /** What is wrong, in a few words; no two mutants have the same. */
  readonly name: string;
  /** The source file, from the root of the repository. */
  readonly file: string;
  /** Text that stands in the file exactly once… */
  readonly find: string;
  /** …and what stands there instead. */
  readonly replace: string;
  /** What it does to a user. */
  readonly harm: string;
  /** The test files to be asked first, from test/ on and without their ending: those that are there for it. */
  readonly tests: readonly string[];
}

/**
 * Gives the text of a mutant's file with the mistake in it.
 * @throws Error "mutant is stale" when the text to be replaced does not stand there exactly once
 */
export function applyMutant({ name, file, find, replace }: Mutant, text: string): string {
  const at = text.indexOf(find);
  const fault = at < 0 ? "is not there" : text.indexOf(find, at + 1) >= 0 ? "is there more than once" : find === replace ? "is not changed" : undefined;
  if (fault !== undefined) throw new Error(`mutant is stale: "${name}": the text to be replaced in ${file} ${fault}:\n${find}`);
  return text.slice(0, at) + replace + text.slice(at + find.length);
}
