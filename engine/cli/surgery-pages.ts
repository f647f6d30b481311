/** `hexbolt surgery revert-meta-page, copy-page, clear-page, clear-page-elements`: operations on single pages, each on a copy of the file. */
import { BoltError } from "../base/errors.js";
import { readU16, readU32, writeU16, writeU32, writeU64 } from "../base/bytes.js";
import { BRANCH_POS, ELEMENT_SIZE, FLAG_BRANCH, FLAG_LEAF, FLAG_META, LEAF_POS, PAGE_COUNT, PAGE_HEADER_SIZE, PAGE_ID, PAGE_OVERFLOW } from "../format/constants.js";
import { examineLeaf } from "../format/element-faults.js";
import { FREELIST_NOT_STORED } from "../format/meta.js";
import { elementAt } from "../format/page-index.js";
import { pageTypeName } from "../format/page.js";
import { parseInteger, type Arguments } from "./args.js";
import { checkFile, isOfLeak } from "./check.js";
import { Failure, OUTPUT_OPTION, UsageError, type Command, type OptionSpec } from "./command.js";
import type { Io } from "./io.js";
import { leafElements, refuseBrokenElements } from "./page-elements.js";
import { describePage, KINDS, makePageMap, type Kind, type PageMap } from "./page-map.js";
import { elementData } from "./salvage-page.js";
import { FREELIST_WARNING, withCopy, type SurgeryFile } from "./surgery-file.js";

const PAGE_OPTION: OptionSpec = { name: "pageId", value: "ID", help: "the page" };
const CLEARING_WARNING = `WARNING: The clearing has abandoned some pages that are not yet referenced from free list.\n${FREELIST_WARNING}`;

/** A number given as an option, or as an argument behind both files, as bbolt 1.3 has it. */
function numberOf(args: Arguments, option: string, index: number): number {
  const positional = args.has("output") ? undefined : args.positionals[index];
  if (positional !== undefined && args.has(option)) throw new UsageError(`--${option} is given as an argument, too: ${positional}`);
  return positional === undefined ? args.requiredInteger(option, 0) : parseInteger(positional, option, 0);
}

/** The meta page to go back from: an invalid one, else the newer. */
function newerMeta(file: SurgeryFile): 0 | 1 {
  const [meta0, meta1] = file.metas;
  if (meta0 === undefined || meta1 === undefined) throw new Failure("INVALID", "invalid database: a meta page is cut off");
  if (meta0.fault !== undefined && meta1.fault !== undefined) throw new Failure("INVALID", "invalid database: neither meta page is valid");
  if (meta0.fault !== undefined) return 0;
  if (meta1.fault !== undefined) return 1;
  return meta0.txid < meta1.txid ? 1 : 0;
}

function storesFreelist(file: SurgeryFile): boolean {
  return file.metas.some((meta) => meta !== undefined && meta.freelist !== FREELIST_NOT_STORED);
}

/** `surgery revert-meta-page` */
export const revertMetaPageCommand: Command = {
  name: "surgery revert-meta-page", summary: "go back to the state before the last transaction", usage: "FILE [NEW]",
  details: "Copies the older meta page over the newer (or over one that is not valid): the last transaction is undone.",
  example: "hexbolt surgery revert-meta-page app.db --output reverted.db",
  options: [OUTPUT_OPTION],
  minimum: 1, maximum: 2, makesFile: true,
  run: (args, io) => withCopy(args, io, (file) => {
    const newer = newerMeta(file);
    const { bytes } = file.page(1 - newer);
    writeU64(bytes, PAGE_ID, newer);
    file.writePage(newer, bytes);
    file.forgetManifests();
    return "The meta page is reverted.\n";
  }),
};

/** Pages that a warning names. */
const PAGES_SHOWN = 5;
/** Kinds of pages that nothing in the newest state needs. */
const UNUSED: readonly Kind[] = ["unreachable", "pending", "free"];

/** What is said of the pages from `first` to `last` in use; nothing when there are none. */
function describeUse(file: SurgeryFile, first: number, last: number): string {
  let map: PageMap;
  try {
    map = makePageMap(file);
  } catch (error) {
    if (!(error instanceof BoltError)) throw error;
    return `${first === last ? `Whether page ${first} is` : "Which of them are"} in use is not known: neither meta page is valid.\n`;
  }
  const used: number[] = [];
  for (let pgid = first; pgid <= Math.min(last, map.pageCount - 1); pgid++) if (!UNUSED.includes(KINDS[map.kinds[pgid]!]!)) used.push(pgid);
  if (used.length === 0) return "";
  const more = used.length > PAGES_SHOWN ? `; and ${used.length - PAGES_SHOWN} more` : "";
  return `In use: ${used.slice(0, PAGES_SHOWN).map((pgid) => describePage(map, pgid)).join("; ")}${more}.\n`;
}

