/** Options as they are given: an unknown one is a mistake that would otherwise go unnoticed. */
import { invalid } from "./errors.js";

/** What a timer can wait, in milliseconds. */
export const TIMER_MS_MAX: number = 2 ** 31 - 1;

/** @throws TypeError unless options are an object with no other names than these */
export function requireOptions(options: object, names: readonly string[]): void {
  if (typeof options !== "object" || options === null) throw new TypeError("options must be an object");
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && !names.includes(name)) throw new TypeError(`there is no option "${name}"; there are ${names.join(", ")}`);
  }
}

/** Checks and gives a time in milliseconds; Infinity is no limit. @throws ImagesError INVALID */
export function requireMs(name: string, milliseconds: number, least: 0 | 1): number {
  if (typeof milliseconds !== "number" || !(milliseconds >= 0) || (least > 0 && milliseconds === 0)) {
    throw invalid(`${name} ${String(milliseconds)} is not a ${least > 0 ? "positive " : ""}number of milliseconds`);
  }
  return milliseconds === Infinity ? milliseconds : Math.min(Math.ceil(milliseconds), TIMER_MS_MAX);
}

/** Does something after so many milliseconds, as `requireMs` gives them: after Infinity never. */
export function after(milliseconds: number, work: () => void): NodeJS.Timeout | undefined {
  return milliseconds === Infinity ? undefined : setTimeout(work, milliseconds);
}
