/**
 * The benchmark: every workload, every store, `rounds` times, each measurement in a fresh process, stores in turn (A B C A B C), so
 * that the machine's drift meets all of them alike. Fails when a result is wrong or a store breaks, never because one is slow.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findStores, installRivals } from "./available.js";
import type { Availability } from "./available.js";
import type { Answer, StoreName } from "./job.js";
import { makeOrder, writeOrder } from "./orders.js";
import { parseOptions, selected, USAGE } from "./options.js";
import type { Options } from "./options.js";
import { Workshop } from "./prepare.js";
import { runJob } from "./processes.js";
import { overviewChart, reportPage } from "./report/page.js";
import { resultsText, short } from "./report/table.js";
import { describeMachine, figureOf, makeCell } from "./results.js";
import type { Results, Row } from "./results.js";
import { BENCH_DIRECTORY } from "./stores/rival.js";
import { judge } from "./targets.js";
import { catalogue } from "./workloads.js";
import type { Workload } from "./workloads.js";

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Measures one workload in all stores. */
async function measure(workload: Workload, stores: readonly StoreName[], options: Options, workshop: Workshop, available: Availability, root: string): Promise<Row> {
  const { dataset, job } = workload;
  const entryCount = job.entryCount ?? 0;
  const operationCount = job.operationCount ?? 0;
  const indexes = join(root, "order");
  writeOrder(indexes, makeOrder(workload.order, entryCount, operationCount, options.seed));
  if (dataset !== undefined) {
    for (const store of stores) await workshop.prepare(dataset, store, () => say(`preparing ${dataset.id} for ${store}`));
  }
  const answers = new Map<StoreName, Answer[]>(stores.map((store) => [store, []]));
  for (let round = 1; round <= options.rounds; round++) {
    for (const store of stores) {
      const prepared = await workshop.jobFor(workload, store, indexes);
      const answer = await runJob(prepared.job, available.natives);
      prepared.finish();
      answers.get(store)?.push(answer);
      say(`${workload.id.padEnd(24)} ${store.padEnd(17)} round ${round}/${options.rounds}  ${short(figureOf(workload, answer))} ${workload.unit}`);
    }
  }
  const all = [...answers.values()].flat();
  requireSameResults(workload, all);
  return {
    id: workload.id,
    title: workload.title,
    unit: workload.unit,
    durability: !workload.writes ? "reads" : job.durable === true ? "durable" : "no sync",
    entryCount,
    operationCount,
    verified: all.reduce((sum, answer) => sum + answer.verified, 0),
    cells: stores.map((store) => makeCell(workload, store, answers.get(store) ?? [])),
    ...(workload.curve === undefined ? {} : { curve: workload.curve }),
  };
}

/** Each process has checked its results itself; that all of them saw the same ones is checked here. */
function requireSameResults(workload: Workload, answers: readonly Answer[]): void {
  const first = answers[0];
  for (const answer of answers) {
    if (answer.verified !== first?.verified || answer.checksum !== first.checksum || answer.verified === 0) {
      throw new Error(`wrong result: the stores of ${workload.id} do not agree on what they hold`);
    }
  }
}

/** Runs the selected workloads; those of one data set stand together, and the data set goes with the last of them. */
async function measureAll(workloads: readonly Workload[], options: Options, available: Availability, root: string, onRow: (rows: readonly Row[]) => void): Promise<void> {
  const workshop = new Workshop(root, available.natives, options.seed, options.minimumMs);
  const rows: Row[] = [];
  for (const [place, workload] of workloads.entries()) {
    const stores = workload.stores.filter((store) => available.stores.has(store) && selected(store, options.rivals));
    if (stores.length === 0) continue;
    say(`\n[${place + 1}/${workloads.length}] ${workload.title}`);
    rows.push(await measure(workload, stores, options, workshop, available, root));
    onRow(rows);
    const { dataset } = workload;
    if (dataset !== undefined && !workloads.slice(place + 1).some((later) => later.dataset?.id === dataset.id)) workshop.discard(dataset);
  }
}

function list(workloads: readonly Workload[], available: Availability): void {
  for (const { id, title } of workloads) process.stdout.write(`${id.padEnd(28)} ${title}\n`);
  process.stdout.write(`\nstores here: ${[...available.stores].join(", ")}\n`);
  for (const [store, reason] of available.missing) process.stdout.write(`without ${store}: ${reason}\n`);
}

/** Writes the results so far; gives the names of the files. */
function save(results: Results, name: string): string {
  const directory = join(BENCH_DIRECTORY, "results");
  mkdirSync(directory, { recursive: true });
  const path = join(directory, name);
  writeFileSync(`${path}.json`, `${JSON.stringify(results, undefined, 2)}\n`);
  writeFileSync(`${path}.html`, reportPage(results));
  const overview = overviewChart(results);
  if (overview !== undefined) writeFileSync(`${path}.svg`, overview);
  return `${path}.json, .html${overview === undefined ? "" : ", .svg"}`;
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  const root = mkdtempSync(join(options.directory, "hexbolt-bench-"));
  process.once("SIGINT", () => {
    rmSync(root, { recursive: true, force: true });
    process.exit(130);
  });
  try {
    if (options.install) await installRivals(say);
    const available = await findStores(root);
    const workloads = catalogue(options.scale).filter(({ id }) => selected(id, options.workloads));
    if (options.list || workloads.length === 0) {
      list(catalogue(options.scale), available);
      return;
    }
    const run = {
      startedAt: new Date().toISOString(),
      command: ["npm run bench --", ...process.argv.slice(2)].join(" "),
      seed: options.seed,
      scale: options.scale,
      rounds: options.rounds,
      machine: describeMachine(options.directory),
      missing: Object.fromEntries(available.missing),
    };
    let results: Results = { ...run, rows: [], verdicts: [] };
    let files = "";
    // After every row: of a run of hours that is broken off, what was measured stays.
    await measureAll(workloads, options, available, root, (rows) => {
      results = { ...run, rows, verdicts: options.judged ? judge(rows) : [] };
      files = save(results, options.output);
    });
    process.stdout.write(`${resultsText(results)}\n`);
    if (files !== "") say(`\nwritten: ${files}`);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  say(error instanceof TypeError ? `${error.message}\n\n${USAGE}` : String(error instanceof Error ? error.stack : error));
  process.exitCode = 1;
}
