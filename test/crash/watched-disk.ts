/**
 * A storage that stops before every operation that changes the disk and lets somebody look at all the disks that a power
 * cut at that moment could leave behind. The workload runs once; its cuts are explored where they occur.
 */
import type { SimulatedDisk, Storage } from "../../engine/testing.js";

/** What is about to happen to the disk; `end` for the moment after the last operation. */
export type Boundary = "write" | "truncate" | "sync" | "end";

/** The process is gone: nothing that it does reaches the disk any more. */
export class Killed extends Error {}

/** Passes everything on to a simulated disk, after telling `atBoundary`. */
export class WatchedDisk implements Storage {
  readonly disk: SimulatedDisk;
  readonly #atBoundary: (next: Boundary, disk: SimulatedDisk) => void;
  readonly #ignoresSync: (disk: SimulatedDisk) => boolean;
  #operationsToLive = Infinity;

  /** @param ignoresSync tells whether the disk only says that it has done the sync that is due; by default it never lies */
  constructor(disk: SimulatedDisk, atBoundary: (next: Boundary, disk: SimulatedDisk) => void, ignoresSync: (disk: SimulatedDisk) => boolean = () => false) {
    this.disk = disk;
    this.#atBoundary = atBoundary;
    this.#ignoresSync = ignoresSync;
  }

  /** Lets the process die before the operation that comes after so many. */
  killAfter(operationCount: number): void {
    this.#operationsToLive = operationCount;
  }

  /** Ends the process, if it still lives, and begins the next one: what the last one wrote and nobody synced is in the system's memory. */
  startNextProcess(): void {
    this.#operationsToLive = Infinity;
  }

  #arriveAt(next: Boundary): void {
    if (this.#operationsToLive <= 0) throw new Killed(`killed before a ${next}`);
    this.#atBoundary(next, this.disk);
    this.#operationsToLive--;
  }

  size(): number {
    return this.disk.size();
  }

  read(target: Uint8Array, position: number): number {
    return this.disk.read(target, position);
  }

  write(chunks: readonly Uint8Array[], position: number): void {
    this.#arriveAt("write");
    this.disk.write(chunks, position);
  }

  truncate(size: number): void {
    this.#arriveAt("truncate");
    this.disk.truncate(size);
  }

  sync(): void {
    this.#arriveAt("sync");
    if (!this.#ignoresSync(this.disk)) this.disk.sync();
  }

  writeAsync(chunks: readonly Uint8Array[], position: number): Promise<void> {
    this.#arriveAt("write");
    return this.disk.writeAsync(chunks, position);
  }

  syncAsync(): Promise<void> {
    this.#arriveAt("sync");
    return this.#ignoresSync(this.disk) ? Promise.resolve() : this.disk.syncAsync();
  }

  lock(): boolean {
    return this.disk.lock();
  }

  close(): void {
    this.disk.close();
  }
}
