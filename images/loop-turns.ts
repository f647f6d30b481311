/**
 * Lets calls begin a few in each turn of the event loop, the connections in turns.
 *
 * Keeps true: however many calls came at once and however long each of them takes, after a few milliseconds the loop goes round, so that deadlines
 * pass, clients leave and others are heard before the next one begins; and a call begins when the one before has done what it does at once.
 */
import { setImmediate } from "node:timers";

/** Milliseconds of a turn after which no further call begins. */
const TURN_MS = 5;
/** As many as begin in one turn at most. (With one a turn a server answered a third fewer gets a second, and puts that came together shared a commit less often.) */
const CALLS_A_TURN = 128;

/** The calls of a connection, in the order in which they came. */
interface WaitingCalls {
  readonly again: Set<() => void>;
  readonly first: Set<() => void>;
}

/** The calls of a server that are about to begin. */
export class LoopTurns {
  /** By connection, first the one that has not had a turn for longest. */
  readonly #waiting = new Map<object, WaitingCalls>();
  #waitingCount = 0;
  #isGoing = false;

  /**
   * Resolves when it is the turn of this call.
   * @param isAgain it has had one, and waited for something else since: those of its connection that have had none are behind it
   */
  take(connection: object, isAgain = false): Promise<void> {
    return new Promise((resolve) => {
      const calls = this.#waiting.get(connection) ?? { again: new Set(), first: new Set() };
      this.#waiting.set(connection, calls);
      (isAgain ? calls.again : calls.first).add(resolve);
      this.#waitingCount++;
      if (!this.#isGoing) this.#goRound();
    });
  }

  /** Immediates that are asked for now run in one turn, and after each of them what it has made ready. */
  #goRound(): void {
    let end: number | undefined;
    for (let i = Math.min(this.#waitingCount, CALLS_A_TURN); i > 0; i--) {
      setImmediate(() => {
        end ??= performance.now() + TURN_MS;
        if (performance.now() < end) this.#letNextOn();
      });
    }
    this.#isGoing = true;
    setImmediate(() => {
      this.#isGoing = false;
      if (this.#waitingCount > 0) this.#goRound();
    });
  }

  #letNextOn(): void {
    for (const [connection, waiting] of this.#waiting) {
      const calls = waiting.again.size > 0 ? waiting.again : waiting.first;
      const [go] = calls;
      calls.delete(go!);
      this.#waiting.delete(connection);
      if (waiting.again.size + waiting.first.size > 0) this.#waiting.set(connection, waiting);
      this.#waitingCount--;
      return go!();
    }
  }
}
