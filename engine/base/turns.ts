/** Work in pieces, done at once or in turns with the rest of the program, so that a large commit does not hold up the event loop. */
// Not the global one, in whose place test runners put one that stands still.
import { setImmediate } from "node:timers";

/** Work that yields after each piece of it. */
export type Pieces<T> = Generator<void, T, void>;

/** Time that the pieces of one turn of the event loop may take, in milliseconds. */
const TURN_MS = 1;

/** Does all pieces; gives the result. */
export function atOnce<T>(pieces: Pieces<T>): T {
  for (;;) {
    const { done, value } = pieces.next();
    if (done === true) return value;
  }
}

/** Does as many pieces in each turn as its time allows; resolves with the result. The first begins at once. */
export async function inTurns<T>(pieces: Pieces<T>): Promise<T> {
  let turn = new Turn();
  for (;;) {
    const { done, value } = pieces.next();
    if (done === true) return value;
    if (turn.isOver) turn = await nextTurn();
  }
}

/** A turn of the event loop. */
export class Turn {
  readonly #end = performance.now() + TURN_MS;

  get isOver(): boolean {
    return performance.now() > this.#end;
  }
}

/** Lets the event loop go round once. */
export async function nextTurn(): Promise<Turn> {
  await new Promise<void>((resolve) => setImmediate(resolve));
  return new Turn();
}
