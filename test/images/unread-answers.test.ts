/** Answers that nobody reads: how much of them a server holds, and who waits for them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { openMemory } from "../../engine/index.js";
import { GrpcClient } from "../../images/grpc-client.js";
import { patienceOf } from "../../images/grpc-connection.js";
import { frame } from "../../images/grpc-frame.js";
import { GrpcServer } from "../../images/grpc-server.js";
import { loadHttp2 } from "../../images/http2.js";
import { connectImages, LocalImageStore, serveImages, TxImageStore } from "../../images/index.js";
import { hold, LoopRounds } from "../support/loop-rounds.js";
import { tempPath } from "../support/temp.js";
import { rawAnswer, rawCall, rawSession, rawStream } from "./raw-client.js";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import type { Reply } from "../../images/grpc-client.js";
import type { GivenLimits } from "../../images/grpc-limits.js";
import type { Handler } from "../../images/grpc-server.js";

const target = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 1 };
const NOTHING = frame(Buffer.alloc(0));
/** Two answers of 40 KB have room on a connection, and ten in all. */
const LIMITS: GivenLimits = { answerBytes: 400_000 };

/** A server whose `/s/large` answers 40 KB and `/s/small` a byte, and which calls it has carried out. */
async function serve(limits: GivenLimits, others: Readonly<Record<string, Handler>> = {}): Promise<{ server: GrpcServer; path: string; carriedOut: string[] }> {
  const path = tempPath("unread.sock");
  const carriedOut: string[] = [];
  await loadHttp2();
  const answering = (byteCount: number): Handler => (request) => {
    carriedOut.push(request.toString());
    return { message: Buffer.alloc(byteCount) };
  };
  const server = new GrpcServer(new Map<string, Handler>(Object.entries({ "/s/large": answering(40_000), "/s/small": answering(1), ...others })), limits);
  server.http.listen(path);
  await once(server.http, "listening");
  return { server, path, carriedOut };
}

/** A client that takes headers and not one byte of an answer, until it is told to read. */
function unreadingSession(path: string): ClientHttp2Session {
  return rawSession(path, { initialWindowSize: 0 });
}

/** Calls by a name, which the server then tells. */
function begin(session: ClientHttp2Session, path: string, name: string, headers: Record<string, string> = {}): ClientHttp2Stream {
  const stream = rawStream(session, path, headers);
  stream.end(frame(Buffer.from(name)));
  return stream;
}

/** Fills the room of a connection. */
async function fill(session: ClientHttp2Session): Promise<ClientHttp2Stream[]> {
  const streams = ["held 1", "held 2"].map((name) => begin(session, "/s/large", name));
  await Promise.all(streams.map((stream) => once(stream, "response")));
  return streams;
}

/** Waits until that many calls were carried out, and a little for one that should not be. */
async function settle(carriedOut: readonly string[], count: number): Promise<void> {
  for (let attempt = 0; carriedOut.length < count && attempt < 250; attempt++) await sleep(20);
  await sleep(60);
  assert.equal(carriedOut.length, count, carriedOut.join());
}

test("answers that are not read take no more memory than they may, and hold up nobody who reads", async () => {
  const { server, path, carriedOut } = await serve(LIMITS);
  const sessions = Array.from({ length: 6 }, () => unreadingSession(path));
  // Two on each of four connections and one on the fifth fit into the whole; the sixth holds nothing and has one all the same.
  for (const [i, count] of [2, 4, 6, 8, 9, 10].entries()) {
    for (let call = 0; call < 4; call++) begin(sessions[i]!, "/s/large", `${i}`);
    await settle(carriedOut, count);
  }
  const reader = rawSession(path);
  const answers = await Promise.all(Array.from({ length: 10 }, () => rawCall(reader, "/s/large", NOTHING)));
  assert.deepEqual(new Set(answers.map(({ grpcStatus }) => grpcStatus)), new Set([0]));
  for (const session of sessions) session.destroy();
  reader.destroy();
  await server.close(0);
});

test("calls wait for those that are not read and are carried out in their order when the client reads on", async () => {
  const { server, path, carriedOut } = await serve(LIMITS);
  const session = unreadingSession(path);
  const held = await fill(session);
  const waiting = ["1", "2", "3", "4"].map((name) => begin(session, "/s/large", name));
  await settle(carriedOut, 2);
  const answers = [...held, ...waiting].map(rawAnswer);
  session.settings({ initialWindowSize: 1 << 20 });
  assert.deepEqual((await Promise.all(answers)).map(({ grpcStatus, body }) => [grpcStatus, body.length]), answers.map(() => [0, 40_005]));
  assert.deepEqual(carriedOut, ["held 1", "held 2", "1", "2", "3", "4"]);
  session.destroy();
  await server.close(0);
});

