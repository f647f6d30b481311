/** A meta page that was written in part: its own sector says that it is valid, the manifest behind it says that it is not whole. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStorage, open } from "../../../engine/index.js";

const PAGE_SIZE = 4096;
const MANIFEST = 96;

for (const durability of ["two-sync", "one-sync"] as const) {
  for (const [field, offset] of Object.entries({ "its own sum": 4, "the transaction": 8, "the pages' sum": 16, "the number of ranges": 20, "the first range": 28 })) {
    test(`a manifest of which ${field} is torn leads back to the state before (${durability})`, () => {
      const storage = new MemoryStorage();
      const made = open("torn.db", { storage, pageSize: PAGE_SIZE, durability });
      for (const value of ["1", "2", "3"]) made.update((tx) => { tx.createBucketIfNotExists("b").put("key", value); });
      const txid = made.view((tx) => tx.id);
      const bytes = storage.bytes();
      made.close();
      const at = Number(txid % 2n) * PAGE_SIZE + MANIFEST + offset;
      bytes[at] = (bytes[at] ?? 0) ^ 0x10;
      for (const readOnly of [true, false]) {
        const db = open("torn.db", { storage: new MemoryStorage(bytes), readOnly });
        assert.deepEqual({ txid: db.recovery?.txid, lostTxid: db.recovery?.lostTxid }, { txid: txid - 1n, lostTxid: txid });
        assert.match(db.recovery?.reason ?? "", /its meta page is not whole/);
        assert.equal(db.view((tx) => tx.bucket("b")?.get("key")?.toString()), "2");
        assert.deepEqual(db.view((tx) => [...tx.check()]), []);
        db.close();
      }
    });
  }
}
