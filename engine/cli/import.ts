/**
 * `hexbolt import`: makes a database of JSON lines, or adds them to one. A new file appears whole or not at all; into a file that is there
 * everything goes in one transaction, or nothing.
 */
import { isUtf8 } from "node:buffer";
import { statSync } from "node:fs";
import { MAX_PAGE_SIZE, MIN_PAGE_SIZE } from "../format/constants.js";
import { isReadablePageSize } from "../format/page-size.js";
import { BoltError, open, type Bucket, type DB, type Tx } from "../index.js";
import { EXIT_OK, Failure, UsageError, type Command } from "./command.js";
import { EXPORT_VERSION } from "./export.js";
import { writeJson, type Io } from "./io.js";
import { fromJsonBytes } from "./json-bytes.js";
import { linesOf } from "./lines.js";
import { withNewFile } from "./new-file.js";
import { openForWriting, requireInput } from "./open-file.js";
import { Progress } from "./terminal.js";

/** Bytes of lines that one transaction takes of a new file. */
const BATCH_SIZE = 8 << 20;

/** What was made: keys that were not there, buckets that were not there, values in the place of others. */
interface Counts {
  keys: number;
  buckets: number;
  replaced: number;
}

type Item =
  | { readonly kind: "header"; readonly pageSize: number | undefined }
  | { readonly kind: "bucket"; readonly path: readonly Buffer[]; readonly sequence: bigint | undefined }
  | { readonly kind: "pair"; readonly path: readonly Buffer[]; readonly key: Buffer; readonly value: Buffer };

/** What lines may hold: each form begins with the member that its lines must have. */
const FORMS: readonly (readonly string[])[] = [["hexbolt", "pageSize"], ["bucket", "sequence"], ["bucket", "key", "value"]];
const FORMS_TEXT = 'it has "bucket", "key" and "value", or "bucket" and "sequence", or "hexbolt" and "pageSize"';

/** @throws Error for a line with members of which some would have to be passed over */
function requireForm(line: object): void {
  const names = Object.keys(line);
  if (FORMS.some((form) => names.includes(form[0]!) && names.every((name) => form.includes(name)))) return;
  const unknown = names.find((name) => !FORMS.flat().includes(name));
  if (unknown !== undefined) throw new Error(`a line has no ${JSON.stringify(unknown)}; ${FORMS_TEXT}`);
  throw new Error(`${names.map((name) => JSON.stringify(name)).join(", ") || JSON.stringify(line)} is no line; ${FORMS_TEXT}`);
}

function parseItem(line: Buffer): Item {
  if (!isUtf8(line)) throw new Error('it is no UTF-8: bytes that are no text are given as {"hex": "…"}');
  const value: unknown = JSON.parse(line.toString("utf8"));
  if (typeof value !== "object" || value === null) throw new Error("a line must be an object");
  // What else a header has is for those to know that read its version.
  if ("hexbolt" in value && value.hexbolt !== EXPORT_VERSION) throw new Error(`the lines are of version ${JSON.stringify(value.hexbolt)}, this program reads version ${EXPORT_VERSION}`);
  requireForm(value);
  if ("hexbolt" in value) {
    return { kind: "header", pageSize: "pageSize" in value ? pageSizeOf(value.pageSize) : undefined };
  }
  if ("value" in value && !("key" in value)) throw new Error('a line with "value" needs "key"');
  if (!("bucket" in value) || !Array.isArray(value.bucket)) throw new Error('a line needs "bucket": [names]');
  const path = value.bucket.map((name: unknown) => fromJsonBytes(name, "a bucket's name"));
  if ("key" in value) {
    if (path.length === 0) throw new Error("a pair outside of every bucket cannot be written");
    if (!("value" in value)) throw new Error('a line with "key" needs "value"');
    return { kind: "pair", path, key: fromJsonBytes(value.key, '"key"'), value: fromJsonBytes(value.value, '"value"') };
  }
  if (path.length === 0) throw new Error('"bucket" must name one');
  if (!("sequence" in value)) return { kind: "bucket", path, sequence: undefined };
  if (typeof value.sequence !== "string" || !/^\d{1,20}$/.test(value.sequence)) throw new Error('"sequence" must be a string of digits');
  return { kind: "bucket", path, sequence: BigInt(value.sequence) };
}

/** The page size of the exported file. */
function pageSizeOf(value: unknown): number {
  if (typeof value !== "number" || !isReadablePageSize(value)) throw new Error('"pageSize" must be a power of two, as that of a file');
  return value;
}

/** The page size of a file like the exported one: where that can be read and not made, the nearest, and somebody is told. */
function nearestSize(exported: number, io: Io): number {
  const size = Math.min(MAX_PAGE_SIZE, Math.max(MIN_PAGE_SIZE, exported));
  if (size !== exported) io.stderr.write(`hexbolt: the exported file has pages of ${exported} bytes, which cannot be made: the new one has pages of ${size} bytes\n`);
  return size;
}

/** Writes items into a transaction; keeps the last bucket open, since lines of one bucket follow each other. */
class Writer {
  readonly #tx: Tx;
  readonly #counts: Counts;
  #path: readonly Buffer[] = [];
  #bucket: Bucket | undefined;

  constructor(tx: Tx, counts: Counts) {
    this.#tx = tx;
    this.#counts = counts;
  }

