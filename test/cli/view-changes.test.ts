/** What the viewer changes, and values that are hard to show. The viewer itself is in view.test.ts. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { interpret } from "../../engine/cli/interpret.js";
import { startViewer } from "../../engine/cli/view-server.js";
import { open } from "../../engine/index.js";
import { tempPath } from "../support/temp.js";
import { hexOf, io } from "./viewed-file.js";

test("a change is made only where the value still is what was shown; keys may be as long as keys can be", async () => {
  const path = tempPath("changed.db");
  const long = Buffer.alloc(32_768, "k");
  const db = open(path);
  db.update((tx) => {
    const bucket = tx.createBucket("b");
    bucket.put("key", "shown");
    bucket.put(long, "of the long key");
  });
  db.close();
  const viewer = await startViewer({ path, host: "127.0.0.1", port: 0, canWrite: true }, io);
  const change = async (name: string, parameters: Readonly<Record<string, string>>): Promise<unknown> =>
    (await fetch(`${viewer.address}api/${name}`, { method: "POST", body: new URLSearchParams({ path: hexOf("b"), key: hexOf("key"), ...parameters }) })).json();
  const codeOf = (answer: unknown): unknown => (answer as { error?: { code: string } }).error?.code;
  assert.equal(codeOf(await change("put", { value: hexOf("mine"), was: `0x${hexOf("other")}` })), "CHANGED");
  assert.equal(codeOf(await change("delete", { was: "0x" })), "CHANGED");
  assert.equal(codeOf(await change("put", { value: hexOf("mine"), was: `0x${hexOf("shown")}` })), undefined);
  assert.equal(codeOf(await change("delete", { was: `0x${hexOf("mine")}` })), undefined);
  assert.equal(codeOf(await change("put", { value: hexOf("back"), was: `0x${hexOf("mine")}` })), "CHANGED");
  const value = await (await fetch(`${viewer.address}api/value?path=${hexOf("b")}&key=${long.toString("hex")}`)).json() as { text: string };
  assert.equal(value.text, "of the long key");
  assert.equal((await fetch(viewer.address.replace(/\/[^/]+\/$/, "//"))).status, 403);
  assert.equal(codeOf(await (await fetch(`${viewer.address}api/put`, { method: "POST", body: "a&".repeat(1000) })).json()), "BAD_REQUEST");
  const { port } = new URL(viewer.address);
  const socket = connect(Number(port), "127.0.0.1");
  socket.write(`GET http://[::bad HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`);
  let answer = "";
  for await (const part of socket.setEncoding("latin1") as AsyncIterable<string>) answer += part;
  assert.match(answer, /^HTTP\/1.1 400 /);
  await viewer.close();
});

test("a change that cannot be made is the request's fault, not the server's", async (t) => {
  const path = tempPath("refusing.db");
  const db = open(path);
  db.update((tx) => tx.createBucket("b").createBucket("nested"));
  db.close();
  const viewer = await startViewer({ path, host: "127.0.0.1", port: 0, canWrite: true }, io);
  t.after(() => viewer.close());
  for (const [place, key, code] of [["b", "", "KEY_REQUIRED"], ["b", "k".repeat(32_769), "KEY_TOO_LARGE"], ["b", "nested", "INCOMPATIBLE_VALUE"], ["", "k", "BUCKET_REQUIRED"]] as const) {
    const response = await fetch(`${viewer.address}api/put`, { method: "POST", body: new URLSearchParams({ path: hexOf(place), key: hexOf(key), value: "00" }) });
    const { error } = await response.json() as { error: { code: string } };
    assert.deepEqual([response.status, error.code], [400, code]);
  }
});

test("JSON that is nested deeper than anybody reads is shown as the text that it is", () => {
  const deep = interpret(Buffer.from("[".repeat(30_000) + "]".repeat(30_000)));
  assert.deepEqual([deep.json, deep.text?.length], [undefined, 60_000]);
  assert.equal(interpret(Buffer.from("[".repeat(50) + "]".repeat(50))).json?.split("\n").length, 100 - 1);
});
