/**
 * The fuzzer as a command: changes database files in every way a file can be wrong, and does everything to them; then as many messages and frames
 * of the image service, and reads them.
 *
 *     npm run test:fuzz                                   20,000 mutants
 *     npm run test:fuzz -- --mutants 1000000 --seed 7     as many as are wanted
 *     npm run test:fuzz -- --seed 7 --only 1234           one again, in this thread
 *     npm run test:fuzz -- --mutants 0 --messages 5000000 messages and frames alone; --messages is ten for each file when left out
 *
 * Prints the seed first and what came of the mutants at the end. Exits with 1 when the engine did what it never may.
 */
import { parseArgs } from "node:util";
import { seedOfRun } from "../support/random.js";
import { loadBases } from "./bases.js";
import { replayText, runCampaign } from "./campaign.js";
import { MessageFuzzer } from "./messages.js";
import type { FuzzTally } from "./protocol.js";
import { MutantMaker } from "./run.js";

const PROGRESS_EVERY_MS = 15_000;

function numberOf(text: string | undefined, name: string, fallback: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (!Number.isInteger(value) || value < 0) throw new TypeError(`--${name} takes a whole number, got ${String(text)}`);
  return value;
}

function replay(seed: number, number: number): number {
  const maker = new MutantMaker(loadBases(true));
  const { mutant, mutations } = maker.make(seed, number);
  process.stdout.write(`${mutant.base.name}: ${mutations.join("; ")}\n`);
  const report = maker.run(seed, number);
  process.stdout.write(`${report.fault === undefined ? JSON.stringify(report.verdict) : replayText(seed, report)}\n`);
  return report.fault === undefined ? 0 : 1;
}

function tableOf(table: Readonly<Record<string, number>>): string {
  return Object.entries(table).sort((a, b) => b[1] - a[1]).map(([name, count]) => `${name} ${count}`).join(", ");
}

function summary({ mutants, accepted, sound, commits, slowestMs, slowestNumber, codes, mutations }: FuzzTally, seconds: number): string {
  return `${mutants} mutants in ${Math.round(seconds)} s (${Math.round(mutants / seconds)} a second): ${accepted} opened for writing, ${sound} sound, ${commits} commits\n`
    + `slowest: mutant ${slowestNumber}, ${Math.round(slowestMs)} ms\nrefused with: ${tableOf(codes)}\nchanged: ${tableOf(mutations)}\n`;
}

/** Tries messages and frames; the first fault ends it. */
function fuzzMessages(seed: number, count: number): void {
  const begin = performance.now();
  const fuzzer = new MessageFuzzer(seed);
  for (let number = 0; number < count; number++) fuzzer.try(number);
  const { frames, messages, refused, slowestMs } = fuzzer.tally;
  const seconds = (performance.now() - begin) / 1000;
  process.stdout.write(`${messages} protobuf messages and ${frames} gRPC frames in ${Math.round(seconds)} s: ${refused} refused, slowest ${Math.round(slowestMs)} ms\n`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { mutants: { type: "string" }, seed: { type: "string" }, first: { type: "string" }, only: { type: "string" }, messages: { type: "string" } },
  });
  const seed = numberOf(values.seed, "seed", seedOfRun());
  process.stdout.write(`seed ${seed}\n`);
  if (values.only !== undefined) return replay(seed, numberOf(values.only, "only", 0));
  const mutants = numberOf(values.mutants, "mutants", 20_000);
  fuzzMessages(seed, numberOf(values.messages, "messages", 10 * mutants));
  const begin = performance.now();
  let lastProgress = begin;
  const { tally, faults } = await runCampaign({
    seed, mutants, first: numberOf(values.first, "first", 0), large: true,
    onFault: (report) => process.stdout.write(`${replayText(seed, report)}\n`),
    onProgress: ({ mutants }) => {
      if (performance.now() - lastProgress < PROGRESS_EVERY_MS) return;
      lastProgress = performance.now();
      process.stdout.write(`${mutants} mutants\n`);
    },
  });
  process.stdout.write(summary(tally, (performance.now() - begin) / 1000));
  process.stdout.write(faults.length === 0 ? "no fault\n" : `${faults.length} faults\n`);
  return faults.length === 0 ? 0 : 1;
}

process.exitCode = await main();
