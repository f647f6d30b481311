/** Clients that cost a server connections, memory or time, and what a client says of a server that is gone. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { frame, MessageReader } from "../../images/grpc-frame.js";
import { connectImages, serveImages } from "../../images/index.js";
import { MessageWriter } from "../../images/protobuf.js";
import { tempPath } from "../support/temp.js";
import { MapImageStore } from "./map-store.js";
import { rawAnswer, rawCall, rawSession, rawStream } from "./raw-client.js";
import type { Socket } from "node:net";

const target = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 1 };
const PREFACE = Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]);

/** Connects, says what HTTP/2 wants to hear first, and never reads. A process of its own: this one reads all of its sockets. */
async function silentClient(path: string, said: Buffer): Promise<() => void> {
  const program = `
    const socket = require("node:net").connect(${JSON.stringify(path)});
    socket.on("error", () => undefined);
    socket.pause();
    socket.write(Buffer.from(${JSON.stringify(said.toString("base64"))}, "base64"), () => console.log("there"));
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return () => child.kill("SIGKILL");
}

for (const [what, said] of [["has said nothing", Buffer.alloc(0)], ["has said that it speaks HTTP/2", PREFACE]] as const) {
  test(`a server that closes cuts off a client that ${what} and does not read`, async () => {
    const path = tempPath("silent.sock");
    const server = await serveImages(new MapImageStore(), { path });
    const end = await silentClient(path, said);
    await sleep(50);
    await server.close({ graceMs: 100 });
    end();
  });
}

test("a connection beyond the limit is refused", async () => {
  const path = tempPath("full.sock");
  const server = await serveImages(new MapImageStore(), { path, limits: { connections: 2 } });
  const ends = await Promise.all([silentClient(path, PREFACE), silentClient(path, PREFACE)]);
  const client = connectImages(path, { namespace: "default" });
  try {
    await assert.rejects(client.list(), { code: "UNAVAILABLE" });
  } finally {
    client.close();
    for (const end of ends) end();
    await server.close({ graceMs: 0 });
  }
});

test("clients that do nothing give their connections up to others", async () => {
  const path = tempPath("idle.sock");
  const server = await serveImages(new MapImageStore(), { path, limits: { idleMs: 100, handshakeMs: 200, connections: 2 } });
  const ends = await Promise.all([silentClient(path, PREFACE), silentClient(path, PREFACE)]);
  const client = connectImages(path, { namespace: "default" });
  try {
    // On a busy machine the first of them may have given up its connection before the second has one.
    let isServed = false;
    for (let tries = 0; !isServed && tries < 100; tries++) isServed = await client.list().then(() => true, () => sleep(50, false));
    assert.ok(isServed);
  } finally {
    client.close();
    for (const end of ends) end();
    await server.close({ graceMs: 0 });
  }
});

test("a client that was idle for too long calls again without noticing", async () => {
  const server = await serveImages(new MapImageStore(), { limits: { idleMs: 50, handshakeMs: 50 } });
  const client = connectImages(server.address, { namespace: "default" });
  for (let round = 0; round < 4; round++) {
    assert.deepEqual(await client.list(), []);
    await sleep(40 * round);
  }
  client.close();
  await server.close();
});

test("a message in pieces of one byte takes memory for its bytes, not for its pieces", () => {
  const reader = new MessageReader();
  const size = 300_000;
  reader.push(Buffer.from([0, 0, size >> 16, (size >> 8) & 0xff, size & 0xff]));
  const byte = Buffer.from([7]);
  const before = process.memoryUsage();
  for (let i = 0; i < size; i++) reader.push(byte);
  const after = process.memoryUsage();
  // An object a piece would take over fifty times as much.
  assert.ok(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers < 8_000_000);
  assert.deepEqual(reader.finish(), Buffer.alloc(size, 7));
});

/** A server that takes calls and never answers, in a process that can be killed. */
const MUTE = `
  const server = require("node:http2").createServer();
  server.on("stream", () => console.log("called"));
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));`;

test("a server that dies in the middle of calls is UNAVAILABLE, whatever they were", async () => {
  const child = spawn(process.execPath, ["-e", MUTE], { stdio: ["ignore", "pipe", "inherit"] });
  const [port] = await once(child.stdout, "data") as [Buffer];
  const client = connectImages(`127.0.0.1:${port.toString().trim()}`, { namespace: "default" });
  const calls = [client.get("a"), client.list(), client.put("a", target)];
  const rejections = Promise.all(calls.map((call) => assert.rejects(call, { code: "UNAVAILABLE", name: "ImagesError" })));
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await rejections;
  client.close();
});

test("a server that hangs up at once is UNAVAILABLE", async () => {
  const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const client = connectImages(`127.0.0.1:${address.port}`, { namespace: "default" });
  await assert.rejects(client.list(), { code: "UNAVAILABLE" });
  client.close();
  server.close();
});

/** A program whose client is told by the server that it goes away, while a call is under way; when all calls have ended the program has nothing left to do. */
const LEFT = `
  const http2 = require("node:http2");
  const { once } = require("node:events");
  const server = http2.createServer();
  const reply = (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.alloc(5));
  };
  import(${JSON.stringify(new URL("../../images/index.js", import.meta.url).href)}).then(async ({ connectImages }) => {
    await once(server.listen(0, "127.0.0.1"), "listening");
    server.on("session", (session) => session.unref());
    const client = connectImages("127.0.0.1:" + server.address().port, { namespace: "default" });
    const first = client.list();
    const [held] = await once(server, "stream");
    held.session.goaway(0, held.id);
    server.on("stream", reply);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await client.list();
    reply(held);
    await first;
    server.unref();
    console.log("ended");
  });`;

test("a client whose server goes away while it calls holds nothing when its calls have ended", async () => {
  const child = spawn(process.execPath, ["-e", LEFT], { stdio: ["ignore", "pipe", "inherit"] });
  const kill = setTimeout(() => child.kill("SIGKILL"), 30_000);
  const [status, signal] = await once(child, "close") as [number | null, string | null];
  clearTimeout(kill);
  assert.deepEqual([status, signal], [0, null]);
});

test("a client that closes ends its own calls with UNAVAILABLE", async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => { sockets.push(socket.resume()); }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const client = connectImages(`127.0.0.1:${address.port}`, { namespace: "default" });
  const call = assert.rejects(client.list(), { code: "UNAVAILABLE" });
  await once(server, "connection");
  client.close();
  await call;
  for (const socket of sockets) socket.destroy();
  server.close();
});

const LIST = "/containerd.services.images.v1.Images/List";

test("a message of millions of fields, and filters of millions of characters, are refused before they keep others waiting", async () => {
  const path = tempPath("heavy.sock");
  const server = await serveImages(new MapImageStore(), { path });
  const session = rawSession(path);
  const empty = await rawCall(session, LIST, frame(Buffer.alloc(4_000_000, Buffer.from([0x0a, 0x00]))));
  assert.deepEqual([empty.grpcStatus, empty.grpcMessage], [8, "a request may not have so many fields: at most 100000"]);
  const long = await rawCall(session, LIST, frame(new MessageWriter().text(1, `name==${"a".repeat(100_000)}`).finish()));
  assert.equal(long.grpcStatus, 3);
  assert.match(long.grpcMessage, /filters of 100006 characters: at most 1000 of 65536/);
  session.destroy();
  await server.close({ graceMs: 0 });
});

test("requests that do not end take no more memory than they may together, and give it back", async () => {
  const path = tempPath("unended.sock");
  const server = await serveImages(new MapImageStore(), { path, limits: { requestBytes: 4 * 60_000 } });
  const session = rawSession(path);
  const streams = [1, 2].map(() => rawStream(session, LIST));
  const answers = streams.map(rawAnswer);
  for (const stream of streams) stream.write(frame(Buffer.alloc(2_000_000)).subarray(0, 40_000));
  assert.equal((await Promise.race(answers)).grpcStatus, 8);
  // Not in the turn in which the end of a stream was read: Node 20 never comes back from that.
  await sleep(20);
  session.destroy();
  // The server hears of the end a moment later.
  const next = rawSession(path);
  for (let attempt = 0; (await rawCall(next, LIST, frame(Buffer.alloc(0)))).grpcStatus !== 0; attempt++) {
    assert.ok(attempt < 100);
    await sleep(20);
  }
  next.destroy();
  await server.close({ graceMs: 0 });
});

test("one connection's requests leave room for those of others", async () => {
  const path = tempPath("share.sock");
  const server = await serveImages(new MapImageStore(), { path, limits: { requestBytes: 200_000 } });
  const [greedy, other] = [rawSession(path), rawSession(path)];
  const streams = Array.from({ length: 5 }, () => rawStream(greedy, LIST));
  const answers = streams.map(rawAnswer);
  for (const stream of streams) stream.write(frame(Buffer.alloc(2_000_000)).subarray(0, 20_000));
  assert.equal((await Promise.race(answers)).grpcStatus, 8);
  assert.equal((await rawCall(other, LIST, frame(Buffer.alloc(0)))).grpcStatus, 0);
  await sleep(20);
  for (const session of [greedy, other]) session.destroy();
  await server.close({ graceMs: 0 });
});

test("a request that is given up for its time gives its bytes back", async () => {
  const path = tempPath("late.sock");
  const server = await serveImages(new MapImageStore(), { path, limits: { requestBytes: 4 * 60_000, requestMs: 100 } });
  const session = rawSession(path);
  for (let round = 0; round < 5; round++) {
    const stream = rawStream(session, LIST);
    const answer = rawAnswer(stream);
    stream.write(frame(Buffer.alloc(2_000_000)).subarray(0, 40_000));
    assert.equal((await answer).grpcStatus, 4, `round ${round}`);
  }
  await sleep(20);
  session.destroy();
  await server.close({ graceMs: 0 });
});

test("a call that is cancelled at once ends, though the server never says a word", async () => {
  const path = tempPath("mute.sock");
  const mute = createServer((socket) => socket.on("error", () => undefined)).listen(path);
  await once(mute, "listening");
  const client = connectImages(path, { namespace: "default" });
  for (const ticks of [0, 1, 2, 5]) {
    const controller = new AbortController();
    const call = client.list({ signal: controller.signal });
    for (let i = 0; i < ticks; i++) await Promise.resolve();
    controller.abort();
    await assert.rejects(call, { code: "CANCELLED" }, `${ticks} ticks`);
  }
  client.close();
  mute.close();
});
