/**
 * `hexbolt surgery salvage`: writes every entry that can still be reached to a new file.
 *
 * Reached is what the tree of the meta that counts leads to, as far as its pages can be read: a broken page costs its own entries, not those
 * of the pages beside it. Where neither meta page is valid, what stands in them is tried all the same; where no tree can be begun, or with
 * `--scan`, every leaf page of the file that nothing leads to goes into the bucket lost+found, each into a bucket of its own.
 */
import { BoltError } from "../base/errors.js";
import { readU16, readU32, readU64 } from "../base/bytes.js";
import {
  BRANCH_CHILD, BRANCH_KEY_SIZE, BRANCH_POS, BUCKET_FLAG, BUCKET_HEADER_SIZE, DEFAULT_PAGE_SIZE, FLAG_BRANCH, FLAG_LEAF, LEAF_KEY_SIZE, LEAF_POS, LEAF_VALUE_SIZE, MAX_PAGE_SIZE, MIN_PAGE_SIZE, PAGE_COUNT, PAGE_HEADER_SIZE,
  SMALLEST_READABLE_PAGE_SIZE, type Pgid,
} from "../format/constants.js";
import { examineLeaf } from "../format/element-faults.js";
import { elementAt } from "../format/page-index.js";
import { PgidSet } from "../format/pgid-set.js";
import { readPageHeader } from "../format/page.js";
import { bucketPath, PageWalk } from "../format/walk.js";
import type { WalkedBucket } from "../format/walk-visitor.js";
import { EXIT_OK, Failure, OUTPUT_OPTION, UsageError, type Command } from "./command.js";
import { textOrHex } from "./go-text.js";
import { writeJson, type Io } from "./io.js";
import { isSameFile, removeTemporary, withNewFile } from "./new-file.js";
import { requireFile, viewRaw } from "./open-file.js";
import { leafElement } from "./page-elements.js";
import type { RawFile } from "./raw-file.js";
import { findLostPages, freePagesOf, topDown, type FreePages, type LostPage } from "./salvage-lost.js";
import { LOST_AND_FOUND, SalvageWriter, type SalvageCounts } from "./salvage-writer.js";
import { outputOf } from "./surgery-file.js";
import { Progress } from "./terminal.js";

/** Problems that are listed one by one, unless JSON is wanted. */
const SHOWN_PROBLEMS = 20;
/** Pages that are looked at to guess the page size. */
const GUESS_PAGES = 256;

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
  /** The newest transaction, where it was left out: pages of it are damaged, and the state before it is whole. */
  readonly leftOut: bigint | undefined;
}

/** Walks trees and takes what they hold. */
class Salvage {
  readonly problems: string[] = [];
  readonly reached: PgidSet = new PgidSet();
  readonly #file: RawFile;
  readonly #writer: SalvageWriter;
  readonly #pageSize: number;
  readonly #progress: Progress;
  /** What was found on the way and is to be taken once the present walk is over. */
  readonly #waiting: { readonly root: Pgid; readonly base: readonly Buffer[] }[] = [];
  #pageCount = 0;
  /** Values of the root bucket, where no program's calls put one. */
  outsideCount = 0;
  /** Bytes that may still be read a second time. */
  #againSize: number;

  constructor(file: RawFile, writer: SalvageWriter, pageSize: number, progress: Progress) {
    this.#file = file;
    this.#againSize = file.size;
    this.#writer = writer;
    this.#pageSize = pageSize;
    this.#progress = progress;
  }

