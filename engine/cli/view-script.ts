/** The viewer's script: plain JavaScript for the browser, in the parts below, put together. Everything shown is set as text, never as HTML. */
import { CONTENT_SCRIPT } from "./view-script-content.js";
import { PAGES_SCRIPT } from "./view-script-pages.js";

const COMMON = String.raw`"use strict";
const $ = (id) => document.getElementById(id);
const canWrite = document.body.dataset.canWrite === "true";

/** Makes an element with text, attributes and children. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** What the message on show is about: the counters, which ask every other second, must not take away what another question said. */
let saidBy;

function say(text, by) {
  saidBy = text ? by : undefined;
  $("message").textContent = text ?? "";
  $("message").hidden = !text;
}

/** Asks the server; errors are shown, until the same asks again in vain or not, and thrown. */
async function ask(name, parameters = {}, method = "GET", by = name) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== undefined && value !== ""));
  let response, answer;
  try {
    response = await fetch("api/" + name + (method === "GET" ? "?" + query : ""), method === "GET" ? {} : { method, body: query });
  } catch (error) {
    say("The server does not answer: is hexbolt view still running?", "server");
    throw error;
  }
  try {
    answer = await response.json();
  } catch (error) {
    say("The server's answer cannot be read: HTTP status " + response.status, by);
    throw error;
  }
  if (answer.error) {
    say(answer.error.message, by);
    throw new Error(answer.error.message);
  }
  if (saidBy === by || saidBy === "server") say();
  return answer;
}

const encoder = new TextEncoder();
const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const textToHex = (text) => toHex(encoder.encode(text));

function sizeText(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; bytes >= 1024 && i < units.length - 1; i++) bytes /= 1024;
  return (i === 0 ? bytes : bytes.toFixed(bytes < 10 ? 1 : 0)) + " " + units[i];
}

/** Puts other children into an element. The focus stays at what has the same data-focus, for a commit of another process must not take it away. */
function replace(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  element.replaceChildren(...children);
  if (focused === undefined) return;
  for (const child of element.querySelectorAll("[data-focus]")) if (child.dataset.focus === focused) child.focus({ preventScroll: true });
}

// ---- the address: it says what is on show. Whatever leads somewhere changes it, and it is followed, when the browser's Back has changed it, too.

const TABS = ["content", "map", "check"];

/** What the address says: the tab, a bucket by its path, the key in it that is open, a page. */
function addressed() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const page = /^\d+$/.exec(parameters.get("page") ?? "")?.[0];
  const tab = parameters.get("tab") ?? (page === undefined ? "content" : "map");
  return { tab: TABS.includes(tab) ? tab : "content", bucket: parameters.get("bucket") ?? "", key: parameters.get("key") ?? undefined, page };
}

function hashOf({ tab, bucket, key, page }) {
  const isUnderstood = tab === (page === undefined ? "content" : "map");
  const parts = { tab: isUnderstood ? "" : tab, bucket, key: key ?? "", page: page ?? "" };
  return Object.entries(parts).filter(([, value]) => value !== "").map(([name, value]) => name + "=" + value).join("&");
}

/** Where the address led when it was followed last. */
let followed = "";
/** The entries of the browser's history are numbered as they come, in their states: this one is on show. So a Back that is refused can be taken back. */
let entryNumber = history.state ?? 0;

const leaves = (to) => shown !== undefined && (to.bucket !== shown.path || to.key !== shown.key);

/** Goes to what is given, and stays where it is in all else. */
function go(changes) {
  const to = { ...addressed(), ...changes };
  if (leaves(to) && !mayLeave()) return;
  const hash = hashOf(to);
  if (location.hash.slice(1) !== hash) history.pushState(entryNumber + 1, "", "#" + hash);
  follow(true);
}

/** Shows what the address says, unless changes would be lost and the user wants to keep them. */
function follow(isAgreed) {
  const to = addressed();
  const mayGo = isAgreed || !leaves(to) || mayLeave();
  if (!mayGo && history.state !== null) return history.go(entryNumber - history.state);
  // An address that somebody has typed: it is an entry of its own, which may be another.
  entryNumber = history.state ?? entryNumber + 1;
  history.replaceState(entryNumber, "", mayGo ? undefined : "#" + followed);
  if (!mayGo) return;
  followed = location.hash.slice(1);
  say();
  showTab(to.tab);
  if (to.bucket !== bucket?.path) showBucket(to.bucket);
  if (to.key === undefined) closeValue();
  else if (to.key !== openKey) showValue(to.key);
  if (to.page === undefined) closePage();
  else if (Number(to.page) !== shownPage) showPage(Number(to.page));
}

function showTab(name) {
  if (!$(name).hidden) return;
  for (const tab of TABS) {
    $(tab).hidden = tab !== name;
    $("tab-" + tab).setAttribute("aria-selected", String(tab === name));
  }
  if (name === "map") loadMap();
}
for (const tab of TABS) $("tab-" + tab).addEventListener("click", () => go({ tab }));

// ---- live counters

let lastTxid, lastTime;

async function count() {
  try {
    const info = await ask("info");
    const now = performance.now();
    $("count-txid").textContent = info.txid;
    $("count-size").textContent = sizeText(info.fileSize);
    $("count-pages").textContent = info.pageCount.toLocaleString("en");
    $("count-free").textContent = info.freePageCount === undefined ? "not stored" : info.freePageCount.toLocaleString("en");
    if (lastTxid !== undefined) $("count-rate").textContent = (Number(BigInt(info.txid) - BigInt(lastTxid)) / ((now - lastTime) / 1000)).toFixed(1);
    if (lastTxid !== undefined && info.txid !== lastTxid) refresh();
    [lastTxid, lastTime] = [info.txid, now];
  } catch { /* It was shown. */ }
}

/** Shows what is shown again, as it is now. */
function refresh() {
  loadRows();
  loadTree();
  if (!$("map").hidden) loadMap();
}

// ---- check

async function runCheck() {
  $("check-run").disabled = true;
  $("check-result").textContent = "Checking …";
  $("check-result").className = "";
  $("check-problems").replaceChildren();
  try {
    const { count: problemCount, ms, problems } = await ask("check");
    $("check-result").textContent = problemCount === 0 ? "OK: no problems, " + ms + " ms" : problemCount + " problems, " + ms + " ms";
    $("check-result").className = problemCount === 0 ? "good" : "bad";
    $("check-problems").replaceChildren(...problems.map((problem) => {
      const id = /^page (\d+)/.exec(problem)?.[1] ?? /page\((\d+)\)/.exec(problem)?.[1];
      return make("li", {}, problem + " ", id === undefined ? undefined : make("button", { onclick: () => go({ tab: "map", page: id }) }, "page " + id));
    }));
  } catch (error) {
    $("check-result").textContent = "The check could not be run.";
  }
  $("check-run").disabled = false;
}
$("check-run").addEventListener("click", runCheck);
`;

const START = String.raw`
// Not hashchange: two entries may have one address.
addEventListener("popstate", () => follow(false));
addEventListener("beforeunload", (event) => { if (isChanged()) event.preventDefault(); });
follow(false);
count();
setInterval(count, 2000);
`;

/** Served as view.js. */
export const SCRIPT: string = `${COMMON}${CONTENT_SCRIPT}${PAGES_SCRIPT}${START}`;
