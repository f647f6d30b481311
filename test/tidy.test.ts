/** The code is tested as code: who imports whom, sizes, words that must not occur, documentation, links. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { repositoryRoot } from "./support/fixtures.js";
import type { SourceFile } from "./support/source.js";
import { bareCode, functionsOf, importsOf, sourceFiles, withoutComments } from "./support/source.js";
import { tempPath } from "./support/temp.js";

const CODE = [".ts", ".mts", ".mjs"];
const engine = sourceFiles("engine", CODE);
const images = sourceFiles("images", CODE);
const tests = sourceFiles("test", CODE);
const bench = sourceFiles("bench", CODE);
const everything = sourceFiles("", [...CODE, ".md", ".json", ".sh", ".go"]).concat(sourceFiles(".ci", ["run"]));
const documents = sourceFiles("", [".md"]);

/** Which parts each part may import, beside itself: the map of docs/architecture.md. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  format: ["base"],
  storage: ["base"],
  tree: ["base", "format"],
  pager: ["base", "format", "storage"],
  tx: ["base", "format", "storage", "pager", "tree"],
  db: ["base", "format", "storage", "pager", "tree", "tx"],
  typed: ["base", "tx"],
  index: ["base", "storage", "tx", "db", "typed"],
  testing: ["base", "storage"],
  cli: ["base", "format", "typed", "index", "images"],
  images: ["index"],
};

/** The part that a file of engine/ or images/ belongs to: its folder, or its own name in engine/ itself. */
function partOf(path: string): string {
  const [top = "", second = "", third] = path.split("/");
  return top === "engine" ? (third === undefined ? second.replace(/\.ts$/, "") : second) : top;
}

function report(problems: readonly string[]): void {
  assert.equal(problems.join("\n"), "");
}

