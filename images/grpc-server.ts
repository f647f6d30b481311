/**
 * A gRPC server for calls of one message each way, on Node's http2. It knows nothing of images.
 *
 * Keeps true: every call gets exactly one status, also one that breaks the protocol; a client that stalls, leaves, floods or
 * sends nonsense costs a bounded amount of memory for a bounded time (grpc-limits.ts) and no other call; once `close`
 * was called no call begins, and those under way end by themselves until the grace is over.
 */
import { setImmediate } from "node:timers";
import { watchConnection } from "./grpc-connection.js";
import { MessageReader, frame } from "./grpc-frame.js";
import { checkedLimits } from "./grpc-limits.js";
import { LoopTurns } from "./loop-turns.js";
import { after, TIMER_MS_MAX } from "./options.js";
import { Room, shareOf } from "./grpc-rooms.js";
import { GrpcError, Status, encodeMessage, parseTimeout, toGrpcError } from "./grpc-status.js";
import { http2, SESSION_MEGABYTES_MAX } from "./http2.js";
import type { Http2Server, Http2Session, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { GivenLimits, ServerLimits } from "./grpc-limits.js";
import type { Rooms } from "./grpc-rooms.js";

/** What a handler knows of its call besides the message. */
export interface CallContext {
  readonly headers: IncomingHttpHeaders;
  /** Names and values in turns, as they came. */
  readonly rawHeaders: readonly string[];
  /** Aborts when the client leaves or its deadline passes. */
  readonly signal: AbortSignal;
}

/** What a handler gives: the message; `error` ends the call with that status all the same, `trailers` go along. */
export interface Answer {
  readonly message: Buffer;
  readonly error?: GrpcError;
  readonly trailers?: Readonly<Record<string, string>>;
}

/** Handles the calls of one method. What it throws becomes the call's status. */
export type Handler = (request: Buffer, call: CallContext) => Promise<Answer> | Answer;

/** So much of an answer is handed over at once. */
const PIECE_BYTES = 65_536;

/** Milliseconds in which a reset that is sent has ended its stream. */
const RESET_MS = 1000;

/** What HTTP/2 can say of calls at once. */
const CALLS_MAX = 2 ** 32 - 1;

/** Serves methods by their path, `/package.Service/Method`. Whoever made it makes it listen. */
export class GrpcServer {
  readonly http: Http2Server;
  readonly #methods: ReadonlyMap<string, Method>;
  readonly #services: ReadonlySet<string>;
  readonly #limits: ServerLimits;
  /** The connections, each with what its calls may take. */
  readonly #sessions = new Map<Http2Session, Rooms>();
  readonly #sockets = new Set<Socket>();
  readonly #rooms: Rooms;
  readonly #turns = new LoopTurns();

  constructor(methods: ReadonlyMap<string, Handler>, limits: GivenLimits = {}) {
    this.#methods = new Map(Array.from(methods, ([path, handler]) => [path, new Method(handler)]));
    this.#services = new Set(Array.from(methods.keys(), (path) => path.split("/")[1] ?? ""));
    this.#limits = checkedLimits(limits);
    this.#rooms = { requests: new Room(this.#limits.requestBytes), answers: new Room(this.#limits.answerBytes) };
    this.http = http2().createServer({
      maxSessionMemory: SESSION_MEGABYTES_MAX,
      settings: { maxConcurrentStreams: Math.min(this.#limits.callsPerConnection, CALLS_MAX), maxHeaderListSize: 16_384, initialWindowSize: 1 << 20 },
    });
    this.http.maxConnections = this.#limits.connections;
    this.http.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    this.http.on("session", (session) => this.#watch(session));
    this.http.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, rawHeaders: string[]) => this.#serve(stream, headers, rawHeaders));
    // A session that breaks HTTP/2 ends with an error of its own: it concerns nobody else.
    this.http.on("sessionError", ignore);
    this.http.on("error", ignore);
  }

  /**
   * Takes no more calls and waits for those under way.
   * @param graceMs after this long what is still open is cut off; Infinity: never
   */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => { this.http.close(() => resolve()); });
    for (const session of this.#sessions.keys()) session.close();
    // A closed session waits for its client to hang up, and to destroy it then does nothing more: one that does not read never would.
    const timer = after(graceMs, () => {
      for (const socket of this.#sockets) socket.destroy();
    });
    await closed;
    clearTimeout(timer);
  }

  #watch(session: ServerHttp2Session): void {
    this.#sessions.set(session, shareOf(this.#rooms));
    session.on("error", ignore);
    session.once("close", () => this.#sessions.delete(session));
    watchConnection(session, this.#limits);
  }

  #serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]): void {
    stream.on("error", ignore);
    const { session } = stream;
    const rooms = (session && this.#sessions.get(session)) ?? shareOf(this.#rooms);
    const call = new Call(stream, this.#limits, rooms, (isAgain) => this.#turns.take(session ?? this, isAgain));
    try {
      checkProtocol(call, headers);
      const method = this.#methodOf(headers);
      const timeout = headers["grpc-timeout"];
      if (timeout !== undefined) call.endAfter(Math.min(parseTimeout(String(timeout)), TIMER_MS_MAX));
      void call.run(method, { headers, rawHeaders });
    } catch (error) {
      call.fail(error);
    }
  }

  #methodOf(headers: IncomingHttpHeaders): Method {
    const path = headers[":path"] ?? "";
    const method = this.#methods.get(path);
    if (method !== undefined) return method;
    const [, service = "", name = ""] = path.split("/");
    if (name === "") throw new GrpcError(Status.UNIMPLEMENTED, `malformed method name: ${JSON.stringify(path)}`);
    const what = this.#services.has(service) ? `unknown method ${name} for service ${service}` : `unknown service ${service}`;
    throw new GrpcError(Status.UNIMPLEMENTED, what);
  }
}

/** Refuses what is no gRPC call, with the HTTP status that a plain HTTP client understands beside the gRPC one. */
function checkProtocol(call: Call, headers: IncomingHttpHeaders): void {
  if (headers[":method"] !== "POST") {
    call.httpStatus = 405;
    throw new GrpcError(Status.INTERNAL, `a call is a POST, not a ${headers[":method"] ?? "nothing"}`);
  }
  const type = headers["content-type"] ?? "";
  if (!/^application\/grpc(?:\+proto)?(?:;|$)/.test(type)) {
    call.httpStatus = 415;
    throw new GrpcError(Status.INVALID_ARGUMENT, `invalid gRPC request content-type ${JSON.stringify(type)}`);
  }
  const encoding = headers["grpc-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    call.headers["grpc-accept-encoding"] = "identity";
    throw new GrpcError(Status.UNIMPLEMENTED, `no decompressor for grpc-encoding ${JSON.stringify(encoding)}`);
  }
}

/** A method and how long its answers are. */
class Method {
  readonly handler: Handler;
  /** Bytes to expect of the next answer: as many as the largest of the last ones had. */
  expectedBytes = 1;

  constructor(handler: Handler) {
    this.handler = handler;
  }

  learn(byteCount: number): void {
    // A single long answer is forgotten by and by.
    this.expectedBytes = Math.max(byteCount, Math.floor(this.expectedBytes * 0.9));
  }
}

const DEADLINE_PASSED = "the call's deadline has passed";

/** One call: gathers the request, waits for room for the answer, runs the handler, answers once. */
class Call {
  httpStatus = 200;
  /** What goes along with a status without a message. */
  readonly headers: Record<string, string> = {};
  readonly #stream: ServerHttp2Stream;
  readonly #limits: ServerLimits;
  readonly #controller = new AbortController();
  readonly #timers: NodeJS.Timeout[] = [];
  #answered = false;
  readonly #rooms: Rooms;
  readonly #turn: (isAgain: boolean) => Promise<void>;
  #reader: MessageReader | undefined = new MessageReader();
  #requestBytes = 0;
  #endsAt = Infinity;
  /** What the answer takes, or is expected to. */
  #answerBytes = 0;

  /** @param turn resolves when the call may begin. @see LoopTurns.take */
  constructor(stream: ServerHttp2Stream, limits: ServerLimits, rooms: Rooms, turn: (isAgain: boolean) => Promise<void>) {
    this.#stream = stream;
    this.#limits = limits;
    this.#rooms = rooms;
    this.#turn = turn;
    stream.once("close", () => {
      for (const timer of this.#timers) clearTimeout(timer);
      this.#controller.abort(new Error("the client has left"));
      this.#holdForAnswer(0);
    });
  }

  /** Sets the call's deadline: the client is told in time, whether the handler is ready or not. */
  endAfter(milliseconds: number): void {
    this.#endsAt = performance.now() + milliseconds;
    this.#failAfter(milliseconds, DEADLINE_PASSED);
  }

  async run(method: Method, headers: Pick<CallContext, "headers" | "rawHeaders">): Promise<void> {
    try {
      await this.#bodyEnd();
      const request = this.#reader?.finish();
      this.#reader = undefined;
      if (request === undefined) return;
      await this.#answerRoom(method);
      // The room may come from a call that ended together with this one, as all of a connection do.
      if (this.#answered || this.#stream.destroyed) return;
      // A timer takes a millisecond at least, and comes late where others were busy.
      if (performance.now() >= this.#endsAt) throw new GrpcError(Status.DEADLINE_EXCEEDED, DEADLINE_PASSED);
      this.#answer(await method.handler(request, { ...headers, signal: this.#controller.signal }), method);
    } catch (error) {
      this.fail(error);
    } finally {
      this.#giveRequestRoom();
    }
  }

  /** Gives back what the request took: once it is answered, or given up, though the client may hear of neither. */
  #giveRequestRoom(): void {
    this.#reader = undefined;
    this.#rooms.requests.give(this.#requestBytes);
    this.#requestBytes = 0;
  }

  /** Ends the call with the error's status and without a message. */
  fail(error: unknown): void {
    // While a handler runs, its request is in memory.
    if (this.#reader !== undefined) this.#giveRequestRoom();
    if (this.#answered || this.#stream.destroyed || this.#stream.headersSent) return;
    this.#answered = true;
    this.#holdForAnswer(0);
    const { status, message } = toGrpcError(error);
    this.#stream.respond({
      ":status": this.httpStatus,
      "content-type": "application/grpc",
      "grpc-status": String(status),
      "grpc-message": encodeMessage(message),
      ...this.headers,
    }, { endStream: true });
    // What the client still sends would be read by nobody: NO_ERROR tells it to stop. Not before the status is sent, which happens
    // ahead of the next turn's immediates: Node 22 drops headers that still wait when their stream is closed.
    if (!this.#stream.readableEnded) setImmediate(() => this.#stream.close(http2().constants.NGHTTP2_NO_ERROR));
    // Where HTTP/2 has ended the connection, the status is never sent, and Node does not say when the client leaves.
    this.#cutOffAfter(this.#limits.answerMs);
  }

  #answer(answer: Answer, method: Method): void {
    const body = frame(answer.message);
    method.learn(body.length);
    const stream = this.#stream;
    if (this.#answered || stream.destroyed) return;
    this.#answered = true;
    this.#holdForAnswer(body.length);
    const { status, message } = answer.error ?? { status: Status.OK, message: "" };
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({
      "grpc-status": String(status),
      ...(message === "" ? {} : { "grpc-message": encodeMessage(message) }),
      ...answer.trailers,
    }));
    if (this.#limits.answerMs !== Infinity) stream.setTimeout(this.#limits.answerMs, () => {
      stream.close(http2().constants.NGHTTP2_CANCEL);
      // Where the client reads nothing at all, not even that is sent.
      this.#cutOffAfter(RESET_MS);
    });
    sendInPieces(stream, body);
  }

  /** Resolves when there is room for the answer, and has taken what the method's answers need. @throws GrpcError when the call ends first */
  async #answerRoom(method: Method): Promise<void> {
    // An answer that the call before gave at once has taken its room by then.
    await this.#turn(false);
    const { signal } = this.#controller;
    const room = this.#rooms.answers;
    let hasRoom = false;
    let mustWait = false;
    await new Promise<void>((resolve, reject) => {
      const call = {
        get expectedBytes() { return method.expectedBytes; },
        go: () => {
          hasRoom = true;
          signal.removeEventListener("abort", end);
          this.#holdForAnswer(method.expectedBytes);
          resolve();
        },
      };
      const end = (): void => {
        room.leave(call);
        reject(new GrpcError(Status.CANCELLED, "the call ended before there was room for its answer"));
      };
      if (signal.aborted) return end();
      signal.addEventListener("abort", end, { once: true });
      room.enter(call);
      mustWait = !hasRoom;
    });
    // Many may have been let on at once.
    if (mustWait) await this.#turn(true);
  }

  /** Takes room for so many bytes of the answer, or gives back what is more than that: all, once the stream is closed, read or not. */
  #holdForAnswer(byteCount: number): void {
    const more = byteCount - this.#answerBytes;
    this.#answerBytes = byteCount;
    if (more > 0) this.#rooms.answers.take(more);
    else if (more < 0) this.#rooms.answers.give(-more);
  }

  /** Resolves without the request: the stream's listeners keep the promise, and would keep the request until the answer is read. */
  #bodyEnd(): Promise<void> {
    const stream = this.#stream;
    const waiting = this.#failAfter(this.#limits.requestMs, "the request did not come in time");
    return new Promise((resolve, reject) => {
      stream.on("data", (chunk: Buffer) => {
        try {
          if (this.#reader === undefined) return;
          if (!this.#rooms.requests.has(chunk.length)) throw new GrpcError(Status.RESOURCE_EXHAUSTED, "the server holds as many requests as it may; try again");
          this.#rooms.requests.take(chunk.length);
          this.#requestBytes += chunk.length;
          this.#reader.push(chunk);
        } catch (error) {
          stream.removeAllListeners("data");
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
      stream.once("end", () => {
        clearTimeout(waiting);
        resolve();
      });
      stream.once("close", () => reject(new GrpcError(Status.CANCELLED, "the client has left")));
    });
  }

  #failAfter(milliseconds: number, message: string): NodeJS.Timeout | undefined {
    return this.#after(milliseconds, () => {
      this.#controller.abort(new DOMException(message, "TimeoutError"));
      this.fail(new GrpcError(Status.DEADLINE_EXCEEDED, message));
    });
  }

  /** Ends the connection, unless the stream is closed by then. */
  #cutOffAfter(milliseconds: number): void {
    this.#after(milliseconds, () => { if (!this.#stream.destroyed) this.#stream.session?.destroy(); });
  }

  /** Does something unless the stream is closed by then. */
  #after(milliseconds: number, work: () => void): NodeJS.Timeout | undefined {
    const timer = after(milliseconds, work);
    if (timer !== undefined) this.#timers.push(timer);
    return timer;
  }
}

/**
 * Sends a body and ends the stream. Node notices no progress inside of what it was given at once, and lets a status of another call wait behind all of it:
 * so the next piece goes when the one before has been taken.
 */
function sendInPieces(stream: ServerHttp2Stream, body: Buffer): void {
  if (body.length <= PIECE_BYTES) {
    stream.end(body);
    return;
  }
  stream.write(body.subarray(0, PIECE_BYTES), (error) => {
    if (!error && stream.writable) sendInPieces(stream, body.subarray(PIECE_BYTES));
  });
}

function ignore(): void {
  // The event is heard so that it ends nothing but its own connection or call.
}
