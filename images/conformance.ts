/**
 * `hexbolt/images/conformance`: the one suite that every `ImageStore` passes, on node:test. Give it a way to make an empty
 * store; it registers its tests under the store's name.
 *
 * ```ts
 * imageStoreConformance({ name: "mine", create: async () => ({ store: new MyStore(), close: async () => {} }) });
 * ```
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ImagesError, isExists, isNotFound } from "./errors.js";
import type { Descriptor, EditableImageStore, Image, ImageStore } from "./types.js";

/** What is to be tested. */
export interface ConformanceOptions {
  /** Heads the tests. */
  readonly name: string;
  /** Makes an empty store; `close` runs when a test is over. */
  readonly create: () => Promise<{ readonly store: ImageStore; readonly close: () => Promise<void> }>;
  /** The store takes any int64 size, any digest and media type, as the early layout does. Default false: containerd's rules. */
  readonly anyDescriptor?: boolean | undefined;
  /** The store keeps labels and times, and has `create`, `update`, filters and conditional deletes. Default false. */
  readonly editable?: boolean | undefined;
  /** Rules the random test; printed with it. */
  readonly seed?: number | undefined;
  /** Operations in the random test; default 150. */
  readonly operations?: number | undefined;
  /** A reason to skip the suite. */
  readonly skip?: string | false | undefined;
}

type Run = (name: string, test: (store: ImageStore) => Promise<void>) => void;

const MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json";

/** Registers the suite. */
export function imageStoreConformance(options: ConformanceOptions): void {
  const run: Run = (name, test) => {
    it(name, async () => {
      const { store, close } = await options.create();
      try {
        await test(store);
      } finally {
        await close();
      }
    });
  };
  describe(`image store: ${options.name}`, { skip: options.skip ?? false }, () => {
    readingAndWriting(run);
    names(run);
    descriptors(run, options.anyDescriptor ?? false);
    concurrency(run);
    if (options.editable === true) {
      givenObjects(run);
      editing(run);
    }
    const seed = options.seed ?? Number(process.env["SEED"] ?? Date.now() % 1_000_000);
    run(`random calls do what a map does (SEED=${seed})`, (store) => randomCalls(store, seed, options.operations ?? 150));
  });
}

function readingAndWriting(run: Run): void {
  run("an empty store lists nothing", async (store) => {
    assert.deepEqual(await store.list(), []);
  });
  run("what was put is got and listed", async (store) => {
    await store.put("example.com/a:1", descriptor(1));
    assert.deepEqual(essence(await store.get("example.com/a:1")), { name: "example.com/a:1", target: descriptor(1) });
    assert.deepEqual((await store.list()).map(essence), [{ name: "example.com/a:1", target: descriptor(1) }]);
  });
  run("a put replaces the image of that name and no other", async (store) => {
    await store.put("a", descriptor(1));
    await store.put("b", descriptor(2));
    await store.put("a", descriptor(3));
    assert.deepEqual((await store.list()).map(essence), [{ name: "a", target: descriptor(3) }, { name: "b", target: descriptor(2) }]);
  });
  run("what is not there is NOT_FOUND, for get and for delete, and the error names it", async (store) => {
    await store.put("other", descriptor(1));
    for (const call of [async (): Promise<unknown> => store.get("missing:1"), async (): Promise<unknown> => store.delete("missing:1")]) {
      await assert.rejects(call, (error) => isNotFound(error) && error instanceof Error && error.message.includes("missing:1"));
    }
  });
  run("a deleted image is gone, the others stay, and the name can be used again", async (store) => {
    for (const [index, name] of ["a", "b", "c"].entries()) await store.put(name, descriptor(index + 1));
    await store.delete("b");
    await assert.rejects(store.get("b"), isNotFound);
    await assert.rejects(store.delete("b"), isNotFound);
    assert.deepEqual((await store.list()).map((image) => image.name), ["a", "c"]);
    await store.put("b", descriptor(9));
    assert.deepEqual((await store.get("b")).target, descriptor(9));
  });
  run("what a call returns belongs to the caller", async (store) => {
    await store.put("a", descriptor(1));
    const first = await store.list();
    first.length = 0;
    assert.equal((await store.list()).length, 1);
  });
}

