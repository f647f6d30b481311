/** The package as a user gets it: what is in it, and that it loads by `import` and by `require`. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync, realpathSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { before, describe, test } from "node:test";
import { filesBelow, installPackage, type Manifest } from "./package-install.js";
import { repositoryRoot } from "./support/fixtures.js";

const MAX_BYTES_WITHOUT_MAPS = 300_000;

/** Modules without code of their own: the names of entry points. */
const NAME_LISTS = ["dist/engine/index.js", "dist/engine/testing.js", "dist/images/index.js", "dist/images/conformance.js"];
/** Modules with code, and a source map each. */
const CODE = [
  "dist/engine/cli/main.js", "dist/engine/cli/thread.js",
  ...["engine", "testing", "images", "conformance", "command", "images-command", "command-pages", "command-files", "command-surgery", "viewer"].map((part) => `dist/joined/${part}.js`),
];
/** The README leads to all of them. */
const DOCUMENTS = ["CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md", "package.json", ...filesBelow(join(repositoryRoot, "docs")).map((file) => `docs/${file}`)];

describe("the package", () => {
  let project = "";
  let installed = "";

  before(() => {
    project = installPackage();
    installed = join(project, "node_modules", "hexbolt");
  });

  test("has exactly the files it should have", () => {
    assert.deepEqual(filesBelow(installed).filter((file) => !/\.d\.c?ts$/.test(file)), [...NAME_LISTS, ...CODE, ...CODE.map((file) => `${file}.map`), ...DOCUMENTS].sort());
  });

  for (const [kind, condition] of [["ts", "import"], ["cts", "require"]] as const) {
    test(`has the declarations that its entry points lead to by ${condition}, all of them and no others`, () => {
      const files = new Set(filesBelow(installed).filter((file) => file.endsWith(`.d.${kind}`)));
      const named = new Set([...files].flatMap((file) =>
        [...readFileSync(join(installed, file), "utf8").matchAll(/(?:from|import\(|declare module)\s*"(\.[^"]+)\.(c?js)"/g)].map(([, target, ending]) => {
          assert.equal(ending, kind === "ts" ? "js" : "cjs", `${file} imports ${target}`);
          return join(file, "..", `${target}.d.${kind}`).replaceAll("\\", "/");
        })));
      const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as Manifest;
      for (const target of Object.values(manifest.exports)) if (typeof target !== "string") named.add(target[condition].types.slice(2));
      assert.deepEqual([...named].sort(), [...files].sort());
    });
  }

  test("the code of the store, typed buckets included, is smaller than 300 kB", (context) => {
    const sizeOf = (file: string): number => statSync(join(installed, file)).size;
    const store = sizeOf("dist/joined/engine.js");
    context.diagnostic(`code of the store ${store} bytes, whole package without source maps ${filesBelow(installed).filter((file) => !file.endsWith(".map")).reduce((sum, file) => sum + sizeOf(file), 0)} bytes`);
    assert.ok(store < MAX_BYTES_WITHOUT_MAPS, `${store} bytes`);
  });

  test("nothing that a bundler takes along asks where its file is, or is in the way of what turns it into CommonJS", () => {
    for (const part of ["engine", "testing", "images"]) {
      const code = readFileSync(join(installed, `dist/joined/${part}.js`), "utf8");
      assert.doesNotMatch(code, /import\.meta|createRequire/, part);
      assert.doesNotMatch(code, /^(?:async )?(?:function|class|const|let|var) (?:require|module|exports)\b/m, part);
      assert.doesNotMatch(code, /\dn \*\* /, `${part}: a power of bigints becomes Math.pow`);
    }
  });

  test("typed takes the bucket of another copy of the package, as a bundler may make it", () => {
    cpSync(join(installed, "dist"), join(project, "second", "dist"), { recursive: true });
    writeFileSync(join(project, "second", "package.json"), '{ "type": "module" }');
    const program = join(project, "copies.mjs");
    writeFileSync(program, `import { openMemory } from "hexbolt";
const { typed, uint64, utf8 } = await import(process.argv[2]);
openMemory().update((tx) => { const counters = typed(tx.createBucket("b"), { key: utf8, value: uint64 }); counters.put("a", 1n); console.log(String(counters.get("a"))); });`);
    assert.equal(execFileSync(process.execPath, [program, "./second/dist/engine/index.js"], { encoding: "utf8" }), "1\n");
  });

  test("importing an entry point reads its names and one file of code for each part of the package that it needs", () => {
    for (const [entry, files] of [["engine/index", ["engine"]], ["engine/testing", ["engine", "testing"]], ["images/index", ["engine", "images"]]] as const) {
      const seen = new Set<string>();
      const visit = (path: string): void => {
        if (seen.has(path)) return;
        seen.add(path);
        for (const [, target = ""] of readFileSync(join(installed, path), "utf8").matchAll(/^(?:import|export) .* from "(\.[^"]+)";$/gm)) visit(join(path, "..", target).replaceAll("\\", "/"));
      };
      visit(`dist/${entry}.js`);
      assert.deepEqual([...seen].sort(), [`dist/${entry}.js`, ...files.map((file) => `dist/joined/${file}.js`)].sort());
    }
  });

  test("all code has source maps that carry the sources, comments and all", () => {
    let sourceCount = 0;
    for (const module of CODE) {
      assert.match(readFileSync(join(installed, module), "utf8"), new RegExp(`\n//# sourceMappingURL=${basename(module)}\\.map\\s*$`), module);
      const map = JSON.parse(readFileSync(join(installed, `${module}.map`), "utf8")) as { readonly sources: readonly string[]; readonly sourcesContent?: readonly string[] };
      assert.equal(map.sourcesContent?.length, map.sources.length);
      for (const [i, source] of map.sources.entries()) {
        sourceCount++;
        assert.equal(map.sourcesContent?.[i], readFileSync(join(repositoryRoot, dirname(module), source), "utf8"), `${module}: ${source}`);
      }
    }
    assert.ok(sourceCount > 150, `${sourceCount} sources`);
  });

  test("installs nothing but itself and runs nothing while it does", () => {
    const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as Manifest;
    assert.equal(manifest.dependencies, undefined);
    assert.deepEqual(Object.keys(manifest.scripts).filter((name) => /install$/.test(name)), []);
    assert.deepEqual(readdirSync(join(project, "node_modules")).filter((name) => !name.startsWith(".")), ["hexbolt"]);
  });

  test("names only files that are there", () => {
    const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as Manifest;
    const files = new Set(filesBelow(installed));
    const named = [...Object.values(manifest.exports).flatMap((target) => (typeof target === "string" ? [target] : Object.values(target).flatMap((way) => [way.types, way.default]))), ...Object.values(manifest.bin ?? {})];
    assert.ok(named.length >= 7);
    assert.deepEqual(named.filter((target) => !files.has(target.replace(/^\.\//, ""))), []);
  });

  const program = `const db = open("x.db"); db.update((tx) => { tx.createBucket("b").put("k", "v"); });
console.log(db.view((tx) => tx.bucket("b").get("k").toString())); db.close();`;

  test("works by import", () => {
    writeFileSync(join(project, "use.mjs"), `import { open } from "hexbolt"; import { SimulatedDisk } from "hexbolt/testing"; import { initDB } from "hexbolt/images";
${program.replaceAll("x.db", "import.db")} console.log(typeof SimulatedDisk, typeof initDB);`);
    assert.equal(execFileSync(process.execPath, ["use.mjs"], { cwd: project, encoding: "utf8" }), "v\nfunction function\n");
  });

  test("its command tells the version and which of several installed packages it is", () => {
    const { version } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as { readonly version: string };
    const text = execFileSync(process.execPath, [join(project, "node_modules", ".bin", "hexbolt"), "version"], { encoding: "utf8" });
    assert.ok(text.startsWith(`hexbolt Version: ${version}\n`), text);
    assert.ok(text.includes(`\nPackage: ${realpathSync(installed)}/\n`), text);
  });

  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const noRequire = major < 20 || (major === 20 && minor < 19) || (major === 22 && minor < 12) ? `Node ${process.versions.node} cannot require ES modules` : false;
  test("works by require", { skip: noRequire }, () => {
    writeFileSync(join(project, "use.cjs"), `const { open } = require("hexbolt"); const { SimulatedDisk } = require("hexbolt/testing"); const { initDB } = require("hexbolt/images");
${program.replaceAll("x.db", "require.db")} console.log(typeof SimulatedDisk, typeof initDB);`);
    assert.equal(execFileSync(process.execPath, ["--no-warnings", "use.cjs"], { cwd: project, encoding: "utf8" }), "v\nfunction function\n");
  });
});
