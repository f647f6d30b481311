/** A database must not be replaced by its own copy, and who waits for a file gets the one that has its name. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs, { existsSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync } from "node:fs";
import { createRequire, syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { type DB, open, openMemory, type ReadTx } from "../../../engine/index.js";
import { FileStorage } from "../../../engine/storage/file-storage.js";
import { tempFolder, tempPath } from "../../support/temp.js";
import { boltError, requireBucket } from "../tx/database.js";

const CHILD = fileURLToPath(new URL("./waiting-child.js", import.meta.url));

function made(name: string, options: Parameters<typeof open>[1] = {}): { readonly path: string; readonly db: DB } {
  const path = tempPath(name);
  const db = open(path, options);
  db.update((tx) => tx.createBucket("a"));
  return { path, db };
}

for (const lock of ["flock", "none"] as const) {
  test(`a database opened with lock "${lock}" is not replaced by its own copy, under whatever name`, async () => {
    const { path, db } = made("own.db", { lock });
    const [symbolic, hard] = [tempPath("symbolic.db"), tempPath("hard.db")];
    symlinkSync(path, symbolic);
    linkSync(path, hard);
    for (const name of [path, symbolic, hard]) {
      assert.throws(() => db.compact(name), boltError("TIMEOUT", /cannot be replaced/));
      await assert.rejects(db.backup(name), boltError("TIMEOUT", /cannot be replaced/));
      db.view((tx: ReadTx) => assert.throws(() => tx.copyTo(name), boltError("TIMEOUT", /cannot be replaced/)));
    }
    db.update((tx) => tx.createBucket("b"));
    db.close();
    const again = open(path);
    again.view((tx) => assert.deepEqual([...tx.buckets()].map(String), ["a", "b"]));
    again.close();
  });
}

test("a file that somebody has open is not replaced by the copy of another database", async () => {
  const { path, db } = made("in-use.db");
  const { db: other } = made("other.db");
  assert.throws(() => other.compact(path), boltError("TIMEOUT", /cannot be replaced/));
  await assert.rejects(other.backup(path), boltError("TIMEOUT", /cannot be replaced/));
  other.view((tx: ReadTx) => assert.throws(() => tx.copyTo(path), boltError("TIMEOUT", /cannot be replaced/)));
  other.close();
  db.update((tx) => tx.createBucket("b"));
  db.close();
  const again = open(path);
  again.view((tx) => assert.deepEqual([...tx.buckets()].map(String), ["a", "b"]));
  again.close();
  assert.deepEqual(readdirSync(tempFolder()).filter((name) => name.endsWith(".tmp")), []);
});

test("a copy may have a name as long as a name may be", async () => {
  const { db } = made("long.db");
  for (const name of ["n".repeat(255), "\u{1f600}".repeat(63)]) {
    const path = join(tempFolder(), name);
    await db.backup(path);
    db.compact(path);
    assert.ok(statSync(path).size > 0);
    rmSync(path);
  }
  db.close();
});

test("copyTo takes a path and nothing else, and makes nothing", () => {
  const { db } = made("path.db");
  db.view((tx) => {
    for (const wrong of [5, undefined, {}, ""]) assert.throws(() => tx.copyTo(wrong as string), TypeError);
  });
  assert.deepEqual(readdirSync(".").filter((name) => /^(?:5|undefined|\[object Object\])?(?:\.[\da-f-]{13}\.tmp)?$/.test(name)), []);
  db.close();
});

/** Opens the file in another process, which waits for the lock, and commits there. */
function waiter(path: string): { readonly waits: Promise<unknown>; readonly end: Promise<readonly unknown[]> } {
  const child = spawn(process.execPath, [CHILD, path], { stdio: ["ignore", "pipe", "inherit"] });
  return { waits: once(child.stdout, "data"), end: once(child, "exit") };
}

/** What may become of a file that is locked and whose lock somebody waits for. */
const REPLACED: Readonly<Record<string, (path: string, db: DB) => void>> = {
  "replaced by its own compacted copy": (path, db) => {
    const copy = tempPath("copy.db");
    db.compact(copy);
    renameSync(copy, path);
  },
  "removed": (path) => { rmSync(path); },
};

