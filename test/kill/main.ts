/**
 * The kill test as a command.
 *
 *     npm run test:kill                                   50 rounds
 *     npm run test:kill -- --rounds 1000 --seed 7         as many as are wanted
 *     npm run test:kill -- --power-cuts ext4 --rounds 50  the power of a real file system is cut too: ext4 or xfs; takes root, on Linux
 *
 * Prints the seed first and what the rounds came to at the end. Exits with 1 where anything was lost.
 */
import { parseArgs } from "node:util";
import { seedOfRun } from "../support/random.js";
import { FILE_SYSTEMS, powerCutRounds } from "./power-cuts.js";
import { killRounds } from "./rounds.js";

const PROGRESS_EVERY_MS = 15_000;

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Says now and then how far the rounds have come. */
function progress(): (report: { readonly rounds: number; readonly acknowledged: number }) => void {
  let last = performance.now();
  return ({ rounds, acknowledged }) => {
    if (performance.now() - last < PROGRESS_EVERY_MS) return;
    last = performance.now();
    print(`${rounds} rounds, ${acknowledged} commits`);
  };
}

async function kill(seed: number, roundCount: number): Promise<string> {
  const { acknowledged, underWayFound, whileMade, lockWaitMs } = await killRounds(seed, roundCount, progress());
  return `${acknowledged} acknowledged commits, all there; `
    + `the one under way done in ${underWayFound} rounds, not there in the others; killed while the file was being made in ${whileMade}; `
    + `longest wait for a lock ${Math.round(lockWaitMs)} ms`;
}

async function cutPower(seed: number, roundCount: number, name: string): Promise<string> {
  const type = FILE_SYSTEMS.find((each) => each === name);
  if (type === undefined) throw new TypeError(`--power-cuts takes ${FILE_SYSTEMS.join(" or ")}`);
  const { acknowledged, underWayFound, whileMade, torn } = await powerCutRounds(seed, roundCount, type, progress());
  return `power cuts on ${type}: ${acknowledged} acknowledged commits, all there; `
    + `what was under way done in ${underWayFound} rounds; the newest commit torn, and the one before it opened, in ${torn}; cut while the file was being made in ${whileMade}`;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { "rounds": { type: "string", default: "50" }, "seed": { type: "string" }, "power-cuts": { type: "string" } } });
  const seed = Number(values.seed ?? seedOfRun());
  const roundCount = Number(values.rounds);
  if (!Number.isInteger(seed) || !Number.isInteger(roundCount) || roundCount < 1) throw new TypeError("--rounds and --seed take whole numbers");
  print(`seed ${seed}`);
  const begin = performance.now();
  const fileSystem = values["power-cuts"];
  const result = fileSystem === undefined ? await kill(seed, roundCount) : await cutPower(seed, roundCount, fileSystem);
  print(`${roundCount} rounds in ${Math.round((performance.now() - begin) / 1000)} s: ${result}\nseed ${seed}: nothing was lost`);
  return 0;
}

process.exitCode = await main().catch((error: unknown) => {
  print(`FAILED ${error instanceof Error ? `${error.message}\n${error.cause instanceof Error ? error.cause.stack ?? "" : ""}` : String(error)}`);
  return 1;
});
