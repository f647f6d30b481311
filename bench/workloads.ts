/**
 * The catalogue: every workload, its data, its unit and which stores take part. A row of results is one workload, so a durability
 * mode is part of a workload and two modes never share a row.
 */
import type { KeyKind } from "./data.js";
import type { Job, StoreName } from "./job.js";

/** A prepared store that workloads start from: read in place, or copied before it is written. */
export interface Dataset {
  readonly id: string;
  readonly keyKind: KeyKind;
  readonly valueBytes: number;
  readonly entryCount: number;
  /** How it is made. */
  readonly run: "load" | "images-put" | "fragment";
  readonly batchSize: number;
  readonly pageSize: number;
}

/** How a row's figure is made from operations and time. */
export type Unit = "ops/s" | "entries/s" | "images/s" | "MiB/s" | "ms";

/** The order of operations a workload needs. */
export type Order = "none" | "uniform" | "repeated" | "absent" | "zipf" | "shuffled" | "kept";

/** One row of the results. */
export interface Workload {
  readonly id: string;
  readonly title: string;
  readonly unit: Unit;
  readonly stores: readonly StoreName[];
  /** Undefined: starts from an empty store. */
  readonly dataset: Dataset | undefined;
  /** The job writes to its own copy of the data set. */
  readonly writes: boolean;
  readonly order: Order;
  readonly job: Partial<Job> & Pick<Job, "run" | "keyKind" | "valueBytes">;
  /** Place on a scaling curve: which, and the number of entries. */
  readonly curve?: { readonly name: string; readonly entryCount: number };
  /** Drop the file from the page cache before each run. */
  readonly cold?: boolean;
  /** Cache as a share of the prepared file's size. */
  readonly cacheShare?: number;
}

const JAVASCRIPT: readonly StoreName[] = ["hexbolt", "lmdb", "level", "level-default", "sqlite", "node-sqlite"];
const NATIVE: readonly StoreName[] = ["bbolt", "boltdb"];
const ALL: readonly StoreName[] = [...JAVASCRIPT, ...NATIVE];
const ALL_DURABLE: readonly StoreName[] = ["hexbolt", "hexbolt-one-sync", ...ALL.slice(1)];
const BOLTS: readonly StoreName[] = ["hexbolt", "bbolt"];
const VALUE_BYTES = 100;
const MEBIBYTE = 1024 * 1024;

/** Makes the catalogue; `scale` multiplies the number of entries and operations, never the size of one entry or one batch. */
export function catalogue(scale: number): Workload[] {
  const count = (full: number): number => Math.max(200, Math.round(full * scale));
  return [
    ...pointReads(count),
    ...iterations(count),
    ...loads(count),
    ...changes(count),
    ...durablePuts(count),
    ...mixes(count),
    ...blobs(count),
    ...integers(count),
    ...longKeys(count),
    ...images(count),
    ...readers(count),
    ...smallCache(count),
    ...starts(count),
    ...scaling(scale),
    ...freePages(count),
  ];
}

type Count = (full: number) => number;

function dataset(id: string, keyKind: KeyKind, valueBytes: number, entryCount: number, more: Partial<Dataset> = {}): Dataset {
  return { id, keyKind, valueBytes, entryCount, run: "load", batchSize: 1000, pageSize: 0, ...more };
}

function randomSet(count: Count): Dataset {
  return dataset("random", "random", VALUE_BYTES, count(1_000_000));
}

type Rest = Partial<Omit<Workload, "job">> & { readonly job?: Partial<Job> };

/** A workload over a prepared data set. */
function over(set: Dataset, id: string, title: string, run: Job["run"], rest: Rest): Workload {
  return {
    id,
    title,
    unit: "ops/s",
    stores: ALL,
    dataset: set,
    writes: false,
    order: "uniform",
    ...rest,
    job: { run, keyKind: set.keyKind, valueBytes: set.valueBytes, entryCount: set.entryCount, ...rest.job },
  };
}

