/** Changes in etcd whose answers are lost, or that are carried out late: what others have done is never undone, and what is said is true. */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { EtcdImageStore, ImagesError, isNotFound } from "../../images/index.js";
import { withFakeEtcd } from "./fake-etcd.js";
import type { FakeEtcd } from "./fake-etcd.js";

const target = (size: number): { mediaType: string; digest: string; size: number } => ({
  mediaType: "application/test", digest: `sha256:${size.toString(16).padStart(64, "0")}`, size,
});

type Work = (store: EtcdImageStore) => Promise<unknown>;

const sizeOf = async (store: EtcdImageStore): Promise<unknown> => store.get("a").then((image) => image.target.size, (error: unknown) => {
  assert.ok(isNotFound(error), String(error));
  return undefined;
});

/** Keeps back the answer to the next change of our store: `before` runs ahead of it, `after` when it was carried out, and then the connection is cut. */
function loseAnswer(etcd: FakeEtcd, before: () => Promise<unknown>, after: () => Promise<unknown>): void {
  const forward = etcd.intercept;
  etcd.intercept = async (request, carryOut) => {
    if (!request.isChange) return carryOut();
    etcd.intercept = forward;
    await before();
    carryOut();
    await after();
    return "cut off";
  };
}

/** Lets another change the image ahead of each of our changes, so often. Gives what ends that, and waits for the change that is under way. */
function loseConflicts(etcd: FakeEtcd, other: EtcdImageStore, count: number): () => Promise<void> {
  const forward = etcd.intercept;
  let [lost, most] = [0, count];
  let last = Promise.resolve();
  const intercept: FakeEtcd["intercept"] = async (request, carryOut) => {
    if (request.isChange && lost++ < most) {
      etcd.intercept = forward;
      last = other.put("a", target(100 + lost)).then(() => { etcd.intercept = intercept; });
      await last;
    }
    return carryOut();
  };
  etcd.intercept = intercept;
  return () => {
    most = 0;
    return last;
  };
}

const CREATE: Work = (store) => store.create("a", target(1));
const PUT: Work = (store) => store.put("a", target(1));
const DELETE: Work = (store) => store.delete("a");
const UPDATE: Work = (store) => store.update("a", { target: target(1), fields: ["target"] });
const OTHER_PUT: Work = (store) => store.put("a", target(2));
const REMAKE: Work = async (store) => { await store.delete("a"); await store.put("a", target(2)); await store.put("a", target(3)); };

const DONE = "done";
/** What is there at first, our change, what another does then, how ours ends, which size is left. */
const AFTER: readonly [string, Work | undefined, Work, Work, string, number | undefined][] = [
  ["a delete, and another creates the image", PUT, DELETE, (store) => store.create("a", target(2)), DONE, 2],
  ["a delete, and another creates and deletes it", PUT, DELETE, async (store) => { await store.put("a", target(2)); await store.delete("a"); }, DONE, undefined],
  ["a put of a new image, and another replaces it", undefined, PUT, OTHER_PUT, DONE, 2],
  ["a put over an image, and another replaces it twice", OTHER_PUT, PUT, async (store) => { await store.put("a", target(3)); await store.put("a", target(4)); }, DONE, 4],
  ["a put over an image, and another deletes it", OTHER_PUT, PUT, DELETE, DONE, undefined],
  ["a put over an image, and another makes it anew", OTHER_PUT, PUT, REMAKE, DONE, 3],
  ["an update, and another replaces the image", OTHER_PUT, UPDATE, (store) => store.put("a", target(3)), DONE, 3],
  ["a create, and another deletes it", undefined, CREATE, DELETE, DONE, undefined],
  ["a create, and another updates it", undefined, CREATE, (store) => store.update("a", { target: target(2), fields: ["target"] }), DONE, 2],
  ["a create, and another makes it anew", undefined, CREATE, REMAKE, DONE, 3],
  ["a create, and another image is deleted", undefined, CREATE, async (store) => { await store.put("b", target(1)); await store.delete("b"); }, DONE, 1],
];

/** The same, but the other one comes first: ours was not carried out. */
const BEFORE: readonly [string, Work | undefined, Work, Work, string, number | undefined][] = [
  ["a delete, after another has made the image anew", PUT, DELETE, REMAKE, DONE, undefined],
  ["a delete, after another has deleted it", PUT, DELETE, DELETE, "NOT_FOUND", undefined],
  ["a create, after another has created it", undefined, CREATE, OTHER_PUT, "EXISTS", 2],
  ["a create, after another has created and deleted it", undefined, CREATE, async (store) => { await store.put("a", target(2)); await store.delete("a"); }, DONE, 1],
  ["an update, after another has deleted the image", OTHER_PUT, UPDATE, DELETE, "NOT_FOUND", undefined],
];

