/** The code blocks of documents: found, compiled, and run one after the other in a fresh folder that has hexbolt installed. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, delimiter, dirname, join } from "node:path";
import { repositoryRoot } from "../support/fixtures.js";
import { tempPath } from "../support/temp.js";

/** A block that can be run, and what the text block right behind it says that it prints. */
export interface Block {
  readonly language: "ts" | "js" | "sh";
  readonly code: string;
  readonly line: number;
  readonly output: string | undefined;
}

/** Gives the blocks of a document that run: fences of `ts`, `js` and `sh` without further words. */
export function blocksOf(text: string): Block[] {
  const fences = [...text.matchAll(/^```([^\n]*)\n([\s\S]*?)^```$/gm)];
  const blocks: Block[] = [];
  for (const [i, { 1: language = "", 2: code = "", index, 0: whole }] of fences.entries()) {
    if (language !== "ts" && language !== "js" && language !== "sh") continue;
    const next = fences[i + 1];
    const isOutput = next?.[1] === "text" && text.slice(index + whole.length, next.index).trim() === "";
    blocks.push({ language, code, line: text.slice(0, index).split("\n").length, output: isOutput ? next[2] : undefined });
  }
  return blocks;
}

/** A folder in which programs can import hexbolt, and other packages where the benchmarks have installed them. */
export function projectFolder(): string {
  const folder = tempPath("project");
  const modules = join(folder, "node_modules");
  mkdirSync(modules, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  symlinkSync(repositoryRoot, join(modules, "hexbolt"));
  symlinkSync(join(repositoryRoot, "node_modules", "@types"), join(modules, "@types"));
  for (const rival of RIVALS) if (existsSync(rivalFolder(rival))) symlinkSync(rivalFolder(rival), join(modules, rival));
  const commands = join(folder, "commands");
  mkdirSync(commands);
  writeFileSync(join(commands, "hexbolt"), `#!/bin/sh\nexec "${process.execPath}" "${join(repositoryRoot, "dist", "engine", "cli", "main.js")}" "$@"\n`, { mode: 0o755 });
  return folder;
}

const RIVALS = ["lmdb", "classic-level"];

function rivalFolder(name: string): string {
  return join(repositoryRoot, "bench", "node_modules", name);
}

/** The package that a program needs and that is not installed; undefined when all are there. */
export function missingPackage(code: string): string | undefined {
  return RIVALS.find((name) => code.includes(`from "${name}"`) && !existsSync(rivalFolder(name)));
}

/** Compiles the TypeScript of a project in place, as strictly as the project itself. @returns what the compiler says, nothing when all is well */
export function compile(folder: string): string {
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({
    extends: join(repositoryRoot, "tsconfig.json"),
    compilerOptions: { rootDir: ".", outDir: ".", declaration: false, isolatedDeclarations: false, sourceMap: false, inlineSources: false, noUnusedLocals: false, moduleDetection: "force", typeRoots: ["node_modules/@types"] },
    include: ["**/*.ts"],
    exclude: ["node_modules"],
  }));
  const run = spawnSync(process.execPath, [join(repositoryRoot, "node_modules", "typescript", "bin", "tsc"), "-p", folder], { encoding: "utf8" });
  return run.stdout + run.stderr;
}

/** Runs a program or script of a project in its own folder; gives what it prints. @throws with its errors when it fails */
export function runFile(project: string, path: string): string {
  const environment = { ...process.env, PATH: `${join(project, "commands")}${delimiter}${process.env["PATH"] ?? ""}`, NO_COLOR: "1" };
  const name = basename(path);
  const [command, ...args] = name.endsWith(".sh") ? ["sh", "-e", name] : [process.execPath, "--no-warnings", name];
  return execFileSync(command!, args, { cwd: join(project, dirname(path)), encoding: "utf8", env: environment, stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 });
}

/** Reads a document of the repository. */
export function readDocument(path: string): string {
  return readFileSync(join(repositoryRoot, path), "utf8");
}
