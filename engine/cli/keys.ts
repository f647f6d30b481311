/** `hexbolt keys`: the keys of a bucket, nested buckets among them, one a line. */
import { bucketNames, findBucket } from "./bucket-path.js";
import { EXIT_OK, formatOption, PARSE_OPTION, type Command } from "./command.js";
import type { CursorEntry, ReadBucket } from "../index.js";
import { parseBytes, writeBytes } from "./go-text.js";
import { writeJson } from "./io.js";
import { toFormattedJson } from "./json-bytes.js";
import { viewFile } from "./open-file.js";

/** Steps through all elements of a bucket whose key starts with `prefix`. */
function* elementsOf(bucket: ReadBucket, prefix: Uint8Array, limit: number): Generator<CursorEntry> {
  const cursor = bucket.cursor();
  let left = limit;
  for (let at = prefix.length === 0 ? cursor.first() : cursor.seek(prefix); at !== undefined && left > 0; at = cursor.next(), left--) {
    if (!at.key.subarray(0, prefix.length).equals(prefix)) return;
    yield at;
  }
}

/** The command. */
export const keysCommand: Command = {
  name: "keys", summary: "list the keys of a bucket", usage: "FILE BUCKET...",
  details: "Several BUCKETs are a path: the last one is nested in those before it. Names of nested buckets are listed among the keys.",
  example: "hexbolt keys --prefix user/ app.db users",
  options: [
    formatOption("keys are"),
    { name: "prefix", value: "TEXT", help: "only keys that start with this" },
    { name: "limit", value: "COUNT", help: "at most this many keys" },
    { ...PARSE_OPTION, help: "what BUCKET and --prefix are: ascii-encoded (default) or hex" },
  ],
  minimum: 2, maximum: Infinity,
  run: (args, io) => {
    const path = bucketNames(args, args.positionals.slice(1), "parse-format");
    const prefix = parseBytes(args.text("prefix") ?? "", args.text("parse-format"));
    const limit = args.integer("limit", 0) ?? Infinity;
    return viewFile(io, args.at(0), (tx, out) => {
      for (const { key, value } of elementsOf(findBucket(tx, path), prefix, limit)) {
        if (args.json) writeJson(out, { key: toFormattedJson(key, args.text("format")), bucket: value === undefined });
        else writeBytes(out, key, args.text("format") ?? "auto");
      }
      return EXIT_OK;
    });
  },
};