/** Finds a pattern in code, string contents blanked, and reports `path:line`. */
function occurrences(files: readonly SourceFile[], pattern: RegExp, prepare: (text: string) => string): string[] {
  return files.flatMap(({ path, text }) =>
    prepare(text).split("\n").flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim().slice(0, 120)}`] : [])));
}

test("imports point one way", () => {
  const problems: string[] = [];
  for (const file of [...engine, ...images]) {
    const part = partOf(file.path);
    const allowed = MAY_IMPORT[part];
    if (allowed === undefined) problems.push(`${file.path}: ${part} is not on the map`);
    for (const { target, isLocal } of importsOf(file)) {
      if (!isLocal) {
        if (!target.startsWith("node:")) problems.push(`${file.path} imports the package ${target}`);
      } else if (partOf(target) !== part && allowed?.includes(partOf(target)) === false) {
        problems.push(`${file.path} imports ${target}: ${part} may import ${allowed.join(", ") || "nothing"}`);
      }
    }
  }
  assert.ok(engine.length > 20, "the engine has files");
  report(problems);
});

test("the parts form no circle, types included", () => {
  const graph = new Map<string, Set<string>>();
  for (const file of [...engine, ...images]) {
    const part = partOf(file.path);
    const targets = importsOf(file).filter(({ isLocal }) => isLocal).map(({ target }) => partOf(target)).filter((target) => target !== part);
    graph.set(part, new Set([...graph.get(part) ?? [], ...targets]));
  }
  const done = new Set<string>();
  const visit = (part: string, trail: readonly string[]): void => {
    assert.ok(!trail.includes(part), `a circle: ${[...trail.slice(trail.indexOf(part)), part].join(" → ")}`);
    if (done.has(part)) return;
    for (const target of graph.get(part) ?? []) visit(target, [...trail, part]);
    done.add(part);
  };
  for (const part of graph.keys()) visit(part, []);
});

test("in the engine only storage and the command touch files and processes", () => {
  const problems = engine.filter((file) => !["storage", "cli"].includes(partOf(file.path)))
    .flatMap((file) => importsOf(file).filter(({ target }) => /^node:(fs|child_process)/.test(target)).map(({ target }) => `${file.path} imports ${target}`));
  report(problems);
});

test("the tests of one part name files that exist", () => {
  report(tests.flatMap((file) => importsOf(file).filter(({ target, isLocal }) => isLocal && !existsSync(join(repositoryRoot, target))).map(({ target }) => `${file.path} imports ${target}`)));
});

test("files have at most 400 lines, functions 70", () => {
  const problems: string[] = [];
  let functionCount = 0;
  for (const { path, text } of [...engine, ...images, ...tests, ...bench]) {
    const lineCount = text.trimEnd().split("\n").length;
    if (lineCount > 400) problems.push(`${path}: ${lineCount} lines`);
    for (const found of functionsOf(text)) {
      functionCount++;
      if (found.lineCount > 70) problems.push(`${path}:${found.line}: ${found.name} has ${found.lineCount} lines`);
    }
  }
  assert.ok(functionCount > 200, "functions are found");
  report(problems);
});

test("every file says at its head what it is", () => {
  report([...engine, ...images, ...tests, ...bench].filter(({ text }) => !/^(?:#![^\n]*\n)?(?:\/\*\*|\/\/ )/.test(text)).map(({ path }) => path));
});

test("no escape from the type system and no unfinished work", () => {
  const typed = [...engine, ...images, ...tests, ...bench];
  report([
    ...occurrences(typed, /(?:[:<|&,(]|\bas)\s*any\b(?!\s*[(:])|\bas unknown as\b/, bareCode),
    ...occurrences(typed, /@ts-(?:ignore|nocheck|expect-error)|eslint-disable/, (text) => bareCodeKeepingComments(text)),
    ...occurrences(typed, /\b(?:enum|namespace)\s+[A-Za-z]\w*\s*\{|\bexport default\b/, bareCode),
    ...occurrences(tests, /\b(?:test|it|describe|suite)\s*\.\s*(?:only|skip|todo)\b/, bareCode),
    ...occurrences(everything.filter(({ path }) => !path.endsWith("tidy.test.ts")), /\b(?:TODO|FIXME|XXX|HACK)\b/, (text) => text),
  ]);
});

/** Blanks strings only: a directive lives in a comment, and this file names directives in patterns. */
function bareCodeKeepingComments(text: string): string {
  return text.split("\n").map((line) => (/^\s*(?:\.\.\.)?occurrences\(/.test(line) ? "" : line)).join("\n");
}

test("every export of the engine and the image store is documented", () => {
  const problems: string[] = [];
  for (const { path, text } of [...engine, ...images]) {
    const lines = text.split("\n");
    for (const [i, line] of lines.entries()) {
      const name = /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|class|const|let|interface|type) (\w+)/.exec(line)?.[1];
      if (name === undefined) continue;
      const before = (lines[i - 1] ?? "").trimEnd();
      // A table of constants has one comment above it.
      const isInTable = line.startsWith("export const") && before.startsWith("export const") && /;(?: *\/\/.*)?$/.test(before);
      const isLaterOverload = lines.slice(0, i).some((earlier) => new RegExp(`^export function ${name}[<(]`).test(earlier) && line.startsWith("export function"));
      if (!before.endsWith("*/") && !isLaterOverload && !isInTable) problems.push(`${path}:${i + 1}: ${name}`);
    }
  }
  report(problems);
});

test("the package needs nothing at run time and runs nothing at install time", () => {
  const manifest = JSON.parse(readFileSync(join(repositoryRoot, "package.json"), "utf8")) as Record<string, unknown>;
  for (const field of ["dependencies", "optionalDependencies", "peerDependencies", "bundleDependencies"]) assert.equal(manifest[field], undefined, field);
  const scripts = Object.keys(manifest["scripts"] as Record<string, string>);
  assert.deepEqual(scripts.filter((name) => /^(pre|post)?install$|^prepare$/.test(name)), []);
});

test("nothing names a place on somebody's machine or a package registry", () => {
  const place = /(?:^|[\s"'`(=:])\/(?:work|home|Users|root)\/|registry\.npmjs|npm\.pkg\.github|\bnpmjs\.org\/|C:\\\\/;
  const files = everything.filter(({ path }) => !path.endsWith("tidy.test.ts") && !path.startsWith("test/fixtures/"));
  report(occurrences(files, place, (text) => text));
});

