/** The list of mutants is what docs/mutants.md says it is, as many as docs/reliability.md says, and a mutant that no longer fits the source is refused. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { repositoryRoot } from "../support/fixtures.js";
import { allMutants, tableRows } from "./list.js";
import { applyMutant, type Mutant } from "./mutant.js";

test("there are enough mutants, each with a name, a file and tests of its own", () => {
  assert.ok(allMutants.length >= 40, `${allMutants.length} mutants`);
  assert.equal(new Set(allMutants.map(({ name }) => name)).size, allMutants.length, "no name twice");
  for (const { file, harm, name, tests } of allMutants) {
    assert.ok(file.startsWith("engine/") && existsSync(join(repositoryRoot, file)), `${name}: ${file}`);
    assert.ok(harm.length > 10 && tests.length > 0, name);
    for (const path of tests) assert.ok(existsSync(join(repositoryRoot, "test", `${path}.test.ts`)), `${name}: there is no test/${path}.test.ts`);
  }
});

test("every mutant fits the source as it is", () => {
  for (const mutant of allMutants) applyMutant(mutant, readFileSync(join(repositoryRoot, mutant.file), "utf8"));
});

test("docs/mutants.md lists exactly these mutants, and docs/reliability.md says how many", () => {
  const text = readFileSync(join(repositoryRoot, "docs", "mutants.md"), "utf8");
  const [, table = ""] = /\n\| mutant \| file \| what it does to a user \| asked first \|\n\|[ -|]+\|\n((?:\|.*\|\n)+)/.exec(text) ?? [];
  assert.deepEqual(table.trimEnd().split("\n"), tableRows(allMutants), "node dist/test/mutants/main.js --table prints it");
  assert.match(readFileSync(join(repositoryRoot, "docs", "reliability.md"), "utf8"), new RegExp(`puts ${allMutants.length} mistakes into the engine`));
});

test("a mutant whose text is not in the file exactly once is stale, and so is one that changes nothing", () => {
  const mutant: Mutant = { name: "example", file: "engine/example.ts", find: "sync();", replace: "", harm: "data is lost", tests: [] };
  assert.equal(applyMutant(mutant, "write(); sync(); close();"), "write();  close();");
  assert.throws(() => applyMutant(mutant, "write(); close();"), /mutant is stale: "example".*engine\/example\.ts is not there/s);
  assert.throws(() => applyMutant(mutant, "sync(); write(); sync();"), /mutant is stale.*is there more than once/s);
  assert.throws(() => applyMutant({ ...mutant, replace: "sync();" }, "sync();"), /mutant is stale.*is not changed/s);
});

test("a replacement is put in as it stands, dollar signs and all", () => {
  const mutant: Mutant = { name: "example", file: "engine/example.ts", find: "a", replace: "$& $1 ${b}", harm: "none at all", tests: [] };
  assert.equal(applyMutant(mutant, "x a y"), "x $& $1 ${b} y");
});
