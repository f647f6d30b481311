/** The etcd store and the calls of one program on one image, on an endpoint that does what etcd does with a transaction. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { EtcdImageStore } from "../../images/index.js";
import type { ServerResponse } from "node:http";

const target = (size: number): { mediaType: string; digest: string; size: number } => ({
  mediaType: "application/test", digest: `sha256:${size.toString(16).padStart(64, "0")}`, size,
});

interface Compare {
  readonly key: string;
  readonly target: "CREATE" | "MOD";
  readonly mod_revision?: string;
}

interface Transaction {
  readonly compare: readonly [Compare];
  readonly success: readonly [{ readonly request_put: { readonly key: string; readonly value: string } }];
}

type Answer = (response: ServerResponse, body: unknown) => void;

/** Serves one endpoint while `use` runs. */
async function withEndpoint(answer: Answer, use: (url: string) => Promise<void>): Promise<void> {
  const server = createServer((request, response) => {
    void text(request).then((body) => { answer(response, JSON.parse(body)); });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  try {
    await use(`http://127.0.0.1:${address.port}`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

/** Keeps what is put where the compare holds; otherwise answers with what is there. */
function keeper(): { readonly answer: Answer; readonly requests: () => number } {
  const kept = new Map<string, { readonly key: string; readonly value: string; readonly mod_revision: string }>();
  let requestCount = 0;
  return {
    requests: () => requestCount,
    answer(response, body) {
      const { compare: [compare], success: [{ request_put: { key, value } }] } = body as Transaction;
      const revision = String(++requestCount);
      const there = kept.get(key);
      const succeeded = compare.target === "CREATE" ? there === undefined : there?.mod_revision === compare.mod_revision;
      if (succeeded) kept.set(key, { key, value, mod_revision: revision });
      const header = { revision };
      response.end(JSON.stringify(succeeded ? { header, succeeded } : { header, responses: [{ response_range: { kvs: [there] } }] }));
    },
  };
}

test("puts of one image at once wait for each other: none is the other's conflict", async () => {
  const { answer, requests } = keeper();
  await withEndpoint(answer, async (endpoints) => {
    const store = new EtcdImageStore({ endpoints });
    await Promise.all(Array.from({ length: 200 }, (_, i) => store.put("same", target(i))));
    // A new image takes one request, one that is there two.
    assert.equal(requests(), 1 + 199 * 2);
  });
});

test("who waits for an earlier change is told so when its time is over, and holds up no other image", async () => {
  const asked: string[] = [];
  let bothAsked = (): void => undefined;
  const arrived = new Promise<void>((resolve) => { bothAsked = resolve; });
  const answer: Answer = (_response, body) => {
    asked.push(Buffer.from((body as Transaction).compare[0].key, "base64").toString());
    if (asked.length === 2) bothAsked();
  };
  await withEndpoint(answer, async (endpoints) => {
    const store = new EtcdImageStore({ endpoints, timeoutMs: 50 });
    const giveUp = new AbortController();
    const patient = { timeoutMs: 600_000, signal: giveUp.signal };
    const cancelled = ["a", "b"].map(async (name) => assert.rejects(store.put(name, target(1), patient), { code: "CANCELLED" }));
    const waiting = /the changes of image "a" before this one have not ended/;
    await assert.rejects(store.put("a", target(2)), { code: "UNAVAILABLE", message: waiting });
    await assert.rejects(store.delete("a", { timeoutMs: 1 }), { code: "DEADLINE_EXCEEDED", message: waiting });
    await arrived;
    assert.deepEqual(asked.toSorted(), ["/hexbolt/images/a", "/hexbolt/images/b"]);
    giveUp.abort();
    await Promise.all(cancelled);
  });
});
