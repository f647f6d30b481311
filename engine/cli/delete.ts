/** `hexbolt delete`: deletes one key, or a bucket with all in it, in one durable transaction. */
import { bucketNames, bucketNotFound, findBucket } from "./bucket-path.js";
import { BUCKET_OPTION, EXIT_OK, Failure, PARSE_OPTION, UsageError, type Command } from "./command.js";
import { parseBytes } from "./go-text.js";
import { keyNotFound } from "./get.js";
import { writeJson } from "./io.js";
import { toJsonBytes } from "./json-bytes.js";
import { updateFile } from "./open-file.js";
import type { Tx } from "../index.js";

function deleteKey(tx: Tx, path: readonly Buffer[], key: Buffer): void {
  const bucket = findBucket(tx, path);
  if (bucket.bucket(key) !== undefined) throw new Failure("INCOMPATIBLE_VALUE", "incompatible value: it is a bucket", "--bucket deletes a bucket and all that is in it");
  if (!bucket.has(key)) throw keyNotFound(bucket, key);
  bucket.delete(key);
}

function deleteBucket(tx: Tx, path: readonly Buffer[], name: Buffer): void {
  const holder = path.length === 0 ? tx : findBucket(tx, path);
  if (holder.bucket(name) === undefined) throw bucketNotFound(holder, [...path, name], path.length);
  holder.deleteBucket(name);
}

/** The command. */
export const deleteCommand: Command = {
  name: "delete", summary: "delete a key or a bucket", usage: "FILE BUCKET... KEY or --bucket FILE BUCKET...",
  details: "Commits one transaction. The file must not be in use. Deleting what is not there is an error here, unlike in the library.",
  example: "hexbolt delete app.db users alice",
  options: [
    { name: "bucket", help: "delete a bucket and all that is in it" },
    { ...PARSE_OPTION, help: "what KEY is, with --bucket the last BUCKET: ascii-encoded (default) or hex" },
    BUCKET_OPTION,
  ],
  minimum: 2, maximum: Infinity,
  run: (args, io) => {
    const isBucket = args.has("bucket");
    const path = bucketNames(args, args.positionals.slice(1, -1));
    if (!isBucket && path.length === 0) throw new UsageError("bucket required; --bucket deletes a top-level bucket");
    const last = parseBytes(args.positionals.at(-1)!, args.text("parse-format"));
    const txid = updateFile(args.at(0), (tx) => {
      if (isBucket) deleteBucket(tx, path, last);
      else deleteKey(tx, path, last);
      return tx.id;
    });
    if (args.json) writeJson(io.stdout, { [isBucket ? "bucket" : "key"]: toJsonBytes(last), txid });
    return EXIT_OK;
  },
};
