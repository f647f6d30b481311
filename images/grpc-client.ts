/**
 * A gRPC client for calls of one message each way, on Node's http2: one connection, made when it is needed and again
 * when it was lost. It keeps the process alive only while a call is under way.
 */
import { connect } from "node:net";
import { givenUp, throwIfGivenUp } from "./errors.js";
import { watchServer } from "./grpc-connection.js";
import { HEADER_BYTES, MESSAGE_BYTES_MAX, MessageReader, frame } from "./grpc-frame.js";
import { GrpcError, Status, decodeMessage, formatTimeout, parseStatus, toGrpcError } from "./grpc-status.js";
import { http2, loadHttp2, SESSION_MEGABYTES_MAX } from "./http2.js";
import { Turns } from "./turns.js";
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import type { Endpoint } from "./address.js";
import type { PatienceLimits } from "./grpc-connection.js";

/** Room for the longest answer: the HTTP/2 of Bun 1.4 never says that there is more, and waited for the rest of any list of over a MiB. */
const ANSWER_WINDOW = MESSAGE_BYTES_MAX + HEADER_BYTES;

/** Headers of an answer: more than any server sends, for Node breaks off a call beyond its 128 as a server does that refuses to begin it. */
const HEADERS_MAX = 65_536;

/** How a call ended: its status, and the message where one came. */
export interface Reply {
  readonly message: Buffer | undefined;
  /** Undefined: the call went well. */
  readonly error: GrpcError | undefined;
  readonly trailers: IncomingHttpHeaders;
}

/** What goes along with a call. */
export interface RequestOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
}

const CONNECT_MS = 10_000;

/**
 * Half of what servers commonly allow: to Node's a call that was answered still counts for a moment, and it refuses, or breaks the
 * connection of, a client that begins the next one too soon.
 */
const CALLS_AT_ONCE = 50;

/** Calls the methods of one server. */
export class GrpcClient {
  readonly #endpoint: Endpoint;
  readonly #turns = new Turns(CALLS_AT_ONCE);
  /** The one for new calls. */
  #session: ClientHttp2Session | undefined;
  /** All that are open, with what watches over each one's calls: they may still be under way on one whose server goes away. */
  readonly #sessions = new Map<ClientHttp2Session, ReturnType<typeof watchServer>>();
  readonly #patience: PatienceLimits;
  #callCount = 0;
  #connectionCount = 0;
  #closed = false;

  /** @param patience how long a server that has calls may be silent */
  constructor(endpoint: Endpoint, patience: PatienceLimits) {
    this.#endpoint = endpoint;
    this.#patience = patience;
  }

