/** `hexbolt diff`: compares two databases by content: buckets, keys, values, sequences. Where the pages lie does not matter. */
import { requireListed } from "../base/errors.js";
import { ContentBound } from "../format/content-bound.js";
import type { Cursor, CursorEntry, ReadBucket, ReadTx } from "../index.js";
import { pathOf, type Place } from "./bucket-path.js";
import { EXIT_FAILED, EXIT_OK, formatOption, type Command } from "./command.js";
import { formatBytes, quotedOrHex } from "./go-text.js";
import { writeJson, type Io, type Output } from "./io.js";
import { toFormattedJson, toJsonBytes } from "./json-bytes.js";
import { named, openForReading, writeCurrent, type Reading } from "./open-file.js";
import { paintFor, type Paint } from "./terminal.js";

/** A bucket, or a transaction for the bucket of the top-level ones. */
type Content = Pick<ReadBucket, "bucket" | "cursor" | "sequence">;

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

/** Reads one of the two files; an error says which of them it is about. */
function reading<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw named(error, path);
  }
}

/** One of the two contents that are compared, and how far. */
class Side {
  readonly content: Content;
  readonly #path: string;
  readonly #cursor: Cursor;
  readonly #bound: ContentBound;
  at: CursorEntry | undefined;

  constructor(path: string, content: Content, bound: ContentBound) {
    this.content = content;
    this.#path = path;
    this.#bound = bound;
    this.#cursor = content.cursor();
    this.at = reading(path, () => this.#cursor.first());
  }

  /** Gives what is in the present entry, if it is a bucket; else it passes the entry. */
  enter(): Side | undefined {
    return reading(this.#path, () => {
      const { key, value } = this.at!;
      this.#bound.take(key.length, value?.length ?? 0);
      if (value === undefined) return new Side(this.#path, requireListed(this.content.bucket(key), key), this.#bound);
      this.at = this.#cursor.next();
      return undefined;
    });
  }

  /** Passes the present entry: behind all that is to be said of it, for in a damaged file there may be no next one. */
  pass(): void {
    this.at = reading(this.#path, () => this.#cursor.next());
  }
}

/** Two buckets of one path, or one that the other side has not. */
interface Level {
  readonly a: Side | undefined;
  readonly b: Side | undefined;
  readonly place: Place;
}

/** Below 0: the first side's entry has none beside it; above 0: the second's. A bucket is none beside a value. */
function orderOf(a: CursorEntry | undefined, b: CursorEntry | undefined): number {
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  const order = Buffer.compare(a.key, b.key);
  return order === 0 && (a.value === undefined) !== (b.value === undefined) ? -1 : order;
}

/** Compares the next entries of a level and passes values. @returns the level below, where they are buckets */
function step({ a, b, place: around }: Level, report: Report): Level | undefined {
  const order = orderOf(a?.at, b?.at);
  const [atA, atB] = [order <= 0 ? a?.at : undefined, order >= 0 ? b?.at : undefined];
  const { key, value } = (atA ?? atB)!;
  const place: Place = { name: key, around };
  const [before, after] = [atA?.value, atB?.value];
  if (order !== 0) report({ kind: value === undefined ? "bucket" : "key", path: pathOf(place), before, after, isOnlyIn: order < 0 ? "first" : "second" });
  else if (before !== undefined && !before.equals(after!)) report({ kind: "key", path: pathOf(place), before, after, isOnlyIn: undefined });
  const below: Level = { a: atA && a?.enter(), b: atB && b?.enter(), place };
  return below.a === undefined && below.b === undefined ? undefined : below;
}

function compareSequences({ a, b, place }: Level, report: Report): void {
  if (a === undefined || b === undefined || a.content.sequence === b.content.sequence) return;
  report({ kind: "sequence", path: pathOf(place), before: a.content.sequence, after: b.content.sequence, isOnlyIn: undefined });
}

/** Compares what two databases hold, in key order, each bucket's content behind its name. Buckets may nest deeper than calls can. */
function compare(a: ReadTx, b: ReadTx, report: Report): void {
  const levels: Level[] = [];
  let level: Level | undefined = { a: new Side(a.db.path, a, new ContentBound(a.size)), b: new Side(b.db.path, b, new ContentBound(b.size)), place: undefined };
  while (level !== undefined) {
    compareSequences(level, report);
    levels.push(level);
    level = undefined;
    for (let top = levels.at(-1); top !== undefined && level === undefined; top = levels.at(-1)) {
      if (top.a?.at !== undefined || top.b?.at !== undefined) {
        level = step(top, report);
        continue;
      }
      levels.pop();
      const above = levels.at(-1);
      if (top.a !== undefined) above?.a?.pass();
      if (top.b !== undefined) above?.b?.pass();
    }
  }
}

const SHOWN_SIZE = 80;

function shorten(value: Buffer | bigint | undefined, format: string, isFull: boolean): string {
  if (value === undefined) return "";
  if (typeof value === "bigint") return String(value);
  const text = formatBytes(value, format);
  const shown = typeof text === "string" ? text : Buffer.from(text).toString("latin1");
  // Half a hash cannot be compared.
  return isFull || format === "redacted" || shown.length <= SHOWN_SIZE ? shown : `${shown.slice(0, SHOWN_SIZE)}… (${value.length} bytes)`;
}

function line({ after, before, isOnlyIn, kind, path }: Difference, paint: Paint, format: string, isFull: boolean): string {
  const name = path.map(quotedOrHex).join(" / ");
  if (kind === "sequence") return `~ ${name === "" ? "root" : name}: sequence ${String(before)} -> ${String(after)}\n`;
  const what = kind === "bucket" ? `${name} (bucket)` : name;
  if (isOnlyIn === "first") return `${paint.bad(`- ${what}${kind === "key" ? `: ${shorten(before, format, isFull)}` : ""}`)}\n`;
  if (isOnlyIn === "second") return `${paint.good(`+ ${what}${kind === "key" ? `: ${shorten(after, format, isFull)}` : ""}`)}\n`;
  return `~ ${what}: ${shorten(before, format, isFull)} -> ${shorten(after, format, isFull)}\n`;
}

function jsonOf({ after, before, isOnlyIn, kind, path }: Difference, format: string | undefined): unknown {
  const value = (given: Buffer | bigint | undefined): unknown => (given instanceof Buffer ? toFormattedJson(given, format) : given);
  const change = isOnlyIn === "first" ? "removed" : isOnlyIn === "second" ? "added" : "changed";
  return { change, kind, path: path.map(toJsonBytes), before: value(before), after: value(after) };
}

/** Compares two open databases and writes what differs. @returns how many differences there are */
function compareFiles(io: Io, a: Reading, b: Reading, write: (out: Output, difference: Difference) => void): number {
  return writeCurrent(io, a.isLive || b.isLive, (begin) => a.db.view((txA) => b.db.view((txB) => {
    const out = begin();
    let count = 0;
    compare(txA, txB, (difference) => {
      count++;
      write(out, difference);
    });
    return count;
  })));
}

/** The command. */
export const diffCommand: Command = {
  name: "diff", summary: "compare two databases by content", usage: "FILE FILE",
  details: "Lines begin with - (only in the first), + (only in the second) or ~ (changed). Exit status 0 when the content is the same, 1 when not.",
  example: "hexbolt diff yesterday.db today.db",
  options: [
    formatOption("values are"),
    { name: "full", help: "print long values whole" },
    { name: "quiet", short: "q", help: "print nothing; the exit status tells" },
  ],
  minimum: 2, maximum: 2, statusOfCutOutput: EXIT_FAILED,
  run: (args, io) => {
    const paint = paintFor(io.stdout, io.env);
    const format = args.text("format");
    const a = reading(args.at(0), () => openForReading(io, args.at(0)));
    try {
      const b = reading(args.at(1), () => openForReading(io, args.at(1)));
      try {
        const count = compareFiles(io, a, b, (out, difference) => {
          if (args.has("quiet")) return;
          if (args.json) writeJson(out, jsonOf(difference, format));
          else out.write(line(difference, paint, format ?? "auto", args.has("full")));
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
