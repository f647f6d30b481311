/** A file that is written whole or not at all, while another thread writes to the same path; and what is said where the folder cannot be synced behind it. What else can go wrong is in db/target.test.ts. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { type Destination, writeAtomically, writeAtomicallyLater, writeFileAtomicallyLater } from "../../../engine/storage/atomic-file.js";
import { openFileStorage } from "../../../engine/storage/file-storage.js";
import { SystemError } from "../../../engine/storage/system-error.js";
import { tempPath } from "../../support/temp.js";

const THREAD = `
  const { parentPort, workerData } = require("node:worker_threads");
  import(workerData.module).then(({ writeFileAtomically }) => {
    writeFileAtomically(workerData.path, 0o600, (storage) => storage.write([Buffer.from("of the thread")], 0));
    parentPort.postMessage("written");
  });
`;

test("two threads that write to one path do not meet under the temporary name: the last one's file is there, whole", async () => {
  const path = tempPath("copy.db");
  const module = new URL("../../../engine/storage/atomic-file.js", import.meta.url).href;
  await writeFileAtomicallyLater(path, 0o600, async (storage) => {
    storage.write([Buffer.from("of ")], 0);
    assert.deepEqual(await once(new Worker(THREAD, { eval: true, workerData: { module, path } }), "message"), ["written"]);
    assert.equal(readFileSync(path, "utf8"), "of the thread");
    storage.write([Buffer.from("this one")], 3);
  });
  assert.equal(readFileSync(path, "utf8"), "of this one");
  assert.deepEqual(readdirSync(dirname(path)).filter((name) => name.endsWith(".tmp")), []);
});

test("where the names of the folder cannot be synced, the new file is in place, and the error says so and what to do", async () => {
  const path = tempPath("copy.db");
  const temporary = `${path}.tmp`;
  const cause = new SystemError("EIO", "fsync", "i/o error");
  const destination: Destination = {
    path,
    open: () => openFileStorage(temporary),
    rename: () => { renameSync(temporary, path); },
    syncNames: () => { throw cause; },
    remove: () => { rmSync(temporary, { force: true }); },
  };
  const fill = (storage: { write(chunks: Uint8Array[], position: number): void }): void => { storage.write([Buffer.from("new")], 0); };
  for (const write of [async () => writeAtomically(destination, fill), () => writeAtomicallyLater(destination, async (storage) => fill(storage))]) {
    writeFileSync(path, "old");
    await assert.rejects(write, { code: "IO", message: /copy\.db: the new file is in place.*power cut.*write it again: EIO/, cause });
    assert.equal(readFileSync(path, "utf8"), "new");
    assert.equal(existsSync(temporary), false);
  }
});
