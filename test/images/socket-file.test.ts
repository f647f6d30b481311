/** Who has a socket's path: one server at a time, and closing takes it from nobody else. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, linkSync, readdirSync, renameSync } from "node:fs";
import { createServer } from "node:net";
import { dirname } from "node:path";
import { test } from "node:test";
import { connectImages, ImagesError, serveImages } from "../../images/index.js";
import { tempPath } from "../support/temp.js";
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

test("an address that no server can have is INVALID", async () => {
  for (const options of [{ port: 70_000 }, { port: -1 }, { port: 1.5 }, { path: "" }, { path: "a\0b" }, { path: "\0abstract" }]) {
    await assert.rejects(serveImages(new MapImageStore(), options), { name: "ImagesError", code: "INVALID" }, JSON.stringify(options));
  }
});
