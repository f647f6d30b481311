/** What the services do with a call that is well formed: its namespace, its filters, its image. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { CorruptImagesError } from "../../images/errors.js";
import { frame } from "../../images/grpc-frame.js";
import { Status } from "../../images/grpc-status.js";
import { GrpcServer } from "../../images/grpc-server.js";
import { loadHttp2 } from "../../images/http2.js";
import { connectImages, serveImages } from "../../images/index.js";
import { decodeImages, decodeName, encodeImageField, encodeName, encodeTexts } from "../../images/messages.js";
import { MessageWriter, bytesOf, readFields } from "../../images/protobuf.js";
import { EARLY_SERVICE, PRESENT_SERVICE, imageServices } from "../../images/services.js";
import { tempPath } from "../support/temp.js";
import { MapImageStore } from "./map-store.js";
import { rawAnswer, rawCall, rawSession } from "./raw-client.js";
import type { OutgoingHttpHeaders } from "node:http2";
import type { Image, ListOptions } from "../../images/index.js";

const GET = `/${PRESENT_SERVICE}/Get`;
const LIST = `/${PRESENT_SERVICE}/List`;
const target = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 1 };

test("of several namespaces the first counts, as to containerd", async () => {
  const server = await serveImages(new MapImageStore(), {});
  const session = rawSession(server.address);
  const list = async (namespaces: string[]): Promise<number | undefined> =>
    (await rawCall(session, LIST, frame(Buffer.alloc(0)), { "containerd-namespace": namespaces })).grpcStatus;
  assert.equal(await list(["default", "../etc"]), Status.OK);
  assert.equal(await list(["../etc", "default"]), Status.INVALID_ARGUMENT);
  for (const one of ["a,b", "default, other", ""]) assert.notEqual(await list([one]), Status.OK, one);
  session.destroy();
  await server.close();
});

test("a header whose value reads like the namespace's name is not the namespace", async () => {
  const server = await serveImages(new MapImageStore(), {});
  const session = rawSession(server.address);
  const status = async (headers: OutgoingHttpHeaders): Promise<number | undefined> => {
    const stream = session.request({ ":method": "POST", ":path": LIST, "content-type": "application/grpc", te: "trailers", ...headers });
    stream.end(frame(Buffer.alloc(0)));
    return (await rawAnswer(stream)).grpcStatus;
  };
  const other = { "x-header": "containerd-namespace" };
  assert.equal(await status({ ...other, "x-next": "default" }), Status.FAILED_PRECONDITION);
  assert.equal(await status({ ...other, "containerd-namespace": "default" }), Status.OK);
  session.destroy();
  await server.close();
});

test("a client that compresses hears what the server takes", async () => {
  const server = await serveImages(new MapImageStore(), {});
  const session = rawSession(server.address);
  const answer = await rawCall(session, LIST, Buffer.from([1, 0, 0, 0, 0]), { "grpc-encoding": "gzip" });
  assert.deepEqual([answer.grpcStatus, answer.trailers["grpc-accept-encoding"]], [Status.UNIMPLEMENTED, "identity"]);
  assert.equal((await rawCall(session, "/a/B", frame(Buffer.alloc(0)))).trailers["grpc-accept-encoding"], undefined);
  session.destroy();
  await server.close();
});

test("the server has an id of its own, which ctr version asks for", async () => {
  const server = await serveImages(new MapImageStore(), {});
  const session = rawSession(server.address);
  const id = async (): Promise<string> =>
    decodeName((await rawCall(session, "/containerd.services.introspection.v1.Introspection/Server", frame(Buffer.alloc(0)))).body.subarray(5));
  assert.match(await id(), /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  assert.equal(await id(), await id());
  session.destroy();
  await server.close();
});

test("leases are listed as filters ask for them, by id and labels, as containerd does", async () => {
  const server = await serveImages(new MapImageStore(), {});
  const session = rawSession(server.address);
  const LEASES = "/containerd.services.leases.v1.Leases";
  for (const [id, labels] of [["a", { env: "prod" }], ["b", { env: "test", "a.b": "dots" }], ["c", {}]] as const) {
    assert.equal((await rawCall(session, `${LEASES}/Create`, frame(new MessageWriter().text(1, id).map(3, labels).finish()))).grpcStatus, Status.OK);
  }
  const listed = async (...filters: string[]): Promise<string> => {
    const { body, grpcStatus } = await rawCall(session, `${LEASES}/List`, frame(encodeTexts(filters)));
    if (grpcStatus !== Status.OK) return `status ${grpcStatus}`;
    return Array.from(readFields(body.subarray(5)), (field) => decodeName(bytesOf(field))).join();
  };
  const expected: readonly (readonly [readonly string[], string])[] = [
    [[], "a,b,c"], [[""], "a,b,c"], [["id==b"], "b"], [["id~=[ac]"], "a,c"], [["id==a", "id==c"], "a,c"], [["labels.env"], "a,b"], [["labels.env==prod"], "a"],
    [["labels.env!=prod"], "b,c"], [["labels.a.b==dots,id"], "b"], [['labels."a.b"'], "b"], [["name"], ""], [["labels"], ""], [["labels.constructor"], ""],
    [["id=="], "status 3"],
  ];
  for (const [filters, ids] of expected) assert.equal(await listed(...filters), ids, filters.join(" "));
  session.destroy();
  await server.close();
});

test("many filters that name images hold up no other call", async () => {
  const asked: (number | undefined)[] = [];
  class ListingStore extends MapImageStore {
    override async list(options?: ListOptions): Promise<Image[]> {
      asked.push(options?.filters?.length);
      return super.list(options);
    }
  }
  const store = new ListingStore();
  for (const name of ["a", "b", "c"]) await store.put(name, target);
  const server = await serveImages(store, {});
  const session = rawSession(server.address);
  for (const count of [1, 200, 201, 1000]) {
    const filters = Array.from({ length: count }, (_, i) => `name==${i === 0 ? "b" : `x${i}`}`);
    const { body } = await rawCall(session, LIST, frame(encodeTexts(filters)));
    assert.deepEqual(decodeImages(body.subarray(5)).images.map(({ name }) => name), ["b"]);
  }
  assert.deepEqual(asked, [1, 200, undefined, undefined]);
  session.destroy();
  await server.close();
});

test("of a list with damaged images those that are whole are filtered, too, whatever the server did", async () => {
  class DamagedStore extends MapImageStore {
    override async list(): Promise<Image[]> {
      throw new CorruptImagesError([{ name: "bad", reason: "damaged" }], ["a", "b"].map((name) => ({ name, target })));
    }
  }
  const path = tempPath("early.sock");
  // A server of early 2017 knows no filters.
  const early = new Map([...imageServices(new DamagedStore())].filter(([method]) => method.startsWith(`/${EARLY_SERVICE}/`)));
  await loadHttp2();
  const server = new GrpcServer(early);
  await once(server.http.listen(path), "listening");
  const client = connectImages(path);
  await assert.rejects(client.list({ filters: ["name==b"] }), (error) =>
    error instanceof CorruptImagesError && error.corrupt.length === 1 && error.images.map(({ name }) => name).join() === "b");
  client.close();
  await server.close(0);
});

/** What clients of gRPC's C core take of headers: more is refused, at first by chance. */
const CORE_HEADER_BYTES = 8192;

