/** The etcd store and the calls of one program on one image, on an endpoint that does what etcd does with a transaction. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CorruptImagesError, EtcdImageStore } from "../../images/index.js";
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

test("a key or a value that is no UTF-8, and a key without a name, are CORRUPT and hide no other", async () => {
  await withFakeEtcd(async (etcd) => {
    const store = new EtcdImageStore({ endpoints: etcd.url });
    await store.put("whole", target(1));
    const record = (mediaType: Uint8Array): Buffer => Buffer.concat([
      Buffer.from('{"target":{"digest":"d","size":"1","mediaType":"'), mediaType, Buffer.from('"}}'),
    ]);
    const prefix = Buffer.from("/hexbolt/images/");
    etcd.put(prefix, record(Buffer.from("m")));
    etcd.put(Buffer.concat([prefix, Buffer.of(0x61, 0xff)]), record(Buffer.from("m")));
    etcd.put(Buffer.concat([prefix, Buffer.from("value")]), record(Buffer.of(0x6d, 0xff)));
    await assert.rejects(store.list(), (error) => {
      assert.ok(error instanceof CorruptImagesError);
      assert.deepEqual(error.images.map(({ name }) => name), ["whole"]);
      assert.deepEqual(error.corrupt, [
        { name: "", reason: "its name is empty" }, { name: "a\ufffd", reason: "its name is no UTF-8" }, { name: "value", reason: "its value is no UTF-8" },
      ]);
      return true;
    });
    await assert.rejects(store.get("value"), { code: "CORRUPT", message: /"value"/ });
    // A name that holds the character itself is a name.
    await store.put("\ufffd", target(2));
    assert.equal((await store.get("\ufffd")).name, "\ufffd");
  });
});
