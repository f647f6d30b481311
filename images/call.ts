/**
 * One call's end: the caller's signal and the call's time limit become one signal that the whole call obeys.
 */
import { invalid } from "./errors.js";
import type { CallOptions } from "./types.js";

/** The longest time limit: what a timer can wait. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/**
 * Checks a call's options and gives the one signal for it.
 * @param defaultMs the time limit where the caller named none
 * @returns undefined for a call that nothing can end early
 */
export function callSignal(options: CallOptions | undefined, defaultMs?: number): AbortSignal | undefined {
  const timeoutMs = callTimeoutMs(options, defaultMs);
  const signal = ownSignal(options);
  if (timeoutMs === undefined) return signal;
  const timeout = AbortSignal.timeout(timeoutMs);
  return signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
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

/** Checks and gives a call's time limit in milliseconds; undefined where there is none. */
export function callTimeoutMs(options: CallOptions | undefined, defaultMs?: number): number | undefined {
  if (options !== undefined && (typeof options !== "object" || options === null)) throw new TypeError("a call's options are an object");
  const timeoutMs = options?.timeoutMs ?? defaultMs;
  if (timeoutMs === undefined) return undefined;
  if (!Number.isFinite(timeoutMs) || timeoutMs <= 0) throw invalid(`timeoutMs ${timeoutMs} is no positive number`);
  return Math.min(Math.ceil(timeoutMs), TIMEOUT_MS_MAX);
}
