/** What answers on an endpoint need not be etcd: nothing it says is believed. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { EtcdImageStore, ImagesError } from "../../images/index.js";
import { withFakeEtcd } from "./fake-etcd.js";
import { SELF_SIGNED } from "./self-signed.js";
import type { Server } from "node:http";

const target = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 1 };
const header = { cluster_id: "1", member_id: "1", revision: "7", raft_term: "2" };
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const record = base64(JSON.stringify({ target: { mediaType: "m", digest: "d", size: "1" } }));

/** Answers every request alike. */
async function endpointOf(answer: unknown, httpStatus = 200): Promise<{ readonly url: string; readonly server: Server; readonly requestCount: () => number }> {
  let requestCount = 0;
  const server = createServer((request, response) => {
    requestCount++;
    request.resume();
    request.once("end", () => response.writeHead(httpStatus).end(typeof answer === "string" ? answer : JSON.stringify(answer)));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return { url: `http://127.0.0.1:${address.port}`, server, requestCount: () => requestCount };
}

const FOREIGN: readonly [string, unknown][] = [
  ["an empty object", {}],
  ["an object of something else", { status: "ok" }],
  ["a page", "<html>hello</html>"],
  ["a header that is none", { header: "x", kvs: [] }],
  ["a header without a revision", { header: { cluster_id: "1" }, kvs: [], succeeded: true, responses: [] }],
  ["a revision that is no text of digits", { header: { revision: 7 }, kvs: [], succeeded: true, responses: [] }],
  ["a key that was not asked for", { header, kvs: [{ key: base64("/other"), create_revision: "2", mod_revision: "3", value: record }], count: "1" }],
];

for (const [what, answer] of FOREIGN) {
  test(`an endpoint that answers with ${what} is UNAVAILABLE in every call`, async () => {
    const { url, server } = await endpointOf(answer);
    const store = new EtcdImageStore({ endpoints: url });
    // Each is waited for from the start: one that fails while another is waited for would be a rejection that nobody handles.
    await Promise.all([store.get("a"), store.list(), store.delete("a")].map((call) => (
      assert.rejects(call, { code: "UNAVAILABLE", message: /none of etcd's/ })
    )));
    await assert.rejects(store.put("a", target), { code: "UNAVAILABLE" });
    server.close();
    server.closeAllConnections();
  });
}

test("an endpoint that is none of etcd's leads on to one that is", async () => {
  const foreign = await endpointOf({ status: "ok" });
  const etcd = await endpointOf({ header, kvs: [{ key: base64("/hexbolt/images/a"), create_revision: "2", mod_revision: "3", value: record }], count: "1" });
  const store = new EtcdImageStore({ endpoints: [foreign.url, etcd.url] });
  assert.deepEqual(await store.get("a"), { name: "a", target: { mediaType: "m", digest: "d", size: 1 } });
  for (const { server } of [foreign, etcd]) {
    server.close();
    server.closeAllConnections();
  }
});

test("what a member says that shuts down leads on to the next one, and a change that it was sent is looked for", async () => {
  await withFakeEtcd(async (etcd) => {
    const leaving = { code: 1, message: "grpc: the client connection is closing" };
    let isCarriedOut = false;
    etcd.intercept = async (request, carryOut) => {
      if (!request.isChange || isCarriedOut) return carryOut();
      isCarriedOut = true;
      carryOut();
      return leaving;
    };
    const store = new EtcdImageStore({ endpoints: etcd.url });
    await store.create("a", target);
    assert.ok(isCarriedOut);
    assert.deepEqual((await store.list()).map(({ name }) => name), ["a"]);
    const gone = await endpointOf(leaving, 499);
    assert.equal((await new EtcdImageStore({ endpoints: [gone.url, etcd.url] }).get("a")).name, "a");
    gone.server.close();
    gone.server.closeAllConnections();
  });
});

test("an endpoint that has only pages to answer with is not asked until the time is over", async () => {
  const { requestCount, server, url } = await endpointOf("<html>no</html>", 404);
  await assert.rejects(new EtcdImageStore({ endpoints: url }).get("a"), { code: "UNAVAILABLE", message: /HTTP status 404$/ });
  assert.ok(requestCount() < 10, `${requestCount()}`);
  server.close();
  server.closeAllConnections();
});

test("a redirection is not followed: it is told as that, and nobody else hears the password", async () => {
  const elsewhere = await endpointOf({ header, kvs: [], count: "0" });
  for (const httpStatus of [301, 302, 307, 308]) {
    const server = createServer((request, response) => {
      request.resume();
      request.once("end", () => response.writeHead(httpStatus, { location: `${elsewhere.url}${request.url}` }).end());
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    const url = `http://127.0.0.1:${address.port}`;
    const store = new EtcdImageStore({ endpoints: url, headers: { Authorization: "secret" } });
    await Promise.all([store.get("a"), store.put("a", target)].map((call) => (
      assert.rejects(call, { code: "UNAVAILABLE", message: new RegExp(`${url}: it redirects elsewhere \\(HTTP status ${httpStatus}\\), which is not followed`) })
    )));
    server.close();
    server.closeAllConnections();
  }
  assert.equal(elsewhere.requestCount(), 0);
  elsewhere.server.close();
  elsewhere.server.closeAllConnections();
});

test("a proxy whose server begins anew is waited for", async () => {
  for (const httpStatus of [502, 503, 504, 429]) {
    await withFakeEtcd(async (etcd) => {
      const before = createServer((request, response) => {
        request.resume();
        request.once("end", () => { response.writeHead(httpStatus).end("<html>later</html>"); });
      }).listen(0, "127.0.0.1");
      await once(before, "listening");
      const address = before.address();
      assert.ok(typeof address === "object" && address !== null);
      let requestCount = 0;
      before.on("request", () => {
        // As many as would end the call if nobody were there: one a round.
        if (++requestCount === 4) before.emit("over");
      });
      const store = new EtcdImageStore({ endpoints: `http://127.0.0.1:${address.port}` });
      const over = once(before, "over");
      const put = store.put("a", target);
      await over;
      before.removeAllListeners("request");
      before.on("request", (request, response) => {
        void (async () => {
          const parts: Uint8Array[] = [];
          for await (const part of request) parts.push(part as Uint8Array);
          const answer = await fetch(etcd.url + (request.url ?? ""), { method: "POST", body: Buffer.concat(parts) });
          response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer()));
        })();
      });
      await put;
      assert.equal((await store.get("a")).name, "a");
      before.close();
      before.closeAllConnections();
    });
  }
});

test("an endpoint whose certificate nobody vouches for is told as that, and not asked until the time is over", async () => {
  const server = createTlsServer(SELF_SIGNED, (_request, response) => response.end("{}"));
  let connectionCount = 0;
  server.on("connection", () => connectionCount++);
  server.on("tlsClientError", () => undefined);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  await assert.rejects(new EtcdImageStore({ endpoints: `https://127.0.0.1:${address.port}` }).get("a"), { code: "UNAVAILABLE", message: /certificate/ });
  assert.ok(connectionCount < 10, `${connectionCount}`);
  server.close();
});

test("a user that etcd misses, or whose rights have changed, is not the caller's argument", async () => {
  for (const message of ["etcdserver: user name is empty", "etcdserver: revision of auth store is old"]) {
    await withFakeEtcd(async (etcd) => {
      etcd.intercept = async () => ({ code: 3, message });
      await assert.rejects(new EtcdImageStore({ endpoints: etcd.url }).get("a"), { code: "UNAVAILABLE", message: `etcd refuses: ${message}` });
    });
  }
});

test("a call that is given up says what the endpoint said before, not that the last attempt was cut off", async () => {
  const giveUp = new AbortController();
  let requestCount = 0;
  const server = createServer((request, response) => {
    request.resume();
    if (++requestCount === 1) response.writeHead(404).end();
    else giveUp.abort();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const store = new EtcdImageStore({ endpoints: `http://127.0.0.1:${address.port}` });
  await assert.rejects(store.get("a", { signal: giveUp.signal }), { code: "CANCELLED", message: /HTTP status 404/ });
  server.close();
  server.closeAllConnections();
});

test("an endpoint that never answers is left for the next one, though memory is collected all the while", async () => {
  setFlagsFromString("--expose-gc");
  // Bun has another engine, with no such flag.
  const collect = "bun" in process.versions ? (): void => undefined : runInNewContext("gc") as () => void;
  setFlagsFromString("--no-expose-gc");
  const dead = createServer(() => undefined).listen(0, "127.0.0.1");
  await once(dead, "listening");
  const address = dead.address();
  assert.ok(typeof address === "object" && address !== null);
  const etcd = await endpointOf({ header, kvs: [{ key: base64("/hexbolt/images/a"), create_revision: "2", mod_revision: "3", value: record }], count: "1" });
  const store = new EtcdImageStore({ endpoints: [`http://127.0.0.1:${address.port}`, etcd.url], attemptMs: 200, timeoutMs: 5000 });
  let isOver = false;
  const read = store.get("a").finally(() => { isOver = true; });
  const collecting = (async (): Promise<void> => {
    while (!isOver) {
      collect();
      await new Promise((resolve) => { setTimeout(resolve, 10); });
    }
  })();
  assert.equal((await read).name, "a");
  await collecting;
  for (const server of [dead, etcd.server]) {
    server.close();
    server.closeAllConnections();
  }
});

test("endpoints, a prefix or headers of a wrong type are a TypeError that says what they are", () => {
  for (const endpoints of [undefined, null, 5, {}, new Set(["http://host"])]) {
    assert.throws(() => new EtcdImageStore({ endpoints: endpoints as never }), { name: "TypeError", message: /^endpoints are a URL or an array of URLs/ });
  }
  assert.throws(() => new EtcdImageStore({ endpoints: [undefined as never] }), { name: "TypeError", message: /^an endpoint is a string/ });
  for (const prefix of [null, 5, {}, ["/a"]]) {
    assert.throws(() => new EtcdImageStore({ endpoints: "http://host", prefix: prefix as never }), { name: "TypeError", message: /^prefix is a string/ });
  }
  for (const headers of [null, 5, "Authorization: x", new Map(), new Headers()]) {
    assert.throws(() => new EtcdImageStore({ endpoints: "http://host", headers: headers as never }), { name: "TypeError", message: /^headers are an object of strings/ });
  }
});

test("an endpoint or a header that no request can have is INVALID at once, and shows no password", () => {
  const endpoints = [
    "http://user:secret@host", "http://user:secret@host:2379/", "http://host?secret", "http://host#secret", " http://secret", "http://secret\n", "http:\\\\secret",
    "secret@host", "http://",
  ];
  for (const endpoint of endpoints) {
    assert.throws(() => new EtcdImageStore({ endpoints: endpoint }), (error) =>
      error instanceof ImagesError && error.code === "INVALID" && !error.message.includes("secret"), endpoint);
  }
  for (const headers of [{ Authorization: "secret\n" }, { Authorization: "secret\r\nX: y" }, { Authorization: "secret\u0100" }, { "a b": "secret" }, { "": "secret" }]) {
    assert.throws(() => new EtcdImageStore({ endpoints: "http://host", headers }), (error) =>
      error instanceof ImagesError && error.code === "INVALID" && !error.message.includes("secret"), JSON.stringify(headers));
  }
  assert.ok(new EtcdImageStore({ endpoints: ["http://[::1]:2379/", "https://host/etcd"], headers: { Authorization: "Basic dTpw", "X-Y": "" } }));
});
