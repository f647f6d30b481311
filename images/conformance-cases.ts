/** The cases of `hexbolt/images/conformance`: those that every store passes, and the list of all that one has to. */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { addEditingCases } from "./conformance-editing.js";
import { descriptor, essence, GIVEN_UP, hasCode, type Add, type Case } from "./conformance-support.js";
import { isNotFound } from "./errors.js";
import type { ConformanceOptions } from "./conformance.js";
import type { Descriptor, ImageStore } from "./types.js";

/** Gives all cases for such a store. */
export function conformanceCases(options: Omit<ConformanceOptions, "name" | "create" | "skip">): readonly Case[] {
  const cases: Case[] = [];
  const add: Add = (name, test) => void cases.push({ name, test });
  readingAndWriting(add);
  names(add);
  descriptors(add, options.anyDescriptor ?? false);
  concurrency(add);
  if (options.editable === true) addEditingCases(add, options.formerContainerd ?? false);
  const seed = options.seed ?? Number(process.env["SEED"] ?? Date.now() % 1_000_000);
  add(`random calls do what a map does (SEED=${seed})`, (store) => randomCalls(store, seed, options.operations ?? 150));
  manyImages(add);
  return cases;
}

function readingAndWriting(add: Add): void {
  add("an empty store lists nothing", async (store) => {
    assert.deepEqual(await store.list(), []);
  });
  add("what was put is got and listed", async (store) => {
    await store.put("example.com/a:1", descriptor(1));
    assert.deepEqual(essence(await store.get("example.com/a:1")), { name: "example.com/a:1", target: descriptor(1) });
    assert.deepEqual((await store.list()).map(essence), [{ name: "example.com/a:1", target: descriptor(1) }]);
  });
  add("a put replaces the image of that name and no other", async (store) => {
    await store.put("a", descriptor(1));
    await store.put("b", descriptor(2));
    await store.put("a", descriptor(3));
    assert.deepEqual((await store.list()).map(essence), [{ name: "a", target: descriptor(3) }, { name: "b", target: descriptor(2) }]);
  });
  add("what is not there is NOT_FOUND, for get and for delete, and the error names it", async (store) => {
    await store.put("other", descriptor(1));
    for (const call of [async (): Promise<unknown> => store.get("missing:1"), async (): Promise<unknown> => store.delete("missing:1")]) {
      await assert.rejects(call, (error) => isNotFound(error) && error instanceof Error && error.message.includes("missing:1"));
    }
  });
  add("a deleted image is gone, the others stay, and the name can be used again", async (store) => {
    for (const [index, name] of ["a", "b", "c"].entries()) await store.put(name, descriptor(index + 1));
    await store.delete("b");
    await assert.rejects(store.get("b"), isNotFound);
    await assert.rejects(store.delete("b"), isNotFound);
    assert.deepEqual((await store.list()).map((image) => image.name), ["a", "c"]);
    await store.put("b", descriptor(9));
    assert.deepEqual((await store.get("b")).target, descriptor(9));
  });
  add("a delete takes one image, and none whose name begins alike or that has the same target", async (store) => {
    for (const name of ["a", "a/b", "a:b", "ab", "b"]) await store.put(name, descriptor(1));
    await store.delete("a");
    assert.deepEqual((await store.list()).map((image) => image.name), ["a/b", "a:b", "ab", "b"]);
  });
  add("what a call returns belongs to the caller", async (store) => {
    await store.put("a", descriptor(1));
    const first = await store.list();
    for (const { target } of [await store.get("a"), ...first]) Reflect.set(target, "size", 2);
    first.length = 0;
    assert.deepEqual([await store.get("a"), ...await store.list()].map(({ target }) => target), [descriptor(1), descriptor(1)]);
  });
}

