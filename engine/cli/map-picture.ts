/** The page map as a picture: SVG, or blocks for a terminal. Files of many pages are drawn with several pages a cell. */
import { countKinds, describePage, KINDS, pathText, type Kind, type PageMap } from "./page-map.js";

/** Cells that a picture has at most. */
const MAX_SVG_CELLS = 10_000;
const MAX_ROWS = 40;

/** A cell: the pages from `start` on, `length` of them, and the page that stands for them. */
interface Cell {
  readonly start: number;
  readonly length: number;
  /** The first page of the kind that most of them are. */
  readonly shown: number;
}

function cellsOf(map: PageMap, limit: number): Cell[] {
  const length = Math.max(1, Math.ceil(map.pageCount / limit));
  const cells: Cell[] = [];
  for (let start = 0; start < map.pageCount; start += length) cells.push({ start, length: Math.min(length, map.pageCount - start), shown: commonest(map, start, length) });
  return cells;
}

function familyOf(map: PageMap, pgid: number): number {
  return map.buckets[map.owners[pgid] ?? -1]?.family ?? -1;
}

function commonest(map: PageMap, start: number, length: number): number {
  if (length === 1) return start;
  const counts = new Map<number, { count: number; first: number }>();
  for (let pgid = start; pgid < Math.min(start + length, map.pageCount); pgid++) {
    const key = map.kinds[pgid]! * 1e6 + familyOf(map, pgid);
    const entry = counts.get(key) ?? { count: 0, first: pgid };
    entry.count++;
    counts.set(key, entry);
  }
  return [...counts.values()].sort((a, b) => b.count - a.count)[0]!.first;
}

const PLAIN_COLOURS: Readonly<Partial<Record<Kind, string>>> = {
  unreachable: "#e5484d", meta: "#30343b", freelist: "#6b7686", pending: "#e8c99b", free: "#e6e8eb",
};

/** The colour of a family of buckets: neighbours in number are far apart in hue. */
export function familyColour(family: number, lightness: number): string {
  return family < 0 ? `hsl(215 12% ${lightness}%)` : `hsl(${Math.round((family * 137.5 + 210) % 360)} 58% ${lightness}%)`;
}

function colourOf(map: PageMap, pgid: number): string {
  const kind = KINDS[map.kinds[pgid] ?? 0]!;
  return PLAIN_COLOURS[kind] ?? familyColour(familyOf(map, pgid), kind === "branch" ? 36 : kind === "leaf" ? 55 : 68);
}

/** Escapes text for XML; control characters, which no XML may hold, are shown as a replacement character. */
export function xml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu, "\ufffd");
}

const CELL = 12;
const GAP = 2;
const LEFT = 16;
const TOP = 48;
const LEGEND_LINE = 20;
const MAX_LEGEND_BUCKETS = 40;

function legend(map: PageMap, y: number): { readonly svg: string; readonly height: number } {
  const counts = countKinds(map);
  const plain = KINDS.filter((kind) => PLAIN_COLOURS[kind] !== undefined && counts[kind] > 0).map((kind) => ({ colour: PLAIN_COLOURS[kind]!, text: `${kind}: ${counts[kind]} pages` }));
  const rootPages = map.buckets.find(({ parent }) => parent === undefined)?.pageCount ?? 0;
  const named = map.families.map(({ bucket, pageCount }, family) => ({ family, name: pathText(bucket, "/"), pageCount }));
  const sorted = [{ family: -1, name: "root bucket", pageCount: rootPages }, ...named].sort((x, z) => z.pageCount - x.pageCount);
  const buckets = sorted.slice(0, MAX_LEGEND_BUCKETS).map(({ family, name, pageCount }) => ({ colour: familyColour(family, 55), text: `${name}: ${pageCount} pages` }));
  const more = sorted.length > MAX_LEGEND_BUCKETS ? [{ colour: "none", text: `and ${sorted.length - MAX_LEGEND_BUCKETS} more buckets` }] : [];
  const lines = [...plain, ...buckets, ...more].map(({ colour, text }, i) =>
    `<rect x="${LEFT}" y="${y + i * LEGEND_LINE}" width="12" height="12" rx="2" fill="${colour}"/><text x="${LEFT + 20}" y="${y + i * LEGEND_LINE + 10}">${xml(text)}</text>`);
  return { svg: lines.join("\n"), height: lines.length * LEGEND_LINE };
}

