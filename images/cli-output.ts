/**
 * How the command shows images: a table with ctr's column names, lines about one image, JSON.
 */
import type { Image } from "./types.js";

/** An image as JSON, which leaves out what is undefined: a size that JSON's readers would round is a text. */
export function imageJson(image: Image): Record<string, unknown> {
  const { mediaType, digest, size, annotations } = image.target;
  return {
    name: image.name,
    target: { mediaType, digest, size: typeof size === "bigint" ? String(size) : size, annotations },
    labels: image.labels,
    createdAt: image.createdAt?.toISOString(),
    updatedAt: image.updatedAt?.toISOString(),
  };
}

/** A table with a line an image. SIZE is the target's size in bytes; ctr adds up the content, which is not here. */
export function imageTable(images: readonly Image[]): string {
  const rows = [["REF", "TYPE", "DIGEST", "SIZE", "LABELS"]];
  for (const image of images) {
    const { mediaType, digest, size } = image.target;
    rows.push([image.name, mediaType, digest, String(size), pairs(image.labels)].map(printable));
  }
  const widths = (rows[0] ?? []).map((_, column) => rows.reduce((width, row) => Math.max(width, Array.from(row[column] ?? "").length), 0));
  return rows.map((row) => `${row.map((cell, column) => pad(cell, widths[column] ?? 0)).join(" ").trimEnd()}\n`).join("");
}

/** One image, a line a fact. */
export function imageDetails(image: Image): string {
  const facts: [string, string][] = [
    ["Name", image.name],
    ["Media type", image.target.mediaType],
    ["Digest", image.target.digest],
    ["Size", String(image.target.size)],
    ["Labels", pairs(image.labels)],
    ["Annotations", pairs(image.target.annotations)],
    ["Created", image.createdAt?.toISOString() ?? "-"],
    ["Updated", image.updatedAt?.toISOString() ?? "-"],
  ];
  return facts.map(([name, value]) => `${pad(`${name}:`, 13)}${printable(value)}\n`).join("");
}

function pairs(strings: Readonly<Record<string, string>> | undefined): string {
  const all = Object.entries(strings ?? {}).map(([key, value]) => `${key}=${value}`).sort();
  return all.length === 0 ? "-" : all.join(",");
}

/** Names come from files and networks: what would move the cursor is shown as an escape. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (control) => `\\x${(control.codePointAt(0) ?? 0).toString(16).padStart(2, "0")}`);
}

function pad(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - Array.from(text).length));
}
