/** Writing nodes as pages: the bytes follow docs/format.md, every byte is set, and the tree above them is right at every level. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { elementAt } from "../../../engine/format/page-index.js";
import { readPageHeader } from "../../../engine/format/page.js";
import { Arena } from "../../../engine/tree/arena.js";
import { decodeLeaf } from "../../../engine/tree/node.js";
import { PageImage } from "../../../engine/tree/page-image.js";
import type { NodePlan, PagePlan } from "../../../engine/tree/paginate.js";
import { planTree, writeElements, writePage } from "../../../engine/tree/spill.js";
import { seedOfRun } from "../../support/random.js";
import { writeLeaf } from "../format/raw-file.js";
import { anyValue, hardKey } from "./arbitraries.js";
import { nodeOf, type Pair, sorted } from "./store.js";

const seed = seedOfRun();
const PAGE_SIZE = 1024;

/** The pairs of a written leaf page, read by the format's own words. */
function leafPairs(page: Buffer, at = 0): Pair[] {
  return Array.from({ length: page.readUInt16LE(at + 10) }, (_, i): Pair => {
    const element = elementAt(at, i);
    const key = element + page.readUInt32LE(element + 4);
    const value = key + page.readUInt32LE(element + 8);
    return [page.subarray(key, value), page.subarray(value, value + page.readUInt32LE(element + 12))];
  });
}

/** What a tree of nodes is planned to: no page is one already. */
function encoded(plans: readonly PagePlan[]): NodePlan[] {
  return plans.map((plan) => {
    assert.ok(!(plan instanceof PageImage));
    return plan;
  });
}

function written(plan: NodePlan): Buffer {
  const page = Buffer.alloc(plan.pageCount * PAGE_SIZE + 8, 0xaa);
  writePage(plan, page, 4, PAGE_SIZE);
  assert.ok(page.subarray(0, 4).equals(Buffer.alloc(4, 0xaa)) && page.subarray(-4).equals(Buffer.alloc(4, 0xaa)), "nothing outside the page is touched");
  return page.subarray(4, -4);
}

test(`the leaves of a plan hold all elements in order, zeros behind them (SEED=${seed})`, () => {
  fc.assert(fc.property(fc.array(fc.tuple(hardKey, anyValue), { maxLength: 80 }), fc.constantFrom(0.1, 0.5, 1), (list, fillPercent) => {
    const pairs = sorted(list);
    const plans: PagePlan[] = [];
    const top = planTree(nodeOf(new Arena(4096), false, pairs), { pageSize: PAGE_SIZE, fillPercent }, plans);
    assert.equal(plans.at(-1), top, "children come before their parents");
    for (const [i, plan] of plans.entries()) plan.pgid = 2 ** 33 + i;
    const leaves = encoded(plans).filter(({ node }) => !node.isBranch).map((plan) => ({ plan, page: written(plan) }));
    assert.deepEqual(leaves.flatMap(({ page }) => leafPairs(page)), pairs);
    for (const { plan, page } of leaves) {
      assert.deepEqual(readPageHeader(page, 0), { id: plan.pgid, flags: 2, count: plan.to - plan.from, overflow: plan.pageCount - 1 });
      const end = 16 + leafPairs(page).reduce((sum, [key, value]) => sum + 16 + key.length + value.length, 0);
      assert.ok(page.subarray(end).every((byte) => byte === 0));
    }
  }), { seed, numRuns: 100 });
});

test("a branch element has the first key and the page id of each page of its child, at every level", () => {
  const pairs = Array.from({ length: 20_000 }, (_, i): Pair => [Buffer.from(String(i).padStart(40, "k")), Buffer.alloc(10)]);
  const plans: PagePlan[] = [];
  planTree(nodeOf(new Arena(4096), false, pairs), { pageSize: PAGE_SIZE, fillPercent: 0.5 }, plans);
  for (const [i, plan] of plans.entries()) plan.pgid = 2 ** 33 + i;
  const pages = new Map(encoded(plans).map((plan) => [plan.pgid, written(plan)]));
  let branches = 0;
  const named = new Set<number>();
  for (const page of pages.values()) {
    if (readPageHeader(page, 0).flags !== 1) continue;
    branches++;
    for (let i = 0; i < page.readUInt16LE(10); i++) {
      const element = elementAt(0, i);
      const key = page.subarray(element + page.readUInt32LE(element), element + page.readUInt32LE(element) + page.readUInt32LE(element + 4));
      const child = Number(page.readBigUInt64LE(element + 8));
      assert.ok(!named.has(child));
      named.add(child);
      const childPage = pages.get(child);
      assert.ok(childPage !== undefined);
      const first = elementAt(0, 0);
      const isLeaf = readPageHeader(childPage, 0).flags === 2;
      const start = first + childPage.readUInt32LE(first + (isLeaf ? 4 : 0));
      assert.ok(childPage.subarray(start, start + childPage.readUInt32LE(first + (isLeaf ? 8 : 4))).equals(key));
    }
  }
  assert.ok(branches > 100, `${branches} branch pages`);
  assert.equal(named.size, pages.size - 1, "all pages but the root are named once");
});

test("a page with one changed element equals the page written anew, whatever order its data stood in", () => {
  const elements = Array.from({ length: 20 }, (_, i) => ({ key: `key ${String(i).padStart(2, "0")}`, value: "v".repeat(i) }));
  const page = new Uint8Array(4096);
  writeLeaf(page, 0, 9, elements);
  for (const changed of [0, 10, 19]) {
    const arena = new Arena(4096);
    const node = decodeLeaf(arena, arena.addSource(page), page, 0, 20);
    const key = Buffer.from(elements[changed]!.key);
    arena.store(key, Buffer.from("changed"));
    const { source, offset } = arena;
    node.set(changed, source, offset, key.length, 7, 0);
    const target = Buffer.alloc(4096);
    target.writeUInt16LE(20, 10);
    writeElements(node, 0, 20, target, 0);
    const expected = elements.map(({ key: k, value }, i) => [k, i === changed ? "changed" : value]);
    assert.deepEqual(leafPairs(target).map(([k, value]) => [k.toString(), value.toString()]), expected);
  }
});
