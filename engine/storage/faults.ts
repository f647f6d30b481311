/**
 * Which operation of a simulated disk fails, and how: counts the operations of a kind and says when a fault is due.
 */
import { constants } from "node:os";

import type { OperationKind } from "./crash-plan.js";
import type { ErrnoName } from "./system-error.js";

/**
 * How an operation fails:
 *
 * - `error`: it throws and has done nothing; what was written before is still to be synced.
 * - `short`: a part is done. A write then throws; a read returns fewer bytes without an error.
 * - `lost`: a sync throws and the system forgets that the unsynced sectors are dirty, as Linux does: reads still show
 *   them, the next sync succeeds, and they never reach the disk unless they are written again.
 * - `lie`: a sync returns, but nothing has become durable; a later honest sync still can.
 */
export type Failure = "error" | "short" | "lost" | "lie";

/** A failure to come. */
export interface Fault {
  readonly failure: Failure;
  /** The operations that count. Default: all that can fail in this way. */
  readonly on?: OperationKind | undefined;
  /** Which of them fails, counted from now: 1, the default, is the next. */
  readonly nth?: number | undefined;
  /** How many in a row fail. Default 1; Infinity for a disk that stays broken. */
  readonly times?: number | undefined;
  /** The `code` of the error thrown. Default EIO. */
  readonly code?: ErrnoName | undefined;
  /** For `short`: how many bytes are done. Default half of them. */
  readonly byteCount?: number | undefined;
}

const KINDS: Readonly<Record<Failure, ReadonlySet<OperationKind>>> = {
  error: new Set<OperationKind>(["read", "write", "truncate", "sync"]),
  short: new Set<OperationKind>(["read", "write"]),
  lost: new Set<OperationKind>(["sync"]),
  lie: new Set<OperationKind>(["sync"]),
};

const NAMES: ReadonlySet<string> = new Set<keyof Fault>(["failure", "on", "nth", "times", "code", "byteCount"]);

interface Armed {
  readonly fault: Fault;
  readonly kinds: ReadonlySet<OperationKind>;
  /** Operations that go well before the first failure. */
  wait: number;
  /** Failures left. */
  times: number;
}

/** The faults that are still to come. */
export class FaultQueue {
  #armed: readonly Armed[] = [];

  /** @throws TypeError for a failure that the kind of operation cannot have, or counts that are none */
  add(fault: Fault): void {
    for (const name of Object.keys(fault)) if (!NAMES.has(name)) throw new TypeError(`a fault has no "${name}"; it has ${[...NAMES].join(", ")}`);
    const possible: ReadonlySet<OperationKind> | undefined = KINDS[fault.failure];
    if (possible === undefined) throw new TypeError(`${fault.failure} is no way to fail`);
    if (fault.on !== undefined && !possible.has(fault.on)) {
      throw new TypeError(`a ${fault.on} cannot fail as ${fault.failure}`);
    }
    const { nth = 1, times = 1, code, byteCount = 0 } = fault;
    if (code !== undefined && !Object.hasOwn(constants.errno, code)) throw new TypeError(`${String(code)} is no error of the system`);
    if (!Number.isSafeInteger(nth) || nth < 1) throw new TypeError(`nth is ${nth}: the operations are counted from 1`);
    if (!(times >= 1)) throw new TypeError(`times is ${times}: a fault happens at least once`);
    if (!Number.isSafeInteger(byteCount) || byteCount < 0) throw new TypeError(`byteCount is ${byteCount}: it counts bytes`);
    const kinds = fault.on === undefined ? possible : new Set([fault.on]);
    this.#armed = [...this.#armed, { fault, kinds, wait: nth - 1, times }];
  }

  clear(): void {
    this.#armed = [];
  }

  /** Counts an operation for every fault that is waiting; returns the fault that hits it, the one added first where several do. */
  next(kind: OperationKind): Fault | undefined {
    if (this.#armed.length === 0) return undefined;
    let hit: Fault | undefined;
    for (const armed of this.#armed) {
      if (!armed.kinds.has(kind)) continue;
      if (armed.wait > 0) armed.wait--;
      else {
        hit ??= armed.fault;
        armed.times--;
      }
    }
    this.#armed = this.#armed.filter((armed) => armed.times > 0);
    return hit;
  }
}
