/**
 * What of a branch or leaf page can be believed: its bytes judged, however damaged. Elements are sound, doubtful (they can be read, and their key cannot
 * stand where it does) or lost; whatever is wrong has a line.
 */
import { readU16, readU32, readU64 } from "../base/bytes.js";
import {
  BRANCH_CHILD, BRANCH_KEY_SIZE, BRANCH_POS, BUCKET_FLAG, BUCKET_HEADER_SIZE, FLAG_BRANCH, FLAG_LEAF, LEAF_FLAGS, LEAF_KEY_SIZE, LEAF_POS, LEAF_VALUE_SIZE, PAGE_COUNT, type Pgid,
} from "../format/constants.js";
import { examineBranch, examineLeaf } from "../format/element-faults.js";
import { elementAt } from "../format/page-index.js";
import { textOrHex } from "./go-text.js";

/** Between which keys those of a page must lie: from the first on, below the second. */
export interface KeyBounds {
  readonly from: Uint8Array | undefined;
  readonly below: Uint8Array | undefined;
}

/** Keys that nothing bounds. */
export const UNBOUNDED: KeyBounds = { from: undefined, below: undefined };

/** What was read of a page. */
export interface Reading {
  readonly isLeaf: boolean;
  readonly bytes: Uint8Array;
  /** Elements that it has. */
  readonly count: number;
  /** Those whose key can be read, by number. */
  readonly elements: readonly number[];
  readonly problems: readonly string[];
}

/** A page's elements, each as far as it can be believed. */
export interface Judgement {
  readonly sound: readonly number[];
  readonly doubtful: readonly number[];
  /** Where values end that cannot end where their element says: where the next element begins. */
  readonly ends: ReadonlyMap<number, number>;
  readonly problems: readonly string[];
}

/** Where an element's key and value stand in its page. */
interface ElementData {
  readonly start: number;
  readonly keyEnd: number;
  readonly end: number;
}

/** Says where an element's key and value stand in its page, as its header has it. */
export function elementData(bytes: Uint8Array, isLeaf: boolean, index: number): ElementData {
  const element = elementAt(0, index);
  const start = element + readU32(bytes, element + (isLeaf ? LEAF_POS : BRANCH_POS));
  const keyEnd = start + readU32(bytes, element + (isLeaf ? LEAF_KEY_SIZE : BRANCH_KEY_SIZE));
  return { start, keyEnd, end: isLeaf ? keyEnd + readU32(bytes, element + LEAF_VALUE_SIZE) : keyEnd };
}

/** The key of an element that lies inside its page. */
export function elementKey(bytes: Uint8Array, isLeaf: boolean, index: number): Uint8Array {
  const { keyEnd, start } = elementData(bytes, isLeaf, index);
  return bytes.subarray(start, keyEnd);
}

/** The page that an element of a branch leads to. */
export function childOf(bytes: Uint8Array, index: number): Pgid {
  return readU64(bytes, elementAt(0, index) + BRANCH_CHILD);
}

/** What flags may stand for that have at most one wrong bit; the likelier first. */
export function typesOf(flags: number): (typeof FLAG_LEAF | typeof FLAG_BRANCH)[] {
  if (flags === FLAG_LEAF || flags === FLAG_BRANCH) return [flags];
  return ([FLAG_LEAF, FLAG_BRANCH] as const).filter((type) => isOneBit(flags ^ type));
}

function isOneBit(bits: number): boolean {
  return bits !== 0 && (bits & (bits - 1)) === 0;
}

/** Reads the elements of a page: as many as it says it has or, where more of those can be read, as many as there seem to be. */
export function readElements(bytes: Uint8Array, isLeaf: boolean): Reading {
  const says = readU16(bytes, PAGE_COUNT);
  const asSaid = readCounted(bytes, isLeaf, says);
  if (asSaid.problems.length === 0 && says > 0) return asSaid;
  const seems = seemingCount(bytes, isLeaf);
  // The data of the first element begins behind the last header.
  if (seems === 0 || elementData(bytes, isLeaf, 0).start !== elementAt(0, seems)) return asSaid;
  const asSeems = readCounted(bytes, isLeaf, seems);
  if (longestOrder(keysOf(asSeems)).length <= longestOrder(keysOf(asSaid)).length) return asSaid;
  return { ...asSeems, problems: [`its count is ${says}, and ${seems} seems right`, ...asSeems.problems] };
}

function readCounted(bytes: Uint8Array, isLeaf: boolean, count: number): Reading {
  const { faults } = isLeaf ? examineLeaf(bytes, bytes.length, count) : examineBranch(bytes, bytes.length, count);
  const fitting = elementAt(0, count) <= bytes.length ? count : 0;
  const elements = Array.from({ length: fitting }, (_, i) => i).filter((i) => isKeyed(bytes, isLeaf, i, fitting));
  return { isLeaf, bytes, count: fitting, elements, problems: faults?.map(({ fault }) => fault) ?? [] };
}