/** A workload that fills an empty store. */
function fill(id: string, title: string, keyKind: KeyKind, valueBytes: number, operationCount: number, rest: Rest): Workload {
  return {
    id,
    title,
    unit: "ops/s",
    stores: ALL,
    dataset: undefined,
    writes: true,
    order: "none",
    ...rest,
    job: { run: "load", keyKind, valueBytes, entryCount: 0, operationCount, ...rest.job },
  };
}

function pointReads(count: Count): Workload[] {
  const set = randomSet(count);
  const job = { operationCount: count(200_000) };
  return [
    over(set, "get", "Point read, a copy of the value", "get", { job }),
    over(set, "get-view", "Point read, a view of the value", "get", { job: { ...job, views: true } }),
    over(set, "get-absent", "Point read of an absent key", "get", { order: "absent", job }),
    over(set, "get-zipf", "Point read, zipf 0.99, a copy", "get", { order: "zipf", job }),
  ];
}

function iterations(count: Count): Workload[] {
  const set = randomSet(count);
  const job = { operationCount: count(10_000), limit: 100 };
  return [
    over(set, "scan-view", "Full scan, views", "scan", { unit: "entries/s", order: "none", job: { views: true } }),
    over(set, "scan", "Full scan, copies", "scan", { unit: "entries/s", order: "none" }),
    over(set, "range-view", "Seek + 100 entries forward, views", "range", { job: { ...job, views: true } }),
    over(set, "range", "Seek + 100 entries forward, copies", "range", { job }),
    over(set, "range-back-view", "Seek + 100 entries backward, views", "range", { job: { ...job, views: true, reverse: true } }),
    over(set, "range-back", "Seek + 100 entries backward, copies", "range", { job: { ...job, reverse: true } }),
  ];
}

function loads(count: Count): Workload[] {
  const entryCount = count(1_000_000);
  return [
    fill("load-random", "Load in random order, 1,000 a transaction, no sync", "random", VALUE_BYTES, entryCount, { job: { batchSize: 1000 } }),
    fill("load-random-durable", "Load in random order, 1,000 a transaction, durable", "random", VALUE_BYTES, entryCount, {
      stores: ALL_DURABLE,
      job: { batchSize: 1000, durable: true },
    }),
    fill("load-sequential", "Load in key order, 10,000 a transaction, no sync", "sequential", VALUE_BYTES, entryCount, { job: { batchSize: 10_000 } }),
    fill("load-sequential-durable", "Load in key order, 10,000 a transaction, durable", "sequential", VALUE_BYTES, entryCount, {
      stores: ALL_DURABLE,
      job: { batchSize: 10_000, durable: true },
    }),
  ];
}

function changes(count: Count): Workload[] {
  const set = randomSet(count);
  return [
    over(set, "overwrite", "Overwrite at random, 100 a transaction, no sync", "overwrite", {
      writes: true,
      job: { operationCount: count(200_000), batchSize: 100 },
    }),
    over(set, "overwrite-durable", "Overwrite at random, 100 a transaction, durable", "overwrite", {
      writes: true,
      stores: ALL_DURABLE,
      job: { operationCount: count(100_000), batchSize: 100, durable: true },
    }),
    over(set, "delete", "Delete at random, 1,000 a transaction, no sync", "delete", {
      writes: true,
      order: "shuffled",
      job: { operationCount: count(200_000), batchSize: 1000 },
    }),
    over(set, "delete-durable", "Delete at random, 1,000 a transaction, durable", "delete", {
      writes: true,
      order: "shuffled",
      stores: ALL_DURABLE,
      job: { operationCount: count(200_000), batchSize: 1000, durable: true },
    }),
  ];
}

