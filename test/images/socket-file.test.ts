/** Who has a socket's path: one server at a time, and closing takes it from nobody else. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, linkSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { connectImages, ImagesError, serveImages } from "../../images/index.js";
import { tempFolder, tempPath } from "../support/temp.js";
import { MapImageStore } from "./map-store.js";
import type { ImagesServer } from "../../images/index.js";

/** A socket that nobody listens on any more, as a killed server leaves it. */
async function deadSocket(name: string): Promise<string> {
  const path = tempPath(name);
  const server = createServer().listen(path);
  await once(server, "listening");
  linkSync(path, `${path}.kept`);
  await new Promise((resolve) => { server.close(resolve); });
  renameSync(`${path}.kept`, path);
  return path;
}

async function closeAll(...servers: readonly ImagesServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.close({ graceMs: 0 })));
}

test("of many servers that want one path at once, one has it and the others are told so", async () => {
  for (const path of [tempPath("free.sock"), await deadSocket("dead.sock")]) {
    const ends = await Promise.allSettled(Array.from({ length: 8 }, () => serveImages(new MapImageStore(), { path })));
    const servers = ends.flatMap((end) => (end.status === "fulfilled" ? [end.value] : []));
    const codes = ends.flatMap((end) => (end.status === "rejected" ? [end.reason instanceof ImagesError ? end.reason.code : String(end.reason)] : []));
    assert.deepEqual([servers.length, codes], [1, Array.from({ length: 7 }, () => "UNAVAILABLE")]);
    const client = connectImages(path);
    assert.deepEqual(await client.list(), []);
    client.close();
    await closeAll(...servers);
    assert.ok(!existsSync(path));
  }
});

test("a server that closes leaves the socket of another that has its path now", async () => {
  const path = tempPath("moved.sock");
  const first = await serveImages(new MapImageStore(), { path });
  renameSync(path, `${path}.old`);
  const second = await serveImages(new MapImageStore(), { path });
  await closeAll(first);
  const client = connectImages(path);
  assert.deepEqual(await client.list(), []);
  client.close();
  await closeAll(second);
  assert.ok(!existsSync(path));
});

test("a server ends though its socket cannot be removed any more", async () => {
  const folder = tempPath("gone");
  mkdirSync(folder);
  const server = await serveImages(new MapImageStore(), { path: join(folder, "a.sock") });
  renameSync(folder, `${folder}.old`);
  writeFileSync(folder, "a file now");
  const client = connectImages(join(`${folder}.old`, "a.sock"));
  assert.deepEqual(await client.list(), []);
  await closeAll(server);
  await assert.rejects(client.list(), { code: "UNAVAILABLE" });
  client.close();
});

test("a path through a link and up again is the one that the system sees", async () => {
  const [real, links] = [tempPath("real"), tempPath("links")];
  mkdirSync(join(real, "deep"), { recursive: true });
  mkdirSync(links);
  symlinkSync(join(real, "deep"), join(links, "link"));
  const server = await serveImages(new MapImageStore(), { path: `${links}/link/../up.sock` });
  assert.deepEqual([readdirSync(real).sort(), readdirSync(links)], [["deep", "up.sock"], ["link"]]);
  await closeAll(server);
});

test("a relative path stays where it was when the program goes to another folder", async () => {
  const [here, there] = [tempPath("here"), tempPath("there")];
  mkdirSync(join(here, "deep"), { recursive: true });
  mkdirSync(there);
  symlinkSync(join(here, "deep"), join(there, "link"));
  const before = process.cwd();
  const sockets: [string, string][] = [["a.sock", join(there, "a.sock")], ["./a.sock", join(there, "a.sock")], ["link/../a.sock", join(here, "a.sock")]];
  try {
    for (const [path, place] of sockets) {
      process.chdir(there);
      const starting = serveImages(new MapImageStore(), { path });
      // The server is made in steps.
      process.chdir(before);
      const server = await starting;
      assert.ok(existsSync(place), path);
      const client = connectImages(server.address);
      process.chdir(dirname(here));
      assert.deepEqual(await client.list(), []);
      client.close();
      await closeAll(server);
      assert.deepEqual([readdirSync(here), readdirSync(there)], [["deep"], ["link"]], path);
    }
  } finally {
    process.chdir(before);
  }
});

test("a relative path that would be too long as a whole one is taken as it is", { skip: process.platform === "win32" }, async () => {
  const folder = join(tempPath("far"), "f".repeat(100));
  mkdirSync(folder, { recursive: true });
  const before = process.cwd();
  process.chdir(folder);
  try {
    const server = await serveImages(new MapImageStore(), { path: "a.sock" });
    const client = connectImages("./a.sock");
    assert.deepEqual(await client.list(), []);
    client.close();
    process.chdir(before);
    await closeAll(server);
    assert.deepEqual(readdirSync(folder), []);
  } finally {
    process.chdir(before);
  }
});

test("paths that leave no room for a name beside them, all in one folder, are each their server's", async () => {
  const folder = join(tempFolder(), "l".repeat(105 - Buffer.byteLength(tempFolder()) - 1));
  mkdirSync(folder);
  const paths = Array.from("0123456789abcdef", (name) => join(folder, name));
  const servers = await Promise.all(paths.map((path) => serveImages(new MapImageStore(), { path })));
  for (const path of paths) {
    const client = connectImages(path);
    assert.deepEqual(await client.list(), []);
    client.close();
  }
  await closeAll(...servers);
  assert.deepEqual(readdirSync(folder), []);
});

test("a server that cannot have its path leaves nothing in its folder", async () => {
  const path = tempPath("taken.sock");
  const first = await serveImages(new MapImageStore(), { path });
  const before = readdirSync(dirname(path)).sort();
  await assert.rejects(serveImages(new MapImageStore(), { path }), { code: "UNAVAILABLE" });
  assert.deepEqual(readdirSync(dirname(path)).sort(), before);
  await closeAll(first);
});

test("a path of the greatest length that the system takes is taken", { skip: process.platform === "win32" }, async () => {
  const folder = dirname(tempPath("x"));
  const path = `${folder}/${"s".repeat((process.platform === "linux" ? 107 : 103) - folder.length - 1)}`;
  const server = await serveImages(new MapImageStore(), { path });
  const client = connectImages(path);
  assert.deepEqual(await client.list(), []);
  client.close();
  await closeAll(server);
});

test("a path that leaves no room for the zero behind it is INVALID: Node would take it, clients in Go would not", { skip: process.platform === "win32" }, async () => {
  const folder = dirname(tempPath("x"));
  const path = `${folder}/${"s".repeat((process.platform === "linux" ? 108 : 104) - folder.length - 1)}`;
  await assert.rejects(serveImages(new MapImageStore(), { path }), { code: "INVALID", message: /give a shorter one$/ });
  assert.throws(() => connectImages(path), { code: "INVALID" });
});

test("an address that no server can have is INVALID", async () => {
  for (const options of [{ port: 70_000 }, { port: -1 }, { port: 1.5 }, { path: "" }, { path: "a\0b" }, { path: "\0abstract" }]) {
    await assert.rejects(serveImages(new MapImageStore(), options), { name: "ImagesError", code: "INVALID" }, JSON.stringify(options));
  }
});
