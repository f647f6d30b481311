/** The database files of `hexbolt images`: which it takes, what it says of others, and what a command that fails leaves. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs, { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { tempPath } from "../support/temp.js";
import { digest, put, run } from "./run-command.js";

const IS_NODE = !("Bun" in globalThis || "Deno" in globalThis);
const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "engine", "cli", "main.js");

test("an empty file is refused by every command, whether it would succeed or not, and stays empty", async () => {
  const path = tempPath("empty.db");
  writeFileSync(path, "");
  for (const { err, status } of [
    await run("ls", path), await run("get", path, "a"), await run("namespaces", path),
    await put(path, "a"), await put(path, "a", "--digest", "bad", "-n", "x"), await run("rm", path, "a"),
    await run("serve", path, "unix:/nonexistent/x"), await run("serve", path, `unix:${tempPath("s")}`),
  ]) {
    assert.equal(status, 1);
    assert.match(err, /^hexbolt images: .*empty\.db is empty: no database\n  \S.*\n$/);
    assert.equal(statSync(path).size, 0);
  }
});

/** Runs where a function of the system fails, from its nth call on. */
async function failing<T>(name: "fdatasync" | "fdatasyncSync" | "fsyncSync" | "linkSync", code: string, work: () => Promise<T>, nth = 1): Promise<T> {
  const original = fs[name];
  let count = 0;
  Object.assign(fs, { [name]: (...parameters: unknown[]): void => {
    if (++count < nth) return void Reflect.apply(original, fs, parameters);
    throw Object.assign(new Error(`${code}: ${MESSAGES[code] ?? ""}, ${name.slice(0, -4)}`), { code });
  } });
  syncBuiltinESMExports();
  try {
    return await work();
  } finally {
    Object.assign(fs, { [name]: original });
    syncBuiltinESMExports();
  }
}

const MESSAGES: Readonly<Record<string, string>> = { EIO: "i/o error", ENOSPC: "no space left on device", EPERM: "operation not permitted" };

test("a new file for which the disk has no room is not left, and the error names it and says what to do", { skip: IS_NODE ? false : "replaces a function of node:fs" }, async () => {
  const folder = tempPath("full");
  mkdirSync(folder);
  const path = join(folder, "x.db");
  for (const args of [["put", path, "a", "--digest", digest("a"), "--size", "1"], ["serve", path, `unix:${tempPath("s")}`]]) {
    const { err, status } = await failing("fdatasyncSync", "ENOSPC", () => run(...args));
    assert.equal(status, 1);
    assert.match(err, /^hexbolt images: .*full\/x\.db: .*ENOSPC: no space left on device, fdatasync\n  the disk is full: .*\n$/);
    assert.deepEqual(readdirSync(folder), []);
  }
});

test("names that were deleted before the disk failed are printed, as text and as JSON", { skip: IS_NODE ? false : "replaces a function of node:fs" }, async () => {
  for (const [form, out] of [[[], "a\n"], [["--json"], `["a"]\n`]] as const) {
    const path = tempPath("half-deleted.db");
    for (const name of ["a", "b", "c"]) await put(path, name);
    // A commit has two syncs.
    const outcome = await failing("fdatasync", "EIO", () => run("rm", path, "a", "b", "c", ...form), 3);
    assert.deepEqual({ status: outcome.status, out: outcome.out }, { status: 1, out });
    assert.match(outcome.err, /EIO: i\/o error/);
    assert.equal((await run("ls", "-q", path)).out, "b\nc\n");
  }
});

test("a new file whose name cannot be made durable is in place, and the error says so", { skip: IS_NODE && process.platform !== "win32" ? false : "replaces a function of node:fs, and counts syncs of folders, which Windows has not" }, async () => {
  const folder = tempPath("undurable");
  mkdirSync(folder);
  const path = join(folder, "x.db");
  for (const args of [["put", path, "a", "--digest", digest("a"), "--size", "1"], ["serve", path, `unix:${tempPath("s")}`]]) {
    // The engine syncs the folder with the temporary name.
    const { err, status } = await failing("fsyncSync", "EIO", () => run(...args), 2);
    assert.deepEqual({ status, err }, { status: 1, err: `hexbolt images: ${path}: the new file is in place, but a power cut may undo that; remove it and run the command again: EIO: i/o error, fsync\n` });
    assert.deepEqual(readdirSync(folder), ["x.db"]);
    assert.equal((await run("ls", "-q", path)).out, args[0] === "put" ? "a\n" : "");
    rmSync(path);
  }
});

