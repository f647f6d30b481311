/** Asynchronous writers wait here for their turn: first come, first served, one at a time, and never while another write transaction is open. */
import { nextTurn, Turn } from "../base/turns.js";

/** The queue of asynchronous writers. */
export class WriterQueue {
  // Two arrays, for to take the first of a long one moves all that follow (measured with 200,000 updateAsync at once: a third of the time).
  /** The next one is the last. */
  #next: (() => Promise<void>)[] = [];
  /** Those that came since `#next` was filled, in order. */
  #behind: (() => Promise<void>)[] = [];
  readonly #isFree: () => boolean;
  #isRunning = false;
  #isClosed = false;
  #idle: (() => void)[] = [];

  /** @param isFree tells whether a write transaction can begin now */
  constructor(isFree: () => boolean) {
    this.#isFree = isFree;
  }

  /** Lets `work` run when it is its turn; work deals with its own errors. */
  add(work: () => Promise<void>): void {
    this.#behind.push(work);
    if (this.#isClosed) this.close();
    else this.kick();
  }

  /** Lets all that waits run at once: the database is closed, and they say so. The one that is running may never end. */
  close(): void {
    this.#isClosed = true;
    while (this.#isWaiting) void this.#take()();
  }

  /** Goes on after something else has freed the writer's place. */
  kick(): void {
    if (!this.#isRunning && this.#isWaiting && this.#isFree()) void this.#run();
  }

  get #isWaiting(): boolean {
    return this.#next.length + this.#behind.length > 0;
  }

  #take(): () => Promise<void> {
    if (this.#next.length === 0) {
      this.#next = this.#behind.reverse();
      this.#behind = [];
    }
    return this.#next.pop()!;
  }

  /** Resolves when nothing is waiting or running. */
  async drained(): Promise<void> {
    while (this.#isRunning || this.#isWaiting) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    // Never within the call that added it: synchronous writers that follow in the same turn are not in its way.
    await Promise.resolve();
    for (let turn = new Turn(); this.#isWaiting && this.#isFree(); ) {
      // Writers that throw, or change nothing, never wait for the disk: in turns they leave time to others.
      if (turn.isOver) turn = await nextTurn();
      else await this.#take()();
    }
    this.#isRunning = false;
    if (!this.#isWaiting) for (const resolve of this.#idle.splice(0)) resolve();
  }
}
