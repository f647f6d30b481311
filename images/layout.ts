/**
 * The two layouts in which images lie in buckets, and how one image is read from its bucket and written to it.
 * docs/images.md draws both; a test holds the drawing to what this file writes.
 *
 * Keeps true: unknown keys and nested buckets inside an image are skipped when read and left alone when written; a size or
 * a time that cannot be decoded is an error and never a guess; a creation time that is stored stays, to the nanosecond.
 *
 * @see containerd images/storage.go (2017, the early layout) and metadata/buckets.go (the present one)
 */
import { isUtf8 } from "node:buffer";
import { invalid } from "./errors.js";
import { decodeGoTime, encodeGoTime, isGoZeroTime } from "./go-time.js";
import { copyBytes, decodeRepeated, decodeText, hex, REPLACEMENT } from "./decode.js";
import { makeDescriptor, makeImage } from "./make.js";
import { decodeVarint, encodeVarint } from "./varint.js";
import type { Bucket } from "../engine/index.js";
import type { Descriptor, Image } from "./types.js";

/** What reading one image's bucket needs of it; it may be read in place (`Bucket.nestedReader`). */
export interface ImageBucket {
  read<T>(key: Uint8Array, decode: (bytes: Buffer, start: number, end: number) => T): T | undefined;
  bucket(name: Uint8Array | string): ReadableBucket | undefined;
}

/** What reading needs of a bucket: both the reading and the writing kind have it. */
export interface ReadableBucket extends ImageBucket {
  get(key: Uint8Array | string): Buffer | undefined;
  buckets(): Iterable<Buffer>;
  forEach(visit: (key: Buffer, value: Buffer | undefined) => void): void;
  nestedReader(): NestedReader;
}

/** A walk over the images' buckets. */
export type NestedReader = ReturnType<Bucket["nestedReader"]>;

const key = (text: string): Buffer => Buffer.from(text);

/** The bucket at the root of both layouts. */
export const SCHEMA = "v1";
/** Early: the images. Present: the images of one namespace. */
export const IMAGES = "images";
/** Present layout only: the number of the schema's last migration, a varint beside the namespaces. */
export const SCHEMA_VERSION_KEY: Buffer = key("version");
/** The migration that containerd 1.2 to 1.6 end with; a later one brings the file up to date when it starts. */
export const SCHEMA_VERSION = 3;

const DIGEST = key("digest");
const MEDIA_TYPE = key("mediatype");
const SIZE = key("size");
/** What a target holds: in the early layout the image's bucket itself. */
export const TARGET_KEYS: readonly Buffer[] = [DIGEST, MEDIA_TYPE, SIZE];
const TARGET = key("target");
const LABELS = key("labels");
const ANNOTATIONS = key("annotations");
const CREATED_AT = key("createdat");
const UPDATED_AT = key("updatedat");

/** Thrown while one image is read; whoever knows the image's name makes it a CORRUPT error. */
export class UnreadableImage extends Error {}

/** One layout: how an image lies in its bucket. */
export interface Layout {
  /** Reads the image `name` from its bucket. @throws UnreadableImage */
  readonly read: (name: string, bucket: ImageBucket) => Image;
  /** Writes the image to its bucket, over what is there. @throws UnreadableImage where it cannot, before anything is changed */
  readonly write: (bucket: Bucket, image: Image) => void;
  /** Makes a new image's bucket in `images`; false when there is one. */
  readonly create: (images: Bucket, name: string, image: Image) => boolean;
}

/** `v1/images/<name>/{digest, mediatype, size}`: a descriptor and nothing else. */
export const earlyLayout: Layout = {
  read: (name, bucket) => ({ name, target: readTarget(bucket, undefined) }),
  write(bucket, image) {
    refuseWhatEarlyLacks(image);
    requireKinds(bucket, TARGET_KEYS, []);
    writeTarget(bucket, image.target);
  },
  create(images, name, image) {
    refuseWhatEarlyLacks(image);
    return images.createBucketOf(name, targetPairs(image.target));
  },
};

function refuseWhatEarlyLacks(image: Image): void {
  if (hasEntries(image.labels)) throw invalid("the early layout keeps no labels: give the store a namespace");
  if (hasEntries(image.target.annotations)) throw invalid("the early layout keeps no annotations: give the store a namespace");
}

/** `v1/<namespace>/images/<name>/{createdat, updatedat, labels/, annotations/, target/{digest, mediatype, size}}`. */
export const namespacedLayout: Layout = {
  read(name, bucket) {
    const target = bucket.bucket(TARGET);
    if (target === undefined) throw new UnreadableImage("it has no target bucket");
    const labels = readStrings(bucket, LABELS);
    const createdAt = readTime(bucket, CREATED_AT);
    const updatedAt = readTime(bucket, UPDATED_AT);
    return makeImage(name, readTarget(target, readStrings(bucket, ANNOTATIONS)), labels, createdAt, updatedAt);
  },
  write(bucket, image) {
    requireKinds(bucket, [CREATED_AT, UPDATED_AT], [LABELS, ANNOTATIONS, TARGET]);
    const target = bucket.bucket(TARGET);
    if (target !== undefined) requireKinds(target, TARGET_KEYS, []);
    writeImage(bucket, image);
  },
  create(images, name, image) {
    if (images.bucket(name) !== undefined) return false;
    writeImage(images.createBucket(name), image);
    return true;
  },
};

