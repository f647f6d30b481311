/** `hexbolt get`: the value of one key. */
import { bucketNames, findBucket } from "./bucket-path.js";
import { BUCKET_OPTION, EXIT_OK, Failure, formatOption, PARSE_OPTION, UsageError, type Command } from "./command.js";
import { hex, parseBytes, quote, textOrHex, writeBytes } from "./go-text.js";
import { writeJson } from "./io.js";
import { toFormattedJson, toJsonBytes } from "./json-bytes.js";
import { viewFile } from "./open-file.js";
import type { ReadBucket } from "../index.js";
import { didYouMean, SUGGESTION_LIMIT } from "./suggest.js";

/** The error for a key that is not there, in bbolt's words. */
export function keyNotFound(bucket: Pick<ReadBucket, "keys" | "bucket">, key: Buffer): Failure {
  const hint = bucket.bucket(key) !== undefined ? "it is a bucket: `hexbolt keys` lists what is in it" : suggestion(bucket, key);
  return new Failure("KEY_NOT_FOUND", `Error key not found for key: ${quote(key)} hex: "${hex(key)}"`, hint);
}

function suggestion(bucket: Pick<ReadBucket, "keys">, key: Buffer): string | undefined {
  const near = didYouMean(textOrHex(key), [...bucket.keys({ limit: SUGGESTION_LIMIT })].map(textOrHex));
  return near === "" ? undefined : near.slice(2);
}

/** The command. */
export const getCommand: Command = {
  name: "get", summary: "print the value of a key", usage: "FILE BUCKET... KEY",
  details: "Several BUCKETs are a path: the last one is nested in those before it.\nWith --raw the value is written as it is, without a line break behind it.",
  example: "hexbolt get --format hex app.db users alice",
  options: [
    formatOption("the value is"),
    { ...PARSE_OPTION, help: "what KEY is: ascii-encoded (default) or hex" },
    BUCKET_OPTION,
    { name: "raw", help: "the value's bytes and nothing else" },
  ],
  minimum: 3, maximum: Infinity,
  run: (args, io) => {
    const key = parseBytes(args.positionals.at(-1)!, args.text("parse-format"));
    if (args.has("raw") && (args.has("format") || args.json)) throw new UsageError("--raw goes with neither --format nor --json");
    if (key.length === 0) throw new UsageError("key required");
    const path = bucketNames(args, args.positionals.slice(1, -1));
    return viewFile(io, args.at(0), (tx, out) => {
      const bucket = findBucket(tx, path);
      const value = bucket.get(key);
      if (value === undefined) throw keyNotFound(bucket, key);
      if (args.json) writeJson(out, { key: toJsonBytes(key), value: toFormattedJson(value, args.text("format")) });
      else if (args.has("raw")) out.write(value);
      else writeBytes(out, value, args.text("format") ?? "auto");
      return EXIT_OK;
    });
  },
};
