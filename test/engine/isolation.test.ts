/**
 * Atomicity, isolation, consistency and durability as one property: random sessions on a simulated disk against a plain model of every
 * transaction id. Dozens of readers stay open over any number of commits, commits fail by faults of the disk, the power goes, the
 * database is opened again; at every step each reader sees exactly the state of its transaction.
 *
 * A cache could hide that a snapshot's pages were overwritten. So a held snapshot is verified twice: through its transaction, and on the bytes of the disk, by
 * putting the meta of that transaction back into them and reading the copy afresh.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BoltError, type DB, open, type ReadTx, type Tx } from "../../engine/index.js";
import { SimulatedDisk } from "../../engine/testing.js";
import { operation, startingBuckets } from "../support/arbitraries.js";
import { contentOf } from "../support/content.js";
import { ModelBucket, ModelTx } from "../support/model.js";
import type { Operation } from "../support/operations.js";
import { applyOperation } from "../support/operations.js";
import { seedOfRun } from "../support/random.js";
import { rawProblems } from "../support/raw-check.js";

/** What becomes of a write transaction: it commits, its callback throws, or an operation of the disk fails during its commit. */
type End =
  | { readonly end: "commit" | "throw" }
  | { readonly end: "fault"; readonly on: "write" | "truncate" | "sync"; readonly failure: "error" | "short" | "lost"; readonly nth: number };

type Command =
  | { readonly do: "write"; readonly how: "update" | "begin" | "updateAsync" | "batch"; readonly operations: readonly Operation[]; readonly ending: End }
  | { readonly do: "openReaders"; readonly count: number }
  | { readonly do: "closeReaders"; readonly share: number; readonly from: number }
  | { readonly do: "crash"; readonly choice: "none" | "all" | "random" }
  | { readonly do: "reopen" };

interface Setup {
  readonly pageSize: number;
  readonly noFreelistSync: boolean;
  readonly durability: "two-sync" | "one-sync";
  readonly diskSeed: number;
}

interface HeldReader {
  readonly tx: ReadTx;
  readonly id: bigint;
}

/** An error that a callback throws on purpose. */
class Thrown extends Error {}

const META_SIZE = 80;

class Session {
  readonly #setup: Setup;
  /** Content by transaction id. */
  readonly #states = new Map<bigint, ModelBucket>([[1n, new ModelBucket()]]);
  /** The meta page's bytes by transaction id, as they stood in the file. */
  readonly #metas = new Map<bigint, Uint8Array>();
  readonly #hashes = new Map<ModelBucket, string>();
  #disk: SimulatedDisk;
  #db: DB;
  #id = 1n;
  #readers: HeldReader[] = [];

  constructor(setup: Setup) {
    this.#setup = setup;
    this.#disk = new SimulatedDisk({ seed: setup.diskSeed });
    this.#db = this.#open();
  }

  #open(): DB {
    const { pageSize, noFreelistSync, durability } = this.#setup;
    return open("isolation.db", { storage: this.#disk, pageSize, noFreelistSync, durability });
  }

  #state(id: bigint): ModelBucket {
    const state = this.#states.get(id);
    assert.ok(state !== undefined, `nobody committed transaction ${id}`);
    return state;
  }

