/**
 * Joins modules into parts: a part is one file with the code of many modules, since Node takes longer to find, read and link a module than to run it.
 *
 * Kept true: each module's code is in one part, once, in the order in which Node would run the modules. So whatever is reached by two ways is one and
 * the same, and a module's own file can be kept as a list of names that its part exports.
 *
 * Modules of a part share one top level. One that has a name there which is another's, or a global's, gets a function around it, and only what it
 * exports stands outside. An exported name may be there but once in a part: no import is renamed, so that code is never rewritten.
 */
import { posix } from "node:path";
import type { Edit, Import, Module } from "./module.js";
import { decodeMappings, MapWriter, type Segment, type SourceMap } from "./source-map.js";

/** A part: its file, from the output folder on, and its modules in the order in which they run. */
export interface Part {
  readonly file: string;
  readonly modules: readonly Module[];
}

/** All modules, and the part that each of them is in; those that are in none stay files of their own. */
export interface Plan {
  readonly modules: ReadonlyMap<string, Module>;
  readonly parts: readonly Part[];
  readonly partOf: ReadonlyMap<string, string>;
}

/** A file to be written, with its source map. */
export interface Output {
  readonly code: string;
  readonly map: string;
}

const GLOBALS: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(globalThis));

/**
 * Shares modules out: a part has what its root imports and no part before it has.
 * @param roots files of parts, each with the modules from which it grows
 * @throws Error for modules that import each other
 */
export function planParts(modules: ReadonlyMap<string, Module>, roots: Readonly<Record<string, readonly string[]>>): Plan {
  const partOf = new Map<string, string>();
  const parts = Object.entries(roots).map(([file, grown]) => {
    const order: Module[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) throw new Error(`modules import each other: ${[...trail.slice(trail.indexOf(path)), path].join(", ")}`);
      if (partOf.has(path)) return;
      const module = modules.get(path);
      if (module === undefined) throw new Error(`there is no module ${path}${trail.length > 0 ? `, which ${trail.at(-1)} imports` : ""}`);
      for (const { from } of module.imports) if (!isBuiltin(from)) visit(from, [...trail, path]);
      partOf.set(path, file);
      order.push(module);
    };
    for (const root of grown) visit(root, []);
    return { file, modules: order };
  });
  return { modules, parts, partOf };
}

function isBuiltin(specifier: string): boolean {
  return specifier.startsWith("node:");
}

/** How the file `path` names the file `target`. */
function specifierFor(path: string, target: string): string {
  const relative = posix.relative(posix.dirname(path), target);
  return relative.startsWith(".") ? relative : `./${relative}`;
}

/** The module in which a name is declared that another one exports. */
function originOf({ modules }: Plan, path: string, name: string): string {
  const module = modules.get(path);
  if (module?.exports.includes(name) === true) return path;
  for (const { bindings, from, isReexport } of module?.imports ?? []) if (isReexport && bindings.some(({ local }) => local === name)) return originOf({ modules } as Plan, from, name);
  throw new Error(`${path} does not export ${name}`);
}

/** Names by where they come from, as the statements that import or export them. */
function fromClauses(word: "import" | "export", path: string, names: ReadonlyMap<string, string>): string {
  const byFile = new Map<string, string[]>();
  for (const [name, file] of names) byFile.set(file, [...byFile.get(file) ?? [], name]);
  return [...byFile].map(([file, of]) => `${word} { ${of.sort().join(", ")} } from "${specifierFor(path, file)}";\n`).join("");
}

/** The file of a module whose code is in a part: the names that it exports. */
export function nameList(plan: Plan, { exports, imports, path }: Module): string {
  const names = [...exports, ...imports.flatMap(({ bindings, isReexport }) => (isReexport ? bindings.map(({ local }) => local) : []))];
  const files = new Map(names.map((name) => [name, plan.partOf.get(originOf(plan, path, name)) ?? ""]));
  return names.length === 0 ? "export {};\n" : fromClauses("export", path, files);
}

/** A line of output and the segments of its source map. */
interface Line {
  readonly text: string;
  readonly segments: readonly Segment[];
}

