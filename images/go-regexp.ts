/**
 * Go's regular expressions, for yes-or-no answers: the syntax of Go's regexp package is parsed here and run by walking all
 * states of an automaton at once. No backtracking: time is in proportion to pattern × text, whatever the pattern, so
 * that one from a stranger cannot stop a server. No captures; lazy and greedy repetition match the same texts.
 *
 * @see Go regexp/syntax; Thompson's construction
 */
import { parseGoRegexp, tooLarge } from "./go-regexp-parser.js";
import type { Assertion, Node, RunePredicate } from "./go-regexp-parser.js";

/** One step of the automaton. `split` and `jump` go on without reading, `rune` reads one code point. */
type Instruction =
  | { readonly kind: "rune"; readonly matches: RunePredicate }
  | { readonly kind: "assert"; readonly assertion: Assertion }
  | { readonly kind: "split"; first: number; second: number }
  | { readonly kind: "jump"; target: number }
  | { readonly kind: "match" };

/** Repetition is written out, so a short pattern can ask for a long program: a bound, as Go has one. */
const PROGRAM_LENGTH_MAX = 4000;

/**
 * Compiles a pattern.
 * @returns a function that tells whether the pattern matches anywhere in a text; undefined for a pattern that is none
 * @throws ImagesError INVALID for a pattern that is too large
 */
export function compileGoRegexp(pattern: string): ((text: string) => boolean) | undefined {
  const root = parseGoRegexp(pattern);
  if (root === undefined) return undefined;
  const program: Instruction[] = [];
  if (!emit(program, root)) throw tooLarge(pattern);
  program.push({ kind: "match" });
  return (text) => run(program, Array.from(text, (character) => character.codePointAt(0) ?? 0));
}

/** Appends a node's instructions; false when the program gets too long. */
function emit(program: Instruction[], node: Node): boolean {
  if (program.length > PROGRAM_LENGTH_MAX) return false;
  switch (node.kind) {
    case "rune":
      program.push({ kind: "rune", matches: node.matches });
      return true;
    case "assert":
      program.push({ kind: "assert", assertion: node.assertion });
      return true;
    case "sequence":
      return node.parts.every((part) => emit(program, part));
    case "either":
      return emitEither(program, node.options);
    case "repeat":
      return emitRepeat(program, node.part, node.min, node.max);
  }
}

function emitEither(program: Instruction[], options: readonly Node[]): boolean {
  const ends: { kind: "jump"; target: number }[] = [];
  for (const [index, option] of options.entries()) {
    const last = index === options.length - 1;
    const split = { kind: "split" as const, first: program.length + 1, second: 0 };
    if (!last) program.push(split);
    if (!emit(program, option)) return false;
    if (last) break;
    const end = { kind: "jump" as const, target: 0 };
    program.push(end);
    ends.push(end);
    split.second = program.length;
  }
  for (const end of ends) end.target = program.length;
  return true;
}

function emitRepeat(program: Instruction[], part: Node, min: number, max: number | undefined): boolean {
  for (let count = 0; count < min; count++) if (!emit(program, part)) return false;
  if (max === undefined) {
    const loop = program.length;
    const split = { kind: "split" as const, first: program.length + 1, second: 0 };
    program.push(split);
    if (!emit(program, part)) return false;
    program.push({ kind: "jump", target: loop });
    split.second = program.length;
    return true;
  }
  const splits: { kind: "split"; first: number; second: number }[] = [];
  for (let count = min; count < max; count++) {
    const split = { kind: "split" as const, first: program.length + 1, second: 0 };
    program.push(split);
    splits.push(split);
    if (!emit(program, part)) return false;
  }
  for (const split of splits) split.second = program.length;
  return true;
}

/** Walks the text once; `states` are the instructions that may be next, each at most once. */
function run(program: readonly Instruction[], runes: readonly number[]): boolean {
  const seenAt = new Int32Array(program.length).fill(-1);
  const pending: number[] = [];
  let states: number[] = [];
  for (let position = 0; position <= runes.length; position++) {
    // A match may start anywhere: the first instruction joins at each position.
    pending.push(...states.reverse(), 0);
    const readers: number[] = [];
    for (let state = pending.pop(); state !== undefined; state = pending.pop()) {
      if (seenAt[state] === position) continue;
      seenAt[state] = position;
      const instruction = program[state];
      if (instruction === undefined) continue;
      if (instruction.kind === "match") return true;
      if (instruction.kind === "rune") readers.push(state);
      else if (instruction.kind === "jump") pending.push(instruction.target);
      else if (instruction.kind === "split") pending.push(instruction.second, instruction.first);
      else if (holds(instruction.assertion, runes, position)) pending.push(state + 1);
    }
    const rune = runes[position];
    if (rune === undefined) return false;
    states = [];
    for (const state of readers) {
      const instruction = program[state];
      if (instruction?.kind === "rune" && instruction.matches(rune)) states.push(state + 1);
    }
  }
  return false;
}

const NEWLINE = 10;

function holds(assertion: Assertion, runes: readonly number[], position: number): boolean {
  const before = runes[position - 1];
  const after = runes[position];
  switch (assertion) {
    case "text start":
      return before === undefined;
    case "text end":
      return after === undefined;
    case "line start":
      return before === undefined || before === NEWLINE;
    case "line end":
      return after === undefined || after === NEWLINE;
    case "word boundary":
      return isWord(before) !== isWord(after);
    case "no word boundary":
      return isWord(before) === isWord(after);
  }
}

function isWord(rune: number | undefined): boolean {
  return rune !== undefined && rune < 128 && /\w/.test(String.fromCharCode(rune));
}
