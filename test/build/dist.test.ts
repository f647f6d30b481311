/** What the build has made: every module's file exports what the module does, all of it from one copy, and places in it lead back to the sources. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { BoltError } from "../../engine/index.js";
import { repositoryRoot } from "../support/fixtures.js";
import { bareText } from "./module.js";
import { decodeMappings, type SourceMap } from "./source-map.js";

const dist = join(repositoryRoot, "dist");
const NAME_LIST = /^(?:export \{.*\}(?: from ".*\/joined\/[\w-]+\.js")?;\n)+$/;

/** Modules of the engine and the image store whose file is a list of names. */
function joinedModules(): string[] {
  const modules = ["engine", "images"].flatMap((folder) => readdirSync(join(dist, "modules", folder), { recursive: true, encoding: "utf8" }).map((entry) => `${folder}/${entry.replaceAll("\\", "/")}`));
  return modules.filter((path) => path.endsWith(".js") && NAME_LIST.test(readFileSync(join(dist, path), "utf8")));
}

async function exportsOf(path: string): Promise<Record<string, unknown>> {
  return await import(pathToFileURL(join(dist, path)).href) as Record<string, unknown>;
}

/** What can be compared of two values that are each other's copies. */
function looks(value: unknown): string {
  return typeof value === "function" ? `${value.name}/${value.length}/${Object.getOwnPropertyNames(value.prototype ?? {}).join()}` : `${typeof value}/${JSON.stringify(value, (_, inner: unknown) => (typeof inner === "bigint" ? String(inner) : inner))}`;
}

test("each module's file exports what the module itself does", async () => {
  const paths = joinedModules();
  assert.ok(paths.length > 150, `${paths.length} modules`);
  for (const path of paths) {
    const [now, itself] = [await exportsOf(path), await exportsOf(`modules/${path}`)];
    assert.deepEqual(Object.keys(now), Object.keys(itself), path);
    for (const name of Object.keys(itself)) assert.equal(looks(now[name]), looks(itself[name]), `${path}: ${name}`);
  }
});

test("what two files export by one name is one thing", async () => {
  const found = new Map<string, unknown>();
  for (const path of joinedModules()) {
    for (const [name, value] of Object.entries(await exportsOf(path))) {
      const text = readFileSync(join(dist, path), "utf8");
      const part = new RegExp(`\\b${name}\\b[^\\n]* from "[^"]*?([\\w-]+)\\.js"`).exec(text)?.[1] ?? "";
      const key = `${part} ${name}`;
      if (found.has(key)) assert.equal(found.get(key), value, `${path}: ${name}`);
      found.set(key, value);
    }
  }
  assert.equal((await exportsOf("engine/base/errors.js"))["BoltError"], BoltError);
  assert.equal((await exportsOf("joined/engine.js"))["BoltError"], BoltError);
});

test("the source maps of the parts lead from each function and class to its own line", () => {
  let count = 0;
  for (const file of readdirSync(join(dist, "joined")).filter((name) => name.endsWith(".js"))) {
    const map = JSON.parse(readFileSync(join(dist, "joined", `${file}.map`), "utf8")) as SourceMap;
    const mappings = decodeMappings(map.mappings);
    for (const [i, line] of bareText(readFileSync(join(dist, "joined", file), "utf8")).bare.split("\n").entries()) {
      const found = /^(?:async )?(?:function\*? ?|class )(\w+)/.exec(line);
      if (found === null) continue;
      count++;
      const segment = mappings[i]?.findLast(([column = 0]) => column <= found[0].length);
      const [, source = -1, sourceLine = -1] = segment ?? [];
      const text = map.sourcesContent?.[source]?.split("\n")[sourceLine] ?? "";
      assert.match(text, new RegExp(`^ *(?:export )?(?:async )?(?:function\\*? ?|class )${found[1]}\\b`), `${file}:${i + 1}`);
    }
    for (const source of map.sources) assert.match(source, /^\.\.\/\.\.\/(?:engine|images)\/[\w/-]+\.ts$/);
    assert.equal(map.file, basename(file));
  }
  assert.ok(count > 700, `${count} functions and classes`);
});

test("an error's stack names the source and the line that threw it", () => {
  const code = `import { open } from ${JSON.stringify(pathToFileURL(join(dist, "engine/index.js")).href)}; try { open("there-is/no-such-folder"); } catch (error) { console.log(error.stack); }`;
  const { stdout } = spawnSync(process.execPath, ["--enable-source-maps", "--input-type=module", "-e", code], { encoding: "utf8", cwd: dirname(dist) });
  const [, line = ""] = /engine[/\\]base[/\\]errors\.ts:(\d+):\d+/.exec(stdout) ?? [];
  assert.match(readFileSync(join(repositoryRoot, "engine/base/errors.ts"), "utf8").split("\n")[Number(line) - 1] ?? stdout, /boltError\("IO"|new BoltError/);
});
