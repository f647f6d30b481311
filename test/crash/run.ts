/** One run of the crash test: carries out a plan on a simulated disk and has every cut on the way explored. */
import assert from "node:assert/strict";
import { BoltError, type DB, open, type ReadTx } from "../../engine/index.js";
import { SimulatedDisk } from "../../engine/testing.js";
import { contentOf } from "../support/content.js";
import { type Counts, Examiner, type GoSample } from "./examiner.js";
import { applyAll, State, type Successor } from "./state.js";
import { Killed, WatchedDisk } from "./watched-disk.js";
import { type Plan, planOf, type Step } from "./workload.js";

/** What a run gives. */
export interface RunReport {
  readonly run: number;
  readonly counts: Counts;
  readonly goSamples: readonly GoSample[];
}

/** As many ranges of pages as the manifest of a commit can hold, at the smallest page size; rather fewer. */
const MANIFEST_FITS = 20;

class RolledBack extends Error {}

interface HeldReader {
  readonly tx: ReadTx;
  readonly state: State;
}

class Run {
  readonly #examiner: Examiner;
  readonly #plan: Plan;
  readonly #storage: WatchedDisk;
  readonly #states = new Map<bigint, State>();
  #acknowledged = State.empty();
  /** What the database has shown since without anybody having acknowledged it: commits that killed processes were at. The disk may hold them or not. */
  #unsure: State[] = [];
  #underWay: State | undefined;
  #noFreelistSync = false;
  #stepNumber = 0;
  #stepName = "creation";
  #db: DB;
  #readers: HeldReader[] = [];

  /** Makes the database: its cuts are explored before this returns. */
  constructor(plan: Plan, diskSeed: number, examiner: Examiner) {
    this.#plan = plan;
    this.#examiner = examiner;
    this.#storage = new WatchedDisk(new SimulatedDisk({ seed: diskSeed }), (next) => { this.#explore(next); }, (disk) => this.#isIgnored(disk));
    this.#states.set(1n, this.#acknowledged);
    this.#db = this.#open(this.#plan.setup.noFreelistSync);
  }

