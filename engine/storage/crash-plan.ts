/**
 * What a power cut may leave on a disk: given the durable image and the operations that no sync has covered, every
 * choice of what became of each of them.
 *
 * The journal holds, of each unsynced write, the *sectors* it touched as the system's cache held them afterwards: that
 * is what the disk is given, whatever part of a sector the write changed. Each sector of each write, and each change of
 * the size, is one slot; a choice gives every slot a fate. Slots take effect in the order of the operations, so a
 * dropped later one leaves an older version in place: that covers reordering, torn writes, lost growth and stale data.
 *
 * Kept true: a sector that no unsynced write touched and no kept cut reaches is the durable one; the bytes of an image
 * behind its size are zero.
 */
import { requireFunction } from "../base/errors.js";
import { type DiskImage, sectorsFor } from "./disk-image.js";
import type { Random } from "./random.js";
import { SECTOR_SIZE } from "./storage.js";

/** What a storage is asked to do that a test may count, cut at or let fail. */
export type OperationKind = "read" | "write" | "truncate" | "sync";

/** One operation in the order of the calls. */
export interface Operation {
  readonly kind: OperationKind;
  /** How many operations the disk had before this one. */
  readonly index: number;
  /** In bytes; the new size for `truncate`, 0 for `sync`. */
  readonly position: number;
  /** In bytes, as asked for; 0 for `truncate` and `sync`. */
  readonly length: number;
}

/** An operation that changed the file and that no sync has made durable. */
export type PendingChange = PendingWrite | PendingTruncate;

interface PendingWrite {
  readonly kind: "write";
  readonly operation: Operation;
  readonly firstSector: number;
  readonly sectorCount: number;
  /** The sectors as the cache held them after the write. */
  readonly content: Uint8Array;
  /** The file's size after the write. */
  readonly size: number;
}

interface PendingTruncate {
  readonly kind: "truncate";
  readonly operation: Operation;
  readonly size: number;
}

/** What becomes of one slot: not on the disk, on the disk, or on the disk as zeros where the data should be. */
const DROP = 0;
const KEEP = 1;
const ZEROS = 2;

/** One fate a slot. */
export type Fates = Uint8Array;

/**
 * Says what becomes of one sector of one unsynced write: `true` it is on the disk, `false` it is not, `"zeros"` its
 * place is (the file has grown over it, say) but holds zeros. Asked once for a `truncate`, with the sector of the new end.
 */
export type KeepSector = (operation: Operation, sector: number) => boolean | "zeros";

/**
 * Which image a crash leaves: everything unsynced, nothing of it, the first operations of it, or sector by sector.
 */
export type CrashChoice = "all" | "none" | { readonly prefix: number } | { readonly keep: KeepSector };

function slotCountOf(change: PendingChange): number {
  return change.kind === "write" ? change.sectorCount : 1;
}

function totalSlots(pending: readonly PendingChange[]): number {
  let count = 0;
  for (const change of pending) count += slotCountOf(change);
  return count;
}

/** Turns a caller's choice into one fate a slot. */
export function chosenFates(pending: readonly PendingChange[], choice: CrashChoice): Fates {
  const fates = new Uint8Array(totalSlots(pending));
  if (choice === "none") return fates;
  if (choice === "all") return fates.fill(KEEP);
  if (typeof choice !== "object" || choice === null) throw new TypeError(`a crash leaves "all", "none", { prefix } or { keep }, not ${String(choice)}`);
  if ("prefix" in choice) {
    if (!Number.isInteger(choice.prefix) || choice.prefix < 0) throw new TypeError(`prefix is a number of operations, not ${String(choice.prefix)}`);
    return fates.fill(KEEP, 0, totalSlots(pending.slice(0, choice.prefix)));
  }
  requireFunction(choice.keep, "keep");
  let slot = 0;
  for (const change of pending) {
    const first = change.kind === "write" ? change.firstSector : Math.floor(change.size / SECTOR_SIZE);
    for (let index = 0; index < slotCountOf(change); index++) {
      const kept = choice.keep(change.operation, first + index);
      if (typeof kept !== "boolean" && kept !== "zeros") throw new TypeError(`keep says true, false or "zeros", not ${String(kept)}`);
      fates[slot++] = kept === "zeros" ? ZEROS : kept ? KEEP : DROP;
    }
  }
  return fates;
}