for (const [what, replace] of Object.entries(REPLACED)) {
  test(`who waits for a file that is ${what} meanwhile commits to what has the name`, async () => {
    const { path, db } = made("waited.db");
    const { waits, end } = waiter(path);
    await waits;
    // It is in its first tries by now; an earlier one would find the file that is replaced below just as well.
    await new Promise((resolve) => { setTimeout(resolve, 150); });
    replace(path, db);
    db.close();
    assert.deepEqual((await end).slice(0, 2), [0, null]);
    const again = open(path);
    again.view((tx) => assert.equal(requireBucket(tx.bucket("a")).get("from")?.toString(), "the one that waited"));
    again.close();
  });
}

test("a file that a copy replaces stays locked until it has lost its name", async (t) => {
  const { path, db } = made("replaced.db");
  db.close();
  const other = made("other.db").db;
  const unlocked: string[] = [];
  const close = FileStorage.prototype.close;
  t.mock.method(FileStorage.prototype, "close", function closeAndTell(this: FileStorage) {
    unlocked.push(this.isAt(path) ? "named" : "nameless");
    close.call(this);
  });
  // The first is the look whether anybody has the file open, before the work; the second the copy, under its temporary name; the third what was replaced.
  const expected = ["named", "nameless", "nameless"];
  other.compact(path);
  assert.deepEqual(unlocked.splice(0), expected);
  await other.backup(path);
  assert.deepEqual(unlocked.splice(0), expected);
  other.view((tx: ReadTx) => { tx.copyTo(path); });
  assert.deepEqual(unlocked.splice(0), expected);
  t.mock.restoreAll();
  other.close();
  assert.deepEqual(readdirSync(tempFolder()).filter((name) => name.endsWith(".tmp")), []);
});

test("on a closed database a copy is DATABASE_NOT_OPEN; a path that leads nowhere is the system's error, named", async () => {
  const { path, db } = made("closed.db");
  const loop = tempPath("loop.db");
  symlinkSync(loop, loop);
  assert.throws(() => db.compact(`${path}/inside.db`), boltError("IO", /^write .*inside\.db: /));
  await assert.rejects(db.backup(`${path}/inside.db`), boltError("IO", /^write .*inside\.db: /));
  db.compact(loop);
  db.close();
  assert.throws(() => db.compact(tempPath("copy.db")), boltError("DATABASE_NOT_OPEN", /./));
  await assert.rejects(db.backup(tempPath("copy.db")), boltError("DATABASE_NOT_OPEN", /./));
});

test("copies have the permissions of the database's file", async () => {
  const before = process.umask(0o002);
  try {
    const { db } = made("shared.db", { mode: 0o664 });
    const names = [tempPath("compacted.db"), tempPath("backup.db"), tempPath("copy.db")] as const;
    db.compact(names[0]);
    await db.backup(names[1]);
    db.view((tx: ReadTx) => tx.copyTo(names[2]));
    for (const name of names) assert.equal(statSync(name).mode & 0o777, 0o664);
    db.close();
    const memory = openMemory();
    const name = tempPath("of-memory.db");
    memory.compact(name);
    assert.equal(statSync(name).mode & 0o777, 0o600);
    memory.close();
  } finally {
    process.umask(before);
  }
});

test("where the permissions of the database's file cannot be read, a copy is IO and makes nothing", async () => {
  const { db } = made("no-mode.db");
  const copy = tempPath("copy.db");
  const mode = Object.getOwnPropertyDescriptor(FileStorage.prototype, "mode")!;
  Object.defineProperty(FileStorage.prototype, "mode", { ...mode, get: () => { throw new Error("EIO: i/o error, fstat"); } });
  try {
    assert.throws(() => db.compact(copy), boltError("IO", /EIO/));
    await assert.rejects(db.backup(copy), boltError("IO", /EIO/));
    db.view((tx: ReadTx) => assert.throws(() => tx.copyTo(copy), boltError("IO", /EIO/)));
  } finally {
    Object.defineProperty(FileStorage.prototype, "mode", mode);
  }
  assert.equal(existsSync(copy), false);
  db.close();
});

