/**
 * `hexbolt surgery salvage`: writes every entry that can still be reached to a new file.
 *
 * Reached is what the tree of the meta that counts leads to, as far as its pages can be read. Where that leads to nothing the other state is read, and where
 * neither meta page is valid, what stands in them is tried all the same. Where no tree can be begun, or with `--scan`, every leaf page of the file that
 * nothing leads to goes into the bucket lost+found, each into a bucket of its own.
 */
import { DEFAULT_PAGE_SIZE, FLAG_META, MAX_PAGE_SIZE, MIN_PAGE_SIZE, PAGE_HEADER_SIZE, SMALLEST_READABLE_PAGE_SIZE, type Pgid } from "../format/constants.js";
import type { Meta } from "../format/meta.js";
import { PgidSet } from "../format/pgid-set.js";
import { pageTypeName, readPageHeader } from "../format/page.js";
import { EXIT_OK, Failure, OUTPUT_OPTION, type Command } from "./command.js";
import { textOrHex } from "./go-text.js";
import { writeJson, type Io } from "./io.js";
import { refuseOriginal, removeTemporary, withNewFile } from "./new-file.js";
import { requireDatabase, viewRaw } from "./open-file.js";
import type { RawFile } from "./raw-file.js";
import { contradiction, findLostPages, freePagesOf, topDown, unknownFreePages, type FreePages, type LostPage, type LostPages } from "./salvage-lost.js";
import { SalvagePages } from "./salvage-pages.js";
import { SalvageTrees } from "./salvage-tree.js";
import { LOST_AND_FOUND, SalvageWriter, type SalvageCounts } from "./salvage-writer.js";
import { outputOf } from "./surgery-file.js";
import { Progress } from "./terminal.js";

/** Problems that are listed one by one, unless JSON is wanted. */
const SHOWN_PROBLEMS = 20;
/** Pages that are looked at to guess the page size. */
const GUESS_PAGES = 256;

/** What is wanted besides what the newest state leads to. */
interface SalvageOptions {
  readonly scan: boolean;
  readonly scanFree: boolean;
  readonly older: boolean;
}

/** What a salvage did. */
interface SalvageReport extends SalvageCounts {
  readonly problems: readonly string[];
  /** Pages that nothing leads to and that were taken. */
  readonly scannedPages: number;
  /** Pages that nothing leads to, that are not free, and that were left. */
  readonly unreachedPages: number;
  /** Values outside of every bucket, which are legal and which hardly any program makes. */
  readonly valuesOutside: number;
  /** The file says which pages are free. */
  readonly isFreeKnown: boolean;
  /** Leaf pages that are free and hold something, and that were left. */
  readonly freeLeaves: number;
  /** The meta page of the state that was read and its transaction; undefined: no tree could be begun. */
  readonly meta: number | undefined;
  readonly transaction: bigint | undefined;
  /** The newest transaction, where it was left out: pages of it are damaged, and the state before it is whole. */
  readonly leftOut: bigint | undefined;
}

/** The page size at which most pages name themselves. */
function guessPageSize(file: RawFile): number {
  let best = { pageSize: DEFAULT_PAGE_SIZE, hits: 0 };
  for (let pageSize = SMALLEST_READABLE_PAGE_SIZE; pageSize <= MAX_PAGE_SIZE; pageSize *= 2) {
    let hits = 0;
    for (let pgid = 1; pgid < Math.min(GUESS_PAGES, Math.floor(file.size / pageSize)); pgid++) {
      if (readPageHeader(file.readBytes(pgid * pageSize, pageSize), 0).id === pgid) hits++;
    }
    if (hits > best.hits) best = { pageSize, hits };
  }
  return best.pageSize;
}

/** A state of the file that a meta page tells of, rightly or not. */
interface State {
  readonly page: number;
  readonly txid: bigint;
  readonly root: Pgid;
  /** undefined: the meta page is not valid. */
  readonly meta: Meta | undefined;
}

