/** Many callers, one commit. @see bbolt DB.Batch */
// Not the global one, in whose place test runners put one that stands still.
import { setImmediate } from "node:timers";
import { inCallersContext } from "../base/caller-context.js";
import { quietly } from "../base/errors.js";
import { nextTurn, Turn } from "../base/turns.js";
import { refusePromise, runHooks } from "./callback.js";

/** Calls that one transaction takes at most. */
const MAX_BATCH_SIZE = 1000;

interface Call<Tx> {
  readonly fn: (tx: Tx) => unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** What a batch needs of a transaction: what is to be called after the commit, see `Tx.takeCommitHooks`. */
interface Hooked {
  onCommit(fn: () => void): void;
  takeCommitHooks(): (() => void)[];
}

/** What a call gave: its result, and what it wants to be called after the commit. */
interface Outcome {
  readonly result: unknown;
  readonly hooks: readonly (() => void)[];
}

/**
 * Runs `work` in one write transaction, when it is its turn. Rejects with what `work` throws or the commit fails with, and then nothing has changed; or,
 * after the commit, with what the strict check found or a function of `onCommit` throws.
 */
type Transact<Tx> = (work: (tx: Tx) => Promise<void>) => Promise<void>;

/**
 * Collects calls until the writer's turn comes, then runs them in one transaction. A call that throws takes the transaction with it, so the rest
 * run again without it and it runs again alone: its outcome is its own, and every function must be able to run more than once. So are the functions
 * that it wants to be called after the commit: what these throw rejects no other call.
 */
export class Batch<Tx extends Hooked> {
  readonly #transact: Transact<Tx>;
  #calls: Call<Tx>[] = [];
  #isScheduled = false;
  readonly #idle: (() => void)[] = [];

  constructor(transact: Transact<Tx>) {
    this.#transact = transact;
  }

  /** @throws (rejects with) what the function throws; TypeError when it is none */
  add<T>(fn: (tx: Tx) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#calls.push({ fn: inCallersContext(fn, "batch"), resolve: resolve as (result: unknown) => void, reject });
      this.#schedule();
    });
  }

  /** Resolves when no call is waiting. */
  async drained(): Promise<void> {
    while (this.#isScheduled || this.#calls.length > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #schedule(): void {
    if (this.#isScheduled || this.#calls.length === 0) return;
    this.#isScheduled = true;
    // One turn of the event loop, for calls that arrive together.
    setImmediate(() => void this.#run());
  }

  async #run(): Promise<void> {
    let calls: Call<Tx>[] | undefined;
    while ((calls = await this.#runTogether(calls)) !== undefined);
    this.#isScheduled = false;
    this.#schedule();
    if (!this.#isScheduled) for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Runs calls in one transaction; gives those to run again when one of them failed. */
  async #runTogether(again: Call<Tx>[] | undefined): Promise<Call<Tx>[] | undefined> {
    let calls = again ?? [];
    const outcomes: Outcome[] = [];
    let failing: Call<Tx> | undefined;
    let isCommitted = false;
    try {
      await this.#transact(async (tx) => {
        // What has arrived while the writer was busy comes along.
        if (again === undefined) calls = this.#calls.splice(0, MAX_BATCH_SIZE);
        let turn = new Turn();
        for (const call of calls) {
          if (turn.isOver) turn = await nextTurn();
          failing = call;
          const result = refusePromise(call.fn(tx));
          outcomes.push({ result, hooks: tx.takeCommitHooks() });
        }
        failing = undefined;
        tx.onCommit(() => { isCommitted = true; });
        // The commit is prepared in turns of its own.
        await nextTurn();
      });
    } catch (error) {
      // Without a transaction no call was taken yet: then all that wait share its fate.
      if (calls.length === 0) calls = this.#calls.splice(0);
      if (failing !== undefined && calls.length > 1) {
        void this.#runAlone(failing);
        return calls.filter((call) => call !== failing);
      }
      for (const [i, call] of calls.entries()) {
        // What the strict check found came after the commit.
        if (isCommitted) quietly(() => runHooks(outcomes[i]!.hooks));
        call.reject(error);
      }
      return undefined;
    }
    for (const [i, call] of calls.entries()) settle(call, outcomes[i]!);
    return undefined;
  }

  async #runAlone({ fn, resolve, reject }: Call<Tx>): Promise<void> {
    let result: unknown;
    try {
      await this.#transact(async (tx) => {
        result = refusePromise(fn(tx));
      });
    } catch (error) {
      return reject(error);
    }
    resolve(result);
  }
}

function settle<Tx>({ resolve, reject }: Call<Tx>, { result, hooks }: Outcome): void {
  try {
    runHooks(hooks);
  } catch (error) {
    return reject(error);
  }
  resolve(result);
}
