/**
 * The last step before packing: leaves in dist/ only what the package's entry points lead to, code and declarations, and each declaration a second time
 * for those who `require`: TypeScript takes a declaration for a CommonJS or an ES module by its name, and a project of CommonJS modules may not import
 * what it takes for the other. What is left out serves nobody who installs the package.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const SHIPPED = ["engine", "images", "joined"];

interface Manifest {
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | { readonly import: { readonly types: string; readonly default: string } }>>;
}

/** Every file that is reached from those given, by imports of whatever kind, and as threads. @param ending of the files, where imports say `.js` */
function reachable(entries: readonly string[], ending: ".js" | ".d.ts"): Set<string> {
  const seen = new Set<string>();
  const waiting = [...entries];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const [, target] of readFileSync(file, "utf8").matchAll(/(?:from|import\(|new Worker\(new URL\()\s*"(\.[^"]+)\.js"/g)) waiting.push(join(dirname(file), `${target}${ending}`));
  }
  return seen;
}

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;
const entries = Object.values(manifest.exports).flatMap((target) => (typeof target === "string" ? [] : [target.import]));
const declarations = reachable(entries.map(({ types }) => join(root, types)), ".d.ts");
const code = reachable([...entries.map((entry) => entry.default), ...Object.values(manifest.bin)].map((file) => join(root, file)), ".js");
const kept = new Set([...declarations, ...code, ...[...code].map((file) => `${file}.map`)]);
for (const part of SHIPPED) {
  const folder = join(root, "dist", part);
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const file = join(folder, entry);
    if (/\.(?:d\.c?ts|js|js\.map)$/.test(file) && !kept.has(file) && existsSync(file)) rmSync(file);
  }
}
for (const file of declarations) {
  const text = readFileSync(file, "utf8").replace(/((?:from|import\(|declare module)\s*"\.[^"]+)\.js"/g, '$1.cjs"');
  writeFileSync(file.replace(/\.d\.ts$/, ".d.cts"), text);
}
