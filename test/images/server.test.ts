/** What the server says to calls that break the protocol, stall, leave or come too late. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { statSync, writeFileSync } from "node:fs";
import { createServer as createHttp2Server } from "node:http2";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, it, test } from "node:test";
import { frame, MESSAGE_BYTES_MAX } from "../../images/grpc-frame.js";
import { Status } from "../../images/grpc-status.js";
import { openMemory } from "../../engine/index.js";
import { connectImages, ImagesError, LocalImageStore, serveImages } from "../../images/index.js";
import { decodeImages, encodeCorrupt, encodeImageField, encodeName, encodeTexts } from "../../images/messages.js";
import { PRESENT_SERVICE } from "../../images/services.js";
import { CorruptImagesError } from "../../images/errors.js";
import { Turns } from "../../images/turns.js";
import { tempPath } from "../support/temp.js";
import { MapImageStore } from "./map-store.js";
import { rawAnswer, rawCall, rawSession, rawStream } from "./raw-client.js";
import type { ClientHttp2Session } from "node:http2";
import type { CallOptions, Image, ImagesServer } from "../../images/index.js";

const GET = `/${PRESENT_SERVICE}/Get`;
const LIST = `/${PRESENT_SERVICE}/List`;
const CREATE = `/${PRESENT_SERVICE}/Create`;
const target = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 1 };

/** A store whose reads wait until they are let go. */
class SlowStore extends MapImageStore {
  readonly waiting: (() => void)[] = [];
  readonly aborted: unknown[] = [];

  override async get(name: string, options?: CallOptions): Promise<Image> {
    options?.signal?.addEventListener("abort", () => this.aborted.push(options.signal?.reason), { once: true });
    await new Promise<void>((resolve) => { this.waiting.push(resolve); });
    return super.get(name);
  }
}