  /**
   * Takes what the page `root` leads to into the bucket at `base`.
   * @param skipped pages that are left out; undefined: of another state, all that it leads to is taken
   * @returns how many pages were read
   */
  tree(root: Pgid, base: readonly Buffer[], skipped?: PgidSet): number {
    const before = this.#pageCount;
    this.#walk(root, base, skipped);
    for (let next = this.#waiting.pop(); next !== undefined; next = this.#waiting.pop()) if (!this.reached.has(next.root)) this.#walk(next.root, next.base, this.reached);
    return this.#pageCount - before;
  }

  #walk(root: Pgid, base: readonly Buffer[], skipped: PgidSet | undefined): void {
    const filePages = Math.ceil(this.#file.size / this.#pageSize);
    let last: { readonly bucket: WalkedBucket; readonly path: readonly Buffer[] } | undefined;
    const pathOf = (bucket: WalkedBucket): readonly Buffer[] => {
      if (last?.bucket !== bucket) last = { bucket, path: [...base, ...bucketPath(bucket)] };
      return last.path;
    };
    const walk = new PageWalk(this.#pages(filePages), root, {
      problem: ({ fault, pgid }) => this.problems.push(`page ${pgid}: ${fault}`),
      page: ({ bucket, bytes, count, isLeaf, overflow, pgid, unreadable }) => {
        this.reached.add(pgid);
        this.#progress.show(++this.#pageCount);
        if (!isLeaf) {
          if (count === 0) this.#followPlausible(bytes, pathOf(bucket));
          return;
        }
        const whole = this.#whole(pgid, bytes, overflow);
        if (whole !== undefined) this.#takeWhole(whole, count === 0 ? 0 : bytes.length, pathOf(bucket));
        else if (count === 0) this.#takePlausible(bytes, pathOf(bucket));
        else this.#take(bytes, count, unreadable, pathOf(bucket));
      },
      inline: ({ bucket, bytes, count, unreadable }) => {
        if (count === 0) this.#takePlausible(bytes, pathOf(bucket));
        else this.#take(bytes, count, unreadable, pathOf(bucket));
      },
    }, undefined, skipped);
    while (walk.step());
  }

  /**
   * A leaf of which an earlier page has claimed overflow pages, with all of them, where it is sound so: whoever is wrong, its values are there to be taken.
   * Of pages that claim each other no more is read a second time than the file has.
   */
  #whole(pgid: Pgid, bytes: Uint8Array, overflow: number): Uint8Array | undefined {
    const size = (1 + overflow) * this.#pageSize;
    if (bytes.length === size || size > this.#againSize) return undefined;
    const whole = this.#pages(Infinity).read(pgid, 1 + overflow);
    if (whole === undefined) return undefined;
    this.#againSize -= size;
    return examineLeaf(whole, whole.length, readU16(whole, PAGE_COUNT)).faults === undefined ? whole : undefined;
  }