test("a call that waits ends with its deadline or its cancel, and is not carried out; those behind it go on", async () => {
  const { server, path, carriedOut } = await serve(LIMITS);
  const session = unreadingSession(path);
  const held = await fill(session);
  const late = rawAnswer(begin(session, "/s/large", "late", { "grpc-timeout": "100m" }));
  const cancelled = begin(session, "/s/large", "cancelled");
  begin(session, "/s/small", "small");
  assert.equal((await late).grpcStatus, 4);
  await settle(carriedOut, 2);
  // Small answers have room once nothing large is ahead of them.
  cancelled.close(8);
  await settle(carriedOut, 3);
  begin(session, "/s/large", "last");
  await settle(carriedOut, 3);
  held[0]!.close(8);
  await settle(carriedOut, 4);
  assert.deepEqual(carriedOut.slice(2), ["small", "last"]);
  session.destroy();
  await server.close(0);
});

test("calls that are let on together leave the event loop its turns", async () => {
  const rounds = new LoopRounds();
  const { server, path, carriedOut } = await serve(LIMITS, {
    "/s/slow": () => {
      rounds.note();
      hold(10);
      return { message: Buffer.alloc(1) };
    },
  });
  const session = unreadingSession(path);
  await fill(session);
  const first = begin(session, "/s/large", "first of those that wait");
  for (let i = 0; i < 8; i++) begin(session, "/s/slow", "");
  await settle(carriedOut, 2);
  rounds.begin();
  first.close(8);
  while (rounds.noted.length < 8) await sleep(20);
  assert.equal(rounds.end(), 8, rounds.noted.join());
  session.destroy();
  await server.close(0);
});

test("a client that never reads loses what it holds after a while, and its calls that wait go on", async () => {
  const { server, path, carriedOut } = await serve({ ...LIMITS, answerMs: 300 });
  const session = unreadingSession(path);
  await fill(session);
  begin(session, "/s/large", "waiting");
  await settle(carriedOut, 3);
  session.destroy();
  await server.close(0);
});

test("a server that closes carries out the calls that wait if it can until the grace is over, and cuts off the others", async () => {
  const { server, path, carriedOut } = await serve(LIMITS);
  const session = unreadingSession(path);
  const held = await fill(session);
  begin(session, "/s/large", "in time");
  const never = rawAnswer(begin(session, "/s/large", "never"));
  await settle(carriedOut, 2);
  const closing = server.close(1000);
  held[0]!.close(8);
  await settle(carriedOut, 3);
  await closing;
  assert.notEqual((await never).grpcStatus, 0);
  assert.deepEqual(carriedOut.slice(2), ["in time"]);
  session.destroy();
});

/** A handler whose calls answer when all of them have begun. */
function together(callCount: number): Handler {
  let begunCount = 0;
  let letGo = (): void => undefined;
  const allBegun = new Promise<void>((resolve) => { letGo = resolve; });
  return async () => {
    if (++begunCount === callCount) letGo();
    await allBegun;
    return { message: Buffer.alloc(0) };
  };
}

test("calls on one connection run together while there is room, also when one of them once had a long answer", async () => {
  const CALLS = 50;
  const putTogether = together(CALLS);
  const { server, path } = await serve(LIMITS, { "/s/put": (request, call) => request.length === 1 ? putTogether(request, call) : { message: request.subarray(2) } });
  const session = rawSession(path);
  for (const length of [99_000, ...Array.from({ length: 100 }, () => 2)]) await rawCall(session, "/s/put", frame(Buffer.alloc(length)));
  const answers = await Promise.all(Array.from({ length: CALLS }, () => rawCall(session, "/s/put", frame(Buffer.alloc(1)))));
  assert.deepEqual(new Set(answers.map(({ grpcStatus }) => grpcStatus)), new Set([0]));
  session.destroy();
  await server.close(0);
});

test("the first calls of a server run together", async () => {
  const { server, path } = await serve(LIMITS, { "/s/put": together(50) });
  const session = rawSession(path);
  const answers = await Promise.all(Array.from({ length: 50 }, () => rawCall(session, "/s/put", NOTHING)));
  assert.deepEqual(new Set(answers.map(({ grpcStatus }) => grpcStatus)), new Set([0]));
  session.destroy();
  await server.close(0);
});

test("of the calls that wait only as many go on as there is room for, also where answers take time or fail", async () => {
  let running = 0;
  let mostRunning = 0;
  let callCount = 0;
  const { server, path } = await serve(LIMITS, { "/s/slow": async () => {
    mostRunning = Math.max(mostRunning, ++running);
    await sleep(5);
    running--;
    if (++callCount % 3 === 0) throw new Error("no answer");
    return { message: Buffer.alloc(40_000) };
  } });
  const session = rawSession(path);
  await rawCall(session, "/s/slow", NOTHING);
  const answers = await Promise.all(Array.from({ length: 29 }, () => rawCall(session, "/s/slow", NOTHING)));
  assert.equal(answers.filter(({ grpcStatus }) => grpcStatus === 0).length, 19);
  assert.deepEqual([mostRunning, callCount], [2, 30]);
  session.destroy();
  await server.close(0);
});

