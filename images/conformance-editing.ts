/** The cases for stores that keep labels and times, and create and change in one step. */
import assert from "node:assert/strict";
import { descriptor, editable, essence, GIVEN_UP, hasCode, laterTime, type Add } from "./conformance-support.js";
import { isExists, isNotFound } from "./errors.js";
import type { Descriptor } from "./types.js";

/** Adds the cases for an `EditableImageStore`. @param formerContainerd as in `ConformanceOptions` */
export function addEditingCases(add: Add, formerContainerd: boolean): void {
  givenObjects(add);
  labels(add);
  times(add);
  creating(add);
  updating(add);
  deleting(add);
  filtering(add);
  if (!formerContainerd) sinceContainerd17(add);
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

function givenObjects(add: Add): void {
  add("labels, annotations, fields and conditions may be changed while the call runs, too", async (store) => {
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

function labels(add: Add): void {
  add("a put replaces the labels and annotations too; empty ones are not stored", async (store) => {
    const empty = { ...descriptor(1), annotations: { note: "n", empty: "" } };
    await store.put("a", empty, { labels: { one: "1", two: "2", empty: "" } });
    const before = await store.get("a");
    assert.deepEqual([before.labels, before.target.annotations], [{ one: "1", two: "2" }, { note: "n" }]);
    await store.put("a", { ...descriptor(2), annotations: { other: "☃" } }, { labels: { three: "3" } });
    const after = await store.get("a");
    assert.deepEqual([after.labels, after.target.annotations], [{ three: "3" }, { other: "☃" }]);
    await store.put("a", descriptor(3));
    const last = await store.get("a");
    assert.deepEqual([last.labels, last.target], [undefined, descriptor(3)]);
  });
  add("a label may have 4096 bytes, key and value together; a longer one, or half a surrogate pair anywhere, is INVALID and changes nothing", async (store) => {
    const most = { ["k".repeat(96)]: "ü".repeat(2000) };
    await store.put("a", descriptor(1), { labels: most });
    const wrong = [{ ["k".repeat(97)]: "ü".repeat(2000) }, { key: "\ud800" }, { "\udc00": "value" }];
    for (const given of wrong) await assert.rejects(async () => store.put("a", descriptor(2), { labels: given }), hasCode("INVALID"), JSON.stringify(given));
    for (const annotations of wrong.slice(1)) await assert.rejects(async () => store.put("a", { ...descriptor(2), annotations }), hasCode("INVALID"), JSON.stringify(annotations));
    const { labels: kept, target } = await store.get("a");
    assert.deepEqual([kept, target], [most, descriptor(1)]);
  });
  add("a list has of each image what get gives of it, and what calls return belongs to the caller", async (store) => {
    const images = editable(store);
    const target = { ...descriptor(1), annotations: { note: "n" } };
    const created = await images.create("a", target, { labels: { of: "a" } });
    await images.put("b", target);
    const updated = await images.update("b", { target, labels: { of: "b" }, fields: ["labels.of"] });
    await images.put("c", descriptor(1));
    const listed = await images.list();
    const read = await Promise.all(["a", "b", "c"].map((name) => images.get(name)));
    assert.deepEqual(listed, read);
    const expected = structuredClone(read);
    for (const image of [created, updated, ...listed, ...read]) {
      for (const strings of [image.labels, image.target.annotations]) if (strings !== undefined) Reflect.set(strings, "mine", "changed");
      image.createdAt?.setTime(0);
      image.updatedAt?.setTime(0);
      Reflect.deleteProperty(image, "labels");
    }
    assert.deepEqual(await images.list(), expected);
    assert.deepEqual(await Promise.all(["a", "b", "c"].map((name) => images.get(name))), expected);
  });
}

function times(add: Add): void {
  add("the time of creation stays, that of the change does not, for put and update", async (store) => {
    const images = editable(store);
    await images.put("put", descriptor(1));
    await images.create("created", descriptor(1));
    const change = { target: descriptor(2), labels: { new: "n" } };
    for (const name of ["put", "created"]) {
      const steps = [
        async (): Promise<unknown> => images.put(name, descriptor(2)),
        async (): Promise<unknown> => images.update(name, { ...change, fields: ["labels.new"] }),
        async (): Promise<unknown> => images.update(name, { ...change, fields: [] }),
      ];
      const first = await images.get(name);
      let before = first;
      assert.ok(before.createdAt instanceof Date && before.updatedAt instanceof Date, "they are Dates");
      for (const step of steps) {
        await laterTime();
        await step();
        const after = await images.get(name);
        assert.deepEqual(after.createdAt, first.createdAt);
        assert.ok(after.updatedAt! > before.updatedAt!, `${after.updatedAt?.toISOString()} is after ${before.updatedAt?.toISOString()}`);
        before = after;
      }
      await images.delete(name);
      await images.put(name, descriptor(1));
      const again = await images.get(name);
      assert.ok(again.createdAt! > first.createdAt!, "a deleted image's time of creation is not kept");
    }
  });
}

function creating(add: Add): void {
  add("create refuses a name that is taken, and leaves it as it is", async (store) => {
    const images = editable(store);
    const created = await images.create("a", { ...descriptor(1), annotations: { note: "n", empty: "" } }, { labels: { kind: "first", empty: "" } });
    assert.deepEqual(essence(created), { name: "a", target: { ...descriptor(1), annotations: { note: "n" } } });
    assert.deepEqual(created.labels, { kind: "first" });
    assert.deepEqual(await images.get("a"), created);
    await assert.rejects(images.create("a", descriptor(2)), isExists);
    assert.deepEqual(await images.get("a"), created);
  });
  add("of creates of one name at the same time one succeeds, and the image is its own", async (store) => {
    const images = editable(store);
    const ends = await Promise.allSettled(Array.from({ length: 20 }, (_, index) => images.create("a", descriptor(index + 1))));
    const made = ends.flatMap((end) => (end.status === "fulfilled" ? [end.value] : []));
    for (const end of ends) if (end.status === "rejected") assert.ok(isExists(end.reason), String(end.reason));
    assert.deepEqual(made, [await images.get("a")]);
  });
  add("create and update refuse what put refuses, and change nothing", async (store) => {
    const images = editable(store);
    await images.create("there", descriptor(1), { labels: { kind: "first" } });
    const before = await images.list();
    const target = { ...descriptor(2), size: 1n << 63n };
    const tooLong = { key: "v".repeat(5000) };
    for (const call of [
      async (): Promise<unknown> => images.create("", descriptor(1)),
      async (): Promise<unknown> => images.create("new", target),
      async (): Promise<unknown> => images.create("new", descriptor(1), { labels: tooLong }),
      async (): Promise<unknown> => images.update("there", { target, fields: ["target"] }),
      async (): Promise<unknown> => images.update("there", { target, fields: [] }),
      async (): Promise<unknown> => images.update("there", { target: descriptor(2), labels: tooLong, fields: ["target", "labels"] }),
      async (): Promise<unknown> => images.update("there", { target: descriptor(2), fields: ["target", "name"] }),
    ]) await assert.rejects(call, hasCode("INVALID"));
    assert.deepEqual(await images.list(), before);
  });
  for (const [what, signal, code, name] of GIVEN_UP) {
    add(`a create or update that ${what} beforehand does nothing and says so`, async (store) => {
      const images = editable(store);
      const before = await images.create("there", descriptor(1));
      for (const call of [
        async (): Promise<unknown> => images.create("new", descriptor(1), { signal }),
        async (): Promise<unknown> => images.update("there", { target: descriptor(2), fields: [] }, { signal }),
      ]) await assert.rejects(call, (error) => hasCode(code)(error) && error instanceof Error && error.name === name);
      assert.deepEqual(await images.list(), [before]);
    });
  }
}

function updating(add: Add): void {
  add("update changes the fields that are named and no others", async (store) => {
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
    await assert.rejects(images.update("missing", { ...update, fields: [] }), isNotFound);
  });
  add("update gives what the image has become: of dotted keys, of annotations, and of all of it where no field is named", async (store) => {
    const images = editable(store);
    await images.create("a", { ...descriptor(1), annotations: { keep: "k", drop: "d" } }, { labels: { a: "1", "a.b/c": "2" } });
    const change = { target: { ...descriptor(2), annotations: { "x.y": "new", empty: "" } }, labels: { "a.b/c": "3", a: "not named", empty: "" } };
    const cases: readonly [readonly string[], Descriptor, Record<string, string>][] = [
      [["labels.a.b/c", "labels.empty"], { ...descriptor(1), annotations: { keep: "k", drop: "d" } }, { a: "1", "a.b/c": "3" }],
      [["annotations.x.y", "annotations.drop"], { ...descriptor(1), annotations: { keep: "k", "x.y": "new" } }, { a: "1", "a.b/c": "3" }],
      [["annotations"], { ...descriptor(1), annotations: { "x.y": "new" } }, { a: "1", "a.b/c": "3" }],
      [[], { ...descriptor(2), annotations: { "x.y": "new" } }, { a: "not named", "a.b/c": "3" }],
    ];
    for (const [fields, target, kept] of cases) {
      const image = await images.update("a", { ...change, fields });
      assert.deepEqual([image.target, image.labels], [target, kept], fields.join());
      assert.deepEqual(await images.get("a"), image);
    }
    assert.deepEqual((await images.update("a", { target: descriptor(3), fields: ["target"] })).target, descriptor(3));
    assert.equal((await images.update("a", { target: descriptor(3), fields: [] })).labels, undefined);
  });
  add("updates of one image at the same time all count", async (store) => {
    const images = editable(store);
    await images.create("a", descriptor(1));
    const all = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`label-${index}`, `${index}`]));
    await Promise.all(Object.keys(all).map((key) => images.update("a", { target: descriptor(1), labels: all, fields: [`labels.${key}`] })));
    assert.deepEqual((await images.get("a")).labels, all);
  });
}

function deleting(add: Add): void {
  add("a delete with a digest leaves an image that has another", async (store) => {
    await store.put("a", descriptor(1));
    await assert.rejects(store.delete("a", { digest: descriptor(2).digest }), isNotFound);
    await assert.rejects(store.delete("missing", { digest: descriptor(2).digest }), isNotFound);
    assert.deepEqual((await store.get("a")).target, descriptor(1));
    await store.delete("a", { digest: descriptor(1).digest });
    await assert.rejects(store.get("a"), isNotFound);
  });
}

function filtering(add: Add): void {
  add("filters choose images, in name order", async (store) => {
    await store.put("app/web:1", descriptor(1), { labels: { env: "prod" } });
    await store.put("app/web:2", { ...descriptor(2), annotations: { note: "n" } }, { labels: { env: "test", "a.b/c": "x y", "a.b": "z" } });
    await store.put("db:1", { ...descriptor(3), mediaType: "application/test" });
    const all = ["app/web:1", "app/web:2", "db:1"];
    const cases: readonly [readonly string[], readonly string[]][] = [
      [[], all], [[""], all],
      [["name==db:1"], ["db:1"]],
      [["name~=^app/"], ["app/web:1", "app/web:2"]],
      [["name~=/WEB/"], []],
      // A pattern that is none matches nothing.
      [["name~=/(/"], []],
      [["labels.env"], ["app/web:1", "app/web:2"]],
      [["labels.env!=prod"], ["app/web:2", "db:1"]],
      [['labels."a.b/c"=="x y"'], ["app/web:2"]],
      [["labels.a.b==z"], ["app/web:2"]],
      [["annotations.note==n"], ["app/web:2"]],
      [["name~=/web/,labels.env==prod"], ["app/web:1"]],
      [["name==db:1", "labels.env==test"], ["app/web:2", "db:1"]],
      [[`target.digest==${descriptor(3).digest}`], ["db:1"]],
      [["target.mediatype==application/test"], ["db:1"]],
      [["unknown"], []], [["unknown==x"], []],
    ];
    for (const [filters, expected] of cases) {
      assert.deepEqual((await store.list({ filters })).map((image) => image.name), expected, filters.join(" or "));
    }
    for (const wrong of ["name==", "name=x", "name==a,", "=="]) await assert.rejects(store.list({ filters: [wrong] }), hasCode("INVALID"), wrong);
  });
}

function sinceContainerd17(add: Add): void {
  add("a given time is that of the change, and of a new image also that of its creation", async (store) => {
    const images = editable(store);
    const times = async (name: string): Promise<unknown> => {
      const { createdAt, updatedAt } = await images.get(name);
      return [createdAt, updatedAt];
    };
    const [first, second, third] = [new Date("2001-02-03T04:05:06.789Z"), new Date("1999-01-01T00:00:00.001Z"), new Date("2030-01-01T00:00:00Z")];
    await images.put("a", descriptor(1), { sourceDateEpoch: first });
    await images.create("b", descriptor(1), { sourceDateEpoch: first });
    for (const name of ["a", "b"]) {
      assert.deepEqual(await times(name), [first, first]);
      await images.put(name, descriptor(2), { sourceDateEpoch: second });
      assert.deepEqual(await times(name), [first, second]);
      await images.update(name, { target: descriptor(3), fields: [] }, { sourceDateEpoch: third });
      assert.deepEqual(await times(name), [first, third]);
    }
  });
  add("a delete with a digest and a put at the same time never lose what was put", async (store) => {
    for (let round = 0; round < 20; round++) {
      await store.put("a", descriptor(1));
      const deletion = store.delete("a", { digest: descriptor(1).digest }).catch((error: unknown) => { assert.ok(isNotFound(error), String(error)); });
      await Promise.all([deletion, store.put("a", descriptor(2))]);
      assert.deepEqual((await store.get("a")).target, descriptor(2));
    }
  });
}
