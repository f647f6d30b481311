/**
 * How an image is written in an etcd value: JSON that a person can read with etcdctl. Sizes are decimal texts, because they
 * may exceed what JSON's readers keep; an empty label is left out, as containerd leaves it out.
 */
import { isUtf8 } from "node:buffer";
import { filled } from "./change.js";
import { makeDescriptor, makeImage } from "./make.js";
import { isRecord } from "./validate.js";
import { isInt64, narrow } from "./varint.js";
import type { Image } from "./types.js";

/**
 * Encodes an image.
 * @param writeId says which call wrote the value
 */
export function encodeRecord(image: Image, writeId: string): Buffer {
  const { mediaType, digest, size } = image.target;
  return Buffer.from(JSON.stringify({
    target: { mediaType, digest, size: String(size), annotations: filled(image.target.annotations) },
    labels: filled(image.labels),
    createdAt: image.createdAt?.toISOString(),
    updatedAt: image.updatedAt?.toISOString(),
    writeId,
  }));
}

/** Encodes a value that says nothing but which call wrote it. */
export function encodeWriteId(writeId: string): Buffer {
  return Buffer.from(JSON.stringify({ writeId }));
}

/** Decodes an image. @returns a text that says what is wrong for a value that is none */
export function decodeRecord(name: string, value: Buffer): Image | string {
  if (!isUtf8(value)) return "its value is no UTF-8";
  const record = parse(value);
  const target = record?.["target"];
  if (record === undefined || !isRecord(target)) return "its value is no image record";
  const size = parseSize(target["size"]);
  const { mediaType, digest } = target;
  if (typeof mediaType !== "string" || typeof digest !== "string" || size === undefined) return "its target is no descriptor";
  const annotations = parseStrings(target["annotations"]);
  const labels = parseStrings(record["labels"]);
  const createdAt = parseTime(record["createdAt"]);
  const updatedAt = parseTime(record["updatedAt"]);
  if (annotations === "bad" || labels === "bad") return "its labels or annotations are no texts";
  if (createdAt === "bad" || updatedAt === "bad") return "its times are no times";
  return makeImage(name, makeDescriptor(mediaType, digest, size, annotations), labels, createdAt, updatedAt);
}

/** Tells whether a value was written by the call with this id. */
export function isWrittenBy(value: Buffer, writeId: string): boolean {
  return parse(value)?.["writeId"] === writeId;
}

function parse(value: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(value.toString());
    return isRecord(parsed) ? parsed : undefined;
  } catch {
    // No JSON: the caller reports the image as damaged.
    return undefined;
  }
}

function parseSize(value: unknown): number | bigint | undefined {
  if (typeof value !== "string" || !/^-?\d{1,19}$/.test(value)) return undefined;
  const size = BigInt(value);
  return isInt64(size) ? narrow(size) : undefined;
}

function parseStrings(value: unknown): Record<string, string> | undefined | "bad" {
  if (value === undefined) return undefined;
  if (!isRecord(value)) return "bad";
  const entries: [string, string][] = [];
  for (const [key, entry] of Object.entries(value)) {
    if (typeof entry !== "string") return "bad";
    entries.push([key, entry]);
  }
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function parseTime(value: unknown): Date | undefined | "bad" {
  if (value === undefined) return undefined;
  const time = new Date(typeof value === "string" ? value : Number.NaN);
  return Number.isNaN(time.getTime()) ? "bad" : time;
}
