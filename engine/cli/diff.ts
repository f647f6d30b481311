/** `hexbolt diff`: compares two databases by content: buckets, keys, values, sequences. Where the pages lie does not matter. */
import { requireListed } from "../base/errors.js";
import type { Cursor, CursorEntry, ReadBucket } from "../index.js";
import { EXIT_FAILED, EXIT_OK, FORMATS, type Command } from "./command.js";
import { formatBytes, quotedOrHex } from "./go-text.js";
import { MemoryOutput, writeJson, type Io, type Output } from "./io.js";
import { toJsonBytes } from "./json-bytes.js";
import { openForReading, type Reading } from "./open-file.js";
import { paintFor, type Paint } from "./terminal.js";

interface Content {
  readonly sequence: bigint;
  cursor(): Cursor;
  bucket(name: Uint8Array): ReadBucket | undefined;
}

/** One difference. `before` and `after` are undefined on the side that lacks the thing. */
interface Difference {
  readonly kind: "key" | "bucket" | "sequence";
  /** Names of the buckets around it, and its own last, unless it is a sequence. */
  readonly path: readonly Buffer[];
  readonly before: Buffer | bigint | undefined;
  readonly after: Buffer | bigint | undefined;
  readonly isOnlyIn: "first" | "second" | undefined;
}

type Report = (difference: Difference) => void;

function side(path: readonly Buffer[], entry: CursorEntry, content: Content, isOnlyIn: "first" | "second", report: Report): void {
  const here = [...path, entry.key];
  const [before, after] = isOnlyIn === "first" ? [entry.value, undefined] : [undefined, entry.value];
  report({ kind: entry.value === undefined ? "bucket" : "key", path: here, before, after, isOnlyIn });
  if (entry.value !== undefined) return;
  const bucket = requireListed(content.bucket(entry.key), entry.key);
  const cursor = bucket.cursor();
  for (let at = cursor.first(); at !== undefined; at = cursor.next()) side(here, at, bucket, isOnlyIn, report);
}

/** Compares what two buckets hold, in key order. */
function compare(a: Content, b: Content, path: readonly Buffer[], report: Report): void {
  if (a.sequence !== b.sequence) report({ kind: "sequence", path, before: a.sequence, after: b.sequence, isOnlyIn: undefined });
  const [cursorA, cursorB] = [a.cursor(), b.cursor()];
  let [atA, atB] = [cursorA.first(), cursorB.first()];
  while (atA !== undefined || atB !== undefined) {
    const order = atA === undefined ? 1 : atB === undefined ? -1 : Buffer.compare(atA.key, atB.key);
    if (order === 0) both(a, b, atA!, atB!, path, report);
    if (order < 0) side(path, atA!, a, "first", report);
    if (order > 0) side(path, atB!, b, "second", report);
    if (order <= 0) atA = cursorA.next();
    if (order >= 0) atB = cursorB.next();
  }
}

function both(a: Content, b: Content, atA: CursorEntry, atB: CursorEntry, path: readonly Buffer[], report: Report): void {
  const here = [...path, atA.key];
  if (atA.value === undefined && atB.value === undefined) {
    compare(requireListed(a.bucket(atA.key), atA.key), requireListed(b.bucket(atB.key), atB.key), here, report);
  } else if (atA.value === undefined || atB.value === undefined) {
    side(path, atA, a, "first", report);
    side(path, atB, b, "second", report);
  } else if (!atA.value.equals(atB.value)) {
    report({ kind: "key", path: here, before: atA.value, after: atB.value, isOnlyIn: undefined });
  }
}

const SHOWN_SIZE = 80;

function shorten(value: Buffer | bigint | undefined, format: string, isFull: boolean): string {
  if (value === undefined) return "";
  if (typeof value === "bigint") return String(value);
  const text = formatBytes(value, format);
  const shown = typeof text === "string" ? text : Buffer.from(text).toString("latin1");
  return isFull || shown.length <= SHOWN_SIZE ? shown : `${shown.slice(0, SHOWN_SIZE)}… (${value.length} bytes)`;
}

function line({ after, before, isOnlyIn, kind, path }: Difference, paint: Paint, format: string, isFull: boolean): string {
  const name = path.map(quotedOrHex).join(" / ");
  if (kind === "sequence") return `~ ${name === "" ? "root" : name}: sequence ${String(before)} -> ${String(after)}\n`;
  const what = kind === "bucket" ? `${name} (bucket)` : name;
  if (isOnlyIn === "first") return `${paint.bad(`- ${what}${kind === "key" ? `: ${shorten(before, format, isFull)}` : ""}`)}\n`;
  if (isOnlyIn === "second") return `${paint.good(`+ ${what}${kind === "key" ? `: ${shorten(after, format, isFull)}` : ""}`)}\n`;
  return `~ ${what}: ${shorten(before, format, isFull)} -> ${shorten(after, format, isFull)}\n`;
}

function jsonOf({ after, before, isOnlyIn, kind, path }: Difference): unknown {
  const value = (given: Buffer | bigint | undefined): unknown => (given instanceof Buffer ? toJsonBytes(given) : given);
  const change = isOnlyIn === "first" ? "removed" : isOnlyIn === "second" ? "added" : "changed";
  return { change, kind, path: path.map(toJsonBytes), before: value(before), after: value(after) };
}

/** Compares two open databases and writes what differs. @returns how many differences there are */
function compareFiles(io: Io, a: Reading, b: Reading, write: (out: Output, difference: Difference) => void): number {
  const isLive = a.isLive || b.isLive;
  return a.db.view((txA) => {
    let memory = new MemoryOutput(io.stdout);
    const count = b.db.view((txB) => {
      memory = new MemoryOutput(io.stdout);
      let found = 0;
      compare(txA, txB, [], (difference) => {
        found++;
        write(isLive ? memory : io.stdout, difference);
      });
      return found;
    });
    io.stdout.write(memory.bytes());
    return count;
  });
}

/** The command. */
export const diffCommand: Command = {
  name: "diff", summary: "compare two databases by content", usage: "FILE FILE",
  details: "Lines begin with - (only in the first), + (only in the second) or ~ (changed). Exit status 0 when the content is the same, 1 when not.",
  example: "hexbolt diff yesterday.db today.db",
  options: [
    { name: "format", short: "f", value: "FORMAT", choices: FORMATS, help: `how values are printed: ${FORMATS.join("|")}; default auto` },
    { name: "full", help: "print long values whole" },
    { name: "quiet", short: "q", help: "print nothing; the exit status tells" },
  ],
  minimum: 2, maximum: 2, statusOfCutOutput: EXIT_FAILED,
  run: (args, io) => {
    const paint = paintFor(io.stdout, io.env);
    const format = args.text("format") ?? "auto";
    const a = openForReading(io, args.at(0));
    try {
      const b = openForReading(io, args.at(1));
      try {
        const count = compareFiles(io, a, b, (out, difference) => {
          if (args.has("quiet")) return;
          if (args.json) writeJson(out, jsonOf(difference));
          else out.write(line(difference, paint, format, args.has("full")));
        });
        return count === 0 ? EXIT_OK : EXIT_FAILED;
      } finally {
        b.close();
      }
    } finally {
      a.close();
    }
  },
};
