/**
 * What every page of a file is: its kind, the bucket that it belongs to, how full it is. Made by one walk over the tree that counts, one over
 * the older state for the pages that only that one still needs, and the freelist; broken files give the part that can be read.
 */
import { readU16, readU32 } from "../base/bytes.js";
import { BoltError } from "../base/errors.js";
import {
  BRANCH_KEY_SIZE, ELEMENT_SIZE, FLAG_FREELIST, LEAF_KEY_SIZE, LEAF_VALUE_SIZE, PAGE_FLAGS, PAGE_HEADER_SIZE, PAGE_OVERFLOW, type Pgid,
} from "../format/constants.js";
import type { Meta } from "../format/meta.js";
import { elementAt } from "../format/page-index.js";
import { PgidSet } from "../format/pgid-set.js";
import { PageWalk } from "../format/walk.js";
import type { WalkedBucket } from "../format/walk-visitor.js";
import { textOrHex } from "./go-text.js";
import type { RawFile } from "./raw-file.js";

/** The kinds of pages; a page's kind is its index here. */
export const KINDS = ["unreachable", "meta", "freelist", "branch", "leaf", "overflow", "pending", "free"] as const;

/** A kind by name. */
export type Kind = (typeof KINDS)[number];

/** A bucket that has pages of its own. Its path is not kept: paths of buckets that nest thousands deep would take millions of names. */
export interface MapBucket {
  readonly name: Buffer;
  /** The name as text or hexadecimal. */
  readonly text: string;
  /** undefined: the root bucket. */
  readonly parent: MapBucket | undefined;
  readonly depth: number;
  /** Index into `families`; -1: the root bucket. */
  family: number;
  pageCount: number;
}

/** Buckets that are painted alike: one bucket with all in it, at a depth where there are few enough to tell their colours apart. */
export interface MapFamily {
  readonly bucket: MapBucket;
  pageCount: number;
}

/** The map. */
export interface PageMap {
  readonly pageSize: number;
  readonly pageCount: number;
  readonly txid: bigint;
  readonly kinds: Uint8Array;
  /** Index into `buckets`, -1 where the page belongs to none. */
  readonly owners: Int32Array;
  /** Bytes in use of the page with its overflow pages, in percent; 0 for pages that hold nothing. */
  readonly fills: Uint8Array;
  readonly buckets: readonly MapBucket[];
  readonly families: readonly MapFamily[];
  readonly problems: number;
}

/** How many pages of each kind there are. */
export function countKinds({ kinds }: PageMap): Record<Kind, number> {
  const counts = new Array<number>(KINDS.length).fill(0);
  for (const kind of kinds) counts[kind]!++;
  return Object.fromEntries(KINDS.map((name, i) => [name, counts[i]!])) as Record<Kind, number>;
}

/** Families that nested buckets may make, at most. */
const MAX_FAMILIES = 12;

const kindIndex = (kind: Kind): number => KINDS.indexOf(kind);

function bytesInUse(bytes: Uint8Array, count: number, isLeaf: boolean): number {
  let size = PAGE_HEADER_SIZE + count * ELEMENT_SIZE;
  for (let i = 0; i < count; i++) {
    const element = elementAt(0, i);
    size += isLeaf ? readU32(bytes, element + LEAF_KEY_SIZE) + readU32(bytes, element + LEAF_VALUE_SIZE) : readU32(bytes, element + BRANCH_KEY_SIZE);
  }
  return size;
}

/** Puts buckets into families: as deep as there are few, by the top-level buckets at least. A bucket comes behind the one that it is in. */
function makeFamilies(buckets: readonly MapBucket[]): MapFamily[] {
  const atDepth = new Map<number, number>();
  for (const { depth } of buckets) if (depth > 0) atDepth.set(depth, (atDepth.get(depth) ?? 0) + 1);
  let depth = 1;
  let familyCount = atDepth.get(1) ?? 0;
  for (let more = atDepth.get(2); more !== undefined && familyCount + more <= MAX_FAMILIES; more = atDepth.get(depth + 1)) {
    familyCount += more;
    depth++;
  }
  const families: MapFamily[] = [];
  for (const bucket of buckets) {
    if (bucket.parent === undefined) continue;
    bucket.family = bucket.depth <= depth ? families.push({ bucket, pageCount: 0 }) - 1 : bucket.parent.family;
    families[bucket.family]!.pageCount += bucket.pageCount;
  }
  return families;
}

/** Gives the buckets from the top down to this one, itself last; none for the root bucket. */
export function pathOf(bucket: MapBucket): MapBucket[] {
  const path: MapBucket[] = [];
  for (let at: MapBucket = bucket; at.parent !== undefined; at = at.parent) path.push(at);
  return path.reverse();
}

/** Names of a path that are shown, at most: of more, half of them at either end. */
const SHOWN_NAMES = 40;

/** The path of a bucket for people, as text or hexadecimal. */
export function pathText(bucket: MapBucket, separator: string): string {
  const names = pathOf(bucket).map(({ text }) => text);
  if (names.length > SHOWN_NAMES) names.splice(SHOWN_NAMES / 2, names.length - SHOWN_NAMES, `… ${names.length - SHOWN_NAMES} more …`);
  return names.join(separator);
}

class MapMaker {
  readonly #file: RawFile;
  readonly #meta: Meta;
  readonly #pageCount: number;
  readonly #kinds: Uint8Array;
  readonly #owners: Int32Array;
  readonly #fills: Uint8Array;
  readonly #buckets: MapBucket[] = [];
  readonly #indexes = new Map<WalkedBucket, number>();
  #problems = 0;

