/** The examples of docs/cli.md, run in a fresh folder from the first to the last. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { allCommands } from "../../engine/cli/commands.js";
import { repositoryRoot } from "../support/fixtures.js";
import { tempPath } from "../support/temp.js";

const text = readFileSync(join(repositoryRoot, "docs/cli.md"), "utf8");

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