/** Copies a page, with its overflow pages, and says which pages that nobody named are overwritten all the same, and which of all are in use. */
function copyPage(file: SurgeryFile, from: number, to: number): string {
  const { bytes, header } = file.page(from);
  if (to < 2 && header.flags !== FLAG_META) throw new Failure("WRONG_TYPE", `page ${to} must be a meta page, and page ${from} is a "${pageTypeName(header.flags)}" page`);
  const last = to + header.overflow;
  const warning = last === to ? "" : `WARNING: page ${from} has ${header.overflow} overflow pages: pages ${to} to ${last} were overwritten.\n`;
  const use = describeUse(file, to, last);
  writeU64(bytes, PAGE_ID, to);
  file.writePage(to, bytes);
  return warning + use;
}

/** `surgery copy-page` */
export const copyPageCommand: Command = {
  name: "surgery copy-page", summary: "copy a page over another one", usage: "FILE [NEW]",
  details: "The page is copied with its overflow pages and gets the id of its new place. Standard error says what is overwritten behind that,\nand which of the overwritten pages are in use.\nOnly a meta page can be copied over page 0 or 1.",
  example: "hexbolt surgery copy-page app.db --output fixed.db --from-page 7 --to-page 12",
  options: [OUTPUT_OPTION, { name: "from-page", value: "ID", help: "the page to copy" }, { name: "to-page", value: "ID", help: "the page to overwrite" }],
  minimum: 1, maximum: 4, makesFile: true,
  run: (args, io) => {
    const from = numberOf(args, "from-page", 2);
    const to = numberOf(args, "to-page", 3);
    if (from === to) throw new UsageError(`'--from-page' and '--to-page' have the same value: ${from}`);
    return withCopy(args, io, (file) => {
      io.stderr.write(copyPage(file, from, to));
      const warning = storesFreelist(file) ? `WARNING: the free list might have changed.\n${FREELIST_WARNING}` : "";
      return `${warning}The page ${from} was successfully copied to page ${to}\n`;
    });
  },
};

/** A page of the elements of another one but those from `start` to `end`, laid out anew; as many pages long as it needs. */
function withoutElements(bytes: Uint8Array, isLeaf: boolean, start: number, end: number, pageSize: number): Buffer {
  const kept = Array.from({ length: readU16(bytes, PAGE_COUNT) }, (_, i) => i).filter((i) => i < start || i >= end);
  let size = PAGE_HEADER_SIZE + kept.length * ELEMENT_SIZE;
  const page = Buffer.alloc(bytes.length);
  page.set(bytes.subarray(0, PAGE_HEADER_SIZE));
  for (const [i, index] of kept.entries()) {
    const from = elementAt(0, index);
    const to = elementAt(0, i);
    const data = elementData(bytes, isLeaf, index);
    page.set(bytes.subarray(from, from + ELEMENT_SIZE), to);
    writeU32(page, to + (isLeaf ? LEAF_POS : BRANCH_POS), size - to);
    page.set(bytes.subarray(data.start, data.end), size);
    size += data.end - data.start;
  }
  const pageCount = Math.ceil(size / pageSize);
  writeU16(page, PAGE_COUNT, kept.length);
  writeU32(page, PAGE_OVERFLOW, pageCount - 1);
  return page.subarray(0, pageCount * pageSize);
}

function isBroken(leaf: Uint8Array): boolean {
  return examineLeaf(leaf, leaf.length, readU16(leaf, PAGE_COUNT)).faults !== undefined;
}

/** What clearing has given up that no freelist knows of: pages that bbolt's command warns of too, or those of nested buckets, which it forgets. */
type Abandoned = "pages" | "buckets" | undefined;

