/** Check: silent on sound files, bbolt's words on damaged ones, and no damage that an independent checker sees and it does not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { check, type CheckInput } from "../../../engine/tx/check.js";
import { hexKey } from "../../../engine/tx/key-order.js";
import { fixtureNames, readFixture, type Fixture } from "../../support/fixtures.js";
import { Random, seedOfRun } from "../../support/random.js";
import { rawProblems } from "../../support/raw-check.js";
import {
  bucketValue, checkInputOf, emptyFile, fixtureBytes, fixtureInput, inlineValue, pagesOf, setCount, writeBranch, writeLeaf,
} from "../format/raw-file.js";

/** The lines of bbolt 1.5.0's check, which shows keys as this one does. */
interface ReferenceFixture extends Fixture {
  readonly reference?: { readonly "bbolt 1.5.0"?: { readonly checkReadOnly?: { readonly errors?: readonly string[] } } };
}

/** Checks a tree made by hand that fills the pages from 2 on; `free` are the free pages. */
function linesOf(file: Uint8Array, root: number, free: readonly number[] = [], changes: Partial<CheckInput> = {}): string[] {
  const pageCount = file.length / 4096;
  const meta = { pageSize: 4096, root, sequence: 0n, freelist: undefined, highWaterMark: pageCount, txid: 1n };
  return [...check({ pages: pagesOf(file, 4096, pageCount), meta, fileSize: file.length, freeIds: free, ...changes })];
}

test("a sound file has no problem", () => {
  for (const name of fixtureNames()) {
    if (readFixture(name).kind !== "corrupt") assert.deepEqual([...check(fixtureInput(name))], [], name);
  }
});

test("every damaged file with a readable meta has a problem", () => {
  let checked = 0;
  for (const name of fixtureNames()) {
    const input = readFixture(name).kind === "corrupt" ? checkInputOf(fixtureBytes(name)) : undefined;
    if (input === undefined) continue;
    assert.notDeepEqual([...check(input)], [], name);
    checked++;
  }
  assert.ok(checked > 35, `${checked} files`);
});

test("what bbolt's check finds is said in bbolt's words", () => {
  // bbolt goes on with bytes that are none of the page's or the freelist's; here one line says that they are not.
  const elsewhere = new Set(["leaf-pos-next-page", "freelist-count-over-page"]);
  let compared = 0;
  for (const name of fixtureNames()) {
    const fixture = readFixture(name) as ReferenceFixture;
    const input = fixture.kind === "corrupt" && !elsewhere.has(name) ? checkInputOf(fixtureBytes(name)) : undefined;
    const errors = fixture.reference?.["bbolt 1.5.0"]?.checkReadOnly?.errors?.filter((line) => !/panic|runtime error/.test(line)) ?? [];
    if (input === undefined || errors.length === 0) continue;
    const lines = new Set(check(input));
    for (const line of errors) assert.ok(lines.has(line), `${name}: ${line}\n${[...lines].join("\n")}`);
    compared++;
  }
  assert.ok(compared >= 12, `${compared} files`);
});

test("the rules that bbolt does not test have lines of their own", () => {
  const file = emptyFile(8);
  writeBranch(file, 2 * 4096, 2, [["a", 3], ["f", 4], ["m", 5], ["x", 7]]);
  writeLeaf(file, 3 * 4096, 3, [{ key: "b" }]);
  writeLeaf(file, 4 * 4096, 4, []);
  writeBranch(file, 5 * 4096, 5, [["m", 6]]);
  writeLeaf(file, 6 * 4096, 6, [{ key: "m", value: inlineValue([{ key: "n", value: bucketValue(9), flags: 1 }]), flags: 1 }]);
  writeLeaf(file, 7 * 4096, 8, [{ key: "x" }]);
  assert.deepEqual(linesOf(file, 2), [
    "page 3: first key (hex)62 is not the key (hex)61 of its branch element (stack: [2 3])",
    "page 4: empty page that is no bucket's root (stack: [2 4])",
    "page 5: branch page with 1 children, fewer than two (stack: [2 5])",
    "page 6: leaf at level 3, the first leaf of its tree is at level 2 (stack: [2 5 6])",
    "page 6: inline bucket (hex)6d: a bucket inside an inline bucket (stack: [2 5 6])",
    "page 7: self identifies as page 8 (stack: [2 7])",
  ]);
});

