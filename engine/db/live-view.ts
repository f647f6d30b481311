/** Reading a file that another process writes: a view, or an opening, that met what belongs to a newer state is begun again. @see docs/live-read.md */
import { BoltError } from "../base/errors.js";

const ATTEMPTS = 100;

/** Calls `view` until the writer has not moved on meanwhile. @throws BoltError STALE_SNAPSHOT when it was faster each time; and what `view` throws */
export function untilWhole<T>(view: () => T): T {
  for (let attempt = 1; ; attempt++) {
    try {
      return view();
    } catch (error) {
      const isStale = error instanceof BoltError && error.code === "STALE_SNAPSHOT";
      if (!isStale || attempt === ATTEMPTS) throw error;
    }
  }
}
