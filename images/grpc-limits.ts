/** How much a client of a server may cost: the limits, their defaults, and what of an option is none. */
import { invalid } from "./errors.js";
import { requireMs, requireOptions } from "./options.js";

/** How much a client may cost. Infinity is no limit. */
export interface ServerLimits {
  /** Milliseconds in which a call's request must be complete; default 30,000. */
  readonly requestMs: number;
  /** Milliseconds without progress after which an answer that is not read is given up, and a connection closed on which no status can be sent; default 30,000. */
  readonly answerMs: number;
  /** Milliseconds in which a new connection must have said that it speaks HTTP/2; default 10,000. */
  readonly handshakeMs: number;
  /** Milliseconds after which a connection without calls is closed; default 600,000. */
  readonly idleMs: number;
  /** Calls at once on one connection; default 100. */
  readonly callsPerConnection: number;
  /** Connections at once; default 1,000. */
  readonly connections: number;
  /** Bytes of all requests that are not answered yet, default 256 MiB; a connection's are a quarter of them at most. */
  readonly requestBytes: number;
  /** Bytes of all answers that are not read yet, default 256 MiB; a connection's are a quarter of them at most. Calls whose answers find no room wait. */
  readonly answerBytes: number;
}

/** Some of the limits; what is not given has its default. */
export type GivenLimits = { readonly [Name in keyof ServerLimits]?: ServerLimits[Name] | undefined };

const DEFAULT_LIMITS: ServerLimits = {
  requestMs: 30_000, answerMs: 30_000, handshakeMs: 10_000, idleMs: 600_000, callsPerConnection: 100, connections: 1000, requestBytes: 256 << 20,
  answerBytes: 256 << 20,
};

const TIME_LIMITS = ["requestMs", "answerMs", "handshakeMs", "idleMs"] as const;
const COUNT_LIMITS = ["callsPerConnection", "connections", "requestBytes", "answerBytes"] as const;

/**
 * Reads each limit by its name, as other options are read: an object may have it from its class or its prototype.
 * @throws ImagesError INVALID for a limit that is none, TypeError for an unknown one
 */
export function checkedLimits(limits: GivenLimits): ServerLimits {
  requireOptions(limits, [...TIME_LIMITS, ...COUNT_LIMITS]);
  const checked: Record<keyof ServerLimits, number> = { ...DEFAULT_LIMITS };
  for (const name of TIME_LIMITS) {
    const time = limits[name];
    if (time !== undefined) checked[name] = requireMs(`limits.${name}`, time, 1);
  }
  for (const name of COUNT_LIMITS) {
    const count = limits[name];
    if (count === undefined) continue;
    if (count !== Infinity && !(Number.isSafeInteger(count) && count > 0)) throw invalid(`limits.${name} ${String(count)} is not a positive integer`);
    checked[name] = count;
  }
  return checked;
}
