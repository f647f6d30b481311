/** `hexbolt version`: which hexbolt this is, from the package it came in, and what runs it. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { EXIT_OK, type Command } from "./command.js";
import { writeJson } from "./io.js";

/** The package's folder, three above the compiled file. */
const PACKAGE_FOLDER = new URL("../../../", import.meta.url);

/** The version in the package's manifest. */
function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("package.json", PACKAGE_FOLDER), "utf8"));
  const version = typeof manifest === "object" && manifest !== null && "version" in manifest ? manifest.version : undefined;
  return typeof version === "string" ? version : "unknown";
}

/** The command. */
export const versionCommand: Command = {
  name: "version", summary: "print the version", usage: "",
  example: "hexbolt version",
  options: [],
  minimum: 0, maximum: 0,
  run: (args, io) => {
    const facts = { version: packageVersion(), runtime: runtimeName(), platform: `${process.platform}/${process.arch}`, package: fileURLToPath(PACKAGE_FOLDER) };
    if (args.json) writeJson(io.stdout, facts);
    else io.stdout.write(`hexbolt Version: ${facts.version}\nRuntime: ${facts.runtime}\nOS/Arch: ${facts.platform}\nPackage: ${facts.package}\n`);
    return EXIT_OK;
  },
};

function runtimeName(): string {
  const { bun, deno, node } = process.versions;
  if (bun !== undefined) return `Bun ${bun}`;
  return deno === undefined ? `Node ${node}` : `Deno ${deno}`;
}