function names(run: Run): void {
  const all = [
    "a", "A", "a.b", "a/b", "a:b", "a@sha256:c", "docker.io/library/nginx:1.25", "localhost:5000/team/app:v1.0-rc.1",
    "größe/ü:ß", "日本語/イメージ:最新", "emoji/\u{1f600}", "with space", "quote\"back\\slash", "per%cent?and#hash", "x".repeat(1000),
  ];
  run("names keep every character", async (store) => {
    for (const [index, name] of all.entries()) await store.put(name, descriptor(index + 1));
    for (const [index, name] of all.entries()) assert.deepEqual(essence(await store.get(name)), { name, target: descriptor(index + 1) });
    assert.equal((await store.list()).length, all.length);
  });
  run("a list is in byte order of the names, which is not the order of JavaScript strings", async (store) => {
    const some = ["b", "a", "a/b", "a:b", "\u{1f600}", "\uff5e", "é", "Z", "a-b"];
    for (const name of some) await store.put(name, descriptor(1));
    const expected = [...some].sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
    assert.deepEqual((await store.list()).map((image) => image.name), expected);
  });
  run("the empty name is INVALID", async (store) => {
    await assert.rejects(async () => store.put("", descriptor(1)), hasCode("INVALID"));
    assert.deepEqual(await store.list(), []);
  });
  run("a name may have as many bytes as a key of a bolt file, 32,768; a longer one is INVALID to put, and nowhere", async (store) => {
    for (const name of [`${"ü".repeat(16_384)}x`, "n".repeat(100_000)]) {
      await assert.rejects(async () => store.put(name, descriptor(1)), hasCode("INVALID"));
      await assert.rejects(async () => store.get(name), isNotFound);
      await assert.rejects(async () => store.delete(name), isNotFound);
    }
    await store.put("ü".repeat(16_384), descriptor(1));
    assert.deepEqual((await store.list()).map((image) => essence(image)), [{ name: "ü".repeat(16_384), target: descriptor(1) }]);
  });
}

function descriptors(run: Run, anyDescriptor: boolean): void {
  const sizes: (number | bigint)[] = [1, 127, 128, 2 ** 31, Number.MAX_SAFE_INTEGER, 1n << 53n, (1n << 53n) + 1n, 1n << 62n, (1n << 63n) - 1n];
  if (anyDescriptor) sizes.push(0, -1, -128, Number.MIN_SAFE_INTEGER, -(1n << 53n), -(1n << 63n));
  run("sizes come back exactly: as a number where that is exact, else as a bigint", async (store) => {
    for (const size of sizes) await store.put(`size/${size}`, { ...descriptor(1), size });
    for (const size of sizes) assert.equal((await store.get(`size/${size}`)).target.size, size);
  });
  run("a small bigint size is the same as the number", async (store) => {
    await store.put("a", { ...descriptor(1), size: 42n });
    assert.equal((await store.get("a")).target.size, 42);
  });
  run("a size that no int64 holds is INVALID, and nothing is stored", async (store) => {
    for (const size of [1n << 63n, -(1n << 63n) - 1n, 1.5, Number.NaN, Infinity, 2 ** 53]) {
      await assert.rejects(async () => store.put("a", { ...descriptor(1), size }), hasCode("INVALID"), String(size));
    }
    assert.deepEqual(await store.list(), []);
  });
  if (anyDescriptor) return;
  run("a descriptor that containerd refuses is INVALID", async (store) => {
    const good = descriptor(1);
    const bad: Descriptor[] = [
      { ...good, size: 0 }, { ...good, size: -1 }, { ...good, mediaType: "" }, { ...good, digest: "" },
      { ...good, digest: good.digest.slice(0, -1) }, { ...good, digest: good.digest.toUpperCase() },
      { ...good, digest: `md5:${"0".repeat(32)}` }, { ...good, digest: "sha256" }, { ...good, digest: "sha256:" },
    ];
    for (const target of bad) await assert.rejects(async () => store.put("a", target), hasCode("INVALID"), JSON.stringify(target));
    assert.deepEqual(await store.list(), []);
  });
}