function cellSvg(map: PageMap, { length, shown, start }: Cell, x: number, y: number): string {
  const colour = colourOf(map, shown);
  const fill = map.fills[shown] ?? 0;
  const title = length === 1 ? describePage(map, start) : `pages ${start} to ${start + length - 1}, mostly ${describePage(map, shown).replace(/^page \d+: /, "")}`;
  const height = fill === 0 ? CELL : Math.max(1, Math.round((CELL * fill) / 100));
  const back = fill === 0 ? "" : `<rect x="${x}" y="${y}" width="${CELL}" height="${CELL}" fill="${colour}" opacity=".3"/>`;
  return `<g><title>${xml(title)}</title>${back}<rect x="${x}" y="${y + CELL - height}" width="${CELL}" height="${height}" fill="${colour}"/></g>`;
}

/** Draws the map as SVG. A cell's height in full colour is how full its page is. */
export function mapSvg(map: PageMap, name: string): string {
  const cells = cellsOf(map, MAX_SVG_CELLS);
  const columns = Math.max(24, Math.ceil(Math.sqrt(cells.length * 1.6)));
  const rowCount = Math.ceil(cells.length / columns);
  const below = legend(map, TOP + rowCount * (CELL + GAP) + 16);
  const width = Math.max(420, LEFT * 2 + columns * (CELL + GAP));
  const height = TOP + rowCount * (CELL + GAP) + 24 + below.height;
  const drawn = cells.map((cell, i) => cellSvg(map, cell, LEFT + (i % columns) * (CELL + GAP), TOP + Math.floor(i / columns) * (CELL + GAP)));
  const perCell = cells[0]?.length ?? 1;
  const subtitle = `transaction ${map.txid}, ${map.pageCount} pages of ${map.pageSize} bytes${perCell > 1 ? `, ${perCell} pages a cell` : ""}${map.problems > 0 ? `, ${map.problems} problems` : ""}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="${LEFT}" y="22" font-size="15" font-weight="600">${xml(name)}</text>
<text x="${LEFT}" y="38" fill="#6b7686">${xml(subtitle)}</text>
${drawn.join("\n")}
${below.svg}
</svg>
`;
}

const LETTERS: Readonly<Record<Kind, string>> = { unreachable: "!", meta: "M", freelist: "F", branch: "B", leaf: "L", overflow: "o", pending: "p", free: "." };
/** Of the 256 colours of terminals, some that stand apart. */
const TERMINAL_COLOURS: readonly number[] = [39, 208, 76, 170, 220, 44, 203, 105, 148, 214, 81, 177];

function terminalColour(family: number): number {
  return family < 0 ? 250 : TERMINAL_COLOURS[family % TERMINAL_COLOURS.length]!;
}

function terminalCell(map: PageMap, pgid: number, isColoured: boolean): string {
  const kind = KINDS[map.kinds[pgid] ?? 0]!;
  if (!isColoured) return LETTERS[kind];
  const own = terminalColour(familyOf(map, pgid));
  const inColour = (colour: number | string, character: string): string => `\x1b[38;5;${colour}m${character}\x1b[0m`;
  switch (kind) {
    case "free": return inColour(238, "·");
    case "pending": return inColour(180, "░");
    case "unreachable": return inColour(196, "!");
    case "meta": return "\x1b[1mM\x1b[0m";
    case "freelist": return inColour(245, "F");
    case "branch": return inColour(`${own};7`, "B");
    case "overflow": return inColour(own, "▒");
    // Eight heights: how full the page is.
    case "leaf": return inColour(own, "▁▂▃▄▅▆▇█"[Math.min(7, Math.floor((map.fills[pgid] ?? 0) / 12.5))]!);
  }
}

/** Draws the map in characters, with colours or in letters. */
export function mapText(map: PageMap, columns: number, isColoured: boolean): string {
  const width = Math.max(16, Math.min(columns - 10, 128));
  const cells = cellsOf(map, width * MAX_ROWS);
  const perCell = cells[0]?.length ?? 1;
  let text = perCell > 1 ? `${perCell} pages a character\n` : "";
  for (let i = 0; i < cells.length; i += width) {
    const row = cells.slice(i, i + width);
    text += `${String(row[0]!.start).padStart(8)}  ${row.map((cell) => terminalCell(map, cell.shown, isColoured)).join("")}\n`;
  }
  const counts = countKinds(map);
  const kinds = KINDS.filter((kind) => counts[kind] > 0).map((kind) => `${isColoured ? "" : `${LETTERS[kind]} `}${kind} ${counts[kind]}`);
  text += `\n${kinds.join(", ")}\n`;
  const sorted = [...map.buckets].sort((a, b) => b.pageCount - a.pageCount).slice(0, 12);
  for (const bucket of sorted) {
    const { family, pageCount, parent } = bucket;
    text += `${isColoured ? `\x1b[38;5;${terminalColour(family)}m█\x1b[0m ` : ""}${parent === undefined ? "(root)" : pathText(bucket, "/")}: ${pageCount} pages\n`;
  }
  if (map.buckets.length > sorted.length) text += `and ${map.buckets.length - sorted.length} more buckets with pages of their own\n`;
  return text;
}