describe("a change in etcd whose answer is lost", () => {
  for (const [isAfter, cases] of [[true, AFTER], [false, BEFORE]] as const) {
    for (const [what, first, ours, others, end, size] of cases) {
      it(`is told from what another does: ${what}`, async () => {
        await withFakeEtcd(async (etcd) => {
          const store = new EtcdImageStore({ endpoints: etcd.url });
          const other = new EtcdImageStore({ endpoints: etcd.url });
          await first?.(other);
          // Much else happens meanwhile.
          const act = async (): Promise<void> => {
            for (let index = 0; index < 5; index++) await other.put(`x${index}`, target(1));
            await others(other);
            for (let index = 0; index < 5; index++) await other.delete(`x${index}`);
          };
          const nothing = async (): Promise<void> => undefined;
          loseAnswer(etcd, isAfter ? nothing : act, isAfter ? act : nothing);
          const ended = await ours(store).then(() => DONE, (error: unknown) => (error instanceof ImagesError ? error.code : String(error)));
          assert.deepEqual([ended, await sizeOf(other)], [end, size]);
        });
      });
    }
  }

  it("is UNAVAILABLE and says that nobody knows, where the history was compacted away", async () => {
    for (const [first, ours] of [[undefined, CREATE], [OTHER_PUT, PUT], [OTHER_PUT, DELETE]] as const) {
      await withFakeEtcd(async (etcd) => {
        const store = new EtcdImageStore({ endpoints: etcd.url });
        const other = new EtcdImageStore({ endpoints: etcd.url });
        await first?.(other);
        loseAnswer(etcd, async () => undefined, async () => {
          await REMAKE(other).catch(() => OTHER_PUT(other));
          await other.delete("a");
          await other.put("a", target(9));
          etcd.compact();
        });
        await assert.rejects(ours(store), { code: "UNAVAILABLE", message: /image "a": it is unknown whether the change was made/ });
        assert.equal(await sizeOf(other), 9);
      });
    }
  });

  it("is known to be made where what is there bears its mark, though the history is gone", async () => {
    for (const [first, ours, left] of [[undefined, CREATE, 1], [OTHER_PUT, PUT, 1], [OTHER_PUT, DELETE, undefined]] as const) {
      await withFakeEtcd(async (etcd) => {
        const store = new EtcdImageStore({ endpoints: etcd.url });
        await first?.(store);
        loseAnswer(etcd, async () => undefined, async () => { etcd.compact(); });
        await ours(store);
        assert.equal(await sizeOf(store), left);
      });
    }
  });

  it("says that nobody knows when its time ends first", async () => {
    await withFakeEtcd(async (etcd) => {
      const store = new EtcdImageStore({ endpoints: etcd.url });
      etcd.intercept = async (request, carryOut) => (request.isChange ? "cut off" : carryOut());
      await assert.rejects(store.put("a", target(1), { timeoutMs: 400 }), { code: "DEADLINE_EXCEEDED", message: /it is unknown whether the change was made/ });
      // A read changes nothing: there is nothing to be unsure of.
      etcd.intercept = async () => "cut off";
      await assert.rejects(store.get("a", { timeoutMs: 400 }), (error) => error instanceof Error && !error.message.includes("unknown"));
    });
  });
});

test("a create that comes late, after the image was put and deleted elsewhere, does not bring it back", async () => {
  for (const late of [CREATE, PUT]) {
    await withFakeEtcd(async (etcd) => {
      const store = new EtcdImageStore({ endpoints: etcd.url });
      const other = new EtcdImageStore({ endpoints: etcd.url });
      let carryOutLate = (): object => ({});
      const forward = etcd.intercept;
      etcd.intercept = async (request, carryOut) => {
        if (!request.isChange) return carryOut();
        carryOutLate = carryOut;
        etcd.intercept = forward;
        return "cut off";
      };
      // The first copy stays in the member that stood still; the second is carried out.
      await late(store);
      await other.delete("a");
      carryOutLate();
      assert.equal(await sizeOf(other), undefined);
    });
  }
});

test("an image is created beside deletes of others", async () => {
  await withFakeEtcd(async (etcd) => {
    const stores = Array.from({ length: 8 }, () => new EtcdImageStore({ endpoints: etcd.url }));
    await Promise.all(stores.map(async (store, worker) => {
      for (let index = 0; index < 20; index++) {
        await store.create(`${worker}/${index}`, target(1));
        await store.delete(`${worker}/${index}`);
      }
      await store.create(`${worker}`, target(1));
    }));
    assert.equal((await stores[0]?.list())?.length, 8);
  });
});

test("a change that loses sixty conflicts is made all the same", async (t) => {
  await withFakeEtcd(async (etcd) => {
    const store = new EtcdImageStore({ endpoints: etcd.url });
    const other = new EtcdImageStore({ endpoints: etcd.url });
    // The pauses come to nothing.
    t.mock.method(Math, "random", () => -1);
    loseConflicts(etcd, other, 60);
    await store.put("a", target(1));
    assert.equal(await sizeOf(other), 1);
  });
});

test("who loses every conflict is told so when its time is over", async () => {
  await withFakeEtcd(async (etcd) => {
    const store = new EtcdImageStore({ endpoints: etcd.url, timeoutMs: 100 });
    const other = new EtcdImageStore({ endpoints: etcd.url });
    const letWin = loseConflicts(etcd, other, Infinity);
    // Most of the time is spent in pauses; it may also end in a request.
    await assert.rejects(store.put("a", target(1)), { code: "UNAVAILABLE", message: /changed by others all the time|no answer in time/ });
    // The other's change may still be under way then.
    await letWin();
  });
});