test("forty answers of 2.5 MB at once are all given, whatever the limit", async () => {
  for (const limits of [{}, { answerBytes: 40_000_000 }, { answerBytes: 1 }]) {
    const { server, path } = await serve(limits, { "/s/list": async () => Promise.resolve({ message: Buffer.alloc(2_500_000) }) });
    const session = rawSession(path);
    const answers = await Promise.all(Array.from({ length: 40 }, () => rawCall(session, "/s/list", NOTHING).then(({ grpcStatus, body }) => [grpcStatus, body.length])));
    assert.deepEqual(answers, answers.map(() => [0, 2_500_005]));
    session.destroy();
    await server.close(0);
  }
});

test("a client that lists more than a MiB of images several times at once has all its lists", async () => {
  const db = openMemory();
  const store = new LocalImageStore(db, { namespace: "default" });
  const labels = { "org.opencontainers.image.version": "1.0" };
  db.update((tx) => {
    const images = new TxImageStore(tx, { namespace: "default" });
    for (let i = 0; i < 6000; i++) images.put(`registry.example.com/team/project/image-${i}:1.0`, target, { labels });
  });
  for (const limits of [{}, { answerBytes: 1 << 20 }]) {
    const server = await serveImages(store, { path: tempPath("lists.sock"), limits });
    const client = connectImages(server.address, { namespace: "default" });
    const lists = await Promise.all(Array.from({ length: 6 }, () => client.list()));
    assert.deepEqual(lists.map(({ length }) => length), lists.map(() => 6000));
    client.close();
    await server.close();
  }
  db.close();
});

test("of what a connection's answers take there is no other limit, and those that were called off count no more", async () => {
  const { server, path, carriedOut } = await serve({ answerBytes: Infinity }, { "/s/megabytes": () => ({ message: Buffer.alloc(10_000_000) }) });
  const session = unreadingSession(path);
  const begun = async (method: string): Promise<ClientHttp2Stream> => {
    const stream = begin(session, method, method);
    await once(stream, "response");
    return stream;
  };
  // Node takes ten megabytes for a connection where nothing else is said, and never takes off what was called off.
  const held: ClientHttp2Stream[] = [];
  while (held.length < 8) held.push(await begun("/s/megabytes"));
  await begun("/s/small");
  for (const stream of held) {
    stream.close(8);
    await once(stream, "close");
  }
  await begun("/s/small");
  assert.deepEqual(carriedOut, ["/s/small", "/s/small"]);
  session.destroy();
  await server.close(0);
});

/** Stands between a client and a server's socket like a slow line: lets through 64 KiB of what the server says, and rests. */
async function slowLine(path: string, restMs: number): Promise<{ readonly path: string; close(): void }> {
  const line = createServer((client) => {
    const server = connect(path);
    for (const [from, to] of [[client, server], [server, client]] as const) from.on("error", () => undefined).on("close", () => to.destroy());
    client.pipe(server);
    const letThrough = async (): Promise<void> => {
      for await (const chunk of server.iterator() as AsyncIterable<Buffer>) {
        client.write(chunk);
        await sleep(restMs * chunk.length / 65_536);
      }
    };
    letThrough().catch(() => undefined);
  });
  const end = tempPath("line.sock");
  line.listen(end);
  await once(line, "listening");
  return { path: end, close: () => { line.close(); } };
}

test("a client on a slow line has its large answer, and the status of another call, however long that takes", { timeout: 30_000 }, async () => {
  const { server, path } = await serve({ answerMs: 1000 }, { "/s/megabytes": () => ({ message: Buffer.alloc(5_000_000) }) });
  const line = await slowLine(path, 30);
  // It takes the whole answer at once as far as HTTP/2 is concerned, as our own client does.
  const client = new GrpcClient({ path: line.path }, patienceOf(30_000));
  const call = (method: string): Promise<Reply> => client.call(method, Buffer.alloc(0), { headers: {}, signal: undefined, timeoutMs: undefined });
  assert.equal((await call("/s/small")).error, undefined);
  const large = call("/s/megabytes");
  const unknown = call("/s/unknown");
  assert.equal((await unknown).error?.status, 12);
  const { error, message } = await large;
  assert.deepEqual([error, message?.length], [undefined, 5_000_000]);
  client.close();
  line.close();
  await server.close(0);
});