function names(add: Add): void {
  const all = [
    "a", "A", "a.b", "a/b", "a:b", "a@sha256:c", "docker.io/library/nginx:1.25", "localhost:5000/team/app:v1.0-rc.1",
    "größe/ü:ß", "日本語/イメージ:最新", "emoji/\u{1f600}", "with space", "quote\"back\\slash", "per%cent?and#hash", "x".repeat(1000),
    " a", "a ", "a//b", "/a", "a/", "../a", "a%2Fb", "\u00e9", "e\u0301", "a\0b", "a\nb", "__proto__", "constructor",
  ];
  add("names keep every character", async (store) => {
    for (const [index, name] of all.entries()) await store.put(name, descriptor(index + 1));
    for (const [index, name] of all.entries()) assert.deepEqual(essence(await store.get(name)), { name, target: descriptor(index + 1) });
    assert.equal((await store.list()).length, all.length);
  });
  add("a list is in byte order of the names, which is not the order of JavaScript strings", async (store) => {
    const some = ["b", "a", "a/b", "a:b", "\u{1f600}", "\uff5e", "é", "Z", "a-b"];
    for (const name of some) await store.put(name, descriptor(1));
    const expected = [...some].sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
    assert.deepEqual((await store.list()).map((image) => image.name), expected);
  });
  add("what every JavaScript object has is no image", async (store) => {
    await store.put("other", descriptor(1));
    for (const name of ["constructor", "__proto__", "toString"]) {
      await assert.rejects(async () => store.get(name), isNotFound, name);
      await assert.rejects(async () => store.delete(name), isNotFound, name);
    }
  });
  add("a name with half a surrogate pair is INVALID", async (store) => {
    for (const name of ["a\ud800", "\udc00b"]) await assert.rejects(async () => store.put(name, descriptor(1)), hasCode("INVALID"), JSON.stringify(name));
    assert.deepEqual(await store.list(), []);
  });
  add("the empty name is INVALID", async (store) => {
    await assert.rejects(async () => store.put("", descriptor(1)), hasCode("INVALID"));
    assert.deepEqual(await store.list(), []);
  });
  add("a name may have as many bytes as a key of a bolt file, 32,768; a longer one is INVALID to put, and nowhere", async (store) => {
    for (const name of [`${"ü".repeat(16_384)}x`, "n".repeat(100_000)]) {
      await assert.rejects(async () => store.put(name, descriptor(1)), hasCode("INVALID"));
      await assert.rejects(async () => store.get(name), isNotFound);
      await assert.rejects(async () => store.delete(name), isNotFound);
    }
    await store.put("ü".repeat(16_384), descriptor(1));
    assert.deepEqual((await store.list()).map((image) => essence(image)), [{ name: "ü".repeat(16_384), target: descriptor(1) }]);
  });
}

