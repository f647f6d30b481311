/** Where nodes are cut into pages: everything is on a page, in order, and no page is fuller or emptier than it may be. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ELEMENT_SIZE, PAGE_HEADER_SIZE } from "../../../engine/format/constants.js";
import { Arena } from "../../../engine/tree/arena.js";
import type { Node } from "../../../engine/tree/node.js";
import { type NodePlan, paginate } from "../../../engine/tree/paginate.js";
import { seedOfRun } from "../../support/random.js";
import { nodeOf, type Pair } from "./store.js";

const seed = seedOfRun();
const PAGE_SIZE = 1024;

/** A node with elements of the given sizes, header included. */
function nodeOfSizes(sizes: readonly number[], isBranch: boolean): Node {
  const pairs = sizes.map((size, i): Pair => {
    const keySize = isBranch ? size - ELEMENT_SIZE : 8;
    const key = Buffer.alloc(keySize, 0x61);
    key.writeUInt32BE(i, 0);
    return [key, Buffer.alloc(isBranch ? 0 : size - ELEMENT_SIZE - keySize)];
  });
  return nodeOf(new Arena(4096), isBranch, pairs);
}

function sizeOf({ node, from, to }: NodePlan): number {
  let size = PAGE_HEADER_SIZE;
  for (let i = from; i < to; i++) size += node.elementSize(i);
  return size;
}

const size = fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 24, max: 150 }) }, { weight: 2, arbitrary: fc.integer({ min: 24, max: 1008 }) }, { weight: 1, arbitrary: fc.integer({ min: 1009, max: 5000 }) });
const fill = fc.constantFrom(-1, 0, 0.1, 0.3, 0.5, 0.9, 1, 7);

function assertCovers(plans: readonly NodePlan[], node: Node): void {
  let next = 0;
  for (const { from, to } of plans) {
    assert.equal(from, next);
    assert.ok(to > from || node.count === 0);
    next = to;
  }
  assert.equal(next, node.count);
  for (const plan of plans) assert.equal(plan.pageCount, Math.max(1, Math.ceil(sizeOf(plan) / PAGE_SIZE)));
}

test(`a leaf is cut into full pages in element order, one too large for a page alone (SEED=${seed})`, () => {
  fc.assert(fc.property(fc.array(size, { maxLength: 200 }), fill, fc.boolean(), (sizes, fillPercent, appended) => {
    const node = nodeOfSizes(sizes, false);
    node.appended = appended;
    const plans = paginate(node, PAGE_SIZE, fillPercent);
    assertCovers(plans, node);
    if (node.byteSize <= PAGE_SIZE) return assert.equal(plans.length, 1);
    const threshold = appended ? PAGE_SIZE : Math.floor(PAGE_SIZE * Math.min(1, Math.max(0.1, fillPercent)));
    for (const plan of plans) {
      if (sizeOf(plan) > PAGE_SIZE) assert.equal(plan.to - plan.from, 1, "only an element that is too large overflows");
      const next = plan.to < node.count ? node.elementSize(plan.to) : undefined;
      if (next === undefined || next + PAGE_HEADER_SIZE > PAGE_SIZE || sizeOf(plan) > PAGE_SIZE) continue;
      assert.ok(sizeOf(plan) + next > threshold, "the next element did not fit below the threshold");
      if (plan.to - plan.from === 1) assert.ok(sizeOf(plan) + next > PAGE_SIZE, "alone only when the next element did not fit into the page");
      if (sizeOf(plan) > threshold) assert.ok(plan.to - plan.from <= 2, "above the threshold only when one element is, or two");
    }
  }), { seed, numRuns: 300 });
});

test(`a branch page never has fewer than two elements and overflows only with two or three (SEED=${seed})`, () => {
  fc.assert(fc.property(fc.array(size, { minLength: 2, maxLength: 200 }), fill, fc.boolean(), (sizes, fillPercent, appended) => {
    const node = nodeOfSizes(sizes, true);
    node.appended = appended;
    const plans = paginate(node, PAGE_SIZE, fillPercent);
    assertCovers(plans, node);
    for (const plan of plans) {
      const count = plan.to - plan.from;
      assert.ok(count >= 2, `${count} elements`);
      if (sizeOf(plan) > PAGE_SIZE) assert.ok(count <= 3, `${count} elements in ${sizeOf(plan)} bytes`);
    }
  }), { seed, numRuns: 300 });
});

test("the fill percent decides how many pages are made, between a tenth and all of a page", () => {
  const countOf = (fillPercent: number): number => paginate(nodeOfSizes(new Array<number>(1000).fill(50), false), PAGE_SIZE, fillPercent).length;
  assert.equal(countOf(1), 50); // 20 elements of 50 bytes and a header are 1,016 bytes
  assert.equal(countOf(0.5), 110); // 9 elements a page, and the last 19 fit together
  assert.equal(countOf(0.1), 491); // 2 elements a page, and the last 20 fit together
  assert.equal(countOf(-5), countOf(0.1));
  assert.equal(countOf(12), countOf(1));
});

test("a node that only grew at its end fills its pages whatever the fill percent", () => {
  const node = nodeOfSizes(new Array<number>(1000).fill(50), false);
  node.appended = true;
  assert.equal(paginate(node, PAGE_SIZE, 0.1).length, 50);
});

test("neighbours of an element too large for a page stay on pages of their own", () => {
  const plans = paginate(nodeOfSizes([50, 50, 5000, 50, 50], false), PAGE_SIZE, 0.5);
  assert.deepEqual(plans.map(({ from, to, pageCount }) => [from, to, pageCount]), [[0, 2, 1], [2, 3, 5], [3, 5, 1]]);
});

test("elements of a quarter of a page and more are not left alone where two fit", () => {
  for (const size of [260, 400, 500]) assert.equal(paginate(nodeOfSizes(new Array<number>(100).fill(size), false), PAGE_SIZE, 0.5).length, 50);
  assert.equal(paginate(nodeOfSizes(new Array<number>(100).fill(510), false), PAGE_SIZE, 0.5).length, 100);
});

test("an empty node is one page", () => {
  assert.deepEqual(paginate(nodeOfSizes([], false), PAGE_SIZE, 0.5).map(({ from, to, pageCount }) => [from, to, pageCount]), [[0, 0, 1]]);
});
