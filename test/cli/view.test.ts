/** The viewer: who gets an answer, what the answers say; the page itself, in a browser, is in view-page.test.ts. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { interpret } from "../../engine/cli/interpret.js";
import { startViewer, type Viewer } from "../../engine/cli/view-server.js";
import { open } from "../../engine/index.js";
import { encodeGoTime } from "../../images/go-time.js";
import { fixtureOriginal } from "../support/fixtures.js";
import { tempPath } from "../support/temp.js";
import { here, hexbolt, start } from "./command.js";
import { hexOf, io, sampleFile } from "./viewed-file.js";

function get(address: string, headers: Readonly<Record<string, string>> = {}, method = "GET"): Promise<{ readonly status: number; readonly text: string; readonly headers: Readonly<Record<string, unknown>> }> {
  return new Promise((resolve, reject) => {
    const asked = request(address, { headers, method }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => { text += part; }).on("end", () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }));
    });
    asked.once("error", reject).end();
  });
}

async function api(viewer: Viewer, question: string): Promise<unknown> {
  return JSON.parse((await get(`${viewer.address}api/${question}`)).text) as unknown;
}

describe("the viewer's server", () => {
  let viewer: Viewer;
  let path: string;
  before(async () => {
    path = sampleFile();
    viewer = await startViewer({ path, host: "127.0.0.1", port: 0, canWrite: false }, io);
  });
  after(() => viewer.close());

  test("answers only with the token, to its own host name, to pages of its own", async () => {
    const { host, pathname } = new URL(viewer.address);
    assert.match(host, /^127\.0\.0\.1:\d+$/);
    assert.ok(pathname.length > 20);
    assert.equal((await get(viewer.address)).status, 200);
    assert.equal((await get(`http://${host}/`)).status, 403);
    assert.equal((await get(`http://${host}/api/info`)).status, 403);
    assert.equal((await get(`http://${host}/${"x".repeat(pathname.length - 2)}/api/info`)).status, 403);
    assert.equal((await get(viewer.address, { host: "evil.example" })).status, 403);
    assert.equal((await get(viewer.address, { host: `evil.example:${new URL(viewer.address).port}` })).status, 403);
    assert.equal((await get(`${viewer.address}api/info`, { origin: "http://evil.example" })).status, 403);
    for (const name of ["api/nothing", "api/constructor", "api/toString", "constructor", "__proto__"]) assert.equal((await get(`${viewer.address}${name}`)).status, 404, name);
    assert.match(String((await get(viewer.address)).headers["content-security-policy"]), /default-src 'none'/);
  });

  test("has nothing that writes unless it is asked for, and says so", async () => {
    for (const name of ["put", "delete"]) {
      const { headers, status, text } = await get(`${viewer.address}api/${name}`, {}, "POST");
      assert.deepEqual([status, headers["allow"], text], [405, "GET, HEAD", "Not allowed: the viewer changes files only with --write.\n"]);
    }
  });

  test("the address without its last slash leads to the page, whose links begin there", async () => {
    const { headers, status } = await get(viewer.address.slice(0, -1));
    assert.deepEqual([status, headers["location"]], [308, new URL(viewer.address).pathname]);
    assert.equal((await get(viewer.address.slice(0, -2))).status, 403);
  });

  test("pages through a bucket, searches by prefix, and says where to go on", async () => {
    const seen: string[] = [];
    let next: string | undefined = "";
    while (next !== undefined) {
      const answer = await api(viewer, `entries?path=${hexOf("users")}&limit=100&from=${next}`) as { entries: { label: string; preview: string }[]; next?: string };
      seen.push(...answer.entries.map(({ label }) => label));
      next = answer.next;
    }
    assert.equal(seen.length, 451);
    assert.deepEqual(seen, [...seen].sort());
    const found = await api(viewer, `entries?path=${hexOf("users")}&prefix=${hexOf("user/044")}`) as { entries: { label: string }[]; next?: string };
    assert.deepEqual(found.entries.map(({ label }) => label), Array.from({ length: 10 }, (_, i) => `user/044${i}`));
    assert.equal(found.next, undefined);
    const buckets = await api(viewer, `entries?path=${hexOf("kinds")}&kind=bucket`) as { entries: { label: string }[] };
    assert.deepEqual(buckets.entries.map(({ label }) => label), ["inner"]);
  });

  test("what is not there or no question gets an error, not a crash", async () => {
    for (const [question, code] of [["entries?path=ff", "BUCKET_NOT_FOUND"], ["entries?path=xyz", "BAD_REQUEST"], ["value?path=&key=00", "KEY_NOT_FOUND"], ["page?id=-1", "BAD_REQUEST"], ["page", "BAD_REQUEST"]] as const) {
      assert.equal((await api(viewer, question) as { error: { code: string } }).error.code, code, question);
    }
    assert.equal((await api(viewer, "page?id=9999") as { type: string }).type, "unreadable");
  });

  test("every page of the map can be looked at", async () => {
    const map = await api(viewer, "map") as { pageCount: number; kinds: string; kindNames: string[] };
    const kinds = Buffer.from(map.kinds, "base64");
    assert.equal(kinds.length, map.pageCount);
    for (let id = 0; id < map.pageCount; id++) {
      const page = await api(viewer, `page?id=${id}`) as { kind: string; text: string };
      assert.equal(page.kind, map.kindNames[kinds[id]!]);
      assert.match(page.text, new RegExp(`^page ${id}: `));
    }
  });

  test("a file that another process writes is shown as it is now, and its writer is not kept out", async () => {
    const db = open(path);
    db.update((tx) => tx.bucket("kinds")?.put("fresh", "new"));
    const { text } = await api(viewer, `value?path=${hexOf("kinds")}&key=${hexOf("fresh")}`) as { text: string };
    assert.equal(text, "new");
    assert.deepEqual((await api(viewer, "check") as { count: number }).count, 0);
    db.close();
    open(path).close();
  });
});

test("a value is shown in all the forms that it can be", () => {
  const time = interpret(encodeGoTime(new Date(Date.UTC(2024, 1, 29, 12, 30, 15, 500))));
  assert.equal(time.goTime, "2024-02-29T12:30:15.500Z");
  assert.equal(interpret(Buffer.from([0x80, 0x02])).varint, "128");
  assert.equal(interpret(Buffer.from([0x80, 0x80])).varint, undefined);
  assert.deepEqual([interpret(Buffer.from([0, 0, 0, 0, 0, 0, 1, 0])).uint64, interpret(Buffer.from([0, 1, 0, 0, 0, 0, 0, 0])).uint64le], ["256", "256"]);
  assert.equal(interpret(Buffer.from('{"a":[1]}')).json, '{\n  "a": [\n    1\n  ]\n}');
  assert.equal(interpret(Buffer.from("{no json")).json, undefined);
  assert.equal(interpret(Buffer.from([0xff])).text, undefined);
  const long = interpret(Buffer.from("ä".repeat(50_000)));
  assert.deepEqual([long.isCut, long.hex.length, long.text?.endsWith("ä")], [true, 131_072, true]);
  assert.deepEqual(interpret(Buffer.from("ab" + "ä".repeat(50_000) + "x")).text?.length, 2 + 32_767);
});

test("a file that has gone is not found, whatever is asked of it", async (t) => {
  const path = sampleFile();
  const viewer = await startViewer({ path, host: "127.0.0.1", port: 0, canWrite: true }, io);
  t.after(() => viewer.close());
  for (const gone of ["removed", "empty"]) {
    if (gone === "removed") rmSync(path);
    else writeFileSync(path, "");
    for (const [question, method] of [["info", "GET"], ["entries", "GET"], ["stats", "GET"], ["map", "GET"], ["page?id=3", "GET"], ["check", "GET"], ["delete", "POST"]] as const) {
      const { status, text } = await get(`${viewer.address}api/${question}`, {}, method);
      assert.deepEqual([status, (JSON.parse(text) as { error: { code: string } }).error.code], [404, gone === "removed" ? "NOT_FOUND" : "EMPTY"], `${gone}: ${question}`);
    }
  }
});

test("a port that is taken is told with what to do about it", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => { server.listen(0, "127.0.0.1", resolve); });
  const { port } = server.address() as AddressInfo;
  const { status, stderr } = await here(["view", fixtureOriginal("one-key"), "--port", String(port)]);
  await new Promise((resolve) => { server.close(resolve); });
  assert.equal(status, 1);
  assert.match(stderr, new RegExp(`^Error: the viewer cannot listen on port ${port} of 127\\.0\\.0\\.1: .+\n  name another --port, or none`));
});

test("the command prints the address, serves until it is interrupted, and refuses what is no database", async () => {
  const child = start(["view", sampleFile()]);
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  const address = await new Promise<string>((resolve) => child.stdout.once("data", (part: Buffer) => resolve(part.toString().trim())));
  assert.match(address, /^http:\/\/127\.0\.0\.1:\d+\/[\w-]{24}\/$/);
  assert.equal((await get(`${address}api/info`)).status, 200);
  child.kill("SIGINT");
  assert.equal(await ended, 0);
  const text = tempPath("text.db");
  writeFileSync(text, "no database".repeat(1000));
  assert.equal(hexbolt(["view", text]).status, 1);
  assert.equal(hexbolt(["view", text, "--host", "0.0.0.0"]).status, 2);
});