  #explore(next: Parameters<Examiner["explore"]>[0]): void {
    this.#examiner.explore(next, this.#storage.disk, {
      allowed: [this.#acknowledged, ...this.#unsure, ...(this.#underWay === undefined ? [] : [this.#underWay])],
      stateOf: (txid) => (txid === this.#underWay?.txid ? this.#underWay : this.#states.get(txid)),
    }, `step ${this.#stepNumber} (${this.#stepName})`);
  }

  /** A lying disk ignores the sync of a commit's pages. Not where they are so many that their manifest may not fit, and not while the file is made. */
  #isIgnored({ pending }: SimulatedDisk): boolean {
    const { isLying, pageSize } = this.#plan.setup;
    if (!isLying || this.#stepNumber === 0 || pending.length > MANIFEST_FITS) return false;
    return pending.every(({ kind, position }) => kind === "truncate" || position >= 2 * pageSize);
  }

  #open(noFreelistSync: boolean): DB {
    this.#noFreelistSync = noFreelistSync;
    const { pageSize, durability } = this.#plan.setup;
    return open("crash.db", { storage: this.#storage, pageSize, durability, noFreelistSync });
  }

  /** The newest state that the database shows. */
  get #shown(): State {
    return this.#unsure.at(-1) ?? this.#acknowledged;
  }

  async run(): Promise<void> {
    this.#verify();
    for (const step of this.#plan.steps) {
      this.#stepNumber++;
      this.#stepName = step.do;
      await this.#step(step);
      this.#verify();
    }
    this.#explore("end");
    while (this.#readers.length > 0) this.#closeReader(0);
    this.#db.close();
    if (this.#examiner.failure !== undefined) throw this.#examiner.failure;
  }

  async #step(step: Step): Promise<void> {
    switch (step.do) {
      case "openReader": this.#readers.push({ tx: this.#db.begin(), state: this.#shown }); return;
      case "closeReader": this.#closeReader(step.index); return;
      case "reopen": this.#reopen(step.noFreelistSync); return;
      case "kill": return this.#kill(this.#shown.next(step.operations).state, step);
      case "rollback":
        assert.throws(() => this.#db.update((tx) => { applyAll(tx, step.operations); throw new RolledBack(); }), RolledBack);
        return;
      case "batch": return this.#commit(this.#shown.next(step.calls.flat()), async () =>
        (await Promise.all(step.calls.map((call) => this.#db.batch((tx) => applyAll(tx, call))))).flat());
      case "update": return this.#commit(this.#shown.next(step.operations), async () => this.#db.update((tx) => applyAll(tx, step.operations)));
      case "updateAsync": return this.#commit(this.#shown.next(step.operations), () => this.#db.updateAsync((tx) => applyAll(tx, step.operations)));
    }
  }

  async #commit({ state, answers }: Successor, work: () => Promise<readonly string[]>): Promise<void> {
    this.#underWay = state;
    assert.deepEqual(await work(), answers);
    this.#acknowledge(state);
  }

  #acknowledge(state: State): void {
    this.#acknowledged = state;
    this.#states.set(state.txid, state);
    this.#underWay = undefined;
    this.#unsure = [];
  }

  #kill(state: State, { operations, afterDiskOperations }: Extract<Step, { readonly do: "kill" }>): void {
    this.#underWay = state;
    this.#storage.killAfter(afterDiskOperations);
    try {
      this.#db.update((tx) => applyAll(tx, operations));
      this.#acknowledge(state);
    } catch (error) {
      if (!(error instanceof BoltError && error.cause instanceof Killed)) throw error;
    }
    this.#readers = [];
    this.#storage.startNextProcess();
    this.#db = this.#open(this.#noFreelistSync);
    if (this.#underWay !== undefined && this.#db.view((tx) => tx.id) === state.txid) {
      this.#states.set(state.txid, state);
      this.#unsure.push(state);
    }
    this.#underWay = undefined;
  }

  #reopen(noFreelistSync: boolean): void {
    while (this.#readers.length > 0) this.#closeReader(0);
    this.#db.close();
    // The commit that stores a freelist, if the opening makes one.
    const touched = this.#shown.touched();
    this.#underWay = touched;
    this.#db = this.#open(noFreelistSync);
    if (this.#db.view((tx) => tx.id) === touched.txid) this.#acknowledge(touched);
    else this.#underWay = undefined;
  }

  #closeReader(index: number): void {
    const [reader] = this.#readers.splice(index % Math.max(1, this.#readers.length), 1);
    if (reader === undefined) return;
    assert.equal(contentOf(reader.tx).sha256, reader.state.sha256, `snapshot of the reader at tx ${reader.state.txid}`);
    reader.tx.rollback();
  }

  /** The database that has power must be right as well. */
  #verify(): void {
    this.#db.view((tx) => {
      assert.equal(tx.id, this.#shown.txid);
      assert.equal(contentOf(tx).sha256, this.#shown.sha256, `content at tx ${tx.id}`);
      assert.deepEqual([...tx.check()], []);
    });
  }
}

/**
 * Carries out run number `run` of a seed.
 * @throws Error naming the run, the moment and the image where something was lost, and the command that repeats it
 */
export async function crashRun(seed: number, run: number): Promise<RunReport> {
  const plan = planOf(seed, run);
  const examiner = new Examiner(plan, run);
  try {
    await new Run(plan, Math.imul(seed, 31) + run, examiner).run();
    return { run, counts: examiner.counts, goSamples: examiner.goSamples };
  } catch (error) {
    const cause = examiner.failure ?? error;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`run ${run} of seed ${seed}, ${message}\nagain: npm run test:crash -- --seed ${seed} --run ${run}`, { cause });
  }
}
