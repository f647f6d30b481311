/** A server on a store without `create` and `update`: its changes take turns, and a call that has ended takes none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connectImages, serveImages } from "../../images/index.js";
import { tempPath } from "../support/temp.js";
import { MapImageStore } from "./map-store.js";
import type { Descriptor, Image } from "../../images/index.js";

const target: Descriptor = { mediaType: "application/test", digest: `sha256:${"0".repeat(64)}`, size: 1 };

/** A store in which the put of `slow`, and a look for `slow look`, last until they are let go, whatever their signal says. */
class HeldStore extends MapImageStore {
  readonly begun: string[] = [];
  letGo = (): void => undefined;
  readonly #held = new Promise<void>((resolve) => { this.letGo = resolve; });
  readonly #arrivals = new Map<string, () => void>();

  /** Resolves when the call has come. */
  arrived(name: string): Promise<void> {
    return new Promise((resolve) => { this.#arrivals.set(name, resolve); });
  }

  override async put(name: string, given: Descriptor): Promise<void> {
    this.begun.push(name);
    this.#arrivals.get(name)?.();
    if (name === "slow") await this.#held;
    await super.put(name, given);
  }

  override async get(name: string): Promise<Image> {
    if (name === "slow look") {
      this.#arrivals.get(name)?.();
      await this.#held;
    }
    return super.get(name);
  }
}

async function withServer(use: (store: HeldStore, client: ReturnType<typeof connectImages>) => Promise<void>): Promise<void> {
  const store = new HeldStore();
  await using server = await serveImages(store, { path: tempPath("plain.sock") });
  const client = connectImages(server.address);
  try {
    await use(store, client);
  } finally {
    store.letGo();
    client.close();
  }
}

test("a change whose call has ended before its turn is not made, however many end at once", async () => {
  await withServer(async (store, client) => {
    const hasBegun = store.arrived("slow");
    const giveUp = new AbortController();
    const slow = client.put("slow", target, { signal: giveUp.signal });
    await hasBegun;
    const late = Array.from({ length: 20 }, () => client.put("slow", target, { signal: giveUp.signal }));
    // What was sent before is seen by the server before it answers: the calls, and then that they are given up.
    await client.list();
    giveUp.abort();
    await Promise.all([slow, ...late].map((call) => assert.rejects(call, { code: "CANCELLED" })));
    await client.list();
    const next = client.put("slow", target);
    store.letGo();
    await next;
    assert.deepEqual(store.begun, ["slow", "slow"]);
  });
});

test("a put that never settles holds up no other image", async () => {
  await withServer(async (store, client) => {
    const hasBegun = store.arrived("slow");
    const slow = client.put("slow", target);
    await hasBegun;
    await client.put("next", target);
    await client.delete("next");
    store.letGo();
    await slow;
  });
});

test("a change waits for the one before it though its call has ended: it may yet be made", async () => {
  await withServer(async (store, client) => {
    const giveUp = new AbortController();
    const hasBegun = store.arrived("slow");
    const first = client.create("slow", target, { signal: giveUp.signal });
    await hasBegun;
    giveUp.abort();
    await assert.rejects(first, { code: "CANCELLED" });
    const second = client.create("slow", { ...target, size: 2 });
    await client.list();
    store.letGo();
    await assert.rejects(second, { code: "EXISTS" });
    assert.equal((await client.get("slow")).target.size, 1);
  });
});

test("a create that is given up while it looks does not put afterwards", async () => {
  await withServer(async (store, client) => {
    const giveUp = new AbortController();
    const hasBegun = store.arrived("slow look");
    const slow = client.create("slow look", target, { signal: giveUp.signal });
    await hasBegun;
    giveUp.abort();
    await assert.rejects(slow, { code: "CANCELLED" });
    await client.put("next", target);
    store.letGo();
    await client.put("after", target);
    assert.deepEqual(store.begun, ["next", "after"]);
  });
});
