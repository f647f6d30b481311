/** What a file holds, once it is known to be sound. */
import assert from "node:assert/strict";
import { open } from "../../engine/index.js";
import { contentOf } from "../support/content.js";

/** Gives the hash of all content; fails unless check finds nothing. */
export function soundContentHash(path: string): string {
  const db = open(path, { readOnly: true });
  try {
    return db.view((tx) => {
      assert.deepEqual([...tx.check()], []);
      return contentOf(tx).sha256;
    });
  } finally {
    db.close();
  }
}
