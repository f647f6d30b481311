/** The cases for stores that keep labels and times, and create and change in one step. */
import assert from "node:assert/strict";
import { descriptor, editable, essence, hasCode, type Add } from "./conformance-support.js";
import { isExists, isNotFound } from "./errors.js";
import type { Descriptor } from "./types.js";

/** Adds the cases for an `EditableImageStore`. */
export function addEditingCases(add: Add): void {
  givenObjects(add);
  editing(add);
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

function editing(add: Add): void {
  add("create refuses a name that is taken, and leaves it as it is", async (store) => {
    const images = editable(store);
    const created = await images.create("a", descriptor(1), { labels: { kind: "first" } });
    assert.deepEqual(essence(created), { name: "a", target: descriptor(1) });
    await assert.rejects(images.create("a", descriptor(2)), isExists);
    const image = await images.get("a");
    assert.deepEqual([image.target, image.labels], [descriptor(1), { kind: "first" }]);
  });
  add("a put replaces the labels too; the creation time stays", async (store) => {
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
  });
  add("a delete with a digest leaves an image that has another", async (store) => {
    await store.put("a", descriptor(1));
    await assert.rejects(store.delete("a", { digest: descriptor(2).digest }), isNotFound);
    await store.delete("a", { digest: descriptor(1).digest });
    await assert.rejects(store.get("a"), isNotFound);
  });
  add("filters choose images, in name order", async (store) => {
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
