/** What a client makes of servers that are no gRPC servers, or go away. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http2";
import { test } from "node:test";
import { GrpcClient } from "../../images/grpc-client.js";
import { patienceOf } from "../../images/grpc-connection.js";
import { Status } from "../../images/grpc-status.js";
import { connectImages } from "../../images/index.js";
import { tempPath } from "../support/temp.js";
import { FRAME, rawBegin, rawEnd, rawFrame, rawGoaway, rawServer } from "./raw-server.js";
import type { Reply } from "../../images/grpc-client.js";
import type { GrpcError } from "../../images/grpc-status.js";
import type { Http2Server, ServerHttp2Session, ServerHttp2Stream } from "node:http2";

async function withServer(answer: (stream: ServerHttp2Stream) => void, use: (address: string, server: Http2Server) => Promise<void>): Promise<void> {
  const server = createServer();
  const sessions: ServerHttp2Session[] = [];
  server.on("session", (session) => { sessions.push(session); });
  server.on("stream", (stream) => {
    stream.on("error", () => undefined);
    answer(stream);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  try {
    await use(`127.0.0.1:${address.port}`, server);
  } finally {
    for (const session of sessions) session.destroy();
    server.close();
  }
}

const HTTP: readonly [number, string][] = [
  [502, "UNAVAILABLE: the server answered HTTP status 502"], [503, "UNAVAILABLE: the server answered HTTP status 503"],
  [504, "UNAVAILABLE: the server answered HTTP status 504"], [429, "UNAVAILABLE: the server answered HTTP status 429"],
  [404, "UNIMPLEMENTED: the server answered HTTP status 404"], [403, "PERMISSION_DENIED: the server answered HTTP status 403"],
  [500, "UNKNOWN: the server answered HTTP status 500"],
];

test("an HTTP error is told as that, whatever page comes with it", async () => {
  for (const [status, message] of HTTP) {
    const page = (stream: ServerHttp2Stream): void => {
      stream.respond({ ":status": status, "content-type": "text/html" });
      stream.end("<html>an error</html>");
    };
    await withServer(page, async (address) => {
      const client = connectImages(address, { namespace: "default" });
      await assert.rejects(client.create("a", { mediaType: "m", digest: "d", size: 1 }), { code: "UNAVAILABLE", message });
      client.close();
    });
  }
});

const STRAY: readonly [string, (stream: ServerHttp2Stream) => void, string][] = [
  ["without a status", (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    stream.end(Buffer.alloc(5));
  }, "UNKNOWN: the server ended the call without a status"],
  ["with headers alone", (stream) => stream.respond({ ":status": 200, "content-type": "application/grpc" }, { endStream: true }), "UNKNOWN: the server ended the call without a status"],
  ["with a page", (stream) => {
    stream.respond({ ":status": 200, "content-type": "text/html" });
    stream.end("<html>hello</html>");
  }, 'UNKNOWN: the server answered with content-type "text/html"'],
  ["with a status of another protocol", (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/json", "grpc-status": "0" });
    stream.end("{}");
  }, 'UNKNOWN: the server answered with content-type "application/json"'],
];

for (const [what, answer, message] of STRAY) {
  test(`an answer ${what} is told as that`, async () => {
    await withServer(answer, async (address) => {
      const client = connectImages(address, { namespace: "default" });
      await assert.rejects(client.create("a", { mediaType: "m", digest: "d", size: 1 }), { code: "UNAVAILABLE", message });
      client.close();
    });
  });
}

test("a client that closes ends its calls on a connection whose server goes away, too", async () => {
  let hasCalled = (): void => undefined;
  const called = new Promise<void>((resolve) => { hasCalled = resolve; });
  const leave = (stream: ServerHttp2Stream): void => {
    stream.session?.goaway();
    hasCalled();
  };
  await withServer(leave, async (address) => {
    const client = connectImages(address, { namespace: "default" });
    const call = client.list({ timeoutMs: 20_000 });
    call.catch(() => undefined);
    await called;
    // The next call makes the next connection: by then the client has heard that the first one goes away.
    await new Promise((resolve) => { setTimeout(resolve, 50); });
    client.close();
    await assert.rejects(call, { code: "UNAVAILABLE" });
  });
});

/** Has a server end the connection of its first call with a GOAWAY; later ones are answered. Gives the call's reply and how often the server heard of it. */
async function callUntilGoaway(lastStream: (stream: number) => number, code: number): Promise<{ readonly error: GrpcError | undefined; readonly callCount: number }> {
  const path = tempPath("goaway.sock");
  const server = await rawServer(path);
  const client = new GrpcClient({ path }, patienceOf(10_000));
  let callCount = 0;
  server.onCall = (socket, stream) => {
    if (++callCount === 1) socket.end(rawGoaway(lastStream(stream), code));
    else socket.write(Buffer.concat([rawBegin(stream), rawEnd(stream)]));
  };
  try {
    const { error } = await client.call("/a/B", Buffer.alloc(0), { headers: {}, signal: undefined, timeoutMs: undefined });
    return { error, callCount };
  } finally {
    client.close();
    server.close();
  }
}

