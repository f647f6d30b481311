/** The part of the viewer's script that shows buckets, entries and values. */

/** Plain JavaScript for the browser; uses what view-script.ts defines. */
export const CONTENT_SCRIPT: string = String.raw`
// ---- buckets and entries. A bucket is named by its path: names in hexadecimal, commas between.

const ROWS = 100;
const TREE_LIMIT = 500;
/** The bucket that is shown; where its shown rows begin, and where those before began. */
let bucket;
let from = "";
let before = [];
let next;
let openKey;
const expanded = new Set([""]);

function showBucket(path) {
  $("prefix").value = "";
  bucket = { path, labels: path === "" ? [] : path.split(",").map(labelOfHex) };
  for (let parts = path.split(","); parts.length > 1; ) { parts.pop(); expanded.add(parts.join(",")); }
  closeValue();
  loadFirstRows();
  loadTree();
}

function labelOfHex(text) {
  const bytes = Uint8Array.from(text.match(/../g) ?? [], (digits) => parseInt(digits, 16));
  try {
    const decoded = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]+$/u.test(decoded) ? decoded : text;
  } catch { return text; }
}

/** Goes to a bucket, and to the value of a key in it. */
function goTo(path, key) {
  if (path === bucket.path && key === undefined) loadFirstRows();
  go({ tab: "content", bucket: path, key });
}

/** What is typed into the search field, in hexadecimal. */
function prefixHex() {
  const text = $("prefix").value;
  const digits = /^0x((?:[0-9a-f]{2})*)$/i.exec(text)?.[1];
  return digits === undefined ? textToHex(text) : digits.toLowerCase();
}

let rowsVersion = 0;
/** The rows on show, as they came. The same again are left where they are: somebody may be about to click one. */
let shownRows;

function loadFirstRows() {
  [from, before] = ["", []];
  return loadRows();
}

async function loadRows() {
  // Answers may come in another order than their questions: the last question counts.
  const version = ++rowsVersion;
  let answer;
  try {
    answer = await ask("entries", { path: bucket.path, prefix: prefixHex(), from, limit: ROWS });
  } catch (error) {
    if (version === rowsVersion) noRows(next !== undefined);
    throw error;
  }
  if (version !== rowsVersion) return;
  const { entries, next: following, sequence } = answer;
  next = following;
  $("bucket-name").textContent = bucket.labels.length === 0 ? "Buckets" : bucket.labels.join(" / ");
  const rows = bucket.path + JSON.stringify(entries);
  if (rows !== shownRows) replace($("rows"), ...entries.map(rowOf));
  shownRows = rows;
  $("no-rows").hidden = entries.length > 0;
  $("no-rows").textContent = $("prefix").value !== "" ? "No key here starts with that." : bucket.path === "" ? "The file has no bucket yet." : "This bucket is empty.";
  $("page-next").disabled = next === undefined;
  $("page-back").disabled = $("page-first").disabled = before.length === 0;
  showStats(sequence);
}

/** The rows of a bucket that cannot be read, or is not there: none. Those of a later page stay what they were. */
function noRows(hadNext) {
  [$("page-next").disabled, $("page-back").disabled] = [!hadNext, before.length === 0];
  const name = bucket.labels.length === 0 ? "Buckets" : bucket.labels.join(" / ");
  if ($("bucket-name").textContent === name) return;
  $("bucket-name").textContent = name;
  $("rows").replaceChildren();
  shownRows = undefined;
  $("bucket-stats").replaceChildren();
  $("no-rows").hidden = true;
}

function rowOf(entry) {
  const open = () => {
    if (entry.isBucket) goTo(bucket.path === "" ? entry.key : bucket.path + "," + entry.key);
    else if (entry.key !== openKey) go({ key: entry.key });
    else if (mayLeave()) showValue(entry.key);
  };
  const name = make("button", { title: entry.label, "data-focus": entry.key }, entry.label);
  const row = make("tr", { onclick: open, "data-key": entry.key, "aria-selected": entry.key === openKey ? "true" : undefined },
    make("td", {}, name), make("td", {}, entry.isBucket ? "" : sizeText(entry.size)), make("td", {}, entry.isBucket ? "bucket ›" : entry.preview));
  return row;
}

function countText(count, what) { return count.toLocaleString("en") + " " + what + (count === 1 ? "" : "s"); }

async function showStats(sequence) {
  const path = bucket.path;
  const line = $("bucket-stats");
  if (line.dataset.path !== path) line.replaceChildren();
  line.dataset.path = path;
  if (path === "") return;
  try {
    const stats = await ask("stats", { path });
    if (path !== bucket.path) return;
    const pages = stats.branchPageN + stats.branchOverflowN + stats.leafPageN + stats.leafOverflowN;
    const place = stats.root === 0 ? "inline" : countText(pages, "page") + ", root ";
    replace(line, countText(stats.keyN, "key") + ", " + place,
      ...(stats.root === 0 ? [] : [make("button", { "data-focus": "root", onclick: () => go({ tab: "map", page: stats.root }) }, "page " + stats.root)]),
      ", " + countText(stats.depth, "level") + ", " + countText(stats.bucketN - 1, "nested bucket") + ", sequence " + sequence);
  } catch { /* It was shown. */ }
}

/** Pages on or back; where the rows do not come it stays at those that are shown. */
async function turn(button, step) {
  const stood = [from, [...before]];
  button.disabled = true;
  step();
  try { await loadRows(); } catch { [from, before] = stood; }
}
$("page-next").addEventListener("click", () => turn($("page-next"), () => { before.push(from); from = next; }));
$("page-back").addEventListener("click", () => turn($("page-back"), () => { from = before.pop() ?? ""; }));
$("page-first").addEventListener("click", loadFirstRows);
$("prefix").addEventListener("input", loadFirstRows);

// ---- the tree of buckets

async function branchOf(path) {
  const { entries, next: following } = await ask("entries", { path, kind: "bucket", limit: TREE_LIMIT }, "GET", "tree");
  const items = await Promise.all(entries.map(async ({ key, label }) => {
    const own = path === "" ? key : path + "," + key;
    const item = make("li", { role: "treeitem", "aria-expanded": String(expanded.has(own)) });
    const twist = make("button", { class: "twist", "aria-label": "Open or close", "data-focus": "twist " + own, onclick: () => { expanded.has(own) ? expanded.delete(own) : expanded.add(own); loadTree(); } }, expanded.has(own) ? "▾" : "▸");
    item.append(make("div", { class: "row" }, twist, make("button", { class: "name", title: label, "data-path": own, "data-focus": "name " + own, onclick: () => goTo(own) }, label)));
    if (expanded.has(own)) item.append(await branchOf(own));
    return item;
  }));
  if (items.length === 0) items.push(make("li", { class: "hint" }, path === "" ? "no buckets" : "no buckets in it"));
  if (following !== undefined) items.push(make("li", {}, "and more: search on the right"));
  return make("ul", { role: "group" }, ...items);
}

let treeVersion = 0;

async function loadTree() {
  const version = ++treeVersion;
  const top = make("button", { class: "name", "data-path": "", "data-focus": "name ", onclick: () => goTo("") }, "All buckets");
  const branch = await branchOf("");
  if (version !== treeVersion) return;
  replace($("tree"), top, branch);
  markCurrent();
}

function markCurrent() {
  for (const name of document.querySelectorAll("#tree .name")) name.setAttribute("aria-current", String(name.dataset.path === bucket.path));
}

// ---- one value

const FORMS = [["text", "Text"], ["json", "JSON"], ["hex", "Hex"], ["varint", "Varint"], ["goTime", "Go time"], ["uint64", "uint64 (big-endian)"], ["uint64le", "uint64 (little-endian)"]];
let form = "text";
/** What is on show, and what Save and Delete are about; undefined while another value is asked for. */
let shown;
let valueVersion = 0;

function closeValue() {
  valueVersion++;
  openKey = shown = undefined;
  $("value").hidden = true;
  for (const row of document.querySelectorAll("#rows tr[aria-selected]")) row.removeAttribute("aria-selected");
}

/** Whether what stands in the field is not what was shown. */
function isChanged() {
  return shown !== undefined && $("edit-text").value !== shown.text;
}

/** Whether what stands in the field may go: it is as it was shown, or the user says so. */
function mayLeave() {
  return !isChanged() || confirm("Drop the changes of the key " + shown.label + "?");
}

function hexLines(digits) {
  const lines = [];
  for (let i = 0; i < digits.length; i += 32) {
    const line = digits.slice(i, i + 32);
    const bytes = line.match(/../g).map((pair) => parseInt(pair, 16));
    lines.push((i / 2).toString(16).padStart(6, "0") + "  " + line.replace(/../g, "$& ").padEnd(49) + bytes.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".")).join(""));
  }
  return lines.join("\n");
}

async function showValue(key) {
  const version = ++valueVersion;
  const path = bucket.path;
  openKey = key;
  // Until the answer is here, and when none comes, there is nothing to be saved or deleted: least of all what stands there under the new key.
  shown = undefined;
  $("edit-save").disabled = $("edit-delete").disabled = true;
  let value;
  try {
    value = await ask("value", { path, key });
  } catch (error) {
    if (version === valueVersion) closeValue();
    throw error;
  }
  if (version !== valueVersion) return;
  for (const row of document.querySelectorAll("#rows tr")) row.setAttribute("aria-selected", String(row.dataset.key === key));
  $("value").hidden = false;
  $("value-key").textContent = value.label;
  $("value-size").textContent = value.size.toLocaleString("en") + " bytes" + (value.isCut ? ", the first 64 KiB are shown" : "");
  const forms = FORMS.filter(([name]) => value[name] !== undefined);
  const chosen = forms.some(([name]) => name === form) ? form : value.json !== undefined ? "json" : value.text !== undefined && /^[^\x00-\x08\x0e-\x1f]*$/.test(value.text) ? "text" : "hex";
  const show = (name) => {
    $("value-body").textContent = name === "hex" ? hexLines(value.hex) : value[name];
    for (const button of $("value-forms").children) button.setAttribute("aria-pressed", String(button.dataset.form === name));
  };
  $("value-forms").replaceChildren(...forms.map(([name, title]) => make("button", { "data-form": name, onclick: () => { form = name; show(name); } }, title)));
  show(chosen === "text" && value.json !== undefined && form === "text" ? "json" : chosen);
  $("value-edit").hidden = !canWrite || value.isCut;
  // Bytes that are no text would be lost in a field of text, and its lines end in one way only: these are changed as hexadecimal digits.
  editsHex = value.text === undefined || value.text.includes("\r");
  $("edit-text").value = editsHex ? value.hex.replace(/../g, "$& ").trim() : value.text;
  shown = { path, key, label: value.label, was: value.isCut ? undefined : value.hex, text: $("edit-text").value };
  $("edit-save").disabled = $("edit-delete").disabled = false;
  $("edit-save").textContent = editsHex ? "Save as hex" : "Save as text";
  $("edit-done").textContent = "";
}

let editsHex = false;

/** What is in the field, in hexadecimal; undefined when it should be that and is not. */
function editedHex() {
  const text = $("edit-text").value;
  if (!editsHex) return textToHex(text);
  const digits = text.replace(/\s+/g, "").toLowerCase();
  return /^(?:[0-9a-f]{2})*$/.test(digits) ? digits : undefined;
}

$("value-close").addEventListener("click", () => go({ key: undefined }));
$("edit-save").addEventListener("click", async () => {
  if (shown === undefined) return;
  const { path, key, was } = shown;
  const value = editedHex();
  if (value === undefined) return say("These are no hexadecimal digits, two a byte.", "put");
  let txid;
  // What were typed until the answer is here would be lost with it.
  $("edit-text").readOnly = $("edit-save").disabled = true;
  try {
    ({ txid } = await ask("put", { path, key, value, was: "0x" + was }, "POST"));
  } finally {
    $("edit-text").readOnly = $("edit-save").disabled = false;
  }
  if (shown?.path !== path || shown.key !== key) return;
  await Promise.all([showValue(key), loadRows(), count()]);
  $("edit-done").textContent = "Saved by transaction " + txid;
});
$("edit-delete").addEventListener("click", async () => {
  if (shown === undefined) return;
  const { path, key, label, was } = shown;
  if (!confirm("Delete the key " + label + "?")) return;
  await ask("delete", { path, key, was: was === undefined ? undefined : "0x" + was }, "POST");
  if (shown?.path === path && shown.key === key) {
    closeValue();
    go({ key: undefined });
  }
  await Promise.all([loadRows(), count()]);
});
`;