function durablePuts(count: Count): Workload[] {
  const set = randomSet(count);
  const firstIndex = set.entryCount;
  return [
    over(set, "put-durable", "One durable put a commit", "load", {
      writes: true,
      order: "none",
      stores: ALL_DURABLE,
      job: { firstIndex, operationCount: count(5000), batchSize: 1, durable: true },
    }),
    over(set, "put-concurrent", "256 concurrent callers, durable puts", "concurrent", {
      writes: true,
      order: "none",
      stores: ["hexbolt", "hexbolt-one-sync", "lmdb", "lmdb-overlap", "level", "level-default", "sqlite", "node-sqlite", "bbolt", "bbolt-batch", "boltdb"],
      job: { firstIndex, operationCount: count(50_000), parties: 256, durable: true },
    }),
  ];
}

function mixes(count: Count): Workload[] {
  const set = randomSet(count);
  const job = { operationCount: count(200_000), batchSize: 100 };
  return [
    over(set, "mixed-95-5", "95 reads and 5 writes a commit, no sync", "mixed", { writes: true, job: { ...job, writePercent: 5 } }),
    over(set, "mixed-50-50", "50 reads and 50 writes a commit, no sync", "mixed", { writes: true, job: { ...job, writePercent: 50 } }),
  ];
}

function blobs(count: Count): Workload[] {
  const entryCount = Math.min(256, Math.max(8, Math.round(count(1_000_000) / 4000)));
  const set = dataset("blobs", "random", MEBIBYTE, entryCount, { batchSize: 8 });
  return [
    fill("blob-put", "Put 1 MiB values, one a commit, durable", "random", MEBIBYTE, entryCount, {
      unit: "MiB/s",
      stores: ALL_DURABLE,
      job: { batchSize: 1, durable: true },
    }),
    over(set, "blob-get", "Get 1 MiB values, a copy", "get", { unit: "MiB/s", job: { operationCount: entryCount } }),
    over(set, "blob-get-view", "Get 1 MiB values, a view", "get", { unit: "MiB/s", job: { operationCount: entryCount, views: true } }),
  ];
}

function integers(count: Count): Workload[] {
  const set = dataset("integers", "integer", 8, count(1_000_000), { batchSize: 10_000 });
  return [
    fill("integer-load", "8-byte integer keys: load in order, 10,000 a transaction, no sync", "integer", 8, set.entryCount, { job: { batchSize: 10_000 } }),
    over(set, "integer-get", "8-byte integer keys: point read, a copy", "get", { job: { operationCount: count(200_000) } }),
    over(set, "integer-scan", "8-byte integer keys: full scan, views", "scan", { unit: "entries/s", order: "none", job: { views: true } }),
  ];
}

function longKeys(count: Count): Workload[] {
  const set = dataset("long", "long", VALUE_BYTES, count(200_000));
  return [
    fill("long-load", "200-byte keys, 160 shared: load at random, 1,000 a transaction, no sync", "long", VALUE_BYTES, set.entryCount, { job: { batchSize: 1000 } }),
    over(set, "long-get", "200-byte keys: point read, a copy", "get", { job: { operationCount: count(100_000) } }),
    over(set, "long-scan", "200-byte keys: full scan, views", "scan", { unit: "entries/s", order: "none", job: { views: true } }),
  ];
}

function images(count: Count): Workload[] {
  const entryCount = count(20_000);
  const set = dataset("images", "random", VALUE_BYTES, entryCount, { run: "images-put" });
  return [
    fill("images-put", "20,000 images, put, 1,000 a transaction, no sync", "random", VALUE_BYTES, entryCount, {
      unit: "images/s",
      job: { run: "images-put", batchSize: 1000 },
    }),
    fill("images-put-durable", "20,000 images, put, 100 a transaction, durable", "random", VALUE_BYTES, entryCount, {
      unit: "images/s",
      stores: ALL_DURABLE,
      job: { run: "images-put", batchSize: 100, durable: true },
    }),
    over(set, "images-get", "20,000 images, get one", "images-get", { unit: "images/s", job: { operationCount: entryCount } }),
    over(set, "images-list", "20,000 images, list all", "images-list", { unit: "images/s", order: "none" }),
  ];
}

