/** The reading of what the runners of Node, Bun and Deno print: a failure that went unread would be a runtime that looks well. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { countsOf } from "./runtimes-output.js";
import { KNOWN, UNFIT } from "./runtimes-known.js";
import { repositoryRoot } from "./support/fixtures.js";

/** One file with six tests: three pass, one is left out, one fails by itself and one in a group. */
const OUTPUT = {
  tap: `something
TAP version 13
# Subtest: goes well
ok 1 - goes well
  ---
  duration_ms: 0.875182
  ...
# Subtest: does not
not ok 2 - does not
  ---
  duration_ms: 0.883055
  location: '/tmp/a.test.mjs:2:30'
  failureType: 'testCodeFailure'
  error: '1 == 2'
  code: 'ERR_ASSERTION'
  ...
# Subtest: is left out
ok 3 - is left out # SKIP
  ---
  duration_ms: 0.094431
  ...
# Subtest: a group
    # Subtest: inner well
    ok 1 - inner well
      ---
      duration_ms: 0.179527
      ...
    # Subtest: inner not
    not ok 2 - inner not
      ---
      duration_ms: 0.184385
      ...
    1..2
not ok 4 - a group
  ---
  duration_ms: 0.583509
  type: 'suite'
  failureType: 'subtestsFailed'
  ...
# Subtest: writes
ok 5 - writes
  ---
  duration_ms: 1.54556
  ...
1..5
# pass 3
`,
  bun: `bun test v1.4.5 (a7733435c)

a.test.mjs:
(pass) goes well [0.80ms]
AssertionError: 1 == 2
(fail) does not [1.01ms]
(skip) is left out
(pass) a group > inner well [0.07ms]
(fail) a group > inner not [0.11ms]
something
(pass) writes [0.03ms]

 3 pass
 1 skip
 2 fail
`,
  deno: `running 5 tests from ./a.test.mjs
goes well ... ok (923µs)
does not ... FAILED (1ms)
is left out ... ignored (0ms)
a group ...
  inner well ... ok (0ms)
  inner not ... FAILED (1ms)
a group ... FAILED (due to 1 failed step) (1ms)
writes ...
------- output -------
something
----- output end -----
writes ... ok (311µs)

 FAILURES 

does not => ./a.test.mjs:2:30
a group ... inner not => ext:deno_node/testing.ts:1:21231

FAILED | 2 passed (1 step) | 2 failed (1 step) | 1 ignored (14ms)
`,
} as const;

for (const format of ["tap", "bun", "deno"] as const) {
  test(`the tests in the output of ${format} are counted, and those that failed named`, () => {
    assert.deepEqual(countsOf(OUTPUT[format], format), { passed: 3, skipped: 1, failed: ["does not", "inner not"] });
  });
}

test("a group whose test never ended counts as failed", () => {
  const output = "a group ...\n  goes well ... ok (0ms)\n  hangs ...\n------- output -------\nx\n----- output end -----\na group ... FAILED (1s)\n";
  assert.deepEqual(countsOf(output, "deno"), { passed: 1, skipped: 0, failed: ["a group"] });
});

test("what is listed as known or unfit is there", () => {
  for (const { file } of [...KNOWN, ...UNFIT]) assert.ok(existsSync(join(repositoryRoot, "test", file.replace(/\.js$/, ".ts"))), file);
});
