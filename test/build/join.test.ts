/** The build's joiner: what it makes of small modules runs as they do, and what it does not understand it refuses. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { tempPath } from "../support/temp.js";
import { nameList, planParts, rewire, writePart, type Plan } from "./join.js";
import { bareText, readModule } from "./module.js";
import { decodeMappings, MapWriter, type SourceMap } from "./source-map.js";

const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);

type Texts = Readonly<Record<string, string>>;
type Roots = Readonly<Record<string, readonly string[]>>;

function mapFor(path: string): SourceMap {
  return { version: 3, file: path, sources: [`${path}.ts`], sourcesContent: [""], names: [], mappings: "" };
}

function planOf(texts: Texts, roots: Roots): Plan {
  return planParts(new Map(Object.entries(texts).map(([path, text]) => [path, readModule(path, `${text}\n//# sourceMappingURL=x.map\n`)])), roots);
}

/** What dist/ would have of these modules. */
function joined(texts: Texts, roots: Roots): Record<string, string> {
  const plan = planOf(texts, roots);
  const files = Object.fromEntries(plan.parts.map((part) => [part.file, writePart(plan, part, mapFor).code]));
  for (const module of plan.modules.values()) files[module.path] = plan.partOf.has(module.path) ? nameList(plan, module) : rewire(plan, module, mapFor(module.path)).code;
  return files;
}

/** Writes modules into a folder and imports one. */
async function run(files: Texts, path: string): Promise<Record<string, unknown>> {
  const folder = tempPath("joined");
  for (const [file, text] of Object.entries({ ...files, "package.json": '{"type":"module"}' })) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  return await import(pathToFileURL(join(folder, path)).href) as Record<string, unknown>;
}

/** Modules that have names in common, and take one name from several built-in modules and from the globals. */
const SAMPLE: Texts = {
  "a/one.js": `import { constants } from "node:fs";\nimport * as path from "node:path";\nconst own = "one";\nexport const log = [];\nexport function one() { return [own, constants.O_RDWR, path.basename("x/y")]; }\nlog.push("one");`,
  "a/two.js": `import { constants, platform as name } from "node:os";\nimport { log, one } from "./one.js";\nconst own = "two"; // not one's\nexport class Two extends Array { static made = own; }\nexport async function two() { return [...one(), own, constants.signals.SIGHUP, name()]; }\nlog.push("two");`,
  "a/three.js": `import { setImmediate } from "node:timers/promises";\nimport * as path from "node:path";\nimport { log } from "./one.js";\nlet own = 3;\nexport const three = async () => [await setImmediate("turn"), own++, path.extname("a.b")];\nlog.push(\`three\nimport { nothing } from "./nowhere.js";\n/* \${"}"} */\`);`,
  "a/four.js": `import { Two, two } from "./two.js";\nimport { three } from "./three.js";\nimport { log } from "./one.js";\nexport { Two } from "./two.js";\nconst later = () => new Promise((resolve) => { setImmediate(() => resolve("later")); });\nexport const all = async () => [Two.made, await two(), await three(), await later(), (await import${"("}"../b/lazy.js")).lazy(), log.join()];`,
  "b/lazy.js": `import { own } from "./own.js";\nimport { log } from "../a/one.js";\nexport function lazy() { return [own, log.length, new URL("./x", import.meta.url).pathname.split("/").slice(-2)]; }`,
  "b/own.js": `export const own = "exported";`,
  "main.js": `#!/usr/bin/env node\nimport { all, Two } from "./a/four.js";\nexport const told = await all();\nexport const isSame = Two === (await import${"("}"./a/two.js")).Two;`,
};
const ROOTS: Roots = { "parts/first.js": ["a/four.js"], "parts/second.js": ["b/lazy.js"] };

