/** Going back to an older state is never silent: who listens to nothing but the process's warnings learns of it, once an opening. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { MemoryStorage, open } from "../../../engine/index.js";

const PAGE_SIZE = 4096;

/** The file of a process that was killed, as a disk leaves it that has lost the root page of the newest commit. */
function fileWithLostCommit(): { readonly bytes: Uint8Array; readonly txid: bigint } {
  const storage = new MemoryStorage();
  const db = open("made.db", { storage, pageSize: PAGE_SIZE });
  db.update((tx) => { tx.createBucket("b").put("old", "1"); });
  db.update((tx) => { tx.createBucket("c").put("new", "2"); });
  const txid = db.view((tx) => tx.id);
  const bytes = storage.bytes();
  db.close();
  const root = Number(new DataView(bytes.buffer).getBigUint64(Number(txid % 2n) * PAGE_SIZE + 32, true));
  bytes.fill(0, root * PAGE_SIZE, (root + 1) * PAGE_SIZE);
  return { bytes, txid };
}

test("an opening that finds the newest commit lost warns, with a code and what happened", async () => {
  const { bytes, txid } = fileWithLostCommit();
  for (const readOnly of [true, false]) {
    const warned = once(process, "warning", { signal: AbortSignal.timeout(5000) });
    const db = open("damaged.db", { storage: new MemoryStorage(bytes), readOnly });
    assert.equal(db.recovery?.lostTxid, txid);
    const [warning] = await warned as [Error & { readonly code?: string }];
    assert.equal(warning.code, "HEXBOLT_RECOVERY");
    assert.match(warning.message, new RegExp(`damaged\\.db: went back to transaction ${txid - 1n}: transaction ${txid}: `));
    db.close();
  }
});

test("an opening that finds all well does not warn", async () => {
  const warnings: Error[] = [];
  const listen = (warning: Error): void => { warnings.push(warning); };
  process.on("warning", listen);
  const db = open("sound.db", { storage: new MemoryStorage() });
  db.update((tx) => { tx.createBucket("b"); });
  db.close();
  await new Promise((resolve) => { setImmediate(resolve); });
  process.off("warning", listen);
  assert.deepEqual(warnings, []);
});
