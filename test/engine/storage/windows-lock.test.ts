/** The lock on Windows, played by a table of who has which file open and how: share modes, as the system judges them, over real files. */
import assert from "node:assert/strict";
import { closeSync, constants, openSync, writeFileSync } from "node:fs";
import { test } from "node:test";

import { LockHelperMissingError } from "../../../engine/storage/file-lock.js";
import { FileStorage } from "../../../engine/storage/file-storage.js";
import type { LockMode } from "../../../engine/storage/storage.js";
import { SystemError } from "../../../engine/storage/system-error.js";
import { OPEN_UNSHARED, openLocked, openUnlessShut, type OpenCalls } from "../../../engine/storage/windows-lock.js";
import { tempPath } from "../../support/temp.js";

/** Opens as Windows does: an unshared opening wants to be the only one, and lets no other in. */
class SharingTable implements OpenCalls {
  readonly #openings = new Map<number, { readonly path: string; readonly isUnshared: boolean }>();

  open(path: string, flags: number, mode?: number): number {
    this.#forgetClosed();
    const isUnshared = (flags & OPEN_UNSHARED) !== 0;
    const others = [...this.#openings.values()].filter((opening) => opening.path === path);
    if (others.length > 0 && (isUnshared || others.some((opening) => opening.isUnshared))) throw new SystemError("EBUSY", "open", `resource busy or locked '${path}'`);
    const fd = openSync(path, flags & ~OPEN_UNSHARED, mode);
    this.#openings.set(fd, { path, isUnshared });
    return fd;
  }

  close(fd: number): void {
    this.#openings.delete(fd);
    closeSync(fd);
  }

  get openCount(): number {
    this.#forgetClosed();
    return this.#openings.size;
  }

  /** A storage closes its descriptor itself: the table learns of it by trying. */
  #forgetClosed(): void {
    for (const fd of this.#openings.keys()) if (!isDescriptor(fd)) this.#openings.delete(fd);
  }
}

function isDescriptor(fd: number): boolean {
  try {
    closeSync(openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY));
    return true;
  } catch {
    return false;
  }
}

function storageOn(path: string, readOnly: boolean, calls: OpenCalls): FileStorage {
  const flags = readOnly ? constants.O_RDONLY : constants.O_RDWR | constants.O_CREAT;
  return new FileStorage(openUnlessShut(path, flags, 0o600, calls), "flock", undefined, (mode: LockMode) => openLocked(path, flags, 0o600, mode, calls));
}

test("a writer keeps readers and writers out until it closes, and then one of them gets the lock", { skip: process.platform !== "linux" }, () => {
  const table = new SharingTable();
  const path = tempPath("windows.db");
  const writer = storageOn(path, false, table);
  assert.equal(writer.lock("exclusive"), true);
  writer.write([Buffer.from("kept")], 0);
  const [second, reader] = [storageOn(path, false, table), storageOn(path, true, table)];
  for (let attempt = 0; attempt < 3; attempt++) assert.deepEqual([second.lock("exclusive"), reader.lock("shared")], [false, false]);
  assert.throws(() => second.size(), (error) => error instanceof SystemError && error.code === "EBADF");
  writer.close();
  assert.equal(reader.lock("shared"), true);
  const bytes = Buffer.alloc(4);
  assert.equal(reader.read(bytes, 0), 4);
  assert.equal(bytes.toString(), "kept");
  assert.equal(second.lock("exclusive"), false);
  reader.close();
  assert.equal(second.lock("exclusive"), true);
  second.close();
  second.close();
  assert.throws(() => second.lock("exclusive"), (error) => error instanceof SystemError && error.code === "EBADF");
  assert.equal(table.openCount, 0);
});

test("readers share, and together keep a writer out", { skip: process.platform !== "linux" }, () => {
  const table = new SharingTable();
  const path = tempPath("windows.db");
  writeFileSync(path, "");
  const [a, b, writer] = [storageOn(path, true, table), storageOn(path, true, table), storageOn(path, false, table)];
  assert.deepEqual([a.lock("shared"), b.lock("shared"), writer.lock("exclusive")], [true, true, false]);
  a.close();
  assert.equal(writer.lock("exclusive"), false);
  b.close();
  assert.equal(writer.lock("exclusive"), true);
  writer.close();
});

test("a file that Go's bbolt has open, which shares it, is not written here", { skip: process.platform !== "linux" }, () => {
  const table = new SharingTable();
  const path = tempPath("windows.db");
  const go = table.open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  const writer = storageOn(path, false, table);
  assert.equal(writer.lock("exclusive"), false);
  table.close(go);
  assert.equal(writer.lock("exclusive"), true);
  writer.close();
});

test("a runtime that shares what should be unshared is noticed: an error, nothing left open", () => {
  const opened = new Set<number>();
  const sharing: OpenCalls = {
    open: (path, flags, mode) => { const fd = openSync(path, flags & ~OPEN_UNSHARED, mode); opened.add(fd); return fd; },
    close: (fd) => { opened.delete(fd); closeSync(fd); },
  };
  const path = tempPath("windows.db");
  assert.throws(() => openLocked(path, constants.O_RDWR | constants.O_CREAT, 0o600, "exclusive", sharing), LockHelperMissingError);
  assert.equal(opened.size, 0);
});

test("errors that are not about sharing are the system's own", () => {
  assert.throws(() => openUnlessShut(tempPath("missing"), constants.O_RDONLY, undefined), { code: "ENOENT" });
});