function edited(text: string, segments: readonly Segment[], edits: readonly Edit[]): Line {
  let result = text;
  for (const { at, length, text: replacement } of edits.toSorted((a, b) => b.at - a.at)) result = result.slice(0, at) + replacement + result.slice(at + length);
  const moved = segments.filter(([column = 0]) => !edits.some(({ at, length }) => column > at && column < at + length)).map(([column = 0, ...rest]) =>
    [edits.reduce((sum, { at, length, text: { length: newLength } }) => (at + length <= column ? sum + newLength - length : sum), column), ...rest]);
  return { text: result, segments: moved };
}

/** A module's lines with the edits done, the comments gone, which the source map has, and without the statements given. */
function linesOf({ fillers, path, text }: Module, map: SourceMap, edits: readonly Edit[], removed: readonly Import[]): Line[] {
  const lines: Line[] = [];
  const mappings = decodeMappings(map.mappings);
  let at = 0;
  const texts = text.trimEnd().split("\n");
  if (texts.pop()?.startsWith("//# sourceMappingURL=") !== true) throw new Error(`${path} is not whole: does another build run?`);
  for (const [i, line] of texts.entries()) {
    const [begin, end] = [at, at + line.length];
    at = end + 1;
    if (removed.some((statement) => begin < statement.at + statement.length && end > statement.at)) continue;
    const own = [...edits, ...fillers].filter((edit) => edit.at < end && edit.at + edit.length > begin).map((edit) => {
      const from = Math.max(edit.at, begin);
      return { ...edit, at: from - begin, length: Math.min(edit.at + edit.length, end) - from };
    });
    if (own.length === 0) lines.push({ text: line, segments: mappings[i] ?? [] });
    else {
      const left = edited(line, mappings[i] ?? [], own);
      const trimmed = left.text.trimEnd();
      if (trimmed !== "") lines.push({ ...left, text: trimmed });
    }
  }
  return lines;
}

/** What makes a module's code right in the file `file`: places of files, and the exports of declarations where they are exported otherwise. */
function placeEdits({ partOf }: Plan, file: string, { dynamicImports, ownUrls, path }: Module): Edit[] {
  const urls = file === path ? [] : ownUrls.map((edit) => ({ ...edit, text: `new URL("${specifierFor(file, path)}", import.meta.url).href` }));
  return [...urls, ...dynamicImports.map((edit) => {
    const target = partOf.get(edit.from) ?? edit.from;
    return { ...edit, text: `"${isBuiltin(target) ? target : specifierFor(file, target)}"` };
  })];
}

function output(file: string, groups: readonly { readonly lines: readonly Line[]; readonly map?: SourceMap; readonly path?: string }[]): Output {
  const writer = new MapWriter();
  const texts: string[] = [];
  for (const { lines, map, path = "" } of groups) {
    texts.push(...lines.map(({ text }) => text));
    if (map === undefined) writer.skip(lines.length);
    else {
      const pathOf = (source: string): string => posix.relative(posix.dirname(file), posix.join(posix.dirname(path), source));
      const add = writer.from(map, pathOf);
      for (const { segments } of lines) add(segments);
    }
  }
  const name = posix.basename(file);
  return { code: `${texts.join("\n")}\n//# sourceMappingURL=${name}.map\n`, map: writer.toString(name) };
}

/** A module that is in no part, importing from parts. */
export function rewire(plan: Plan, module: Module, map: SourceMap): Output {
  const edits = module.imports.map(({ from, specifier }) => ({ ...specifier, text: `"${isBuiltin(from) ? from : specifierFor(module.path, plan.partOf.get(from) ?? from)}"` }));
  return output(module.path, [{ lines: linesOf(module, map, [...edits, ...placeEdits(plan, module.path, module)], []), map, path: module.path }]);
}

/** Statements without a source. */
function plainLines(text: string): Line[] {
  return text.split("\n").filter((line) => line !== "").map((line) => ({ text: line, segments: [] }));
}

/** Names that stand at the top level of a part, each with where it comes from. */
class TopLevel {
  readonly #names = new Map<string, string>();

  /** Keeps a name for the whole part. @throws Error when it is another's */
  reserve(name: string, origin: string): void {
    if (GLOBALS.has(name)) throw new Error(`${origin} exports ${name}, which is a global: give it another name`);
    const other = this.#names.get(name) ?? origin;
    if (other !== origin) throw new Error(`${origin} and ${other} both export ${name}: give one another name`);
    this.#names.set(name, origin);
  }

