/** The part of the viewer's script that shows the page map and single pages. */

/** Plain JavaScript for the browser; uses what view-script.ts and view-script-content.ts define. */
export const PAGES_SCRIPT: string = String.raw`
// ---- the page map

const COLOURS = { unreachable: "#e5484d", meta: "#30343b", freelist: "#6b7686", pending: "#e8c99b", free: "#e6e8eb" };
const MAX_CELLS = 40000;
let map;
let cell = 12;
let columns = 1;
let perCell = 1;
let shownPage;
let pageVersion = 0;

const bytesOf = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

async function loadMap() {
  const answer = await ask("map");
  const owners = bytesOf(answer.owners);
  map = { ...answer, kinds: bytesOf(answer.kinds), fills: bytesOf(answer.fills), owners: new Int32Array(owners.buffer) };
  drawMap();
  drawLegend();
}

function kindOf(pgid) { return map.kindNames[map.kinds[pgid]]; }

function colourOf(pgid) {
  const kind = kindOf(pgid);
  const colours = map.buckets[map.owners[pgid]]?.colours;
  return COLOURS[kind] ?? colours?.[kind === "branch" ? 0 : kind === "leaf" ? 1 : 2] ?? "#999";
}

function describe(pgid) {
  const owner = map.buckets[map.owners[pgid]];
  return "page " + pgid + ": " + kindOf(pgid) + (owner ? ", " + owner.label : "") + (map.fills[pgid] > 0 ? ", " + map.fills[pgid] + " % full" : "");
}

function drawMap() {
  const canvas = $("map-canvas");
  perCell = Math.max(1, Math.ceil(map.pageCount / MAX_CELLS));
  const cells = Math.ceil(map.pageCount / perCell);
  cell = cells > 8000 ? 7 : cells > 2000 ? 10 : 15;
  const width = Math.max(200, canvas.parentElement.clientWidth - 4);
  columns = Math.max(1, Math.floor(width / cell));
  const height = Math.ceil(cells / columns) * cell;
  const scale = devicePixelRatio || 1;
  canvas.width = columns * cell * scale;
  canvas.height = height * scale;
  canvas.style.width = columns * cell + "px";
  canvas.style.height = height + "px";
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  for (let i = 0; i < cells; i++) {
    const pgid = i * perCell;
    const x = (i % columns) * cell;
    const y = Math.floor(i / columns) * cell;
    const fill = map.fills[pgid];
    context.fillStyle = colourOf(pgid);
    if (fill > 0) {
      context.globalAlpha = 0.3;
      context.fillRect(x, y, cell - 1, cell - 1);
      context.globalAlpha = 1;
    }
    const size = fill > 0 ? Math.max(1, ((cell - 1) * fill) / 100) : cell - 1;
    context.fillRect(x, y + (cell - 1) - size, cell - 1, size);
    if (shownPage !== undefined && shownPage >= pgid && shownPage < pgid + perCell) {
      context.strokeStyle = "#d6006c";
      context.lineWidth = 2;
      context.strokeRect(x, y, cell - 1, cell - 1);
    }
  }
}

function drawLegend() {
  const counts = {};
  for (const kind of map.kinds) counts[map.kindNames[kind]] = (counts[map.kindNames[kind]] ?? 0) + 1;
  const swatch = (colour, text, onclick) => {
    const box = make("i");
    box.style.background = colour;
    return make("li", {}, box, onclick ? make("button", { onclick }, text) : text);
  };
  const kinds = Object.keys(COLOURS).filter((kind) => counts[kind]).map((kind) => swatch(COLOURS[kind], kind + " " + counts[kind]));
  const largest = [...map.families].sort((a, b) => b.pageCount - a.pageCount).slice(0, 24);
  $("legend").replaceChildren(...kinds, ...largest.map(({ colour, label, pageCount, path }) => swatch(colour, label + " " + pageCount, () => goTo(path))));
  $("map-hint").textContent = "A square is " + (perCell > 1 ? perCell + " pages" : "a page of " + sizeText(map.pageSize)) + ": the colour is its bucket's, the height how full it is. Point at one to read what it is, click it to see what is on it.";
  if (perCell > 1) $("legend").append(make("li", {}, perCell + " pages a cell"));
}

function pageAt(event) {
  const x = Math.floor(event.offsetX / cell);
  const i = Math.floor(event.offsetY / cell) * columns + x;
  const pgid = i * perCell;
  return map && x < columns && pgid < map.pageCount ? pgid : undefined;
}

$("map-canvas").addEventListener("mousemove", (event) => {
  const pgid = pageAt(event);
  $("map-hover").textContent = pgid === undefined ? "" : describe(pgid);
});
$("map-canvas").addEventListener("click", (event) => { const pgid = pageAt(event); if (pgid !== undefined) go({ page: pgid }); });
$("goto-page").addEventListener("change", (event) => {
  const text = event.target.value;
  if (text === "") return;
  if (map && Number(text) >= map.pageCount) say("There is no page " + text + ": the last one is " + (map.pageCount - 1) + ".", "page");
  else go({ page: text });
});
addEventListener("resize", () => { if (map && !$("map").hidden) drawMap(); });

// ---- one page

function pageButton(pgid) { return make("button", { onclick: () => go({ page: pgid }) }, "page " + pgid); }

function itemRow(item, page) {
  const key = make("td", { title: item.label }, item.label);
  if (item.child !== undefined) return make("tr", {}, key, make("td", {}), make("td", {}, pageButton(item.child)));
  if (item.root !== undefined) {
    const path = page.bucket ? (page.bucket.path === "" ? item.key : page.bucket.path + "," + item.key) : undefined;
    return make("tr", {}, key, make("td", {}), make("td", {}, path === undefined ? "bucket" : make("button", { onclick: () => goTo(path) }, "bucket ›"), " ", item.root === 0 ? "inline" : pageButton(item.root)));
  }
  const open = page.bucket && page.kind === "leaf" ? () => goTo(page.bucket.path, item.key) : undefined;
  return make("tr", open ? { onclick: open } : {}, key, make("td", {}, sizeText(item.size)), make("td", {}, item.preview));
}

async function showPage(pgid) {
  const version = ++pageVersion;
  const page = await ask("page", { id: pgid });
  if (version !== pageVersion) return;
  shownPage = pgid;
  const parts = [make("div", { class: "bar" }, make("h2", {}, page.text), make("button", { "aria-label": "Close", onclick: () => go({ page: undefined }) }, "×"))];
  if (page.head !== undefined) parts.push(make("p", {}, "Holds the rest of what begins on ", pageButton(page.head)));
  else parts.push(make("p", {}, page.problem ?? page.type + ", " + sizeText(page.size) + (page.overflow > 0 ? " in " + (page.overflow + 1) + " pages" : "") + ", " + countText(page.count, "element")));
  if (page.kind === "free" || page.kind === "pending") parts.push(make("p", { class: "hint" }, "In no use: what follows was left behind by an earlier transaction."));
  if (page.bucket) parts.push(make("p", {}, "Bucket ", make("button", { onclick: () => goTo(page.bucket.path) }, page.bucket.label || "root")));
  if (page.meta) parts.push(make("pre", {}, Object.entries(page.meta).map(([name, value]) => name.padEnd(14) + value).join("\n")));
  if (page.ids) parts.push(make("pre", {}, page.ids.join(" ")));
  if (page.hex) parts.push(make("pre", {}, hexLines(page.hex)));
  if (page.items) parts.push(make("table", {}, make("thead", {}, make("tr", {}, make("th", {}, "Key"), make("th", {}, "Size"), make("th", {}, "Value"))), make("tbody", {}, ...page.items.map((item) => itemRow(item, page)))));
  if (page.items && page.items.length < page.count) parts.push(make("p", {}, "The first " + page.items.length + " elements."));
  $("page").replaceChildren(...parts);
  $("page").hidden = false;
  // The page beside it takes some of its width.
  if (map) drawMap();
}

function closePage() {
  pageVersion++;
  if (shownPage === undefined) return;
  shownPage = undefined;
  $("page").hidden = true;
  if (map) drawMap();
}
`;
