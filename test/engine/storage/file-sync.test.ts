/** That syncs reach the system. What they do there no program can see; that the system is asked, its refusals show. */
import assert from "node:assert/strict";
import { linkSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { open } from "../../../engine/index.js";
import { FileStorage, openFileStorage } from "../../../engine/storage/file-storage.js";
import { tempPath } from "../../support/temp.js";

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Error && "code" in error && error.code === code;
}

test("sync and syncAsync ask the system, and pass on what it says", { skip: process.platform === "linux" ? false : "other systems sync /dev/null" }, async () => {
  const storage = new FileStorage(openSync("/dev/null", "r+"), "none");
  assert.throws(() => storage.sync(), hasCode("EINVAL"));
  await assert.rejects(storage.syncAsync(), hasCode("EINVAL"));
  storage.close();
});

test("the first sync of a new file syncs the folder that its name is in, and a later one does not", async () => {
  for (const sync of [(storage: FileStorage) => storage.sync(), (storage: FileStorage) => storage.syncAsync()]) {
    const folder = tempPath("folder");
    mkdirSync(folder);
    const storage = openFileStorage(join(folder, "new"), { lock: "none" });
    storage.write([Buffer.from("abc")], 0);
    rmSync(folder, { recursive: true });
    // Without its folder the name cannot be made durable, and that must not pass in silence.
    await assert.rejects(async () => sync(storage), hasCode("ENOENT"));
    mkdirSync(folder);
    await sync(storage);
    rmSync(folder, { recursive: true });
    await sync(storage);
    storage.close();
  }
});

test("a file that had more than a sector when it was opened has a durable name already", () => {
  const folder = tempPath("folder");
  mkdirSync(folder);
  const path = join(folder, "old");
  const made = openFileStorage(path, { lock: "none" });
  made.write([new Uint8Array(513)], 0);
  made.close();
  const storage = openFileStorage(path, { lock: "none" });
  rmSync(folder, { recursive: true });
  storage.sync();
  storage.close();
});

test("a database whose making has stopped at the sync of its folder does not grow before that is done, whoever opens it next", () => {
  const path = tempPath("whole.db");
  open(path).close();
  const folder = tempPath("folder");
  const kept = tempPath("kept.db");
  writeFileSync(kept, readFileSync(path).subarray(0, 512));
  for (let attempt = 0; attempt < 2; attempt++) {
    mkdirSync(folder);
    linkSync(kept, join(folder, "new.db"));
    const storage = openFileStorage(join(folder, "new.db"), { lock: "none" });
    rmSync(folder, { recursive: true });
    assert.throws(() => open("new.db", { storage }), { code: "IO", message: /ENOENT/ });
    // One that had grown would pass for a file whose name is durable.
    assert.equal(statSync(kept).size, 512);
  }
  const db = open(kept);
  db.update((tx) => tx.createBucket("b"));
  assert.deepEqual(db.view((tx) => [...tx.check()]), []);
  db.close();
});