/** Lets closing a file fail, after it was done: from the nth on that is closed. */
function failCloses(t: TestContext, nth: number): void {
  const close = FileStorage.prototype.close;
  let count = 0;
  t.mock.method(FileStorage.prototype, "close", function closeAndFail(this: FileStorage) {
    close.call(this);
    if (++count >= nth) throw new Error("EIO: i/o error, close");
  });
}

test("a copy that fails, and of which no file can be closed either, tells what failed first", (t) => {
  const { db } = made("source.db");
  const { path, db: used } = made("used.db");
  failCloses(t, 1);
  assert.throws(() => db.compact(path), boltError("TIMEOUT", /in use/));
  t.mock.method(FileStorage.prototype, "write", () => { throw new Error("ENOSPC: no space left"); });
  assert.throws(() => db.compact(tempPath("full.db")), boltError("IO", /ENOSPC/));
  t.mock.restoreAll();
  for (const each of [db, used]) each.close();
  assert.deepEqual(readdirSync(tempFolder()).filter((name) => name.endsWith(".tmp")), []);
});

test("a copy that is in place is none that failed, though the file that it replaced cannot be closed", (t) => {
  const { db } = made("source.db");
  const target = tempPath("target.db");
  open(target).close();
  // After the look before the work, and the copy, comes what was replaced.
  failCloses(t, 3);
  db.compact(target);
  t.mock.restoreAll();
  db.close();
  const copy = open(target);
  copy.view((tx) => assert.deepEqual([...tx.buckets()].map(String), ["a"]));
  copy.close();
});

test("of a symbolic link the link is replaced, and the file that it led to stays as it was", async () => {
  const { path, db } = made("led-to.db");
  db.close();
  const before = readFileSync(path);
  const { db: source } = made("source.db");
  const link = tempPath("link.db");
  for (const copy of [() => source.compact(link), () => source.backup(link), () => source.view((tx: ReadTx) => { tx.copyTo(link); })]) {
    symlinkSync(path, link);
    await copy();
    assert.ok(lstatSync(link).isFile());
    assert.deepEqual(readFileSync(path), before);
    rmSync(link);
  }
  source.close();
});

const REPLACES_FS = { skip: "Bun" in globalThis || "Deno" in globalThis ? "replaces functions of node:fs" : false };

/** Does something else in place of functions of the system, or before them, while `work` runs. */
function interposing(instead: Partial<Record<"linkSync" | "renameSync" | "rmSync", (from: string, to: string) => void>>, work: () => void): void {
  const { linkSync: link, renameSync: rename, rmSync: remove } = fs;
  Object.assign(fs, instead);
  syncBuiltinESMExports();
  try {
    work();
  } finally {
    Object.assign(fs, { linkSync: link, renameSync: rename, rmSync: remove });
    syncBuiltinESMExports();
  }
}

function refuse(): void {
  throw Object.assign(new Error("EPERM: operation not permitted"), { code: "EPERM" });
}

test("a copy does not replace a database that is made under its name in the last moment", REPLACES_FS, () => {
  const { db } = made("source.db");
  const target = tempPath("target.db");
  let meanwhile: DB | undefined;
  const makeBefore = (work: (from: string, to: string) => void) => (from: string, to: string): void => {
    meanwhile ??= open(target);
    work(from, to);
  };
  interposing({ linkSync: makeBefore(linkSync), renameSync: makeBefore(renameSync) }, () => {
    assert.throws(() => db.compact(target), boltError("TIMEOUT", /target\.db is in use/));
  });
  assert.ok(meanwhile !== undefined, "it was made");
  meanwhile.update((tx) => tx.createBucket("acknowledged"));
  meanwhile.close();
  db.close();
  const again = open(target);
  again.view((tx) => assert.deepEqual([...tx.buckets()].map(String), ["acknowledged"]));
  again.close();
  assert.deepEqual(readdirSync(tempFolder()).filter((name) => name.endsWith(".tmp")), []);
});

