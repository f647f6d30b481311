/** Connections that end, or that HTTP/2 has ended: what they leave. */
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { connect } from "node:net";
import { connect as connectHttp2, constants } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { GrpcClient } from "../../images/grpc-client.js";
import { watchConnection } from "../../images/grpc-connection.js";
import { GrpcServer } from "../../images/grpc-server.js";
import { loadHttp2 } from "../../images/http2.js";
import { connectImages, serveImages } from "../../images/index.js";
import { tempPath } from "../support/temp.js";
import { MapImageStore } from "./map-store.js";
import { FRAME, rawBegin, rawEnd, rawFrame, rawGoaway, rawHeaders, rawServer } from "./raw-server.js";
import type { Socket } from "node:net";
import type { RawServer } from "./raw-server.js";

const IS_NODE = !("Bun" in globalThis || "Deno" in globalThis);
const LIST = { ":method": "POST", ":path": "/containerd.services.images.v1.Images/List", "content-type": "application/grpc" };

test("nothing holds the session of a connection that is over", { skip: IS_NODE ? false : "asks for a garbage collection as Node knows it" }, async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const path = tempPath("over.sock");
  await loadHttp2();
  const server = new GrpcServer(new Map());
  const sessions: WeakRef<object>[] = [];
  server.http.on("session", (session) => { sessions.push(new WeakRef(session)); });
  server.http.listen(path);
  await once(server.http, "listening");
  for (let i = 0; i < 40; i++) {
    const socket = connect(path);
    await once(socket, "connect");
    socket.destroy();
    await once(socket, "close");
  }
  for (let i = 0; i < 100 && (sessions.length < 40 || sessions.some((session) => session.deref() !== undefined)); i++) {
    await sleep(10);
    collect();
  }
  assert.equal(sessions.length, 40);
  const left = sessions.filter((session) => session.deref() !== undefined).length;
  // The last ones may still be in somebody's hands.
  assert.ok(left < 5, `${left} are left`);
  await server.close(0);
});

test("a connection that HTTP/2 has ended, for very many calls were called off, gives its place to another", async () => {
  const path = tempPath("flood.sock");
  const server = await serveImages(new MapImageStore(), { path, limits: { connections: 1, handshakeMs: 200 } });
  const flood = connectHttp2("http://localhost", { createConnection: () => connect(path) });
  flood.on("error", () => undefined);
  for (let round = 0; round < 200 && !flood.destroyed; round++) {
    for (let i = 0; i < 50 && !flood.closed; i++) {
      const call = flood.request(LIST);
      call.on("error", () => undefined);
      setImmediate(() => call.close(constants.NGHTTP2_CANCEL));
    }
    await sleep(2);
  }
  const isEnded = flood.destroyed;
  flood.destroy();
  const client = connectImages(path, { namespace: "default" });
  try {
    // Bun has no such guard.
    assert.ok(isEnded || "Bun" in globalThis);
    await succeeds(() => client.list());
  } finally {
    client.close();
    await server.close({ graceMs: 0 });
  }
});

test("a connection that HTTP/2 has ended while a request was on its way gives its place to another", { timeout: 20_000 }, async () => {
  const path = tempPath("open.sock");
  const server = await serveImages(new MapImageStore(), { path, limits: { connections: 1, requestMs: 100, answerMs: 100, handshakeMs: 100, idleMs: 100 } });
  const socket = connect(path);
  socket.on("error", () => undefined).resume();
  socket.write(Buffer.concat([
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), rawFrame(FRAME.SETTINGS, 0, 0),
    rawFrame(FRAME.HEADERS, 4, 1, rawHeaders([[":scheme", "http"], [":authority", "localhost"], ...Object.entries(LIST)])),
    // Of a call that was never begun: the connection's fault.
    rawFrame(FRAME.DATA, 0, 3, Buffer.alloc(5)),
  ]));
  await sleep(50);
  socket.destroy();
  const client = connectImages(path, { namespace: "default" });
  try {
    await succeeds(() => client.list());
  } finally {
    client.close();
    await server.close({ graceMs: 0 });
  }
});

/** Tries until it goes well, for five seconds. */
async function succeeds(work: () => Promise<unknown>): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await work();
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      await sleep(50);
    }
  }
}

test("a client that does not hang up when it is asked to is cut off, however long a handshake may take", { timeout: 20_000 }, async () => {
  const path = tempPath("idle.sock");
  const server = await serveImages(new MapImageStore(), { path, limits: { idleMs: 50, handshakeMs: Infinity } });
  const socket = connect(path);
  socket.on("error", () => undefined).resume();
  socket.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), rawFrame(FRAME.SETTINGS, 0, 0)]));
  await once(socket, "close");
  await server.close({ graceMs: Infinity });
});

const CALL = { headers: {}, signal: undefined, timeoutMs: undefined };

/** Sends a message of so many bytes, one byte at a time, and the status. */
function sendSlowly(socket: Socket, stream: number, byteCount: number, pauseMs: number): void {
  const message = [0, 0, 0, 0, byteCount, ...Buffer.alloc(byteCount)];
  const sending = setInterval(() => {
    socket.write(rawFrame(FRAME.DATA, 0, stream, Buffer.of(message.shift() ?? 0)));
    if (message.length > 0) return;
    clearInterval(sending);
    socket.write(rawFrame(FRAME.HEADERS, 5, stream, rawHeaders([["grpc-status", "0"]])));
  }, pauseMs);
}

/** Calls without a time limit on a server of the test's, with little patience. */
async function withRawServer(use: (server: RawServer, client: GrpcClient) => Promise<void>): Promise<void> {
  const path = tempPath("raw.sock");
  const server = await rawServer(path);
  const client = new GrpcClient({ path }, { quietMs: 20, answerMs: 200, leavingMs: 300 });
  try {
    await use(server, client);
  } finally {
    client.close();
    server.close();
  }
}