  write(item: Item): void {
    if (item.kind === "header") return;
    const bucket = this.#open(item.path);
    if (item.kind === "pair") {
      this.#counts[bucket.has(item.key) ? "replaced" : "keys"]++;
      bucket.put(item.key, item.value);
    } else if (item.sequence !== undefined && item.sequence > bucket.sequence) {
      // A bucket that is there may have given higher numbers away: they must not come a second time.
      bucket.setSequence(item.sequence);
    }
  }

  #open(path: readonly Buffer[]): Bucket {
    const known = this.#bucket;
    if (known !== undefined && path.length === this.#path.length && path.every((name, i) => name.equals(this.#path[i]!))) return known;
    let holder: Tx | Bucket = this.#tx;
    for (const name of path) {
      const found: Bucket | undefined = holder.bucket(name);
      if (found === undefined) this.#counts.buckets++;
      holder = found ?? holder.createBucket(name);
    }
    this.#path = path;
    return this.#bucket = holder as Bucket;
  }
}

/** One line; an error about it names it. */
interface Line {
  readonly item: Item;
  readonly size: number;
  readonly fail: (error: unknown) => Failure;
}

/** Whether a line holds nothing but what JSON takes for space: of an empty line that ends as on Windows, a carriage return is left. */
function isBlank(line: Buffer): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}

/** Reads lines and hands them on. */
function* itemsOf(path: string, io: Io, progress: Progress): Generator<Line> {
  let number = 0;
  let byteCount = 0;
  let isEmpty = true;
  for (const line of linesOf(path, io)) {
    number++;
    byteCount += line.length + 1;
    progress.show(byteCount);
    if (isBlank(line)) continue;
    isEmpty = false;
    const place = number;
    const fail = (error: unknown): Failure => new Failure("BAD_LINE", `line ${place}: ${error instanceof Error ? error.message : String(error)}`, error instanceof BoltError ? error.detail : undefined);
    let item: Item;
    try {
      item = parseItem(line);
    } catch (error) {
      throw fail(error);
    }
    yield { item, size: line.length, fail };
  }
  if (isEmpty) throw new Failure("NO_LINES", "there is not a single line", "every export has one, also of an empty database: did the command before this one fail?");
}

type Items = ReturnType<typeof itemsOf>;

function writeLine(writer: Writer, { item, fail }: Line): void {
  try {
    writer.write(item);
  } catch (error) {
    throw fail(error);
  }
}

/** Writes items until the batch is full. @returns false when there are no more */
function writeBatch(tx: Tx, items: Items, limit: number, counts: Counts): boolean {
  const writer = new Writer(tx, counts);
  for (let size = 0; size < limit;) {
    const next = items.next();
    if (next.done === true) return false;
    writeLine(writer, next.value);
    size += next.value.size;
  }
  return true;
}

function fill(db: DB, items: Items, first: Line | undefined, counts: Counts): void {
  if (first !== undefined) db.update((tx) => writeLine(new Writer(tx, counts), first));
  while (db.update((tx) => writeBatch(tx, items, BATCH_SIZE, counts)));
}

async function importNew(io: Io, path: string, items: Items, pageSize: number | undefined, counts: Counts): Promise<void> {
  await withNewFile(io, path, (temporary) => {
    // The header, when there is one, is the first line, and must be known before the file is made.
    const first = items.next();
    const line = first.done === true ? undefined : first.value;
    const exported = line?.item.kind === "header" ? line.item.pageSize : undefined;
    const size = pageSize ?? (exported === undefined ? undefined : nearestSize(exported, io));
    const db = open(temporary, { noSync: true, pageSize: size });
    try {
      fill(db, items, line, counts);
    } finally {
      db.close();
    }
  });
}

/** The command. */
export const importCommand: Command = {
  name: "import", summary: "make a database of JSON lines", usage: "FILE [LINES]",
  details: "LINES is a file that `hexbolt export` has written, or - for the standard input (the default).\nFILE must not be there yet; with --merge it must, and gets all lines in one transaction or none of them.",
  example: "hexbolt import copy.db app.jsonl",
  options: [
    { name: "merge", help: "add to a database that is there; keys that are in both get the new value, buckets the higher sequence" },
    { name: "page-size", value: "BYTES", help: "of a new file; default: as the exported one, or the nearest that can be made, else 4096" },
  ],
  minimum: 1, maximum: 2, makesFile: true,
  run: async (args, io) => {
    const path = args.at(0);
    const source = args.positionals[1] ?? "-";
    if (source !== "-") requireInput(source);
    const pageSize = args.pageSize("page-size");
    if (pageSize !== undefined && args.has("merge")) throw new UsageError("--page-size is for a new file");
    const progress = new Progress(io, "importing", source === "-" ? 0 : statSync(source).size, " bytes");
    const items = itemsOf(source, io, progress);
    const counts: Counts = { keys: 0, buckets: 0, replaced: 0 };
    try {
      if (args.has("merge")) {
        const db = openForWriting(path);
        try {
          db.update((tx) => writeBatch(tx, items, Infinity, counts));
        } finally {
          db.close();
        }
      } else {
        await importNew(io, path, items, pageSize, counts);
      }
    } finally {
      items.return(undefined);
      progress.end();
    }
    if (args.json) writeJson(io.stdout, counts);
    else io.stdout.write(`${counts.keys} keys, ${counts.buckets} buckets${counts.replaced === 0 ? "" : `, ${counts.replaced} ${counts.replaced === 1 ? "value" : "values"} replaced`}\n`);
    return EXIT_OK;
  },
};
