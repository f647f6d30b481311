/**
 * One call's end: the caller's signal and the call's time limit become one signal that the whole call obeys.
 */
import { after, requireMs } from "./options.js";
import type { CallOptions } from "./types.js";

/** Why a call's signal aborts when the time is over. */
export class TimeLimitReached extends DOMException {
  constructor() {
    super("the call's time limit was reached", "TimeoutError");
  }
}

/**
 * Checks a call's options and does the call, under a signal that aborts when the caller's own does or the time is over; undefined where nothing can end it.
 * Afterwards nothing of the call is left with the caller's signal, which may live as long as the program: `AbortSignal.any` would leave something each time.
 * @param defaultMs the time limit where the caller named none
 */
export async function withinLimits<T>(
  options: CallOptions | undefined, defaultMs: number | undefined, call: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  const timeoutMs = callTimeoutMs(options, defaultMs);
  const own = ownSignal(options);
  if (timeoutMs === undefined && own === undefined) return call(undefined);
  const controller = new AbortController();
  const forget = own === undefined ? undefined : whenAborted(own, () => controller.abort(own.reason));
  const timer = timeoutMs === undefined ? undefined : after(timeoutMs, () => controller.abort(new TimeLimitReached()));
  try {
    return await call(controller.signal);
  } finally {
    clearTimeout(timer);
    forget?.();
  }
}

/** What is to be done when signals abort. A signal has one listener of ours, however many calls share it: Node warns of more than ten, and looks through all for each. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/** Does something once when the signal aborts, at once where it has. Gives what calls that off. */
function whenAborted(signal: AbortSignal, work: () => void): () => void {
  if (signal.aborted) {
    work();
    return () => undefined;
  }
  const known = waiting.get(signal);
  const works = known ?? new Set();
  if (known === undefined) {
    waiting.set(signal, works);
    signal.addEventListener("abort", () => { for (const each of works) each(); }, { once: true });
  }
  works.add(work);
  return () => { works.delete(work); };
}

/** Checks the options of a call that is over before any time can pass, and gives the caller's own signal. */
export function immediateSignal(options: CallOptions | undefined): AbortSignal | undefined {
  callTimeoutMs(options);
  return ownSignal(options);
}

function ownSignal(options: CallOptions | undefined): AbortSignal | undefined {
  const signal = options?.signal;
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError("a call's signal is an AbortSignal");
  return signal;
}

/** Checks and gives a call's time limit in milliseconds, Infinity for none; undefined where nobody named any. */
export function callTimeoutMs(options: CallOptions | undefined, defaultMs?: number): number | undefined {
  if (options !== undefined && (typeof options !== "object" || options === null)) throw new TypeError("a call's options are an object");
  const timeoutMs = options?.timeoutMs ?? defaultMs;
  return timeoutMs === undefined ? undefined : requireMs("timeoutMs", timeoutMs, 1);
}

/** Waits so many milliseconds, or until the signal aborts. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
