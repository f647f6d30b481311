/** The storage that is a file: how it opens, what the system's errors look like, and what close waits for. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync, closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, readlinkSync, realpathSync, renameSync, statSync, symlinkSync, writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { openFileStorage } from "../../../engine/storage/file-storage.js";
import { tempFolder, tempPath } from "../../support/temp.js";

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Error && "code" in error && error.code === code;
}

test("a file is made with mode 0600, or the mode asked for, and never cut", () => {
  const path = tempPath("made");
  openFileStorage(path).close();
  assert.equal(statSync(path).mode & 0o777, 0o600);
  writeFileSync(path, "kept");
  openFileStorage(path).close();
  assert.equal(readFileSync(path, "utf8"), "kept");
  const open = tempPath("open");
  openFileStorage(open, { mode: 0o640 }).close();
  assert.equal(statSync(open).mode & 0o777, 0o640 & ~process.umask());
});

test("a missing file is an error when read-only or not to be created, and is not made", () => {
  for (const options of [{ readOnly: true }, { create: false }, { readOnly: true, create: true }]) {
    const path = tempPath("missing");
    assert.throws(() => openFileStorage(path, options), hasCode("ENOENT"));
    assert.equal(existsSync(path), false);
  }
});

test("a read-only storage reads, and the system refuses its writes", async () => {
  const path = tempPath("read-only");
  writeFileSync(path, "abc");
  const storage = openFileStorage(path, { readOnly: true });
  const target = new Uint8Array(3);
  assert.equal(storage.read(target, 0), 3);
  assert.equal(Buffer.from(target).toString(), "abc");
  assert.throws(() => storage.write([target], 0), hasCode("EBADF"));
  await assert.rejects(storage.writeAsync([target], 0), hasCode("EBADF"));
  assert.throws(() => storage.truncate(0), hasCode("EINVAL"));
  storage.close();
  assert.equal(readFileSync(path, "utf8"), "abc");
});

test("what is no file gives the system's code and leaves no descriptor open", () => {
  const folder = tempPath("folder");
  mkdirSync(folder);
  const fifo = tempPath("fifo");
  assert.equal(spawnSync("mkfifo", [fifo]).status, 0);
  const firstFree = openSync("/dev/null", "r");
  closeSync(firstFree);
  for (const readOnly of [false, true]) {
    assert.throws(() => openFileStorage(folder, { readOnly }), hasCode("EISDIR"));
    assert.throws(() => openFileStorage(fifo, { readOnly }), hasCode("EINVAL"));
    assert.throws(() => openFileStorage("/dev/null", { readOnly }), hasCode("EINVAL"));
    assert.throws(() => openFileStorage(`${folder}/none/file`, { readOnly }), hasCode("ENOENT"));
    assert.throws(() => openFileStorage("/dev/null/file", { readOnly }), hasCode("ENOTDIR"));
  }
  const free = openSync("/dev/null", "r");
  closeSync(free);
  assert.equal(free, firstFree);
});

test("a file without permission gives EACCES", { skip: process.getuid?.() === 0 ? "root may open everything" : false }, () => {
  const path = tempPath("forbidden");
  writeFileSync(path, "");
  chmodSync(path, 0o000);
  assert.throws(() => openFileStorage(path), hasCode("EACCES"));
});

test("a link is followed, also to a file that is still to be made", () => {
  const target = tempPath("target");
  const link = tempPath("link");
  symlinkSync(target, link);
  const storage = openFileStorage(link);
  storage.write([Uint8Array.of(65)], 0);
  storage.sync();
  storage.close();
  assert.equal(readFileSync(target, "utf8"), "A");
});

test("a live reader follows the path that it was given, which leads through a link to a folder and out of that", { skip: process.platform === "win32" && "there a path is made shorter before links are looked at" }, () => {
  const there = tempPath("there");
  const elsewhere = tempPath("elsewhere");
  mkdirSync(there);
  mkdirSync(join(elsewhere, "deep"), { recursive: true });
  symlinkSync(join(elsewhere, "deep"), join(there, "link"));
  writeFileSync(join(elsewhere, "db"), "the file");
  writeFileSync(join(there, "db"), "another");
  const storage = openFileStorage(`${there}/link/../db`, { readOnly: true, lock: "none" });
  assert.equal(storage.follow(), false);
  writeFileSync(join(elsewhere, "new"), "new file");
  renameSync(join(elsewhere, "new"), join(elsewhere, "db"));
  assert.equal(storage.follow(), true);
  const bytes = Buffer.alloc(8);
  storage.read(bytes, 0);
  assert.equal(bytes.toString(), "new file");
  storage.close();
});

test("thousands of chunks go in one write, empty ones among them", async () => {
  const path = tempPath("chunks");
  const storage = openFileStorage(path);
  const chunks = Array.from({ length: 5000 }, (_, index) => new Uint8Array(index % 7).fill(index));
  storage.write(chunks, 10);
  await storage.writeAsync(chunks, 20_000);
  await storage.syncAsync();
  storage.close();
  const joined = Buffer.concat(chunks);
  const content = readFileSync(path);
  assert.ok(content.subarray(10, 10 + joined.length).equals(joined));
  assert.ok(content.subarray(20_000).equals(joined));
});

test("every call after close throws EBADF, and closing again does nothing", async () => {
  const storage = openFileStorage(tempPath("closed"));
  storage.close();
  const other = openSync("/dev/null", "r");
  storage.close();
  closeSync(other);
  const closed = hasCode("EBADF");
  assert.throws(() => storage.size(), closed);
  assert.throws(() => storage.read(new Uint8Array(1), 0), closed);
  assert.throws(() => storage.write([new Uint8Array(1)], 0), closed);
  assert.throws(() => storage.truncate(0), closed);
  assert.throws(() => storage.startSync(), closed);
  assert.throws(() => storage.sync(), closed);
  assert.throws(() => storage.lock("shared"), closed);
  await assert.rejects(storage.writeAsync([new Uint8Array(1)], 0), closed);
  await assert.rejects(storage.syncAsync(), closed);
});

test("an asynchronous write under way at close ends in its own file, not in the next one opened", async () => {
  const path = tempPath("slow");
  const storage = openFileStorage(path);
  // Several calls, so that most of them are made after close.
  const chunks = Array.from({ length: 5000 }, (_, index) => new Uint8Array(1000).fill(index % 251));
  const writing = storage.writeAsync(chunks, 0);
  const syncing = storage.syncAsync();
  storage.close();
  const others = Array.from({ length: 5 }, () => tempPath("other"));
  const open = others.map((other) => openFileStorage(other));
  await Promise.all([writing, syncing]);
  for (const other of open) other.close();
  for (const other of others) assert.equal(statSync(other).size, 0);
  assert.ok(readFileSync(path).equals(Buffer.concat(chunks)));
  assert.throws(() => storage.size(), hasCode("EBADF"));
});

test("the descriptor is given back when the last asynchronous operation has ended, and only once", async () => {
  const firstFree = openSync("/dev/null", "r");
  closeSync(firstFree);
  const storage = openFileStorage(tempPath("given-back"));
  const operations = [storage.writeAsync([new Uint8Array(100_000)], 0), storage.writeAsync([new Uint8Array(10)], 50), storage.syncAsync()];
  storage.close();
  const during = openSync("/dev/null", "r");
  assert.notEqual(during, firstFree);
  closeSync(during);
  await Promise.all(operations);
  const after = openSync("/dev/null", "r");
  assert.equal(after, firstFree);
  storage.close();
  closeSync(after);
});

/** Descriptors of this process that lead to a file. */
function descriptorsOf(path: string): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false;
    }
  }).length;
}