  #hash(state: ModelBucket): string {
    const known = this.#hashes.get(state) ?? contentOf(state).sha256;
    this.#hashes.set(state, known);
    return known;
  }

  async run(commands: readonly Command[]): Promise<void> {
    try {
      await this.#step({ do: "write", how: "update", operations: startingBuckets, ending: { end: "commit" } });
      for (const command of commands) await this.#step(command);
      this.#crash("none");
    } finally {
      this.#db.close();
    }
  }

  async #step(command: Command): Promise<void> {
    switch (command.do) {
      case "write": await this.#write(command); break;
      case "openReaders": for (let i = 0; i < command.count; i++) this.#readers.push({ tx: this.#db.begin(), id: this.#id }); break;
      case "closeReaders": this.#closeReaders(command.share, command.from); break;
      case "crash": this.#crash(command.choice); break;
      case "reopen": this.#reopen(); break;
    }
    this.#verifyAll();
  }

  #closeReaders(share: number, from: number): void {
    this.#readers = this.#readers.filter(({ tx }, i) => {
      const ends = (i + from) % 4 < share;
      if (ends) tx.rollback();
      return !ends;
    });
  }

  // ---- writing

  async #write({ how, operations, ending }: Extract<Command, { readonly do: "write" }>): Promise<void> {
    const model = new ModelTx(this.#state(this.#id));
    const expected = operations.map((one) => applyOperation(model, one));
    const work = (tx: Tx): void => {
      assert.deepEqual(operations.map((one) => applyOperation(tx, one)), expected);
      assert.equal(tx.id, this.#id + 1n);
      if (ending.end === "throw") throw new Thrown();
    };
    if (ending.end === "fault") this.#disk.inject({ failure: ending.failure, on: ending.on, nth: ending.nth });
    const error = await this.#transact(how, work);
    this.#disk.clearFaults();
    if (error === undefined) {
      assert.notEqual(ending.end, "throw", "a callback that threw was committed");
      this.#acknowledge(model.root);
      return;
    }
    if (ending.end === "throw") assert.ok(error instanceof Thrown, String(error));
    else if (ending.end !== "fault" || !(error instanceof BoltError && error.code === "IO")) throw error;
    else if (ending.on === "sync") this.#goOnAfterFailedSync();
  }

  async #transact(how: "update" | "begin" | "updateAsync" | "batch", work: (tx: Tx) => void): Promise<unknown> {
    try {
      switch (how) {
        case "update": this.#db.update(work); break;
        case "updateAsync": await this.#db.updateAsync(work); break;
        case "batch": await this.#db.batch(work); break;
        case "begin": this.#beginAndCommit(work); break;
      }
    } catch (error) {
      return error;
    }
    return undefined;
  }

  #beginAndCommit(work: (tx: Tx) => void): void {
    const tx = this.#db.begin(true);
    try {
      work(tx);
    } catch (error) {
      tx.rollback();
      throw error;
    }
    tx.commit();
  }

  #acknowledge(state: ModelBucket): void {
    this.#id++;
    this.#states.set(this.#id, state);
    this.#noteMeta();
  }

  #noteMeta(): void {
    const at = Number(this.#id % 2n) * this.#setup.pageSize;
    this.#metas.set(this.#id, this.#disk.bytes().slice(at, at + META_SIZE));
  }

  /** Reads go on and writes are refused; then the file is opened again, and on a copy of the disk the power goes. */
  #goOnAfterFailedSync(): void {
    assert.throws(() => this.#db.update(() => undefined), (error) => error instanceof BoltError && error.code === "IO");
    this.#verifyAll();
    const image = this.#disk.crash();
    this.#reopen();
    const crashed = open("image.db", { storage: image, noFreelistSync: this.#setup.noFreelistSync });
    const content = crashed.view((tx) => contentOf(tx).sha256);
    crashed.close();
    // The sync that failed is followed by one that does not: it has made durable that the commit is not there.
    assert.equal(content, this.#hash(this.#state(this.#id)), `"${image.label}" after a failed sync`);
  }

  // ---- the end of an opening

  #reopen(): void {
    this.#closeReaders(4, 0);
    this.#db.close();
    this.#arrive();
  }

  #crash(choice: "none" | "all" | "random"): void {
    const image = choice === "random" ? this.#disk.crash() : this.#disk.crash(choice);
    this.#closeReaders(4, 0);
    this.#db.close();
    this.#disk = image;
    this.#arrive();
  }

  /** Opens what is there: nothing that was acknowledged is lost, and nothing else is there. */
  #arrive(): void {
    this.#db = this.#open();
    const id = this.#db.view((tx) => tx.id);
    // Opening may have replaced a commit that was not whole by one that changes nothing.
    if (id === this.#id + 1n && this.#db.recovery?.lostTxid === id) this.#acknowledge(this.#state(this.#id));
    this.#verifyAll();
  }

  // ---- looking

  #verifyAll(): void {
    this.#db.view((tx) => { this.#verify(tx, this.#id); });
    for (const { tx, id } of this.#readers) this.#verify(tx, id);
    for (const id of new Set(this.#readers.map((reader) => reader.id))) this.#verifyOnDisk(id);
  }

  #verify(tx: ReadTx, id: bigint): void {
    assert.equal(tx.id, id);
    assert.equal(contentOf(tx).sha256, this.#hash(this.#state(id)), `snapshot of transaction ${id}`);
    if (id === this.#id) assert.deepEqual([...tx.check()], []);
  }

  #verifyOnDisk(id: bigint): void {
    const meta = this.#metas.get(id);
    if (meta === undefined) return; // the state that a new file begins with
    const { pageSize } = this.#setup;
    const bytes = this.#disk.bytes();
    bytes.fill(0, 0, 2 * pageSize);
    bytes.set(meta, Number(id % 2n) * pageSize);
    const copy = open("snapshot.db", { storage: new SimulatedDisk({ bytes }), readOnly: true });
    try {
      copy.view((tx) => {
        assert.equal(tx.id, id);
        assert.equal(contentOf(tx).sha256, this.#hash(this.#state(id)), `pages of transaction ${id} on the disk`);
      });
    } finally {
      copy.close();
    }
  }

  /** What another program would find. */
  rawProblems(): readonly string[] {
    return rawProblems(this.#disk.bytes());
  }
}

const fault: fc.Arbitrary<End> = fc.oneof(
  fc.record({ end: fc.constant("fault" as const), on: fc.constant("write" as const), failure: fc.constantFrom("error" as const, "short" as const), nth: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ end: fc.constant("fault" as const), on: fc.constant("truncate" as const), failure: fc.constant("error" as const), nth: fc.constant(1) }),
  fc.record({ end: fc.constant("fault" as const), on: fc.constant("sync" as const), failure: fc.constantFrom("error" as const, "lost" as const), nth: fc.constantFrom(1, 2) }),
);

const ending: fc.Arbitrary<End> = fc.oneof(
  { weight: 7, arbitrary: fc.constant<End>({ end: "commit" }) },
  { weight: 1, arbitrary: fc.constant<End>({ end: "throw" }) },
  { weight: 2, arbitrary: fault },
);

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 10, arbitrary: fc.record({
    do: fc.constant("write" as const), how: fc.constantFrom("update" as const, "update" as const, "begin" as const, "updateAsync" as const, "batch" as const),
    operations: fc.array(operation, { maxLength: 8 }), ending,
  }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("openReaders" as const), count: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("closeReaders" as const), share: fc.integer({ min: 1, max: 4 }), from: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const), choice: fc.constantFrom("none" as const, "all" as const, "random" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reopen" as const) }) },
);

const setup: fc.Arbitrary<Setup> = fc.record({
  pageSize: fc.constantFrom(1024, 4096), noFreelistSync: fc.boolean(), durability: fc.constantFrom("two-sync" as const, "two-sync" as const, "one-sync" as const), diskSeed: fc.nat(),
});

const seed = seedOfRun();

test(`each reader sees its snapshot, each commit is whole or not there, and no acknowledged one is lost (SEED=${seed})`, async (t) => {
  const replayPath = process.env["REPLAY"];
  const property = fc.asyncProperty(setup, fc.array(command, { minLength: 1, maxLength: 25, size: "max" }), async (chosen, commands) => {
    const session = new Session(chosen);
    await session.run(commands);
    assert.deepEqual(session.rawProblems(), []);
  });
  const details = await fc.check(property, {
    seed, numRuns: 400, interruptAfterTimeLimit: Number(process.env["LONG_SECONDS"] ?? 12) * 1000,
    ...(replayPath === undefined ? {} : { path: replayPath, endOnFailure: true }),
  });
  if (details.failed) {
    const cause = details.errorInstance instanceof Error ? details.errorInstance.stack ?? details.errorInstance.message : String(details.errorInstance);
    assert.fail(`${fc.defaultReportMessage(details) ?? "failed"}\n${cause}\nagain: SEED=${details.seed} REPLAY=${details.counterexamplePath ?? ""} node dist/test/run.js unit isolation`);
  }
  assert.ok(details.numRuns > 0);
  t.diagnostic(`${details.numRuns} sessions`);
});