const TOP_LEVEL = [
  ".ci", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md", "bench", "docs", "engine", "images", "package-lock.json", "package.json", "test", "tsconfig.json",
];

test("the top level holds what belongs there and nothing else", (t) => {
  const tracked = spawnSync("git", ["ls-files", "-z"], { cwd: repositoryRoot, encoding: "utf8" });
  if (tracked.status !== 0) {
    t.skip("only git knows what belongs to the project, and there is no repository or no git here");
    return;
  }
  const names = new Set(tracked.stdout.split("\0").map((path) => path.split("/", 1)[0] ?? "").filter((name) => name !== ""));
  assert.deepEqual([...names].sort(), TOP_LEVEL);
});

test("licence and documents are there", () => {
  const wanted = ["LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/api.md", "docs/architecture.md", "docs/bbolt.md", "docs/format.md", "docs/live-read.md", "docs/style.md"];
  report(wanted.filter((path) => !existsSync(join(repositoryRoot, path))));
  assert.match(readFileSync(join(repositoryRoot, "LICENSE"), "utf8"), /^MIT License/);
});

/** The anchors that GitHub gives the headings of a document. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/^#+ +(.+)$/gm)].map(([, heading = ""]) => heading);
  return new Set(headings.map((heading) => heading.trim().toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-")));
}

test("every local link in a document leads somewhere", () => {
  const problems: string[] = [];
  for (const { path, text } of documents) {
    for (const [, link = ""] of text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? path : join(dirname(path), file).replaceAll("\\", "/");
      if (!existsSync(join(repositoryRoot, target))) problems.push(`${path}: ${link}`);
      else if (anchor !== undefined && !anchorsOf(readFileSync(join(repositoryRoot, target), "utf8")).has(anchor)) problems.push(`${path}: ${link} (no such heading)`);
    }
  }
  assert.ok(documents.length >= 9, "documents are found");
  report(problems);
});

/** The `ts` blocks of a document that are meant to run; `ts signatures` marks lists of declarations. */
function examplesOf({ path, text }: SourceFile): { readonly name: string; readonly code: string }[] {
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code = ""], i) => ({ name: `${path.replace(/\W+/g, "-")}-${i + 1}.ts`, code }));
}

test("the examples in the documents compile", () => {
  const folder = tempPath("examples");
  mkdirSync(folder);
  const examples = documents.flatMap(examplesOf);
  assert.ok(examples.length >= 4, "examples are found");
  for (const { name, code } of examples) writeFileSync(join(folder, name), `${code}\nexport {};\n`);
  const at = (path: string): string => join(repositoryRoot, path);
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({
    extends: at("tsconfig.json"),
    compilerOptions: {
      noEmit: true, rootDir: "/", noUnusedLocals: false, typeRoots: [at("node_modules/@types")],
      paths: {
        "hexbolt": [at("dist/engine/index.d.ts")], "hexbolt/testing": [at("dist/engine/testing.d.ts")],
        "hexbolt/images": [at("dist/images/index.d.ts")], "hexbolt/images/conformance": [at("dist/images/conformance.d.ts")],
      },
    },
    include: ["*.ts"],
  }));
  const run = spawnSync(process.execPath, [at("node_modules/typescript/bin/tsc"), "-p", folder], { encoding: "utf8" });
  rmSync(folder, { recursive: true });
  assert.equal(run.stdout, "");
  assert.equal(run.status, 0, run.stderr);
});

test("the tidy test itself sees what it looks for", () => {
  const bad = "const a: an\u0079 = 1;\n// @ts-ignor\u0065\nfunction long() {\n" + "  x();\n".repeat(80) + "}\n";
  const file = { path: "engine/base/x.ts", text: bad };
  assert.equal(occurrences([file], /:\s*any\b/, bareCode).length, 1);
  assert.equal(functionsOf(bad)[0]?.lineCount, 82);
  assert.deepEqual(importsOf({ path: "engine/tx/x.ts", text: `import type { A } ${"from"} "../db/db.js"; // from "../no.js"` }), [{ target: "engine/db/db.ts", isLocal: true }]);
  assert.equal(withoutComments('f("http://x"); // y').trimEnd(), 'f("http://x");');
});
