/** The remote store against a real containerd, a real ctr against our server, and one meta.db under both. */
import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { open } from "../../engine/index.js";
import { imagesCommand } from "../../images/cli.js";
import { imageStoreConformance } from "../../images/conformance.js";
import { parseFilters } from "../../images/filters.js";
import { connectImages, hasEarlyLayout, isExists, listNamespaces, LocalImageStore, serveImages } from "../../images/index.js";
import { MapImageStore } from "../images/map-store.js";
import { tempPath } from "../support/temp.js";
import { ctrAsync, missingContainerd, startContainerd } from "./images-daemons.js";
import type { ImagesServer, RemoteImageStore } from "../../images/index.js";
import type { Containerd } from "./images-daemons.js";

const skip = missingContainerd();
const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
const target = { mediaType: "application/vnd.oci.image.index.v1+json", digest: digest("a"), size: 506 };

let containerd: Containerd;
if (skip === false) {
  before(async () => { containerd = await startContainerd(); });
  after(async () => { await containerd.stop(); });
}

let namespaceCount = 0;
imageStoreConformance({
  name: "remote, real containerd",
  skip,
  editable: true,
  formerContainerd: true,
  create: async () => {
    const namespace = `conformance-${++namespaceCount}`;
    containerd.ctr("namespaces", "create", namespace);
    const store = connectImages(`unix://${containerd.socket}`, { namespace });
    return { store, close: async () => store.close() };
  },
});

describe("a real containerd's images", { skip }, () => {
  it("are put, listed, labelled and deleted by us and by ctr alike", async () => {
    const store = connectImages(containerd.socket);
    const ctr = (...args: string[]): string => containerd.ctr("-n", "default", "images", ...args);
    await store.put("example.com/app:1", target, { labels: { from: "hexbolt" } });
    assert.equal(ctr("ls", "-q"), "example.com/app:1\n");
    ctr("tag", "example.com/app:1", "example.com/app:2");
    ctr("label", "example.com/app:2", "env=prod");
    const images = await store.list({ filters: ["labels.env==prod"] });
    assert.deepEqual(images.map(({ name, target: found, labels }) => ({ name, found, labels })), [
      { name: "example.com/app:2", found: target, labels: { from: "hexbolt", env: "prod" } },
    ]);
    await assert.rejects(store.create("example.com/app:2", target), isExists);
    await store.delete("example.com/app:1");
    assert.equal(ctr("ls", "-q"), "example.com/app:2\n");
    ctr("rm", "example.com/app:2");
    assert.deepEqual(await store.list(), []);
    store.close();
  });
});

describe("a real containerd", { skip }, () => {
  it("takes the filters that we take, and misses an operator at the same place", () => {
    const ctr = (filter: string): string => containerd.ctr("-n", "filters", "images", "ls", "-q", filter);
    containerd.ctr("namespaces", "create", "filters");
    for (const filter of ["labels.my-x==1", "my-x"]) {
      const place = /\[.*\]: expected an operator/.exec(String(faultOf(() => ctr(filter))))?.[0];
      assert.ok(place !== undefined, filter);
      assert.ok(String(faultOf(() => parseFilters([filter]))).includes(place), place);
    }
    for (const filter of ['labels."my-x"==1', "labels.my_x==1"]) {
      parseFilters([filter]);
      assert.equal(ctr(filter), "");
    }
  });

  it("may have a namespace called images, with labels that are called like an image's keys", async () => {
    const other = await startContainerd();
    other.ctr("namespaces", "create", "images", "size=1", "digest=2");
    await other.stop();
    const db = open(other.metaDb);
    db.view((tx) => assert.deepEqual([listNamespaces(tx), hasEarlyLayout(tx)], [["images"], false]));
    db.close();
  });
});

