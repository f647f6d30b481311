/**
 * The last step before packing: the code without its comments (the source maps carry the sources, comments and all), and only the
 * declarations that the package's entry points lead to, each a second time for those who `require`: TypeScript takes a declaration for a CommonJS
 * or an ES module by its name, and a project of CommonJS modules may not import what it takes for the other. What is left out serves nobody who
 * installs the package.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const SHIPPED = ["engine", "images"];

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly import: { readonly types: string } }>>;
}

/** Every declaration file that is reached from those given. */
function reachable(entries: readonly string[]): Set<string> {
  const seen = new Set<string>();
  const waiting = [...entries];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const [, target] of readFileSync(file, "utf8").matchAll(/(?:from|import\()\s*"(\.[^"]+)\.js"/g)) waiting.push(join(dirname(file), `${target}.d.ts`));
  }
  return seen;
}

execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.json", "--removeComments", "--declaration", "false", "--isolatedDeclarations", "false"], { cwd: root, stdio: "inherit" });
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;
const entries = Object.values(manifest.exports).flatMap((target) => (typeof target === "string" ? [] : [join(root, target.import.types)]));
const wanted = reachable(entries);
for (const part of SHIPPED) {
  const folder = join(root, "dist", part);
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const file = join(folder, entry);
    if (file.endsWith(".d.cts") || (file.endsWith(".d.ts") && !wanted.has(file))) rmSync(file);
  }
}
for (const file of wanted) {
  const text = readFileSync(file, "utf8").replace(/((?:from|import\()\s*"\.[^"]+)\.js"/g, '$1.cjs"');
  writeFileSync(file.replace(/\.d\.ts$/, ".d.cts"), text);
}
