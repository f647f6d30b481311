/**
 * containerd's filters. A filter is selectors joined by commas, all of which must match; of several filters one must.
 *
 *     selectors := selector ("," selector)*
 *     selector  := fieldpath (("==" | "!=" | "~=") value)?        without an operator: the field is present
 *     fieldpath := field ("." field)*                            name, target.digest, target.mediatype, labels.KEY, annotations.KEY; of a lease id, labels.KEY
 *     field     := quoted | [A-Za-z0-9_]+
 *     value     := quoted | [^\s,]+
 *     quoted    := "…" with Go's escapes; after ~= also /…/ and |…|
 *
 * Patterns run on an automaton (go-regexp.ts): a pattern from a client costs time in proportion to the text, never more. One that does not compile
 * matches nothing, as in containerd; one that would only be too large for the automaton is INVALID.
 *
 * @see containerd filters/parser.go, filters/scanner.go, metadata/adaptors.go
 */
import { REPLACEMENT } from "./decode.js";
import { invalid } from "./errors.js";
import { compileGoRegexp } from "./go-regexp.js";
import type { Lease } from "./messages.js";
import type { Image } from "./types.js";

/** Tells whether something is asked for. */
export type Filter<T> = (item: T) => boolean;

/** Gives the value that a field path names; undefined where the field is absent. */
type FieldOf<T> = (item: T, path: readonly string[]) => string | undefined;

/**
 * Parses filters of images.
 * @returns one filter that matches what any of them matches; without filters, everything
 * @throws ImagesError INVALID, showing the place
 */
export function parseFilters(filters: readonly string[]): Filter<Image> {
  return parseFiltersOn(imageField, filters);
}

/** Parses filters of leases, whose fields are id and labels.KEY, as `parseFilters` does. */
export function parseLeaseFilters(filters: readonly string[]): Filter<Lease> {
  return parseFiltersOn(leaseField, filters);
}

function parseFiltersOn<T>(fieldOf: FieldOf<T>, filters: readonly string[]): Filter<T> {
  if (filters.length === 0) return () => true;
  const size = filters.reduce((sum, text) => sum + text.length, 0);
  if (filters.length > FILTERS_MAX || size > CHARACTERS_MAX) throw invalid(`${filters.length} filters of ${size} characters: at most ${FILTERS_MAX} of ${CHARACTERS_MAX} are taken`);
  const parsed = filters.map((text) => (text === "" ? (): boolean => true : new FilterParser(fieldOf, text).parse()));
  return (item) => parsed.some((matches) => matches(item));
}

/** Filters of one question, and the characters of all of them: they are parsed in one turn of the event loop. */
const FILTERS_MAX = 1000;
const CHARACTERS_MAX = 65_536;

/** Go's unicode.IsSpace. */
const SPACE = /[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/u;
const FIELD = /[A-Za-z0-9_]/;
const VALUE = /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u;
const OPERATORS: ReadonlySet<string> = new Set(["==", "!=", "~="]);
/** One-letter escapes; the quote itself is one too. */
const ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v", "\\": "\\",
};

/** A recursive descent over the characters of one filter; works on code points, so that a position is a character. */
class FilterParser<T> {
  readonly #fieldOf: FieldOf<T>;
  readonly #characters: readonly string[];
  #position = 0;

  constructor(fieldOf: FieldOf<T>, text: string) {
    this.#fieldOf = fieldOf;
    this.#characters = Array.from(text);
  }

