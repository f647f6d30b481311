/** The viewer: who gets an answer, what the answers say, and the page itself in a real browser. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { after, before, describe, test } from "node:test";
import { interpret } from "../../engine/cli/interpret.js";
import { MemoryOutput } from "../../engine/cli/io.js";
import { startViewer, type Viewer } from "../../engine/cli/view-server.js";
import { open, type DB } from "../../engine/index.js";
import { encodeGoTime } from "../../images/go-time.js";
import { fixtureOriginal } from "../support/fixtures.js";
import { tempPath } from "../support/temp.js";
import { hexbolt, start } from "./command.js";
import { BrowserPage, findBrowser } from "./devtools.js";

const io = { stdout: new MemoryOutput(), stderr: new MemoryOutput(), env: {}, signal: new AbortController().signal, readInput: () => 0, temporary: () => undefined };
const hexOf = (text: string): string => Buffer.from(text).toString("hex");

function sampleFile(): string {
  const path = tempPath("viewed.db");
  const db = open(path);
  db.update((tx) => {
    const users = tx.createBucket("users");
    for (let i = 0; i < 450; i++) users.put(`user/${String(i).padStart(4, "0")}`, JSON.stringify({ id: i, name: `name ${i}` }));
    users.put("zz<script>alert(1)</script>", "<img src=x onerror=alert(1)>");
    const kinds = tx.createBucket("kinds");
    kinds.put("time", encodeGoTime(new Date(Date.UTC(2024, 1, 29, 12, 30, 15, 500))));
    kinds.put("varint", Buffer.from([0x80, 0x02]));
    kinds.put("counter", Buffer.from([0, 0, 0, 0, 0, 0, 1, 0]));
    kinds.put("windows", "a\r\nb");
    kinds.put("long", Buffer.alloc(100_000, "x"));
    kinds.createBucket("inner").createBucket("innermost").put("deep", "down");
  });
  db.close();
  return path;
}

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

  test("has nothing that writes unless it is asked for", async () => {
    for (const name of ["put", "delete"]) assert.equal((await get(`${viewer.address}api/${name}`, {}, "POST")).status, 405);
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
    for (const [question, code] of [["entries?path=ff", "BUCKET_NOT_FOUND"], ["entries?path=xyz", "BAD_REQUEST"], ["value?path=&key=00", "KEY_NOT_FOUND"], ["page?id=-1", "BAD_REQUEST"]] as const) {
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

const browser = findBrowser();

describe("the page in a browser", { skip: process.env["HEXBOLT_BROWSER"] === undefined ? "set HEXBOLT_BROWSER=1 to run it" : "missing" in browser ? browser.missing : false }, () => {
  let page: BrowserPage;
  let viewer: Viewer;
  let path: string;
  let writer: DB | undefined;
  const button = (text: string): string => `[...document.querySelectorAll("button")].find((b) => b.textContent === ${JSON.stringify(text)} && b.offsetParent !== null)`;
  const row = (text: string): string => `[...document.querySelectorAll("#rows tr button")].find((b) => b.textContent === ${JSON.stringify(text)})`;

  before(async () => {
    path = sampleFile();
    viewer = await startViewer({ path, host: "127.0.0.1", port: 0, canWrite: true }, io);
    page = await BrowserPage.open("program" in browser ? browser.program : "", viewer.address);
  });
  after(async () => {
    writer?.close();
    await page.close();
    await viewer.close();
  });

  test("shows the buckets and goes into them, through the tree and the list", async () => {
    await page.until(`document.querySelectorAll("#rows tr").length === 2`);
    await page.click(`document.querySelector('#tree [data-path="${hexOf("users")}"]')`);
    await page.until(`document.querySelectorAll("#rows tr").length === 100`);
    assert.match(String(await page.evaluate(`document.getElementById("bucket-name").textContent`)), /^users$/);
    await page.until(`/451 keys, \\d+ pages/.test(document.getElementById("bucket-stats").textContent)`);
    await page.click(button("Next"));
    await page.until(row("user/0100"));
    await page.click(button("Back"));
    await page.until(row("user/0000"));
  });

  test("finds keys by their first characters", async () => {
    await page.click(`document.getElementById("prefix")`);
    await page.type("user/0449");
    await page.until(`document.querySelectorAll("#rows tr").length === 1`);
    await page.click(row("user/0449"));
    await page.until(`document.getElementById("value-body").textContent.includes('"id": 449')`);
    await page.evaluate(`(() => { const field = document.getElementById("prefix"); field.value = ""; field.dispatchEvent(new Event("input")); })()`);
    await page.until(`document.querySelectorAll("#rows tr").length === 100`);
  });

  test("shows values as hex, varint and Go time", async () => {
    await page.click(button("All buckets"));
    await page.click(row("kinds"));
    await page.click(row("time"));
    await page.click(button("Go time"));
    await page.until(`document.getElementById("value-body").textContent === "2024-02-29T12:30:15.500Z"`);
    await page.click(row("varint"));
    await page.click(button("Varint"));
    await page.until(`document.getElementById("value-body").textContent === "128"`);
    await page.click(button("Hex"));
    await page.until(`document.getElementById("value-body").textContent.startsWith("000000  80 02")`);
  });

  test("what is in the file is text on the page, never part of it", async () => {
    await page.evaluate(`location.hash = "bucket=${hexOf("users")}"`);
    await page.evaluate(`(() => { const field = document.getElementById("prefix"); field.value = "zz"; field.dispatchEvent(new Event("input")); })()`);
    await page.click(row("zz<script>alert(1)</script>"));
    await page.until(`document.getElementById("value-key").textContent === "zz<script>alert(1)</script>"`);
    assert.equal(await page.evaluate(`document.querySelectorAll("img, main script").length`), 0);
    await page.evaluate(`(() => { const field = document.getElementById("prefix"); field.value = ""; field.dispatchEvent(new Event("input")); })()`);
  });

  test("an answer that comes late does not replace what was asked for after it", async () => {
    await page.evaluate(`location.hash = "bucket=${hexOf("users")}"`);
    await page.until(row("user/0000"));
    await page.evaluate(`(() => {
      const fetchNow = window.fetch;
      let count = 0;
      window.fetch = async (...parameters) => {
        const answer = await fetchNow(...parameters);
        if (String(parameters[0]).startsWith("api/entries") && !String(parameters[0]).includes("kind=bucket") && ++count === 1) {
          await new Promise((resolve) => setTimeout(resolve, 300));
          window.lateAnswer = true;
        }
        return answer;
      };
      const field = document.getElementById("prefix");
      for (const text of ["user/01", "user/02"]) { field.value = text; field.dispatchEvent(new Event("input")); }
    })()`);
    await page.until(`window.lateAnswer`);
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(await page.evaluate(`document.querySelector("#rows tr button").textContent`), "user/0200");
    await page.evaluate(`(() => { const field = document.getElementById("prefix"); field.value = ""; field.dispatchEvent(new Event("input")); })()`);
    await page.until(row("user/0000"));
  });

  test("the rows stay where they are when the figures of their bucket arrive", async () => {
    await page.evaluate(`(() => {
      const fetchNow = window.fetch;
      window.stats = new Promise((resolve) => { window.giveStats = resolve; });
      window.fetch = async (...parameters) => {
        if (String(parameters[0]).startsWith("api/stats")) await window.stats;
        return fetchNow(...parameters);
      };
      location.hash = "bucket=${hexOf("kinds")}";
    })()`);
    await page.until(row("varint"));
    const top = `(${row("varint")}).getBoundingClientRect().top`;
    const before = await page.evaluate(top);
    assert.equal(await page.evaluate(`document.getElementById("bucket-stats").textContent`), "");
    await page.evaluate(`giveStats()`);
    await page.until(`/\\d+ keys/.test(document.getElementById("bucket-stats").textContent)`);
    assert.equal(await page.evaluate(top), before);
  });

  test("the map leads from the file to a page to an element to its value", async () => {
    await page.click(button("Pages"));
    await page.until(`document.querySelectorAll("#legend li").length >= 4`);
    const leaf = Number(await page.evaluate(`Array.from(map.kinds).findIndex((kind, i) => map.kindNames[kind] === "leaf" && map.buckets[map.owners[i]].label === "users")`));
    const { x, y } = await page.evaluate(`({ x: (${leaf} % columns) * cell + cell / 2, y: Math.floor(${leaf} / columns) * cell + cell / 2 })`) as { x: number; y: number };
    await page.clickAt(`document.getElementById("map-canvas")`, x, y);
    await page.until(`document.querySelector("#page h2")?.textContent.startsWith("page ${leaf}: leaf, bucket users")`);
    assert.match(String(await page.evaluate("location.hash")), /^#bucket=6b696e6473$/, "another bucket is shown than the page's");
    await page.click(`document.querySelector("#page tbody td")`);
    await page.until(`!document.getElementById("value").hidden && document.getElementById("value-body").textContent.includes('"name"')`);
  });

  test("the check's result and the counters are live", async () => {
    await page.click(button("Check"));
    await page.click(button("Run the check"));
    await page.until(`document.getElementById("check-result").textContent.startsWith("OK")`);
    const txid = Number(await page.evaluate(`document.getElementById("count-txid").textContent`));
    writer = open(path);
    writer.update((tx) => tx.bucket("kinds")?.put("live", "now"));
    await page.until(`Number(document.getElementById("count-txid").textContent) > ${txid}`);
    await page.evaluate(`location.hash = "bucket=${hexOf("kinds")}"`);
    await page.click(button("Content"));
    await page.until(row("live"));
  });

  test("a change while another process holds the file is refused in words; else it is made", async () => {
    await page.click(row("live"));
    await page.until(`document.getElementById("edit-text").value === "now"`);
    await page.click(button("Text"));
    await page.evaluate(`document.getElementById("edit-text").value = "edited"`);
    await page.click(button("Save as text"));
    await page.until(`/in use by another process/.test(document.getElementById("message").textContent)`);
    // The refusal is an error for the browser too: it is expected, everything else is not.
    page.errors.splice(0);
    writer?.close();
    writer = undefined;
    await page.click(button("Save as text"));
    await page.until(`document.getElementById("value-body").textContent === "edited" && document.getElementById("message").hidden`);
    await page.until(`document.getElementById("edit-done").textContent.startsWith("Saved by transaction ")`);
    const db = open(path, { readOnly: true });
    assert.equal(db.view((tx) => tx.bucket("kinds")?.get("live")?.toString()), "edited");
    db.close();
    assert.deepEqual(page.errors, []);
  });

  test("bytes that are no text are changed as hexadecimal digits, and what is none is refused", async () => {
    await page.evaluate(`location.hash = "bucket=${hexOf("kinds")}"`);
    await page.click(row("varint"));
    await page.until(`document.getElementById("edit-text").value === "80 02"`);
    await page.evaluate(`document.getElementById("edit-text").value = "80 0"`);
    await page.click(button("Save as hex"));
    await page.until(`/no hexadecimal digits/.test(document.getElementById("message").textContent)`);
    await page.evaluate(`document.getElementById("edit-text").value = "80 03 ff"`);
    await page.click(button("Save as hex"));
    await page.until(`document.getElementById("value-size").textContent === "3 bytes" && document.getElementById("message").hidden`);
    const db = open(path, { readOnly: true });
    assert.equal(db.view((tx) => tx.bucket("kinds")?.get("varint")?.toString("hex")), "8003ff");
    db.close();
  });

  test("Save and Delete are about the value on show: while another is asked for, and when none comes, there is none", async () => {
    await page.evaluate(`location.hash = "bucket=${hexOf("kinds")}"`);
    await page.click(row("varint"));
    await page.until(`document.getElementById("edit-text").value === "80 03 ff"`);
    await page.evaluate(`(() => {
      window.fetchNow = window.fetch;
      window.answers = new Promise((resolve) => { window.answer = resolve; });
      window.fetch = async (...parameters) => {
        if (String(parameters[0]).startsWith("api/value")) { await window.answers; throw new Error("no answer"); }
        return fetchNow(...parameters);
      };
    })()`);
    await page.click(row("time"));
    assert.deepEqual(await page.evaluate(`[shown === undefined, document.getElementById("edit-save").disabled, document.getElementById("edit-delete").disabled]`), [true, true, true]);
    await page.evaluate(`answer()`);
    await page.until(`document.getElementById("value").hidden && /does not answer/.test(document.getElementById("message").textContent)`);
    await page.evaluate(`window.fetch = fetchNow`);
    page.errors.splice(0);
  });

  test("a value that another process has changed meanwhile is not written over", async () => {
    await page.click(row("varint"));
    await page.until(`shown?.was === "8003ff"`);
    const db = open(path);
    db.update((tx) => tx.bucket("kinds")?.put("varint", Buffer.from([0xff])));
    db.close();
    await page.evaluate(`document.getElementById("edit-text").value = "aa"`);
    await page.click(button("Save as hex"));
    await page.until(`/changed or deleted meanwhile/.test(document.getElementById("message").textContent)`);
    page.errors.splice(0);
    const after = open(path, { readOnly: true });
    assert.equal(after.view((tx) => tx.bucket("kinds")?.get("varint")?.toString("hex")), "ff");
    after.close();
    await page.evaluate(`document.getElementById("edit-text").value = "80 03 ff"`);
    await page.click(row("varint"));
    await page.until(`document.getElementById("edit-text").value === "ff"`);
  });

  test("text with carriage returns, which a field of text would lose, is changed as hexadecimal digits, too", async () => {
    await page.evaluate(`location.hash = "bucket=${hexOf("kinds")}"`);
    await page.click(row("windows"));
    await page.until(`document.getElementById("edit-text").value === "61 0d 0a 62"`);
    await page.click(button("Save as hex"));
    await page.until(`document.getElementById("edit-done").textContent.startsWith("Saved by transaction ")`);
    const db = open(path, { readOnly: true });
    assert.equal(db.view((tx) => tx.bucket("kinds")?.get("windows")?.toString()), "a\r\nb");
    db.close();
  });

  test("a page that continues another leads to that one", async () => {
    await page.click(button("Pages"));
    await page.until(`map && Array.from(map.kinds).some((kind) => map.kindNames[kind] === "overflow")`);
    const [first, overflow] = await page.evaluate(`(() => { const at = Array.from(map.kinds).findIndex((kind) => map.kindNames[kind] === "overflow"); return [at - 1, at + 3]; })()`) as [number, number];
    await page.evaluate(`showPage(${overflow})`);
    await page.until(`document.querySelector("#page h2")?.textContent.startsWith("page ${overflow}: overflow")`);
    await page.click(`[...document.querySelectorAll("#page button")].find((b) => b.textContent === "page ${first}")`);
    await page.until(`document.querySelector("#page h2")?.textContent.startsWith("page ${first}: leaf, bucket kinds")`);
    await page.click(`document.querySelector("#page button[aria-label=Close]")`);
    await page.until(`document.getElementById("page").hidden`);
  });

  test("problems of a damaged file are listed with a way to the page", async () => {
    const damaged = await startViewer({ path: fixtureOriginal("key-order"), host: "127.0.0.1", port: 0, canWrite: false }, io);
    await page.command("Page.navigate", { url: damaged.address });
    await page.until(`document.querySelectorAll("#rows tr").length > 0`);
    await page.click(button("Check"));
    await page.click(button("Run the check"));
    await page.until(`document.querySelectorAll("#check-problems li").length === 2`);
    await page.click(button("page 36"));
    await page.until(`document.querySelector("#page h2")?.textContent.startsWith("page 36: leaf")`);
    await damaged.close();
  });
});
