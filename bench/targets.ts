/**
 * The speeds hexbolt is to reach, as ratios within one run, and what a run says about them. Only rows and stores that the run has are
 * judged; a ratio is never made from two runs.
 */
import type { StoreName } from "./job.js";
import { lowerIsBetter } from "./results.js";
import type { Cell, Row, Verdict } from "./results.js";

interface SpeedTarget {
  readonly workloads: readonly string[];
  readonly store?: StoreName;
  /** The best of these counts. */
  readonly against: readonly StoreName[];
  readonly atLeast: number;
}

const NODE_STORES: readonly StoreName[] = ["lmdb", "level", "level-default", "sqlite", "node-sqlite"];
const RANGES = ["range", "range-view", "range-back", "range-back-view"];

const SPEEDS: readonly SpeedTarget[] = [
  { workloads: ["get"], against: ["lmdb"], atLeast: 1.5 },
  { workloads: ["get"], against: ["bbolt"], atLeast: 1 },
  { workloads: ["get-view"], against: ["lmdb"], atLeast: 1.2 },
  { workloads: ["get-view"], against: ["bbolt"], atLeast: 1.1 },
  { workloads: ["get-absent"], against: ["lmdb"], atLeast: 1.5 },
  { workloads: ["scan-view"], against: ["lmdb"], atLeast: 5 },
  { workloads: ["scan-view"], against: ["bbolt"], atLeast: 0.3 },
  { workloads: RANGES, against: ["lmdb"], atLeast: 5 },
  { workloads: RANGES, against: ["bbolt"], atLeast: 0.4 },
  { workloads: ["load-random", "load-random-durable"], against: ["lmdb"], atLeast: 1.5 },
  { workloads: ["load-random", "load-random-durable"], against: ["bbolt"], atLeast: 2 },
  { workloads: ["load-sequential"], against: ["lmdb"], atLeast: 1.1 },
  { workloads: ["load-sequential"], against: ["bbolt"], atLeast: 1 },
  { workloads: ["overwrite", "overwrite-durable"], against: ["lmdb"], atLeast: 1.5 },
  { workloads: ["overwrite", "overwrite-durable"], against: ["sqlite"], atLeast: 1.5 },
  { workloads: ["overwrite", "overwrite-durable"], against: ["bbolt"], atLeast: 2 },
  { workloads: ["delete"], against: ["lmdb"], atLeast: 1.5 },
  { workloads: ["delete"], against: ["bbolt"], atLeast: 2 },
  { workloads: ["put-durable"], against: ["bbolt"], atLeast: 1 },
  { workloads: ["put-durable"], against: ["lmdb"], atLeast: 1 },
  { workloads: ["put-durable"], store: "hexbolt-one-sync", against: ["sqlite"], atLeast: 1 },
  { workloads: ["put-concurrent"], against: [...NODE_STORES, "lmdb-overlap", "bbolt", "bbolt-batch", "boltdb"], atLeast: 1 },
  { workloads: ["blob-put", "blob-get"], against: ["lmdb"], atLeast: 1 },
  { workloads: ["integer-load"], against: ["lmdb"], atLeast: 1 },
  { workloads: ["integer-get"], against: ["lmdb"], atLeast: 1.5 },
  { workloads: ["integer-scan"], against: ["lmdb"], atLeast: 2 },
  { workloads: ["images-put"], against: ["level"], atLeast: 1 },
  { workloads: ["images-put-durable"], against: ["lmdb", "level", "sqlite"], atLeast: 1 },
  { workloads: ["images-get"], against: ["lmdb"], atLeast: 1.5 },
  { workloads: ["images-list"], against: ["lmdb"], atLeast: 1 },
  { workloads: ["start"], against: NODE_STORES, atLeast: 1.3 },
];

const FILE_ROWS = ["load-random", "load-sequential", "integer-load", "long-load"];
const MEMORY_ROWS = ["get", "get-view", "get-absent", "scan-view", "load-random", "load-sequential", "overwrite", "delete", "integer-get", "integer-scan"];
const EVENT_LOOP_P99_MS = 5;
const OPEN_MS = 1;
const FILE_OF_BBOLT = 0.55;
const RSS_OF_LEANEST = 1.5;
/** A commit is to cost the same in a large file; this much is left to the machine's drift. */
const COMMIT_GROWTH = 1.25;
/** A tree of a hundred times the entries is one or two levels deeper, and its pages miss the processor's caches. */
const READ_GROWTH = 3;
const FREE_PAGES_COST = 2;

