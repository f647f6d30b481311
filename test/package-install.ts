/** Packs the project and installs the package into an empty one, as a user's npm does. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "./support/fixtures.js";
import { tempPath } from "./support/temp.js";

/** What the package's own package.json says, as far as tests ask. */
export interface Manifest {
  readonly files: readonly string[];
  readonly scripts: Readonly<Record<string, string>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | Readonly<Record<"import" | "require", { readonly types: string; readonly default: string }>>>>;
  readonly dependencies?: unknown;
}

/** The package.json of a project that uses the package. */
const CONSUMER = JSON.stringify({ name: "consumer", version: "1.0.0", private: true, type: "module" });

/** Runs npm, without the settings that an npm around us hands down. */
export function npm(args: readonly string[], cwd: string): string {
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  return execFileSync("npm", args, { cwd, encoding: "utf8", env: environment, stdio: ["ignore", "pipe", "pipe"] });
}

/** Lists the files below a folder, sorted, with forward slashes. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((entry) => statSync(join(folder, entry)).isFile()).map((entry) => entry.replaceAll("\\", "/")).sort();
}

/** Makes a project that has the package as it is built now: without building anew, and without npm. */
export function projectWithPackage(): string {
  const project = tempPath("consumer");
  const installed = join(project, "node_modules", "hexbolt");
  for (const entry of ["package.json", "dist/engine", "dist/images", "dist/joined", "dist/test/slim.js"]) cpSync(join(repositoryRoot, entry), join(installed, entry), { recursive: true });
  execFileSync(process.execPath, [join(installed, "dist/test/slim.js")]);
  writeFileSync(join(project, "package.json"), CONSUMER);
  return project;
}

/** Packs a copy of the project, because packing builds anew, which must not happen underneath the tests. @returns the project that has it installed */
export function installPackage(): string {
  const project = tempPath("consumer");
  mkdirSync(project);
  const copy = tempPath("copy");
  mkdirSync(copy);
  for (const entry of ["engine", "images", "bench", "test", "package.json", "tsconfig.json", "docs", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]) {
    cpSync(join(repositoryRoot, entry), join(copy, entry), { recursive: true, filter: (source) => !/\/(?:node_modules|test\/fixtures|bench\/results)(?:\/|$)/.test(source.slice(repositoryRoot.length)) });
  }
  symlinkSync(join(repositoryRoot, "node_modules"), join(copy, "node_modules"));
  const [{ filename } = { filename: "" }] = JSON.parse(npm(["pack", "--json", "--pack-destination", project], copy)) as { filename: string }[];
  writeFileSync(join(project, "package.json"), CONSUMER);
  npm(["install", "--offline", "--no-audit", "--no-fund", `./${filename}`], project);
  return project;
}
