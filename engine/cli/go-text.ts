/** Text as Go's fmt prints it, for output that scripts made for bbolt read. @see bbolt cmd/bbolt/utils.go, Go strconv.Quote */
import { isUtf8 } from "node:buffer";
import { createRequire } from "node:module";
import { UsageError } from "./command.js";
import type { Output } from "./io.js";

/** What Go's unicode.IsPrint takes: letters, marks, numbers, punctuation, symbols and the ASCII space. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u;
const NAMED_ESCAPES: Readonly<Record<string, string>> = {
  "\x07": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"',
};

/** The text that bytes are in UTF-8; undefined when they are none. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  return isUtf8(bytes) ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8") : undefined;
}

/** The text that bytes are, when all of it can be printed. */
export function printableText(bytes: Uint8Array): string | undefined {
  const text = utf8Text(bytes);
  return text !== undefined && PRINTABLE.test(text) ? text : undefined;
}

/** Bytes in hexadecimal. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

/** Bytes as text where it can be printed, else in hexadecimal: bbolt's `auto`. */
export function textOrHex(bytes: Uint8Array): string {
  return printableText(bytes) ?? hex(bytes);
}

/** A key as bbolt's `page` shows it: quoted text or hexadecimal. */
export function quotedOrHex(bytes: Uint8Array): string {
  return printableText(bytes) === undefined ? hex(bytes) : quote(bytes);
}

/** Go's %q: text in double quotes, with escapes for what cannot be printed. */
export function quote(bytes: Uint8Array): string {
  let out = '"';
  for (let at = 0; at < bytes.length;) {
    const size = sequenceSize(bytes, at);
    const character = size === 0 ? undefined : utf8Text(bytes.subarray(at, at + size));
    if (character === undefined) {
      out += `\\x${hex(bytes.subarray(at, at + 1))}`;
      at++;
    } else {
      out += escapeCharacter(character);
      at += size;
    }
  }
  return `${out}"`;
}

/** Bytes that the UTF-8 sequence at `at` would take; 0 when none starts there. */
function sequenceSize(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  const size = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  return at + size <= bytes.length ? size : 0;
}

function escapeCharacter(character: string): string {
  const named = NAMED_ESCAPES[character];
  if (named !== undefined) return named;
  if (PRINTABLE.test(character)) return character;
  const point = character.codePointAt(0)!;
  if (point < 0x20 || point === 0x7f) return `\\x${point.toString(16).padStart(2, "0")}`;
  return point < 0x10000 ? `\\u${point.toString(16).padStart(4, "0")}` : `\\U${point.toString(16).padStart(8, "0")}`;
}

/** A line for people, with what a terminal would take for more than text as escapes: the names of files can hold that. */
export function visible(line: string): string {
  return line.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, escapeCharacter);
}

/** Prints bytes in one of the FORMATS. */
export function formatBytes(bytes: Uint8Array, format: string): string | Uint8Array {
  switch (format) {
    case "auto": return textOrHex(bytes);
    case "ascii-encoded": return quote(bytes);
    case "hex": return hex(bytes);
    case "bytes": return bytes;
    case "redacted": return `<redacted len:${bytes.length} sha256:${sha256(bytes)}>`;
    default: throw new UsageError(`formatBytes: unsupported format: ${format}`);
  }
}

/** Writes bytes in one of the FORMATS, and a line break behind them. */
export function writeBytes(out: Output, bytes: Uint8Array, format: string): void {
  out.write(formatBytes(bytes, format));
  out.write("\n");
}

/** Reads an argument in one of the PARSE_FORMATS. */
export function parseBytes(text: string, format = "ascii-encoded"): Buffer {
  if (format === "ascii-encoded") {
    // Node puts it in place of bytes that are no UTF-8.
    if (text.includes("\ufffd")) throw new UsageError(`${JSON.stringify(text)} has bytes that are not UTF-8, or U+FFFD: give it in hexadecimal, see the options of the command that end in -format`);
    return Buffer.from(text, "utf8");
  }
  if (format !== "hex") throw new UsageError(`parseBytes: unsupported format: ${format}`);
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(text)) throw new UsageError(`${JSON.stringify(text)} is not hexadecimal: it takes two digits 0-9a-f a byte`);
  return Buffer.from(text, "hex");
}

/** JSON as Go's MarshalIndent writes it, four spaces a level, with <, > and & escaped as it does, and what stands for bytes that are no text. */
export function goJson(value: unknown): string {
  return JSON.stringify(value, undefined, 4).replace(/[<>&\u2028\u2029\ufffd]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A time as Go's time.Duration prints it: 1.5s, 68.523µs, 2m3s. */
export function goDuration(nanoseconds: number): string {
  const ns = Math.round(nanoseconds);
  if (ns === 0) return "0s";
  if (ns < 1_000) return `${ns}ns`;
  if (ns < 1_000_000) return `${trimmed(ns, 1_000, 3)}µs`;
  if (ns < 1_000_000_000) return `${trimmed(ns, 1_000_000, 6)}ms`;
  const minutes = Math.floor(ns / 60_000_000_000);
  const seconds = `${trimmed(ns % 60_000_000_000, 1_000_000_000, 9)}s`;
  if (minutes === 0) return seconds;
  return minutes < 60 ? `${minutes}m${seconds}` : `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}`;
}

function trimmed(value: number, unit: number, digits: number): string {
  const fraction = String(value % unit).padStart(digits, "0").replace(/0+$/, "");
  return `${Math.floor(value / unit)}${fraction === "" ? "" : `.${fraction}`}`;
}

/** Loads node:crypto when it is needed: to import it takes two milliseconds, as long as to open a file and read a value. */
function sha256(bytes: Uint8Array): string {
  const { createHash } = createRequire(import.meta.url)("node:crypto") as typeof import("node:crypto");
  return createHash("sha256").update(bytes).digest("hex");
}
