/** Every code block of the README, the API page, the pages of the parts and the guide runs as it stands, and prints what the document says. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fixtureOriginal, repositoryRoot } from "../support/fixtures.js";
import { blocksOf, compile, missingPackage, projectFolder, readDocument, runFile } from "./blocks.js";

/** Pages whose blocks work on files of other programs. */
const FILES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "docs/live-read.md": { "meta.db": "containerd-meta" },
  "docs/guide/recovery.md": { "doubtful.db": "freelist-lists-used-page" },
  "docs/guide/etcd-and-containerd.md": { "etcd.db": "etcd", "meta.db": "containerd-meta" },
};
/** Pages that show how to set up the repository itself. */
const SETS_UP = new Set(["README.md"]);

const guide = readdirSync(join(repositoryRoot, "docs", "guide")).sort().map((name) => `docs/guide/${name}`);

const pages = ["README.md", "docs/api.md", "docs/images.md", "docs/live-read.md", "docs/simulated-disk.md", ...guide].map((path) => {
  const blocks = blocksOf(readDocument(path)).filter(({ language }) => language !== "sh" || !SETS_UP.has(path));
  return { path, folder: path.replaceAll(/\W/g, "-"), blocks };
});

describe("blocks", () => {
  const project = projectFolder();
  for (const { blocks, folder, path } of pages) {
    mkdirSync(join(project, folder));
    for (const [name, fixture] of Object.entries(FILES[path] ?? {})) copyFileSync(fixtureOriginal(fixture), join(project, folder, name));
    for (const { language, code, line } of blocks) writeFileSync(join(project, folder, `line-${line}.${language}`), code);
  }

  // All at once: most of the compiler's time goes into what they have in common.
  test("their TypeScript compiles", () => assert.equal(compile(project), ""));

  for (const { blocks, folder, path } of pages) {
    for (const { language, code, line, output } of blocks) {
      const missing = missingPackage(code);
      test(`${path}:${line} runs`, { skip: missing === undefined ? false : `${missing} is not installed; bench/ has it` }, () => {
        const printed = runFile(project, join(folder, `line-${line}.${language === "ts" ? "js" : language}`));
        if (output !== undefined) assert.equal(printed, output);
      });
    }
  }
});

test("no block writes through ?., which stores nothing where the bucket is missing", () => {
  const documents = ["README.md", ...["api", "cli", "images", "live-read", "simulated-disk"].map((name) => `docs/${name}.md`), ...guide];
  const writes = /\?\.(?:put|delete|createBucket|createBucketIfNotExists|deleteBucket|moveBucket|nextSequence|setSequence)\(/;
  for (const path of documents) for (const { code, line } of blocksOf(readDocument(path))) assert.doesNotMatch(code, writes, `${path}:${line}`);
});

test("blocks are found, with their output", () => {
  assert.equal(guide.length, 12);
  const blocks = guide.flatMap((path) => blocksOf(readDocument(path)));
  assert.ok(blocks.length > 35, `${blocks.length}`);
  assert.ok(blocks.filter(({ output }) => output !== undefined).length > 30);
  const text = "```ts\na();\n```\n\n```text\nout\n```\n\n```ts signatures\nx\n```\n\n```sh\nb\n```\n\nwords\n\n```text\nno output of it\n```\n";
  assert.deepEqual(blocksOf(text), [{ language: "ts", code: "a();\n", line: 1, output: "out\n" }, { language: "sh", code: "b\n", line: 13, output: undefined }]);
});