function concurrency(run: Run): void {
  run("puts at the same time all land", async (store) => {
    const count = 50;
    await Promise.all(Array.from({ length: count }, (_, index) => store.put(`image-${index}`, descriptor(index + 1))));
    const listed = new Map((await store.list()).map((image) => [image.name, image.target.size]));
    assert.equal(listed.size, count);
    for (let index = 0; index < count; index++) assert.equal(listed.get(`image-${index}`), index + 1);
  });
  run("puts of one name at the same time leave one of them, whole", async (store) => {
    await Promise.all(Array.from({ length: 100 }, (_, index) => store.put("same", descriptor(index + 1))));
    const { target } = await store.get("same");
    assert.deepEqual(target, descriptor(Number(target.size)));
  });
  run("what a call was given may be changed while it runs", async (store) => {
    const given: { mediaType: string; digest: string; size: number | bigint } = { ...descriptor(1) };
    const first = store.put("a", given);
    Object.assign(given, descriptor(2));
    const second = store.put("b", given);
    Object.assign(given, descriptor(3));
    await Promise.all([first, second]);
    assert.deepEqual((await store.list()).map(essence), [{ name: "a", target: descriptor(1) }, { name: "b", target: descriptor(2) }]);
  });
  run("one that fails among many takes no other with it", async (store) => {
    const calls = [store.put("a", descriptor(1)), store.delete("missing"), store.put("b", descriptor(2))];
    const ends = (await Promise.allSettled(calls)).map((end) => end.status);
    assert.deepEqual(ends, ["fulfilled", "rejected", "fulfilled"]);
    assert.deepEqual((await store.list()).map((image) => image.name), ["a", "b"]);
  });
  run("a call that was given up beforehand does nothing and says so", async (store) => {
    const signal = AbortSignal.abort();
    for (const call of [
      async (): Promise<unknown> => store.put("a", descriptor(1), { signal }),
      async (): Promise<unknown> => store.get("a", { signal }),
      async (): Promise<unknown> => store.list({ signal }),
      async (): Promise<unknown> => store.delete("a", { signal }),
    ]) await assert.rejects(call, { name: "AbortError" });
    assert.deepEqual(await store.list(), []);
  });
}

/** A descriptor and labels that are changed at once after the call that was given them, and what they were. */
function fleeting(index: number): { given: { target: Descriptor; labels: Record<string, string> }; was: { target: Descriptor; labels: Record<string, string> }; change: () => void } {
  const make = (of: number): { target: Descriptor & { annotations: Record<string, string> }; labels: Record<string, string> } =>
    ({ target: { ...descriptor(of), annotations: { of: `${of}` } }, labels: { of: `${of}` } });
  const given = make(index);
  const change = (): void => {
    const other = make(index + 100);
    Object.assign(given.target.annotations, other.target.annotations);
    Object.assign(given.labels, other.labels);
    Object.assign(given.target, descriptor(index + 100));
  };
  return { given, was: make(index), change };
}

function givenObjects(run: Run): void {
  run("labels, annotations, fields and conditions may be changed while the call runs, too", async (store) => {
    const [put, created, updated] = [fleeting(1), fleeting(2), fleeting(3)];
    const putting = store.put("put", put.given.target, { labels: put.given.labels });
    put.change();
    const creating = editable(store).create("created", created.given.target, { labels: created.given.labels });
    created.change();
    await Promise.all([putting, creating]);
    const fields = ["labels", "target"];
    const updating = editable(store).update("put", { ...updated.given, fields });
    updated.change();
    fields.length = 0;
    await updating;
    for (const [name, { was }] of [["put", updated], ["created", created]] as const) {
      const { labels, target } = await store.get(name);
      assert.deepEqual({ labels, target }, { labels: was.labels, target: was.target }, name);
    }
    const condition = { digest: descriptor(50).digest };
    const deleting = store.delete("put", condition);
    condition.digest = updated.was.target.digest;
    await assert.rejects(deleting, isNotFound);
    assert.deepEqual((await store.list()).map(({ name }) => name), ["created", "put"]);
  });
}

