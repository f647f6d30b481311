/** `hexbolt bench`: how fast writing and reading go on this machine, with bbolt's options and bbolt's lines. */
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open, type Bucket, type DB, type ReadBucket, type ReadTx } from "../index.js";
import type { Arguments } from "./args.js";
import { EXIT_OK, Failure, UsageError, type Command } from "./command.js";
import { goDuration } from "./go-text.js";
import { writeJson, type Io } from "./io.js";
import { refuseExisting } from "./new-file.js";

const BUCKET = "bench";
/** Reading goes on at least so long. */
const READ_MS = 1000;
const WRITE_MODES: readonly string[] = ["seq", "rnd", "seq-nest", "rnd-nest"];
const READ_MODES: readonly string[] = ["seq", "rnd"];

interface Plan {
  readonly count: number;
  readonly batchSize: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly fillPercent: number;
  readonly isNested: boolean;
  readonly isRandom: boolean;
  readonly readsRandomly: boolean;
}

interface Result {
  readonly operations: number;
  readonly nanoseconds: number;
}

/** Where a key went. */
interface Place {
  readonly bucket: Buffer | undefined;
  readonly key: Buffer;
}

function planOf(args: Arguments): Plan {
  const count = args.integer("count", 1) ?? 1000;
  const batchSize = args.integer("batch-size", 0) ?? 0;
  if (batchSize > 0 && count % batchSize !== 0) throw new UsageError("the number of iterations must be divisible by the batch size");
  const writeMode = args.text("write-mode") ?? "seq";
  return {
    count, batchSize: batchSize === 0 ? count : batchSize,
    // The key holds a number of 32 bits.
    keySize: args.integer("key-size", 4, 32_768) ?? 8, valueSize: args.integer("value-size", 0) ?? 32, fillPercent: args.number("fill-percent", 0.1, 1) ?? 0.5,
    isNested: writeMode.endsWith("-nest"), isRandom: writeMode.startsWith("rnd"), readsRandomly: args.text("read-mode") === "rnd",
  };
}

function timed(work: () => number): Result {
  const begin = process.hrtime.bigint();
  const operations = work();
  return { operations, nanoseconds: Number(process.hrtime.bigint() - begin) };
}

/** Makes keys: the next number, or any one. */
function keySource({ isRandom, keySize }: Plan): () => Buffer {
  let last = 0;
  return () => {
    const key = Buffer.alloc(keySize);
    key.writeUInt32BE(isRandom ? Math.floor(Math.random() * 0x1_0000_0000) : ++last);
    return key;
  };
}

function writeAll(db: DB, plan: Plan, places: Place[]): number {
  const nextKey = keySource(plan);
  for (let done = 0; done < plan.count; done += plan.batchSize) {
    db.update((tx) => {
      const top = tx.createBucketIfNotExists(BUCKET);
      top.fillPercent = plan.fillPercent;
      const name = plan.isNested ? nextKey() : undefined;
      const bucket: Bucket = name === undefined ? top : top.createBucketIfNotExists(name);
      bucket.fillPercent = plan.fillPercent;
      for (let i = 0; i < plan.batchSize; i++) {
        const key = nextKey();
        bucket.put(key, Buffer.alloc(plan.valueSize));
        if (plan.readsRandomly) places.push({ bucket: name, key });
      }
    });
  }
  return plan.count;
}

function countEntries(bucket: ReadBucket): number {
  let count = 0;
  for (const _ of bucket.entriesView()) count++;
  return count;
}

function readAll(tx: ReadTx, plan: Plan, places: readonly Place[]): number {
  const top = tx.bucket(BUCKET)!;
  let count = 0;
  if (plan.readsRandomly) {
    for (const { bucket, key } of places) {
      if ((bucket === undefined ? top : top.bucket(bucket)!).getView(key) === undefined) throw new Failure("INVALID_VALUE", "invalid value");
      count++;
    }
  } else if (plan.isNested) {
    for (const name of top.buckets()) count += countEntries(top.bucket(name)!);
  } else {
    count = countEntries(top);
  }
  if (!plan.isRandom && count !== plan.count) throw new Failure("MISMATCH", `read seq: iter mismatch: expected ${plan.count}, got ${count}`);
  return count;
}