  /** The number of the connection that the next call is made on; undefined where that call makes a new one. */
  get connection(): number | undefined {
    return isOpen(this.#session) ? this.#connectionCount : undefined;
  }

  /**
   * Calls a method, `/package.Service/Method`. A call that the server refused to begin is made once more.
   * @throws ImagesError CANCELLED or DEADLINE_EXCEEDED when the signal ends it; every other end is in the reply
   */
  async call(path: string, message: Uint8Array, options: RequestOptions): Promise<Reply> {
    const body = frame(message);
    await this.#turns.take(options.signal);
    try {
      const first = await this.#attempt(path, body, options);
      return first === "refused" ? await this.#attempt(path, body, options).then(orUnavailable) : first;
    } finally {
      this.#turns.give();
    }
  }

  /** Ends the connection; calls under way fail with UNAVAILABLE. */
  close(): void {
    this.#closed = true;
    for (const session of this.#sessions.keys()) session.destroy();
  }

  async #attempt(path: string, body: Buffer, options: RequestOptions): Promise<Reply | "refused"> {
    await loadHttp2();
    // It may have been given up meanwhile: the exchange hears of nothing that was before it.
    throwIfGivenUp(options.signal);
    if (this.#closed) return failed(Status.UNAVAILABLE, "the client was closed");
    const session = this.#connection();
    const exchange = new Exchange(options.signal);
    if (this.#callCount++ === 0) session.ref();
    try {
      const timeout = options.timeoutMs === undefined ? {} : { "grpc-timeout": formatTimeout(options.timeoutMs) };
      const stream = session.request({
        ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers", ...timeout, ...options.headers,
      });
      this.#sessions.get(session)?.(stream);
      return await exchange.run(stream, session, body);
    } catch (error) {
      // Node throws here for a session that was closed between the check and the request.
      if (error instanceof Error && "code" in error && REFUSALS.has(String(error.code))) return "refused";
      throw error;
    } finally {
      if (--this.#callCount === 0) for (const each of this.#sessions.keys()) if (!each.destroyed) each.unref();
    }
  }

  #connection(): ClientHttp2Session {
    const current = this.#session;
    if (isOpen(current)) return current;
    this.#connectionCount++;
    const session = http2().connect("http://localhost", {
      createConnection: () => connect(this.#endpoint),
      maxHeaderListPairs: HEADERS_MAX,
      maxSessionMemory: SESSION_MEGABYTES_MAX,
      settings: { enablePush: false, initialWindowSize: ANSWER_WINDOW },
    });
    const connecting = setTimeout(() => session.destroy(new Error("no connection in time")), CONNECT_MS).unref();
    session.once("connect", () => {
      clearTimeout(connecting);
      if (!session.destroyed) session.setLocalWindowSize(ANSWER_WINDOW);
    });
    // Each call hears of its own end; the listener is there so that the error ends nothing else.
    session.on("error", () => undefined);
    // And a listener a call is no leak.
    session.setMaxListeners(0);
    session.once("goaway", () => { if (this.#session === session) this.#session = undefined; });
    session.once("close", () => {
      clearTimeout(connecting);
      this.#sessions.delete(session);
      if (this.#session === session) this.#session = undefined;
    });
    this.#session = session;
    this.#sessions.set(session, watchServer(session, this.#patience));
    return session;
  }
}

function isOpen(session: ClientHttp2Session | undefined): session is ClientHttp2Session {
  return session !== undefined && !session.closed && !session.destroyed;
}

const REFUSALS: ReadonlySet<string> = new Set(["ERR_HTTP2_INVALID_SESSION", "ERR_HTTP2_GOAWAY_SESSION"]);

/** One call on one stream; settles once, whatever of stream, session or signal ends first. */
class Exchange {
  readonly #signal: AbortSignal | undefined;
  readonly #reader = new MessageReader();
  #headers: IncomingHttpHeaders = {};
  #trailers: IncomingHttpHeaders = {};
  #fault: GrpcError | undefined;
  #sessionError: Error | undefined;
  #goaway: { readonly code: number; readonly lastStream: number } | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  run(stream: ClientHttp2Stream, session: ClientHttp2Session, body: Buffer): Promise<Reply | "refused"> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        stream.close(http2().constants.NGHTTP2_CANCEL);
        if (this.#signal !== undefined) reject(givenUp(this.#signal));
      };
      const keepError = (error: Error): void => { this.#sessionError ??= error; };
      const keepGoaway = (code: number, lastStream: number): void => { this.#goaway = { code, lastStream }; };
      this.#signal?.addEventListener("abort", abort, { once: true });
      session.on("error", keepError);
      session.on("goaway", keepGoaway);
      stream.on("error", keepError);
      stream.on("response", (headers) => { this.#headers = headers; });
      stream.on("trailers", (headers) => { this.#trailers = headers; });
      stream.on("data", (chunk: Buffer) => this.#take(stream, chunk));
      stream.once("close", () => {
        this.#signal?.removeEventListener("abort", abort);
        session.off("error", keepError);
        session.off("goaway", keepGoaway);
        resolve(this.#isRefused(stream) ? "refused" : this.#reply(stream.rstCode, session.closed || session.destroyed, stream.readableEnded));
      });
      stream.end(body);
    });
  }

  #take(stream: ClientHttp2Stream, chunk: Buffer): void {
    // A page that says what is wrong is no message.
    if (this.#fault !== undefined || !this.#isHttpOk() || this.#foreignType() !== undefined) return;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      this.#fault = toGrpcError(error);
      stream.close(http2().constants.NGHTTP2_CANCEL);
    }
  }

  /** Whether the server has not begun the call, so that it can be made again. */
  #isRefused({ id, rstCode }: ClientHttp2Stream): boolean {
    const { NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_REFUSED_STREAM } = http2().constants;
    if (this.#headers[":status"] !== undefined) return false;
    if (this.#goaway !== undefined) {
      if (id === undefined || id > this.#goaway.lastStream) return true;
      // The code of a connection that ends becomes that of all of its calls, also of those that the server may have carried out.
      if (rstCode === this.#goaway.code) return false;
    }
    // The second is what Node's server says to a call above its limit, which it has not begun.
    return rstCode === NGHTTP2_REFUSED_STREAM || rstCode === NGHTTP2_ENHANCE_YOUR_CALM;
  }

  #reply(resetCode: number, isSessionOver: boolean, isWhole: boolean): Reply {
    const trailers = { ...this.#headers, ...this.#trailers };
    const status = trailers["grpc-status"];
    if (status === undefined && !this.#isHttpOk()) return this.#withoutStatus(resetCode, isSessionOver);
    const type = this.#foreignType();
    if (this.#isHttpOk() && type !== undefined) return failed(Status.UNKNOWN, `the server answered with content-type ${JSON.stringify(type)}`);
    if (this.#fault !== undefined) return { message: undefined, error: this.#fault, trailers };
    if (status === undefined) {
      const isClean = isWhole && resetCode === http2().constants.NGHTTP2_NO_ERROR && !isSessionOver;
      return isClean ? failed(Status.UNKNOWN, "the server ended the call without a status") : this.#withoutStatus(resetCode, isSessionOver);
    }
    const code = parseStatus(String(status));
    const message = this.#reader.isEmpty ? undefined : this.#whole();
    if (message instanceof GrpcError) return { message: undefined, error: message, trailers };
    if (code === Status.OK) {
      return message === undefined
        ? failed(Status.INTERNAL, "the server answered OK and sent no message")
        : { message, error: undefined, trailers };
    }
    return { message, error: new GrpcError(code, decodeMessage(String(trailers["grpc-message"] ?? ""))), trailers };
  }

  #isHttpOk(): boolean {
    return Number(this.#headers[":status"] ?? 200) === 200;
  }

  /** What the answer is where it says that it is none of gRPC's. */
  #foreignType(): string | undefined {
    const type = this.#headers["content-type"];
    return type === undefined || type.startsWith("application/grpc") ? undefined : type;
  }

  #whole(): Buffer | GrpcError {
    try {
      return this.#reader.finish();
    } catch (error) {
      return toGrpcError(error);
    }
  }

  /** The answer broke off, or is an HTTP error. */
  #withoutStatus(resetCode: number, isSessionOver: boolean): Reply {
    if (!this.#isHttpOk()) {
      const httpStatus = Number(this.#headers[":status"]);
      return failed(STATUS_OF_HTTP[httpStatus] ?? Status.UNKNOWN, `the server answered HTTP status ${httpStatus}`);
    }
    // Node ends the calls of a connection that is over with the same code.
    if (resetCode === http2().constants.NGHTTP2_CANCEL && !isSessionOver) return failed(Status.CANCELLED, "the server cancelled the call");
    const cause = this.#sessionError;
    if (cause === undefined) return failed(Status.UNAVAILABLE, `the connection was lost (code ${resetCode})`);
    return { message: undefined, error: new GrpcError(Status.UNAVAILABLE, connectFault(cause) ?? cause.message, { cause }), trailers: {} };
  }
}

/** @see https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md */
const STATUS_OF_HTTP: Readonly<Record<number, GrpcError["status"]>> = {
  400: Status.INTERNAL, 401: Status.UNAUTHENTICATED, 403: Status.PERMISSION_DENIED, 404: Status.UNIMPLEMENTED,
  429: Status.UNAVAILABLE, 502: Status.UNAVAILABLE, 503: Status.UNAVAILABLE, 504: Status.UNAVAILABLE,
};

/** What kept the connection from being made: Node tells it as the reason why a waiting stream was cancelled. */
function connectFault(error: Error): string | undefined {
  const system = error.cause instanceof Error ? error.cause : error;
  return "syscall" in system && system.syscall === "connect" ? `cannot connect: ${system.message}` : undefined;
}

function failed(status: GrpcError["status"], message: string): Reply {
  return { message: undefined, error: new GrpcError(status, message), trailers: {} };
}

function orUnavailable(reply: Reply | "refused"): Reply {
  return reply === "refused" ? failed(Status.UNAVAILABLE, "the server refused the call") : reply;
}
