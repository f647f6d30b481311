/**
 * A disk for tests: deterministic, able to lose power at any operation, to tear and reorder what was not synced, and to
 * fail in the ways that disks and kernels fail.
 *
 * There are two images: the cache, which reads see, and the durable one. Between them stands the journal of the changes
 * that no sync has covered. `crash` starts from the durable image, lets any part of the journal happen to it and makes a
 * new disk of the result; the disk that crashed is unchanged, so any number of crashes can be taken from one moment.
 *
 * Kept true:
 * - what a sync covered is in every image from then on;
 * - a sector of an image is the durable one, one that an unsynced write left in the cache, or zeros in its place;
 * - the same seed and the same calls give the same images.
 */
import { setImmediate } from "node:timers/promises";

import {
  applyFates, type CrashChoice, chosenFates, crashedImage, type Fates, interestingFates, type Operation, type OperationKind,
  type PendingChange, pendingWrite, sampledFates,
} from "./crash-plan.js";
import { DiskImage } from "./disk-image.js";
import { type Fault, FaultQueue } from "./faults.js";
import { Random } from "./random.js";
import type { Storage } from "./storage.js";
import { SystemError } from "./system-error.js";
import { checkPosition, totalLength } from "./transfer.js";

/** Room on a disk where nothing else is said; it is a guard for the memory of the test, as no byte is stored sparsely. */
const DEFAULT_CAPACITY = 2 ** 30;

const OPTIONS: ReadonlySet<string> = new Set<keyof SimulatedDiskOptions>(["seed", "capacity", "bytes"]);

/** How a disk begins. */
export interface SimulatedDiskOptions {
  /** Determines all that is random. Default 0. */
  readonly seed?: number | undefined;
  /** The durable content at the start; copied. Default none. */
  readonly bytes?: Uint8Array | undefined;
  /** In bytes; what does not fit fails with ENOSPC, after the part of it that does was written. Default 1 GiB. */
  readonly capacity?: number | undefined;
}

/** Thrown by everything asked of a disk without power. */
export class PowerCut extends Error {
  override readonly name: string = "PowerCut";
  readonly code: "POWER_CUT" = "POWER_CUT";

  constructor() {
    super("the power was cut");
  }
}

/**
 * A storage whose power can be cut. Pass it to `open` as `storage`.
 *
 * `close` only ends an opening: the disk keeps its content and can be opened again. The lock is always granted.
 */
export class SimulatedDisk implements Storage {
  /** What the disk was made with: print it when a test fails. */
  readonly seed: number;
  readonly capacity: number;
  #label = "new";
  readonly #random: Random;
  #durable: DiskImage;
  /** What reads see. The same object as #durable until something is written. */
  #cache: DiskImage;
  #pending: PendingChange[] = [];
  readonly #operations: Operation[] = [];
  readonly #faults = new FaultQueue();
  #operationsLeft = Infinity;
  #isCut = false;

  constructor(options: SimulatedDiskOptions = {}) {
    // Without types a seed alone may be given, and every run would have the same one.
    if (typeof options !== "object" || options === null) throw new TypeError("options must be an object");
    for (const name of Object.keys(options)) if (!OPTIONS.has(name)) throw new TypeError(`there is no option "${name}"; there are ${[...OPTIONS].join(", ")}`);
    this.seed = options.seed ?? 0;
    this.capacity = options.capacity ?? DEFAULT_CAPACITY;
    if (!Number.isInteger(this.seed)) throw new TypeError(`seed must be a whole number, got ${String(this.seed)}`);
    if (!(this.capacity >= 0)) throw new TypeError(`capacity must be a number of at least 0, got ${String(this.capacity)}`);
    if (options.bytes !== undefined && !(options.bytes instanceof Uint8Array)) throw new TypeError("bytes must be a Uint8Array");
    this.#random = new Random(this.seed);
    this.#durable = new DiskImage();
    if (options.bytes !== undefined) this.#durable.write(options.bytes, 0);
    this.#cache = this.#durable;
  }

