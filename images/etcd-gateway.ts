/**
 * Calls etcd's JSON gateway through `fetch`: one request is tried on one endpoint after the other until one answers, each
 * for a bounded time, all together until the call's time is up.
 *
 * Keeps true: an answer that says what etcd decided (also a refusal) ends the call; only what says nothing about the data
 * (no connection, no leader, no answer in time) leads on to the next endpoint. A request may then have been carried out
 * although nobody said so: `uncertain` tells the caller.
 */
import { pause, TimeLimitReached, withinLimits } from "./call.js";
import { ImagesError, givenUp, invalid, quote, throwIfGivenUp } from "./errors.js";
import { requireMs } from "./options.js";
import { isRecord } from "./validate.js";
import type { CallOptions } from "./types.js";

/** How to reach a cluster. */
export interface GatewayOptions {
  /** Client URLs of the members, for example `http://127.0.0.1:2379`; one or more. */
  readonly endpoints: string | readonly string[];
  /** Milliseconds a call may take with all its attempts, where it names no limit itself; default 15,000; Infinity: no limit. */
  readonly timeoutMs?: number | undefined;
  /** Milliseconds one endpoint may take before the next is asked; default 4,000. */
  readonly attemptMs?: number | undefined;
  /** Sent with every request, for example `Authorization`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** What etcd answered. */
export interface GatewayReply {
  readonly body: Readonly<Record<string, unknown>>;
  /** An earlier attempt of this request ended without an answer: it may have been carried out too. */
  readonly uncertain: boolean;
}

/** A refusal with etcd's own code (gRPC's numbers). */
export class EtcdError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The end of a whole call, which may take several requests. */
export interface GatewayCall {
  /** Aborts when the caller gives up or the time is over. */
  readonly signal: AbortSignal;
  /** Nobody asked for the time limit: when it ends the call, the cluster is to blame, not the caller's deadline. */
  readonly isLimitOurs: boolean;
}

const DEFAULT_TIMEOUT_MS = 15_000;
const DEFAULT_ATTEMPT_MS = 4_000;
/** After so many rounds in which no endpoint even took a connection, or answered as etcd does, there is nothing to wait for. */
const DEAD_ROUNDS_MAX = 3;
const PAUSE_MS = 100;

/** Deno's fetch repeats a POST by itself when a connection that was used before is cut, and does not say so. */
const FETCH_REPEATS = "Deno" in globalThis;

const REDIRECTIONS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const TOO_MANY_REQUESTS = 429;
const CANCELLED = 1;
const UNKNOWN = 2;
const UNAVAILABLE = 14;

/** Asks a cluster. */
export class EtcdGateway {
  readonly #endpoints: readonly string[];
  readonly #timeoutMs: number;
  readonly #attemptMs: number;
  readonly #headers: Readonly<Record<string, string>>;
  /** The endpoint that answered last is asked first. */
  #preferred = 0;

  constructor(options: GatewayOptions) {
    const endpoints = typeof options.endpoints === "string" ? [options.endpoints] : options.endpoints;
    if (!Array.isArray(endpoints)) throw new TypeError("endpoints are a URL or an array of URLs");
    if (endpoints.length === 0) throw invalid("at least one endpoint is needed");
    this.#endpoints = endpoints.map(checkedEndpoint);
    this.#timeoutMs = requireMs("timeoutMs", options.timeoutMs ?? DEFAULT_TIMEOUT_MS, 1);
    this.#attemptMs = requireMs("attemptMs", options.attemptMs ?? DEFAULT_ATTEMPT_MS, 1);
    this.#headers = checkedHeaders(options.headers);
  }

  /** Does a call: all of its requests share one time limit. */
  within<T>(options: CallOptions | undefined, work: (call: GatewayCall) => Promise<T>): Promise<T> {
    const isLimitOurs = options?.timeoutMs === undefined;
    return withinLimits(options, this.#timeoutMs, (signal) => work({ signal: signal!, isLimitOurs }));
  }

  /**
   * Sends one request, for example to `kv/range`.
   * @param doubt what an error says besides, when the request may have been carried out although nobody said so
   * @throws EtcdError when etcd refuses it
   * @throws ImagesError UNAVAILABLE when no endpoint answers; CANCELLED or DEADLINE_EXCEEDED when the call was given up
   */
  async post(path: string, body: unknown, call: GatewayCall, doubt = ""): Promise<GatewayReply> {
    const text = JSON.stringify(body);
    const faults = new Map<string, string>();
    let uncertain = false;
    const obstacle = (): string => `${unreachable(faults)}${uncertain ? doubt : ""}`;
    let deadRounds = 0;
    for (;;) {
      let reached = false;
      for (let offset = 0; offset < this.#endpoints.length; offset++) {
        const index = (this.#preferred + offset) % this.#endpoints.length;
        const endpoint = this.#endpoints[index] ?? "";
        const attempt = await this.#attempt(endpoint, path, text, call).catch((error: unknown) => {
          throw error instanceof EtcdError && uncertain ? new EtcdError(error.status, error.message + doubt) : error;
        });
        if (attempt.body !== undefined) {
          this.#preferred = index;
          return { body: attempt.body, uncertain: uncertain || FETCH_REPEATS };
        }
        // An attempt that the end of the call has cut off says less than what the endpoint said before.
        if (!call.signal.aborted || !faults.has(endpoint)) faults.set(endpoint, attempt.fault);
        uncertain ||= attempt.sent;
        if (call.signal.aborted) throw ended(call, obstacle());
        reached ||= attempt.sent && attempt.isEtcd;
      }
      if (!reached && ++deadRounds === DEAD_ROUNDS_MAX) throw new ImagesError("UNAVAILABLE", obstacle());
      await pause(PAUSE_MS, call.signal);
      if (call.signal.aborted) throw ended(call, obstacle());
    }
  }

