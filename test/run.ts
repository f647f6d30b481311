/**
 * The test runner: finds the compiled test files of a group and hands them to `node --test`, because the oldest
 * supported Node expands no globs itself. Exits with node's own exit code.
 *
 *     node dist/test/run.js GROUP [SUBSTRING …]
 *
 * Groups: `unit` (all that is in none of the others), `interop` (against Go, containerd, etcd), `long` (soaks), `fuzz`
 * (damaged files).
 * Substrings keep only the files whose path holds one of them. A group or filter without a single file is an error,
 * so a renamed file can never turn a run into a silent success.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const testFolder = dirname(fileURLToPath(import.meta.url));

function groupOf(path: string): string {
  const [first, second] = path.split(/[\\/]/, 2);
  // What the fuzzer has found is tried with every change, the fuzzing itself is not.
  if (first === "fuzz") return second === "files.test.js" ? "fuzz" : "unit";
  return first === "interop" || first === "long" ? first : "unit";
}

/** The compiled test files whose source still exists: tsc leaves the output of a deleted file behind. */
function testFiles(): string[] {
  const sourceFolder = join(testFolder, "..", "..", "test");
  const files: string[] = [];
  for (const entry of readdirSync(testFolder, { recursive: true, encoding: "utf8" })) {
    if (!entry.endsWith(".test.js")) continue;
    if (existsSync(join(sourceFolder, entry.replace(/\.js$/, ".ts")))) files.push(entry);
  }
  return files.sort();
}

/** Node 20.10 and newer. */
function knowsConcurrency(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  return major > 20 || minor >= 10;
}

function main(argv: readonly string[]): number {
  const [group, ...filters] = argv;
  if (group !== "unit" && group !== "interop" && group !== "long" && group !== "fuzz") {
    process.stderr.write("usage: node dist/test/run.js unit|interop|long|fuzz [SUBSTRING …]\n");
    return 2;
  }
  const chosen = testFiles().filter((file) =>
    groupOf(file) === group && (filters.length === 0 || filters.some((filter) => file.includes(filter))));
  if (chosen.length === 0) {
    process.stderr.write(`no test file in group ${group}${filters.length > 0 ? ` matches ${filters.join(", ")}` : ""}\n`);
    return 1;
  }
  const paths = chosen.map((file) => relative(process.cwd(), join(testFolder, file)));
  // Of two processors Node would use one.
  const flags = group === "unit" && knowsConcurrency() ? [`--test-concurrency=${availableParallelism()}`] : [];
  const run = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...flags, ...paths], { stdio: "inherit" });
  if (run.error !== undefined) throw run.error;
  return run.status ?? 1;
}

process.exitCode = main(process.argv.slice(2));
