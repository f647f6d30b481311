/** Lets a limited number of calls proceed at once; the others wait in the order in which they came. */
import { givenUp, throwIfGivenUp } from "./errors.js";

/** Turns for calls. */
export class Turns {
  readonly #limit: number;
  #taken = 0;
  /** Those who wait, by the number of their arrival: who gives up leaves a gap, and nobody else moves. */
  readonly #waiting = new Map<number, () => void>();
  #arrivalCount = 0;
  /** No one who waits came before this one. */
  #next = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Resolves when it is the caller's turn, which `give` ends. @throws ImagesError CANCELLED or DEADLINE_EXCEEDED when the signal comes first */
  async take(signal: AbortSignal | undefined): Promise<void> {
    throwIfGivenUp(signal);
    if (this.#taken < this.#limit) {
      this.#taken++;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const arrival = this.#arrivalCount++;
      const giveUp = (): void => {
        this.#waiting.delete(arrival);
        reject(givenUp(signal!));
      };
      signal?.addEventListener("abort", giveUp, { once: true });
      this.#waiting.set(arrival, () => {
        signal?.removeEventListener("abort", giveUp);
        resolve();
      });
    });
  }

  /** Ends a turn: the next one begins. */
  give(): void {
    while (this.#next < this.#arrivalCount) {
      const arrival = this.#next++;
      const go = this.#waiting.get(arrival);
      if (go === undefined) continue;
      this.#waiting.delete(arrival);
      return go();
    }
    this.#taken--;
  }
}

/** Turns by name, one at a time for each: who has one holds up nobody of another name. */
export class TurnsByName {
  readonly #byName = new Map<string, { readonly turns: Turns; callCount: number }>();

  /** Resolves when it is the caller's turn, with what ends it. @throws ImagesError as `Turns.take` */
  async take(name: string, signal: AbortSignal): Promise<() => void> {
    const queue = this.#byName.get(name) ?? { turns: new Turns(1), callCount: 0 };
    this.#byName.set(name, queue);
    queue.callCount++;
    const leave = (): void => {
      if (--queue.callCount === 0) this.#byName.delete(name);
    };
    try {
      await queue.turns.take(signal);
    } catch (error) {
      leave();
      throw error;
    }
    return () => {
      queue.turns.give();
      leave();
    };
  }
}