function faultOf(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("ctr on our server", { skip }, () => {
  let server: ImagesServer;
  let store: RemoteImageStore;
  let socket: string;
  const images = async (...args: string[]): Promise<string> => {
    const { stdout, stderr, status } = await ctrAsync(socket, "-n", "default", "images", ...args);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  before(async () => {
    const stores = new Map([["default", new MapImageStore()], ["other", new MapImageStore()]]);
    socket = tempPath("ctr.sock");
    server = await serveImages((namespace) => stores.get(namespace) ?? new MapImageStore(), { path: socket });
    store = connectImages(server.address, { namespace: "default" });
    await store.put("example.com/web:1", target, { labels: { env: "prod" } });
    await store.put("example.com/db:☃", { ...target, digest: digest("b") });
  });
  after(async () => {
    store.close();
    await server.close();
  });

  it("ls -q lists, with filters", async () => {
    assert.equal(await images("ls", "-q"), "example.com/db:☃\nexample.com/web:1\n");
    assert.equal(await images("ls", "-q", "labels.env==prod"), "example.com/web:1\n");
  });

  it("ls shows types, digests and labels", async () => {
    const lines = (await images("ls")).split("\n");
    assert.match(lines[2] ?? "", /^example\.com\/web:1 +application\/vnd\.oci\.image\.index\.v1\+json sha256:a{64} .*env=prod/);
  });

  it("tag, label and rm change images", async () => {
    assert.equal(await images("tag", "example.com/web:1", "example.com/web:2"), "example.com/web:2\n");
    assert.equal((await ctrAsync(socket, "-n", "default", "images", "tag", "example.com/web:1", "example.com/web:2")).status, 1);
    await images("tag", "--force", "example.com/web:1", "example.com/web:2");
    assert.equal(await images("label", "example.com/web:2", "env=test"), "env=test\n");
    assert.deepEqual((await store.get("example.com/web:2")).labels, { env: "test" });
    assert.deepEqual((await store.get("example.com/web:2")).target, target);
    assert.equal(await images("rm", "--sync", "example.com/web:2"), "example.com/web:2\n");
    assert.match((await ctrAsync(socket, "-n", "default", "images", "rm", "example.com/web:2")).stderr, /image not found/);
    assert.equal(await images("ls", "-q"), "example.com/db:☃\nexample.com/web:1\n");
  });

  it("namespaces are apart", async () => {
    assert.equal((await ctrAsync(socket, "-n", "other", "images", "ls", "-q")).stdout, "");
  });

  it("version says who serves", async () => {
    assert.match((await ctrAsync(socket, "version")).stdout, /Version: +hexbolt/);
  });
});

describe("a containerd's meta.db", { skip }, () => {
  const names = Array.from({ length: 200 }, (_, index) => `added.example/app-${String(index).padStart(3, "0")}:1`);
  const image = (index: number): typeof target => ({ ...target, size: index + 1 });

  it("that we added images to is opened by containerd, which lists them and goes on", async () => {
    const first = await startContainerd();
    first.ctr("namespaces", "create", "team");
    const store = connectImages(first.socket, { namespace: "team" });
    await store.put("by-containerd:1", target);
    store.close();
    await first.stop();
    const copy = tempPath("meta.db");
    copyFileSync(first.metaDb, copy);
    const db = open(copy);
    const local = new LocalImageStore(db, { namespace: "team" });
    await Promise.all(names.map((name, index) => local.put(name, image(index), { labels: { index: String(index) } })));
    db.view((tx) => assert.deepEqual([...tx.check()], []));
    await db.closeAsync();

    const second = await startContainerd((folder) => copyFileSync(copy, join(folder, "meta.db")));
    assert.deepEqual(second.ctr("-n", "team", "images", "ls", "-q").trimEnd().split("\n"), [...names, "by-containerd:1"]);
    assert.equal(second.ctr("-n", "team", "images", "ls", "-q", "labels.index==77"), `${names[77] ?? ""}\n`);
    second.ctr("-n", "team", "images", "rm", ...names.slice(0, 100));
    await second.stop();
    const after = open(second.metaDb);
    assert.equal((await new LocalImageStore(after, { namespace: "team" }).list()).length, 101);
    after.view((tx) => assert.deepEqual([...tx.check()], []));
    after.close();
  });

  it("that we made from nothing is a containerd's", async () => {
    const path = tempPath("made.db");
    const db = open(path);
    await new LocalImageStore(db, { namespace: "team" }).put("made:1", target, { labels: { from: "hexbolt" } });
    db.close();
    const daemon = await startContainerd((folder) => copyFileSync(path, join(folder, "meta.db")));
    assert.match(daemon.ctr("-n", "team", "images", "ls"), /^made:1 .*from=hexbolt/m);
    assert.match(daemon.ctr("namespaces", "ls", "-q"), /^team$/m);
    await daemon.stop();
  });

  it("is listed by our command as by ctr, over the socket and from the file that containerd holds", async () => {
    const store = connectImages(containerd.socket);
    for (const [index, name] of names.slice(0, 20).entries()) await store.put(name, image(index), { labels: { index: String(index), note: "a b ☃" } });
    store.close();
    // What ctr adds up from the content is not in the metadata: size and platforms are left out.
    const rows = (text: string): (string | undefined)[][] => text.trimEnd().split("\n").slice(1)
      .map((line) => /^(\S+) +(\S+) +(sha256:\S+) .*?(\S+=.*|-)$/.exec(line.trimEnd())?.slice(1) ?? [line]);
    const expected = rows(containerd.ctr("-n", "default", "images", "ls"));
    assert.equal(expected.length, 20);
    for (const where of [containerd.socket, containerd.metaDb]) {
      let out = "";
      const io = { stdout: { write: (text: string): void => { out += text; } }, stderr: process.stderr, env: {} };
      assert.equal(await imagesCommand(["ls", where], io), 0);
      assert.deepEqual(rows(out), expected, where);
    }
  });
});
