/** Colours and progress bars: on a terminal alone, and no colour where NO_COLOR says so. */
import type { Io, Output } from "./io.js";

/** Writes text in colour, or leaves it. */
export interface Paint {
  good(text: string): string;
  bad(text: string): string;
  dim(text: string): string;
  bold(text: string): string;
}

/** Whether colours may be used on an output. @see https://no-color.org */
export function hasColour(out: Output, env: Io["env"]): boolean {
  const refusal = env["NO_COLOR"];
  return out.isTerminal && (refusal === undefined || refusal === "") && env["TERM"] !== "dumb";
}

/** Gives the colours for an output. */
export function paintFor(out: Output, env: Io["env"]): Paint {
  const isOn = hasColour(out, env);
  const with_ = (code: number) => (text: string): string => (isOn ? `\x1b[${code}m${text}\x1b[0m` : text);
  return { good: with_(32), bad: with_(31), dim: with_(2), bold: with_(1) };
}

/** Takes away what stands in the line of a terminal. */
export const CLEAR_LINE = "\r\x1b[K";
const BAR_SIZE = 30;
const INTERVAL_MS = 100;
/** What is over sooner shows no bar. */
const DELAY_MS = 300;

/** A bar on standard error while something takes long; on anything but a terminal it is silent. */
export class Progress {
  readonly #out: Output;
  readonly #label: string;
  readonly #total: number;
  readonly #unit: string;
  readonly #begin: number = performance.now();
  #shownAt = 0;
  #isShown = false;

  /** @param total what the steps add up to; 0 when nobody knows */
  constructor(io: Io, label: string, total: number, unit = "") {
    this.#out = io.stderr;
    this.#label = label;
    this.#total = total;
    this.#unit = unit;
  }

  /** Whether anybody can see it: there is no need to count otherwise. */
  get isVisible(): boolean {
    return this.#out.isTerminal;
  }

  /** Shows how far things are. */
  show(done: number): void {
    if (!this.#out.isTerminal) return;
    const now = performance.now();
    if (now - this.#begin < DELAY_MS || now - this.#shownAt < INTERVAL_MS) return;
    this.#shownAt = now;
    this.#isShown = true;
    this.#out.write(`${CLEAR_LINE}${this.#text(done)}`);
  }

  #text(done: number): string {
    if (this.#total === 0) return `${this.#label} ${done}${this.#unit}`;
    const part = Math.min(1, done / this.#total);
    const full = Math.round(part * BAR_SIZE);
    return `${this.#label} ${"█".repeat(full)}${"░".repeat(BAR_SIZE - full)} ${String(Math.floor(part * 100)).padStart(3)} %`;
  }

  /** Takes the bar away. */
  end(): void {
    if (this.#isShown) this.#out.write(CLEAR_LINE);
    this.#isShown = false;
  }
}
