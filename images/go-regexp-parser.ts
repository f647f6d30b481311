/**
 * Parses the syntax of Go's regexp package into a tree: literals, classes (Perl, POSIX, Unicode), assertions, groups with
 * flags, alternation, repetition up to 1000. What Go refuses (back references, look-around, nested repetition) is refused.
 *
 * @see https://pkg.go.dev/regexp/syntax
 */
import { invalid, quote } from "./errors.js";
import type { ImagesError } from "./errors.js";

/** Tells whether a code point is meant. */
export type RunePredicate = (rune: number) => boolean;
/** A condition on a place between two code points. */
export type Assertion = "text start" | "text end" | "line start" | "line end" | "word boundary" | "no word boundary";
/** A parsed pattern. `max` undefined: without end. */
export type Node =
  | { readonly kind: "rune"; readonly matches: RunePredicate }
  | { readonly kind: "assert"; readonly assertion: Assertion }
  | { readonly kind: "sequence"; readonly parts: readonly Node[] }
  | { readonly kind: "either"; readonly options: readonly Node[] }
  | { readonly kind: "repeat"; readonly part: Node; readonly min: number; readonly max: number | undefined };

interface Flags {
  readonly fold: boolean;
  readonly multiline: boolean;
  readonly dotNewline: boolean;
}

class RefusedPattern extends Error {}

/** The error for a pattern that may be one of Go's, and would take more than is spent on it here. */
export function tooLarge(pattern: string): ImagesError {
  const shown = pattern.length > 60 ? `${pattern.slice(0, 60)}…` : pattern;
  return invalid(`filter: the pattern ${quote(shown)} is too large: write it shorter, with fewer groups or smaller repetitions`);
}

const REPEAT_MAX = 1000;
const NESTING_MAX = 100;
/** Code points of a pattern: of a longer one the automaton would be too long, too, unless most of it stood in brackets. */
const LENGTH_MAX = 10_000;
/** Go reads no number with more digits. */
const DIGITS_MAX = 8;

/** Parses a pattern. @returns undefined for one that Go would refuse @throws ImagesError INVALID for one that is too large */
export function parseGoRegexp(pattern: string): Node | undefined {
  try {
    return new Parser(pattern).parse();
  } catch (error) {
    if (error instanceof RefusedPattern) return undefined;
    throw error;
  }
}

