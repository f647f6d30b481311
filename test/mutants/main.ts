/**
 * The mutation run: puts one mistake after the other into the engine and sees to it that a test notices.
 *
 *     npm run test:mutants                            all
 *     npm run test:mutants -- --only quarantine       those with this in their name or file
 *     npm run test:mutants -- --own                   asking no tests but those that each mutant names: finds what is missing there sooner
 *     npm run test:mutants -- --table                 the table of docs/mutants.md
 *
 * A mutant's own tests are asked first, then all of the engine's, the power cuts among them. Exits with 1 when one survives.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { repositoryRoot } from "../support/fixtures.js";
import { allMutants, tableRows } from "./list.js";
import type { Mutant } from "./mutant.js";
import { Workshop, type Bench } from "./workshop.js";

/** Asked last: they know everything, and take their time. */
const LAST_ASKED = ["engine/model", "engine/isolation", "engine/faults", "fuzz/found", "crash/crash", "kill/kill"];

interface Verdict {
  readonly mutant: Mutant;
  /** undefined: it survived. */
  readonly killedBy: string | undefined;
  readonly failure: string;
  readonly seconds: number;
}

/** The engine's test files, from test/ on, without their ending. */
function engineSuite(): string[] {
  const folder = join(repositoryRoot, "dist", "test", "engine");
  const found = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.js")).map((name) => `engine/${name.replace(/\.test\.js$/, "").replaceAll("\\", "/")}`);
  return [...found.filter((name) => !LAST_ASKED.includes(name)).sort(), ...LAST_ASKED];
}

async function judge(bench: Bench, number: number, mutant: Mutant, suite: readonly string[]): Promise<Verdict> {
  const begin = performance.now();
  const seconds = (): number => Math.round((performance.now() - begin) / 100) / 10;
  return bench.withMutant(number, mutant, async () => {
    for (const test of new Set([...mutant.tests, ...suite])) {
      const { isPassed, failure } = await bench.ask(test);
      if (!isPassed) return { mutant, killedBy: test, failure, seconds: seconds() };
    }
    return { mutant, killedBy: undefined, failure: "", seconds: seconds() };
  });
}

function line({ failure, killedBy, mutant: { name, file, tests }, seconds }: Verdict): string {
  const how = killedBy === undefined ? "SURVIVED" : `${tests.includes(killedBy) ? "" : "(not by its own tests) "}${killedBy}: ${failure.slice(0, 90)}`;
  return `${name.padEnd(68)} ${file.replace("engine/", "").padEnd(26)} ${seconds.toFixed(1).padStart(6)} s  ${how}\n`;
}

/** Lets the benches take one mutant after the other. */
async function judgeAll(workshop: Workshop, mutants: readonly Mutant[], suite: readonly string[], jobs: number): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  let next = 0;
  await Promise.all(Array.from({ length: Math.min(jobs, mutants.length) }, async (_, i) => {
    const bench = workshop.newBench(i);
    while (next < mutants.length) {
      const number = next++;
      const verdict = await judge(bench, number, mutants[number]!, suite);
      verdicts.push(verdict);
      process.stdout.write(line(verdict));
    }
  }));
  return verdicts;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { only: { type: "string" }, jobs: { type: "string" }, own: { type: "boolean" }, table: { type: "boolean" } } });
  if (values.table === true) {
    process.stdout.write(`${tableRows(allMutants).join("\n")}\n`);
    return 0;
  }
  const { only } = values;
  const mutants = only === undefined ? allMutants : allMutants.filter(({ name, file }) => name.includes(only) || file.includes(only));
  const jobs = Number(values.jobs ?? 2);
  if (mutants.length === 0 || !Number.isInteger(jobs) || jobs < 1) throw new TypeError(`no mutant is named so, or no number of jobs: ${String(only)}, ${String(values.jobs)}`);
  const seed = Number(process.env["SEED"] ?? 1);
  process.stdout.write(`${mutants.length} mutants, seed ${seed}\n`);
  const begin = performance.now();
  const workshop = new Workshop(seed);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => { workshop.close(); process.exit(1); });
  try {
    workshop.compile(mutants);
    const survivors = (await judgeAll(workshop, mutants, values.own === true ? [] : engineSuite(), jobs)).filter(({ killedBy }) => killedBy === undefined);
    process.stdout.write(`${mutants.length - survivors.length} of ${mutants.length} mutants killed in ${Math.round((performance.now() - begin) / 1000)} s\n`);
    for (const { mutant } of survivors) process.stdout.write(`SURVIVED ${mutant.name} (${mutant.file}): ${mutant.harm}. A test is missing.\n`);
    return survivors.length === 0 ? 0 : 1;
  } finally {
    workshop.close();
  }
}

process.exitCode = await main();