test("a new file stands at its place when it is whole, and nothing beside it", async () => {
  const folder = tempPath("whole");
  mkdirSync(folder);
  assert.equal((await put(join(folder, "x.db"), "a")).status, 0);
  assert.deepEqual(readdirSync(folder), ["x.db"]);
});

test("a file system without second names gets a new file, too", { skip: IS_NODE ? false : "replaces a function of node:fs" }, async () => {
  const folder = tempPath("fat");
  mkdirSync(folder);
  const path = join(folder, "x.db");
  await failing("linkSync", "EPERM", async () => {
    for (const name of ["a", "b"]) assert.deepEqual(await put(path, name), { status: 0, out: "", err: "" });
  });
  assert.equal((await run("ls", "-q", path)).out, "a\nb\n");
  assert.deepEqual(readdirSync(folder), ["x.db"]);
});

test("a new file is made where a link leads that leads nowhere yet", async () => {
  const folder = tempPath("linked");
  mkdirSync(folder);
  const link = tempPath("to-linked.db");
  symlinkSync(join(basename(folder), "x.db"), link);
  const second = tempPath("to-link.db");
  symlinkSync(link, second);
  assert.equal((await put(second, "a")).status, 0);
  assert.deepEqual(readdirSync(folder), ["x.db"]);
  assert.equal((await run("ls", "-q", link)).out, "a\n");
});

test("a new file is made beside its place, also where the path or a link leads out of a linked folder", { skip: process.platform === "win32" ? "a path there leads out of a link by its text" : false }, async () => {
  const folder = tempPath("around");
  mkdirSync(join(folder, "real", "inner"), { recursive: true });
  mkdirSync(join(folder, "outer"));
  const link = join(folder, "outer", "link");
  symlinkSync(join(folder, "real", "inner"), link);
  assert.equal((await put(`${link}/../x.db`, "a")).status, 0);
  symlinkSync("../y.db", join(folder, "real", "inner", "to-y.db"));
  assert.equal((await put(`${link}/to-y.db`, "a")).status, 0);
  assert.deepEqual([readdirSync(join(folder, "outer")), readdirSync(join(folder, "real")).sort()], [["link"], ["inner", "x.db", "y.db"]]);
});

test("a program that a signal ends while it makes a file leaves nothing beside it", { skip: process.platform === "win32" ? "there are no such signals" : false }, async () => {
  const folder = tempPath("ended");
  mkdirSync(folder);
  await Promise.all(Array.from({ length: 8 }, async (_, i) => {
    const child = spawn(process.execPath, [PROGRAM, "images", "put", join(folder, `${i}.db`), "a", "--digest", digest("a"), "--size", "1"], { stdio: "ignore" });
    const end = once(child, "exit");
    // From before the program runs to when it has ended, on machines of any speed.
    setTimeout(() => child.kill("SIGINT"), 60 * (i + 1));
    await end;
  }));
  assert.deepEqual(readdirSync(folder).filter((name) => !/^\d\.db$/.test(name)), []);
});

test("a path is named as it is written, whatever is in it", async () => {
  const path = join(dirname(tempPath("x")), "a$$b$&c.db");
  mkdirSync(path);
  assert.equal((await run("ls", path)).err, `hexbolt images: ${path} is a folder\n  name a database file\n`);
  const file = join(dirname(path), "data$&base");
  writeFileSync(file, "plain text");
  assert.match((await run("ls", file)).err, /^hexbolt images: .*data\$&base: invalid database/);
});

