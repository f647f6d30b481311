/**
 * How long one connection to a server may last without doing anything.
 *
 * 1. It has to say that it speaks HTTP/2 in `handshakeMs`.
 * 2. After `idleMs` without a call the client is asked to hang up, and cut off when it does not in `handshakeMs`.
 * 3. After a call that the client has cancelled, it is asked whether it is still there. HTTP/2 ends a connection on which very many calls are cancelled at
 *    once, and Node neither reports that nor reads on, so it would not see the client leave.
 *
 * The timers end with the connection. (Those of `session.setTimeout` go on after it, and hold it in memory until they are over.)
 */
import { after } from "./options.js";
import type { ServerHttp2Session } from "node:http2";

/** Limits in milliseconds. */
export interface ConnectionLimits {
  readonly handshakeMs: number;
  readonly idleMs: number;
}

/** Ends the session when one of its times is over. */
export function watchConnection(session: ServerHttp2Session, { handshakeMs, idleMs }: ConnectionLimits): void {
  const destroy = (): void => { session.destroy(); };
  let calls = 0;
  let isAsked = false;
  let rest: NodeJS.Timeout | undefined = after(handshakeMs, destroy);
  let question: NodeJS.Timeout | undefined;

  const beginRest = (): void => {
    clearTimeout(rest);
    rest = after(idleMs, () => {
      session.goaway();
      rest = after(handshakeMs, destroy);
    });
  };
  const ask = (): void => {
    if (isAsked) return;
    isAsked = true;
    question = after(handshakeMs, destroy);
    session.ping(() => {
      clearTimeout(question);
      isAsked = false;
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
      if (stream.rstCode !== 0 || !stream.writableFinished) ask();
    });
  });
  session.once("close", () => {
    clearTimeout(rest);
    clearTimeout(question);
  });
}
