/** hexbolt: bolt for TypeScript. An embedded, transactional key/value store that reads and writes the files of bolt and bbolt. */
import type { DB } from "./db/db.js";

export type { BytesLike } from "./base/bytes.js";
export { BoltError, type ErrorCode } from "./base/errors.js";
export type { BackupResult } from "./db/backup.js";
export type { CompactOptions, CompactResult } from "./db/compact.js";
export { DB } from "./db/db.js";
export { open, openMemory } from "./db/open.js";
export type { ShrinkOptions, ShrinkResult } from "./db/shrink.js";
export type { Events } from "./db/events.js";
export type { OpenOptions } from "./db/options.js";
export type { Recovery } from "./base/recovery.js";
export type { LockMode, Storage } from "./storage/storage.js";
export { MemoryStorage } from "./storage/memory-storage.js";
export { Bucket, type ReadBucket } from "./tx/bucket.js";
export type { BucketStats, BucketStructure } from "./tx/bucket-stats.js";
export { Cursor, type CursorEntry } from "./tx/cursor.js";
export type { Range } from "./tx/range.js";
export type { Stats, TxStats } from "./tx/stats.js";
export { Tx, type Database, type PageInfo, type ReadTx } from "./tx/tx.js";
export { bytes, date, float64, int64, json, uint32, uint64, utf8, type Codec } from "./typed/codec.js";
export type { Codecs, Given, KeyPrefix, TypedRange } from "./typed/coding.js";
export { tuple, type PartCodecs } from "./typed/tuple.js";
export { typed, TypedBucket, type ReadTypedBucket, type TypedCursor, type TypedEntry } from "./typed/typed-bucket.js";

declare module "./tx/tx.js" {
  interface Database extends DB {}
}