function keysOf({ bytes, elements, isLeaf }: Reading): Uint8Array[] {
  return elements.map((index) => elementKey(bytes, isLeaf, index));
}

/** Says whether the key of an element lies in the page, behind all `count` headers. */
function isKeyed(bytes: Uint8Array, isLeaf: boolean, index: number, count: number): boolean {
  const { keyEnd, start } = elementData(bytes, isLeaf, index);
  return start >= elementAt(0, count) && keyEnd > start && keyEnd <= bytes.length;
}

/** Says whether each element begins where the one before it ends, as every writer has it, and buckets have their headers. */
function isSideBySide({ bytes, elements, isLeaf }: Reading): boolean {
  let previous: number | undefined;
  for (const index of elements) {
    const { end, keyEnd, start } = elementData(bytes, isLeaf, index);
    if (start !== (previous ?? start) || end > bytes.length || (end - keyEnd < BUCKET_HEADER_SIZE && isLeaf && isBucket(bytes, index))) return false;
    previous = end;
  }
  return true;
}

function isBucket(bytes: Uint8Array, index: number): boolean {
  return (readU32(bytes, elementAt(0, index) + LEAF_FLAGS) & BUCKET_FLAG) !== 0;
}

/** Which elements have bytes for themselves: all but `ends` by their positions among those of a reading. */
interface Layout {
  /** Those with bytes of another one, or whose value does not end where it should. */
  readonly reaching: ReadonlySet<number>;
  /** Those with bytes behind them that are no element's. */
  readonly short: ReadonlySet<number>;
  /** Buckets whose header can be read, though their value cannot end where it says. */
  readonly kept: ReadonlySet<number>;
  /** Those of which nothing can be told. */
  readonly lost: ReadonlySet<number>;
  readonly ends: ReadonlyMap<number, number>;
}

/** Tells elements apart, and where their values end. @param fitting positions of keys that can stand where they do */
function layOut({ bytes, count, elements, isLeaf }: Reading, fitting: ReadonlySet<number>): Layout {
  const data = elements.map((index) => elementData(bytes, isLeaf, index));
  // The bytes may be those of an element that cannot be read.
  const short = elements.length === count ? shortOf(data) : new Set<number>();
  const reaching = reachingOf(data, short, fitting, bytes.length);
  const [lost, kept, ends] = [new Set<number>(), new Set<number>(), new Map<number, number>()];
  // What is read in all must not be many times what there is.
  let room = 2 * bytes.length;
  for (const [i, index] of elements.entries()) {
    const [here, next] = [data[i]!, data[i + 1]];
    const isNamed = isLeaf && isBucket(bytes, index);
    const isWrong = reaching.has(i) && (short.has(i) || isCrossing(here, next, bytes.length));
    const end = valueEnd(here, next?.start, isNamed, isWrong, bytes.length);
    room -= (end ?? here.start) - here.start;
    if (end === undefined || room < 0) {
      lost.add(i);
      continue;
    }
    if (end !== here.end) ends.set(index, end);
    // The header of a bucket is at the beginning of its value, and says how much of the rest there is.
    const isWhole = isNamed && end - here.keyEnd >= BUCKET_HEADER_SIZE && (next === undefined || next.start >= here.keyEnd);
    if (isWhole && (isWrong || end !== here.end)) {
      reaching.delete(i);
      kept.add(i);
    }
  }
  return { lost, reaching, short, kept, ends };
}

/** Which elements end before the next one begins, with nothing between: elements that only stand in another order leave no such bytes. */
function shortOf(data: readonly ElementData[]): Set<number> {
  const [starts, ends] = [new Set(data.map(({ start }) => start)), new Set(data.map(({ end }) => end))];
  return new Set(data.flatMap((here, i) => {
    const next = data[i + 1];
    return next !== undefined && here.end < next.start && !starts.has(here.end) && !ends.has(next.start) ? [i] : [];
  }));
}

/** Says of each two that share bytes, or have some between them, which is wrong: the one whose key does not fit, or else the one that does not end where the next begins. */
function reachingOf(data: readonly ElementData[], short: ReadonlySet<number>, fitting: ReadonlySet<number>, size: number): Set<number> {
  const reaching = new Set<number>();
  for (const [i, here] of data.entries()) {
    const [next, behind] = [data[i + 1], data[i + 2]];
    if (!short.has(i) && !isCrossing(here, next, size)) continue;
    const isNextFitting = fitting.has(i + 1);
    const isNextWrong = isNextFitting === fitting.has(i) ? behind !== undefined && next?.end !== behind.start : !isNextFitting;
    reaching.add(here.end <= size && isNextWrong ? i + 1 : i);
  }
  return reaching;
}

/** Whether an element reaches beyond its page, or shares bytes with the next one. */
function isCrossing(here: ElementData, next: ElementData | undefined, size: number): boolean {
  return here.end > size || (next !== undefined && here.start < next.end && next.start < here.end);
}

