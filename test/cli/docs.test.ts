/** The examples of docs/cli.md, run in a fresh folder from the first to the last. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { allCommands } from "../../engine/cli/commands.js";
import { repositoryRoot } from "../support/fixtures.js";
import { tempPath } from "../support/temp.js";

const text = readFileSync(join(repositoryRoot, "docs/cli.md"), "utf8");

/** Codes of the library, which its own documentation lists. */
const boltErrors = new Set([...readFileSync(join(repositoryRoot, "docs/api.md"), "utf8").matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code = ""]) => code));

test("the examples run as they stand, and print what is said beside them", () => {
  const folder = tempPath("cli-docs");
  mkdirSync(join(folder, "bin"), { recursive: true });
  const program = join(folder, "bin", "hexbolt");
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${fileURLToPath(new URL("../../engine/cli/main.js", import.meta.url))}' "$@"\n`);
  chmodSync(program, 0o755);
  const lines = [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, code = ""]) => code.trimEnd().split("\n"));
  assert.ok(lines.length > 20);
  for (const line of lines) {
    const [, command = "", expected] = /^(.*?)(?:\s+# (.*))?$/.exec(line)!;
    const run = spawnSync("sh", ["-c", command], { cwd: folder, encoding: "utf8", env: { ...process.env, PATH: `${join(folder, "bin")}:${process.env["PATH"] ?? ""}` } });
    assert.equal(run.status, 0, `${command}: ${run.stderr}`);
    if (expected !== undefined) assert.equal(run.stdout.trimEnd().split("\n").join(", "), expected, command);
  }
  for (const file of ["app.svg", "rebuilt.db", "saved.db", "copy.db", "small.db", "backup.db"]) assert.ok(existsSync(join(folder, file)), file);
});

test("every command is described", async () => {
  for (const { name } of await allCommands()) {
    const word = name.replace(/^surgery /, "");
    assert.ok(new RegExp(`\`(?:hexbolt )?(?:surgery )?${word}[\` ]`).test(text), name);
  }
});

test("every code of an error is in the table, and none that there is not", () => {
  const folder = join(repositoryRoot, "engine/cli");
  const sources = readdirSync(folder).filter((name) => !name.startsWith("view-")).map((name) => readFileSync(join(folder, name), "utf8")).join("");
  const thrown = [...sources.matchAll(/new Failure\(\s*"(\w+)"/g)].map(([, code = ""]) => code);
  const [, section = ""] = text.split("\n| code | |\n");
  const listed = [...section.slice(0, section.indexOf("\n\n")).matchAll(/^\| (`.*?) \|/gm)].flatMap(([, codes = ""]) => codes.replaceAll("`", "").split(", "));
  assert.deepEqual(listed.sort(), [...new Set([...thrown, "USAGE", "UNEXPECTED"])].filter((code) => !boltErrors.has(code)).sort());
});