  constructor(file: RawFile, meta: Meta) {
    this.#file = file;
    this.#meta = meta;
    // A mark far beyond the file's end must not make arrays of its size.
    this.#pageCount = Math.min(meta.highWaterMark, Math.ceil(file.size / meta.pageSize));
    this.#kinds = new Uint8Array(this.#pageCount);
    this.#owners = new Int32Array(this.#pageCount).fill(-1);
    this.#fills = new Uint8Array(this.#pageCount);
  }

  make(): PageMap {
    this.#walk();
    this.#markMetas();
    this.#markFreelist();
    this.#markFree();
    return {
      pageSize: this.#meta.pageSize, pageCount: this.#pageCount, txid: this.#meta.txid, kinds: this.#kinds, owners: this.#owners, fills: this.#fills,
      buckets: this.#buckets, families: makeFamilies(this.#buckets), problems: this.#problems,
    };
  }

  /** A page of the bucket around it has named a bucket before a page of its own is seen, so that one has its index. */
  #indexOf(bucket: WalkedBucket): number {
    const known = this.#indexes.get(bucket);
    if (known !== undefined) return known;
    const parent = bucket.parent === undefined ? undefined : this.#buckets[this.#indexOf(bucket.parent)]!;
    this.#buckets.push({ name: bucket.name, text: textOrHex(bucket.name), parent, depth: parent === undefined ? 0 : parent.depth + 1, family: -1, pageCount: 0 });
    this.#indexes.set(bucket, this.#buckets.length - 1);
    return this.#buckets.length - 1;
  }

  #walk(): void {
    const walk = new PageWalk(this.#file.pages(this.#meta.highWaterMark), this.#meta.root, {
      problem: () => { this.#problems++; },
      page: ({ bucket, bytes, count, isLeaf, overflow, pgid, unreadable }) => {
        const index = this.#indexOf(bucket);
        const fill = unreadable === undefined ? Math.min(100, Math.round((bytesInUse(bytes, count, isLeaf) / bytes.length) * 100)) : 0;
        const length = Math.min(1 + overflow, Math.floor(bytes.length / this.#meta.pageSize));
        for (let i = 0; i < length && pgid + i < this.#pageCount; i++) {
          this.#kinds[pgid + i] = i > 0 ? kindIndex("overflow") : kindIndex(isLeaf ? "leaf" : "branch");
          this.#owners[pgid + i] = index;
          this.#fills[pgid + i] = fill;
          this.#buckets[index]!.pageCount++;
        }
      },
    });
    while (walk.step());
  }

  #markMetas(): void {
    for (const pgid of [0, 1]) if (pgid < this.#pageCount) this.#kinds[pgid] = kindIndex("meta");
  }

  #markFreelist(): void {
    const { freelist, highWaterMark } = this.#meta;
    if (freelist === undefined) return;
    const head = this.#file.pages(highWaterMark).read(freelist, 1);
    if (head === undefined || readU16(head, PAGE_FLAGS) !== FLAG_FREELIST) return;
    const end = Math.min(this.#pageCount, freelist + 1 + readU32(head, PAGE_OVERFLOW));
    for (let pgid = freelist; pgid < end; pgid++) this.#kinds[pgid] = kindIndex("freelist");
  }

  #markFree(): void {
    const older = this.#olderPages();
    const mark = (pgid: Pgid): void => {
      if (pgid < this.#pageCount && this.#kinds[pgid] === kindIndex("unreachable")) this.#kinds[pgid] = kindIndex(older.has(pgid) ? "pending" : "free");
    };
    let ids: Float64Array | undefined;
    try {
      ids = this.#file.freeIds(this.#meta);
    } catch (error) {
      if (!(error instanceof BoltError && error.code === "CORRUPT")) throw error;
      this.#problems++;
      return;
    }
    if (ids === undefined) for (let pgid = 2; pgid < this.#pageCount; pgid++) mark(pgid);
    else for (const pgid of ids) mark(pgid);
  }

  /** The pages that the older state is made of: what of them is free now must stay as it is until the next commit is durable. */
  #olderPages(): PgidSet {
    const claimed = new PgidSet();
    const older = this.#file.validMetas().find(({ meta }) => meta.txid < this.#meta.txid)?.meta;
    if (older === undefined) return claimed;
    const walk = new PageWalk(this.#file.pages(older.highWaterMark), older.root, { problem: () => undefined }, claimed);
    while (walk.step());
    if (older.freelist !== undefined && older.freelist < this.#pageCount) claimed.add(older.freelist);
    return claimed;
  }
}

/** Makes the map of a file's newest state. @throws BoltError INVALID when there is none */
export function makePageMap(file: RawFile): PageMap {
  return new MapMaker(file, file.activeMeta()).make();
}

/** What a page or a run of pages is, in words. */
export function describePage({ buckets, fills, kinds, owners }: PageMap, pgid: Pgid): string {
  const bucket = buckets[owners[pgid] ?? -1];
  const owner = bucket === undefined ? "" : bucket.parent === undefined ? ", root bucket" : `, bucket ${pathText(bucket, "/")}`;
  const fill = (fills[pgid] ?? 0) > 0 ? `, ${fills[pgid]} % full` : "";
  return `page ${pgid}: ${KINDS[kinds[pgid] ?? 0]}${owner}${fill}`;
}
