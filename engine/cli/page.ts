/** `hexbolt page`: pages in a form that people can read. */
import { BoltError } from "../index.js";
import { FLAG_BRANCH, FLAG_FREELIST, FLAG_LEAF, FLAG_META } from "../format/constants.js";
import { readFreelistPage } from "../format/freelist-page.js";
import { pageTypeName } from "../format/page.js";
import { parseInteger } from "./args.js";
import { EXIT_OK, Failure, formatOption, FORMATS, UsageError, type Command } from "./command.js";
import { formatBytes, hex, quotedOrHex } from "./go-text.js";
import { writeJson, type Output } from "./io.js";
import { toFormattedJson, toJsonBytes } from "./json-bytes.js";
import { readMetaFields, type MetaFields } from "./meta-fields.js";
import { viewRaw } from "./open-file.js";
import { branchElements, leafElements } from "./page-elements.js";
import type { RawFile, RawPage } from "./raw-file.js";

/** Between two pages. */
export const SEPARATOR = "===============================================\n";

/** The page ids among the arguments. @throws UsageError */
export function pageIds(words: readonly string[]): number[] {
  return words.filter((word) => word !== "").map((word) => parseInteger(word, "a page id", 0));
}

function metaLines(meta: MetaFields): string {
  return `Version:    ${meta.version}\nPage Size:  ${meta.pageSize} bytes\nFlags:      ${meta.flags.toString(16).padStart(8, "0")}\n`
    + `Root:       <pgid=${meta.root}>\nFreelist:   <pgid=${meta.freelist}>\nHWM:        <pgid=${meta.highWaterMark}>\n`
    + `Txn ID:     ${meta.txid}\nChecksum:   ${meta.checksum.toString(16).padStart(16, "0")}\n\n`;
}

function writeLeaf(out: Output, { bytes, header }: RawPage, format: string): void {
  out.write(`Item Count: ${header.count}\n\n`);
  for (const { bucket, key, value } of leafElements(bytes)) {
    out.write(`${quotedOrHex(key)}: `);
    out.write(bucket === undefined ? formatBytes(value, format) : `<pgid=${bucket.root},seq=${bucket.sequence}>`);
    out.write("\n");
  }
  out.write("\n");
}

function writePage(out: Output, page: RawPage, format: string): void {
  const { bytes, header } = page;
  out.write(`Page ID:    ${header.id}\nPage Type:  ${pageTypeName(header.flags)}\nTotal Size: ${bytes.length} bytes\nOverflow pages: ${header.overflow}\n`);
  const meta = header.flags === FLAG_META ? readMetaFields(bytes) : undefined;
  if (meta !== undefined) out.write(metaLines(meta));
  else if (header.flags === FLAG_LEAF) writeLeaf(out, page, format);
  else if (header.flags === FLAG_BRANCH) {
    out.write(`Item Count: ${header.count}\n\n`);
    for (const { child, key } of branchElements(bytes)) out.write(`${quotedOrHex(key)}: <pgid=${child}>\n`);
    out.write("\n");
  } else if (header.flags === FLAG_FREELIST) {
    const ids = readFreelistPage(bytes, header.id);
    out.write(`Item Count: ${ids.length}\nOverflow: ${header.overflow}\n\n`);
    for (const id of ids) out.write(`${id}\n`);
    out.write("\n");
  }
}

/** A page as JSON shows it. @param format that values are printed in; undefined: as bytes. Of a page of no known type nothing is shown then, for what lies in it nobody knows */
export function pageJson({ bytes, header }: RawPage, format?: string): Record<string, unknown> {
  const head = { id: header.id, type: pageTypeName(header.flags), size: bytes.length, overflow: header.overflow, count: header.count };
  switch (header.flags) {
    case FLAG_META: {
      const meta = readMetaFields(bytes);
      return { ...head, meta: meta && { ...meta, checksum: meta.checksum.toString(16).padStart(16, "0"), fault: meta.fault ?? null } };
    }
    case FLAG_LEAF:
      return { ...head, items: [...leafElements(bytes)].map(({ bucket, flags, key, value }) => ({
        key: toJsonBytes(key), ...(bucket === undefined ? { value: toFormattedJson(value, format) } : { bucket }), ...(flags > 1 ? { flags } : {}),
      })) };
    case FLAG_BRANCH: return { ...head, items: [...branchElements(bytes)].map(({ child, key }) => ({ key: toJsonBytes(key), child })) };
    case FLAG_FREELIST: {
      const ids = [...readFreelistPage(bytes, header.id)];
      return { ...head, count: ids.length, ids };
    }
    default: return format === undefined ? { ...head, hex: hex(bytes.subarray(0, 64)) } : head;
  }
}

/** Writes one page, or that it cannot be. @returns how many pages to go on */
function showPage(out: Output, file: RawFile, pgid: number, format: string | undefined, json: boolean): number {
  try {
    const page = file.page(pgid);
    if (json) writeJson(out, pageJson(page, format));
    else writePage(out, page, format ?? "auto");
    return 1 + page.header.overflow;
  } catch (error) {
    if (!(error instanceof Failure || error instanceof BoltError) || error.code === "STALE_SNAPSHOT") throw error;
    if (json) writeJson(out, { id: pgid, error: error.message });
    else out.write(`Printing page ${pgid} failed: ${error.message}. Continuing...\n`);
    return 1;
  }
}

/** Pages to show: up to the high-water mark of a valid meta, else of meta page 0 as it stands; of a mark that cannot be, all that the file has. */
function pageCountOf(file: RawFile): number {
  const filePages = Math.ceil(file.size / file.needPageSize());
  const [valid] = file.validMetas();
  const mark = valid?.meta.highWaterMark ?? Number(file.metas[0]?.highWaterMark ?? 0n);
  return mark >= 2 && mark <= filePages ? mark : filePages;
}

/** The command. */
export const pageCommand: Command = {
  name: "page", summary: "print pages in readable form", usage: "FILE PAGEID...",
  details: "A page that cannot be read is reported among the others; the exit status stays 0, as with bbolt.",
  example: "hexbolt page app.db 3 4",
  options: [
    { name: "all", help: "all pages; no PAGEID then" },
    { name: "format-value", value: "FORMAT", choices: FORMATS, help: formatOption("values on leaf pages are").help },
  ],
  minimum: 1, maximum: Infinity,
  run: (args, io) => {
    const ids = pageIds(args.positionals.slice(1));
    if (args.has("all") && ids.length > 0) throw new UsageError("invalid args: either use '--all' or 'pageid...'");
    if (!args.has("all") && ids.length === 0) throw new UsageError("page id required");
    const format = args.text("format-value");
    return viewRaw(io, args.at(0), "live", (file, out) => {
      const separate = (isFirst: boolean): void => { if (!isFirst && !args.json) out.write(SEPARATOR); };
      for (const [i, pgid] of ids.entries()) {
        separate(i === 0);
        showPage(out, file, pgid, format, args.json);
      }
      if (!args.has("all")) return EXIT_OK;
      const end = pageCountOf(file);
      for (let pgid = 0; pgid < end;) {
        separate(pgid === 0);
        pgid += showPage(out, file, pgid, format, args.json);
      }
      return EXIT_OK;
    });
  },
};
