/** The command line of the benchmark. */
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";

export interface Options {
  /** Ids, or beginnings of ids that end in `*`; empty = all. */
  readonly workloads: readonly string[];
  /** Store names; empty = all. */
  readonly rivals: readonly string[];
  readonly scale: number;
  readonly rounds: number;
  readonly seed: number;
  /** Where the databases are made; has to be on the disk that is to be measured. */
  readonly directory: string;
  /** Name of the files under bench/results/. */
  readonly output: string;
  readonly minimumMs: number;
  /** Whether speeds mean something: not in a quick run, which mostly times the compiler warming up. */
  readonly judged: boolean;
  readonly list: boolean;
  readonly install: boolean;
}

export const USAGE = `Usage: npm run bench -- [options]
  --workloads a,b*   run these only (see --list)
  --rivals x,y       these stores only
  --scale 0.1        multiplies entries and operations (1 = a million entries)
  --rounds 3         fresh processes a store and workload, stores in turn
  --seed 1           another seed gives other keys, values and orders
  --directory DIR    where the databases are made (default: the system's temporary directory)
  --output NAME      bench/results/NAME.json, .html and .svg (default: the date)
  --quick            a small run of everything: fails on wrong results, says nothing about speed
  --no-install       leave bench/node_modules as it is
  --list             print the workloads and the stores, run nothing`;

const QUICK_SCALE = 0.004;

/** Reads the arguments; throws a TypeError that names the bad one. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      workloads: { type: "string", default: "" },
      rivals: { type: "string", default: "" },
      scale: { type: "string" },
      rounds: { type: "string" },
      seed: { type: "string", default: "1" },
      directory: { type: "string", default: tmpdir() },
      output: { type: "string" },
      quick: { type: "boolean", default: false },
      "no-install": { type: "boolean", default: false },
      list: { type: "boolean", default: false },
    },
  });
  const quick = values.quick;
  return {
    workloads: names(values.workloads),
    rivals: names(values.rivals),
    scale: positive("scale", values.scale ?? String(quick ? QUICK_SCALE : 1)),
    rounds: Math.ceil(positive("rounds", values.rounds ?? (quick ? "1" : "3"))),
    seed: Math.ceil(positive("seed", values.seed)),
    directory: values.directory,
    output: values.output !== undefined ? fileName("output", values.output) : (quick ? "quick" : new Date().toISOString().slice(0, 16).replaceAll(":", "")),
    minimumMs: quick ? 1 : 500,
    judged: !quick,
    list: values.list,
    install: !values["no-install"],
  };
}

/** Whether a workload's id is one of the patterns; no pattern means all. */
export function selected(id: string, patterns: readonly string[]): boolean {
  return patterns.length === 0 || patterns.some((pattern) => (pattern.endsWith("*") ? id.startsWith(pattern.slice(0, -1)) : id === pattern));
}

function names(list: string): string[] {
  return list.split(",").filter((name) => name !== "");
}

/** After a run of hours is too late to find that the results have no place. */
function fileName(option: string, text: string): string {
  if (!/^[\w.-]+$/.test(text)) throw new Error(`--${option} must be a name of letters, digits, "-", "_" and ".", got "${text}"`);
  return text;
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new TypeError(`--${name} wants a positive number, not ${text}`);
  return value;
}
