/** What a commit does with the storage: every write once and before the syncs, and where syncs are started while it writes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MemoryStorage, open } from "../../../engine/index.js";
import { atOnce } from "../../../engine/base/turns.js";
import { decodeManifest } from "../../../engine/format/manifest.js";
import type { Meta } from "../../../engine/format/meta.js";
import { type Durability, type Step, stepsOfCommit, type WriteStep } from "../../../engine/pager/commit-steps.js";
import { seedOfRun } from "../../support/random.js";

const PAGE_SIZE = 4096;
const META: Meta = { pageSize: PAGE_SIZE, root: 3, sequence: 0n, freelist: 2, highWaterMark: 100_000, txid: 8n };
const TWO_SYNCS: Durability = { noSync: false, durability: "two-sync" };

/** Writes of one page each, no two of them neighbours. */
function scattered(count: number): WriteStep[] {
  return Array.from({ length: count }, (_, i) => ({ kind: "write", position: (4 + 2 * i) * PAGE_SIZE, chunks: [Buffer.alloc(PAGE_SIZE, i)] }));
}

function kindsOf(steps: readonly Step[]): string[] {
  return steps.map(({ kind }) => kind);
}

test("a commit grows the file, writes its pages in order, sums them up, and syncs before and behind the meta", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  fc.assert(fc.property(fc.nat({ max: 200 }), fc.boolean(), (count, grows) => {
    const writes = scattered(count);
    const steps = stepsOfCommit(META, grows ? 1_000_000 : undefined, writes, TWO_SYNCS);
    const wanted = [...(grows ? ["truncate"] : []), ...writes.map(() => "write"), "compute", "sync", "meta", "sync"];
    assert.deepEqual(kindsOf(steps).filter((kind) => kind !== "startSync"), wanted);
    assert.deepEqual(steps.filter(({ kind }) => kind === "write"), writes);
  }), { seed, numRuns: 100 });
});

test("syncs are started after a fifth and a half of forty writes or more, of fewer never", () => {
  assert.ok(!kindsOf(stepsOfCommit(META, undefined, scattered(39), TWO_SYNCS)).includes("startSync"));
  for (const count of [40, 41, 100, 999]) {
    const kinds = kindsOf(stepsOfCommit(META, undefined, scattered(count), TWO_SYNCS));
    const starts = kinds.flatMap((kind, i) => (kind === "startSync" ? [kinds.slice(0, i).filter((before) => before === "write").length] : []));
    assert.deepEqual(starts, [Math.floor(count / 5), Math.floor(count / 2)]);
  }
});

test("without syncs none is started, and nothing is summed up", () => {
  const kinds = kindsOf(stepsOfCommit(META, undefined, scattered(50), { noSync: true, durability: "two-sync" }));
  assert.deepEqual(kinds, [...scattered(50).map(() => "write"), "meta"]);
});

test("one sync serves a commit with a manifest; one in more ranges than fit has none, and two syncs", () => {
  const oneSync: Durability = { noSync: false, durability: "one-sync" };
  assert.deepEqual(kindsOf(stepsOfCommit(META, undefined, scattered(5), oneSync)).slice(5), ["compute", "meta", "sync"]);
  const many = kindsOf(stepsOfCommit(META, undefined, scattered(3000), oneSync)).filter((kind) => kind !== "write" && kind !== "startSync");
  assert.deepEqual(many, ["sync", "meta", "sync"]);
});

test("the manifest is in the meta page once its step is done, and not before", () => {
  const steps = stepsOfCommit(META, undefined, scattered(3), TWO_SYNCS);
  const meta = steps.find((step) => step.kind === "meta")!;
  assert.equal(decodeManifest(meta.chunks[0]!), undefined);
  for (const step of steps) if (step.kind === "compute") atOnce(step.pieces());
  const manifest = decodeManifest(meta.chunks[0]!);
  assert.ok(manifest !== undefined && manifest !== "torn");
  assert.deepEqual(manifest.ranges, [{ start: 4, length: 1 }, { start: 6, length: 1 }, { start: 8, length: 1 }]);
});

class StartingStorage extends MemoryStorage {
  readonly calls: string[] = [];

  override write(chunks: readonly Uint8Array[], position: number): void {
    this.calls.push("write");
    super.write(chunks, position);
  }

  override sync(): void {
    this.calls.push("sync");
    super.sync();
  }

  override async syncAsync(): Promise<void> {
    this.calls.push("sync");
    await super.syncAsync();
  }

  override async writeAsync(chunks: readonly Uint8Array[], position: number): Promise<void> {
    this.calls.push("write");
    await super.writeAsync(chunks, position);
  }

  startSync(): void {
    this.calls.push("startSync");
  }
}

test("every way of committing starts syncs between its writes where the storage can, and the content is the same where it cannot", async () => {
  const storage = new StartingStorage();
  const plain = new MemoryStorage();
  const databases = [open("starting", { storage }), open("plain", { storage: plain })];
  const keys = Array.from({ length: 30_000 }, (_, i) => `key ${String(i).padStart(6, "0")}`);
  const change = (i: number, fill: number) => (tx: { bucket(name: string): { put(key: string, value: Uint8Array): void } | undefined }): void => {
    for (let k = i; k < keys.length; k += 301) tx.bucket("b")!.put(keys[k]!, Buffer.alloc(600, fill));
  };
  for (const db of databases) {
    db.update((tx) => {
      const bucket = tx.createBucket("b");
      for (const key of keys) bucket.put(key, Buffer.alloc(600, 1));
    });
  }
  const ways = [
    (i: number) => databases.map((db) => db.update(change(i, 2))),
    (i: number) => Promise.all(databases.map((db) => db.batch(change(i, 3)))),
    (i: number) => Promise.all(databases.map((db) => db.updateAsync(change(i, 4)))),
  ];
  for (const way of ways) {
    // Until the free pages lie so far apart that the writes are many.
    let starts = 0;
    for (let i = 0; i < 8; i++) {
      storage.calls.length = 0;
      await way(i);
      const { calls } = storage;
      starts += calls.filter((call) => call === "startSync").length;
      if (calls.includes("startSync")) assert.ok(calls.lastIndexOf("startSync") < calls.indexOf("sync") && calls.indexOf("write") < calls.indexOf("startSync"));
    }
    assert.ok(starts >= 2, `${starts} syncs were started`);
  }
  assert.ok(Buffer.from(storage.bytes()).equals(Buffer.from(plain.bytes())));
  for (const db of databases) db.close();
});
