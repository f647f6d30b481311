/** Leases: known by namespace and id, listed in order, gone when they say so, and never more than there is memory for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { frame } from "../../images/grpc-frame.js";
import { Status } from "../../images/grpc-status.js";
import { Leases } from "../../images/leases.js";
import { encodeLeases } from "../../images/messages.js";

test("leases are listed by namespace, in byte order of their ids, without labels that are empty", () => {
  const leases = new Leases();
  for (const id of ["b", "é", "a", "Z", "ｚ", "😀"]) leases.create("one", id, { purpose: id, nothing: "" });
  leases.create("two", "c", {});
  assert.deepEqual(leases.list("one").map(({ id }) => id), ["Z", "a", "b", "é", "ｚ", "😀"]);
  assert.deepEqual(leases.list("one")[0]?.labels, { purpose: "Z" });
  assert.deepEqual(leases.list("two").map(({ id, labels }) => [id, labels]), [["c", {}]]);
  assert.deepEqual(leases.list("three"), []);
});

test("a lease is there until it is deleted or its time is over, and once", () => {
  const leases = new Leases();
  leases.create("one", "a", {});
  assert.throws(() => leases.create("one", "a", {}), { status: Status.ALREADY_EXISTS });
  leases.create("two", "a", {});
  leases.delete("one", "a");
  assert.throws(() => leases.delete("one", "a"), { status: Status.NOT_FOUND });
  leases.create("one", "short", { "containerd.io/gc.expire": new Date(Date.now() - 1).toISOString() });
  assert.deepEqual(leases.list("one"), []);
  assert.notEqual(leases.create("one", "", {}).id, leases.create("one", "", {}).id);
});

test("a lease's end is a time as Go reads RFC 3339, and no other", () => {
  const leases = new Leases();
  const past = [
    "2006-01-02T15:04:05Z", "2006-01-02T15:04:05.5Z", "2006-01-02T15:04:05,123456789012Z", "2006-01-02T5:04:05Z", "2006-01-02T15:04:05+24:60", "2006-01-02T15:04:05-00:00",
    "0000-02-29T00:00:00Z", "0099-12-31T23:59:59+23:59",
  ];
  for (const text of past) {
    leases.create("one", "a", { "containerd.io/gc.expire": text });
    assert.deepEqual(leases.list("one"), [], text);
  }
  const none = [
    "2006", "2006-01-02", "2006-01-02T15:04Z", "2006-01-02T15:04:05", "2006-01-02 15:04:05Z", "2006-01-02t15:04:05Z", "2006-01-02T15:04:05z", "2006-01-02T24:00:00Z",
    "2006-01-02T15:04:60Z", "2006-01-02T15:60:05Z", "2006-02-29T15:04:05Z", "2006-13-01T15:04:05Z", "2006-00-01T15:04:05Z", "2006-01-00T15:04:05Z", "2006-1-02T15:04:05Z",
    "2006-01-02T15:04:05.Z", "2006-01-02T15:04:05+25:00", "2006-01-02T15:04:05+00:61", "2006-01-02T15:04:05+0000", "2006-01-02T15:04:05+00", " 2006-01-02T15:04:05Z",
    "2006-01-02T15:04:05Z ", "2006-01-02T15:04:05Z\n", "Mon, 02 Jan 2006 15:04:05 GMT", "1136214245", "+002006-01-02T15:04:05Z", "2006-01-02T15:04:05.5ZZ", "1900-02-29T00:00:00Z",
  ];
  for (const [index, text] of none.entries()) leases.create("two", String(index), { "containerd.io/gc.expire": text });
  assert.deepEqual(leases.list("two").map(({ labels }) => labels["containerd.io/gc.expire"]).sort(), [...none].sort());
});

test("a lease with an end in another zone is there until then", () => {
  const leases = new Leases();
  const inTenMinutes = (offsetMinutes: number): string => new Date(Date.now() + 60_000 * (10 + offsetMinutes)).toISOString().slice(0, -1);
  leases.create("one", "east", { "containerd.io/gc.expire": `${inTenMinutes(90)}+01:30` });
  leases.create("one", "west", { "containerd.io/gc.expire": `${inTenMinutes(-90)}-01:30` });
  leases.create("one", "over", { "containerd.io/gc.expire": `${inTenMinutes(79)}+01:30` });
  assert.deepEqual(leases.list("one").map(({ id }) => id), ["east", "west"]);
});

test("clients that never give their leases back keep no other client from one: the oldest leases are dropped", () => {
  const leases = new Leases();
  for (let i = 0; i < 1500; i++) leases.create("vanished", `lease-${i}`, {});
  leases.create("other", "a", {});
  const ids = new Set(leases.list("vanished").map(({ id }) => id));
  assert.equal(ids.size, 999);
  assert.ok(ids.has("lease-1499") && !ids.has("lease-500"));
  assert.deepEqual(leases.list("other").map(({ id }) => id), ["a"]);
});

test("a lease may have labels as an image may, and few enough that the answer to List holds all leases", () => {
  const leases = new Leases();
  const refusals: [string, Record<string, string>][] = [
    ["a", { k: "v".repeat(4096) }], ["i".repeat(16_385), {}], ["é".repeat(8193), {}],
    ["a", Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`k${i}`, "v".repeat(4000)]))],
    ["a", Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`k${i}`, ""]))],
  ];
  for (const [id, labels] of refusals) assert.throws(() => leases.create("one", id, labels), { code: "INVALID" });
  assert.deepEqual(leases.list("one"), []);
  assert.deepEqual(leases.create("one", "labelled", { full: "v".repeat(4092) }).labels, { full: "v".repeat(4092) });
  for (let i = 0; i < 1000; i++) leases.create("one", `${i}`.padStart(16_384, "i"), {});
  const answer = frame(encodeLeases(leases.list("one")));
  assert.ok(answer.length > 16_384_000);
});
