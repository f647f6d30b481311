/** The words of `hexbolt images`: what is a wrong command line, what its options and JSON mean, and what a terminal is shown. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { open } from "../../engine/index.js";
import { initDB, TxImageStore } from "../../images/index.js";
import { tempPath } from "../support/temp.js";
import { digest, put, run, runOnTerminal, runWith } from "./run-command.js";

/** A file with an image `early` in the early layout and one in each of two namespaces. */
function mixedFile(): string {
  const path = tempPath("mixed.db");
  const db = open(path, { noSync: true });
  initDB(db);
  db.update((tx) => {
    new TxImageStore(tx).put("early", { mediaType: "m", digest: digest("a"), size: 9 });
    for (const namespace of ["default", "team"]) new TxImageStore(tx, { namespace }).put(`of-${namespace}`, { mediaType: "m", digest: digest("b"), size: 5 });
  });
  db.close();
  return path;
}

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

test("the namespace of the environment counts as one that was asked for, also where the early layout is", async () => {
  const path = mixedFile();
  const env = { CONTAINERD_NAMESPACE: "team" };
  assert.deepEqual(await runWith(env, "ls", "-q", path), { status: 0, out: "of-team\n", err: "" });
  assert.deepEqual(await runWith(env, "ls", "-q", path, "-n", "default"), { status: 0, out: "of-default\n", err: "" });
  assert.equal((await runWith(env, "rm", path, "of-team")).status, 0);
  assert.equal((await runWith(env, "put", path, "more", "--digest", digest("a"), "--size", "1", "--label", "k=v")).status, 0);
  assert.equal((await runWith(env, "ls", "-q", path)).out, "more\n");
});

test("where no namespace was asked for, it is told that a file in the early layout has namespaces too", async () => {
  const path = mixedFile();
  const told = `hexbolt images: ${path} holds images without a namespace, and the namespaces "default", "team" beside them: -n names one\n`;
  assert.equal((await run("ls", path)).err, told);
  assert.deepEqual(await run("ls", "-q", path), { status: 0, out: "early\n", err: "" });
  assert.deepEqual(await run("ls", "-q", "--json", path), { status: 0, out: `["early"]\n`, err: "" });
  assert.equal((await put(path, "other")).err, told);
  assert.equal((await run("serve", path, `unix:${tempPath("s")}`)).err, told);
  assert.equal((await run("serve", path, `unix:${tempPath("s")}`, "-n", "team")).err, "");
});

test("what cannot be meant is a wrong command line, and makes nothing", async () => {
  const path = tempPath("unmeant.db");
  const target = ["--digest", digest("a"), "--size", "1"];
  for (const [message, ...args] of [
    [/address "badaddr" is neither a unix socket nor host:port/, "serve", path, "badaddr"],
    [/address "127\.0\.0\.1:99999": a port is a number from 1 to 65535/, "ls", "127.0.0.1:99999"],
    [/address "127\.0\.0\.1:0": a port is a number from 1 to 65535/, "serve", path, "127.0.0.1:0"],
    [/address "tcp:\/\/" is neither/, "ls", "tcp://"],
    [/namespace "bad ns" must match/, "ls", path, "-n", "bad ns"],
    [/namespace must not be empty/, "put", path, "a", ...target, "-n", ""],
    [/--size 99999999999999999999 is no 64-bit number/, "put", path, "a", "--digest", digest("a"), "--size", "99999999999999999999"],
    [/etcd\+http:\/\/ names no host: it is etcd\+http:\/\/HOST:PORT/, "ls", "etcd+http://"],
    [/a target is a file, unix:, tcp:\/\/, http:\/\/, etcd\+http:\/\/ or etcd\+https:\/\/, and not ftp:\/\//, "ls", "ftp://x"],
    [/endpoint/, "ls", "etcd+http://h:99999"],
  ] as const) {
    const { err, out, status } = await run(...args);
    assert.deepEqual([status, out], [2, ""], args.join(" "));
    assert.match(err, /^hexbolt images: .+\nTry: hexbolt images --help\n$/);
    assert.match(err, message);
  }
  assert.equal(existsSync(path), false);
  const { out } = await run("--help");
  for (const scheme of ["tcp://", "http://", "etcd+http://", "etcd+https://", "unix:"]) assert.ok(out.includes(scheme), scheme);
});

test("a socket in a folder that is not there is told as that", async () => {
  const folder = tempPath("nodir");
  const { err, status } = await run("serve", tempPath("x.db"), `unix://${folder}/x.sock`);
  assert.deepEqual([status, err], [1, `hexbolt images: cannot listen on ${folder}/x.sock: there is no folder "${folder}"\n`]);
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

test("an option that a command does not have is a wrong command line and not passed over: rm --digest would delete whatever is there", async () => {
  const path = tempPath("options.db");
  await put(path, "a", "-n", "team");
  for (const [option, ...words] of [
    ["--digest", "rm", path, "a", "-n", "team", "--digest", digest("b")], ["--label", "ls", path, "-n", "team", "--label", "k=v"],
    ["--size", "get", path, "a", "-n", "team", "--size", "1"], ["--media-type", "delete", path, "a", "-n", "team", "--media-type", "m"],
    ["--namespace", "namespaces", path, "-n", "team"], ["--timeout", "serve", path, `unix:${tempPath("s")}`, "--timeout", "5"],
  ] as const) {
    const { err, status } = await run(...words);
    assert.deepEqual([status, err.split("\n")[0]], [2, `hexbolt images: ${words[0]} has no option ${option}`]);
  }
  assert.equal((await run("ls", path, "-n", "team", "-q")).out, "a\n");
});