function descriptors(add: Add, anyDescriptor: boolean): void {
  const sizes: (number | bigint)[] = [1, 127, 128, 2 ** 31, Number.MAX_SAFE_INTEGER, 1n << 53n, (1n << 53n) + 1n, 1n << 62n, (1n << 63n) - 1n];
  if (anyDescriptor) sizes.push(0, -1, -128, Number.MIN_SAFE_INTEGER, -(1n << 53n), -(1n << 63n));
  add("sizes come back exactly: as a number where that is exact, else as a bigint", async (store) => {
    for (const size of sizes) await store.put(`size/${size}`, { ...descriptor(1), size });
    for (const size of sizes) assert.equal((await store.get(`size/${size}`)).target.size, size);
  });
  add("a small bigint size is the same as the number", async (store) => {
    await store.put("a", { ...descriptor(1), size: 42n });
    assert.equal((await store.get("a")).target.size, 42);
  });
  add("a size that no int64 holds is INVALID, and nothing is stored", async (store) => {
    for (const size of [1n << 63n, -(1n << 63n) - 1n, 1.5, Number.NaN, Infinity, 2 ** 53]) {
      await assert.rejects(async () => store.put("a", { ...descriptor(1), size }), hasCode("INVALID"), String(size));
    }
    assert.deepEqual(await store.list(), []);
  });
  add("digests may be of sha256, sha384 and sha512", async (store) => {
    const digests = [`sha256:${"a".repeat(64)}`, `sha384:${"b".repeat(96)}`, `sha512:${"c".repeat(128)}`];
    for (const digest of digests) await store.put(digest.slice(0, 6), { ...descriptor(1), digest });
    assert.deepEqual((await store.list()).map(({ target }) => target.digest), digests);
  });
  if (anyDescriptor) return;
  add("a descriptor that containerd refuses is INVALID", async (store) => {
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

function concurrency(add: Add): void {
  add("puts at the same time all land", async (store) => {
    const count = 50;
    await Promise.all(Array.from({ length: count }, (_, index) => store.put(`image-${index}`, descriptor(index + 1))));
    const listed = new Map((await store.list()).map((image) => [image.name, image.target.size]));
    assert.equal(listed.size, count);
    for (let index = 0; index < count; index++) assert.equal(listed.get(`image-${index}`), index + 1);
  });
  add("puts of one name at the same time leave one of them, whole", async (store) => {
    await Promise.all(Array.from({ length: 100 }, (_, index) => store.put("same", descriptor(index + 1))));
    const { target } = await store.get("same");
    assert.deepEqual(target, descriptor(Number(target.size)));
  });
  add("who reads an image while it is replaced gets the old one or the new one, whole", async (store) => {
    await store.put("same", descriptor(1));
    let isOver = false;
    const puts = Promise.all(Array.from({ length: 20 }, (_, index) => store.put("same", descriptor(index + 2)))).finally(() => { isOver = true; });
    try {
      do {
        for (const { target } of [await store.get("same"), ...await store.list()]) assert.deepEqual(target, descriptor(Number(target.size)));
        // A store that answers without waiting would keep the puts from ever going on.
        await setImmediate();
      } while (!isOver);
    } finally {
      await puts;
    }
  });
  add("what a call was given may be changed while it runs", async (store) => {
    const given: { mediaType: string; digest: string; size: number | bigint } = { ...descriptor(1) };
    const first = store.put("a", given);
    Object.assign(given, descriptor(2));
    const second = store.put("b", given);
    Object.assign(given, descriptor(3));
    await Promise.all([first, second]);
    assert.deepEqual((await store.list()).map(essence), [{ name: "a", target: descriptor(1) }, { name: "b", target: descriptor(2) }]);
  });
  add("one that fails among many takes no other with it", async (store) => {
    const calls = [store.put("a", descriptor(1)), store.delete("missing"), store.put("b", descriptor(2))];
    const ends = (await Promise.allSettled(calls)).map((end) => end.status);
    assert.deepEqual(ends, ["fulfilled", "rejected", "fulfilled"]);
    assert.deepEqual((await store.list()).map((image) => image.name), ["a", "b"]);
  });
  for (const [what, signal, code, name] of GIVEN_UP) {
    add(`a call that ${what} beforehand does nothing and says so`, async (store) => {
      for (const call of [
        async (): Promise<unknown> => store.put("a", descriptor(1), { signal }),
        async (): Promise<unknown> => store.get("a", { signal }),
        async (): Promise<unknown> => store.list({ signal }),
        async (): Promise<unknown> => store.delete("a", { signal }),
      ]) await assert.rejects(call, (error) => hasCode(code)(error) && error instanceof Error && error.name === name);
      assert.deepEqual(await store.list(), []);
    });
  }
  add("a call that is given up while it is under way is done or says that it was given up, and takes no other with it", async (store) => {
    const giveUp = new AbortController();
    const { signal } = giveUp;
    await store.put("there", descriptor(1));
    const put = store.put("a", descriptor(2), { signal });
    const others = [store.get("there", { signal }), store.list({ signal }), store.delete("missing", { signal })];
    const kept = store.put("b", descriptor(3));
    giveUp.abort();
    const [end, , ...ends] = await Promise.allSettled([put, kept, ...others]);
    const names = (await store.list()).map((image) => image.name);
    if (end.status === "fulfilled") assert.ok(names.includes("a"), "a put that succeeds is done");
    for (const given of [end, ...ends]) if (given.status === "rejected") assert.ok(hasCode("CANCELLED")(given.reason) || isNotFound(given.reason), String(given.reason));
    await kept;
    assert.deepEqual(names.filter((name) => name !== "a"), ["b", "there"]);
  });
}

function manyImages(add: Add): void {
  add("a list has all images, however many", async (store) => {
    const all = Array.from({ length: 1100 }, (_, index) => `image-${String(index).padStart(4, "0")}`);
    for (let start = 0; start < all.length; start += 100) await Promise.all(all.slice(start, start + 100).map((name) => store.put(name, descriptor(1))));
    assert.deepEqual((await store.list()).map((image) => image.name), all);
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

/** Numbers from 0 to below `limit`, the same ones for the same seed. */
function generator(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}