/** The states to try, best first: of valid metas, then of whatever stands in the meta pages. */
function statesOf(file: RawFile, pageSize: number): State[] {
  const limit = BigInt(Math.ceil(file.size / pageSize));
  const valid = file.validMetas().map(({ meta, page }): State => ({ page, txid: meta.txid, root: meta.root, meta }));
  const doubtful = file.metas.flatMap((fields, page): State[] => (
    fields?.fault === undefined || fields.root < 2n || fields.root >= limit ? [] : [{ page, txid: fields.txid, root: Number(fields.root), meta: undefined }]));
  const states = [...valid, ...doubtful.sort((a, b) => (a.txid > b.txid ? -1 : 1))];
  return states.filter(({ root }, i) => states.findIndex((state) => state.root === root) === i || i < valid.length);
}

function leftOutOf(file: RawFile): bigint | undefined {
  const [first, second] = file.validMetas();
  return first !== undefined && second !== undefined && second.meta.txid > first.meta.txid ? second.meta.txid : undefined;
}

/** Says with which states salvage did not begin, and why. */
function stateProblems(file: RawFile, states: readonly State[], taken: State | undefined): string[] {
  const what = taken === undefined ? "no tree can be begun" : `transaction ${taken.txid} was read`;
  const invalid = file.metaProblems().map((line) => `${line}: ${what}`);
  const tried = states.slice(0, taken === undefined ? states.length : states.indexOf(taken)).filter(({ meta }) => meta !== undefined);
  return [...invalid, ...tried.map(({ root, txid }) => `transaction ${txid}, with the root page ${root}, leads to nothing: ${what}`)];
}

/** Says of which meta pages the page header is damaged, though the meta in it counts. */
function metaHeaderProblems(file: RawFile): string[] {
  return file.validMetas().flatMap(({ meta, page }) => {
    const { flags, id } = readPageHeader(file.readBytes(page * meta.pageSize, PAGE_HEADER_SIZE), 0);
    if (flags !== FLAG_META) return [`page ${page}: invalid meta page, page type is ${pageTypeName(flags)}`];
    return id === page ? [] : [`page ${page}: self identifies as page ${id}`];
  }).sort();
}

/** Says what is wrong with the size of the file that a state tells of. */
function sizeProblems({ highWaterMark, pageSize }: Meta, fileSize: number, used: PgidSet): string[] {
  const outCount = [...used].filter((pgid) => pgid >= highWaterMark && pgid * pageSize < fileSize).length;
  return [
    fileSize < highWaterMark * pageSize ? `file of ${fileSize} bytes ends before its high water mark, page ${highWaterMark}` : "",
    outCount > 0 ? `${outCount} ${outCount === 1 ? "page" : "pages"} of the tree out of bounds: ${highWaterMark}` : "",
  ].filter((line) => line !== "");
}

/** Lost pages that a state may need: what lies behind its mark is of a commit that came to nothing. */
function belowMark(lost: readonly LostPage[], meta: Meta | undefined): LostPage[] {
  return lost.filter(({ pgid }) => meta === undefined || pgid < meta.highWaterMark);
}

/** Reads a damaged file into a new one. */
class Salvage {
  readonly #file: RawFile;
  readonly #pageSize: number;
  readonly #writer: SalvageWriter;
  readonly #trees: SalvageTrees;
  readonly #problems: string[] = [];
  /** What the state that is read uses. */
  #used: PgidSet = new PgidSet();
  /** Nothing is wrong with what that state leads to. */
  #isSound = true;

  constructor(file: RawFile, pageSize: number, writer: SalvageWriter, progress: Progress) {
    this.#file = file;
    this.#pageSize = pageSize;
    this.#writer = writer;
    this.#trees = new SalvageTrees(new SalvagePages(file, pageSize), writer, (pageCount) => progress.show(pageCount));
  }