  /** What the disk is, for messages: "new", or which image of a crash: "prefix 2", "all without write 7", "random 3". */
  get label(): string {
    return this.#label;
  }

  /** All operations so far, failed ones too, in the order of the calls. `size`, `lock` and `close` are none. */
  get operations(): readonly Operation[] {
    return this.#operations;
  }

  /** Those of the operations that changed the file and that no sync has made durable, in order: what a crash decides about. */
  get pending(): readonly Operation[] {
    return this.#pending.map((change) => change.operation);
  }

  /** Whether the power is gone: an operation has met the cut that `cutAfter` announced, or none was to be let through. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** Copies out the file as reads see it. */
  bytes(): Uint8Array {
    return this.#cache.toBytes();
  }

  /** Copies out the file as a crash that loses everything unsynced leaves it. */
  durableBytes(): Uint8Array {
    return this.#durable.toBytes();
  }

  size(): number {
    this.#requirePower();
    return this.#cache.size;
  }

  read(target: Uint8Array, position: number): number {
    checkPosition(position);
    this.#begin("read", position, target.length);
    const fault = this.#faults.next("read");
    if (fault === undefined) return this.#cache.read(target, position);
    if (fault.failure !== "short") throw failed("read", fault);
    return this.#cache.read(target.subarray(0, shortCount(fault, target.length)), position);
  }

  write(chunks: readonly Uint8Array[], position: number): void {
    checkPosition(position);
    const length = totalLength(chunks);
    const operation = this.#begin("write", position, length);
    const fault = this.#faults.next("write");
    if (fault?.failure === "short") this.#put(operation, chunks, shortCount(fault, length));
    if (fault !== undefined) throw failed("write", fault);
    const room = Math.max(0, this.capacity - position);
    this.#put(operation, chunks, Math.min(length, room));
    if (length > room) throw new SystemError("ENOSPC", "write", "no space left on the simulated disk");
  }