function clearElements(file: SurgeryFile, pgid: number, start: number, end: number): Abandoned {
  const { bytes, header } = file.page(pgid);
  const isLeaf = header.flags === FLAG_LEAF;
  if (!isLeaf && header.flags !== FLAG_BRANCH) throw new Failure("WRONG_TYPE", `can't clear elements in "${pageTypeName(header.flags)}" page`);
  const { count } = header;
  if (count === 0) return undefined;
  if (start < 0 || start >= count) throw new Failure("OUT_OF_RANGE", `the start index (${start}) is out of range [0, ${count})`);
  if ((end < 0 || end > count) && end !== -1) throw new Failure("OUT_OF_RANGE", `the end index (${end}) is out of range [0, ${count}]`);
  if (start > end && end !== -1) throw new Failure("OUT_OF_RANGE", `the start index (${start}) is bigger than the end index (${end})`);
  if (start === end) throw new Failure("OUT_OF_RANGE", `invalid: the start index (${start}) is equal to the end index (${end})`);
  const stop = end === -1 ? count : end;
  // Elements that stay must lie inside their page; when all go, the page may be as broken as it likes.
  if (start > 0 || stop < count) refuseBrokenElements(bytes, isLeaf);
  const hasBuckets = isLeaf && !isBroken(bytes) && [...leafElements(bytes)].some(({ bucket, index }) => bucket !== undefined && bucket.root !== 0 && index >= start && index < stop);
  const page = withoutElements(bytes, isLeaf, start, stop, file.needPageSize());
  file.writePage(pgid, page);
  if (!storesFreelist(file)) return undefined;
  return readU32(page, PAGE_OVERFLOW) !== header.overflow || !isLeaf ? "pages" : hasBuckets ? "buckets" : undefined;
}

/** What the check says of one page in use of a file; nothing of a file that cannot be opened, to which nobody can write either. */
function problemsOfPage(io: Io, path: string, pgid: number): string[] {
  const problems: string[] = [];
  try {
    checkFile(io, path, undefined, (line) => { if (line.startsWith(`page ${pgid}: `) && !isOfLeak(line)) problems.push(line); });
  } catch (error) {
    if (!(error instanceof BoltError)) throw error;
  }
  return problems;
}

/**
 * Warns where the page cannot stay as clearing leaves it: a Go program that writes to a page which is empty, or whose first key its branch does not know, finds the
 * wrong element of the branch and destroys pages (docs/format.md, rules 1 to 3). Readers do not mind, so a compacted copy has all that is left.
 */
function warnBeforeWriting(io: Io, file: SurgeryFile, pgid: number): void {
  const problems = problemsOfPage(io, file.path, pgid);
  if (problems.length === 0) return;
  const { count, flags } = file.page(pgid).header;
  // Compacting refuses a branch that leads nowhere.
  const command = flags === FLAG_BRANCH && count === 0 ? "surgery salvage" : "compact";
  io.stderr.write(`WARNING: ${problems.join("; ")}\nAnother program that writes to the file may destroy more: execute \`hexbolt ${command} ...\` before.\n`);
}

/** Clears, and warns: of what bbolt warns of where it does, of more on standard error, so that the output stays the same. */
function clearAndTell(io: Io, file: SurgeryFile, pgid: number, start: number, end: number): string {
  const abandoned = clearElements(file, pgid, start, end);
  if (abandoned === "buckets") io.stderr.write(CLEARING_WARNING);
  warnBeforeWriting(io, file, pgid);
  return abandoned === "pages" ? CLEARING_WARNING : "";
}

/** `surgery clear-page` */
export const clearPageCommand: Command = {
  name: "surgery clear-page", summary: "remove all elements of a page", usage: "FILE [NEW]",
  details: "The page must be a branch or a leaf.",
  example: "hexbolt surgery clear-page app.db --output fixed.db --pageId 7",
  options: [OUTPUT_OPTION, PAGE_OPTION],
  minimum: 1, maximum: 3, makesFile: true,
  run: (args, io) => {
    const pgid = numberOf(args, "pageId", 2);
    if (pgid < 2) throw new UsageError(`the pageId must be at least 2, but got ${pgid}`);
    return withCopy(args, io, (file) => `${clearAndTell(io, file, pgid, 0, -1)}The page (${pgid}) was cleared\n`);
  },
};

/** `surgery clear-page-elements` */
export const clearPageElementsCommand: Command = {
  name: "surgery clear-page-elements", summary: "remove some elements of a page", usage: "FILE [NEW]",
  details: "The page must be a branch or a leaf. Elements are counted from 0; --to-index -1 means up to the last.",
  example: "hexbolt surgery clear-page-elements app.db --output fixed.db --pageId 7 --from-index 3 --to-index 5",
  options: [
    OUTPUT_OPTION, PAGE_OPTION, { name: "from-index", value: "N", help: "the first element to remove" },
    { name: "to-index", value: "N", help: "the element after the last to remove; -1: remove up to the end" },
  ],
  minimum: 1, maximum: 2, makesFile: true,
  run: (args, io) => {
    const pgid = args.requiredInteger("pageId", 0);
    if (pgid < 2) throw new UsageError(`the pageId must be at least 2, but got ${pgid}`);
    const start = args.requiredInteger("from-index", -1);
    const end = args.requiredInteger("to-index", -1);
    return withCopy(args, io, (file) => `${clearAndTell(io, file, pgid, start, end)}All elements in [${start}, ${end}) in page ${pgid} were cleared\n`);
  },
};
