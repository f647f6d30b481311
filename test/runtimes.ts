/**
 * Runs the unit tests on the runtimes that the package is for beside the oldest Node: later ones, Bun and Deno, each installed from the npm registry into a
 * folder of its own, so that the project depends on none of them. Prints for each its version and how many tests passed, failed and were skipped.
 *
 *     node dist/test/runtimes.js [NAME …] [--only SUBSTRING …]
 *
 * Names: node22, node24, node26, bun, deno; none means all. `HEXBOLT_RUNTIMES` names a folder in which installed runtimes are kept for the next run. A runtime
 * that cannot be installed is skipped, with the reason; with `HEXBOLT_REQUIRE_RUNTIMES` that is a failure.
 *
 * Kept true: a test that fails is a failure, unless `KNOWN` names it with its reason; one of `KNOWN` that passes is a failure as well, so the list
 * cannot outlive what it tells. A file without a single test that ran counts as failed.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { countsOf, type Counts, type Format } from "./runtimes-output.js";
import { KNOWN, NODE_MAJORS, RUNTIMES, UNFIT } from "./runtimes-known.js";
import { tempFolder, tempPath } from "./support/temp.js";

const INSTALL_LIMIT_MS = 120_000;
const FILE_LIMIT_MS = 400_000;
const testFolder = dirname(fileURLToPath(import.meta.url));

/** A runtime: where it comes from and how it runs one test file. */
interface Runtime {
  readonly name: string;
  /** What the registry has with the program inside; nothing runs while it is installed. */
  readonly packageName: string;
  readonly range: string;
  readonly program: string;
  readonly format: Format;
  readonly versionPattern: RegExp;
  argumentsFor(file: string): readonly string[];
}

/** The name of a platform in the packages of the runtimes; undefined where they have none. */
function platformPackages(): { readonly node: string; readonly bun: string; readonly deno: string } | undefined {
  const { arch, platform } = process;
  if (platform !== "linux" || (arch !== "x64" && arch !== "arm64")) return undefined;
  return { node: `node-linux-${arch}`, bun: `@oven/bun-linux-${arch === "x64" ? "x64" : "aarch64"}`, deno: `@deno/linux-${arch}-glibc` };
}

function runtimes(): readonly Runtime[] {
  const packages = platformPackages();
  if (packages === undefined) return [];
  const node = (major: number): Runtime => ({
    name: `node${major}`, packageName: packages.node, range: String(major), program: "bin/node", format: "tap", versionPattern: /^v(\S+)/,
    argumentsFor: (file) => ["--enable-source-maps", "--test-reporter=tap", file],
  });
  return [
    ...NODE_MAJORS.map(node),
    // Bun's own limit of 5 seconds a test is less than some take on a busy machine.
    { name: "bun", packageName: packages.bun, range: "1", program: "bin/bun", format: "bun", versionPattern: /^(\S+)/, argumentsFor: (file) => ["test", "--timeout", String(FILE_LIMIT_MS), file] },
    { name: "deno", packageName: packages.deno, range: "2", program: "deno", format: "deno", versionPattern: /^deno (\S+)/, argumentsFor: (file) => ["test", "-A", "--no-check", file] },
  ];
}

/** Installs a runtime where it is not yet. @returns its program, or why there is none */
function install(runtime: Runtime): { readonly program: string } | { readonly missing: string } {
  const folder = join(process.env["HEXBOLT_RUNTIMES"] ?? tempPath("runtimes"), runtime.name);
  const program = join(folder, "node_modules", runtime.packageName, runtime.program);
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
    const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
    const run = spawnSync("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", `${runtime.packageName}@${runtime.range}`],
      { cwd: folder, encoding: "utf8", env: environment, timeout: INSTALL_LIMIT_MS });
    if (run.status !== 0) return { missing: `npm cannot install ${runtime.packageName}@${runtime.range}: ${firstError(run.stderr, run.error)}` };
  }
  const version = spawnSync(program, ["--version"], { encoding: "utf8" });
  if (version.status !== 0) return { missing: `${runtime.packageName} does not run here: ${firstError(version.stderr, version.error)}` };
  process.stdout.write(`${runtime.name}: ${runtime.versionPattern.exec(version.stdout)?.[1] ?? version.stdout.trim()}\n`);
  return { program };
}

function firstError(stderr: string | null, error: Error | undefined): string {
  return error?.message ?? (stderr ?? "").split("\n").find((line) => line.trim() !== "") ?? "no reason given";
}

/** What came of one file. */
interface FileRun {
  readonly file: string;
  readonly counts: Counts;
  readonly output: string;
  readonly problem: string | undefined;
}

