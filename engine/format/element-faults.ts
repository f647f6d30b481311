/**
 * What is wrong with the elements of a branch or leaf page, all of it: the tolerant counterpart of page-index.ts, which stops
 * at the first fault. A sound page costs one pass and no allocation.
 *
 * It reads nothing but the page's own bytes and says nothing about the order of the keys. Elements that claim the same bytes
 * are a fault: with them a small page could hold any amount of data, and whoever copies keys or looks into inline buckets would
 * never come to an end.
 */
import { readU32 } from "../base/bytes.js";
import {
  BRANCH_KEY_SIZE, BRANCH_POS, BUCKET_FLAG, BUCKET_HEADER_SIZE, ELEMENT_SIZE, LEAF_FLAGS, LEAF_KEY_SIZE, LEAF_POS, LEAF_VALUE_SIZE,
  PAGE_HEADER_SIZE,
} from "./constants.js";
import { branchFault, elementAt, leafFault, sharedFault } from "./page-index.js";

/** One fault: the element (-1: the element array as a whole) and what is wrong with it. */
export interface ElementFault {
  readonly index: number;
  readonly fault: string;
  /** The element's data must not be looked at: it lies outside the page or belongs to other elements. */
  readonly outside: boolean;
}

/** What one pass over the elements found. */
export interface ElementReport {
  /** undefined: no fault. */
  readonly faults: readonly ElementFault[] | undefined;
  /** Leaf: elements that carry the bucket flag, sound or not. */
  readonly bucketCount: number;
}

const SOUND: ElementReport = { faults: undefined, bucketCount: 0 };

function doesNotFit(count: number, size: number): ElementReport {
  return { faults: [{ index: -1, fault: `${count} elements do not fit into ${size} bytes`, outside: true }], bucketCount: 0 };
}

/** Examines the elements of the leaf page of `size` bytes that `bytes` starts with. */
export function examineLeaf(bytes: Uint8Array, size: number, count: number): ElementReport {
  const dataStart = PAGE_HEADER_SIZE + count * ELEMENT_SIZE;
  if (dataStart > size) return doesNotFit(count, size);
  let faults: ElementFault[] | undefined;
  let bucketCount = 0;
  let room = size - dataStart;
  for (let i = 0; i < count; i++) {
    const element = elementAt(0, i);
    const flags = readU32(bytes, element + LEAF_FLAGS);
    const start = element + readU32(bytes, element + LEAF_POS);
    const keySize = readU32(bytes, element + LEAF_KEY_SIZE);
    const valueSize = readU32(bytes, element + LEAF_VALUE_SIZE);
    if (flags === BUCKET_FLAG) bucketCount++;
    const isInside = start >= dataStart && start + keySize + valueSize <= size;
    if (isInside) room -= keySize + valueSize;
    if (isInside && room >= 0 && flags <= BUCKET_FLAG && keySize !== 0 && (flags === 0 || valueSize >= BUCKET_HEADER_SIZE)) continue;
    const isShared = isInside && room < 0;
    const fault = isShared ? sharedFault(i) : leafFault(i, isInside, flags, start, keySize, valueSize, size);
    (faults ??= []).push({ index: i, fault, outside: !isInside || isShared });
  }
  return faults === undefined && bucketCount === 0 ? SOUND : { faults, bucketCount };
}

/** Examines the elements of the branch page of `size` bytes that `bytes` starts with. */
export function examineBranch(bytes: Uint8Array, size: number, count: number): ElementReport {
  const dataStart = PAGE_HEADER_SIZE + count * ELEMENT_SIZE;
  if (dataStart > size) return doesNotFit(count, size);
  let faults: ElementFault[] | undefined;
  let room = size - dataStart;
  for (let i = 0; i < count; i++) {
    const element = elementAt(0, i);
    const start = element + readU32(bytes, element + BRANCH_POS);
    const keySize = readU32(bytes, element + BRANCH_KEY_SIZE);
    const isInside = start >= dataStart && start + keySize <= size;
    if (isInside) room -= keySize;
    if (isInside && room >= 0 && keySize !== 0) continue;
    const isShared = isInside && room < 0;
    const fault = isShared ? sharedFault(i) : branchFault(i, isInside, start, keySize, size);
    (faults ??= []).push({ index: i, fault, outside: !isInside || isShared });
  }
  return faults === undefined ? SOUND : { faults, bucketCount: 0 };
}