test("a file system without second names gets copies, too, and there no database in use is replaced either", REPLACES_FS, () => {
  const { db } = made("source.db");
  const { path: used, db: other } = made("used.db");
  const target = tempPath("target.db");
  interposing({ linkSync: refuse }, () => {
    for (let i = 0; i < 2; i++) db.compact(target);
    assert.throws(() => db.compact(used), boltError("TIMEOUT", /used\.db is in use/));
  });
  for (const each of [db, other]) each.close();
  const copy = open(target);
  copy.view((tx) => assert.deepEqual([...tx.buckets()].map(String), ["a"]));
  copy.close();
  assert.deepEqual(readdirSync(tempFolder()).filter((name) => name.endsWith(".tmp")), []);
});

test("a copy that is in place is none that failed, though its temporary name cannot be removed", REPLACES_FS, () => {
  const folder = tempPath("sticky");
  mkdirSync(folder);
  const { db } = made("source.db");
  interposing({ rmSync: refuse }, () => { db.compact(join(folder, "copy.db")); });
  db.close();
  assert.match(readdirSync(folder).sort().join(" "), /^copy\.db copy\.db\.[\da-f-]{13}\.tmp$/);
  const copy = open(join(folder, "copy.db"));
  copy.view((tx) => assert.deepEqual([...tx.buckets()].map(String), ["a"]));
  copy.close();
});

test("a copy keeps no second name where a link is made and reported as taken, as over a network that has lost the first answer", REPLACES_FS, () => {
  const folder = tempPath("network");
  mkdirSync(folder);
  const { db } = made("source.db");
  const link = linkSync;
  const makeAndDeny = (from: string, to: string): void => {
    link(from, to);
    throw Object.assign(new Error("EEXIST: file already exists"), { code: "EEXIST" });
  };
  interposing({ linkSync: makeAndDeny }, () => { db.compact(join(folder, "copy.db")); });
  db.close();
  assert.deepEqual(readdirSync(folder), ["copy.db"]);
  const copy = open(join(folder, "copy.db"));
  copy.view((tx) => assert.deepEqual([...tx.buckets()].map(String), ["a"]));
  copy.close();
});

test("a file system that numbers its files anew with every call is no reason to refuse", () => {
  const fs = createRequire(import.meta.url)("node:fs") as { statSync: typeof statSync };
  const real = fs.statSync;
  let number = 10n ** 15n;
  const renumbering = (...parameters: Parameters<typeof real>): unknown => {
    const stats = Reflect.apply(real, fs, parameters) as { ino: bigint | number } | undefined;
    if (typeof stats?.ino === "bigint") stats.ino = number++;
    return stats;
  };
  fs.statSync = renumbering as typeof real;
  syncBuiltinESMExports();
  try {
    const { db, path } = made("numbers.db");
    db.update((tx) => tx.createBucket("b"));
    db.view((tx) => { tx.copyTo(`${path}.copy`); });
    db.close();
  } finally {
    fs.statSync = real;
    syncBuiltinESMExports();
  }
});

test("a file that has lost its name each time that it was locked is not opened: what is written to it would be lost", (t) => {
  const path = tempPath("lost.db");
  const asked = t.mock.method(FileStorage.prototype, "isAt", () => false).mock;
  assert.throws(() => open(path), boltError("TIMEOUT", /lost\.db was replaced by another file each time/));
  assert.ok(asked.callCount() > 20, `${asked.callCount()} times`);
  t.mock.restoreAll();
  open(path).close();
});

test("a copy is not put in place of a file that has the name of the one that was locked", (t) => {
  const { db } = made("source.db");
  const target = tempPath("target.db");
  open(target).close();
  // The file that is locked has lost its name each time, to a database that somebody has open.
  const asked = t.mock.method(FileStorage.prototype, "isAt", () => false).mock;
  assert.throws(() => db.view((tx) => tx.copyTo(target)), boltError("TIMEOUT", /in use/));
  assert.ok(asked.callCount() > 20);
  t.mock.restoreAll();
  db.close();
});

test("where the file's name cannot be looked up that is said, and nothing stays open", (t) => {
  t.mock.method(FileStorage.prototype, "isAt", () => { throw new Error("EACCES: permission denied"); });
  const path = tempPath("hidden.db");
  assert.throws(() => open(path), boltError("IO", /^open .*hidden\.db: EACCES/));
  t.mock.restoreAll();
  open(path).close();
});