function runFile(runtime: Runtime, program: string, file: string): Promise<FileRun> {
  return new Promise((resolve) => {
    // A group of its own, so that what hangs is ended with all that it has started. What is killed, or tells nobody that its process ends,
    // leaves temporary files behind: they go with ours.
    const child = spawn(program, runtime.argumentsFor(`./dist/test/${file}`), {
      cwd: join(testFolder, "../.."), detached: true, stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", TMPDIR: tempFolder() },
    });
    // Each stream by itself: a line of one is not to be cut by a part of the other.
    const texts = ["", ""];
    let isLate = false;
    [child.stdout, child.stderr].forEach((stream, i) => stream.setEncoding("utf8").on("data", (part: string) => { texts[i] += part; }));
    const timer = setTimeout(() => {
      isLate = true;
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    }, FILE_LIMIT_MS);
    child.once("error", (error) => { texts.push(String(error)); });
    child.once("close", (code) => {
      clearTimeout(timer);
      const output = texts.join("\n");
      const counts = countsOf(output, runtime.format);
      const unexplained = code !== 0 && counts.failed.length === 0;
      const isEmpty = counts.passed + counts.failed.length + counts.skipped === 0;
      const problem = isLate ? `not done after ${FILE_LIMIT_MS} ms` : unexplained ? `exit status ${code}, no test named` : isEmpty ? "no test ran" : undefined;
      resolve({ file, counts, output, problem });
    });
  });
}

/** Judges a file by what is known of the runtime. @returns what is wrong, one line each */
function faultsOf(runtime: Runtime, { counts, file, problem }: FileRun): string[] {
  const known = KNOWN.filter((fact) => fact.runtime === runtime.name && fact.file === file);
  const mayEnd = known.some((fact) => fact.test === undefined);
  const names = known.flatMap((fact) => (fact.test === undefined ? [] : [{ ...fact, test: fact.test }]));
  const faults = problem === undefined || mayEnd ? [] : [`${file}: ${problem}`];
  for (const name of counts.failed) if (!names.some((fact) => name.startsWith(fact.test))) faults.push(`${file}: ${name}`);
  for (const fact of names) if (fact.sometimes !== true && !counts.failed.some((name) => name.startsWith(fact.test))) faults.push(`${file}: ${fact.test}: passes now, and is still listed as known to fail`);
  return faults;
}

async function runAll(runtime: Runtime, program: string, files: readonly string[]): Promise<boolean> {
  const begin = performance.now();
  const total = { passed: 0, failed: 0, skipped: 0, known: 0 };
  const waiting = files.filter((file) => !UNFIT.some((fact) => fact.runtimes.includes(runtime.name) && file.startsWith(fact.file)));
  const work = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const run = await runFile(runtime, program, file);
      const faults = faultsOf(runtime, run);
      total.passed += run.counts.passed;
      total.skipped += run.counts.skipped;
      total.failed += faults.length;
      total.known += run.counts.failed.filter((name) => !faults.includes(`${file}: ${name}`)).length;
      if (faults.length > 0) process.stdout.write(`${runtime.name}: ${faults.join(`\n${runtime.name}: `)}\n${run.output.slice(-6000)}\n`);
    }
  };
  const fileCount = waiting.length;
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  const seconds = ((performance.now() - begin) / 1000).toFixed(0);
  process.stdout.write(`${runtime.name}: ${fileCount} files, ${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped, ${total.known} known to fail, ${seconds} s\n`);
  return total.failed === 0;
}

/** The compiled unit tests, the longest first so that none of them is left over at the end. */
function unitFiles(filters: readonly string[]): string[] {
  const LONG = ["crash/", "engine/fixtures", "engine/db/shrink", "engine/isolation", "engine/hostile", "engine/db/compact", "engine/model", "engine/db/backup", "cli/"];
  const rank = (file: string): number => { const at = LONG.findIndex((start) => file.startsWith(start)); return at < 0 ? LONG.length : at; };
  return readdirSync(testFolder, { recursive: true, encoding: "utf8" })
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => file.endsWith(".test.js") && !/^(?:interop|long|fuzz\/files)/.test(file) && existsSync(join(testFolder, "../../test", file.replace(/\.js$/, ".ts"))))
    .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

async function main(argv: readonly string[]): Promise<number> {
  const split = argv.includes("--only") ? argv.indexOf("--only") : argv.length;
  const [names, filters] = [argv.slice(0, split), argv.slice(split + 1)];
  const all = runtimes();
  const unknown = names.filter((name) => !RUNTIMES.includes(name));
  const files = unitFiles(filters);
  if (unknown.length > 0 || files.length === 0) {
    process.stderr.write(unknown.length > 0 ? `no runtime ${unknown.join(", ")}: ${RUNTIMES.join(", ")}\n` : "no test file is meant\n");
    return 2;
  }
  if (all.length === 0) process.stdout.write(`skipped: the registry's packages of runtimes have none for ${process.platform} on ${process.arch}\n`);
  let isWell = all.length > 0 || process.env["HEXBOLT_REQUIRE_RUNTIMES"] === undefined;
  for (const runtime of all) {
    if (names.length > 0 && !names.includes(runtime.name)) continue;
    const found = install(runtime);
    if ("missing" in found) {
      process.stdout.write(`${runtime.name}: skipped, ${found.missing}\n`);
      isWell &&= process.env["HEXBOLT_REQUIRE_RUNTIMES"] === undefined;
    } else {
      isWell = (await runAll(runtime, found.program, files)) && isWell;
    }
  }
  return isWell ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