function editing(run: Run): void {
  run("create refuses a name that is taken, and leaves it as it is", async (store) => {
    const images = editable(store);
    const created = await images.create("a", descriptor(1), { labels: { kind: "first" } });
    assert.deepEqual(essence(created), { name: "a", target: descriptor(1) });
    await assert.rejects(images.create("a", descriptor(2)), isExists);
    const image = await images.get("a");
    assert.deepEqual([image.target, image.labels], [descriptor(1), { kind: "first" }]);
  });
  run("a put replaces the labels too; the creation time stays", async (store) => {
    await store.put("a", descriptor(1), { labels: { one: "1", two: "2", empty: "" } });
    const before = await store.get("a");
    assert.deepEqual(before.labels, { one: "1", two: "2" });
    await store.put("a", { ...descriptor(2), annotations: { note: "☃" } }, { labels: { three: "3" } });
    const after = await store.get("a");
    assert.deepEqual([after.labels, after.target.annotations], [{ three: "3" }, { note: "☃" }]);
    assert.ok(before.createdAt !== undefined && after.updatedAt !== undefined);
    assert.deepEqual(after.createdAt, before.createdAt);
    assert.ok(after.updatedAt >= before.createdAt);
    await store.put("a", descriptor(3));
    assert.equal((await store.get("a")).labels, undefined);
  });
  run("update changes the fields that are named and no others", async (store) => {
    const images = editable(store);
    await images.create("a", descriptor(1), { labels: { keep: "k", change: "c", drop: "d" } });
    const update = { target: descriptor(2), labels: { change: "new", add: "a" } };
    await images.update("a", { ...update, fields: ["labels.change", "labels.add", "labels.drop"] });
    let image = await images.get("a");
    assert.deepEqual([image.target, image.labels], [descriptor(1), { keep: "k", change: "new", add: "a" }]);
    await images.update("a", { ...update, fields: ["target"] });
    await images.update("a", { ...update, fields: ["labels"] });
    image = await images.get("a");
    assert.deepEqual([image.target, image.labels], [descriptor(2), { change: "new", add: "a" }]);
    await assert.rejects(images.update("a", { ...update, fields: ["name"] }), hasCode("INVALID"));
    await assert.rejects(images.update("a", { ...update, fields: [`labels.${"k".repeat(5000)}`] }), hasCode("INVALID"));
    await assert.rejects(images.update("missing", { ...update, fields: ["target"] }), isNotFound);
  });
  run("a delete with a digest leaves an image that has another", async (store) => {
    await store.put("a", descriptor(1));
    await assert.rejects(store.delete("a", { digest: descriptor(2).digest }), isNotFound);
    await store.delete("a", { digest: descriptor(1).digest });
    await assert.rejects(store.get("a"), isNotFound);
  });
  run("filters choose images, in name order", async (store) => {
    await store.put("app/web:1", descriptor(1), { labels: { env: "prod" } });
    await store.put("app/web:2", descriptor(2), { labels: { env: "test", "a.b/c": "x y" } });
    await store.put("db:1", descriptor(3));
    const cases: readonly [readonly string[], readonly string[]][] = [
      [["name==db:1"], ["db:1"]],
      [["name~=^app/"], ["app/web:1", "app/web:2"]],
      [["labels.env"], ["app/web:1", "app/web:2"]],
      [["labels.env!=prod"], ["app/web:2", "db:1"]],
      [['labels."a.b/c"=="x y"'], ["app/web:2"]],
      [["name~=/web/,labels.env==prod"], ["app/web:1"]],
      [["name==db:1", "labels.env==test"], ["app/web:2", "db:1"]],
      [[`target.digest==${descriptor(3).digest}`], ["db:1"]],
    ];
    for (const [filters, expected] of cases) {
      assert.deepEqual((await store.list({ filters })).map((image) => image.name), expected, filters.join(" or "));
    }
    await assert.rejects(store.list({ filters: ["name=="] }), hasCode("INVALID"));
  });
}

async function randomCalls(store: ImageStore, seed: number, operations: number): Promise<void> {
  const random = generator(seed);
  const model = new Map<string, Descriptor>();
  for (let step = 0; step < operations; step++) {
    const name = `repo-${random(4)}/image:${random(6)}`;
    const expected = model.get(name);
    const choice = random(10);
    if (choice < 5) {
      const target = descriptor(1 + random(1_000_000));
      await store.put(name, target);
      model.set(name, target);
    } else if (choice < 7) {
      if (expected === undefined) await assert.rejects(store.delete(name), isNotFound);
      else await store.delete(name);
      model.delete(name);
    } else if (choice < 9) {
      if (expected === undefined) await assert.rejects(store.get(name), isNotFound);
      else assert.deepEqual((await store.get(name)).target, expected);
    } else {
      const names = [...model.keys()].sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
      assert.deepEqual((await store.list()).map(essence), names.map((listed) => ({ name: listed, target: model.get(listed) })));
    }
  }
}

/** A descriptor that containerd takes and that its size tells from every other. */
function descriptor(size: number): Descriptor {
  return { mediaType: MEDIA_TYPE, digest: `sha256:${size.toString(16).padStart(64, "0")}`, size };
}

/** The part of an image that every store keeps. */
function essence(image: Image): { name: string; target: Descriptor } {
  return { name: image.name, target: image.target };
}

function editable(store: ImageStore): EditableImageStore {
  assert.ok("create" in store && "update" in store, "the store has create and update");
  return store as EditableImageStore;
}

function hasCode(code: ImagesError["code"]): (error: unknown) => boolean {
  return (error) => error instanceof ImagesError && error.code === code;
}

/** Numbers from 0 to below `limit`, the same ones for the same seed. */
function generator(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}
