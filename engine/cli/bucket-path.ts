/** Finding buckets by their names on the command line, and naming them. */
import type { Bucket, ReadBucket, ReadTx, Tx } from "../index.js";
import type { Arguments } from "./args.js";
import { Failure } from "./command.js";
import { parseBytes, textOrHex } from "./go-text.js";
import { didYouMean, SUGGESTION_LIMIT } from "./suggest.js";

/** What holds buckets: a transaction or a bucket. */
interface BucketHolder<B> {
  bucket(name: Uint8Array): B | undefined;
  buckets(): Iterable<Buffer>;
}

/** Where something is: its name, and where the bucket around it is; undefined: outside of all buckets. */
export type Place = { readonly name: Buffer; readonly around: Place } | undefined;

/** The names from the top down to a place. */
export function pathOf(place: Place): Buffer[] {
  const names: Buffer[] = [];
  for (let at = place; at !== undefined; at = at.around) names.push(at.name);
  return names.reverse();
}

/** Reads names of buckets in the form that an option gives. @throws UsageError */
export function bucketNames(args: Arguments, names: readonly string[], option = "bucket-format"): Buffer[] {
  return names.map((name) => parseBytes(name, args.text(option)));
}

/** Opens the bucket at a path of at least one name. @throws Failure BUCKET_NOT_FOUND with a suggestion */
export function findBucket(tx: Tx, path: readonly Uint8Array[]): Bucket;
export function findBucket(tx: ReadTx, path: readonly Uint8Array[]): ReadBucket;
export function findBucket(tx: Tx | ReadTx, path: readonly Uint8Array[]): Bucket | ReadBucket {
  let holder: BucketHolder<Bucket | ReadBucket> = tx;
  let found: Bucket | ReadBucket | undefined;
  for (const [depth, name] of path.entries()) {
    found = holder.bucket(name);
    if (found === undefined) throw bucketNotFound(holder, path, depth);
    holder = found;
  }
  if (found === undefined) throw new Failure("BUCKET_REQUIRED", "bucket required");
  return found;
}

/** The error for a bucket that is not there. */
export function bucketNotFound(holder: { buckets(): Iterable<Buffer> }, path: readonly Uint8Array[], depth: number): Failure {
  const where = path.slice(0, depth).map(textOrHex).join("/");
  const name = textOrHex(path[depth] ?? Buffer.alloc(0));
  const names: string[] = [];
  for (const other of holder.buckets()) if (names.push(textOrHex(other)) >= SUGGESTION_LIMIT) break;
  return new Failure("BUCKET_NOT_FOUND", `bucket not found: ${JSON.stringify(name)}${where === "" ? "" : ` in ${JSON.stringify(where)}`}${didYouMean(name, names)}`);
}