function readers(count: Count): Workload[] {
  const set = randomSet(count);
  return [10, 100].map((parties) =>
    over(set, `readers-${parties}`, `Overwrite, 100 a transaction, ${parties} snapshots open and read, no sync`, "readers", {
      writes: true,
      // Enough commits for every reader to stand on one of its own, and as many again.
      job: { operationCount: Math.max(count(50_000), 200 * parties), batchSize: 100, parties },
    }),
  );
}

function smallCache(count: Count): Workload[] {
  const set = randomSet(count);
  return [over(set, "get-small-cache", "Point read, a copy, file 4 times the cache", "get", { cacheShare: 0.25, job: { operationCount: count(200_000) } })];
}

function starts(count: Count): Workload[] {
  const large = dataset("gigabyte", "sequential", 1000, count(1_000_000), { batchSize: 10_000 });
  return [
    over(randomSet(count), "start", "Process start to the first value", "first-value", { unit: "ms", order: "none", job: { operationCount: 5 } }),
    over(large, "start-cold", "Process start to the first value, 1 GB file out of the page cache", "first-value", { unit: "ms", order: "none", cold: true, job: { operationCount: 1 } }),
  ];
}

function scaling(scale: number): Workload[] {
  const sizes = [10_000, 100_000, 1_000_000, 10_000_000].map((full) => Math.max(200, Math.round(full * scale)));
  return sizes.flatMap((entryCount) => {
    const set = dataset(`scale-${entryCount}`, "sequential", VALUE_BYTES, entryCount, { batchSize: 10_000 });
    const cacheBytes = Math.max(64 * MEBIBYTE, entryCount * 400);
    const stores: readonly StoreName[] = ["hexbolt", "lmdb", "level", "sqlite", "bbolt"];
    return [
      over(set, `scale-get-${entryCount}`, `Point read among ${entryCount} entries`, "get", {
        stores,
        // The same reads twice: the second time no page is looked at first, and what is left to grow is the tree.
        order: "repeated",
        curve: { name: "Point read", entryCount },
        job: { operationCount: Math.max(200, Math.round(100_000 * Math.min(1, scale))), cacheBytes },
      }),
      // At the right end of the tree, so that a commit changes as many pages in a small tree as in a large one.
      over(set, `scale-commit-${entryCount}`, `Commit of 100 puts behind ${entryCount} entries, no sync`, "load", {
        stores,
        writes: true,
        order: "none",
        curve: { name: "Puts, 100 a commit", entryCount },
        job: { firstIndex: entryCount, operationCount: Math.max(200, Math.round(20_000 * Math.min(1, scale))), batchSize: 100, cacheBytes },
      }),
    ];
  });
}

/** About a million free pages in gaps of a few; the same file without gaps beside it. */
function freePages(count: Count): Workload[] {
  const entryCount = count(700_000);
  const shape = { batchSize: 5000, pageSize: 1024 };
  const whole = dataset("unfragmented", "sequential", 3000, entryCount, shape);
  const gaps = dataset("fragmented", "sequential", 3000, entryCount, { ...shape, run: "fragment" });
  return [false, true].flatMap((noFreelistSync) =>
    [whole, gaps].map((set) =>
      over(set, `free-${set === gaps ? "million" : "none"}-${noFreelistSync ? "unstored" : "stored"}`, freeTitle(set === gaps, noFreelistSync), "overwrite", {
        stores: BOLTS,
        writes: true,
        order: "kept",
        job: { operationCount: count(10_000), batchSize: 100, pageSize: 1024, noFreelistSync, holes: set === gaps, cacheBytes: 1024 * MEBIBYTE },
      }),
    ),
  );
}

function freeTitle(many: boolean, unstored: boolean): string {
  return `Commit of 100 overwrites, ${many ? "a million free pages in gaps" : "no free pages"}, freelist ${unstored ? "not stored" : "stored"}, no sync`;
}