test("a branch key that differs from its child's first key is found on every level", () => {
  const file = emptyFile(7);
  writeBranch(file, 2 * 4096, 2, [["a", 3], ["k", 4]]);
  writeBranch(file, 3 * 4096, 3, [["b", 5], ["c", 6]]);
  writeLeaf(file, 4 * 4096, 4, [{ key: "k" }]);
  writeLeaf(file, 5 * 4096, 5, [{ key: "b" }]);
  writeLeaf(file, 6 * 4096, 6, [{ key: "c" }]);
  assert.deepEqual(linesOf(file, 2), [
    "page 3: first key (hex)62 is not the key (hex)61 of its branch element (stack: [2 3])",
    "page 4: leaf at level 2, the first leaf of its tree is at level 3 (stack: [2 4])",
  ]);
});

test("keys out of order inside an inline bucket are found, which bbolt leaves out", () => {
  const file = emptyFile(3);
  writeLeaf(file, 2 * 4096, 2, [{ key: "b", value: inlineValue([{ key: "y" }, { key: "x" }]), flags: 1 }]);
  assert.deepEqual(linesOf(file, 2), [
    "key[1]=(hex)78 on inline bucket (hex)62 leaf page(2) needs to be > (found <) than previous element (hex)79. Stack: [2]",
  ]);
});

test("branch keys out of order are found between branch elements and towards the page above", () => {
  const file = emptyFile(7);
  writeBranch(file, 2 * 4096, 2, [["c", 3], ["e", 4]]);
  writeBranch(file, 3 * 4096, 3, [["b", 5], ["f", 6]]);
  writeLeaf(file, 4 * 4096, 4, [{ key: "e" }]);
  writeLeaf(file, 5 * 4096, 5, [{ key: "b" }]);
  writeLeaf(file, 6 * 4096, 6, [{ key: "f" }]);
  assert.deepEqual(linesOf(file, 2), [
    "the first key[0]=(hex)62 on branch page(5) needs to be >= the key in the ancestor (63). Stack: [2 3]",
    "key[1]=(hex)66 on branch page(6) needs to be < than key of the next element in ancestor (hex)62. Pages stack: [2 3]",
    "key[0]=(hex)66 on leaf page(6) needs to be < than key of the next element in ancestor (hex)66. Pages stack: [2 3 6]",
    "key[1]=(hex)65 on branch page(4) needs to be > (found <) than previous element (hex)66. Stack: [2]",
    "page 4: leaf at level 2, the first leaf of its tree is at level 3 (stack: [2 4])",
  ]);
});

test("the caller decides how a key is shown", () => {
  const file = emptyFile(3);
  writeLeaf(file, 2 * 4096, 2, [{ key: "zz" }, { key: "aa" }]);
  const keyText = (key: Uint8Array): string => Buffer.from(key).toString();
  assert.deepEqual(linesOf(file, 2, [], { keyText }), [
    "key[1]=(hex)aa on leaf page(2) needs to be > (found <) than previous element (hex)zz. Stack: [2]",
  ]);
});

test("every page is reachable or free, overflow pages and metas included", () => {
  const file = emptyFile(8);
  writeLeaf(file, 2 * 4096, 2, [{ key: "a", value: new Uint8Array(9000) }], 2);
  assert.deepEqual(linesOf(file, 2, [5, 6, 5, 3, 0, 900]), [
    "page 5: already freed", "page 900: freed out of bounds: 8", "page 0: reachable freed", "page 3: reachable freed", "page 7: unreachable unfreed",
  ]);
});

test("without a stored freelist nothing is said about free pages", () => {
  const file = emptyFile(8);
  writeLeaf(file, 2 * 4096, 2, [{ key: "a" }]);
  assert.deepEqual(linesOf(file, 2, [], { freeIds: undefined }), []);
});

test("an unreadable freelist is a line, and the tree is checked all the same", () => {
  const file = emptyFile(4);
  writeBranch(file, 2 * 4096, 2, []);
  const meta = { pageSize: 4096, root: 2, sequence: 0n, freelist: 3, highWaterMark: 4, txid: 1n };
  const branch = "page 2: branch page with 0 children, fewer than two (stack: [2])";
  assert.deepEqual(linesOf(file, 2, [], { meta, freeIds: undefined }), ["page 3: invalid freelist page, page type is unknown<00>", branch]);
  assert.deepEqual(linesOf(file, 2, [], { meta, freeIds: undefined, freelistProblem: "page 3: no freelist" }), ["page 3: no freelist", branch]);
});

