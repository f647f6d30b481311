/**
 * The messages of the image services, field by field.
 *
 * | message | fields |
 * | --- | --- |
 * | types.Descriptor | media_type = 1, digest = 2, size = 3, annotations = 5 (map) |
 * | Image (services.images.v1) | name = 1, labels = 2 (map), target = 3, created_at = 7, updated_at = 8 |
 * | Image (containerd.v1, early 2017) | name = 1, target = 3; its labels = 2 was a text that nothing used |
 * | google.protobuf.Timestamp | seconds = 1, nanos = 2 |
 * | requests | name or image = 1; Create: source_date_epoch = 2; Update: update_mask = 2 (paths = 1), source_date_epoch = 3; List: filters = 1; Delete: sync = 2, target = 3 |
 * | responses | image = 1, or images = 1 each |
 *
 * @see containerd api/services/images/v1/images.proto; of 2017, api/services/images/images.proto
 */
import { isGoZeroTime } from "./go-time.js";
import { makeDescriptor, makeImage } from "./make.js";
import { MessageWriter, NoUtf8Error, ProtobufError, bytesOf, integerOf, readFields, textOf } from "./protobuf.js";
import { narrow } from "./varint.js";
import type { CorruptImage } from "./errors.js";
import type { Field } from "./protobuf.js";
import type { Descriptor, Image } from "./types.js";

type Strings = Record<string, string>;

/** A field of the message that is asked for: the reader of each number that counts. */
type Readers = Readonly<Record<number, (field: Field) => void>>;

function read(message: Uint8Array, readers: Readers): void {
  for (const field of readFields(message)) readers[field.number]?.(field);
}

function encodeDescriptor(target: Descriptor): Buffer {
  return new MessageWriter()
    .text(1, target.mediaType).text(2, target.digest).integer(3, target.size).map(5, target.annotations).finish();
}

/** Decodes a descriptor; what is missing is empty or 0. */
function decodeDescriptor(message: Uint8Array): Descriptor {
  let mediaType = "";
  let digest = "";
  let size: number | bigint = 0;
  const annotations = new Map<string, string>();
  read(message, {
    1: (field) => { mediaType = textOf(field); },
    2: (field) => { digest = textOf(field); },
    3: (field) => { size = narrow(integerOf(field)); },
    5: (field) => readEntry(field, annotations),
  });
  return makeDescriptor(mediaType, digest, size, entriesOf(annotations));
}

/** Encodes an image for containerd's present service, or, without labels and times, for the early one. */
function encodeImage(image: Image, early = false): Buffer {
  const writer = new MessageWriter().text(1, image.name);
  if (!early) writer.map(2, image.labels);
  writer.bytes(3, encodeDescriptor(image.target));
  if (!early && image.createdAt !== undefined) writer.bytes(7, encodeTimestamp(image.createdAt));
  if (!early && image.updatedAt !== undefined) writer.bytes(8, encodeTimestamp(image.updatedAt));
  return writer.finish();
}

/** Decodes an image of either service. */
export function decodeImage(message: Uint8Array, early = false): Image {
  let name = "";
  // What is there twice is merged, as in `decodeImageField`.
  const target: Buffer[] = [];
  let createdAt: Date | undefined;
  let updatedAt: Date | undefined;
  const labels = new Map<string, string>();
  read(message, {
    1: (field) => { name = textOf(field); },
    2: (field) => { if (!early) readEntry(field, labels); },
    3: (field) => { target.push(bytesOf(field)); },
    7: (field) => { createdAt = decodeTimestamp(bytesOf(field)); },
    8: (field) => { updatedAt = decodeTimestamp(bytesOf(field)); },
  });
  return makeImage(name, decodeDescriptor(Buffer.concat(target)), entriesOf(labels), createdAt, updatedAt);
}

function encodeTimestamp(time: Date): Buffer {
  const seconds = Math.floor(time.getTime() / 1000);
  const nanos = (time.getTime() - seconds * 1000) * 1_000_000;
  return new MessageWriter().integer(1, seconds).integer(2, nanos).finish();
}