/** Draws a fate for every slot, so that whole, lost, torn and zero-filled writes all come up often. */
export function sampledFates(pending: readonly PendingChange[], random: Random): Fates {
  const fates = new Uint8Array(totalSlots(pending));
  // Half of the time nothing after a certain operation counts: most crashes come in the middle of an orderly sequence.
  const end = random.below(2) === 0 ? pending.length : random.below(pending.length + 1);
  let slot = 0;
  for (const change of pending.slice(0, end)) {
    const next = slot + slotCountOf(change);
    sampleChange(fates.subarray(slot, next), random);
    if (change.kind === "truncate" && fates[slot] === ZEROS) fates[slot] = KEEP;
    slot = next;
  }
  return fates;
}

function sampleChange(fates: Fates, random: Random): void {
  const border = random.below(fates.length + 1);
  switch (random.below(9)) {
    case 0: case 1: case 2: fates.fill(KEEP); break;
    case 3: break;
    case 4: fates.fill(KEEP, 0, border); break;
    case 5: fates.fill(KEEP, border); break;
    case 6: fates.fill(ZEROS); break;
    case 7: for (let slot = 0; slot < fates.length; slot++) fates[slot] = random.below(2); break;
    default: for (let slot = 0; slot < fates.length; slot++) fates[slot] = random.below(3); break;
  }
}

/** Builds the image that a choice leaves. */
export function crashedImage(durable: DiskImage, pending: readonly PendingChange[], fates: Fates): DiskImage {
  let capacity = durable.size;
  for (const change of pending) capacity = Math.max(capacity, change.size);
  const image = durable.clone(capacity);
  applyFates(image, pending, fates);
  return image;
}

/** Carries out the changes on an image, each slot as its fate says; without fates, all of them. */
export function applyFates(image: DiskImage, pending: readonly PendingChange[], fates?: Fates): void {
  let slot = 0;
  for (const change of pending) {
    if (change.kind === "write") applyWrite(image, change, fates?.subarray(slot, slot + change.sectorCount));
    else if (fates === undefined || fates[slot] !== DROP) image.resize(change.size);
    slot += slotCountOf(change);
  }
}

/** Sectors of one fate in a row are copied at once. */
function applyWrite(image: DiskImage, change: PendingWrite, fates: Fates | undefined): void {
  for (let start = 0; start < change.sectorCount; ) {
    const fate = fates?.[start] ?? KEEP;
    let end = start + 1;
    while (end < change.sectorCount && (fates?.[end] ?? KEEP) === fate) end++;
    if (fate !== DROP) {
      const content = fate === ZEROS ? "zeros" : change.content.subarray(start * SECTOR_SIZE, end * SECTOR_SIZE);
      const size = Math.min(change.size, (change.firstSector + end) * SECTOR_SIZE);
      image.putSectors(change.firstSector + start, content, end - start, size);
    }
    start = end;
  }
}

/** A choice and the words for it. */
export interface NamedFates {
  readonly label: string;
  readonly fates: Fates;
}

/** How many samples in a row may repeat earlier choices before the search for new ones ends. */
const REPEATS_BEFORE_END = 256;

/** How many choices there are; Infinity where a number cannot tell. */
function choiceCount(pending: readonly PendingChange[]): number {
  let count = 1;
  for (const change of pending) count *= change.kind === "write" ? 3 ** change.sectorCount : 2;
  return count;
}

/**
 * Lists choices worth trying, each once: nothing, everything, every prefix, every operation alone missing or alone
 * present, every write torn or zero-filled, then random samples for as long as they bring new ones. Where these are more than
 * `limit`, a quarter are prefixes, half are choices around one operation, and the rest are random: prefixes alone, the
 * states of an orderly sequence, would show least.
 */