/** Where the value of an element ends; undefined when there is no telling. */
function valueEnd({ end, keyEnd }: ElementData, next: number | undefined, isNamed: boolean, isWrong: boolean, size: number): number | undefined {
  const isTooShort = isNamed && end - keyEnd < BUCKET_HEADER_SIZE;
  // What of a bucket's value is not the bucket's does no harm.
  if (!isTooShort && (!isWrong || (isNamed && end <= size && (next ?? 0) <= end))) return end;
  if (next !== undefined && next >= keyEnd) return next;
  if (next === undefined && isNamed) return isTooShort ? Math.min(size, keyEnd + BUCKET_HEADER_SIZE) : size;
  return end <= size ? end : undefined;
}

/** Elements from the first on that lie inside the page, behind all headers, with keys in order. */
function seemingCount(bytes: Uint8Array, isLeaf: boolean): number {
  let previous: Uint8Array | undefined;
  let dataStart = bytes.length;
  for (let i = 0; ; i++) {
    if (elementAt(0, i + 1) > dataStart) return i;
    const { end, keyEnd, start } = elementData(bytes, isLeaf, i);
    if (start < elementAt(0, i + 1) || keyEnd === start || end > bytes.length) return i;
    const key = bytes.subarray(start, keyEnd);
    if (previous !== undefined && Buffer.compare(previous, key) >= 0) return i;
    previous = key;
    dataStart = Math.min(dataStart, start);
  }
}

/** Judges keys by their order and by the bounds of the page, and elements by whether each has its bytes for itself. */
export function judge(reading: Reading, bounds: KeyBounds): Judgement {
  const { elements } = reading;
  const keys = keysOf(reading);
  if (isSideBySide(reading) && isInOrder(keys, bounds)) return { sound: elements, doubtful: [], ends: new Map(), problems: [] };
  const all = elements.map((_, i) => i);
  const inside = all.filter((i) => isWithin(keys[i]!, bounds));
  const ordered = (positions: readonly number[]): Set<number> => new Set(longestOrder(positions.map((i) => keys[i]!)).map((i) => positions[i]!));
  const { ends, kept, lost, reaching, short } = layOut(reading, ordered(inside));
  const sound = ordered(inside.filter((i) => !reaching.has(i) && !lost.has(i)));
  const doubtful = all.filter((i) => !sound.has(i) && !lost.has(i));
  const fault = (i: number): string => (reaching.has(i) ? `and its value ${short.has(i) ? "end before the next element begins" : "reach into another element"}` : isWithin(keys[i]!, bounds) ? "is out of order" : "lies outside the range of its page");
  const cut = [...sound].filter((i) => kept.has(i));
  return {
    sound: [...sound].map((i) => elements[i]!),
    doubtful: doubtful.map((i) => elements[i]!),
    ends,
    problems: [...doubtful.map((i) => `key ${elements[i]} (${textOrHex(keys[i]!)}) ${fault(i)}`), ...cut.map((i) => `bucket ${elements[i]} (${textOrHex(keys[i]!)}) does not end where its element says`)],
  };
}

function isInOrder(keys: readonly Uint8Array[], bounds: KeyBounds): boolean {
  for (let i = 1; i < keys.length; i++) if (Buffer.compare(keys[i - 1]!, keys[i]!) >= 0) return false;
  return keys.length === 0 || (isWithin(keys[0]!, bounds) && isWithin(keys.at(-1)!, bounds));
}

function isWithin(key: Uint8Array, { below, from }: KeyBounds): boolean {
  return (from === undefined || Buffer.compare(from, key) <= 0) && (below === undefined || Buffer.compare(key, below) < 0);
}

/** Which keys to keep so that as many as possible are in ascending order, the earlier ones where there is a choice: zeros come in the place of what was there. */
function longestOrder(keys: readonly Uint8Array[]): number[] {
  // How many keys in order can begin with each, from the last key back; `begins[n]` is the greatest key that n + 1 keys in order can begin with.
  const begins: Uint8Array[] = [];
  const lengths = new Array<number>(keys.length);
  for (let i = keys.length - 1; i >= 0; i--) {
    let low = 0;
    for (let high = begins.length; low < high;) {
      const middle = (low + high) >>> 1;
      if (Buffer.compare(begins[middle]!, keys[i]!) > 0) low = middle + 1;
      else high = middle;
    }
    begins[low] = keys[i]!;
    lengths[i] = low + 1;
  }
  const order: number[] = [];
  for (let i = 0; order.length < begins.length; i++) {
    const last = order.at(-1);
    if (lengths[i] === begins.length - order.length && (last === undefined || Buffer.compare(keys[last]!, keys[i]!) < 0)) order.push(i);
  }
  return order;
}

/** Where the elements of a page end, which stand side by side; undefined when its first page does not tell. */
export function elementsEnd(first: Uint8Array, isLeaf: boolean): number | undefined {
  const count = readU16(first, PAGE_COUNT);
  if (count === 0 || elementAt(0, count) > first.length) return undefined;
  let end = elementAt(0, count);
  for (let i = 0; i < count; i++) {
    const data = elementData(first, isLeaf, i);
    if (data.start !== end) return undefined;
    end = data.end;
  }
  return end;
}
