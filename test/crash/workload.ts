/**
 * What the crash tests do to a database: from a seed and a number, a setup and a list of steps. The mix makes small
 * databases in which pages come, go and are used again all the time: runs of keys, values longer than a page, nested
 * buckets that move and die, readers that stay open over many commits, reopening, processes that are killed, batches, transactions rolled back.
 */
import type { KeyText, Operation } from "../support/operations.js";
import { runKey } from "../support/operations.js";
import { Random } from "../support/random.js";

/** How the database of a run is opened. */
export interface CrashSetup {
  readonly pageSize: 1024 | 4096;
  readonly noFreelistSync: boolean;
  readonly durability: "two-sync" | "one-sync";
  /** The disk ignores the sync that comes before the meta page is written: it may keep the meta and not what it leads to. */
  readonly isLying: boolean;
}

/** One thing that the application does. */
export type Step =
  | { readonly do: "update" | "updateAsync" | "rollback"; readonly operations: readonly Operation[] }
  | { readonly do: "batch"; readonly calls: readonly (readonly Operation[])[] }
  /** The process dies in the middle of a commit, or at its end, and another one opens the file: there is no power cut in between. */
  | { readonly do: "kill"; readonly operations: readonly Operation[]; readonly afterDiskOperations: number }
  | { readonly do: "openReader" }
  | { readonly do: "reopen"; readonly noFreelistSync: boolean }
  | { readonly do: "closeReader"; readonly index: number };

/** A run: steps on an empty disk, and the transaction that is tried on every disk that a cut has left. */
export interface Plan {
  readonly setup: CrashSetup;
  readonly steps: readonly Step[];
  readonly followUp: readonly Operation[];
}

const PATHS: readonly (readonly KeyText[])[] = [["a"], ["a"], ["b"], ["b"], ["a", "x"], ["a", "y"], ["a", "x", "z"], ["b", "x"], ["b", "x", "a"]];
const KEY_COUNT = 150;

/** Chooses operations. */
export class Generator {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  operations(maxCount: number): Operation[] {
    return Array.from({ length: this.#random.below(maxCount + 1) }, () => this.operation());
  }

  operation(): Operation {
    const random = this.#random;
    const path = random.pick(PATHS);
    const at = path.length - 1;
    switch (random.below(20)) {
      case 0: case 1: case 2: case 3: return this.#putRun(path, 30);
      case 4: return this.#putRun(path, 90);
      case 5: case 6: case 7: return { op: "put", path, key: this.#key(), value: this.#value(120) };
      case 8: return { op: "put", path, key: this.#key(), value: this.#value(2500) };
      case 9: return { op: "put", path, key: this.#key(), value: this.#value(14_000) };
      case 10: case 11: return this.#deleteRun(path, 40);
      case 12: return this.#deleteRun(path, KEY_COUNT);
      case 13: return { op: "delete", path, key: this.#key() };
      case 14: case 15: case 16: return { op: "createBucketIfNotExists", path: path.slice(0, at), name: path[at] ?? "a" };
      case 17: return { op: "deleteBucket", path: path.slice(0, at), name: path[at] ?? "a" };
      case 18: return { op: "moveBucket", path: path.slice(0, at), name: path[at] ?? "a", to: random.pick([[], ...PATHS]) };
      default: return random.below(2) === 0 ? { op: "nextSequence", path } : { op: "setSequence", path, value: String(random.below(2 ** 32)) };
    }
  }

  #key(): KeyText {
    return runKey(this.#random.below(KEY_COUNT));
  }

  #value(limit: number): { readonly length: number; readonly salt: number } {
    return { length: this.#random.below(limit), salt: this.#random.below(256) };
  }

  #putRun(path: readonly KeyText[], limit: number): Operation {
    return { op: "putRun", path, from: this.#random.below(KEY_COUNT), count: 1 + this.#random.below(limit), step: this.#random.pick([1, 2, 7]), value: this.#value(150) };
  }

  #deleteRun(path: readonly KeyText[], limit: number): Operation {
    return { op: "deleteRun", path, from: this.#random.below(KEY_COUNT), count: 1 + this.#random.below(limit), step: this.#random.pick([1, 1, 2]) };
  }

  step(setup: CrashSetup): Step {
    const random = this.#random;
    switch (random.below(16)) {
      case 0: case 1: return { do: "updateAsync", operations: this.operations(8) };
      case 2: return { do: "batch", calls: Array.from({ length: 2 + random.below(4) }, () => this.operations(3)) };
      case 3: return { do: "rollback", operations: this.operations(6) };
      case 4: case 5: return { do: "openReader" };
      case 6: return { do: "closeReader", index: random.below(8) };
      case 7: return { do: "reopen", noFreelistSync: random.below(4) === 0 ? !setup.noFreelistSync : setup.noFreelistSync };
      case 8: return { do: "kill", operations: this.operations(4), afterDiskOperations: random.below(12) };
      default: return { do: "update", operations: this.operations(9) };
    }
  }
}

const HONEST = { durability: "two-sync", isLying: false } as const;

const FIRST: readonly Operation[] = PATHS.map((path): Operation =>
  ({ op: "createBucketIfNotExists", path: path.slice(0, -1), name: path.at(-1) ?? "a" }));

/** Gives run number `run` of a seed. */
export function planOf(seed: number, run: number): Plan {
  const random = new Random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(run + 1, 0x85ebca6b));
  random.below(2);
  const generator = new Generator(random);
  const setup: CrashSetup = {
    pageSize: random.pick([1024, 4096]), noFreelistSync: random.below(3) === 0,
    ...random.pick([HONEST, HONEST, HONEST, { durability: "one-sync", isLying: false }, { durability: "two-sync", isLying: true }] as const),
  };
  const steps: Step[] = [{ do: "update", operations: random.below(4) === 0 ? [] : FIRST }];
  const stepCount = 8 + random.below(12);
  while (steps.length < stepCount) steps.push(generator.step(setup));
  // The follow-up takes pages at once: if any of them is still needed, its content is gone then.
  const followUp: Operation[] = [
    { op: "createBucketIfNotExists", path: [], name: "b" },
    { op: "putRun", path: ["b"], from: 0, count: 40, step: 3, value: { length: 60, salt: 77 } },
    ...generator.operations(5),
  ];
  return { setup, steps, followUp };
}