export function* interestingFates(pending: readonly PendingChange[], random: Random, limit: number): Generator<NamedFates, void> {
  const seen = new Set<string>();
  const isNew = (fates: Fates): boolean => {
    const countBefore = seen.size;
    return seen.add(Buffer.from(fates.buffer, fates.byteOffset, fates.length).toString("latin1")).size > countBefore;
  };
  for (const make of systematicFates(pending, random, limit)) {
    const named = make();
    if (isNew(named.fates)) yield named;
  }
  const enough = choiceCount(pending);
  for (let number = 1, repeats = 0; seen.size < enough && repeats < REPEATS_BEFORE_END; number++) {
    const fates = sampledFates(pending, random);
    repeats = isNew(fates) ? 0 : repeats + 1;
    if (repeats === 0) yield { label: `random ${number}`, fates };
  }
}

type MakeFates = () => NamedFates;

function systematicFates(pending: readonly PendingChange[], random: Random, limit: number): MakeFates[] {
  const ends: MakeFates[] = [() => ({ label: "none", fates: chosenFates(pending, "none") }), () => ({ label: "all", fates: chosenFates(pending, "all") })];
  const prefixes = pending.slice(1).map((_, i): MakeFates => () => ({ label: `prefix ${i + 1}`, fates: chosenFates(pending, { prefix: i + 1 }) }));
  const slotCount = totalSlots(pending);
  const around: MakeFates[] = [];
  let slot = 0;
  for (const change of pending) {
    const next = slot + slotCountOf(change);
    around.push(...changeFates(change, slotCount, slot, next));
    slot = next;
  }
  if (ends.length + prefixes.length + around.length <= limit) return [...ends, ...prefixes, ...around];
  return [...ends, ...sampleOf(prefixes, limit >>> 2, random), ...sampleOf(around, limit >>> 1, random)];
}

/** Draws so many of the items, in their order; all of them where there are no more. */
function sampleOf<T>(items: readonly T[], count: number, random: Random): T[] {
  let wanted = count;
  return items.filter((_, i) => random.below(items.length - i) < wanted && wanted-- > 0);
}

/** The choices around one change, which has the slots from `start` to `end`. */
function changeFates(change: PendingChange, slotCount: number, start: number, end: number): MakeFates[] {
  const name = `${change.kind} ${change.operation.index}`;
  const none = (): Fates => new Uint8Array(slotCount);
  const all = (): Fates => none().fill(KEEP);
  const before = (): Fates => none().fill(KEEP, 0, start);
  const alone: MakeFates[] = [
    () => ({ label: `all without ${name}`, fates: all().fill(DROP, start, end) }),
    () => ({ label: `only ${name}`, fates: none().fill(KEEP, start, end) }),
  ];
  if (change.kind === "truncate") return alone;
  return [
    ...alone,
    () => ({ label: `before ${name} and only its first sector`, fates: before().fill(KEEP, start, start + 1) }),
    () => ({ label: `before ${name} and only its last sector`, fates: before().fill(KEEP, end - 1, end) }),
    () => ({ label: `all without the first sector of ${name}`, fates: all().fill(DROP, start, start + 1) }),
    () => ({ label: `all without the last sector of ${name}`, fates: all().fill(DROP, end - 1, end) }),
    () => ({ label: `before ${name} and its place in zeros`, fates: before().fill(ZEROS, start, end) }),
    () => ({ label: `all with ${name} in zeros`, fates: all().fill(ZEROS, start, end) }),
  ];
}

/** Takes note of a write that has just been made in `cache`. */
export function pendingWrite(operation: Operation, cache: DiskImage, position: number, length: number): PendingChange {
  const firstSector = Math.floor(position / SECTOR_SIZE);
  const end = sectorsFor(position + length);
  const content = cache.sectors(firstSector, end);
  return { kind: "write", operation, firstSector, sectorCount: end - firstSector, content, size: cache.size };
}
