/** The conformance suite against stores that are each wrong in one way: a case must notice. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openMemory } from "../../engine/index.js";
import { conformanceCases } from "../../images/conformance-cases.js";
import { LocalImageStore } from "../../images/index.js";
import { WRONG_CHANGES, WRONG_CONTENT, WRONG_ENDS, WRONG_FILTERS, WRONG_UPDATES, wronged, type Wrong } from "./wrong-stores.js";

const cases = conformanceCases({ editable: true });

/** The first case that the store fails, each with a store of its own; undefined where it passes all. */
async function firstFailed(wrong: Wrong): Promise<string | undefined> {
  for (const { name, test: tryStore } of cases) {
    const db = openMemory();
    try {
      await tryStore(wronged(new LocalImageStore(db, { namespace: "default" }), wrong));
    } catch {
      return name;
    } finally {
      db.close();
    }
  }
  return undefined;
}

describe("the conformance suite", () => {
  test("passes the store that the wrong ones are made of", async () => {
    assert.equal(await firstFailed(() => ({})), undefined);
  });
  for (const [name, wrong] of Object.entries({ ...WRONG_CONTENT, ...WRONG_CHANGES, ...WRONG_UPDATES, ...WRONG_FILTERS, ...WRONG_ENDS })) {
    test(`notices: ${name}`, async () => {
      assert.notEqual(await firstFailed(wrong), undefined, "the store passes all cases");
    });
  }
});
