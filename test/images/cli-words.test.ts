/** The words of `hexbolt images`: what is a wrong command line, what its options and JSON mean, and what a terminal is shown. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../../engine/index.js";
import { tempPath } from "../support/temp.js";
import { digest, put, run, runOnTerminal } from "./run-command.js";

test("names alone are a JSON array with --json", async () => {
  const path = tempPath("names.db");
  await put(path, "b");
  await put(path, "a");
  assert.deepEqual(await run("ls", path, "-q", "--json"), { status: 0, out: '["a","b"]\n', err: "" });
});

test("put prints with --json what it has put", async () => {
  const path = tempPath("put-json.db");
  const { err, out, status } = await put(path, "a:1", "-n", "team", "--label", "k=v", "--label", "none=", "--json");
  assert.deepEqual([status, err], [0, ""]);
  assert.deepEqual(JSON.parse(out), {
    name: "a:1", target: { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: digest("a"), size: 506 }, labels: { k: "v" },
  });
  const big = await run("put", path, "b", "--digest", digest("b"), "--size", "9223372036854775807", "-n", "team", "--json");
  assert.equal((JSON.parse(big.out) as { target: { size: unknown } }).target.size, "9223372036854775807");
  assert.equal((await put(path, "c", "-n", "team")).out, "");
});

test("names are escaped on a terminal, and are themselves in a pipe", async () => {
  const path = tempPath("escapes.db");
  const name = "a\x1b[2Jb\x9bc";
  await put(path, name);
  assert.equal((await runOnTerminal("ls", "-q", path)).out, "a\\x1b[2Jb\\x9bc\n");
  assert.equal((await run("ls", "-q", path)).out, `${name}\n`);
  const strange = tempPath("strange.db");
  const db = open(strange, { noSync: true });
  db.update((tx) => tx.createBucket("v1").createBucket("n\x1b[2J"));
  db.close();
  assert.equal((await runOnTerminal("namespaces", strange)).out, "n\\x1b[2J\n");
  assert.equal((await run("namespaces", strange)).out, "n\x1b[2J\n");
  assert.equal((await runOnTerminal("rm", path, name)).out, "a\\x1b[2Jb\\x9bc\n");
});
