/** `hexbolt surgery meta validate, meta update` and `freelist abandon, freelist rebuild`. */
import { open } from "../index.js";
import { DEFAULT_PAGE_SIZE, FLAG_META, LARGEST_READABLE_PAGE_SIZE, SMALLEST_READABLE_PAGE_SIZE } from "../format/constants.js";
import { isReadablePageSize } from "../format/page-size.js";
import { FREELIST_NOT_STORED, META_SIZE } from "../format/meta.js";
import { EXIT_OK, Failure, OUTPUT_OPTION, UsageError, type Command } from "./command.js";
import { writeJson } from "./io.js";
import { changeMeta, FAULT_TEXTS, readMetaFields, type MetaChange, type MetaFields } from "./meta-fields.js";
import { viewRaw } from "./open-file.js";
import { withCopy } from "./surgery-file.js";

/** `surgery meta validate` */
export const metaValidateCommand: Command = {
  name: "surgery meta validate", summary: "tell whether the meta pages are valid", usage: "FILE",
  details: "Prints a line for each; the exit status is 0 either way, as with bbolt.",
  example: "hexbolt surgery meta validate app.db",
  options: [],
  minimum: 1, maximum: 1,
  run: (args, io) => viewRaw(io, args.at(0), "live", (file, out) => {
    for (const [page, meta] of file.metas.entries()) {
      const fault = meta === undefined ? "INVALID" : meta.fault;
      if (args.json) writeJson(out, { page, valid: fault === undefined, fault: fault ?? null, txid: meta?.txid ?? null });
      else if (fault === undefined) out.write(`The meta page ${page} is valid!\n`);
      else out.write(`WARNING: The meta page ${page} isn't valid: ${FAULT_TEXTS[fault]}!\n`);
    }
    return EXIT_OK;
  }),
};

const FIELDS: Readonly<Record<string, keyof MetaChange>> = { pageSize: "pageSize", root: "root", freelist: "freelist", pgid: "highWaterMark" };
const U64_LIMIT = 1n << 64n;

function parseFields(texts: readonly string[]): MetaChange {
  const change: { pageSize?: number; root?: bigint; freelist?: bigint; highWaterMark?: bigint } = {};
  for (const field of texts.flatMap((text) => text.split(","))) {
    const [name = "", value = "", ...more] = field.split(":");
    if (!field.includes(":") || more.length > 0) throw new UsageError(`invalid key-value pair: ${field}`);
    const target = FIELDS[name];
    if (target === undefined) throw new UsageError(`field "${name}" isn't allowed to be updated`);
    if (!/^\d+$/.test(value) || BigInt(value) >= U64_LIMIT) throw new UsageError(`invalid value "${value}" for field "${name}"`);
    if (target === "pageSize") {
      // Such a meta page would not count, and could make a file unreadable that is not.
      if (!isReadablePageSize(Number(value))) throw new UsageError(`invalid value "${value}" for field "${name}": pages have a power of two bytes, from ${SMALLEST_READABLE_PAGE_SIZE} to ${LARGEST_READABLE_PAGE_SIZE}`);
      change.pageSize = Number(value);
    } else {
      change[target] = BigInt(value);
    }
  }
  return change;
}

/** Where neither meta page looks like one, what the first says of the page size is the best there is, when it can be. */
function pageSizeOf(meta: MetaFields | undefined): number {
  const size = meta?.pageSize ?? 0;
  return isReadablePageSize(size) ? size : DEFAULT_PAGE_SIZE;
}

/**
 * Says what a meta page names that the file does not have. It may be right in the end, when other fields or the file's length are mended next: so it is no
 * reason to refuse.
 */
function warningsOf({ freelist, highWaterMark, pageSize, root }: MetaFields, fileSize: number): string {
  if (!isReadablePageSize(pageSize)) return `WARNING: the page size is ${pageSize}: the meta page does not count\n`;
  const pageCount = BigInt(Math.floor(fileSize / pageSize));
  const last = (highWaterMark < pageCount ? highWaterMark : pageCount) - 1n;
  const isThere = (pgid: bigint): boolean => pgid >= 2n && pgid <= last;
  let text = "";
  if (highWaterMark > pageCount) text += `WARNING: the high-water mark is ${highWaterMark}, and the file has ${pageCount} pages\n`;
  if (!isThere(root)) text += `WARNING: the root is page ${root}, and the pages of content are 2 to ${last}\n`;
  if (freelist !== FREELIST_NOT_STORED && !isThere(freelist)) text += `WARNING: the freelist is page ${freelist}, and the pages of content are 2 to ${last}\n`;
  return text;
}