/** Judges a run. */
export function judge(rows: readonly Row[]): Verdict[] {
  const verdicts: Verdict[] = [];
  for (const target of SPEEDS) {
    for (const workload of target.workloads) {
      const row = rows.find((candidate) => candidate.id === workload);
      if (row !== undefined) verdicts.push(...speedVerdict(row, target));
    }
  }
  for (const row of rows) verdicts.push(...limits(row));
  return [...verdicts, ...growth(rows), ...freePages(rows)];
}

function speedVerdict(row: Row, target: SpeedTarget): Verdict[] {
  const own = cellOf(row, target.store ?? "hexbolt");
  const rivals = row.cells.filter((cell) => target.against.includes(cell.store));
  if (own === undefined || rivals.length === 0) return [];
  const lower = lowerIsBetter(row.unit);
  const best = rivals.reduce((one, other) => (lower === other.median < one.median ? other : one));
  const actual = lower ? best.median / own.median : own.median / best.median;
  return [atLeast(row.id, `${own.store} against ${target.against.length > 1 ? `the best, ${best.store}` : best.store}`, actual, target.atLeast)];
}

function limits(row: Row): Verdict[] {
  const own = cellOf(row, "hexbolt");
  if (own === undefined) return [];
  const verdicts: Verdict[] = [];
  const lmdb = cellOf(row, "lmdb");
  const bbolt = cellOf(row, "bbolt");
  if (FILE_ROWS.includes(row.id) && lmdb !== undefined) verdicts.push(atMost(row.id, "file size, of lmdb's", own.fileBytes / lmdb.fileBytes, 1));
  if (row.id === "load-sequential" && bbolt !== undefined) {
    verdicts.push(atMost(row.id, "file size, of bbolt's", own.fileBytes / bbolt.fileBytes, FILE_OF_BBOLT));
  }
  const others = row.cells.filter((cell) => !cell.store.startsWith("hexbolt"));
  if (MEMORY_ROWS.includes(row.id) && others.length > 0) {
    const leanest = others.reduce((one, other) => (other.peakRssBytes < one.peakRssBytes ? other : one));
    verdicts.push(atMost(row.id, `peak RSS, of the leanest's, ${leanest.store}`, own.peakRssBytes / leanest.peakRssBytes, RSS_OF_LEANEST));
  }
  const loopMs = own.extra["eventLoopP99Ms"];
  if (loopMs !== undefined) verdicts.push(atMost(row.id, "event loop delay p99, ms", loopMs, EVENT_LOOP_P99_MS));
  const openMs = own.extra["openMs"];
  if (row.id === "start" && openMs !== undefined) verdicts.push(atMost(row.id, "open with its lock helper, ms", openMs, OPEN_MS));
  return verdicts;
}

function growth(rows: readonly Row[]): Verdict[] {
  const verdicts: Verdict[] = [];
  for (const [name, bound] of [["Point read", READ_GROWTH], ["Puts, 100 a commit", COMMIT_GROWTH]] as const) {
    const curve = rows.filter((row) => row.curve?.name === name && cellOf(row, "hexbolt") !== undefined);
    const sorted = curve.sort((a, b) => a.entryCount - b.entryCount);
    // From 100 k on: the smallest size fits the processor's caches whole.
    const small = sorted[1];
    const large = sorted.at(-1);
    if (small === undefined || large === undefined || small === large) continue;
    const actual = (cellOf(small, "hexbolt")?.median ?? Number.NaN) / (cellOf(large, "hexbolt")?.median ?? Number.NaN);
    verdicts.push(atMost(large.id, `${name}: cost at ${large.entryCount} entries, of that at ${small.entryCount}`, actual, bound));
  }
  return verdicts;
}

function freePages(rows: readonly Row[]): Verdict[] {
  const many = rows.find((row) => row.id === "free-million-unstored");
  const none = rows.find((row) => row.id === "free-none-unstored");
  if (many === undefined || none === undefined) return [];
  const actual = (cellOf(none, "hexbolt")?.median ?? Number.NaN) / (cellOf(many, "hexbolt")?.median ?? Number.NaN);
  return Number.isNaN(actual) ? [] : [atMost(many.id, "commit cost, of that without free pages", actual, FREE_PAGES_COST)];
}

function cellOf(row: Row, store: StoreName): Cell | undefined {
  return row.cells.find((cell) => cell.store === store);
}

function atLeast(workload: string, text: string, actual: number, bound: number): Verdict {
  return { workload, text: `${text}: at least ${bound}`, actual, bound, reached: actual >= bound };
}

function atMost(workload: string, text: string, actual: number, bound: number): Verdict {
  return { workload, text: `${text}: at most ${bound}`, actual, bound, reached: actual <= bound };
}
