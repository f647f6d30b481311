/** For tests of what leaves the event loop its turns: when something ran, by the rounds of the loop, and work that keeps the loop. */

/** Counts the rounds of the event loop. */
export class LoopRounds {
  #count = 0;
  #isOver = false;
  /** The rounds in which something ran. */
  readonly noted: number[] = [];

  begin(): void {
    this.#count++;
    if (!this.#isOver) setImmediate(() => this.begin());
  }

  /** Notes that something runs in this round. */
  note(): void {
    this.noted.push(this.#count);
  }

  /** Ends the counting. @returns in how many rounds something ran */
  end(): number {
    this.#isOver = true;
    return new Set(this.noted).size;
  }
}

/** Keeps the event loop for so many milliseconds. */
export function hold(milliseconds: number): void {
  for (const end = performance.now() + milliseconds; performance.now() < end; );
}
