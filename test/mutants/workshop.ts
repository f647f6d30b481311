/**
 * Where mutants are made and run: copies of the compiled project in a temporary folder, one a worker, each with at most one mutant in it at a
 * time, and one without any, on which every test is run before it is asked about a mutant.
 */
import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { repositoryRoot } from "../support/fixtures.js";
import { applyMutant, type Mutant } from "./mutant.js";

/** What a test file says. */
export interface Outcome {
  readonly isPassed: boolean;
  /** The first test that failed, or why there is none. */
  readonly failure: string;
  readonly ms: number;
}

/** A test without a mutant may take this long; with one, so many times what it took without, and some seconds. */
const BASE_LIMIT_MS = 180_000;
const LIMIT_FACTOR = 5;
const LIMIT_EXTRA_MS = 10_000;

/** Compiled code that tests import, here as single modules: a mutant is one of them, and no build joins them. */
const COMPILED = ["engine", "images", "test"] as const;

/** The path of a mutant's file once compiled, from dist/ on. */
function compiledName(file: string): string {
  return file.replace(/\.ts$/, ".js");
}

/** Makes copies of the project and runs tests in them. */
export class Workshop {
  readonly #folder: string = mkdtempSync(join(tmpdir(), "hexbolt-mutants-"));
  readonly #seed: number;
  readonly #baselines = new Map<string, Promise<Outcome>>();
  readonly #running = new Set<number>();
  readonly #pristine: string;

  /** @param seed of every test that is random */
  constructor(seed: number) {
    this.#seed = seed;
    this.#pristine = this.#newCopy("pristine");
  }

  /** A copy of the project for one worker: the compiled code its own, everything else linked. */
  newBench(number: number): Bench {
    return new Bench(this, this.#newCopy(`bench-${number}`), join(this.#folder, "compiled"));
  }

  #newCopy(name: string): string {
    const copy = join(this.#folder, name);
    mkdirSync(join(copy, "dist"), { recursive: true });
    for (const entry of readdirSync(repositoryRoot)) {
      if (entry !== "dist" && entry !== ".git") symlinkSync(join(repositoryRoot, entry), join(copy, entry));
    }
    for (const part of COMPILED) cpSync(join(repositoryRoot, "dist", "modules", part), join(copy, "dist", part), { recursive: true });
    return copy;
  }

  /** Compiles all mutants at once, each in a folder of its own: types are left unchecked, many mutants leave something unused. @throws Error for a stale mutant */
  compile(mutants: readonly Mutant[]): void {
    const sources = join(this.#folder, "sources");
    mkdirSync(sources);
    writeFileSync(join(sources, "package.json"), '{ "type": "module" }\n');
    const files = mutants.map((mutant, i) => {
      const path = join(sources, String(i), mutant.file);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, applyMutant(mutant, readFileSync(join(repositoryRoot, mutant.file), "utf8")));
      return path;
    });
    const options = ["--ignoreConfig", "--noCheck", "--noResolve", "--target", "es2023", "--module", "nodenext", "--rootDir", sources, "--outDir", join(this.#folder, "compiled")];
    const compiler = join(repositoryRoot, "node_modules", "typescript", "bin", "tsc");
    const { status, stdout, stderr } = spawnSync(process.execPath, [compiler, ...options, ...files], { encoding: "utf8" });
    if (status !== 0) throw new Error(`the mutants do not compile:\n${stdout}${stderr}`);
  }

  /** What a test file says without a mutant; run once. */
  baseline(test: string): Promise<Outcome> {
    const known = this.#baselines.get(test);
    if (known !== undefined) return known;
    const outcome = this.run(this.#pristine, test, BASE_LIMIT_MS);
    this.#baselines.set(test, outcome);
    return outcome;
  }

  /** How long a test file may take with a mutant. @throws Error when it fails without one, for then it says nothing about mutants */
  async limitFor(test: string): Promise<number> {
    const { failure, isPassed, ms } = await this.baseline(test);
    if (!isPassed) throw new Error(`${test} fails without a mutant: ${failure}`);
    return ms * LIMIT_FACTOR + LIMIT_EXTRA_MS;
  }

  /** Runs one test file in a copy, until it ends, its first test fails, or its time is over. */
  run(copy: string, test: string, limitMs: number): Promise<Outcome> {
    const begin = performance.now();
    return new Promise((resolve, reject) => {
      const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== "NODE_TEST_CONTEXT"));
      const file = join(copy, "dist", "test", `${test}.test.js`);
      // A group of its own: what the test has started ends with it.
      const child = spawn(process.execPath, ["--no-warnings", "--test-reporter=tap", file], {
        cwd: copy, detached: true, stdio: ["ignore", "pipe", "pipe"], env: { ...environment, SEED: String(this.#seed) },
      });
      const { pid } = child;
      if (pid !== undefined) this.#running.add(pid);
      let output = "";
      let failure = "";
      const stop = (reason: string): void => {
        if (failure === "") failure = reason;
        if (pid !== undefined) killGroup(pid);
      };
      const timer = setTimeout(() => { stop(`no end after ${Math.round(limitMs / 1000)} s`); }, limitMs);
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        const failed = /^\s*not ok \d+ - (.*)$/m.exec(output);
        if (failed !== null) stop(failed[1] ?? "");
        output = output.slice(output.lastIndexOf("\n") + 1);
      });
      child.stderr.resume();
      child.on("error", reject);
      child.on("close", (code, signal) => {
        clearTimeout(timer);
        if (pid !== undefined) this.#running.delete(pid);
        if (failure === "" && code !== 0) failure = `ended with ${signal ?? code}`;
        resolve({ isPassed: failure === "", failure, ms: performance.now() - begin });
      });
    });
  }

  /** Ends what runs and removes all copies. */
  close(): void {
    for (const pid of this.#running) killGroup(pid);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A copy of the project that one mutant at a time is put into. */
export class Bench {
  readonly #workshop: Workshop;
  readonly #copy: string;
  readonly #compiled: string;

  /** Benches come from the workshop. @internal */
  constructor(workshop: Workshop, copy: string, compiled: string) {
    this.#workshop = workshop;
    this.#copy = copy;
    this.#compiled = compiled;
  }

  /** Puts a mutant in, lets `use` run tests, and takes the mutant out again. @param number its place in what was compiled */
  async withMutant<T>(number: number, { file }: Mutant, use: () => Promise<T>): Promise<T> {
    const target = join(this.#copy, "dist", compiledName(file));
    const sound = readFileSync(target);
    writeFileSync(target, readFileSync(join(this.#compiled, String(number), compiledName(file))));
    try {
      return await use();
    } finally {
      writeFileSync(target, sound);
    }
  }

  /** Asks a test file about the mutant that is in. */
  async ask(test: string): Promise<Outcome> {
    const limitMs = await this.#workshop.limitFor(test);
    return this.#workshop.run(this.#copy, test, limitMs);
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}
