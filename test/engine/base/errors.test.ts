/** Errors that several parts make in one way. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { requireFunction, requireListed, wrapIo } from "../../../engine/base/errors.js";

test("a bucket that is listed and not found is told as damage", () => {
  assert.throws(() => requireListed(undefined, Buffer.from("b")), { code: "CORRUPT", message: "bucket (hex)62 is listed and not found" });
  assert.equal(requireListed("found", Buffer.from("b")), "found");
});

test("what is no function is told by the name of what takes one", () => {
  for (const wrong of [undefined, null, 5, {}]) assert.throws(() => requireFunction(wrong, "forEach"), { name: "TypeError", message: "forEach takes a function" });
});

test("a full stack is told as what it is, any other error of a storage as IO", () => {
  const recurse = (): number => 1 + recurse();
  assert.throws(() => wrapIo("read", recurse), (error) => error instanceof RangeError);
  assert.throws(() => wrapIo("read", () => { throw new RangeError("of the storage's own"); }), { code: "IO", message: "read: of the storage's own" });
});
