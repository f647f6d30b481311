/**
 * The last step of `npm run build`: makes of the compiler's modules, in dist/modules/, what dist/ has for users and tests. Modules of the engine and of
 * the image store are joined into a few parts, dist/joined/; what was a module of them is then a list of names that its part exports.
 *
 * Files that stay the same are left alone, others are replaced at once, and those without a source go: a build is harmless to whatever runs from dist/
 * meanwhile.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { nameList, planParts, rewire, writePart } from "./join.js";
import { readModule, type Module } from "./module.js";
import type { SourceMap } from "./source-map.js";

/** The parts, each with the modules from which it grows. Two that share modules stand in the order in which the second needs the first. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  "joined/engine.js": ["engine/index.js"],
  "joined/testing.js": ["engine/testing.js"],
  "joined/images.js": ["images/index.js"],
  "joined/conformance.js": ["images/conformance.js"],
  "joined/command.js": ["engine/cli/run.js", "engine/cli/program.js"],
  "joined/images-command.js": ["images/cli.js"],
  "joined/command-pages.js": ["engine/cli/commands-pages.js"],
  "joined/command-files.js": ["engine/cli/commands-files.js"],
  "joined/command-surgery.js": ["engine/cli/commands-surgery.js"],
  "joined/viewer.js": ["engine/cli/view-server.js"],
};

const OUTPUT_SUFFIX = /(?:\.d\.c?ts|\.js|\.js\.map)$/;
const JOINED_FOLDERS = ["engine", "images"];

/** The compiler's output folder in a project's dist/. */
const MODULES_FOLDER = "modules";

/** Files below a folder, with forward slashes; none where it is not there. */
function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).map((entry) => entry.replaceAll("\\", "/")).filter((entry) => OUTPUT_SUFFIX.test(entry));
}

/** A map's text with its sources named as seen from dist/, not from the folder within. */
function raised(mapText: string): string {
  const map = JSON.parse(mapText) as SourceMap;
  return JSON.stringify({ ...map, sources: map.sources.map((source) => source.replace(/^\.\.\//, "")) });
}

/** All that dist/ shall have: paths and texts. */
function outputsOf(modulesFolder: string): Map<string, string> {
  const outputs = new Map<string, string>();
  const modules = new Map<string, Module>();
  const read = (path: string): string => readFileSync(join(modulesFolder, path), "utf8");
  const mapOf = (path: string): SourceMap => JSON.parse(raised(read(`${path}.map`))) as SourceMap;
  for (const path of filesBelow(modulesFolder)) {
    const isJoined = JOINED_FOLDERS.includes(path.split("/", 1)[0] ?? "");
    if (isJoined && path.endsWith(".js")) modules.set(path, readModule(path, read(path)));
    else if (!isJoined || !path.endsWith(".map")) outputs.set(path, path.endsWith(".map") ? raised(read(path)) : read(path));
  }
  const plan = planParts(modules, PARTS);
  const put = (path: string, { code, map }: { readonly code: string; readonly map: string }): void => void outputs.set(path, code).set(`${path}.map`, map);
  for (const part of plan.parts) put(part.file, writePart(plan, part, mapOf));
  for (const module of modules.values()) {
    if (plan.partOf.has(module.path)) outputs.set(module.path, nameList(plan, module));
    else put(module.path, rewire(plan, module, mapOf(module.path)));
  }
  return outputs;
}

/** Replaces a file at once: who reads it has the old text or the new one. */
function replace(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.${process.pid}`, text);
  renameSync(`${path}.${process.pid}`, path);
}

/** Deletes the compiler's outputs without a source: it leaves them behind. */
function prune(modulesFolder: string, root: string): void {
  for (const entry of filesBelow(modulesFolder)) if (!existsSync(join(root, entry.replace(OUTPUT_SUFFIX, ".ts")))) rmSync(join(modulesFolder, entry));
}

/** Makes dist/ of dist/modules/. @param root the project's folder */
export function build(root: string): void {
  const dist = join(root, "dist");
  const modulesFolder = join(dist, MODULES_FOLDER);
  prune(modulesFolder, root);
  const outputs = outputsOf(modulesFolder);
  for (const [path, text] of outputs) {
    const target = join(dist, path);
    if (!existsSync(target) || readFileSync(target, "utf8") !== text) replace(target, text);
  }
  for (const path of filesBelow(dist)) if (!path.startsWith(`${MODULES_FOLDER}/`) && !outputs.has(path)) rmSync(join(dist, path));
}
