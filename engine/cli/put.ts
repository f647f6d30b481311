/** `hexbolt put`: sets one key, in one durable transaction. */
import { open, openMemory, type Bucket, type DB, type Tx } from "../index.js";
import { bucketNames, bucketNotFound } from "./bucket-path.js";
import { BUCKET_OPTION, EXIT_OK, Failure, PARSE_FORMATS, PARSE_OPTION, UsageError, type Command } from "./command.js";
import { parseBytes } from "./go-text.js";
import { writeJson, type Io } from "./io.js";
import { toJsonBytes } from "./json-bytes.js";
import { blocksOf } from "./lines.js";
import { withNewFile } from "./new-file.js";
import { openForWriting, requireFile, requireInput, statsOf } from "./open-file.js";
import type { Arguments } from "./args.js";

/** Opens the bucket at a path, making what is missing when that is wanted. */
function bucketAt(tx: Tx, path: readonly Buffer[], create: boolean): Bucket {
  let holder: Tx | Bucket = tx;
  let found: Bucket | undefined;
  for (const [depth, name] of path.entries()) {
    found = create ? holder.createBucketIfNotExists(name) : holder.bucket(name);
    if (found === undefined) {
      const failure = bucketNotFound(holder, path, depth);
      throw new Failure(failure.code, failure.message, "--create makes missing buckets");
    }
    holder = found;
  }
  return found!;
}

/** Reads a file or the standard input to its end. */
function readWhole(path: string, io: Io): Buffer {
  if (path !== "-") requireInput(path);
  return Buffer.concat([...blocksOf(path, io)]);
}

function valueOf(args: Arguments, io: Io): { readonly value: Buffer; readonly words: readonly string[] } {
  const words = args.positionals.slice(1);
  const from = args.text("value-from");
  if (from !== undefined) return { value: readWhole(from, io), words };
  if (words.length < 3) throw new UsageError("not enough arguments: it takes FILE BUCKET... KEY VALUE");
  return { value: parseBytes(words.at(-1)!, args.text("value-format")), words: words.slice(0, -1) };
}

/** The command. */
export const putCommand: Command = {
  name: "put", summary: "set a key", usage: "FILE BUCKET... KEY VALUE",
  details: "Commits one transaction. The file must not be in use; without --create it and the buckets must be there.",
  example: "hexbolt put --create app.db users alice '{\"born\": 1990}'",
  options: [
    { name: "create", short: "c", help: "make the file and the buckets where they are missing" },
    { ...PARSE_OPTION, help: "what KEY is: ascii-encoded (default) or hex" },
    BUCKET_OPTION,
    { name: "value-format", value: "FORMAT", choices: PARSE_FORMATS, help: "what VALUE is: ascii-encoded (default) or hex" },
    { name: "value-from", value: "PATH", help: "take the value from a file, - for the standard input; no VALUE then" },
  ],
  minimum: 3, maximum: Infinity,
  run: async (args, io) => {
    const { value, words } = valueOf(args, io);
    if (words.length < 2) throw new UsageError("bucket required");
    const key = parseBytes(words.at(-1)!, args.text("parse-format"));
    if (key.length === 0) throw new UsageError("key required");
    const path = bucketNames(args, words.slice(0, -1));
    const file = args.at(0);
    const creates = args.has("create");
    const putInto = (db: DB): bigint => {
      try {
        return db.update((tx) => {
          bucketAt(tx, path, creates).put(key, value);
          return tx.id;
        });
      } finally {
        db.close();
      }
    };
    const isMissing = creates && statsOf(file) === undefined;
    const isEmpty = creates && !isMissing && requireFile(file) === 0;
    // What cannot be put leaves an empty file as it is.
    if (isEmpty) putInto(openMemory());
    const txid = isMissing ? await withNewFile(io, file, (temporary) => putInto(open(temporary))) : putInto(isEmpty ? open(file) : openForWriting(file));
    if (args.json) writeJson(io.stdout, { key: toJsonBytes(key), size: value.length, txid });
    return EXIT_OK;
  },
};
