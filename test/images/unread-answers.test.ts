/** Answers that nobody reads: how much of them a server holds. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { openMemory } from "../../engine/index.js";
import { frame } from "../../images/grpc-frame.js";
import { connectImages, LocalImageStore, serveImages, TxImageStore } from "../../images/index.js";
import { encodeImageField, encodeName } from "../../images/messages.js";
import { tempPath } from "../support/temp.js";
import { rawCall, rawSession, rawStream } from "./raw-client.js";
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import type { ImagesServer } from "../../images/index.js";

const SERVICE = "/containerd.services.images.v1.Images";
const target = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 1 };

/** A server of one image, the answer about which has 40 KB. */
async function serveLarge(answerBytes: number): Promise<ImagesServer> {
  const store = new LocalImageStore(openMemory(), { namespace: "default" });
  await store.put("large", target, { labels: Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`${i}`, "x".repeat(4000)])) });
  return serveImages(store, { path: tempPath("unread.sock"), limits: { answerBytes } });
}

/** A client that takes headers and not one byte of an answer. */
function unreadingSession(server: ImagesServer): ClientHttp2Session {
  return rawSession(server.address, { initialWindowSize: 0 });
}

/** Calls and gives the status in the first headers: that of a refusal; undefined when an answer has begun. */
async function begin(session: ClientHttp2Session, method: string, message: Uint8Array): Promise<{ stream: ClientHttp2Stream; status: string | undefined; text: string }> {
  const stream = rawStream(session, `${SERVICE}/${method}`);
  stream.end(frame(message));
  const [headers] = await once(stream, "response") as [IncomingHttpHeaders];
  return { stream, status: headers["grpc-status"]?.toString(), text: decodeURIComponent(String(headers["grpc-message"] ?? "")) };
}

test("answers that are not read take no more memory than they may, for a connection and in total, and give it back", async () => {
  const server = await serveLarge(4 * 100_000);
  const sessions = Array.from({ length: 6 }, () => unreadingSession(server));
  const begun: ClientHttp2Stream[] = [];
  let refusalCount = 0;
  for (const session of sessions) {
    let ownCount = 0;
    for (let i = 0; i < 4; i++) {
      const { status, stream, text } = await begin(session, "Get", encodeName("large"));
      if (status === undefined) {
        begun.push(stream);
        ownCount++;
        continue;
      }
      assert.equal(status, "8");
      assert.match(text, /as many unread answers as it may/);
      refusalCount++;
    }
    assert.ok(ownCount <= 2, `${ownCount} answers on one connection`);
  }
  // Two on each of the first four connections and one of the fifth fit into 400,000 bytes.
  assert.deepEqual([begun.length, refusalCount], [9, 15]);
  const reader = rawSession(server.address);
  assert.equal((await rawCall(reader, `${SERVICE}/Get`, frame(encodeName("large")))).grpcStatus, 8);
  for (const session of sessions) session.destroy();
  // The server hears of the end a moment later.
  for (let attempt = 0; (await rawCall(reader, `${SERVICE}/Get`, frame(encodeName("large")))).grpcStatus !== 0; attempt++) {
    assert.ok(attempt < 100);
    await sleep(20);
  }
  reader.destroy();
  await server.close({ graceMs: 0 });
});

test("answers that are read give their room back to those that follow on the same connection", async () => {
  const server = await serveLarge(4 * 100_000);
  const session = rawSession(server.address);
  for (let i = 0; i < 20; i++) assert.equal((await rawCall(session, `${SERVICE}/Get`, frame(encodeName("large")))).grpcStatus, 0, `call ${i}`);
  session.destroy();
  await server.close({ graceMs: 0 });
});

test("a short answer, which may say that a change was made, is not refused though there is no room", async () => {
  const server = await serveLarge(4 * 50_000);
  const session = unreadingSession(server);
  assert.equal((await begin(session, "Get", encodeName("large"))).status, undefined);
  assert.equal((await begin(session, "Get", encodeName("large"))).status, "8");
  for (const name of ["a", "b"]) assert.equal((await begin(session, "Create", encodeImageField({ name, target }))).status, undefined);
  session.destroy();
  await server.close({ graceMs: 0 });
});

test("a client that lists twenty thousand images several times at once is not refused", async () => {
  const db = openMemory();
  const store = new LocalImageStore(db, { namespace: "default" });
  const labels = { "org.opencontainers.image.version": "1.0" };
  db.update((tx) => {
    const images = new TxImageStore(tx, { namespace: "default" });
    for (let i = 0; i < 20_000; i++) images.put(`registry.example.com/team/project/image-${i}:1.0`, target, { labels });
  });
  const server = await serveImages(store, { path: tempPath("lists.sock") });
  const client = connectImages(server.address, { namespace: "default" });
  const lists = await Promise.all(Array.from({ length: 6 }, () => client.list()));
  assert.deepEqual(lists.map(({ length }) => length), lists.map(() => 20_000));
  client.close();
  await server.close();
  db.close();
});