function writeImage(bucket: Bucket, image: Image): void {
  const updatedAt = encodeGoTime(image.updatedAt ?? new Date());
  const createdAt = bucket.get(CREATED_AT);
  // A Date is coarser than what is stored: a stored creation time is kept as it is, unless it is none.
  if (createdAt === undefined || decodeGoTime(createdAt) === undefined) {
    bucket.put(CREATED_AT, image.createdAt === undefined ? updatedAt : encodeGoTime(image.createdAt));
  }
  bucket.put(UPDATED_AT, updatedAt);
  writeStrings(bucket, LABELS, image.labels);
  writeStrings(bucket, ANNOTATIONS, image.target.annotations);
  if (!bucket.createBucketOf(TARGET, targetPairs(image.target))) writeTarget(bucket.createBucketIfNotExists(TARGET), image.target);
}

/** Makes sure that writing will meet no bucket where a value belongs, and no value where a bucket does: half an image would be left. */
function requireKinds(bucket: Bucket, values: readonly Buffer[], buckets: readonly Buffer[]): void {
  for (const name of values) if (bucket.bucket(name) !== undefined) throw new UnreadableImage(`a bucket stands where its ${name.toString()} belongs`);
  for (const name of buckets) if (bucket.get(name) !== undefined) throw new UnreadableImage(`a plain key stands where its ${name.toString()} bucket belongs`);
}

function readTarget(bucket: ImageBucket, annotations: Record<string, string> | undefined): Descriptor {
  // A missing key reads as Go's zero value, so that files from Go read the same here and there.
  const size = bucket.read(SIZE, readSize) ?? 0;
  const mediaType = textOf(bucket, MEDIA_TYPE, decodeRepeated);
  const digest = textOf(bucket, DIGEST, decodeText);
  return makeDescriptor(mediaType, digest, size, annotations);
}

/** Bytes that are no UTF-8 would come back as another text, and be lost with the next write. */
function textOf(bucket: ImageBucket, name: Buffer, decode: typeof decodeText): string {
  const text = bucket.read(name, decode) ?? "";
  if (text.includes(REPLACEMENT) && !isUtf8(bucket.read(name, copyBytes)!)) throw new UnreadableImage(`its ${name.toString()} is no UTF-8`);
  return text;
}

function readSize(bytes: Buffer, start: number, end: number): number | bigint {
  const size = decodeVarint(bytes, start, end);
  if (size === undefined) throw new UnreadableImage(`its size 0x${hex(bytes, start, end)} is no varint of 64 bits`);
  return size;
}

type Pair = readonly [key: Buffer, value: Buffer | string];

/** The pairs of a target, in the order of their keys. */
function targetPairs(target: Descriptor): readonly Pair[] {
  return [[DIGEST, target.digest], [MEDIA_TYPE, target.mediaType], [SIZE, encodeVarint(target.size)]];
}

function writeTarget(bucket: Bucket, target: Descriptor): void {
  for (const [pairKey, value] of targetPairs(target)) bucket.put(pairKey, value);
}

function readTime(bucket: ImageBucket, name: Buffer): Date | undefined {
  const stored = bucket.read(name, copyBytes);
  if (stored === undefined) return undefined;
  const time = decodeGoTime(stored);
  if (time === undefined) throw new UnreadableImage(`its ${name.toString()} 0x${stored.toString("hex")} is no time`);
  return isGoZeroTime(time) ? undefined : time;
}

function readStrings(bucket: ImageBucket, name: Buffer): Record<string, string> | undefined {
  const entries: [string, string][] = [];
  bucket.bucket(name)?.forEach((entryKey, value) => {
    if (value === undefined) return;
    if (!isUtf8(entryKey) || !isUtf8(value)) throw new UnreadableImage(`one of its ${name.toString()} is no UTF-8`);
    entries.push([entryKey.toString(), value.toString()]);
  });
  // fromEntries defines properties: a label called __proto__ is a label.
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function writeStrings(bucket: Bucket, name: Buffer, strings: Readonly<Record<string, string>> | undefined): void {
  if (bucket.bucket(name) !== undefined) bucket.deleteBucket(name);
  if (!hasEntries(strings)) return;
  const created = bucket.createBucket(name);
  // An empty value means "not set" to containerd, which leaves it out too.
  for (const [entryKey, value] of Object.entries(strings ?? {})) if (value !== "") created.put(entryKey, value);
}

function hasEntries(strings: Readonly<Record<string, string>> | undefined): boolean {
  return strings !== undefined && Object.keys(strings).length > 0;
}
