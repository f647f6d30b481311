/** What the tests of salvage have in common: files to be damaged, and what was saved of them. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { open } from "../../engine/index.js";
import { tempPath } from "../support/temp.js";
import { here, jsonLinesHere } from "./command.js";

/** Of the files here. */
export const PAGE_SIZE = 4096;
/** Of a page; behind it are its elements. */
export const HEADER_SIZE = 16;
/** Where a page has its number of elements. */
export const COUNT_AT = 10;
/** Where a page has its number of overflow pages. */
export const OVERFLOW_AT = 12;

/** Entries by their path, as text. */
export type Content = ReadonlyMap<string, string>;

/** The content of a database. */
export function contentOf(path: string): Content {
  const content = new Map<string, string>();
  const db = open(path, { readOnly: true });
  db.view((tx) => {
    const take = (holder: NonNullable<ReturnType<typeof tx.bucket>>, at: string): void => {
      for (const [key, value] of holder) content.set(`${at}/${key.toString()}`, value.toString());
      for (const name of holder.buckets()) take(holder.bucket(name)!, `${at}/${name.toString()}`);
    };
    for (const name of tx.buckets()) take(tx.bucket(name)!, name.toString());
  });
  db.close();
  return content;
}

/** Two buckets of several leaves each, and a third transaction that is the newest. */
export function twoBuckets(): { readonly path: string; readonly bytes: Buffer; readonly content: Content } {
  const path = tempPath("two.db");
  const db = open(path, { pageSize: PAGE_SIZE, noSync: true });
  for (const name of ["a", "b"]) db.update((tx) => { for (let i = 0, bucket = tx.createBucket(name); i < 300; i++) bucket.put(`${name}-${1000 + i}`, `value ${i} of ${name}`.padEnd(30, ".")); });
  db.update((tx) => { for (let i = 0; i < 20; i++) tx.bucket("a")!.delete(`a-${1000 + i * 7}`); });
  db.close();
  return { path, bytes: readFileSync(path), content: contentOf(path) };
}

/** What a salvage gave. */
export interface Saved {
  readonly status: number | null;
  readonly content: Content;
  readonly report: { readonly problems: readonly string[]; readonly meta?: number; readonly transaction?: string; readonly freeLeaves: number; readonly isFreeKnown?: boolean };
  readonly stderr: string;
}

/** Salvages a file of these bytes. */
export async function salvage(bytes: Uint8Array, ...options: string[]): Promise<Saved> {
  const source = tempPath("damaged.db");
  const target = tempPath("saved.db");
  writeFileSync(source, bytes);
  const { status, stderr, stdout } = await here(["surgery", "salvage", source, "-o", target, "--json", ...options]);
  assert.equal(existsSync(target), status === 0);
  return { status, stderr, content: status === 0 ? contentOf(target) : new Map(), report: (status === 0 ? JSON.parse(stdout) : { problems: [] }) as Saved["report"] };
}

/** The leaves of the newest state that hold keys with a prefix, in the order of their ids. */
export async function leavesOf(path: string, prefix: string): Promise<number[]> {
  const rows = await jsonLinesHere(["pages", path]) as { id: number; type: string; count: number }[];
  const bytes = readFileSync(path);
  // Free pages have no rows of type leaf: what they hold is old.
  return rows.filter(({ count, id, type }) => type === "leaf" && count > 20 && bytes.subarray(id * PAGE_SIZE, (id + 1) * PAGE_SIZE).includes(`${prefix}-1`)).map(({ id }) => id);
}

/** What is at its place in both, out of those that `content` has. */
export function missing(content: Content, saved: Content): string[] {
  return [...content].filter(([key, value]) => saved.get(key) !== value).map(([key]) => key);
}

/** What was saved that never was, outside of lost+found. */
export function alien(content: Content, saved: Content): string[] {
  return [...saved.keys()].filter((key) => !content.has(key) && !key.startsWith("lost+found/"));
}

/** How many elements a page says it has. */
export function countOf(bytes: Buffer, pgid: number): number {
  return bytes.readUInt16LE(pgid * PAGE_SIZE + COUNT_AT);
}

/** Copies page `from` over page `to`. */
export function overwrite(bytes: Buffer, to: number, from: number): void {
  bytes.copy(bytes, to * PAGE_SIZE, from * PAGE_SIZE, (from + 1) * PAGE_SIZE);
}

/** The page of the newest meta and what it says. */
export function newest(bytes: Buffer): { readonly at: number; readonly root: number; readonly freelist: number; readonly txid: bigint } {
  const at = bytes.readBigUInt64LE(64) > bytes.readBigUInt64LE(PAGE_SIZE + 64) ? 0 : PAGE_SIZE;
  return { at, root: Number(bytes.readBigUInt64LE(at + 32)), freelist: Number(bytes.readBigUInt64LE(at + 48)), txid: bytes.readBigUInt64LE(at + 64) };
}
