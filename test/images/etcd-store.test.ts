/** The etcd store and the calls of one program on one image, on an endpoint that does what etcd does with a transaction. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EtcdImageStore } from "../../images/index.js";
import { withFakeEtcd } from "./fake-etcd.js";

const target = (size: number): { mediaType: string; digest: string; size: number } => ({
  mediaType: "application/test", digest: `sha256:${size.toString(16).padStart(64, "0")}`, size,
});

test("puts of one image at once wait for each other: none is the other's conflict", async () => {
  await withFakeEtcd(async (etcd) => {
    const store = new EtcdImageStore({ endpoints: etcd.url });
    await Promise.all(Array.from({ length: 200 }, (_, i) => store.put("same", target(i))));
    // A put looks and writes.
    assert.equal(etcd.requests.length, 200 * 2);
  });
});

test("who waits for an earlier change is told so when its time is over, and holds up no other image", async () => {
  const asked: string[] = [];
  let bothAsked = (): void => undefined;
  const arrived = new Promise<void>((resolve) => { bothAsked = resolve; });
  await withFakeEtcd(async (etcd) => {
    etcd.intercept = (request) => new Promise(() => {
      asked.push(Buffer.from(request.body.success?.[0]?.request_range?.key ?? "", "base64").toString());
      if (asked.length === 2) bothAsked();
    });
    const store = new EtcdImageStore({ endpoints: etcd.url, timeoutMs: 50 });
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
