/** Leases: known by namespace and id, listed in order, gone when they say so. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Leases } from "../../images/leases.js";
import { Status } from "../../images/grpc-status.js";

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
