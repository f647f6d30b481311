/** `hexbolt pages`: a table of all pages below the high-water mark. */
import { BoltError } from "../base/errors.js";
import { readU16, readU32 } from "../base/bytes.js";
import { FLAG_FREELIST, PAGE_COUNT, PAGE_FLAGS, PAGE_OVERFLOW } from "../format/constants.js";
import { readFreelistCount } from "../format/freelist-page.js";
import { pageTypeName } from "../format/page.js";
import { PgidSet } from "../format/pgid-set.js";
import { collectReachable, PageWalk } from "../format/walk.js";
import type { Meta } from "../format/meta.js";
import { EXIT_OK, type Command } from "./command.js";
import { writeJson, type Io } from "./io.js";
import { viewRaw } from "./open-file.js";
import type { RawFile } from "./raw-file.js";

/** A row of the table. */
interface PageRow {
  readonly id: number;
  readonly type: string;
  /** The header's count; of a freelist with 65,535 pages or more 65,535, as bbolt shows it. */
  readonly count: number;
  /** The count of a freelist as it is. */
  readonly itemCount: number;
  readonly overflow: number;
}

/** Pages that the mark says there are, as far as the file goes. */
function pageCountOf(file: RawFile, meta: Meta): number {
  return Math.min(meta.highWaterMark, Math.ceil(file.size / meta.pageSize));
}

/** The free and pending pages of a file; where they are not stored, all that its tree does not reach. @throws BoltError CORRUPT when the freelist or the tree cannot be read */
export function freeSet(file: RawFile, meta: Meta): PgidSet {
  const stored = file.freeIds(meta);
  if (stored === undefined) return allBut(collectReachable(file.pages(meta.highWaterMark), meta.root), file, meta);
  const free = new PgidSet();
  const pageCount = pageCountOf(file, meta);
  // Other ids name no page: a bitmap that reached up to them could take any amount of memory.
  for (const pgid of stored) if (pgid < pageCount) free.add(pgid);
  return free;
}

function allBut(used: PgidSet, file: RawFile, meta: Meta): PgidSet {
  const free = new PgidSet();
  const pageCount = pageCountOf(file, meta);
  for (let pgid = 2; pgid < pageCount; pgid++) if (!used.has(pgid)) free.add(pgid);
  return free;
}

/** `freeSet` of a file that may be damaged, when a table of its pages is wanted most: then what the readable part of the tree does not reach, but for what should be the freelist. */
function likelyFreeSet(io: Io, file: RawFile, meta: Meta): PgidSet {
  try {
    return freeSet(file, meta);
  } catch (error) {
    if (!(error instanceof BoltError && error.code === "CORRUPT")) throw error;
    io.stderr.write(`hexbolt: ${error.message}: what nothing leads to is listed as free\n`);
    const used = new PgidSet();
    if (meta.freelist !== undefined && meta.freelist < pageCountOf(file, meta)) used.add(meta.freelist);
    const walk = new PageWalk(file.pages(meta.highWaterMark), meta.root, { problem: () => undefined }, used);
    while (walk.step());
    return allBut(used, file, meta);
  }
}

/** Steps through the pages, each with its overflow pages as one. */
function* pageRows(io: Io, file: RawFile): Generator<PageRow> {
  const meta = file.activeMeta();
  const free = likelyFreeSet(io, file, meta);
  const pages = file.pages(meta.highWaterMark);
  for (let id = 0; id < meta.highWaterMark;) {
    const bytes = pages.read(id, 1);
    if (bytes === undefined) {
      yield { id, type: "missing", count: 0, itemCount: 0, overflow: 0 };
      // The file ends here: so do all pages behind.
      return;
    }
    const isFree = free.has(id);
    const flags = readU16(bytes, PAGE_FLAGS);
    const count = readU16(bytes, PAGE_COUNT);
    const overflow = isFree ? 0 : readU32(bytes, PAGE_OVERFLOW);
    const itemCount = flags === FLAG_FREELIST ? readFreelistCount(bytes, 0).count : count;
    yield { id, type: isFree ? "free" : pageTypeName(flags), count, itemCount, overflow };
    // Pages that there cannot be hide none.
    id += id + overflow < meta.highWaterMark ? 1 + overflow : 1;
  }
}

/** The command. */
export const pagesCommand: Command = {
  name: "pages", summary: "list the pages with their types", usage: "FILE",
  details: "TYPE is meta, freelist, branch, leaf or free. ITEMS counts the elements of a page, OVRFLW the further pages that belong to it.",
  example: "hexbolt pages app.db",
  options: [],
  minimum: 1, maximum: 1,
  run: (args, io) => viewRaw(io, args.at(0), "live", (file, out) => {
    let isFirst = true;
    for (const { count, id, itemCount, overflow, type } of pageRows(io, file)) {
      // Behind the first row, so that a file without pages gives its error and nothing else.
      if (isFirst && !args.json) out.write("ID       TYPE       ITEMS  OVRFLW\n======== ========== ====== ======\n");
      isFirst = false;
      if (args.json) {
        writeJson(out, type === "free" ? { id, type } : { id, type, count: itemCount, overflow });
        continue;
      }
      const [items, pageCount] = type === "free" ? ["", ""] : [String(count), overflow > 0 ? String(overflow) : ""];
      out.write(`${String(id).padEnd(8)} ${type.padEnd(10)} ${items.padEnd(6)} ${pageCount.padEnd(6)}\n`);
    }
    return EXIT_OK;
  }),
};
