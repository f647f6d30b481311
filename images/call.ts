/**
 * One call's end: the caller's signal and the call's time limit become one signal that the whole call obeys.
 */
import { invalid } from "./errors.js";
import type { CallOptions } from "./types.js";

/** The longest time limit: what a timer can wait. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** What plain objects are made on. */
const PLAIN: ReadonlySet<unknown> = new Set([Object.prototype, null]);

/**
 * Checks a call's options and gives the one signal for it.
 * @param defaultMs the time limit where the caller named none
 * @returns undefined for a call that nothing can end early
 */
export function callSignal(options: CallOptions | undefined, defaultMs?: number): AbortSignal | undefined {
  const timeoutMs = callTimeoutMs(options, defaultMs);
  if (options?.signal !== undefined && !(options.signal instanceof AbortSignal)) throw new TypeError("a call's signal is an AbortSignal");
  if (timeoutMs === undefined) return options?.signal;
  const timeout = AbortSignal.timeout(timeoutMs);
  return options?.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]);
}

/** Checks and gives a call's time limit in milliseconds; undefined where there is none. */
export function callTimeoutMs(options: CallOptions | undefined, defaultMs?: number): number | undefined {
  if (options !== undefined && (typeof options !== "object" || options === null)) throw new TypeError("a call's options are an object");
  const timeoutMs = options?.timeoutMs ?? defaultMs;
  if (timeoutMs === undefined) return undefined;
  if (!Number.isFinite(timeoutMs) || timeoutMs <= 0) throw invalid(`timeoutMs ${timeoutMs} is no positive number`);
  return Math.min(Math.ceil(timeoutMs), TIMEOUT_MS_MAX);
}

/**
 * Copies what a call was given, for use after it has waited: the caller may have changed his by then. Only plain objects and arrays are; the rest stays
 * what it is, to be refused where it is none of what belongs there.
 */
export function ownCopy<T>(given: T): T;
export function ownCopy(given: unknown): unknown {
  if (Array.isArray(given)) return given.map((item: unknown) => ownCopy(item));
  if (typeof given !== "object" || given === null || !PLAIN.has(Object.getPrototypeOf(given))) return given;
  return Object.fromEntries(Object.entries(given).map(([name, value]: [string, unknown]) => [name, ownCopy(value)]));
}