test("commands that make one file at once all put into it", async () => {
  const path = tempPath("made-at-once.db");
  const statuses = await Promise.all(["a", "b", "c", "d"].map(async (name) => {
    const child = spawn(process.execPath, [PROGRAM, "images", "put", path, name, "--digest", digest("a"), "--size", "1"], { stdio: ["ignore", "ignore", "inherit"] });
    return (await once(child, "exit") as [number | null])[0];
  }));
  assert.deepEqual(statuses, [0, 0, 0, 0]);
  assert.equal((await run("ls", "-q", path)).out, "a\nb\nc\nd\n");
});

test("what is no database file is named, and the next line says what to do", async () => {
  const folder = tempPath("folder");
  mkdirSync(folder);
  const file = tempPath("plain.db");
  writeFileSync(file, "plain");
  const link = tempPath("link.db");
  symlinkSync("gone.db", link);
  for (const [target, message, hint] of [
    [folder, /folder is a folder/, /  name a database file/],
    [join(file, "x"), /ENOTDIR.*plain\.db.x/, /  a part of the path is a file where a folder should be/],
    [file, /plain\.db: invalid database: /, /  `hexbolt surgery meta validate` .*/],
    [link, /link\.db is a link to gone\.db, which is not there/, undefined],
  ] as const) {
    const making = [["put", target, "a", "--digest", digest("a"), "--size", "1"], ["serve", target, `unix:${tempPath("s")}`]];
    for (const args of [["ls", target], ["get", target, "a"], ["rm", target, "a"], ["namespaces", target], ...(target === link ? [] : making)]) {
      const { err, status } = await run(...args);
      assert.equal(status, 1, args.join(" "));
      const [first, second] = err.split("\n");
      assert.match(first ?? "", message, args.join(" "));
      if (hint !== undefined) assert.match(second ?? "", hint, args.join(" "));
    }
  }
  const json = JSON.parse((await run("ls", folder, "--json")).err) as unknown;
  assert.deepEqual(json, { error: { code: "NOT_A_FILE", message: `${folder} is a folder`, hint: "name a database file" } });
});

test("a thing that is no file is not waited for", { skip: process.platform === "win32" ? "there is no /dev/zero" : false }, async () => {
  for (const args of [["ls", "/dev/zero"], ["rm", "/dev/zero", "a"]]) {
    const { err, status } = await run(...args);
    assert.deepEqual([status, err], [1, "hexbolt images: /dev/zero is no file\n  a database must be a file on a disk\n"]);
  }
});

test("a new file in a folder that is not there, or with a folder's name, is refused in so many words", async () => {
  const folder = tempPath("gone");
  for (const args of [["put", join(folder, "x.db"), "a", "--digest", digest("a"), "--size", "1"], ["serve", join(folder, "x.db"), `unix:${tempPath("s")}`]]) {
    const { err, status } = await run(...args);
    assert.equal(status, 1);
    assert.match(err, /^hexbolt images: there is no folder ".*gone" to write "x\.db" into\n$/);
  }
  const { err, status } = await put(`${folder}/`, "a");
  assert.deepEqual([status, /names a folder: name the file in it/.test(err)], [2, true], err);
  assert.equal(existsSync(folder), false);
});

test("a damaged database's error names the file", async () => {
  const path = tempPath("damaged.db");
  await put(path, "a");
  // All but the two meta pages.
  writeFileSync(path, readFileSync(path).fill(0, 2 * 4096));
  const { err, status } = await run("ls", path);
  assert.equal(status, 1);
  assert.match(err, /^hexbolt images: .*damaged\.db: page /);
});

test("serve says of a file that it has made that it was not there, and of any other nothing", async () => {
  const path = tempPath("mistyped.db");
  const address = `unix:${tempPath("s")}`;
  const made = await run("serve", path, address);
  assert.deepEqual([made.status, made.err], [0, `hexbolt images: ${path} was not there: it is a new database without images\n`]);
  assert.match(made.out, /^serving .*mistyped\.db on unix:/);
  assert.equal((await run("serve", path, address)).err, "");
  assert.match((await run("--help")).out, /serve FILE ADDRESS .*\n.* a FILE that is not there is made, which is told\n/);
});