  /** Takes all names, or none when one of them is another's or a global's. */
  take(names: ReadonlyMap<string, string>): boolean {
    for (const [name, origin] of names) if (GLOBALS.has(name) || (this.#names.get(name) ?? origin) !== origin) return false;
    for (const [name, origin] of names) this.#names.set(name, origin);
    return true;
  }
}

/** The name under which a part has all of a built-in module. */
function wholeName(builtin: string): string {
  return builtin.replace(/\W+/g, "$");
}

/** The names that a module alone uses: what it declares and does not export, and what it takes from built-in modules. */
function privateNames({ declared, exports, imports, path }: Module): Map<string, string> {
  const names = new Map(declared.filter((name) => !exports.includes(name)).map((name) => [name, path]));
  for (const { bindings, from } of imports) if (isBuiltin(from)) for (const { local, name } of bindings) names.set(local, `${name} of ${from}`);
  return names;
}

/** Gives a module a function of its own around it. */
function wrap({ exports, imports }: Module, lines: readonly Line[]): Line[] {
  const builtins = imports.filter(({ from }) => isBuiltin(from)).map(({ bindings, from }) =>
    `const ${bindings[0]?.name === "*" ? bindings[0].local : `{ ${bindings.map(({ local, name }) => (name === local ? name : `${name}: ${local}`)).join(", ")} }`} = ${wholeName(from)};`);
  const head = exports.length === 0 ? "(() => {" : `const { ${exports.join(", ")} } = (() => {`;
  return [...plainLines([head, ...builtins].join("\n")), ...lines, ...plainLines(`return { ${exports.join(", ")} };\n})();`)];
}

/** The built-in modules that a part imports, whole or by names. */
class Builtins {
  readonly #whole = new Set<string>();
  readonly #names = new Map<string, Set<string>>();

  /** Adds what a module imports. @param isFlat it has no function around it, which would ask for the whole modules */
  add(imports: readonly Import[], isFlat: boolean): void {
    for (const { bindings, from } of imports) if (isBuiltin(from)) for (const { local, name } of bindings) {
      if (!isFlat || name === "*") this.#whole.add(`import * as ${isFlat ? local : wholeName(from)} from "${from}";`);
      else this.#names.set(from, (this.#names.get(from) ?? new Set()).add(name === local ? name : `${name} as ${local}`));
    }
  }

  /** The statements. */
  toString(): string {
    return [...this.#whole, ...[...this.#names].map(([from, names]) => `import { ${[...names].sort().join(", ")} } from "${from}";`)].sort().join("\n");
  }
}

/** Writes a part. @param mapOf gives a module's source map @throws Error for what joining does not understand */
export function writePart(plan: Plan, { file, modules }: Part, mapOf: (path: string) => SourceMap): Output {
  const topLevel = new TopLevel();
  const foreign = new Map<string, string>();
  for (const module of modules) {
    for (const name of module.exports) topLevel.reserve(name, module.path);
    for (const { bindings, from, isReexport } of module.imports.filter((statement) => !isBuiltin(statement.from))) for (const { local, name } of bindings) {
      if (name === "*" || name !== local) throw new Error(`${module.path} renames what it imports from ${from}`);
      const origin = originOf(plan, from, name);
      const part = plan.partOf.get(origin) ?? "";
      if (part === file || isReexport) continue;
      topLevel.reserve(name, origin);
      foreign.set(name, part);
    }
  }
  const builtins = new Builtins();
  const groups = modules.map((module) => {
    const map = mapOf(module.path);
    const lines = linesOf(module, map, [...module.exportWords, ...placeEdits(plan, file, module)], module.imports);
    const isFlat = topLevel.take(privateNames(module));
    builtins.add(module.imports, isFlat);
    return { lines: isFlat ? lines : wrap(module, lines), map, path: module.path };
  });
  const head = `// ${modules.length} modules in one, written by the build\n${builtins}\n${fromClauses("import", file, foreign)}`;
  const exported = modules.flatMap(({ exports }) => exports).sort();
  return output(file, [{ lines: plainLines(head) }, ...groups, { lines: plainLines(`export { ${exported.join(", ")} };`) }]);
}