  async #attempt(endpoint: string, path: string, body: string, call: GatewayCall): Promise<Attempt> {
    throwIfGivenUp(call.signal);
    try {
      // No `AbortSignal.any` of `AbortSignal.timeout`: Node 20 collects the timeout with the garbage, and a dead endpoint is never left.
      return await withinLimits({ signal: call.signal }, this.#attemptMs, async (signal) => {
        const response = await fetch(`${endpoint}/v3/${path}`, {
          // A redirection would take the headers, a password perhaps, to where nobody has sent them.
          method: "POST", body, signal: signal!, headers: { "content-type": "application/json", ...this.#headers }, redirect: "manual",
        });
        return readAnswer(response.status, await response.text());
      });
    } catch (error) {
      if (error instanceof EtcdError) throw error;
      return { body: undefined, fault: explain(error), sent: !isRefusedConnection(error), isEtcd: true };
    }
  }
}

type Attempt =
  | { readonly body: Readonly<Record<string, unknown>> }
  | { readonly body: undefined; readonly fault: string; readonly sent: boolean; readonly isEtcd: boolean };

function readAnswer(httpStatus: number, text: string): Attempt {
  const body = parseObject(text);
  // Every answer of etcd's has a header with the store's revision; what has none says nothing about the images.
  if (httpStatus === 200 && hasRevision(body)) return { body: body! };
  if (httpStatus === 200) return { body: undefined, fault: "its answer is none of etcd's", sent: true, isEtcd: false };
  if (REDIRECTIONS.has(httpStatus)) {
    return { body: undefined, fault: `it redirects elsewhere (HTTP status ${httpStatus}), which is not followed`, sent: true, isEtcd: false };
  }
  const message = typeof body?.["message"] === "string" ? body["message"] : `HTTP status ${httpStatus}`;
  const code = typeof body?.["code"] === "number" ? body["code"] : undefined;
  // No leader, a leader that changed, a request that timed out inside, a proxy whose server begins anew: the cluster may be well again in a moment.
  // A member that shuts down calls off what it has. And a page that there is none comes from somebody else.
  const isTemporary = body !== undefined || httpStatus >= 500 || httpStatus === TOO_MANY_REQUESTS;
  if (code === UNAVAILABLE || code === CANCELLED || code === undefined) return { body: undefined, fault: message, sent: true, isEtcd: isTemporary };
  throw new EtcdError(code === 0 ? UNKNOWN : code, message);
}

function hasRevision(body: Readonly<Record<string, unknown>> | undefined): boolean {
  const header = body?.["header"];
  const revision = isRecord(header) ? header["revision"] : undefined;
  return typeof revision === "string" && /^\d{1,19}$/.test(revision);
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    // What is no JSON did not come from etcd's gateway: the caller says which HTTP status it had.
    return undefined;
  }
}

function checkedEndpoint(endpoint: string): string {
  if (typeof endpoint !== "string") throw new TypeError("an endpoint is a string");
  // What may hold a password is not shown.
  if (/[@?#\s\\]/.test(endpoint)) throw invalid("an endpoint is a URL without a user, a query, a fragment or spaces: give a password in the headers, as Authorization");
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw invalid(`endpoint ${quote(endpoint)} is no http or https URL`);
  }
  return endpoint.replace(/\/+$/, "");
}

/** Checks headers as a request would, which only fails when it is made. */
function checkedHeaders(headers: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  if (!isRecord(headers)) throw new TypeError("headers are an object of strings, not null, an array, a Map, Headers or another iterable");
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) throw invalid(`${quote(name)} is no name of a header`);
    if (typeof value !== "string" || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) throw invalid(`the value of the header ${name} is none`);
  }
  return { ...headers };
}

/** Errors of a connection that was never made, or not trusted: the request did not reach anybody. */
const REFUSED: ReadonlySet<string> = new Set([
  "ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "UNABLE_TO_GET_ISSUER_CERT", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "DEPTH_ZERO_SELF_SIGNED_CERT", "SELF_SIGNED_CERT_IN_CHAIN",
  "CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID", "ERR_TLS_CERT_ALTNAME_INVALID",
]);

function isRefusedConnection(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // Node's fetch says why in the cause, Bun's in the error itself.
  const cause = error.cause instanceof Error ? error.cause : error;
  // fetch itself refuses some ports, before anything is sent; and Deno's has a text of its own.
  if (cause.message === "bad port" || cause.message.includes("client error (Connect)")) return true;
  // A network may also be lost when the request is sent and its answer is read.
  const isLater = "syscall" in cause && (cause.syscall === "read" || cause.syscall === "write");
  return !isLater && "code" in cause && REFUSED.has(String(cause.code));
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError" || error.name === "AbortError") return "no answer in time";
  const cause = error.cause instanceof Error ? error.cause.message : "";
  return cause === "" ? error.message : `${error.message}: ${cause}`;
}

function unreachable(faults: ReadonlyMap<string, string>): string {
  const said = Array.from(faults, ([endpoint, fault]) => `${endpoint}: ${fault}`).join("; ");
  return `no etcd endpoint answers: ${said}`;
}

/** The error of a call that ended without an answer: whoever ended it, it says what stood in its way. */
export function ended(call: GatewayCall, obstacle: string): ImagesError {
  if (call.isLimitOurs && call.signal.reason instanceof TimeLimitReached) return new ImagesError("UNAVAILABLE", obstacle);
  const error = givenUp(call.signal);
  return new ImagesError(error.code, `${error.message}; ${obstacle}`, { cause: error.cause });
}