  parse(): Filter<T> {
    // Go's scanner cannot tell U+FFFD from bytes that are no UTF-8; half a surrogate pair becomes it on the way to a server.
    const illegal = this.#characters.findIndex((character) => character.toWellFormed() === REPLACEMENT);
    if (illegal >= 0) {
      this.#position = illegal;
      throw this.#fault("illegal character");
    }
    const selectors = [this.#selector()];
    while (this.#peek() === ",") {
      this.#position++;
      selectors.push(this.#selector());
    }
    if (this.#peek() !== undefined) throw this.#fault("unexpected input");
    return (item) => selectors.every((matches) => matches(item));
  }

  #selector(): Filter<T> {
    const fieldOf = this.#fieldOf;
    const path = [this.#field()];
    while (this.#peek() === ".") {
      this.#position++;
      path.push(this.#field());
    }
    if (this.#peek() === undefined || this.#peek() === ",") return (item) => fieldOf(item, path) !== undefined;
    const operator = this.#operator();
    const value = this.#value(operator);
    if (operator === "==") return (item) => fieldOf(item, path) === value;
    if (operator === "!=") return (item) => (fieldOf(item, path) ?? "") !== value;
    const matches = compileGoRegexp(value) ?? ((): boolean => false);
    return (item) => matches(fieldOf(item, path) ?? "");
  }

  #field(): string {
    this.#skipSpace();
    const first = this.#peek();
    if (first === '"') return this.#quoted();
    const field = this.#take(FIELD);
    if (field === "") throw this.#fault("expected field or quoted");
    return field;
  }

  #operator(): string {
    this.#skipSpace();
    const start = this.#position;
    const operator = this.#take(/[=!~]/);
    if (OPERATORS.has(operator)) return operator;
    this.#position = start;
    throw this.#fault(operator === "" ? 'expected an operator ("=="|"!="|"~=")' : `unsupported operator "${operator}"`);
  }

  #value(operator: string): string {
    this.#skipSpace();
    const first = this.#peek();
    if (first === '"' || (operator === "~=" && (first === "/" || first === "|"))) return this.#quoted();
    if (first === "/" || first === "|") throw this.#fault("invalid quote encountered");
    if (first === undefined || ".,=!~\0".includes(first)) throw this.#fault("expected value or quoted");
    // The first character of a value may be any other, a control character or an unassigned one too, as in containerd.
    let value = first;
    this.#position++;
    for (let next = this.#peek(); next !== undefined && next !== "," && VALUE.test(next); next = this.#peek()) {
      value += next;
      this.#position++;
    }
    return value;
  }

  /** Reads a quoted text. Escapes name bytes, so bytes are gathered and decoded at the end. */
  #quoted(): string {
    const quote = this.#peek();
    const pieces: Buffer[] = [];
    this.#position++;
    for (;;) {
      const next = this.#peek();
      if (next === undefined || next === "\n" || next === "\0") throw this.#fault("quoted literal not terminated");
      this.#position++;
      if (next === quote) return Buffer.concat(pieces).toString();
      pieces.push(next === "\\" ? this.#escape(quote ?? "") : Buffer.from(next));
    }
  }

  #escape(quote: string): Buffer {
    const kind = this.#peek() ?? "";
    const literal = kind === quote ? quote : Object.hasOwn(ESCAPES, kind) ? ESCAPES[kind] : undefined;
    if (literal !== undefined) {
      this.#position++;
      return Buffer.from(literal);
    }
    if (/[0-7]/.test(kind)) {
      const byte = this.#digits(/[0-7]/, 3, 8);
      if (byte > 0xff) throw this.#fault("illegal numeric escape sequence");
      return Buffer.from([byte]);
    }
    const length = kind === "x" ? 2 : kind === "u" ? 4 : kind === "U" ? 8 : 0;
    if (length === 0) throw this.#fault("illegal escape sequence");
    this.#position++;
    const code = this.#digits(/[0-9A-Fa-f]/, length, 16);
    if (kind === "x") return Buffer.from([code]);
    // Go's int32: what is above it is negative there, and becomes U+FFFD, as surrogates do.
    if (code > 0x10ffff && code <= 0x7fffffff) throw this.#fault("illegal numeric escape sequence");
    return Buffer.from(code > 0x10ffff ? REPLACEMENT : String.fromCodePoint(code));
  }

  #digits(form: RegExp, count: number, base: number): number {
    const digits = this.#characters.slice(this.#position, this.#position + count);
    if (digits.length < count || !digits.every((digit) => form.test(digit))) {
      throw this.#fault("illegal numeric escape sequence");
    }
    this.#position += count;
    return Number.parseInt(digits.join(""), base);
  }

  #take(form: RegExp): string {
    const start = this.#position;
    while (form.test(this.#peek() ?? "")) this.#position++;
    return this.#characters.slice(start, this.#position).join("");
  }

  #skipSpace(): void {
    while (SPACE.test(this.#peek() ?? "")) this.#position++;
  }

  #peek(): string | undefined {
    return this.#characters[this.#position];
  }

  #fault(message: string): Error {
    const before = this.#characters.slice(0, this.#position).join("");
    const after = this.#characters.slice(this.#position + 1).join("");
    const place = this.#position < this.#characters.length ? `${before} >|${this.#peek() ?? ""}|< ${after}` : before;
    return invalid(`filter: [${place}]: ${message}`);
  }
}

/** An empty name, digest or media type counts as absent. */
function imageField(image: Image, path: readonly string[]): string | undefined {
  const [first, second] = path;
  switch (first) {
    case "name":
      return image.name || undefined;
    case "target":
      return (second === "digest" ? image.target.digest : second === "mediatype" ? image.target.mediaType : "") || undefined;
    case "labels":
      return entryOf(image.labels, path);
    case "annotations":
      return entryOf(image.target.annotations, path);
    default:
      return undefined;
  }
}

function leaseField(lease: Lease, path: readonly string[]): string | undefined {
  if (path[0] === "labels") return entryOf(lease.labels, path);
  return path[0] === "id" ? lease.id || undefined : undefined;
}

/** A key may hold dots without being quoted: the rest of the path is the key. */
function entryOf(strings: Readonly<Record<string, string>> | undefined, path: readonly string[]): string | undefined {
  const key = path.slice(1).join(".");
  return strings !== undefined && Object.hasOwn(strings, key) ? strings[key] : undefined;
}