describe("a server of images", () => {
  let server: ImagesServer;
  let session: ClientHttp2Session;
  const store = new SlowStore();

  before(async () => {
    server = await serveImages(store, { path: tempPath("server.sock") });
    session = rawSession(server.address);
  });
  after(async () => {
    session.destroy();
    await server.close();
  });
  /** The test of every wrong call: another call on the same connection still works. */
  const stillServes = async (): Promise<void> => {
    assert.equal((await rawCall(session, LIST, frame(Buffer.alloc(0)))).grpcStatus, Status.OK);
  };

  it("makes its socket for its owner alone", () => {
    assert.equal(statSync(server.address.slice("unix:".length)).mode & 0o777, 0o600);
  });

  const wrong: readonly [string, string, Uint8Array, Record<string, string>, number, number][] = [
    ["a message that is cut off", LIST, Buffer.from([0, 0, 0, 0, 9, 1]), {}, 200, Status.INTERNAL],
    ["a header that is cut off", LIST, Buffer.from([0, 0]), {}, 200, Status.INTERNAL],
    ["a body without a message", LIST, Buffer.alloc(0), {}, 200, Status.INTERNAL],
    ["two messages", LIST, Buffer.concat([frame(Buffer.alloc(0)), frame(Buffer.alloc(0))]), {}, 200, Status.INTERNAL],
    ["a compressed message", LIST, Buffer.from([1, 0, 0, 0, 0]), {}, 200, Status.INTERNAL],
    ["a compression that it has not", LIST, Buffer.from([1, 0, 0, 0, 0]), { "grpc-encoding": "gzip" }, 200, Status.UNIMPLEMENTED],
    ["flags that are unknown", LIST, Buffer.from([8, 0, 0, 0, 0]), {}, 200, Status.INTERNAL],
    ["a message that is announced too long", LIST, Buffer.from([0, 1, 0, 0, 1]), {}, 200, Status.RESOURCE_EXHAUSTED],
    ["a message that is no protobuf", GET, frame(Buffer.from([0x0a, 0xff])), {}, 200, Status.INTERNAL],
    ["a name that is no UTF-8", GET, frame(Buffer.from([0x0a, 1, 0xff])), {}, 200, Status.INTERNAL],
    ["an unknown service", "/containerd.services.content.v1.Content/Info", frame(Buffer.alloc(0)), {}, 200, Status.UNIMPLEMENTED],
    ["an unknown method", `/${PRESENT_SERVICE}/Frobnicate`, frame(Buffer.alloc(0)), {}, 200, Status.UNIMPLEMENTED],
    ["a path that is none", "/", frame(Buffer.alloc(0)), {}, 200, Status.UNIMPLEMENTED],
    ["a wrong content type", LIST, frame(Buffer.alloc(0)), { "content-type": "application/json" }, 415, Status.INVALID_ARGUMENT],
    ["a GET", LIST, Buffer.alloc(0), { ":method": "PUT" }, 405, Status.INTERNAL],
    ["a timeout that is none", LIST, frame(Buffer.alloc(0)), { "grpc-timeout": "soon" }, 200, Status.INTERNAL],
    ["a namespace that is missing", LIST, frame(Buffer.alloc(0)), { "containerd-namespace": "" }, 200, Status.FAILED_PRECONDITION],
    ["a namespace that is none", LIST, frame(Buffer.alloc(0)), { "containerd-namespace": "../etc" }, 200, Status.INVALID_ARGUMENT],
    ["a filter that is none", LIST, frame(encodeTexts(["name=="])), {}, 200, Status.INVALID_ARGUMENT],
    ["an image without a name", CREATE, frame(encodeImageField({ name: "", target })), {}, 200, Status.INVALID_ARGUMENT],
    ["a create without an image", CREATE, frame(Buffer.alloc(0)), {}, 200, Status.INVALID_ARGUMENT],
    ["a size that is not positive", CREATE, frame(encodeImageField({ name: "a", target: { ...target, size: 0 } })), {}, 200, Status.INVALID_ARGUMENT],
    ["a digest that is short", CREATE, frame(encodeImageField({ name: "a", target: { ...target, digest: "sha256:00" } })), {}, 200, Status.INVALID_ARGUMENT],
    ["no media type", CREATE, frame(encodeImageField({ name: "a", target: { ...target, mediaType: "" } })), {}, 200, Status.INVALID_ARGUMENT],
    ["a label that is too long", CREATE, frame(encodeImageField({ name: "a", target, labels: { k: "v".repeat(4096) } })), {}, 200, Status.INVALID_ARGUMENT],
  ];
  for (const [what, path, body, headers, httpStatus, grpcStatus] of wrong) {
    it(`answers ${what} with the right status, and goes on`, async () => {
      const answer = await rawCall(session, path, body, headers);
      assert.deepEqual([answer.httpStatus, answer.grpcStatus], [httpStatus, grpcStatus], answer.grpcMessage);
      assert.notEqual(answer.grpcMessage, "");
      await stillServes();
    });
  }

  it("gives every one of many calls that are refused in one turn its status", async () => {
    const compressed = Buffer.from([1, 0, 0, 0, 0]);
    const answers = await Promise.all(Array.from({ length: 100 }, () => rawCall(session, LIST, compressed)));
    assert.deepEqual([...new Set(answers.map(({ grpcStatus }) => grpcStatus))], [Status.INTERNAL]);
    await stillServes();
  });

  it("refuses a message over the limit while it comes, without keeping it", async () => {
    const stream = rawStream(session, CREATE);
    const answer = rawAnswer(stream);
    const header = Buffer.alloc(5);
    header.writeUInt32BE(MESSAGE_BYTES_MAX + 1, 1);
    stream.write(header);
    stream.write(Buffer.alloc(100_000));
    assert.equal((await answer).grpcStatus, Status.RESOURCE_EXHAUSTED);
    await stillServes();
  });

  it("takes a message of a megabyte, in pieces", async () => {
    const image = { name: "big", target: { ...target, annotations: { big: "x".repeat(1 << 20) } } };
    const body = frame(encodeImageField(image));
    const stream = rawStream(session, CREATE);
    const answer = rawAnswer(stream);
    for (let at = 0; at < body.length; at += 70_001) stream.write(body.subarray(at, at + 70_001));
    stream.end();
    const pending = setInterval(() => store.waiting.splice(0).forEach((go) => go()), 5);
    assert.equal((await answer).grpcStatus, Status.OK);
    clearInterval(pending);
    await store.delete("big");
  });

  it("ends a request that stalls", async () => {
    // Other requests have the time that they need: so this server has a limit for that alone.
    const strict = await serveImages(store, { path: tempPath("strict.sock"), limits: { requestMs: 300 } });
    const strictSession = rawSession(strict.address);
    const stream = rawStream(strictSession, GET);
    stream.write(Buffer.from([0, 0, 0]));
    const answer = await rawAnswer(stream);
    assert.equal(answer.grpcStatus, Status.DEADLINE_EXCEEDED);
    assert.equal((await rawCall(strictSession, "/", frame(Buffer.alloc(0)))).grpcStatus, Status.UNIMPLEMENTED, "the connection goes on");
    strictSession.destroy();
    await strict.close();
  });

  it("tells the client when its deadline has passed, and the store too", async () => {
    // The store hears of a deadline that comes after the request: the next one is longer where a busy machine has let it pass before.
    let ms = 25;
    do {
      ms *= 2;
      const answer = await rawCall(session, GET, frame(encodeName("slow")), { "grpc-timeout": `${ms}m` });
      assert.equal(answer.grpcStatus, Status.DEADLINE_EXCEEDED);
    } while (store.waiting.length === 0);
    assert.ok(store.aborted.some((reason) => reason instanceof Error && reason.name === "TimeoutError"));
    store.waiting.splice(0).forEach((go) => go());
    await stillServes();
  });

  it("does not begin a call whose deadline has passed before any timer could tell", async () => {
    for (const timeout of ["0S", "1n", "1u"]) {
      const answer = await rawCall(session, GET, frame(encodeName("late")), { "grpc-timeout": timeout });
      const begun = store.waiting.splice(0);
      begun.forEach((go) => go());
      assert.deepEqual([answer.grpcStatus, begun.length], [Status.DEADLINE_EXCEEDED, 0], timeout);
    }
  });

  it("tells the store that a client has left", async () => {
    store.aborted.length = 0;
    const stream = rawStream(session, GET);
    stream.end(frame(encodeName("left")));
    while (store.waiting.length === 0) await sleep(5);
    stream.close(8);
    while (store.aborted.length === 0) await sleep(5);
    store.waiting.splice(0).forEach((go) => go());
    await stillServes();
  });

  it("drops connections that say nothing, or no HTTP/2, and serves the others", async () => {
    const path = tempPath("handshake.sock");
    const strict = await serveImages(store, { path, limits: { handshakeMs: 300 } });
    // On a busy machine a client of good will may be late, too: one that has come in time once stays.
    let other = rawSession(strict.address);
    const serves = async (): Promise<boolean> => !other.closed && !other.destroyed && (await rawCall(other, LIST, frame(Buffer.alloc(0)))).grpcStatus === Status.OK;
    while (!(await serves())) other = rawSession(strict.address);
    const ended = (first: string | undefined): Promise<void> => new Promise((resolve) => {
      const socket = connect({ path });
      socket.on("error", () => undefined);
      socket.on("data", () => undefined);
      socket.once("close", () => resolve());
      if (first !== undefined) socket.write(first);
    });
    await Promise.all([ended(undefined), ended("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ended("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")]);
    assert.ok(await serves());
    other.destroy();
    await strict.close();
  });
});

test("calls that run when the server closes are finished; later ones are not begun", async () => {
  const store = new SlowStore();
  await store.put("a", target);
  const server = await serveImages(store, {});
  const client = connectImages(server.address, { namespace: "default" });
  const running = client.get("a");
  while (store.waiting.length === 0) await sleep(5);
  const closed = server.close();
  await sleep(30);
  await assert.rejects(client.list(), { code: "UNAVAILABLE" });
  store.waiting.splice(0).forEach((go) => go());
  assert.equal((await running).name, "a");
  await closed;
  client.close();
});

test("a call that does not end is cut off when the grace is over", async () => {
  const store = new SlowStore();
  const server = await serveImages(store, {});
  const client = connectImages(server.address, { namespace: "default" });
  const running = assert.rejects(client.get("a"), ImagesError);
  while (store.waiting.length === 0) await sleep(5);
  await server.close({ graceMs: 50 });
  await running;
  client.close();
});

test("a client's signal and its time limit end a call, and the connection lives on", async () => {
  const store = new SlowStore();
  const server = await serveImages(store, {});
  const client = connectImages(server.address, { namespace: "default" });
  const controller = new AbortController();
  const call = assert.rejects(client.get("a", { signal: controller.signal }), { name: "AbortError", code: "CANCELLED" });
  while (store.waiting.length === 0) await sleep(5);
  controller.abort();
  await call;
  await assert.rejects(client.get("a", { timeoutMs: 40 }), { name: "TimeoutError", code: "DEADLINE_EXCEEDED" });
  assert.deepEqual(await client.list(), []);
  client.close();
  await assert.rejects(client.list(), { code: "UNAVAILABLE" });
  store.waiting.splice(0).forEach((go) => go());
  await server.close();
});

test("thousands of calls at once on one client all succeed", async () => {
  const db = openMemory();
  const server = await serveImages(new LocalImageStore(db, { namespace: "default" }), { path: tempPath("many.sock") });
  // The deadline is not what is tested: thousands of calls may take a busy machine half a minute.
  const client = connectImages(server.address, { namespace: "default", timeoutMs: 600_000 });
  const names = Array.from({ length: 3000 }, (_, i) => `image${String(i).padStart(4, "0")}`);
  await Promise.all(names.map((name) => client.put(name, { ...target, mediaType: "m".repeat(3000) })));
  assert.deepEqual((await client.list()).map(({ name }) => name), names);
  client.close();
  await server.close();
  db.close();
});

test("a call that waits for its turn can be given up, and costs the others nothing", async () => {
  const turns = new Turns(2);
  await turns.take(undefined);
  await turns.take(undefined);
  const order: string[] = [];
  const controller = new AbortController();
  const givenUpCall = assert.rejects(turns.take(controller.signal), { code: "CANCELLED" });
  const second = turns.take(undefined).then(() => order.push("second"));
  const third = turns.take(undefined).then(() => order.push("third"));
  controller.abort();
  await givenUpCall;
  assert.deepEqual(order, []);
  turns.give();
  await second;
  assert.deepEqual(order, ["second"]);
  turns.give();
  await third;
  turns.give();
  turns.give();
  await turns.take(undefined);
});

test("a lost connection is UNAVAILABLE, and the next call makes a new one", async () => {
  const path = tempPath("again.sock");
  const client = connectImages(path, { namespace: "default" });
  await assert.rejects(client.list(), { code: "UNAVAILABLE" });
  for (let round = 0; round < 2; round++) {
    const server = await serveImages(new MapImageStore(), { path });
    assert.deepEqual(await client.list(), []);
    await server.close();
  }
  await assert.rejects(client.list(), { code: "UNAVAILABLE" });
  client.close();
});

test("a socket in use is not taken over, a dead one is replaced, another file is left alone", async () => {
  const path = tempPath("taken.sock");
  const first = await serveImages(new MapImageStore(), { path });
  await assert.rejects(serveImages(new MapImageStore(), { path }), { code: "UNAVAILABLE" });
  await first.close();
  const killed = "require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))";
  assert.equal(spawnSync(process.execPath, ["-e", killed, path]).signal, "SIGKILL");
  assert.ok(statSync(path).isSocket(), "the killed server's socket is left");
  await (await serveImages(new MapImageStore(), { path })).close();
  const file = tempPath("file");
  writeFileSync(file, "mine");
  await assert.rejects(serveImages(new MapImageStore(), { path: file }), { code: "INVALID" });
});

test("a host that is not the loopback is refused", async () => {
  await assert.rejects(serveImages(new MapImageStore(), { host: "0.0.0.0" }), { code: "INVALID" });
});

test("a list with damaged images gives the others and says which are damaged", async () => {
  const good: Image = { name: "good", target };
  const broken = new CorruptImagesError([{ name: "bad/ü", reason: "its size is none" }], [good]);
  class DamagedStore extends MapImageStore {
    override async list(): Promise<Image[]> {
      throw broken;
    }
  }
  const server = await serveImages(new DamagedStore(), {});
  const client = connectImages(server.address, { namespace: "default" });
  await assert.rejects(client.list(), (error) => error instanceof CorruptImagesError && error.code === "CORRUPT" &&
    error.images.length === 1 && error.images[0]?.name === "good" && error.corrupt[0]?.name === "bad/ü");
  const session = rawSession(server.address);
  const answer = await rawCall(session, LIST, frame(Buffer.alloc(0)));
  assert.equal(answer.grpcStatus, Status.DATA_LOSS);
  assert.equal(String(answer.trailers["hexbolt-corrupt-bin"]), encodeCorrupt(broken.corrupt, 6000).toString("base64"));
  assert.deepEqual(decodeImages(answer.body.subarray(5)), { images: [good], broken: [] });
  session.destroy();
  client.close();
  await server.close();
});

for (const [what, corrupt, named] of [
  ["names that fill many headers", Array.from({ length: 50 }, (_, i) => ({ name: `${i}${"n".repeat(2000)}`, reason: "damaged" })), 1],
  ["a name longer than all headers", [{ name: "n".repeat(60_000), reason: "damaged" }, { name: "short", reason: "damaged" }], 1],
  ["many names", Array.from({ length: 1000 }, (_, i) => ({ name: `n${i}`, reason: "damaged" })), 50],
] as const) {
  test(`a list with damaged images that have ${what} gives the others, and says how many are damaged`, async () => {
    class DamagedStore extends MapImageStore {
      override async list(): Promise<Image[]> {
        throw new CorruptImagesError(corrupt, [{ name: "good", target }]);
      }
    }
    const server = await serveImages(new DamagedStore(), {});
    const client = connectImages(server.address, { namespace: "default" });
    await assert.rejects(client.list(), (error) => {
      assert.ok(error instanceof CorruptImagesError, String(error));
      assert.deepEqual(error.images.map(({ name }) => name), ["good"]);
      assert.ok(error.corrupt.length >= named && error.corrupt.length < corrupt.length);
      assert.match(error.message, new RegExp(`and ${corrupt.length - Math.min(10, error.corrupt.length)} more$`));
      return true;
    });
    client.close();
    await server.close();
  });
}

test("a server's image with a text that is no UTF-8 is CORRUPT, named, and hides no other", async () => {
  const server = createHttp2Server();
  // The same answer to List and, as its first image, to Get.
  const body = Buffer.concat([0xe9, 0x65].map((byte) => {
    const image = encodeImageField({ name: "caf?", target });
    image[image.indexOf("?")] = byte;
    return image;
  }));
  server.on("stream", (stream, headers) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(frame(headers[":path"] === GET ? body.subarray(0, body.length / 2) : body));
  });
  const path = tempPath("latin.sock");
  await new Promise<void>((resolve) => { server.listen(path, resolve); });
  const client = connectImages(path, { namespace: "default" });
  await assert.rejects(client.list(), (error) => error instanceof CorruptImagesError &&
    error.corrupt[0]?.name === "caf\ufffd" && error.images[0]?.name === "cafe" && error.images.length === 1);
  await assert.rejects(client.get("caf?"), { code: "CORRUPT", message: /UTF-8/ });
  client.close();
  server.close();
});
