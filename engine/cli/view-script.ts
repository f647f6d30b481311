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

/** Asks the server; errors are shown and thrown. */
async function ask(name, parameters = {}, method = "GET") {
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
    say("The server's answer cannot be read: HTTP status " + response.status, name);
    throw error;
  }
  if (answer.error) {
    say(answer.error.message, name);
    throw new Error(answer.error.message);
  }
  if (saidBy === name || saidBy === "server") say();
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

// ---- tabs

const TABS = ["content", "map", "check"];

function showTab(name) {
  for (const tab of TABS) {
    $(tab).hidden = tab !== name;
    $("tab-" + tab).setAttribute("aria-selected", String(tab === name));
  }
  say();
  if (name === "map") loadMap();
}
for (const tab of TABS) $("tab-" + tab).addEventListener("click", () => showTab(tab));

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
      return make("li", {}, problem + " ", id === undefined ? undefined : make("button", { onclick: () => { showTab("map"); showPage(Number(id)); } }, "page " + id));
    }));
  } catch (error) {
    $("check-result").textContent = "The check could not be run.";
  }
  $("check-run").disabled = false;
}
$("check-run").addEventListener("click", runCheck);
`;

const START = String.raw`
addEventListener("hashchange", fromHash);
fromHash();
count();
setInterval(count, 2000);
`;

/** Served as view.js. */
export const SCRIPT: string = `${COMMON}${CONTENT_SCRIPT}${PAGES_SCRIPT}${START}`;
