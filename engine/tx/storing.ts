/**
 * Doing the steps of a commit, in order: at once, off the calling thread, or in turns with the rest of the program.
 *
 * A failed step ends it: StepError. Nothing is under way any more when it is thrown, for the memory that is written from is used again.
 */
import { nextTurn, Turn } from "../base/turns.js";
import type { Step } from "../pager/commit-steps.js";
import type { Pager } from "../pager/pager.js";
import { totalLength } from "../storage/transfer.js";
import type { TxStats } from "./stats.js";

/** Bytes up to which a write is done in turns; a larger one by another thread. */
const SMALL_WRITE_SIZE = 1 << 18;

/** A step that failed, and why. */
export class StepError extends Error {
  readonly step: Step;

  constructor(step: Step, cause: unknown) {
    super(`${step.kind} failed`, { cause });
    this.step = step;
  }
}

/** Does all steps before it returns. Gives the time in syncs, in milliseconds. @throws StepError */
export function storeNow(pager: Pager, steps: readonly Step[], stats: TxStats): number {
  const timer = new StepTimer(stats);
  for (const step of steps) {
    timer.start(step);
    try {
      pager.run(step);
    } catch (error) {
      throw new StepError(step, error);
    }
    timer.stop(step);
  }
  return timer.finish();
}

/** `storeNow` by other threads: page writes side by side. */
export async function storeElsewhere(pager: Pager, steps: readonly Step[], stats: TxStats): Promise<number> {
  const timer = new StepTimer(stats);
  for (const group of concurrentSteps(steps)) {
    timer.start(group[0]!);
    const results = await Promise.allSettled(group.map((step) => pager.runAsync(step)));
    for (const [i, result] of results.entries()) if (result.status === "rejected") throw new StepError(group[i]!, result.reason);
    timer.stop(group[0]!, group.length);
  }
  return timer.finish();
}

/**
 * `storeNow` with syncs and large writes by other threads, and the small writes here, a while at a time. Against `storeElsewhere`, 256 callers with
 * durable puts at random keys have a tenth more done, and the event loop waits two thirds as long.
 */
export async function storeInTurns(pager: Pager, steps: readonly Step[], stats: TxStats): Promise<number> {
  const timer = new StepTimer(stats);
  // The first write begins a turn: this one has prepared the commit.
  let turn: Turn | undefined;
  for (const step of steps) {
    timer.start(step);
    try {
      if (!isBrief(step)) {
        await pager.runAsync(step);
        turn = new Turn();
      } else {
        if (turn === undefined || turn.isOver) turn = await nextTurn();
        pager.run(step);
      }
    } catch (error) {
      throw new StepError(step, error);
    }
    timer.stop(step);
  }
  return timer.finish();
}

/** What takes so little time that it is done here. */
function isBrief(step: Step): boolean {
  return step.kind === "startSync" || (step.kind === "write" && totalLength(step.chunks) <= SMALL_WRITE_SIZE);
}

/** Steps in groups that need no order among them: page writes side by side, every other step alone. */
function concurrentSteps(steps: readonly Step[]): Step[][] {
  const groups: Step[][] = [];
  for (const step of steps) {
    const last = groups[groups.length - 1];
    if (step.kind === "write" && last?.[0]?.kind === "write") last.push(step);
    else groups.push([step]);
  }
  return groups;
}

/** Looks at the clock for the whole and for syncs only: beside a write that is no small cost. */
class StepTimer {
  readonly #stats: TxStats;
  readonly #started = performance.now();
  #syncStarted = 0;
  #syncMs = 0;

  constructor(stats: TxStats) {
    this.#stats = stats;
  }

  start({ kind }: Step): void {
    if (kind === "sync") this.#syncStarted = performance.now();
  }

  stop({ kind }: Step, count = 1): void {
    if (kind === "sync") this.#syncMs += performance.now() - this.#syncStarted;
    else if (kind === "write" || kind === "meta") this.#stats.write += count;
  }

  /** Notes the time of the whole; gives that of the syncs. */
  finish(): number {
    this.#stats.writeTime += performance.now() - this.#started;
    return this.#syncMs;
  }
}