  /** Takes a page that the walk has read up to `cutSize` only: into buckets that lie before it the walk goes itself. */
  #takeWhole(whole: Uint8Array, cutSize: number, path: readonly Buffer[]): void {
    const count = readU16(whole, PAGE_COUNT);
    this.#take(whole, count, undefined, path);
    for (let i = 0; i < count; i++) {
      const { bucket, key, value } = leafElement(whole, i);
      if (bucket === undefined || value.byteOffset - whole.byteOffset + value.length <= cutSize) continue;
      const own = [...path, Buffer.from(key)];
      if (bucket.root !== 0) {
        this.#waiting.push({ root: bucket.root, base: own });
        continue;
      }
      const page = value.subarray(BUCKET_HEADER_SIZE);
      if (page.length < PAGE_HEADER_SIZE || examineLeaf(page, page.length, readU16(page, PAGE_COUNT)).faults !== undefined) continue;
      this.#take(page, readU16(page, PAGE_COUNT), undefined, own);
    }
  }

  /** The file's pages up to its end, whatever the high-water mark says. */
  #pages(pageCount: number): ReturnType<RawFile["pages"]> {
    return {
      pageSize: this.#pageSize,
      highWaterMark: pageCount,
      read: (pgid, count) => {
        if (!((pgid + count) * this.#pageSize <= this.#file.size)) return undefined;
        const bytes = this.#readIfThereIsMemory(pgid * this.#pageSize, count * this.#pageSize);
        return bytes?.length === count * this.#pageSize ? bytes : undefined;
      },
    };
  }

  /** A page that claims more than can be read must not end the salvage of the others. */
  #readIfThereIsMemory(position: number, size: number): Buffer | undefined {
    try {
      return this.#file.readBytes(position, size);
    } catch (error) {
      if (error instanceof BoltError && error.code === "CORRUPT") return undefined;
      throw error;
    }
  }

  #take(bytes: Uint8Array, count: number, unreadable: ReadonlySet<number> | undefined, path: readonly Buffer[]): void {
    for (let i = 0; i < count; i++) {
      if (unreadable?.has(i) === true) continue;
      const { bucket, flags, key, value } = leafElement(bytes, i);
      const name = Buffer.from(key);
      if (bucket !== undefined) this.#writer.bucket([...path, name], bucket.sequence);
      // A bucket whose header is cut off has nothing in it that could be told to be anything.
      else if ((flags & BUCKET_FLAG) === 0) {
        if (path.length === 0) this.outsideCount++;
        this.#writer.put(path, name, value);
      }
    }
  }

  /**
   * Says what of the whole file tells that it is damaged, though each page may be sound.
   * @param lost pages that nothing leads to; those from the mark on are of a commit that came to nothing
   */
  judge(free: FreePages, lost: readonly LostPage[]): void {
    if (free.fault !== undefined) this.problems.push(`freelist: ${free.fault}`);
    const count = lost.filter(({ pgid }) => pgid < free.highWaterMark).length;
    if (free.isKnown && count > 0) this.problems.push(`nothing leads to ${count} ${count === 1 ? "page that holds" : "pages that hold"} something and ${count === 1 ? "is" : "are"} not free`);
  }

  /** Of a page that counts more elements than it can have: those from the first on that lie inside it, with keys in order. */
  #takePlausible(bytes: Uint8Array, path: readonly Buffer[]): void {
    let previous: Buffer | undefined;
    for (let i = 0; i < readU16(bytes, PAGE_COUNT) && elementAt(0, i + 1) <= bytes.length; i++) {
      const element = elementAt(0, i);
      const start = element + readU32(bytes, element + LEAF_POS);
      const keySize = readU32(bytes, element + LEAF_KEY_SIZE);
      if (keySize === 0 || start < elementAt(0, i + 1) || start + keySize + readU32(bytes, element + LEAF_VALUE_SIZE) > bytes.length) return;
      const key = Buffer.from(bytes.subarray(start, start + keySize));
      if (previous !== undefined && Buffer.compare(previous, key) >= 0) return;
      previous = key;
      const { flags, value } = leafElement(bytes, i);
      if (flags === 0) this.#writer.put(path, key, value);
    }
  }

  /** Of a branch page whose count cannot be: the children that its elements name, as long as they lie inside it, keys in order, and name pages of a tree. */
  #followPlausible(bytes: Uint8Array, path: readonly Buffer[]): void {
    const children: Pgid[] = [];
    let previous: Buffer | undefined;
    for (let i = 0; elementAt(0, i + 1) <= bytes.length; i++) {
      const element = elementAt(0, i);
      const start = element + readU32(bytes, element + BRANCH_POS);
      const end = start + readU32(bytes, element + BRANCH_KEY_SIZE);
      if (start < elementAt(0, i + 1) || end <= start || end > bytes.length) break;
      const key = Buffer.from(bytes.subarray(start, end));
      const child = readU64(bytes, element + BRANCH_CHILD);
      if ((previous !== undefined && Buffer.compare(previous, key) >= 0) || !this.#isTreePage(child)) break;
      previous = key;
      children.push(child);
    }
    for (const child of children.reverse()) this.#waiting.push({ root: child, base: path });
  }

  #isTreePage(pgid: number): boolean {
    if (pgid < 2 || !((pgid + 1) * this.#pageSize <= this.#file.size)) return false;
    const { flags, id } = readPageHeader(this.#file.readBytes(pgid * this.#pageSize, PAGE_HEADER_SIZE), 0);
    return id === pgid && (flags === FLAG_BRANCH || flags === FLAG_LEAF);
  }

  /** Takes pages that no tree has reached, with what they lead to. @returns from how many of them it began */
  scan(lost: readonly LostPage[]): number {
    let taken = 0;
    for (const { pgid } of topDown(this.#file, this.#pageSize, lost)) {
      if (this.reached.has(pgid)) continue;
      taken++;
      this.tree(pgid, [LOST_AND_FOUND, Buffer.from(`page ${pgid}`)], this.reached);
    }
    return taken;
  }
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

/** The roots to try, best first: of valid metas, then of whatever stands in the meta pages. */
function rootsOf(file: RawFile, pageSize: number): number[] {
  const limit = Math.ceil(file.size / pageSize);
  const roots = file.validMetas().map(({ meta }) => meta.root);
  const doubtful = file.metas.filter((meta) => meta !== undefined && meta.fault !== undefined).sort((a, b) => (a!.txid > b!.txid ? -1 : 1));
  for (const meta of doubtful) if (meta !== undefined && meta.root >= 2n && meta.root < BigInt(limit)) roots.push(Number(meta.root));
  return [...new Set(roots)].filter((root) => root >= 2 && root < limit);
}

function leftOutOf(file: RawFile): bigint | undefined {
  const [first, second] = file.validMetas();
  return first !== undefined && second !== undefined && second.meta.txid > first.meta.txid ? second.meta.txid : undefined;
}

function salvage(io: Io, file: RawFile, temporary: string, options: { readonly scan: boolean; readonly older: boolean }): SalvageReport {
  removeTemporary(temporary);
  const pageSize = file.pageSize ?? guessPageSize(file);
  const writer = new SalvageWriter(temporary, Math.max(MIN_PAGE_SIZE, Math.min(MAX_PAGE_SIZE, pageSize)));
  const progress = new Progress(io, "salvaging", Math.ceil(file.size / pageSize));
  try {
    const work = new Salvage(file, writer, pageSize, progress);
    let found = 0;
    for (const root of rootsOf(file, pageSize)) {
      // The next root is of an older state: only when the newer one leads nowhere, or when it is asked for.
      if (found > 0 && !options.older) break;
      found += work.tree(root, []);
    }
    const free = freePagesOf(file);
    const lost = findLostPages(file, pageSize, work.reached, free.ids);
    work.judge(free, lost);
    const scannedPages = options.scan || found === 0 ? work.scan(lost) : 0;
    const unreachedPages = scannedPages === 0 ? lost.length : 0;
    const faults = writer.finish();
    const isNothing = found === 0 && scannedPages === 0;
    if (isNothing) throw new Failure("NOTHING_FOUND", "nothing in this file can be recognised as a page of a database");
    if (faults.length > 0) throw new Failure("CHECK_FAILED", `the new file is not sound: ${faults[0]}`);
    return { ...writer.counts, problems: work.problems, scannedPages, unreachedPages, isFreeKnown: free.isKnown, valuesOutside: work.outsideCount, leftOut: options.older ? undefined : leftOutOf(file) };
  } catch (error) {
    writer.abandon();
    throw error;
  } finally {
    progress.end();
  }
}

function tell(io: Io, { buckets, duplicates, isFreeKnown, keys, leftOut, problems, refused, scannedPages, unreachedPages, valuesOutside }: SalvageReport): void {
  for (const line of problems.slice(0, SHOWN_PROBLEMS)) io.stderr.write(`hexbolt: ${line}\n`);
  if (problems.length > SHOWN_PROBLEMS) io.stderr.write(`hexbolt: and ${problems.length - SHOWN_PROBLEMS} more problems\n`);
  const more = [
    leftOut === undefined ? "" : `Transaction ${leftOut} was left out, for pages of it are damaged: --older takes what it leads to, where the state before it has no such key`,
    scannedPages > 0 ? `${scannedPages} pages that nothing leads to are in the bucket ${textOrHex(LOST_AND_FOUND)}` : "",
    unreachedPages > 0 && isFreeKnown ? `${unreachedPages} pages hold something, are not free, and nothing leads to them: --scan takes them` : "",
    unreachedPages > 0 && !isFreeKnown ? `${unreachedPages} pages hold something and nothing leads to them; the file does not say which of them are free: --scan takes them, with what was deleted or replaced` : "",
    valuesOutside > 0 ? `${valuesOutside} values lay outside of every bucket, where hardly any program puts one: so looks a copy made while the file was written` : "",
    duplicates > 0 ? `${duplicates} keys were there more than once` : "", refused > 0 ? `${refused} entries could not be written` : "",
  ].filter((text) => text !== "");
  io.stdout.write(`Salvaged ${keys} keys in ${buckets} buckets; ${problems.length} ${problems.length === 1 ? "problem" : "problems"} on the way.\n${more.map((text) => `${text}.\n`).join("")}`);
}

/** `surgery salvage` */
export const salvageCommand: Command = {
  name: "surgery salvage", summary: "write every entry that can still be reached to a new file", usage: "FILE [NEW]",
  details: "Also reads files that no other command can open. Pages that cannot be read are listed on standard error.\nThe new file is checked before it gets its name.",
  example: "hexbolt surgery salvage broken.db --output saved.db",
  options: [
    OUTPUT_OPTION,
    { name: "scan", help: "also take leaf pages that nothing leads to and that are not free, into the bucket lost+found" },
    { name: "older", help: "also take what only the other one of the last two states leads to; deleted keys come back with it" },
  ],
  minimum: 1, maximum: 2, makesFile: true,
  run: async (args, io) => {
    const source = args.at(0);
    const target = outputOf(args);
    requireFile(source);
    if (isSameFile(source, target)) throw new UsageError("the output must be another file than the original");
    const options = { scan: args.has("scan"), older: args.has("older") };
    const report = await withNewFile(io, target, (temporary) =>
      viewRaw(io, source, "live", (file) => salvage(io, file, temporary, options)), source);
    if (args.json) writeJson(io.stdout, report);
    else tell(io, report);
    return EXIT_OK;
  },
};