/** Frames after which HTTP/2 is over on a connection, of which Node says nothing. */
const BROKEN: readonly [string, (stream: number) => Buffer][] = [
  ["headers of more than 64 KiB", (stream) => Buffer.concat([
    rawFrame(FRAME.HEADERS, 0, stream, rawHeaders([[":status", "200"]])),
    ...Array.from({ length: 60 }, (_, i) => rawFrame(FRAME.CONTINUATION, i === 59 ? 4 : 0, stream, rawHeaders(Array.from({ length: 20 }, () => ["x", "y".repeat(100)] as const)))),
  ])],
  ["data before its headers", (stream) => rawFrame(FRAME.DATA, 0, stream, Buffer.alloc(5))],
  ["headers that cannot be decoded", (stream) => rawFrame(FRAME.HEADERS, 5, stream, Buffer.alloc(6, 0xff))],
  ["a frame that is longer than was agreed", (stream) => rawFrame(FRAME.DATA, 0, stream, Buffer.alloc(20_000))],
  ["a continuation of nothing", (stream) => rawFrame(FRAME.CONTINUATION, 4, stream, Buffer.alloc(1))],
  ["nothing at all, not even to a ping", () => Buffer.alloc(0)],
];

for (const [what, answer] of BROKEN) {
  test(`a call that is answered with ${what} ends with UNAVAILABLE, and the next one is made on a new connection`, async () => {
    await withRawServer(async (server, client) => {
      server.answersPings = false;
      server.onCall = (socket, stream) => socket.write(answer(stream));
      const replies = await Promise.all([client.call("/a/B", Buffer.alloc(0), CALL), client.call("/a/B", Buffer.alloc(0), CALL)]);
      assert.ok(replies.every(({ error }) => error !== undefined));
      // Some runtimes tell one call what is wrong with its answer; the connection is over all the same.
      assert.ok("Bun" in globalThis || "Deno" in globalThis || replies.every(({ error }) => error?.status === 14), String(replies[0]?.error));
      server.answersPings = true;
      server.onCall = (socket, stream) => socket.write(Buffer.concat([rawBegin(stream), rawEnd(stream)]));
      assert.equal((await client.call("/a/B", Buffer.alloc(0), CALL)).error, undefined);
      assert.equal(server.seen.connections, 2);
    });
  });
}

test("callers that give up soon do not keep a connection that is over", async () => {
  await withRawServer(async (server, client) => {
    server.answersPings = false;
    while (server.seen.connections < 2) {
      await assert.rejects(async () => {
        const { error } = await client.call("/a/B", Buffer.alloc(0), { ...CALL, signal: AbortSignal.timeout(10) });
        throw error ?? new Error("no error");
      });
    }
  });
});

test("a server that answers pings may take its time for a call, and is asked seldom", async () => {
  await withRawServer(async (server, client) => {
    server.onCall = (socket, stream) => {
      const answering = setInterval(() => {
        if (server.seen.pings === 0) return;
        clearInterval(answering);
        // Servers in Go end a connection that asks them many times while they are silent.
        setTimeout(() => socket.write(Buffer.concat([rawBegin(stream), rawEnd(stream)])), 500);
      }, 5);
    };
    assert.equal((await client.call("/a/B", Buffer.alloc(0), CALL)).error, undefined);
    assert.ok(server.seen.pings <= 2, `${server.seen.pings} pings`);
    assert.equal(server.seen.connections, 1);
  });
});

test("a server that has asked to hang up, and cannot be asked any more, is given up when it is silent for long", { timeout: 20_000 }, async () => {
  await withRawServer(async (server, client) => {
    server.onCall = (socket, stream) => socket.write(rawGoaway(stream, 0));
    const { error } = await client.call("/a/B", Buffer.alloc(0), CALL);
    assert.equal(error?.status, 14);
    // One that speaks is waited for.
    server.onCall = (socket, stream) => {
      socket.write(Buffer.concat([rawGoaway(stream, 0), rawBegin(stream)]));
      sendSlowly(socket, stream, 10, 50);
    };
    assert.equal((await client.call("/a/B", Buffer.alloc(0), CALL)).message?.length, 10);
  });
});

test("an answer that comes slowly is no silence, though the ping's own answer is behind it", async () => {
  await withRawServer(async (server, client) => {
    server.answersPings = false;
    server.onCall = (socket, stream) => {
      socket.write(rawBegin(stream));
      const asked = setInterval(() => {
        if (server.seen.pings === 0) return;
        clearInterval(asked);
        sendSlowly(socket, stream, 20, 25);
      }, 5);
    };
    const { error, message } = await client.call("/a/B", Buffer.alloc(0), CALL);
    assert.equal(error, undefined);
    assert.equal(message?.length, 20);
  });
});

test("a session that was destroyed a moment ago is not asked to hang up: that would end the program", async () => {
  // Between `destroyed` and `close` there are turns of the event loop in which timers may be due.
  class Session extends EventEmitter {
    destroyed = false;
    questions = 0;

    goaway(): void {
      if (this.destroyed) throw new Error("ERR_HTTP2_INVALID_SESSION");
      this.questions++;
    }

    destroy(): void {
      this.destroyed = true;
    }
  }
  for (const isDestroyed of [false, true]) {
    const session = new Session();
    watchConnection(session as never, { handshakeMs: 1000, idleMs: 5 });
    session.emit("remoteSettings");
    session.destroyed = isDestroyed;
    await sleep(50);
    assert.equal(session.questions, isDestroyed ? 0 : 1);
    session.emit("close");
  }
});
