/** The package as a user gets it: what is in it, and that it loads by `import` and by `require`. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, realpathSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { before, describe, test } from "node:test";
import { filesBelow, installPackage, type Manifest } from "./package-install.js";
import { repositoryRoot } from "./support/fixtures.js";
import { sourceFiles } from "./support/source.js";

const MAX_BYTES_WITHOUT_MAPS = 300_000;

/** The code and documents that the package must have: one module and its source map a source file. */
function expectedFiles(): string[] {
  const sources = [...sourceFiles("engine", [".ts"]), ...sourceFiles("images", [".ts"])].map(({ path }) => `dist/${path.slice(0, -3)}`);
  return [...sources.flatMap((base) => [`${base}.js`, `${base}.js.map`]), "CHANGELOG.md", "LICENSE", "README.md", "package.json"].sort();
}

describe("the package", () => {
  let project = "";
  let installed = "";

  before(() => {
    project = installPackage();
    installed = join(project, "node_modules", "hexbolt");
  });

  test("has exactly the files it should have", () => {
    assert.deepEqual(filesBelow(installed).filter((file) => !/\.d\.c?ts$/.test(file)), expectedFiles());
  });

  for (const [kind, condition] of [["ts", "import"], ["cts", "require"]] as const) {
    test(`has the declarations that its entry points lead to by ${condition}, all of them and no others`, () => {
      const files = new Set(filesBelow(installed).filter((file) => file.endsWith(`.d.${kind}`)));
      const named = new Set([...files].flatMap((file) =>
        [...readFileSync(join(installed, file), "utf8").matchAll(/(?:from|import\()\s*"(\.[^"]+)\.(c?js)"/g)].map(([, target, ending]) => {
          assert.equal(ending, kind === "ts" ? "js" : "cjs", `${file} imports ${target}`);
          return join(file, "..", `${target}.d.${kind}`).replaceAll("\\", "/");
        })));
      const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as Manifest;
      for (const target of Object.values(manifest.exports)) if (typeof target !== "string") named.add(target[condition].types.slice(2));
      assert.deepEqual([...named].sort(), [...files].sort());
    });
  }

  test("the code of the store, without images, command, typed buckets and simulated disk, is smaller than 300 kB", (context) => {
    const sizeOf = (keep: (file: string) => boolean): number =>
      filesBelow(installed).filter((file) => !file.endsWith(".map") && keep(file)).reduce((sum, file) => sum + statSync(join(installed, file)).size, 0);
    const store = sizeOf((file) => file.endsWith(".js") && !/^dist\/(?:images|engine\/(?:cli|typed|testing|storage\/(?:simulated-disk|crash-plan|disk-image|faults|random)))\b/.test(file));
    context.diagnostic(`code of the store ${store} bytes, whole package ${sizeOf(() => true)} bytes`);
    assert.ok(store < MAX_BYTES_WITHOUT_MAPS, `${store} bytes`);
  });

  test("every module has a source map that carries its source, comments and all", () => {
    const modules = filesBelow(installed).filter((file) => file.endsWith(".js"));
    assert.ok(modules.length > 50);
    for (const module of modules) {
      assert.match(readFileSync(join(installed, module), "utf8"), new RegExp(`\n//# sourceMappingURL=${basename(module)}\\.map\\s*$`), module);
      const map = JSON.parse(readFileSync(join(installed, `${module}.map`), "utf8")) as { readonly sources: readonly string[]; readonly sourcesContent?: readonly string[] };
      assert.deepEqual(map.sourcesContent, [readFileSync(join(repositoryRoot, module.replace(/^dist\/(.*)\.js$/, "$1.ts")), "utf8")], module);
    }
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
