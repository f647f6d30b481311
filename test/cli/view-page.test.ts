/** The viewer's page in a real browser. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startViewer, type Viewer } from "../../engine/cli/view-server.js";
import { open, type DB } from "../../engine/index.js";
import { fixtureOriginal } from "../support/fixtures.js";
import { BrowserPage, findBrowser } from "./devtools.js";
import { hexOf, io, sampleFile } from "./viewed-file.js";

const browser = findBrowser();

describe("the page in a browser", { skip: process.env["HEXBOLT_BROWSER"] === undefined ? "set HEXBOLT_BROWSER=1 to run it" : "missing" in browser ? browser.missing : false }, () => {
  let page: BrowserPage;
  let viewer: Viewer;
  let path: string;
  let writer: DB | undefined;
  const button = (text: string): string => `[...document.querySelectorAll("button")].find((b) => b.textContent === ${JSON.stringify(text)} && b.offsetParent !== null)`;
  const row = (text: string): string => `[...document.querySelectorAll("#rows tr button")].find((b) => b.textContent === ${JSON.stringify(text)})`;

  /** Goes to an address of the page, and waits until it was followed. */
  const visit = async (hash: string): Promise<void> => {
    await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
    await page.until(`followed === ${JSON.stringify(hash)}`);
  };

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
    await visit(`bucket=${hexOf("users")}`);
    await page.evaluate(`(() => { const field = document.getElementById("prefix"); field.value = "zz"; field.dispatchEvent(new Event("input")); })()`);
    await page.click(row("zz<script>alert(1)</script>"));
    await page.until(`document.getElementById("value-key").textContent === "zz<script>alert(1)</script>"`);
    assert.equal(await page.evaluate(`document.querySelectorAll("img, main script").length`), 0);
    await page.evaluate(`(() => { const field = document.getElementById("prefix"); field.value = ""; field.dispatchEvent(new Event("input")); })()`);
  });

  test("an answer that comes late does not replace what was asked for after it", async () => {
    await visit(`bucket=${hexOf("users")}`);
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
    assert.match(String(await page.evaluate("location.hash")), /bucket=6b696e6473&page=\d+$/, "another bucket is shown than the page's");
    await page.click(`document.querySelector("#page tbody td")`);
    await page.until(`!document.getElementById("value").hidden && document.getElementById("value-body").textContent.includes('"name"')`);
  });

  test("the browser's Back leads through what was on show: the value, the page, the map, the bucket before", async () => {
    const back = `history.back()`;
    await page.evaluate(back);
    await page.until(`!document.getElementById("map").hidden && document.getElementById("tab-map").getAttribute("aria-selected") === "true"`);
    await page.until(`!document.getElementById("page").hidden`);
    await page.evaluate(back);
    await page.until(`document.getElementById("page").hidden && !document.getElementById("map").hidden`);
    await page.evaluate(back);
    await page.until(`!document.getElementById("content").hidden && document.getElementById("bucket-name").textContent === "kinds"`);
    await page.evaluate(back);
    await page.until(`document.getElementById("bucket-name").textContent === "users"`);
  });

  test("a commit of another process leaves the rows, the open value and the focus where they are", async () => {
    await visit(`bucket=${hexOf("users")}`);
    await page.click(button("Next"));
    await page.click(row("user/0150"));
    await page.until(`shown?.label === "user/0150"`);
    assert.equal(await page.evaluate(`document.activeElement.textContent`), "user/0150");
    await page.click(button("Pages"));
    await page.click(button("Content"));
    await page.until(`!document.getElementById("content").hidden`);
    await page.evaluate(`(${row("user/0160")}).focus()`);
    const db = open(path);
    db.update((tx) => tx.bucket("users")?.put("user/0155", "of another process"));
    db.close();
    await page.until(`[...document.querySelectorAll("#rows tr")].some((r) => r.textContent.includes("of another process"))`);
    assert.deepEqual(await page.evaluate(`[document.activeElement.textContent, shown.label, location.hash]`), ["user/0160", "user/0150", `#bucket=${hexOf("users")}&key=${hexOf("user/0150")}`]);
  });

  test("changes that are not saved are left only if the user says so, whatever leads away", async () => {
    await page.evaluate(`document.getElementById("edit-text").value = "not saved"; window.confirm = (text) => { window.asked = text; return false; }`);
    await page.evaluate(`document.querySelector('#tree [data-path="${hexOf("kinds")}"]').click()`);
    await page.until(`window.asked === "Drop the changes of the key user/0150?"`);
    await page.evaluate(`window.asked = ""; history.go(1 - entryNumber)`);
    await page.until(`window.asked !== ""`);
    const stands = `["not saved", "user/0150", ${JSON.stringify(`#bucket=${hexOf("users")}&key=${hexOf("user/0150")}`)}]`;
    const isAsBefore = `JSON.stringify([document.getElementById("edit-text").value, shown.label, location.hash]) === JSON.stringify(${stands})`;
    await page.until(isAsBefore);
    // Refused again, and the entries that were refused are there yet.
    await page.evaluate(`window.asked = ""; history.go(1 - entryNumber)`);
    await page.until(`window.asked !== ""`);
    await page.until(isAsBefore);
    await page.evaluate(`window.asked = ""; location.hash = "bucket=${hexOf("kinds")}"`);
    await page.until(`window.asked !== ""`);
    await page.until(isAsBefore);
    assert.equal(await page.evaluate(`dispatchEvent(new Event("beforeunload", { cancelable: true }))`), false, "the page asks before it is loaded anew");
    const number = Number(await page.evaluate(`history.state`));
    await page.evaluate(`window.confirm = () => true; history.go(${1 - number})`);
    await page.until(`history.state === 1 && entryNumber === 1 && shown === undefined`);
    assert.equal(await page.evaluate(`dispatchEvent(new Event("beforeunload", { cancelable: true }))`), true);
    await page.evaluate(`history.go(${number - 1})`);
    await page.until(`entryNumber === ${number} && shown?.label === "user/0150"`);
    await page.click(`document.getElementById("value-close")`);
    await page.until(`document.getElementById("value").hidden`);
    await page.evaluate(`delete window.confirm`);
  });

  test("a bucket that is not there has no rows of another one, and is said to be missing", async () => {
    await visit(`bucket=${hexOf("gone")}`);
    await page.until(`document.getElementById("bucket-name").textContent === "gone" && document.querySelectorAll("#rows tr").length === 0`);
    await page.until(`/bucket not found/.test(document.getElementById("message").textContent)`);
    await visit(`page=abc&bucket=${hexOf("users")}`);
    await page.until(row("user/0000"));
    assert.deepEqual(await page.evaluate(`[document.getElementById("message").hidden, document.getElementById("content").hidden]`), [true, false]);
    page.errors.splice(0);
  });

  test("in a narrow window the map is as wide as the window", async () => {
    await page.command("Emulation.setDeviceMetricsOverride", { width: 500, height: 900, deviceScaleFactor: 1, mobile: false });
    await page.click(button("Pages"));
    await page.until(`map && columns > 1 && document.getElementById("map-canvas").getBoundingClientRect().width > 400`);
    await page.command("Emulation.clearDeviceMetricsOverride");
  });

  test("the check's result and the counters are live", async () => {
    await page.click(button("Check"));
    await page.click(button("Run the check"));
    await page.until(`document.getElementById("check-result").textContent.startsWith("OK")`);
    const txid = Number(await page.evaluate(`document.getElementById("count-txid").textContent`));
    writer = open(path);
    writer.update((tx) => tx.bucket("kinds")?.put("live", "now"));
    await page.until(`Number(document.getElementById("count-txid").textContent) > ${txid}`);
    await visit(`bucket=${hexOf("kinds")}`);
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
    await visit(`bucket=${hexOf("kinds")}`);
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
    await visit(`bucket=${hexOf("kinds")}`);
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

  test("while a value is being saved nothing can be typed that would be lost", async () => {
    await page.click(row("varint"));
    await page.until(`document.getElementById("edit-text").value === "80 03 ff"`);
    await page.evaluate(`(() => {
      const fetchNow = window.fetch;
      window.question = new Promise((resolve) => { window.letGo = () => { window.fetch = fetchNow; resolve(); }; });
      window.fetch = async (...parameters) => { if (String(parameters[0]) === "api/put") await window.question; return fetchNow(...parameters); };
    })()`);
    const field = `[document.getElementById("edit-text").readOnly, document.getElementById("edit-save").disabled]`;
    await page.click(button("Save as hex"));
    assert.deepEqual(await page.evaluate(field), [true, true]);
    await page.evaluate(`letGo()`);
    await page.until(`document.getElementById("edit-done").textContent.startsWith("Saved by transaction ")`);
    assert.deepEqual(await page.evaluate(field), [false, false]);
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
    await visit(`bucket=${hexOf("kinds")}`);
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
