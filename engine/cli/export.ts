/**
 * `hexbolt export`: all content as JSON lines, exactly: what `import` makes of them has the same keys, values, buckets and sequences.
 *
 *     {"hexbolt":1,"pageSize":4096}
 *     {"bucket":["users"],"sequence":"7"}
 *     {"bucket":["users"],"key":"alice","value":{"hex":"00ff"}}
 */
import { requireListed } from "../base/errors.js";
import { ContentBound } from "../format/content-bound.js";
import type { Cursor, CursorEntry, ReadBucket, ReadTx } from "../index.js";
import { bucketNames, findBucket } from "./bucket-path.js";
import { EXIT_OK, OUTPUT_OPTION, PARSE_OPTION, type Command } from "./command.js";
import { writeJson, type Io, type Output } from "./io.js";
import { toJsonBytes, type JsonBytes } from "./json-bytes.js";
import { withNewText } from "./new-file.js";
import { requireDatabase, usedSize, viewFile } from "./open-file.js";
import { Progress } from "./terminal.js";

/** The version of the lines' form. */
export const EXPORT_VERSION = 1;

/** A bucket, or a transaction for the bucket of the top-level ones. */
type Content = Pick<ReadBucket, "bucket" | "cursor" | "sequence">;

/** A bucket that is being written. */
interface Level {
  readonly content: Content;
  readonly cursor: Cursor;
  at: CursorEntry | undefined;
}

/** Goes on to the next entry: behind all that is to be written of this one, for in a damaged file there may be none. */
function passEntry(level: Level | undefined): void {
  if (level !== undefined) level.at = level.cursor.next();
}

/** Writes a bucket with all in it, depth first. Buckets may nest deeper than calls can: `levels` are those from the first one down. */
function exportContent(content: Content, path: JsonBytes[], bound: ContentBound, out: Output): void {
  const levels: Level[] = [];
  // What every line of the present bucket begins with; none while it is another's.
  let begin: string | undefined;
  const enter = (entered: Content): void => {
    if (path.length > 0) writeJson(out, entered.sequence === 0n ? { bucket: path } : { bucket: path, sequence: entered.sequence });
    const cursor = entered.cursor();
    levels.push({ content: entered, cursor, at: cursor.first() });
    begin = undefined;
  };
  enter(content);
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    const { at } = level;
    if (at === undefined) {
      levels.pop();
      path.pop();
      begin = undefined;
      passEntry(levels.at(-1));
      continue;
    }
    bound.take(at.key.length, at.value?.length ?? 0);
    if (at.value === undefined) {
      const nested = requireListed(level.content.bucket(at.key), at.key);
      path.push(toJsonBytes(at.key));
      enter(nested);
    } else {
      begin ??= `{"bucket":${JSON.stringify(path)},"key":`;
      out.write(`${begin}${JSON.stringify(toJsonBytes(at.key))},"value":${JSON.stringify(toJsonBytes(at.value))}}\n`);
      passEntry(level);
    }
  }
}

function exportTx(tx: ReadTx, names: readonly Buffer[], out: Output): number {
  const content = names.length === 0 ? tx : findBucket(tx, names);
  writeJson(out, { hexbolt: EXPORT_VERSION, pageSize: tx.db.pageSize });
  exportContent(content, names.map(toJsonBytes), new ContentBound(tx.size), out);
  return EXIT_OK;
}

/** The command. */
export const exportCommand: Command = {
  name: "export", summary: "write all content as JSON lines", usage: "FILE [BUCKET...]",
  details: "Exact: `hexbolt import` makes a database with the same content of it. Bytes that are not UTF-8 appear as {\"hex\": \"…\"}.\nWith BUCKETs only that bucket is written.",
  example: "hexbolt export app.db > app.jsonl",
  options: [{ ...OUTPUT_OPTION, help: "write to a new file instead of the standard output; with --json that tells which" }, PARSE_OPTION],
  minimum: 1, maximum: Infinity, makesFile: true,
  run: async (args, io) => {
    const names = bucketNames(args, args.positionals.slice(1), "parse-format");
    requireDatabase(args.at(0));
    const write = (target: Io): number => {
      // Of lines that go to the same terminal nobody needs to be told how far they are.
      const progress = target.stdout.isTerminal ? undefined : new Progress(io, "exporting", usedSize(args.at(0)));
      try {
        return viewFile(target, args.at(0), (tx, out) => exportTx(tx, names, out), progress);
      } finally {
        progress?.end();
      }
    };
    const path = args.text("output");
    return path === undefined ? write(io) : withNewText(args, io, path, write);
  },
};
