/** A file that is written whole or not at all, while another thread writes to the same path. What else can go wrong is in db/target.test.ts. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { writeFileAtomicallyLater } from "../../../engine/storage/atomic-file.js";
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