const ESCAPED_CONTROLS: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };
const ESCAPED_ASSERTIONS: Readonly<Record<string, Assertion>> = {
  A: "text start", z: "text end", b: "word boundary", B: "no word boundary",
};
const PERL_CLASSES: Readonly<Record<string, RegExp>> = { d: /[0-9]/, s: /[\t\n\f\r ]/, w: /[0-9A-Za-z_]/ };
const POSIX_CLASSES: Readonly<Record<string, RegExp>> = {
  alnum: /[0-9A-Za-z]/, alpha: /[A-Za-z]/, ascii: /[\0-\x7f]/, blank: /[\t ]/, cntrl: /[\0-\x1f\x7f]/, digit: /[0-9]/,
  graph: /[!-~]/, lower: /[a-z]/, print: /[ -~]/, punct: /[!-/:-@[-`{-~]/, space: /[\t\n\v\f\r ]/, upper: /[A-Z]/,
  word: /[0-9A-Za-z_]/, xdigit: /[0-9A-Fa-f]/,
};

const DIGIT = /^[0-9]$/;
const HEX = /^[0-9A-Fa-f]$/;
const WORD = /^\w$/;
const FLAG = /^[imsU]$/;

class Parser {
  readonly #characters: readonly string[];
  #position = 0;
  #nesting = 0;
  #flags: Flags = { fold: false, multiline: false, dotNewline: false };

  constructor(pattern: string) {
    this.#characters = Array.from(pattern);
    if (this.#characters.length > LENGTH_MAX) throw tooLarge(pattern);
  }

  parse(): Node {
    const root = this.#alternation();
    if (this.#peek() !== undefined) throw new RefusedPattern("unexpected )");
    return root;
  }

  #alternation(): Node {
    if (++this.#nesting > NESTING_MAX) throw tooLarge(this.#characters.join(""));
    const options = [this.#sequence()];
    while (this.#skip("|")) options.push(this.#sequence());
    this.#nesting--;
    return { kind: "either", options };
  }

  /** Flags and an empty quotation are no parts: a repetition behind them is one of what stands before them. */
  #sequence(): Node {
    const parts: Node[] = [];
    let wasRepetition = false;
    for (let next = this.#peek(); next !== undefined && next !== "|" && next !== ")"; next = this.#peek()) {
      const bounds = this.#bounds();
      if (bounds === undefined) {
        parts.push(...(next === "\\" && this.#characters[this.#position + 1] === "Q" ? this.#literalRun() : this.#atom()));
      } else {
        const part = parts.pop();
        if (part === undefined || wasRepetition) throw new RefusedPattern("nothing to repeat, or nested repetition");
        this.#skip("?");
        parts.push({ kind: "repeat", part, min: bounds[0], max: bounds[1] });
      }
      wasRepetition = bounds !== undefined;
    }
    return { kind: "sequence", parts };
  }

  /** Reads a repetition, or leaves everything in place: a brace that is no repetition is a literal. */
  #bounds(): readonly [number, number | undefined] | undefined {
    if (this.#skip("*")) return [0, undefined];
    if (this.#skip("+")) return [1, undefined];
    if (this.#skip("?")) return [0, 1];
    const start = this.#position;
    if (!this.#skip("{")) return undefined;
    const min = this.#count();
    const max = !this.#skip(",") ? min : this.#peek() === "}" ? Infinity : this.#count();
    if (min === undefined || max === undefined || !this.#skip("}")) {
      this.#position = start;
      return undefined;
    }
    if (min > REPEAT_MAX || (max > REPEAT_MAX && max !== Infinity) || max < min) throw new RefusedPattern("bad repetition");
    return [min, max === Infinity ? undefined : max];
  }

  /** Reads a number without leading zeros; undefined where there is none. */
  #count(): number | undefined {
    const digits = this.#take(DIGIT);
    if (digits === "" || (digits.length > 1 && digits.startsWith("0"))) return undefined;
    if (digits.length > DIGITS_MAX) throw new RefusedPattern("bad repetition");
    return Number(digits);
  }

  /** Reads one part; none for a group of flags alone. */
  #atom(): Node[] {
    const next = this.#next();
    const { multiline, dotNewline } = this.#flags;
    switch (next) {
      case "(":
        return this.#group();
      case "[":
        return [{ kind: "rune", matches: this.#class() }];
      case ".":
        return [{ kind: "rune", matches: dotNewline ? (): boolean => true : (rune): boolean => rune !== 10 }];
      case "^":
        return [{ kind: "assert", assertion: multiline ? "line start" : "text start" }];
      case "$":
        return [{ kind: "assert", assertion: multiline ? "line end" : "text end" }];
      case "\\":
        return [this.#escape()];
      default:
        return [{ kind: "rune", matches: this.#folded(equals(next.codePointAt(0) ?? 0)) }];
    }
  }

  #group(): Node[] {
    const before = this.#flags;
    // Flags alone hold to the end of the group around them.
    if (this.#skip("?") && this.#groupHead(before)) return [];
    const inner = this.#alternation();
    if (!this.#skip(")")) throw new RefusedPattern("missing )");
    this.#flags = before;
    return [inner];
  }

  /** Reads a name, or flags and sets them. @returns whether that was all of the group */
  #groupHead(before: Flags): boolean {
    const isNamed = this.#skip("P");
    if (this.#skip("<")) {
      if (this.#take(WORD) === "" || !this.#skip(">")) throw new RefusedPattern("bad name");
      return false;
    }
    if (isNamed) throw new RefusedPattern("unknown group");
    const on = this.#take(FLAG);
    const off = this.#skip("-") ? this.#take(FLAG) : undefined;
    if (off === "") throw new RefusedPattern("unknown group");
    this.#flags = withFlags(before, on, off ?? "");
    if (this.#skip(")")) return true;
    if (!this.#skip(":")) throw new RefusedPattern("unknown group");
    return false;
  }

  #escape(): Node {
    const assertion = entry(ESCAPED_ASSERTIONS, this.#peek());
    if (assertion !== undefined) {
      this.#position++;
      return { kind: "assert", assertion };
    }
    return { kind: "rune", matches: this.#escapedClass() ?? this.#folded(equals(this.#escapedRune())) };
  }

  /** `\Q…\E`: everything between is itself. */
  #literalRun(): Node[] {
    this.#position += 2;
    const parts: Node[] = [];
    for (let next = this.#peek(); next !== undefined; next = this.#peek()) {
      this.#position++;
      if (next === "\\" && this.#skip("E")) break;
      parts.push({ kind: "rune", matches: this.#folded(equals(next.codePointAt(0) ?? 0)) });
    }
    return parts;
  }

  /** Reads `\d`, `\pL` and the like behind the backslash; undefined, and nothing read, for anything else. */
  #escapedClass(): RunePredicate | undefined {
    const letter = this.#peek() ?? "";
    const perl = entry(PERL_CLASSES, letter.toLowerCase());
    if (perl !== undefined) {
      this.#position++;
      return negated(this.#folded(memberOf(perl)), letter !== letter.toLowerCase());
    }
    if (letter !== "p" && letter !== "P") return undefined;
    this.#position++;
    let name = this.#next();
    if (name === "{") for (name = ""; !this.#skip("}");) name += this.#next();
    const negative = name.startsWith("^");
    return negated(this.#folded(unicodeClass(negative ? name.slice(1) : name)), (letter === "P") !== negative);
  }

  #escapedRune(): number {
    const next = this.#next();
    const control = entry(ESCAPED_CONTROLS, next);
    if (control !== undefined) return control;
    if (next === "x") return this.#hexRune();
    if (/[0-7]/.test(next)) {
      // One digit that is not zero would be a back reference, which Go has not.
      let digits = next;
      while (digits.length < 3 && /[0-7]/.test(this.#peek() ?? "")) digits += this.#next();
      if (digits.length === 1 && digits !== "0") throw new RefusedPattern("back reference");
      return Number.parseInt(digits, 8);
    }
    if (/[!-/:-@[-`{-~ \0-\x1f\x7f]/.test(next)) return next.codePointAt(0) ?? 0;
    throw new RefusedPattern("unknown escape");
  }

  #hexRune(): number {
    const isBraced = this.#skip("{");
    const digits = isBraced ? this.#take(HEX) : `${this.#next()}${this.#next()}`;
    const rune = /^[0-9A-Fa-f]+$/.test(digits) ? Number.parseInt(digits, 16) : Infinity;
    if (rune > 0x10ffff || (isBraced && !this.#skip("}"))) throw new RefusedPattern("bad \\x");
    return rune;
  }

  #class(): RunePredicate {
    const negative = this.#skip("^");
    const members: RunePredicate[] = [];
    do {
      members.push(this.#classMember());
    } while (!this.#skip("]"));
    const union: RunePredicate = (rune) => members.some((matches) => matches(rune));
    return negated(union, negative);
  }

  #classMember(): RunePredicate {
    const posix = /^\[:(\^?)(\w+):\]/.exec(this.#characters.slice(this.#position, this.#position + 12).join(""));
    if (posix !== null) {
      const form = entry(POSIX_CLASSES, posix[2]);
      if (form === undefined) throw new RefusedPattern("unknown class");
      this.#position += posix[0].length;
      return negated(this.#folded(memberOf(form)), posix[1] === "^");
    }
    const first = this.#classRune();
    if (typeof first !== "number") return first;
    const after = this.#characters[this.#position + 1];
    if (this.#peek() !== "-" || after === "]" || after === undefined) return this.#folded(equals(first));
    this.#position++;
    const last = this.#classRune();
    if (typeof last !== "number" || last < first) throw new RefusedPattern("bad range");
    return this.#folded((rune) => rune >= first && rune <= last);
  }

  #classRune(): number | RunePredicate {
    const next = this.#next();
    return next === "\\" ? this.#escapedClass() ?? this.#escapedRune() : next.codePointAt(0) ?? 0;
  }

  /** Without regard to case a code point counts when one that differs only by case does; a class is negated after that, as in Go. */
  #folded(matches: RunePredicate): RunePredicate {
    if (!this.#flags.fold) return matches;
    return (rune) => matches(rune) || (caseVariants().get(caseKey(rune)) ?? []).some(matches);
  }

  /** Reads characters as long as they have a form. */
  #take(form: RegExp): string {
    const start = this.#position;
    while (form.test(this.#peek() ?? "")) this.#position++;
    return this.#characters.slice(start, this.#position).join("");
  }

  #peek(): string | undefined {
    return this.#characters[this.#position];
  }

  #next(): string {
    const next = this.#peek();
    if (next === undefined) throw new RefusedPattern("ends too early");
    this.#position++;
    return next;
  }

  #skip(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#position++;
    return true;
  }
}

function withFlags(flags: Flags, on: string, off: string): Flags {
  const value = (letter: string, before: boolean): boolean => (before || on.includes(letter)) && !off.includes(letter);
  return { fold: value("i", flags.fold), multiline: value("m", flags.multiline), dotNewline: value("s", flags.dotNewline) };
}

/** Looks a key up among the record's own: `constructor` is no class. */
function entry<T>(record: Readonly<Record<string, T>>, name: string | undefined): T | undefined {
  return name !== undefined && Object.hasOwn(record, name) ? record[name] : undefined;
}

function equals(expected: number): RunePredicate {
  return (rune) => rune === expected;
}

function memberOf(form: RegExp): RunePredicate {
  return (rune) => form.test(String.fromCodePoint(rune));
}

/** Made once each: it takes milliseconds, and a pattern may name one a thousand times. There are some hundred. */
const unicodeClasses = new Map<string, RunePredicate>();

function unicodeClass(name: string): RunePredicate {
  const known = unicodeClasses.get(name);
  if (known !== undefined) return known;
  const made = makeUnicodeClass(name);
  unicodeClasses.set(name, made);
  return made;
}

function makeUnicodeClass(name: string): RunePredicate {
  if (name === "Any") return () => true;
  if (!/^[A-Z][A-Za-z_]*$/.test(name)) throw new RefusedPattern("unknown class");
  for (const property of [name, `Script=${name}`]) {
    try {
      return memberOf(new RegExp(`^\\p{${property}}$`, "u"));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
  throw new RefusedPattern("unknown class");
}

function negated(matches: RunePredicate, negative: boolean): RunePredicate {
  return negative ? (rune): boolean => !matches(rune) : matches;
}

let variants: ReadonlyMap<number, readonly number[]> | undefined;

/** Groups the code points that differ only by case, `k`, `K` and the Kelvin sign for one; made once, when a pattern asks for it. */
function caseVariants(): ReadonlyMap<number, readonly number[]> {
  if (variants !== undefined) return variants;
  const groups = new Map<number, number[]>();
  for (let rune = 0; rune < CASED_RUNES_END; rune++) {
    const key = caseKey(rune);
    if (key === rune) continue;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [key, rune]);
    else group.push(rune);
  }
  variants = groups;
  return groups;
}

/** Behind the last letter that has a case. */
const CASED_RUNES_END = 0x1ea00;

/** Alone has a capital and does not fold to it: among the code points that Go's table and JavaScript's both know there is no other difference. */
const DOTLESS_I = 0x131;

/** @see Go unicode.SimpleFold */
function caseKey(rune: number): number {
  return rune === DOTLESS_I ? rune : mapped(mapped(rune, "toUpperCase"), "toLowerCase");
}

/** Maps a code point where the result is one too: `ß` has no capital of one code point. */
function mapped(rune: number, how: "toUpperCase" | "toLowerCase"): number {
  if (rune >= 0xd800 && rune <= 0xdfff) return rune;
  const result = Array.from(String.fromCodePoint(rune)[how]());
  return result.length === 1 ? result[0]?.codePointAt(0) ?? rune : rune;
}