for (const [what, reason] of [["texts of three bytes a character", "漢"], ["texts that are escaped", "\n"], ["plain texts", "x"]] as const) {
  test(`a status and the names of damaged images, with ${what}, are not more headers than gRPC's C core takes`, async () => {
    class DamagedStore extends MapImageStore {
      override async list(): Promise<Image[]> {
        throw new CorruptImagesError(Array.from({ length: 1000 }, (_, i) => ({ name: `${i}${reason.repeat(i % 400)}`, reason: reason.repeat(50) })), []);
      }
    }
    const server = await serveImages(new DamagedStore(), {});
    const session = rawSession(server.address);
    const listed = await rawCall(session, LIST, frame(Buffer.alloc(0)));
    const got = await rawCall(session, GET, frame(encodeName(reason.repeat(10_000))));
    for (const { grpcMessage, trailers } of [listed, got]) {
      // HTTP/2 counts 32 bytes more for each.
      const byteCount = Object.entries(trailers).reduce((sum, [name, value]) => sum + name.length + String(value).length + 32, 0);
      assert.ok(byteCount < CORE_HEADER_BYTES, `${byteCount}`);
      assert.ok(grpcMessage.includes(reason.repeat(50)) && !grpcMessage.includes("\ufffd"));
    }
    session.destroy();
    await server.close();
  });
}

test("a filter that takes long holds up no other call, and ends at its deadline", async () => {
  const store = new MapImageStore();
  for (let i = 0; i < 400; i++) await store.put(`${"a".repeat(3000)}${i}`, target);
  const server = await serveImages(store, {});
  const session = rawSession(server.address);
  const slow = rawCall(session, LIST, frame(encodeTexts([`name~="^(${"a?".repeat(600)})*!$"`])), { "grpc-timeout": "300m" });
  const others: number[] = [];
  for (let round = 0; round < 5; round++) {
    const begin = performance.now();
    assert.equal((await rawCall(session, GET, frame(encodeName("missing")))).grpcStatus, Status.NOT_FOUND);
    others.push(performance.now() - begin);
  }
  assert.equal((await slow).grpcStatus, Status.DEADLINE_EXCEEDED);
  assert.ok(Math.min(...others) < 5000, `${others}`);
  session.destroy();
  await server.close();
});

test("the early service puts what the present one refuses, on a store that takes it", async () => {
  const server = await serveImages(new MapImageStore(), {});
  const session = rawSession(server.address);
  const image = { name: "early", target };
  assert.equal((await rawCall(session, `/${EARLY_SERVICE}/Put`, frame(encodeImageField(image, true)), { "containerd-namespace": [] })).grpcStatus, Status.OK);
  const got = await rawCall(session, `/${EARLY_SERVICE}/Get`, frame(encodeName("early")), { "containerd-namespace": [] });
  assert.deepEqual(got.body, frame(encodeImageField(image, true)));
  const missing = await rawCall(session, `/${EARLY_SERVICE}/Delete`, frame(encodeName("missing")), { "containerd-namespace": [] });
  assert.equal(missing.grpcStatus, Status.NOT_FOUND);
  session.destroy();
  await server.close();
});
