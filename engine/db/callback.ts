/** What callers' functions may give back. */
import { boltError } from "../base/errors.js";

/**
 * Lets a callback's result pass unless it is a promise: the transaction would be over before the work is.
 * @throws BoltError TX_ASYNC_CALLBACK
 */
export function refusePromise<T>(result: T): T {
  if (!isThenable(result)) return result;
  // What the callback goes on to do fails on the closed transaction; that is said here, not as an unhandled rejection as well.
  Promise.resolve(result).catch(() => undefined);
  throw boltError("TX_ASYNC_CALLBACK", "the transaction ends when the callback returns; use updateAsync, or await before and after");
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/** Calls every hook, also when one throws; then throws what the first that threw has thrown. */
export function runHooks(hooks: readonly (() => void)[]): void {
  let failure: { readonly error: unknown } | undefined;
  for (const hook of hooks) {
    try {
      hook();
    } catch (error) {
      failure ??= { error };
    }
  }
  if (failure !== undefined) throw failure.error;
}