  truncate(size: number): void {
    checkPosition(size);
    const operation = this.#begin("truncate", size, 0);
    const fault = this.#faults.next("truncate");
    if (fault !== undefined) throw failed("ftruncate", fault);
    if (size > this.capacity) throw new SystemError("ENOSPC", "ftruncate", "no space left on the simulated disk");
    if (size === this.#cache.size) return;
    this.#writable().resize(size);
    this.#pending.push({ kind: "truncate", operation, size });
  }

  sync(): void {
    this.#begin("sync", 0, 0);
    const fault = this.#faults.next("sync");
    this.#endSync(this.#pending.length, fault);
  }

  /** The write is made at the call; the promise settles in a later turn. */
  async writeAsync(chunks: readonly Uint8Array[], position: number): Promise<void> {
    try {
      this.write(chunks, position);
    } finally {
      await setImmediate();
    }
  }

  /** Covers what was written before the call, and takes effect in a later turn, when the promise settles; the power may be cut in between. */
  async syncAsync(): Promise<void> {
    this.#begin("sync", 0, 0);
    const fault = this.#faults.next("sync");
    const last = this.#pending.at(-1);
    await setImmediate();
    this.#requirePower();
    // Another sync may have ended meanwhile and taken some of these changes, or all, out of the journal.
    this.#endSync(last === undefined ? 0 : this.#pending.lastIndexOf(last) + 1, fault);
  }

  lock(): boolean {
    this.#requirePower();
    return true;
  }

  close(): void {}

  /**
   * Lets an operation to come fail. Several faults may wait at a time; each counts by itself.
   * @throws TypeError for a failure that the kind of operation cannot have
   */
  inject(fault: Fault): void {
    this.#faults.add(fault);
  }

  /** Forgets all faults that are still to come. */
  clearFaults(): void {
    this.#faults.clear();
  }

  /**
   * Lets `operationCount` more operations through; the next one, and all after it, throw `PowerCut` and do nothing.
   * The power does not come back: go on with what `crash` gives.
   */
  cutAfter(operationCount: number): void {
    if (!Number.isSafeInteger(operationCount) || operationCount < 0) throw new TypeError(`cutAfter takes a number of operations, got ${String(operationCount)}`);
    this.#operationsLeft = operationCount;
    if (operationCount === 0) this.#isCut = true;
  }

  /**
   * Makes the disk that a power cut at this moment leaves behind, with power, with nothing unsynced and without faults.
   * @param choice which part of the unsynced changes is on it; a random one when left out
   */
  crash(choice?: CrashChoice): SimulatedDisk {
    if (choice === undefined) return this.#crashed("random", sampledFates(this.#pending, this.#random));
    const fates = chosenFates(this.#pending, choice);
    return this.#crashed(choiceLabel(choice), fates);
  }

  /**
   * Makes one after the other the disks that a power cut at this moment can leave behind and that are likeliest to show
   * a fault, each choice once: nothing, everything, every prefix, every change missing or alone, torn, zero-filled, then
   * random ones; of more than `limit` some of each kind. Changes to this disk meanwhile do not show in them.
   * @param limit how many at most; fewer where random choices bring nothing new any more
   */
  crashImages(limit: number): Generator<SimulatedDisk, void> {
    if (!(limit >= 0)) throw new TypeError(`limit must be a number of at least 0, got ${String(limit)}`);
    return this.#crashImages(limit, this.#durable.clone(), [...this.#pending]);
  }

  *#crashImages(limit: number, durable: DiskImage, pending: readonly PendingChange[]): Generator<SimulatedDisk, void> {
    let count = 0;
    if (limit < 1) return;
    for (const { label, fates } of interestingFates(pending, this.#random, limit)) {
      yield this.#crashed(label, fates, durable, pending);
      if (++count >= limit) return;
    }
  }

  #crashed(label: string, fates: Fates, durable: DiskImage = this.#durable, pending: readonly PendingChange[] = this.#pending): SimulatedDisk {
    const disk = new SimulatedDisk({ seed: this.#random.next(), capacity: this.capacity });
    disk.#label = label;
    disk.#durable = crashedImage(durable, pending, fates);
    disk.#cache = disk.#durable;
    return disk;
  }

  /** Counts an operation, if there is power for it. */
  #begin(kind: OperationKind, position: number, length: number): Operation {
    if (this.#operationsLeft === 0) this.#isCut = true;
    this.#requirePower();
    this.#operationsLeft--;
    const operation = { kind, index: this.#operations.length, position, length };
    this.#operations.push(operation);
    return operation;
  }

  #requirePower(): void {
    if (this.#isCut) throw new PowerCut();
  }

  /** Writes the first `byteCount` bytes of the chunks to the cache and takes note of them. */
  #put(operation: Operation, chunks: readonly Uint8Array[], byteCount: number): void {
    if (byteCount === 0) return;
    const { position } = operation;
    const cache = this.#writable();
    let done = 0;
    for (const chunk of chunks) {
      const part = chunk.length > byteCount - done ? chunk.subarray(0, byteCount - done) : chunk;
      cache.write(part, position + done);
      done += part.length;
    }
    this.#pending.push(pendingWrite(operation, cache, position, byteCount));
  }

  /** The cache as an image of its own. */
  #writable(): DiskImage {
    if (this.#cache === this.#durable) this.#cache = this.#durable.clone();
    return this.#cache;
  }

  /** Ends a sync that covers the first `count` pending changes. */
  #endSync(count: number, fault: Fault | undefined): void {
    if (fault?.failure === "lie") return;
    if (fault !== undefined && fault.failure !== "lost") throw failed("fdatasync", fault);
    const covered = this.#pending.splice(0, count);
    if (fault !== undefined) throw failed("fdatasync", fault);
    applyFates(this.#durable, covered);
  }
}

function failed(syscall: string, fault: Fault): SystemError {
  return new SystemError(fault.code ?? "EIO", syscall, "a fault of the simulated disk");
}

function shortCount(fault: Fault, length: number): number {
  return Math.min(length, fault.byteCount ?? Math.floor(length / 2));
}

function choiceLabel(choice: CrashChoice): string {
  if (typeof choice === "string") return choice;
  return "prefix" in choice ? `prefix ${choice.prefix}` : "chosen";
}
