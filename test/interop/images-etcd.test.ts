/** The etcd store against real etcd members: the suite, a member that fails in the middle, a revision that is compacted away. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { imageStoreConformance } from "../../images/conformance.js";
import { CorruptImagesError, EtcdImageStore, ImagesError } from "../../images/index.js";
import { freePorts, missingTools, startEtcd } from "./images-daemons.js";
import type { EtcdCluster } from "./images-daemons.js";

const skip = missingTools("etcd");
const target = (size: number): { mediaType: string; digest: string; size: number } => ({
  mediaType: "application/test", digest: `sha256:${size.toString(16).padStart(64, "0")}`, size,
});

let cluster: EtcdCluster;
if (skip === false) {
  before(async () => { cluster = await startEtcd(3); });
  after(async () => { await cluster.stop(); });
}

let prefixCount = 0;
const fresh = (options: { namespace?: string; pageSize?: number } = {}): EtcdImageStore =>
  new EtcdImageStore({ endpoints: cluster.endpoints, prefix: `/test-${++prefixCount}`, ...options });

async function post(path: string, body: unknown): Promise<Record<string, unknown>> {
  const response = await fetch(`${cluster.endpoints[0] ?? ""}/v3/${path}`, { method: "POST", body: JSON.stringify(body) });
  assert.ok(response.ok, await response.clone().text());
  return await response.json() as Record<string, unknown>;
}

/** Stands before an endpoint. `answered` is the status of the last answer to a request that `see` was shown and that its sender had given up. */
async function proxyTo(endpoint: string, see: (body: unknown) => void): Promise<{ readonly url: string; readonly answered: Promise<number>; close(): void }> {
  let answer = (_status: number): void => undefined;
  const answered = new Promise<number>((resolve) => { answer = resolve; });
  const server = createServer((request, response) => {
    void (async (): Promise<void> => {
      const body = Buffer.concat(await request.toArray() as Buffer[]).toString();
      see(JSON.parse(body));
      const reply = await fetch(`${endpoint}${request.url ?? ""}`, { method: "POST", body });
      if (response.destroyed) answer(reply.status);
      else response.writeHead(reply.status).end(await reply.text());
    })();
  });
  await new Promise<void>((resolve) => { server.listen(0, "127.0.0.1", resolve); });
  const address = server.address();
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${typeof address === "object" ? address?.port ?? 0 : 0}`, answered, close };
}

for (const namespace of [undefined, "default"]) {
  imageStoreConformance({
    name: `etcd, ${namespace === undefined ? "any descriptor" : "in a namespace"}`,
    skip,
    editable: true,
    anyDescriptor: namespace === undefined,
    operations: 60,
    create: async () => ({ store: fresh(namespace === undefined ? { pageSize: 3 } : { namespace }), close: async () => undefined }),
  });
}

describe("images in etcd", { skip }, () => {
  it("are apart by namespace and prefix", async () => {
    const options = { endpoints: cluster.endpoints, prefix: "/apart" };
    const stores = [new EtcdImageStore(options), new EtcdImageStore({ ...options, namespace: "a" }), new EtcdImageStore({ ...options, namespace: "b" })];
    for (const [index, store] of stores.entries()) await store.put("same", target(index + 1));
    for (const [index, store] of stores.entries()) assert.deepEqual((await store.list()).map((image) => image.target), [target(index + 1)]);
  });

  it("a list is of one revision, over many pages, whatever is written meanwhile", async () => {
    const store = fresh({ pageSize: 7 });
    await Promise.all(Array.from({ length: 60 }, (_, index) => store.put(`image-${String(index).padStart(3, "0")}`, target(1))));
    let writing = true;
    // Two images are changed one after the other all the time: a list that mixes revisions would see the second ahead.
    const writer = (async (): Promise<void> => {
      for (let size = 2; writing; size++) {
        await store.put("image-059", target(size));
        await store.put("image-000", target(size));
      }
    })();
    for (let round = 0; round < 15; round++) {
      const images = await store.list();
      const [first, last] = [Number(images[0]?.target.size), Number(images[59]?.target.size)];
      assert.equal(images.length, 60);
      assert.ok(last === first || last === first + 1, `one list shows ${first} and ${last}`);
    }
    writing = false;
    await writer;
  });

  it("a value that is no image is CORRUPT, named, and hides no other", async () => {
    const store = fresh();
    await store.put("a", target(1));
    await store.put("c", target(3));
    const key = Buffer.from(`/test-${prefixCount}/images/b`).toString("base64");
    await post("kv/put", { key, value: Buffer.from("garbage").toString("base64") });
    await assert.rejects(store.get("b"), { code: "CORRUPT", message: /"b"/ });
    await assert.rejects(store.list(), (error) => error instanceof CorruptImagesError && error.images.length === 2 && error.corrupt[0]?.name === "b");
    await store.put("b", target(2));
    assert.deepEqual((await store.list()).map((image) => image.name), ["a", "b", "c"]);
  });

  it("endpoints that are dead, or no etcd, are passed over; when all are, the error says what each said", async () => {
    const [first = 0, second = 0] = await freePorts(2);
    const noEtcd = createServer((_request, response) => { response.writeHead(404).end("nothing here"); });
    await new Promise<void>((resolve) => { noEtcd.listen(0, "127.0.0.1", resolve); });
    const address = noEtcd.address();
    const other = `http://127.0.0.1:${typeof address === "object" ? address?.port ?? 0 : 0}`;
    const store = new EtcdImageStore({ endpoints: [`http://127.0.0.1:${first}`, other, ...cluster.endpoints], prefix: "/failover" });
    await store.put("a", target(1));
    assert.equal((await store.get("a")).target.size, 1);
    const dead = new EtcdImageStore({ endpoints: [`http://127.0.0.1:${first}`, `http://127.0.0.1:${second}/`], timeoutMs: 5000 });
    await assert.rejects(dead.get("a"), (error) => error instanceof ImagesError && error.code === "UNAVAILABLE" &&
      error.message.includes(`:${first}: `) && error.message.includes(`:${second}: `));
    const wrong = new EtcdImageStore({ endpoints: other, timeoutMs: 3000 });
    await assert.rejects(wrong.get("a"), { code: "UNAVAILABLE", message: /HTTP status 404/ });
    await assert.rejects(wrong.get("a", { timeoutMs: 2000 }), { code: "UNAVAILABLE", message: /HTTP status 404/ });
    noEtcd.closeAllConnections();
    noEtcd.close();
    for (const endpoints of [[], ["ftp://x"], "127.0.0.1:2379"]) assert.throws(() => new EtcdImageStore({ endpoints }), { code: "INVALID" });
  });

  it("a list whose revision is compacted away between two pages begins anew", async () => {
    const name = `/test-${prefixCount + 1}`;
    const store = fresh();
    for (let size = 1; size <= 5; size++) await store.put(`image-${size}`, target(size));
    let compactions = 0;
    const proxy = createServer((request, response) => {
      void (async (): Promise<void> => {
        const body = JSON.parse(Buffer.concat(await request.toArray() as Buffer[]).toString()) as Record<string, unknown>;
        if (body["revision"] !== undefined && compactions++ === 0) {
          await store.put("image-9", target(9));
          const { header } = await post("kv/range", { key: "AA==" });
          await post("kv/compaction", { revision: (header as { revision: string }).revision });
        }
        const answer = await fetch(`${cluster.endpoints[0] ?? ""}${request.url ?? ""}`, { method: "POST", body: JSON.stringify(body) });
        response.writeHead(answer.status).end(await answer.text());
      })();
    });
    await new Promise<void>((resolve) => { proxy.listen(0, "127.0.0.1", resolve); });
    const address = proxy.address();
    const paged = new EtcdImageStore({ endpoints: `http://127.0.0.1:${typeof address === "object" ? address?.port ?? 0 : 0}`, prefix: name, pageSize: 2 });
    assert.deepEqual((await paged.list()).map((image) => image.target.size), [1, 2, 3, 4, 5, 9]);
    assert.ok(compactions > 1, "the list went on after the compaction");
    proxy.closeAllConnections();
    proxy.close();
  });

  it("conditional writes of many stores on one image all succeed, and lose none", async () => {
    const store = fresh();
    const stores = Array.from({ length: 80 }, () => new EtcdImageStore({ endpoints: cluster.endpoints, prefix: `/test-${prefixCount}` }));
    await store.create("a", target(1), { labels: { start: "x" } });
    await Promise.all(stores.map((each, index) => each.update("a", {
      target: target(1), labels: { [`k${index}`]: "v" }, fields: [`labels.k${index}`],
    })));
    assert.equal(Object.keys((await store.get("a")).labels ?? {}).length, 81);
  });

  it("a create that a member held back, and that was made over another and undone, stays undone", async () => {
    const prefix = `/test-${++prefixCount}`;
    const [first = "", ...others] = cluster.endpoints;
    const late = await proxyTo(first, (body) => { if (JSON.stringify(body).includes("request_put")) cluster.pause(0); });
    const store = new EtcdImageStore({ endpoints: late.url, prefix });
    const other = new EtcdImageStore({ endpoints: others, prefix });
    try {
      await assert.rejects(store.create("a", target(1), { timeoutMs: 1000 }), { code: "DEADLINE_EXCEEDED", message: /unknown whether/ });
      await other.put("a", target(2));
      await other.delete("a");
      cluster.resume(0);
      // 503: the member has lost its leader meanwhile, and drops what it was sent.
      assert.match(String(await late.answered), /^(200|503)$/);
      assert.deepEqual(await other.list(), []);
    } finally {
      cluster.resume(0);
      late.close();
    }
  });

  it("a member that fails in the middle loses no acknowledged image", async () => {
    const store = fresh();
    const acknowledged = new Set<string>();
    let killed: Promise<void> | undefined;
    const count = 200;
    await Promise.all(Array.from({ length: 8 }, async (_, worker) => {
      for (let index = worker; index < count; index += 8) {
        const name = `image-${index}`;
        await store.put(name, target(index + 1));
        acknowledged.add(name);
        if (index % 4 === 0) {
          await store.delete(name);
          acknowledged.delete(name);
        }
        if (acknowledged.size > count / 3) killed ??= cluster.kill(0);
      }
    }));
    assert.ok(killed !== undefined, "a member was stopped in the middle");
    await killed;
    const listed = await store.list();
    assert.deepEqual(new Set(listed.map((image) => image.name)), acknowledged);
    assert.equal(acknowledged.size, count - count / 4);
    for (const image of listed) assert.equal(image.name, `image-${Number(image.target.size) - 1}`);
  });

  it("without a majority a call ends in time, and says so", async () => {
    await cluster.kill(1);
    const store = new EtcdImageStore({ endpoints: cluster.endpoints, prefix: "/minority", timeoutMs: 1500 });
    await assert.rejects(store.put("a", target(1)), { code: "UNAVAILABLE", message: /no etcd endpoint answers/ });
  });
});