test("the meta pages that count have their place and their kind in their headers", () => {
  const name = fixtureNames().find((candidate) => readFixture(candidate).kind !== "corrupt")!;
  for (const page of [0, 1]) {
    const changes: readonly (readonly [string, (meta: Buffer) => void])[] = [
      [`page ${page}: self identifies as page 50`, (meta) => { meta.writeBigUInt64LE(50n, 0); }],
      [`page ${page}: invalid meta page, page type is leaf`, (meta) => { meta.writeUInt16LE(2, 8); }],
      [`page ${page}: invalid meta page, page type is unknown<00>`, (meta) => { meta.writeUInt16LE(0, 8); }],
    ];
    for (const [line, change] of changes) {
      const file = Buffer.from(fixtureBytes(name));
      const { pageSize } = checkInputOf(file)!.meta;
      change(file.subarray(page * pageSize));
      assert.deepEqual([...check(checkInputOf(file)!)], [line]);
      // What is no meta at all says nothing of itself.
      file.fill(0xee, page * pageSize + 16, page * pageSize + 80);
      const other = checkInputOf(file);
      if (other !== undefined) assert.equal([...check(other)].includes(line), false);
    }
  }
});

test("a file shorter than its high-water mark is found without a loop up to the mark", () => {
  const file = emptyFile(3);
  writeLeaf(file, 2 * 4096, 2, []);
  const meta = { pageSize: 4096, root: 2, sequence: 0n, freelist: undefined, highWaterMark: 2 ** 60, txid: 1n };
  assert.deepEqual(linesOf(file, 2, [2 ** 50], { meta }), ["file of 12288 bytes ends before its high water mark, page 1152921504606846976"]);
});

test("a count that the page cannot hold is one line", () => {
  const file = emptyFile(3);
  writeLeaf(file, 2 * 4096, 2, [{ key: "a" }]);
  setCount(file, 2 * 4096, 60_000);
  assert.deepEqual(linesOf(file, 2), ["page 2: 60000 elements do not fit into 4096 bytes (stack: [2])"]);
});

/** Writes a few random integers over the pages behind the metas. */
function damage(file: Buffer, random: Random): void {
  for (let i = 1 + random.below(3); i > 0; i--) {
    // Half of the writes hit the first bytes of a page, where headers and elements are.
    const page = 8192 + 4096 * random.below(file.length / 4096 - 2);
    const at = page + random.below(random.pick([16, 200, 4088]));
    const kind = random.below(5);
    if (kind === 0) file[at] = random.below(256);
    else if (kind === 1) file.writeUInt16LE(random.below(65536), at);
    else if (kind === 2) file.writeUInt32LE(random.below(2 ** 32), at);
    else if (kind === 3) file.writeBigUInt64LE(BigInt(random.below(80)), at);
    else file.copy(file, page, 8192 + 4096 * random.below(file.length / 4096 - 2), page + 4096);
  }
}

test("check survives any damage and finds what an independent checker finds", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  const random = new Random(seed);
  const originals = ["inline-boundary", "nested-5", "containerd-snapshots", "bolt-1.3.1", "pending-pages", "long-keys"].map((name) => fixtureBytes(name));
  let broken = 0;
  for (let i = 0; i < 600; i++) {
    const file = Buffer.from(random.pick(originals));
    damage(file, random);
    const input = checkInputOf(file);
    if (input === undefined) continue;
    const lines = [...check(input)];
    // How large an inline bucket may be is a rule for writers, no fault of a file.
    const raw = rawProblems(file).filter((line) => !line.includes("an inline bucket of"));
    if (raw.length > 0) broken++;
    assert.ok(raw.length === 0 || lines.length > 0, `round ${i}: ${raw.join("; ")}`);
  }
  assert.ok(broken > 100, `only ${broken} files were broken`);
});

test("keys that are longer than any that can be put are shown in part", () => {
  assert.equal(hexKey(Buffer.alloc(32_768, 0xab)), "ab".repeat(32_768));
  assert.equal(hexKey(Buffer.alloc(40_000, 0xab)), `${"ab".repeat(32_768)}... (40000 bytes)`);
});