test("syncs are started by a descriptor of their own, which the first opens and which goes with the file, though not before they have ended", {
  skip: process.platform === "linux" ? false : "only on Linux are syncs started",
}, async () => {
  const file = join(realpathSync(tempFolder()), "file");
  const storage = openFileStorage(file);
  storage.write([new Uint8Array(1 << 20)], 0);
  assert.equal(descriptorsOf(file), 1);
  storage.startSync();
  storage.startSync();
  // Deno has one more for each operation under way.
  assert.ok(descriptorsOf(file) >= 2);
  storage.sync();
  while (descriptorsOf(file) > 2) await setTimeout(1);
  storage.startSync();
  storage.close();
  assert.ok(descriptorsOf(file) >= 1, "a sync is under way");
  while (descriptorsOf(file) > 0) await setTimeout(1);
});

test("where the file cannot be opened a second time, starting a sync does nothing", { skip: process.platform === "linux" ? false : "only on Linux are syncs started" }, () => {
  const module = new URL("../../../engine/storage/file-storage.js", import.meta.url).href;
  const code = `
    import { openSync } from "node:fs";
    import { openFileStorage } from ${JSON.stringify(module)};
    const storage = openFileStorage(${JSON.stringify(tempPath("crowded"))});
    storage.write([new Uint8Array(5)], 0);
    storage.sync();
    try { for (;;) openSync("/dev/null", "r"); } catch {}
    storage.startSync();
    storage.sync();
    storage.close();
    console.log("done");`;
  const child = spawnSync("sh", ["-c", 'ulimit -n 64 && exec "$0" --input-type=module -e "$1"', process.execPath, code], { encoding: "utf8" });
  assert.equal(child.stderr, "");
  assert.equal(child.stdout, "done\n");
});

test("a new file by a relative path becomes durable in a folder whose own name is no text", { skip: process.platform !== "linux" && "such names are Linux's" }, () => {
  const folder = tempPath("names");
  mkdirSync(folder);
  const code = `
    import { openFileStorage } from ${JSON.stringify(new URL("../../../engine/storage/file-storage.js", import.meta.url).href)};
    const storage = openFileStorage("new");
    storage.write([new Uint8Array(5)], 0);
    storage.sync();
    console.log(storage.size());`;
  const child = spawnSync("sh", ["-c", 'cd "$2" && d=$(printf "bad\\377") && mkdir "$d" && cd "$d" && exec "$0" --input-type=module -e "$1"', process.execPath, code, folder], { encoding: "utf8" });
  assert.equal(child.stderr, "");
  assert.equal(child.stdout, "5\n");
});

test("a write that the system cuts short and then refuses throws its error, with a part written", () => {
  const path = tempPath("limited");
  const module = new URL("../../../engine/storage/file-storage.js", import.meta.url).href;
  const code = `
    import { openFileStorage } from ${JSON.stringify(module)};
    const storage = openFileStorage(${JSON.stringify(path)});
    const report = (error) => console.log(error.code, storage.size());
    try { storage.write([new Uint8Array(3000).fill(1), new Uint8Array(7000).fill(2)], 0); } catch (error) { report(error); }
    await storage.writeAsync([new Uint8Array(10000).fill(3)], 0).catch(report);`;
  // The unit of ulimit -f is 512 bytes in a POSIX shell; a process may not write beyond that size.
  const child = spawnSync("sh", ["-c", 'ulimit -f 8 && exec "$0" --input-type=module -e "$1"', process.execPath, code], { encoding: "utf8" });
  assert.equal(child.stderr, "");
  const limit = statSync(path).size;
  assert.ok(limit === 4096 || limit === 8192, `a file of ${limit} bytes`);
  assert.equal(child.stdout, `EFBIG ${limit}\nEFBIG ${limit}\n`);
});