function shuffle(places: Place[]): void {
  for (let i = places.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [places[i], places[j]] = [places[j]!, places[i]!];
  }
}

function line(name: string, { nanoseconds, operations }: Result): string {
  const perOperation = operations === 0 ? 0 : Math.floor(nanoseconds / operations);
  const perSecond = perOperation === 0 ? 0 : Math.floor(1e9 / perOperation);
  return `# ${name}\t${operations}(ops)\t${goDuration(nanoseconds)}\t(${goDuration(perOperation)}/op)\t(${perSecond} op/sec)\n`;
}

function goBenchLine(name: string, { nanoseconds, operations }: Result): string {
  return `${name.padEnd(14)}\t${String(operations).padStart(8)}\t${(nanoseconds / Math.max(1, operations)).toFixed(operations === 0 ? 0 : 2).padStart(12)} ns/op\n`;
}

function bench(db: DB, plan: Plan, args: Arguments, io: Io): number {
  const places: Place[] = [];
  io.stderr.write("starting write benchmark.\n");
  const write = timed(() => writeAll(db, plan, places));
  shuffle(places);
  io.stderr.write("starting read benchmark.\n");
  const read = timed(() => db.view((tx) => {
    let count = 0;
    for (const begin = performance.now(); performance.now() - begin < READ_MS;) count += readAll(tx, plan, places);
    return count;
  }));
  if (args.json) writeJson(io.stdout, { write, read });
  else if (args.has("gobench-output")) io.stdout.write(`${goBenchLine("BenchmarkWrite", write)}${goBenchLine("BenchmarkRead", read)}\n`);
  else io.stdout.write(`${line("Write", write)}${line("Read", read)}\n`);
  return EXIT_OK;
}

/** The command. */
export const benchCommand: Command = {
  name: "bench", summary: "measure writing and reading", usage: "",
  details: "Writes COUNT keys in transactions of BATCH, then reads for a second. The file is removed afterwards unless --work is given.\nFor comparisons with other databases see docs/performance.md.",
  example: "hexbolt bench --count 100000 --batch-size 1000",
  options: [
    { name: "count", value: "N", help: "keys to write; default 1000" }, { name: "batch-size", value: "N", help: "keys a transaction; default: all in one" },
    { name: "write-mode", value: "MODE", choices: WRITE_MODES, help: `${WRITE_MODES.join("|")}; default seq` },
    { name: "read-mode", value: "MODE", choices: READ_MODES, help: "seq|rnd; default seq" },
    { name: "key-size", value: "BYTES", help: "default 8" }, { name: "value-size", value: "BYTES", help: "default 32" },
    { name: "fill-percent", value: "PART", help: "0.1 to 1, default 0.5" }, { name: "page-size", value: "BYTES", help: "default 4096" },
    { name: "no-sync", help: "do not wait for the disk" }, { name: "work", help: "keep the file" },
    { name: "path", value: "NEW", help: "where to make the file; default: a temporary folder" },
    { name: "gobench-output", help: "lines as `go test -bench` writes them" },
  ],
  minimum: 0, maximum: 0, makesFile: true,
  run: (args, io) => {
    const plan = planOf(args);
    const path = args.text("path") ?? join(tmpdir(), `hexbolt-bench-${process.pid}-${Date.now().toString(36)}`);
    refuseExisting(path);
    const keepsFile = args.has("work");
    if (keepsFile) io.stderr.write(`work: ${path}\n`);
    else io.temporary(path);
    const db = open(path, { noSync: args.has("no-sync"), pageSize: args.pageSize("page-size") });
    try {
      return bench(db, plan, args, io);
    } finally {
      db.close();
      if (!keepsFile) rmSync(path, { force: true });
    }
  },
};