  run(options: SalvageOptions): SalvageReport {
    const states = statesOf(this.#file, this.#pageSize);
    const state = this.#takeStates(states, options.older);
    this.#trees.lost();
    this.#problems.push(...stateProblems(this.#file, states, state), ...metaHeaderProblems(this.#file));
    if (state?.meta !== undefined) this.#problems.push(...sizeProblems(state.meta, this.#file.size, this.#used));
    const { free, pages } = this.#lostPages(state === states[0] ? state?.meta : undefined);
    this.#tellLost(free, pages.lost, state?.meta);
    const wanted = options.scanFree ? [...pages.lost, ...pages.free] : pages.lost;
    const scannedPages = options.scan || options.scanFree || state === undefined ? this.#scan(wanted, state === undefined) : 0;
    const { outsideCount, problems } = this.#trees;
    return {
      ...this.#writer.counts, problems: [...problems, ...this.#problems], scannedPages, unreachedPages: scannedPages === 0 ? pages.lost.length : 0,
      freeLeaves: options.scanFree ? 0 : pages.free.filter(({ isLeaf }) => isLeaf).length, isFreeKnown: free.isKnown, valuesOutside: outsideCount,
      meta: state?.page, transaction: state?.txid, leftOut: options.older ? undefined : leftOutOf(this.#file),
    };
  }

  /** Takes the first state that leads to something, and with `older` what only others lead to. @returns the first */
  #takeStates(states: readonly State[], older: boolean): State | undefined {
    let taken: State | undefined;
    for (const state of states) {
      if (taken !== undefined && !older) break;
      const before = this.#entryCount();
      const { isSound, used } = this.#trees.state(state.root);
      // A sound root of nothing is a state, too: what was deleted must not come back.
      if (taken !== undefined || (this.#entryCount() === before && !isSound)) continue;
      taken = state;
      this.#used = used;
      this.#isSound = isSound;
    }
    return taken;
  }

  #entryCount(): number {
    return this.#writer.counts.keys + this.#writer.counts.buckets;
  }

  /** Finds what nothing leads to. @param meta of the newest state, if that was read: the list of an older one calls free what the newest took */
  #lostPages(meta: Meta | undefined): { readonly free: FreePages; readonly pages: LostPages } {
    const isWhole = meta !== undefined && this.#file.validMetas().length === 2;
    const free = isWhole ? freePagesOf(this.#file, meta, this.#used) : unknownFreePages();
    const pages = findLostPages(this.#file, this.#pageSize, this.#trees.reached, free.ids);
    // Where the tree is whole, nothing needs what is lost: what that leads to may be free.
    const fault = this.#isSound || meta === undefined ? undefined : contradiction(this.#file, this.#pageSize, belowMark(pages.lost, meta), free.ids);
    if (fault === undefined) return { free, pages };
    return { free: unknownFreePages(fault), pages: { lost: [...pages.lost, ...pages.free], free: [] } };
  }

  /** Says what of the whole file tells that it is damaged, though each page may be sound. */
  #tellLost(free: FreePages, lost: readonly LostPage[], meta: Meta | undefined): void {
    if (free.fault !== undefined) this.#problems.push(`freelist: ${free.fault}`);
    const count = belowMark(lost, meta).length;
    if (free.isKnown && count > 0) this.#problems.push(`nothing leads to ${count} ${count === 1 ? "page that holds" : "pages that hold"} something and ${count === 1 ? "is" : "are"} not free`);
  }

  /** Takes pages that no tree has reached, with what they lead to. @param isAll there is nothing else, so that their faults are the file's @returns from how many of them it began */
  #scan(pages: readonly LostPage[], isAll: boolean): number {
    let taken = 0;
    for (const { pgid } of topDown(this.#file, this.#pageSize, pages)) {
      if (this.#trees.reached.has(pgid)) continue;
      taken++;
      this.#trees.lostPage(pgid, isAll);
    }
    return taken;
  }
}

function salvage(io: Io, file: RawFile, temporary: string, options: SalvageOptions): SalvageReport {
  removeTemporary(temporary);
  const pageSize = file.pageSize ?? guessPageSize(file);
  const writer = new SalvageWriter(temporary, Math.max(MIN_PAGE_SIZE, Math.min(MAX_PAGE_SIZE, pageSize)));
  const progress = new Progress(io, "salvaging", Math.ceil(file.size / pageSize));
  try {
    const report = new Salvage(file, pageSize, writer, progress).run(options);
    const faults = writer.finish();
    if (faults.length > 0) throw new Failure("CHECK_FAILED", `the new file is not sound: ${faults[0]}`);
    return report;
  } catch (error) {
    writer.abandon();
    throw error;
  } finally {
    progress.end();
  }
}

function nothingSaved({ meta, unreachedPages }: SalvageReport): Failure {
  if (meta === undefined && unreachedPages === 0) return new Failure("NOTHING_FOUND", "nothing in this file can be recognised as a page of a database");
  return new Failure("NOTHING_FOUND", "there is nothing to save: no key and no bucket", "--older takes what only the state before leads to, --scan and --scan-free what nothing leads to");
}

function numbered(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** What a person should know besides the problems. */
function notes({ duplicates, freeLeaves, isFreeKnown, leftOut, problems, refused, scannedPages, unreachedPages, valuesOutside }: SalvageReport): string[] {
  const [hold, are, lead] = unreachedPages === 1 ? ["holds", "is", "it"] : ["hold", "are", "them"];
  return [
    leftOut === undefined ? "" : `Transaction ${leftOut} was left out, for pages of it are damaged: --older takes what it leads to, where the state before it has no such key`,
    scannedPages > 0 ? `${numbered(scannedPages, "page")} that nothing leads to ${scannedPages === 1 ? "is" : "are"} in the bucket ${textOrHex(LOST_AND_FOUND)}` : "",
    unreachedPages > 0 && isFreeKnown ? `${numbered(unreachedPages, "page")} ${hold} something, ${are} not free, and nothing leads to ${lead}: --scan takes ${lead}` : "",
    unreachedPages > 0 && !isFreeKnown ? `${numbered(unreachedPages, "page")} ${hold} something and nothing leads to ${lead}; the file does not say which of them are free: --scan takes ${lead}, with what was deleted or replaced` : "",
    freeLeaves > 0 && (problems.length > 0 || scannedPages > 0) ? `${numbered(freeLeaves, "free page")} ${freeLeaves === 1 ? "holds" : "hold"} entries, deleted or replaced ones if the list of free pages is right: --scan-free takes them` : "",
    valuesOutside > 0 ? `${valuesOutside} values lay outside of every bucket, where hardly any program puts one: so looks a copy made while the file was written` : "",
    duplicates > 0 ? `${numbered(duplicates, "key")} ${duplicates === 1 ? "was" : "were"} there more than once` : "",
    refused > 0 ? `${refused} ${refused === 1 ? "entry" : "entries"} could not be written` : "",
  ].filter((text) => text !== "");
}

function tell(io: Io, report: SalvageReport): void {
  const { buckets, keys, problems } = report;
  tellProblems(io, problems);
  io.stdout.write(`Salvaged ${keys} keys in ${buckets} buckets; ${numbered(problems.length, "problem")} on the way.\n${notes(report).map((text) => `${text}.\n`).join("")}`);
}

function tellProblems(io: Io, problems: readonly string[]): void {
  for (const line of problems.slice(0, SHOWN_PROBLEMS)) io.stderr.write(`hexbolt: ${line}\n`);
  if (problems.length > SHOWN_PROBLEMS) io.stderr.write(`hexbolt: and ${problems.length - SHOWN_PROBLEMS} more problems\n`);
}

/** `surgery salvage` */
export const salvageCommand: Command = {
  name: "surgery salvage", summary: "write every entry that can still be reached to a new file", usage: "FILE [NEW]",
  details: "Also reads files that no other command can open. What is wrong is listed on standard error.\nThe new file is checked before it gets its name.",
  example: "hexbolt surgery salvage broken.db --output saved.db",
  options: [
    OUTPUT_OPTION,
    { name: "scan", help: "also take leaf pages that nothing leads to and that are not free, into the bucket lost+found" },
    { name: "scan-free", help: "also take leaf pages that are free: what was deleted or replaced comes back with them" },
    { name: "older", help: "also take what only the other one of the last two states leads to; deleted keys come back with it" },
  ],
  minimum: 1, maximum: 2, makesFile: true,
  run: async (args, io) => {
    const source = args.at(0);
    const target = outputOf(args);
    requireDatabase(source);
    refuseOriginal(source, target);
    const options = { scan: args.has("scan"), scanFree: args.has("scan-free"), older: args.has("older") };
    const report = await withNewFile(io, target, (temporary) => {
      const found = viewRaw(io, source, "live", (file) => salvage(io, file, temporary, options));
      if (found.keys + found.buckets > 0) return found;
      if (!args.json) tellProblems(io, found.problems);
      throw nothingSaved(found);
    }, source);
    if (args.json) writeJson(io.stdout, report);
    else tell(io, report);
    return EXIT_OK;
  },
};
