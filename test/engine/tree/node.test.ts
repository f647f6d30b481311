/** Nodes and the arena behind them: columns of elements against an array of keys and values. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ELEMENT_SIZE, PAGE_HEADER_SIZE } from "../../../engine/format/constants.js";
import { copyBytes } from "../../../engine/base/bytes.js";
import { Arena } from "../../../engine/tree/arena.js";
import { decodeBranch, decodeLeaf, FLAGS, KEY_SIZE, type Node, OFFSET, VALUE_SIZE } from "../../../engine/tree/node.js";
import { seedOfRun } from "../../support/random.js";
import { writeBranch, writeLeaf } from "../format/raw-file.js";
import { hardKey } from "./arbitraries.js";
import { nodeOf, type Pair, sorted } from "./store.js";

const seed = seedOfRun();

function pairsOf(node: Node): Pair[] {
  return Array.from({ length: node.count }, (_, i): Pair => {
    const bytes = node.keyBytes(i);
    const start = node.column(i, OFFSET);
    const middle = start + node.column(i, KEY_SIZE);
    return [Buffer.from(bytes.subarray(start, middle)), Buffer.from(bytes.subarray(middle, middle + node.column(i, VALUE_SIZE)))];
  });
}

function assertIs(node: Node, pairs: readonly Pair[]): void {
  assert.deepEqual(pairsOf(node), pairs);
  assert.equal(node.byteSize, pairs.reduce((sum, [key, value]) => sum + ELEMENT_SIZE + key.length + value.length, PAGE_HEADER_SIZE));
}

const pair = fc.tuple(hardKey, fc.nat(300).map((size) => Buffer.alloc(size, size)));
const pairList = fc.array(pair, { minLength: 1, maxLength: 60 }).map((pairs) => sorted(pairs));

test(`inserting, removing, splitting and appending keep elements, order and byte size (SEED=${seed})`, () => {
  fc.assert(fc.property(pairList, fc.array(fc.tuple(fc.constantFrom("insert", "remove", "split"), fc.nat(1000)), { maxLength: 40 }), (start, steps) => {
    const arena = new Arena(4096);
    const node = nodeOf(arena, false, start);
    const pairs = [...start];
    for (const [what, number] of steps) {
      const i = number % (pairs.length + 1);
      if (what === "insert") {
        const added: Pair = [Buffer.from(`new ${number}`), Buffer.alloc(number % 50)];
        arena.store(added[0], added[1]);
        const { source, offset } = arena;
        node.insert(i);
        node.set(i, source, offset, added[0].length, added[1].length, 0);
        node.byteSize += node.elementSize(i);
        pairs.splice(i, 0, added);
      } else if (what === "remove" && i < pairs.length) {
        node.remove(i);
        pairs.splice(i, 1);
      } else if (what === "split") {
        const right = node.splitOff(i);
        assertIs(right, pairs.slice(i));
        assertIs(node, pairs.slice(0, i));
        node.append(right, 0, right.count);
      }
      assertIs(node, pairs);
    }
  }), { seed, numRuns: 150 });
});

test("room for many elements is made in one move, at the start, in the middle and at the end", () => {
  for (const at of [0, 1, 3]) {
    const arena = new Arena(4096);
    const pairs = ["a", "b", "c"].map((key): Pair => [Buffer.from(key), Buffer.alloc(2)]);
    const node = nodeOf(arena, false, pairs);
    node.insert(at, 1000);
    assert.equal(node.count, 1003);
    const kept = Array.from({ length: 1003 }, (_, i) => i).filter((i) => i < at || i >= at + 1000);
    assert.deepEqual(kept.map((i) => pairsOf(node)[i]?.[0].toString()), ["a", "b", "c"]);
  }
});

test(`the lower bound of a node is that of a plain search (SEED=${seed})`, () => {
  fc.assert(fc.property(pairList, fc.array(hardKey, { maxLength: 20 }), (pairs, probes) => {
    const node = nodeOf(new Arena(4096), false, pairs);
    for (const probe of [...probes, ...pairs.map(([key]) => key), Buffer.alloc(0)]) {
      const at = pairs.findIndex(([key]) => Buffer.compare(key, probe) >= 0);
      assert.equal(node.lowerBound(probe), at < 0 ? pairs.length : at);
    }
  }), { seed, numRuns: 100 });
});

test("a leaf page becomes a node with its elements and flags, whatever order their data stands in", () => {
  const arena = new Arena(4096);
  const page = new Uint8Array(8192);
  writeLeaf(page, 4096, 9, [{ key: "a", value: "1" }, { key: "b", value: "", flags: 0 }, { key: "c", value: "0123456789abcdef", flags: 1 }]);
  const node = decodeLeaf(arena, arena.addSource(page), page, 4096, 3);
  assertIs(node, [["a", "1"], ["b", ""], ["c", "0123456789abcdef"]].map(([key, value]): Pair => [Buffer.from(key ?? ""), Buffer.from(value ?? "")]));
  assert.deepEqual([0, 1, 2].map((i) => node.column(i, FLAGS)), [0, 0, 1]);
});

test("page ids above 2^32 survive in a branch", () => {
  const arena = new Arena(4096);
  const page = new Uint8Array(4096);
  writeBranch(page, 0, 9, [["a", 2 ** 52 + 1], ["b", 5]]);
  const node = decodeBranch(arena, arena.addSource(page), page, 0, 2);
  assert.deepEqual([node.child(0), node.child(1)], [2 ** 52 + 1, 5]);
  node.setChild(1, 2 ** 45 + 2 ** 32 + 7);
  assert.deepEqual([node.child(0), node.child(1)], [2 ** 52 + 1, 2 ** 45 + 2 ** 32 + 7]);
});

test("the arena keeps what it stored apart, small and large, over chunk borders, and starts again after a reset", () => {
  const arena = new Arena(4096);
  for (let round = 0; round < 3; round++) {
    const places: [source: number, offset: number, key: Buffer, value: Buffer][] = [];
    for (let i = 0; i < 3000; i++) {
      const key = Buffer.from(`key ${round} ${i}`);
      const value = Buffer.alloc(i % 100 === 0 ? 70_000 : i % 700, i);
      arena.store(key, value);
      places.push([arena.source, arena.offset, key, value]);
    }
    for (const [source, offset, key, value] of places) {
      const bytes = arena.sources[source]!.subarray(offset, offset + key.length + value.length);
      assert.ok(Buffer.concat([key, value]).equals(bytes));
    }
    arena.reset();
    assert.equal(arena.sources.length, 0);
  }
});

test("columns of two nodes never overlap, however many words are asked for", () => {
  const arena = new Arena(4096);
  const taken = new Map<Uint32Array, [from: number, to: number][]>();
  for (const words of [5, 40, 65_000, 100, 65_536, 65_537, 1_000_000, 500, 65_536, 1]) {
    const array = arena.columns(words);
    const range: [number, number] = [arena.offset, arena.offset + words];
    assert.ok(range[1] <= array.length);
    for (const [from, to] of taken.get(array) ?? []) assert.ok(range[1] <= from || range[0] >= to);
    taken.set(array, [...(taken.get(array) ?? []), range]);
  }
});

test("ranges of all sizes around the switch from loop to set are copied", () => {
  const source = Uint8Array.from({ length: 200 }, (_, i) => i);
  for (const size of [0, 1, 39, 40, 41, 100, 200]) {
    const target = new Uint8Array(210);
    const start = 200 - size;
    copyBytes(target, 5, source, start, size);
    assert.deepEqual(target, Uint8Array.from({ length: 210 }, (_, i) => (i >= 5 && i < 5 + size ? start + i - 5 : 0)));
  }
});