test("joined modules do what they did apart, with one copy of each", async () => {
  const apart = await run(SAMPLE, "main.js");
  const files = joined(SAMPLE, ROOTS);
  const together = await run(files, "main.js");
  assert.deepEqual(together["told"], apart["told"]);
  assert.equal(together["isSame"], true);
  assert.match(files["main.js"] ?? "", /^#!\/usr\/bin\/env node\nimport \{ all, Two \} from "\.\/parts\/first\.js";\n/);
  assert.equal(files["a/four.js"], 'export { Two, all } from "../parts/first.js";\n');
  for (const path of ["a/one.js", "a/two.js", "a/three.js", "b/own.js"]) assert.deepEqual(Object.keys(await run(files, path)), Object.keys(await run(SAMPLE, path)), path);
});

test("comments go, and what looks like one in a string, a template or a regular expression stays", async () => {
  const text = `export const all = [\n    // "gone"\n    "// stays", '/* stays */', \`// stays \${/* gone */ "}\`" /* gone */}\n    two  spaces\`, /[/*]"\\//.source, 4 /2/ 1, /* gone\n    */ "end" // gone\n];`;
  const files = joined({ "a.js": text }, { "part.js": ["a.js"] });
  assert.deepEqual((await run(files, "part.js"))["all"], ["// stays", "/* stays */", '// stays }`\n    two  spaces', '[/*]"\\/', 2, "end"]);
  assert.doesNotMatch(files["part.js"] ?? "", /gone/);
});

test(`what is not code is told from code, character by character (SEED=${seed})`, () => {
  const pieces = fc.constantFrom('"a \\" b"', "'\\''", "`x ${ { y: `}` }.y } z`", "// c ` \" '\n", "/* ` { */", "name", " ", "\n", "{ }", "(1 / 2)", "= /[/`]'/g");
  fc.assert(fc.property(fc.array(pieces), (parts) => {
    const text = parts.join(" ; ");
    const { bare } = bareText(text);
    assert.equal(bare.length, text.length);
    assert.deepEqual([...bare.matchAll(/\n/g)].map(({ index }) => index), [...text.matchAll(/\n/g)].map(({ index }) => index));
    assert.equal((bare.match(/name/g) ?? []).length, parts.filter((part) => part === "name").length);
    assert.doesNotMatch(bare, /[abcxz]\b/);
  }), { seed });
});

const REFUSED: readonly (readonly [string, Texts, RegExp])[] = [
  ["modules that import each other", { "a.js": 'import { b } from "./b.js";\nexport const a = 1;', "b.js": 'import { a } from "./a.js";\nexport const b = 1;' }, /modules import each other: a\.js, b\.js, a\.js/],
  ["a module that is not there", { "a.js": 'import { b } from "./b.js";' }, /there is no module b\.js, which a\.js imports/],
  ["one exported name in two modules", { "a.js": 'import { b } from "./b.js";\nexport const x = b;', "b.js": "export const b = 1;\nexport const x = 2;" }, /a\.js and b\.js both export x/],
  ["an exported name that is a global's", { "a.js": "export const setImmediate = 1;" }, /a\.js exports setImmediate, which is a global/],
  ["a renamed import", { "a.js": 'import { b as c } from "./b.js";', "b.js": "export const b = 1;" }, /a\.js renames what it imports from b\.js/],
  ["an import of a name that is not exported", { "a.js": 'import { c } from "./b.js";', "b.js": "export const b = 1;" }, /b\.js does not export c/],
  ["a default export", { "a.js": "export default 1;" }, /a\.js has a statement at its top level that cannot be joined: export .efault 1/],
  ["a re-export of a whole module", { "a.js": 'export * from "./b.js";', "b.js": "" }, /a\.js has a statement at its top level/],
  ["a re-export of a whole module under a name", { "a.js": 'export * as b from "./b.js";', "b.js": "" }, /a\.js re-exports a whole module/],
  ["an import for its effect", { "a.js": 'import "./b.js";', "b.js": "" }, /a\.js has a statement at its top level/],
  ["destructuring at the top level", { "a.js": "const { a } = process;" }, /a\.js has a statement at its top level/],
  ["several declarations in one", { "a.js": "export const a = f(1, `${[2, 3]},`),\n    b = 2;" }, /a\.js has a statement at its top level/],
  ["a dynamic import of what only running it tells", { "a.js": "export const a = (path) => import(path);" }, /a\.js imports what only running it tells/],
  ["more of import.meta than the URL", { "a.js": "export const a = import.meta.dirname;" }, /a\.js asks for more of import\.meta/],
];

for (const [name, texts, message] of REFUSED) {
  test(`refused: ${name}`, () => {
    assert.throws(() => joined(texts, { "part.js": ["a.js"] }), message);
  });
}

test("a module that is not written to its end is refused", () => {
  const plan = planParts(new Map([["a.js", readModule("a.js", "export const a = 1;\n")]]), { "part.js": ["a.js"] });
  assert.throws(() => plan.parts.map((part) => writePart(plan, part, mapFor)), /a\.js is not whole/);
});

test(`a source map that was read and written is the same (SEED=${seed})`, () => {
  const number = fc.nat(100_000);
  const segment = fc.oneof(fc.tuple(number), fc.tuple(number, fc.nat(0), number, number), fc.tuple(number, fc.nat(0), number, number, fc.nat(1)));
  fc.assert(fc.property(fc.array(fc.array(segment, { maxLength: 5 }), { minLength: 1 }), (lines) => {
    const writer = new MapWriter();
    writer.skip(1);
    const add = writer.from({ ...mapFor("a"), names: ["x", "y"] }, (source) => `../${source}`);
    for (const line of lines) add(line);
    const map = JSON.parse(writer.toString("out.js")) as SourceMap;
    assert.deepEqual(decodeMappings(map.mappings), [[], ...lines]);
    assert.deepEqual([map.file, map.sources], ["out.js", ["../a.ts"]]);
  }), { seed });
});
