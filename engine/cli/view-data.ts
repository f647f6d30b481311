/** What the viewer asks for, as JSON values: each from one snapshot of the file as it is now. Bytes go both ways in hexadecimal. */
import { BoltError, open, type ReadBucket, type ReadTx } from "../index.js";
import { FLAG_BRANCH, FLAG_LEAF } from "../format/constants.js";
import { checkFile } from "./check.js";
import { Failure } from "./command.js";
import { hex, printableText, textOrHex } from "./go-text.js";
import { infoOf } from "./info.js";
import { interpret } from "./interpret.js";
import { MemoryOutput, type Io } from "./io.js";
import { readRaw, requireDatabase, untilCurrent } from "./open-file.js";
import { branchElements, leafElements } from "./page-elements.js";
import { pageJson } from "./page.js";
import { describePage, KINDS, makePageMap, pathOf, pathText, type MapBucket } from "./page-map.js";
import { familyColour } from "./map-picture.js";
import type { RawFile } from "./raw-file.js";

/** How long a question is tried again when the writer has moved on. */
const PATIENCE_MS = 5000;
/** Entries of one answer, at most. */
const MAX_LIMIT = 500;
/** Characters of a value in a list. */
const PREVIEW_SIZE = 120;
const MAX_PROBLEMS = 500;
/** Elements of a page that are sent. */
const MAX_ITEMS = 2000;

/** A question's parameters. */
export type Query = URLSearchParams;

/** Runs a function on the newest state; again when the writer was faster. */
function view<T>(path: string, read: (tx: ReadTx) => T): T {
  requireDatabase(path);
  const db = open(path, { readOnly: true, lock: "none" });
  try {
    return db.view(read);
  } finally {
    db.close();
  }
}

function viewPages<T>(path: string, read: (file: RawFile) => T): T {
  requireDatabase(path);
  return untilCurrent(true, () => readRaw(path, true, read), PATIENCE_MS);
}

/** Reads bytes that came as hexadecimal. @throws Failure BAD_REQUEST */
export function fromHex(text: string): Buffer {
  if (!/^(?:[0-9a-f]{2})*$/.test(text)) throw new Failure("BAD_REQUEST", `${JSON.stringify(text)} is not hexadecimal`);
  return Buffer.from(text, "hex");
}

/** Reads the path of a bucket: its names in hexadecimal, with commas between. */
export function bucketPathOf(text: string): Buffer[] {
  return text === "" ? [] : text.split(",").map(fromHex);
}

function holderOf(tx: ReadTx, path: readonly Buffer[]): ReadTx | ReadBucket {
  let holder: ReadTx | ReadBucket = tx;
  for (const name of path) {
    const next: ReadBucket | undefined = holder.bucket(name);
    if (next === undefined) throw new Failure("BUCKET_NOT_FOUND", `bucket not found: ${textOrHex(name)}`);
    holder = next;
  }
  return holder;
}

function preview(value: Uint8Array): string {
  const text = printableText(value.subarray(0, PREVIEW_SIZE)) ?? hex(value.subarray(0, PREVIEW_SIZE / 2));
  return value.length > PREVIEW_SIZE ? `${text}…` : text;
}

/** Counters and facts of the file. */
export function infoAnswer(path: string): unknown {
  return viewPages(path, (file) => infoOf(file));
}

/**
 * Entries of a bucket, in key order: `prefix`, and from `from` on (`after=1`: behind it). `kind=bucket` gives nested buckets alone.
 * `next` is where the following page begins.
 */
export function entriesAnswer(path: string, query: Query): unknown {
  const names = bucketPathOf(query.get("path") ?? "");
  const prefix = fromHex(query.get("prefix") ?? "");
  const from = fromHex(query.get("from") ?? "");
  const limit = Math.min(MAX_LIMIT, Math.max(1, Number(query.get("limit") ?? 100) || 100));
  const wantsBuckets = query.get("kind") === "bucket";
  return view(path, (tx) => {
    const holder = holderOf(tx, names);
    const cursor = holder.cursor();
    const start = Buffer.compare(from, prefix) > 0 ? from : prefix;
    const entries: unknown[] = [];
    let at = start.length === 0 ? cursor.first() : cursor.seek(start);
    for (; at !== undefined && entries.length < limit; at = cursor.next()) {
      if (!at.key.subarray(0, prefix.length).equals(prefix)) break;
      if (wantsBuckets && at.value !== undefined) continue;
      const head = { key: hex(at.key), label: textOrHex(at.key) };
      entries.push(at.value === undefined ? { ...head, isBucket: true } : { ...head, isBucket: false, size: at.value.length, preview: preview(at.value) });
    }
    const isMore = at !== undefined && at.key.subarray(0, prefix.length).equals(prefix);
    return { txid: String(tx.id), sequence: String(holder.sequence), entries, next: isMore ? hex(at!.key) : undefined };
  });
}