/** Decodes a time, cut down to milliseconds; Go's zero time is none. */
function decodeTimestamp(message: Uint8Array): Date | undefined {
  let seconds = 0n;
  let nanos = 0n;
  read(message, {
    1: (field) => { seconds = integerOf(field); },
    2: (field) => { nanos = integerOf(field); },
  });
  const time = new Date(Number(seconds) * 1000 + Math.floor(Number(nanos) / 1_000_000));
  if (Number.isNaN(time.getTime())) throw new ProtobufError("a timestamp is out of range");
  return isGoZeroTime(time) ? undefined : time;
}

/** Decodes a field of a message that is a time; undefined where it is missing. */
function decodeTimestampField(message: Uint8Array, number: number): Date | undefined {
  const parts = partsOf(message, number);
  return parts.length === 0 ? undefined : decodeTimestamp(Buffer.concat(parts));
}

function entriesOf(entries: ReadonlyMap<string, string>): Strings | undefined {
  return entries.size === 0 ? undefined : Object.fromEntries(entries);
}

function readEntry(field: Field, into: Map<string, string>): void {
  into.set(...decodePair(bytesOf(field)));
}

/** Decodes a message whose fields 1 and 2 are texts. */
function decodePair(message: Uint8Array): [string, string] {
  const pair: [string, string] = ["", ""];
  read(message, {
    1: (field) => { pair[0] = textOf(field); },
    2: (field) => { pair[1] = textOf(field); },
  });
  return pair;
}

/** Gives what a message has of a field that is bytes or a message, in its order. */
function partsOf(message: Uint8Array, number: number): Buffer[] {
  const parts: Buffer[] = [];
  read(message, { [number]: (field) => { parts.push(bytesOf(field)); } });
  return parts;
}

/** Decodes a message whose field 1 is a text: the requests that name an image, or a lease. */
export function decodeName(message: Uint8Array): string {
  return decodeTexts(message).at(-1) ?? "";
}

/** Encodes a message whose field 1 is a text: a request that names an image, a version, an id. */
export function encodeName(name: string): Buffer {
  return new MessageWriter().text(1, name).finish();
}

/** Decodes a message whose field 1 is an image; undefined where the field is missing. */
export function decodeImageField(message: Uint8Array, early = false): Image | undefined {
  // A message that is there twice is merged, and merging is reading one behind the other.
  const parts = partsOf(message, 1);
  return parts.length === 0 ? undefined : decodeImage(Buffer.concat(parts), early);
}

/** Encodes a request or response with one image. */
export function encodeImageField(image: Image, early = false): Buffer {
  return encodeImages([image], early);
}

/** Encodes a List response. */
export function encodeImages(images: readonly Image[], early = false): Buffer {
  const writer = new MessageWriter();
  for (const image of images) writer.bytes(1, encodeImage(image, early));
  return writer.finish();
}

/** Decodes a List response: the images, and those of which a text is no UTF-8, which must not hide the others. */
export function decodeImages(message: Uint8Array, early = false): { images: Image[]; broken: CorruptImage[] } {
  const images: Image[] = [];
  const broken: CorruptImage[] = [];
  read(message, {
    1: (field) => {
      const bytes = bytesOf(field);
      try {
        images.push(decodeImage(bytes, early));
      } catch (error) {
        if (!(error instanceof NoUtf8Error)) throw error;
        broken.push({ name: readableName(bytes), reason: "its name, or another of its texts, is no UTF-8" });
      }
    },
  });
  return { images, broken };
}

/** The name of an image, with U+FFFD in place of what is no UTF-8. */
function readableName(image: Uint8Array): string {
  return String(partsOf(image, 1).at(-1) ?? "");
}

/** Encodes a Create request. */
export function encodeCreate(image: Image, sourceDateEpoch?: Date): Buffer {
  const writer = new MessageWriter().bytes(1, encodeImage(image));
  if (sourceDateEpoch !== undefined) writer.bytes(2, encodeTimestamp(sourceDateEpoch));
  return writer.finish();
}

/** Decodes a Create request. */
export function decodeCreate(message: Uint8Array): { image: Image | undefined; sourceDateEpoch: Date | undefined } {
  return { image: decodeImageField(message), sourceDateEpoch: decodeTimestampField(message, 2) };
}

