/** The reference is up to date, and lists every name that can be imported. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as conformance from "../../images/conformance.js";
import * as engine from "../../engine/index.js";
import * as testing from "../../engine/testing.js";
import * as images from "../../images/index.js";
import { readDocument } from "./blocks.js";
import { REFERENCE_COMMAND, referencePage } from "./reference.js";

test("docs/reference.md is what the docstrings say", () => {
  assert.equal(readDocument("docs/reference.md"), referencePage(), `make it anew: ${REFERENCE_COMMAND}`);
});

test("a member of an argument keeps its name: it does not fall out of the code into the text", () => {
  const page = readDocument("docs/reference.md");
  assert.match(page, /\*\*`options\.graceMs`\*\*: after this long/);
  assert.doesNotMatch(page, /\*\*:\.\w/);
});

test("every value that an entry point exports is in it", () => {
  const headings = new Set([...readDocument("docs/reference.md").matchAll(/^### (\w+)$/gm)].map(([, name]) => name));
  const names = [engine, images, conformance, testing].flatMap((entryPoint) => Object.keys(entryPoint));
  assert.ok(names.length > 30);
  assert.deepEqual(names.filter((name) => !headings.has(name)), []);
});

test("every member of the database is in it, each but the plain fields with a description", () => {
  const section = /^### DB$([\s\S]*?)^### /m.exec(readDocument("docs/reference.md"))![1]!;
  const described = new Set([...section.matchAll(/^- `(?:readonly )?(\w+)[^`]*` — /gm)].map(([, name]) => name));
  for (const name of ["recovery", "view", "update", "batch", "updateAsync", "stats", "sync", "compact", "backup", "shrink", "close", "closeAsync"]) assert.ok(described.has(name), name);
});
