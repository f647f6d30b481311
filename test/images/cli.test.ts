/** `hexbolt images`: on files, sockets and addresses; output, help, exit status. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs, { existsSync, readdirSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { createServer } from "node:net";
import type { Socket } from "node:net";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { open } from "../../engine/index.js";
import { connectImages, initDB, LocalImageStore, serveImages, TxImageStore } from "../../images/index.js";
import { fixtureCopy, fixtureOriginal } from "../support/fixtures.js";
import { tempPath } from "../support/temp.js";
import { digest, put, run, runWith } from "./run-command.js";

test("a new file is made, filled, listed and emptied", async () => {
  const path = tempPath("cli.db");
  assert.deepEqual(await put(path, "example.com/b:1"), { status: 0, out: "", err: "" });
  assert.equal((await put(path, "example.com/a:1", "--media-type", "text/plain")).status, 0);
  assert.equal((await run("ls", path)).out, [
    "REF             TYPE                                       DIGEST                                                                  SIZE LABELS",
    `example.com/a:1 text/plain                                 ${digest("a")} 506  -`,
    `example.com/b:1 application/vnd.oci.image.manifest.v1+json ${digest("a")} 506  -`, "",
  ].join("\n"));
  assert.equal((await run("ls", "-q", path, "name~=b:1")).out, "example.com/b:1\n");
  assert.match((await run("get", path, "example.com/b:1")).out, /^Name: +example\.com\/b:1\nMedia type: +application/);
  const removed = await run("rm", path, "example.com/a:1", "missing", "example.com/b:1");
  assert.deepEqual([removed.status, removed.out], [1, "example.com/a:1\nexample.com/b:1\n"]);
  assert.match(removed.err, /"missing": not found/);
  assert.equal((await run("ls", "-q", path)).out, "");
});

test("JSON is exact: a size that a number cannot hold is a text", async () => {
  const path = tempPath("json.db");
  await run("put", path, "small", "--digest", digest("b"), "--size=-1");
  await run("put", path, "big", "--digest", digest("b"), "--size", "9223372036854775807");
  const { out } = await run("ls", "--json", path);
  assert.deepEqual((JSON.parse(out) as { name: string; target: { size: unknown } }[]).map((image) => [image.name, image.target.size]), [
    ["big", "9223372036854775807"], ["small", -1],
  ]);
  assert.equal((JSON.parse((await run("get", "--json", path, "small")).out) as { name: string }).name, "small");
});

test("a containerd's file shows its namespace: default, from the environment, or as asked", async () => {
  const path = fixtureOriginal("containerd-meta");
  assert.equal((await run("namespaces", path)).out, "default\nk8s.io\nteam-shared\n");
  const names = async (env: Record<string, string>, ...args: string[]): Promise<string[]> =>
    (await runWith(env, "ls", "-q", path, ...args)).out.trimEnd().split("\n");
  const inDefault = await names({});
  assert.ok(inDefault.includes("registry.example.com/library/app-shared:latest"));
  assert.deepEqual(await names({}, "-n", "default"), inDefault);
  const inKubernetes = await names({ CONTAINERD_NAMESPACE: "k8s.io" });
  assert.notDeepEqual(inKubernetes, inDefault);
  assert.deepEqual(await names({ CONTAINERD_NAMESPACE: "default" }, "-n", "k8s.io"), inKubernetes);
  assert.deepEqual(await names({ CONTAINERD_NAMESPACE: "" }), inDefault);
  assert.match((await run("ls", path, "name==registry.example.com/library/app-shared:latest")).out, /io\.cri-containerd\.image=managed,note=with spaces and ☃\n$/);
});

test("a new file gets the namespace of the environment", async () => {
  const path = tempPath("env.db");
  const made = await runWith({ CONTAINERD_NAMESPACE: "team" }, "put", path, "a", "--digest", digest("a"), "--size", "1", "--label", "k=v");
  assert.deepEqual(made, { status: 0, out: "", err: "" });
  assert.equal((await run("namespaces", path)).out, "team\n");
  assert.match((await run("ls", path, "-n", "team")).out, /^REF.*\na .* k=v\n$/);
  const early = tempPath("empty-env.db");
  await runWith({ CONTAINERD_NAMESPACE: "" }, "put", early, "a", "--digest", digest("a"), "--size", "1");
  assert.equal((await run("namespaces", early)).out, "");
});

test("more images are listed than a call takes arguments", async () => {
  const path = tempPath("many.db");
  const db = open(path, { noSync: true });
  initDB(db);
  db.update((tx) => {
    const store = new TxImageStore(tx);
    for (let i = 0; i < 150_000; i++) store.put(`i${i}`, { mediaType: "m", digest: "d", size: 1 });
  });
  db.close();
  const { status, out } = await run("ls", path);
  assert.deepEqual([status, out.split("\n").length], [0, 150_002]);
});

test("labels are put into a containerd's file, and the namespace is made", async () => {
  const path = fixtureCopy("containerd-meta");
  assert.equal((await put(path, "x:1", "-n", "new", "--label", "a=b=c", "--label", "d=e")).status, 0);
  assert.match((await run("ls", path, "-n", "new")).out, / a=b=c,d=e\n$/);
  assert.ok((await run("namespaces", "--json", path)).out.includes('"new"'));
  const db = open(path);
  db.view((tx) => assert.deepEqual([...tx.check()], []));
  db.close();
});

test("a file that another process holds is read live, and not written", async () => {
  const path = tempPath("held.db");
  const holder = open(path);
  holder.update((tx) => new TxImageStore(tx, { namespace: "default" }).put("a", { mediaType: "m", digest: digest("c"), size: 1 }));
  assert.equal((await run("ls", "-q", path)).out, "a\n");
  const refused = await put(path, "b");
  assert.equal(refused.status, 1);
  assert.match(refused.err, /held by another program/);
  holder.close();
});

test("a server is reached by its socket's path, by unix: and by host and port", async () => {
  const db = open(tempPath("served.db"));
  initDB(db);
  const store = new LocalImageStore(db);
  const path = tempPath("cli.sock");
  const unix = await serveImages(store, { path });
  const tcp = await serveImages(store, {});
  assert.equal((await put(path, "a")).status, 0);
  for (const address of [path, `unix://${path}`, tcp.address]) assert.equal((await run("ls", "-q", address)).out, "a\n");
  assert.equal((await run("rm", tcp.address, "a")).status, 0);
  await Promise.all([unix.close(), tcp.close()]);
  const gone = await run("ls", `unix://${path}`, "--timeout", "500");
  assert.equal(gone.status, 1);
  assert.match(gone.err, /^hexbolt images: UNAVAILABLE: .*\n$/);
  db.close();
});

test("help is help, and wrong usage is 2 with a hint", async () => {
  for (const args of [["--help"], ["ls", "-h"], ["help"]]) {
    const { status, out } = await run(...args);
    assert.equal(status, 0);
    assert.match(out, /^Usage: hexbolt images COMMAND TARGET/);
  }
  for (const args of [
    [], ["nonsense"], ["ls"], ["get", "x.db"], ["rm", "x.db"], ["put", "x.db", "a"], ["put", "x.db", "a", "--digest", "d", "--size", "many"],
    ["ls", "x.db", "--nope"], ["put", "x.db", "a", "--digest", "d", "--size", "1", "--label", "x"], ["ls", "x.db", "--timeout", "soon"], ["ls", "x.db", "--timeout", "0"],
    ["ls", "x.db", "--timeout", "Infinity"], ["ls", "x.db", "--timeout", "-1"], ["ls", "x.db", "--timeout", ""], ["get", "x", "a", "b"],
  ]) {
    const { status, out, err } = await run(...args);
    assert.deepEqual([status, out], [2, ""], args.join(" "));
    assert.match(err, /^hexbolt images: .+\nTry: hexbolt images --help\n$/);
  }
  assert.equal(existsSync("x.db"), false);
});

test("faults are one line and 1", async () => {
  const missing = await run("ls", tempPath("missing.db"));
  assert.equal(missing.status, 1);
  assert.match(missing.err, /^hexbolt images: .*there is no such file\n$/);
  const empty = tempPath("empty.db");
  open(empty).close();
  assert.match((await run("ls", empty)).err, /never initialised/);
  assert.match((await run("get", fixtureOriginal("containerd-meta"), "nope")).err, /^hexbolt images: image "nope": not found\n$/);
});

test("a size that is negative needs no special writing", async () => {
  const path = tempPath("negative.db");
  assert.deepEqual(await run("put", path, "x", "--digest", digest("a"), "--size", "-1"), { status: 0, out: "", err: "" });
  assert.equal((JSON.parse((await run("get", "--json", path, "x")).out) as { target: { size: unknown } }).target.size, -1);
  const wrong = await run("put", path, "x", "--digest", "--size", "-1");
  assert.equal(wrong.status, 2);
});

test("rm of a file that is not there makes none", async () => {
  const path = tempPath("no-such.db");
  assert.deepEqual(await run("rm", path, "x"), { status: 1, out: "", err: `hexbolt images: ${path}: there is no such file\n` });
  assert.equal(existsSync(path), false);
});

test("a put that fails leaves no new file, and leaves a file that was there as it was", async () => {
  const path = tempPath("not-made.db");
  for (const more of [["--label", "x=y"], ["--digest", "bad", "-n", "default"], ["--size", "0", "-n", "default"]]) {
    assert.equal((await put(path, "a", ...more)).status, 1, more.join(" "));
    assert.equal(existsSync(path), false, more.join(" "));
  }
  assert.match((await put(path, "a", "--label", "x=y")).err, /keeps no labels: give the store a namespace/);
  const there = tempPath("empty.db");
  open(there).close();
  assert.equal((await put(there, "a", "--label", "x=y")).status, 1);
  assert.equal(existsSync(there), true);
});

test("serve leaves no new file where it cannot listen, and one that was there as it was", async () => {
  const path = tempPath("not-served.db");
  const { err, status } = await run("serve", path, "unix:/nonexistent/x");
  assert.equal(status, 1);
  assert.match(err, /cannot listen on \/nonexistent\/x: /);
  assert.equal(existsSync(path), false);
  await put(path, "a");
  assert.equal((await run("serve", path, "unix:/nonexistent/x")).status, 1);
  assert.equal((await run("ls", "-q", path)).out, "a\n");
});

const IS_NODE = !("Bun" in globalThis || "Deno" in globalThis);

test("serve that cannot remove its new file while it is open closes it, and says what went wrong", { skip: IS_NODE ? false : "replaces a function of node:fs" }, async () => {
  const path = tempPath("busy.db");
  const { rmSync } = fs;
  fs.rmSync = (name, options) => {
    if (name !== path) return rmSync(name, options);
    fs.rmSync = rmSync;
    syncBuiltinESMExports();
    throw new Error("EBUSY");
  };
  syncBuiltinESMExports();
  const { err, status } = await run("serve", path, "unix:/nonexistent/x");
  assert.equal(fs.rmSync, rmSync);
  assert.deepEqual([status, err.includes("cannot listen on /nonexistent/x")], [1, true], err);
  assert.equal(existsSync(path), false);
});

test("an address in a file's place, and a scheme that there is not, are wrong usage, and make nothing", async () => {
  for (const name of ["127.0.0.1:5000", "unix:x.sock", "tcp://127.0.0.1:5000", "etcd+http://127.0.0.1:2379"]) {
    for (const args of [["serve", name, "unix:/nonexistent/x"], ["namespaces", name]]) {
      const { err, status } = await run(...args);
      assert.equal(status, 2, args.join(" "));
      assert.match(err, /is an address, and a file is needed here \(a new file of that name is \.\/\S+\)\nTry: /);
    }
    assert.equal(existsSync(name), false);
  }
  for (const name of ["https://127.0.0.1:1", "etcd+ftp://a"]) {
    for (const args of [["ls", name], ["rm", name, "a"], ["put", name, "a", "--digest", digest("a"), "--size", "1"]]) {
      const { err, status } = await run(...args);
      assert.equal(status, 2, args.join(" "));
      assert.match(err, /a target is a file, unix:, .* etcd\+https:\/\/, and not /);
    }
  }
});

test("a word that looks like an option is no filter", async () => {
  const path = tempPath("dash.db");
  await put(path, "a");
  const { err, out, status } = await run("ls", path, "--", "-q");
  assert.deepEqual([status, out], [1, ""]);
  assert.match(err, /filter: \[ >\|-\|< q\]/);
});

test("with --json what was deleted is JSON, and an error is, of each image that rm cannot delete too", async () => {
  const path = tempPath("json-errors.db");
  await put(path, "a");
  const { status, out, err } = await run("rm", path, "missing", "a", "--json");
  assert.deepEqual([status, out, JSON.parse(err)], [1, '["a"]\n', { error: { code: "NOT_FOUND", message: 'image "missing": not found' } }]);
});

test("an address where nobody listens is told as that", async () => {
  for (const address of ["unix:/nonexistent/x.sock", "127.0.0.1:1"]) {
    const { status, err } = await run("ls", address);
    assert.equal(status, 1);
    assert.match(err, /^hexbolt images: UNAVAILABLE: cannot connect: connect (ENOENT \/nonexistent\/x\.sock|ECONNREFUSED 127\.0\.0\.1:1)\n$/);
  }
});

test("ls shows the whole images of a file that has damaged ones, names those, and fails", async () => {
  const path = tempPath("damaged.db");
  for (const name of ["a", "b", "c"]) await put(path, name);
  const db = open(path);
  db.update((tx) => tx.bucket("v1")?.bucket("images")?.bucket("b")?.put("size", Buffer.of(0x80)));
  db.close();
  const names = await run("ls", "-q", path);
  assert.deepEqual([names.status, names.out], [1, "a\nc\n"]);
  assert.match(names.err, /^hexbolt images: [^\n]*"b"[^\n]*size[^\n]*\n$/);
  const json = await run("ls", "--json", path);
  assert.equal(json.status, 1);
  assert.deepEqual((JSON.parse(json.out) as { name: string }[]).map(({ name }) => name), ["a", "c"]);
});

const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "engine", "cli", "main.js");

test("the program says that it serves while it does, though its output is no terminal", async () => {
  const socket = tempPath("says.sock");
  const child = spawn(process.execPath, [PROGRAM, "images", "serve", tempPath("says.db"), `unix:${socket}`], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<number | null>((resolve) => { child.once("exit", resolve); });
  const line = await new Promise<string>((resolve) => { child.stdout.once("data", (data: Buffer) => resolve(data.toString())); });
  assert.match(line, /^serving .* on unix:.*\n$/);
  child.kill("SIGINT");
  assert.equal(await ended, 0);
});

test("commands that put into one file at once wait for each other", async () => {
  const path = tempPath("at-once.db");
  await put(path, "first");
  const statuses = await Promise.all(["a", "b", "c", "d"].map(async (name) => {
    const child = spawn(process.execPath, [PROGRAM, "images", "put", path, name, "--digest", digest("a"), "--size", "1"], { stdio: ["ignore", "ignore", "inherit"] });
    return (await once(child, "exit") as [number | null])[0];
  }));
  assert.deepEqual(statuses, [0, 0, 0, 0]);
  assert.equal((await run("ls", "-q", path)).out, "a\nb\nc\nd\nfirst\n");
});

test("a signal ends a command that waits for its server", async () => {
  const socket = tempPath("mute.sock");
  const mute = createServer((connection) => connection.resume()).listen(socket);
  await once(mute, "listening");
  const child = spawn(process.execPath, [PROGRAM, "images", "ls", `unix:${socket}`], { stdio: "ignore" });
  const [connection] = await once(mute, "connection") as [Socket];
  const ended = once(child, "exit");
  child.kill("SIGINT");
  assert.deepEqual(await ended, [null, "SIGINT"]);
  connection.destroy();
  mute.close();
});

test("a socket's path that the system would cut is refused, and nothing is made", async () => {
  const path = tempPath("x".repeat(150));
  const { status, err } = await run("serve", tempPath("long.db"), path);
  assert.equal(status, 2);
  assert.match(err, /^hexbolt images: the socket's path .* the system takes \d+: give a shorter one\nTry: /);
  assert.match((await run("ls", `unix:${path}`)).err, /give a shorter one/);
  assert.deepEqual(readdirSync(dirname(path)).filter((name) => name.includes("xxx")), []);
});

test("what would move the cursor is escaped in a message", async () => {
  const path = tempPath("escape.db");
  await put(path, "a");
  assert.equal((await run("rm", path, "zz\x9b2J\x7f")).err, 'hexbolt images: image "zz\\u009b2J\\u007f": not found\n');
});

test("serve serves a file as its own process until it is told to stop", async () => {
  const path = tempPath("serve.db");
  const socket = tempPath("serve.sock");
  const child = spawn(process.execPath, [PROGRAM, "images", "serve", path, `unix:${socket}`], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<number | null>((resolve) => { child.once("exit", resolve); });
  await new Promise<void>((resolve) => { child.stdout.once("data", () => resolve()); });
  const store = connectImages(socket, { namespace: "team" });
  await store.put("a", { mediaType: "m", digest: digest("d"), size: 1 }, { labels: { k: "v" } });
  child.kill("SIGTERM");
  assert.equal(await ended, 0);
  store.close();
  assert.equal(existsSync(socket), false);
  assert.match((await run("ls", path, "-n", "team")).out, /^REF.*\na +m .* k=v\n$/);
});