/** HTTP/2's codes: none, of a server's fault, of a call that was refused, of a client that asks too much. */
const GOAWAY_CODES = [0, 2, 7, 11];

test("a call that a server has begun before it ends the connection is not made again, whatever the reason", async () => {
  for (const code of GOAWAY_CODES) {
    const { callCount, error } = await callUntilGoaway((stream) => stream, code);
    assert.deepEqual([error?.status, callCount], [Status.UNAVAILABLE, 1], `code ${code}`);
  }
});

test("a call that a server has not begun before it ends the connection is made again, whatever the reason", async () => {
  for (const code of GOAWAY_CODES) {
    const { callCount, error } = await callUntilGoaway((stream) => stream - 1, code);
    assert.deepEqual([error, callCount], [undefined, 2], `code ${code}`);
  }
});

test("a call is answered, and made once, whatever others have to send or had when they were given up", async () => {
  const path = tempPath("sending.sock");
  const server = await rawServer(path);
  const client = new GrpcClient({ path }, patienceOf(10_000));
  let callCount = 0;
  server.onCall = (socket, stream) => {
    callCount++;
    // The connection may send on, and of a large call only the first 64 KiB: the rest of it waits in the client.
    socket.write(Buffer.concat([rawFrame(FRAME.WINDOW_UPDATE, 0, 0, Buffer.of(0, 0x20, 0, 0)), rawBegin(stream), rawEnd(stream)]));
  };
  const call = (byteCount: number, signal?: AbortSignal): Promise<Reply> => client.call("/a/B", Buffer.alloc(byteCount), { headers: {}, signal, timeoutMs: undefined });
  const assertAnswered = async (): Promise<void> => assert.deepEqual([(await call(0)).error, client.connection], [undefined, 1]);
  await assertAnswered();
  // Node takes ten megabytes for a connection where nothing else is said.
  for (let round = 0; round < 2; round++) {
    const controller = new AbortController();
    const large = Promise.allSettled(Array.from({ length: 10 }, () => call(2_000_000, controller.signal)));
    await assertAnswered();
    controller.abort();
    assert.deepEqual(new Set((await large).map(({ status }) => status)), new Set(["rejected"]));
    await assertAnswered();
  }
  assert.equal(callCount, 5);
  client.close();
  server.close();
});

test("a call that is answered with very many headers is made once", async () => {
  let callCount = 0;
  const headers = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`x-${i}`, ""]));
  const answer = (stream: ServerHttp2Stream): void => {
    callCount++;
    stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "6", ...headers }, { endStream: true });
  };
  await withServer(answer, async (address) => {
    const client = connectImages(address, { namespace: "default" });
    await assert.rejects(client.create("a", { mediaType: "m", digest: "d", size: 1 }), { code: "EXISTS" });
    client.close();
  });
  assert.equal(callCount, 1);
});

test("a digest or a field that no server could repeat in its error is INVALID before it is sent", async () => {
  const client = connectImages("unix:/nonexistent/x", { namespace: "default" });
  const target = { mediaType: "m", digest: "d", size: 1 };
  const long = "x".repeat(80_000);
  await assert.rejects(client.create("a", { ...target, digest: long }), { code: "INVALID", message: 'the digest "xxxxxxxxxx…" is too long' });
  await assert.rejects(client.put("a", { ...target, digest: long }), { code: "INVALID" });
  await assert.rejects(client.update("a", { target, fields: ["target", `labels.${long}`] }), { code: "INVALID", message: 'the field "xxxxxxxxxx…" is too long' });
  await assert.rejects(client.update("a", { target, fields: [`annotations.${"k".repeat(32_768)}`] }), { code: "UNAVAILABLE" });
  client.close();
});