/** Encodes an Update request. */
export function encodeUpdate(image: Image, fields: readonly string[], sourceDateEpoch?: Date): Buffer {
  const writer = new MessageWriter().bytes(1, encodeImage(image));
  if (fields.length > 0) writer.bytes(2, encodeTexts(fields));
  if (sourceDateEpoch !== undefined) writer.bytes(3, encodeTimestamp(sourceDateEpoch));
  return writer.finish();
}

/** Decodes an Update request. */
export function decodeUpdate(message: Uint8Array): { image: Image | undefined; fields: string[]; sourceDateEpoch: Date | undefined } {
  const fields = partsOf(message, 2).flatMap((mask) => decodeTexts(mask));
  return { image: decodeImageField(message), fields, sourceDateEpoch: decodeTimestampField(message, 3) };
}

/** Encodes a message of texts: the filters of a List request, the paths of a field mask. */
export function encodeTexts(texts: readonly string[]): Buffer {
  const writer = new MessageWriter();
  for (const text of texts) writer.element(1, text);
  return writer.finish();
}

/** Decodes a message of texts. */
export function decodeTexts(message: Uint8Array): string[] {
  const texts: string[] = [];
  read(message, { 1: (field) => { texts.push(textOf(field)); } });
  return texts;
}

/** Encodes a Delete request. */
export function encodeDelete(name: string, digest: string | undefined): Buffer {
  const writer = new MessageWriter().text(1, name);
  if (digest !== undefined) writer.bytes(3, encodeDescriptor({ mediaType: "", digest, size: 0 }));
  return writer.finish();
}

/** Decodes a Delete request. `sync` asks to collect garbage before answering: there is none here. */
export function decodeDelete(message: Uint8Array): { name: string; digest: string | undefined } {
  const { digest } = decodeDescriptor(Buffer.concat(partsOf(message, 3)));
  return { name: decodeName(message), digest: digest === "" ? undefined : digest };
}

/** A lease as containerd's Leases service shows it. */
export interface Lease {
  readonly id: string;
  readonly createdAt: Date;
  readonly labels: Readonly<Strings>;
}

/** Decodes a request to create a lease: id = 1, labels = 3. */
export function decodeCreateLease(message: Uint8Array): { id: string; labels: Strings } {
  const labels = new Map<string, string>();
  read(message, { 3: (field) => readEntry(field, labels) });
  return { id: decodeName(message), labels: Object.fromEntries(labels) };
}

/** Encodes a response with leases, or with one. */
export function encodeLeases(leases: readonly Lease[]): Buffer {
  const writer = new MessageWriter();
  for (const { createdAt, id, labels } of leases) writer.bytes(1, new MessageWriter().text(1, id).bytes(2, encodeTimestamp(createdAt)).map(3, labels).finish());
  return writer.finish();
}

/**
 * Encodes which images of a list are damaged: field 1 for each, with name = 1 and reason = 2, and how many they are = 2. This package's own message.
 * @param bytesMax the message is not longer: those that do not fit are counted and not named
 */
export function encodeCorrupt(corrupt: readonly CorruptImage[], bytesMax: number): Buffer {
  const writer = new MessageWriter().integer(2, corrupt.length);
  let room = bytesMax - FIELD_HEADER_MAX;
  for (const { name, reason } of corrupt) {
    const entry = new MessageWriter().text(1, name).text(2, reason).finish();
    if (entry.length + FIELD_HEADER_MAX > room) continue;
    writer.bytes(1, entry);
    room -= entry.length + FIELD_HEADER_MAX;
  }
  return writer.finish();
}

/** A tag, and a length or a count. */
const FIELD_HEADER_MAX = 6;

/** Decodes which images of a list are damaged, as far as they are named, and how many they are. */
export function decodeCorrupt(message: Uint8Array): { corrupt: CorruptImage[]; count: number } {
  const corrupt: CorruptImage[] = [];
  let count = 0;
  read(message, {
    1: (field) => {
      const [name, reason] = decodePair(bytesOf(field));
      corrupt.push({ name, reason });
    },
    2: (field) => { count = Number(integerOf(field)); },
  });
  return { corrupt, count: Math.max(count, corrupt.length) };
}