/** `surgery meta update` */
export const metaUpdateCommand: Command = {
  name: "surgery meta update", summary: "change fields of a meta page", usage: "FILE [NEW]",
  details: "Fields are pageSize, root, freelist and pgid (the high-water mark). Magic, version and checksum are set right in any case,\nso the command without fields makes a meta page with a wrong checksum valid.",
  example: "hexbolt surgery meta update app.db --output fixed.db --fields root:16,freelist:8 --meta-page 1",
  options: [
    OUTPUT_OPTION, { name: "fields", value: "NAME:N,…", help: "fields and their new values; may be given several times" },
    { name: "meta-page", value: "0|1", help: "which meta page; default 0" },
  ],
  minimum: 1, maximum: 2, makesFile: true,
  run: (args, io) => {
    const page = args.integer("meta-page", 0) ?? 0;
    if (page > 1) throw new UsageError(`invalid meta page id: ${page}`);
    const change = parseFields(args.texts("fields"));
    return withCopy(args, io, (file) => {
      const pageSize = file.pageSize ?? pageSizeOf(file.metas[0]);
      const bytes = file.readBytes(page * pageSize, META_SIZE);
      if (bytes.length < META_SIZE) throw new Failure("INVALID", `read meta page ${page} failed: it is cut off`);
      if (!changeMeta(bytes, change, FLAG_META)) return "Nothing changed!\n";
      file.patch(page * pageSize, bytes);
      io.stderr.write(warningsOf(readMetaFields(bytes)!, file.size));
      const other = change.pageSize !== undefined && page === 1 && change.pageSize !== pageSize;
      const warning = other ? `WARNING: The page size (${pageSize}) in the first meta page doesn't match the second meta page (${change.pageSize})\n` : "";
      return `${warning}The meta page ${page} has been updated!\n`;
    });
  },
};

/** `surgery freelist abandon` */
export const freelistAbandonCommand: Command = {
  name: "surgery freelist abandon", summary: "forget the stored freelist", usage: "FILE [NEW]",
  details: "Each valid meta page then says that no freelist is stored; the next opening finds the free pages by walking the whole file.\nA meta page that is not valid is left as it is.",
  example: "hexbolt surgery freelist abandon app.db --output fixed.db",
  options: [OUTPUT_OPTION],
  minimum: 1, maximum: 2, makesFile: true,
  run: (args, io) => withCopy(args, io, (file) => {
    // An invalid meta that got a right checksum would count again.
    const valid = [0, 1].filter((page) => file.metas[page] !== undefined && file.metas[page].fault === undefined);
    if (valid.length === 0) throw new Failure("INVALID", "invalid database: neither meta page is valid");
    for (const page of valid) {
      const position = page * file.needPageSize();
      const bytes = file.readBytes(position, META_SIZE);
      changeMeta(bytes, { freelist: FREELIST_NOT_STORED });
      file.patch(position, bytes);
    }
    const where = valid.length === 2 ? "both meta pages" : `meta page ${valid[0]}; meta page ${1 - valid[0]!} is not valid, and was left as it is`;
    return `The freelist was abandoned in ${where}.\nIt may cause some delay on next startup because bbolt needs to scan the whole db to reconstruct the free list.\n`;
  }),
};

/** `surgery freelist rebuild` */
export const freelistRebuildCommand: Command = {
  name: "surgery freelist rebuild", summary: "find the free pages and store them", usage: "FILE [NEW]",
  details: "For a file that stores no freelist: abandon a wrong one first.",
  example: "hexbolt surgery freelist rebuild abandoned.db --output fixed.db",
  options: [OUTPUT_OPTION],
  minimum: 1, maximum: 2, makesFile: true,
  run: (args, io) => withCopy(args, io, (file) => {
    if (file.activeMeta().freelist !== undefined) {
      throw new Failure("FREELIST_EXISTS", "the file already has freelist, please consider to abandon the freelist to forcibly rebuild it", "`hexbolt surgery freelist abandon` does that");
    }
    // Opening for writing is what finds and stores them.
    open(file.path).close();
    return "The freelist was successfully rebuilt.\n";
  }),
};
