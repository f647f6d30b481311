/**
 * How long a connection may last without doing anything, at both of its ends.
 *
 * A server's:
 *
 * 1. The client has to say that it speaks HTTP/2 in `handshakeMs`.
 * 2. After `idleMs` without a call the client is asked to hang up, and cut off when it does not in a second, or in `handshakeMs` if that is less. Until then its
 *    connection counts.
 * 3. After a call that the client has cancelled, it is asked whether it is still there. HTTP/2 ends a connection on which very many calls are cancelled at
 *    once, and Node neither reports that nor reads on, so it would not see the client leave.
 *
 * A client's: a server that has calls and says nothing for `quietMs` is asked whether it is still there. HTTP/2 also ends a connection whose server breaks
 * its rules, or sends more headers than Node takes, just as silently; and of a machine that was switched off nobody hears at all. A server that has asked to
 * hang up cannot be asked itself: it is given up when it says nothing for `leavingMs`.
 *
 * The timers end with the connection, and keep no process alive. (Those of `session.setTimeout` go on after it, and hold it in memory until they are over.)
 */
import { after } from "./options.js";
import type { ClientHttp2Session, ClientHttp2Stream, Http2Session, ServerHttp2Session } from "node:http2";

/** A server's limits in milliseconds. */
export interface ConnectionLimits {
  readonly handshakeMs: number;
  readonly idleMs: number;
}

/** What a client that is asked to hang up has for it; a call that crosses the question is still taken. */
const HANG_UP_MS_MAX = 1000;

/** Ends the session when one of its times is over. */
export function watchConnection(session: ServerHttp2Session, { handshakeMs, idleMs }: ConnectionLimits): void {
  const destroy = (): void => { session.destroy(); };
  const question = new Question(session, handshakeMs, destroy);
  let calls = 0;
  let rest: NodeJS.Timeout | undefined = after(handshakeMs, destroy);

  const beginRest = (): void => {
    clearTimeout(rest);
    rest = after(idleMs, () => {
      // It may have been destroyed a moment ago, and have not told so yet.
      if (session.destroyed) return;
      session.goaway();
      rest = after(Math.min(handshakeMs, HANG_UP_MS_MAX), destroy);
    });
  };

  session.once("remoteSettings", () => { if (calls === 0) beginRest(); });
  session.on("stream", (stream) => {
    calls++;
    clearTimeout(rest);
    stream.once("close", () => {
      calls--;
      if (session.destroyed) return;
      if (calls === 0) beginRest();
      if (stream.rstCode !== 0 || !stream.writableFinished) question.ask();
    });
  });
  session.once("close", () => clearTimeout(rest));
}

/** A client's limits in milliseconds. */
export interface PatienceLimits {
  /** After so long without a word a server that has calls is asked. */
  readonly quietMs: number;
  /** And so long it may take to answer. */
  readonly answerMs: number;
  /** So long it may be silent once it has asked to hang up: Node sends no question then. */
  readonly leavingMs: number;
}

/** A server that stands still for ten seconds, for its machine is busy or its disk is slow, loses no call. */
const ANSWER_MS_MIN = 15_000;
const ANSWER_MS_MAX = 300_000;

/** The limits for calls that may take so long: they still hear why they failed, and who has more time has more patience. */
export function patienceOf(timeoutMs: number): PatienceLimits {
  return { quietMs: 5_000, answerMs: Math.min(Math.max(timeoutMs / 2, ANSWER_MS_MIN), ANSWER_MS_MAX), leavingMs: ANSWER_MS_MAX };
}

/** Servers in Go end a connection that asks a fourth time while they say nothing: one word of theirs may have crossed a question, so that leaves two. */
const QUESTIONS_AT_ONCE = 2;
/** Once in five minutes they always let themselves be asked. */
const QUESTION_REST_MS = 310_000;

/**
 * Destroys a client's session whose server is not there any more.
 * @returns what is to be told of every call's stream
 * @see grpc-go internal/transport/http2_server.go, handlePing
 */
export function watchServer(session: ClientHttp2Session, { answerMs, leavingMs, quietMs }: PatienceLimits): (stream: ClientHttp2Stream) => void {
  const question = new Question(session, answerMs, () => session.destroy(new Error("the server answers neither the call nor a ping")));
  let calls = 0;
  let hasCalled = false;
  let isQuiet = true;
  let quietLooks = 0;
  let asked = 0;
  let askedAt = 0;
  let timer: NodeJS.Timeout | undefined;

  const heard = (): void => {
    isQuiet = false;
    quietLooks = 0;
    asked = 0;
    question.putOff();
  };
  const look = (): void => {
    const now = performance.now();
    if (session.closed) {
      if (isQuiet && ++quietLooks * quietMs >= leavingMs) session.destroy(new Error("the server has asked to hang up, and answers no call any more"));
    } else if (isQuiet && hasCalled && (asked < QUESTIONS_AT_ONCE || now - askedAt >= QUESTION_REST_MS) && question.ask()) {
      asked++;
      askedAt = now;
    }
    isQuiet = true;
    // Also a call that has ended meanwhile counts: with callers of little patience, none would live long enough to be asked for.
    timer = hasCalled ? after(quietMs, look)?.unref() : undefined;
    hasCalled = calls > 0;
  };

  session.once("close", () => clearTimeout(timer));
  return (stream) => {
    calls++;
    hasCalled = true;
    timer ??= after(quietMs, look)?.unref();
    for (const event of ["response", "data", "trailers"]) stream.on(event, heard);
    stream.once("close", () => calls--);
  };
}

/** In so many steps an answer is waited for: a process that stood still itself has read none, and finds but one of its timers over when it goes on. */
const WAITING_STEPS = 4;

/** Whether the other side is still there: one question at a time. */
class Question {
  readonly #session: Http2Session;
  readonly #stepMs: number;
  readonly #end: () => void;
  #isAsked = false;
  #steps = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param end what is to be done when no answer comes in `answerMs` */
  constructor(session: Http2Session, answerMs: number, end: () => void) {
    this.#session = session;
    this.#stepMs = answerMs / WAITING_STEPS;
    this.#end = end;
    session.once("close", () => clearTimeout(this.#timer));
  }

  /** Asks; false where an earlier question is still open. */
  ask(): boolean {
    if (this.#isAsked || this.#session.destroyed) return false;
    this.#isAsked = true;
    this.#steps = 0;
    this.#wait();
    this.#session.ping(() => {
      clearTimeout(this.#timer);
      this.#isAsked = false;
    });
    return true;
  }

  /** Begins the waiting anew: something else came, which the answer may be behind. */
  putOff(): void {
    this.#steps = 0;
  }

  #wait(): void {
    this.#timer = after(this.#stepMs, () => {
      if (++this.#steps === WAITING_STEPS) this.#end();
      else this.#wait();
    })?.unref();
  }
}