/** A value in all its forms. */
export function valueAnswer(path: string, query: Query): unknown {
  return view(path, (tx) => {
    const key = fromHex(query.get("key") ?? "");
    const holder = holderOf(tx, bucketPathOf(query.get("path") ?? ""));
    const at = holder.cursor().seek(key);
    if (at === undefined || !at.key.equals(key) || at.value === undefined) throw new Failure("KEY_NOT_FOUND", `key not found: ${textOrHex(key)}`);
    return { key: hex(key), label: textOrHex(key), ...interpret(at.value) };
  });
}

/** Counts of a bucket with all in it. */
export function statsAnswer(path: string, query: Query): unknown {
  return view(path, (tx) => {
    const holder = holderOf(tx, bucketPathOf(query.get("path") ?? ""));
    return "stats" in holder && "root" in holder ? { ...holder.stats(), root: holder.root, sequence: String(holder.sequence) } : { bucketN: [...holder.buckets()].length };
  });
}

/** A bucket as it is shown, and where it is. */
function placeOf(bucket: MapBucket): { readonly label: string; readonly path: string } {
  return { label: pathText(bucket, " / "), path: pathOf(bucket).map(({ name }) => hex(name)).join(",") };
}

/** The page map: one byte a page for kind and fill, one integer for the bucket, in base64. */
export function mapAnswer(path: string): unknown {
  return viewPages(path, (file) => {
    const map = makePageMap(file);
    const base64 = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
    return {
      pageSize: map.pageSize, pageCount: map.pageCount, txid: String(map.txid), problems: map.problems, kindNames: KINDS,
      kinds: base64(map.kinds), fills: base64(map.fills), owners: base64(new Uint8Array(map.owners.buffer)),
      families: map.families.map(({ bucket, pageCount }, family) => ({ ...placeOf(bucket), pageCount, colour: familyColour(family, 55) })),
      buckets: map.buckets.map((bucket) => ({
        label: bucket.parent === undefined ? "root bucket" : pathText(bucket, " / "), colours: [36, 55, 68].map((lightness) => familyColour(bucket.family, lightness)),
      })),
    };
  });
}

function itemsOf(bytes: Uint8Array, isLeaf: boolean): unknown[] {
  const items: unknown[] = [];
  for (const element of isLeaf ? leafElements(bytes) : branchElements(bytes)) {
    if (items.length === MAX_ITEMS) break;
    const head = { key: hex(element.key), label: textOrHex(element.key) };
    if ("child" in element) items.push({ ...head, child: element.child });
    else if (element.bucket === undefined) items.push({ ...head, size: element.value.length, preview: preview(element.value) });
    else items.push({ ...head, root: element.bucket.root, sequence: String(element.bucket.sequence) });
  }
  return items;
}

/** A page, with its elements; of one that belongs to an earlier page, which that is. */
export function pageAnswer(path: string, query: Query): unknown {
  const id = Number(query.get("id") ?? NaN);
  if (!Number.isSafeInteger(id) || id < 0) throw new Failure("BAD_REQUEST", "a page id must be a whole number");
  return viewPages(path, (file) => {
    const map = makePageMap(file);
    const owner = map.buckets[map.owners[id] ?? -1];
    const place = { kind: KINDS[map.kinds[id] ?? 0], text: describePage(map, id), bucket: owner && placeOf(owner) };
    if (place.kind === "overflow") {
      let head = id;
      while (head > 0 && KINDS[map.kinds[head] ?? 0] === "overflow") head--;
      return { ...place, id, type: "overflow", head };
    }
    try {
      const page = file.page(id);
      const isNode = page.header.flags === FLAG_LEAF || page.header.flags === FLAG_BRANCH;
      if (!isNode) return { ...place, ...pageJson(page) };
      const { count, flags, overflow } = page.header;
      return { ...place, id, type: flags === FLAG_LEAF ? "leaf" : "branch", size: page.bytes.length, overflow, count, items: itemsOf(page.bytes, flags === FLAG_LEAF) };
    } catch (error) {
      if (!(error instanceof BoltError && error.code === "CORRUPT") && !(error instanceof Failure && error.code === "OUT_OF_RANGE")) throw error;
      return { ...place, id, type: "unreadable", problem: error.message };
    }
  });
}

/** What a check finds. */
export function checkAnswer(path: string, io: Io): unknown {
  const problems: string[] = [];
  const begin = performance.now();
  const count = checkFile({ ...io, stdout: new MemoryOutput(), stderr: new MemoryOutput() }, path, undefined, (line) => {
    if (problems.length < MAX_PROBLEMS) problems.push(line);
  }, false);
  return { count, problems, ms: Math.round(performance.now() - begin) };
}
