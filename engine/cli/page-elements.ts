/** The elements of a leaf or branch page, each as it can be shown; an element that lies outside its page is an error that says so. */
import { readU16, readU32, readU64 } from "../base/bytes.js";
import { BoltError } from "../base/errors.js";
import {
  BRANCH_CHILD, BRANCH_KEY_SIZE, BRANCH_POS, BUCKET_FLAG, BUCKET_HEADER_SIZE, LEAF_FLAGS, LEAF_KEY_SIZE, LEAF_POS, LEAF_VALUE_SIZE, PAGE_COUNT,
} from "../format/constants.js";
import { readBucketHeader } from "../format/bucket-header.js";
import { examineBranch, examineLeaf } from "../format/element-faults.js";
import { elementAt } from "../format/page-index.js";

/** An element of a leaf page. `value` of a nested bucket is its stored form. */
export interface LeafElement {
  readonly index: number;
  readonly flags: number;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** Where the nested bucket is, when the element is one. */
  readonly bucket: { readonly root: number; readonly sequence: bigint } | undefined;
}

/** An element of a branch page. */
export interface BranchElement {
  readonly index: number;
  readonly key: Uint8Array;
  readonly child: number;
}

/** @throws BoltError CORRUPT when an element lies outside its page, which `bytes` holds wholly */
export function refuseBrokenElements(bytes: Uint8Array, isLeaf: boolean): void {
  const count = readU16(bytes, PAGE_COUNT);
  const { faults } = isLeaf ? examineLeaf(bytes, bytes.length, count) : examineBranch(bytes, bytes.length, count);
  const outside = faults?.find((fault) => fault.outside);
  if (outside !== undefined) throw new BoltError("CORRUPT", outside.fault);
}

/** Steps through a leaf page of which `bytes` holds all, overflow pages too. @throws BoltError CORRUPT */
export function* leafElements(bytes: Uint8Array): Generator<LeafElement> {
  const count = readU16(bytes, PAGE_COUNT);
  refuseBrokenElements(bytes, true);
  for (let index = 0; index < count; index++) yield leafElement(bytes, index);
}

/** Reads one element of a leaf page; it must lie inside the page. @param end where its value ends, if not where it says */
export function leafElement(bytes: Uint8Array, index: number, end?: number): LeafElement {
  const element = elementAt(0, index);
  const flags = readU32(bytes, element + LEAF_FLAGS);
  const start = element + readU32(bytes, element + LEAF_POS);
  const valueStart = start + readU32(bytes, element + LEAF_KEY_SIZE);
  const valueEnd = end ?? valueStart + readU32(bytes, element + LEAF_VALUE_SIZE);
  const isBucket = (flags & BUCKET_FLAG) !== 0 && valueEnd - valueStart >= BUCKET_HEADER_SIZE;
  return {
    index, flags, key: bytes.subarray(start, valueStart), value: bytes.subarray(valueStart, valueEnd),
    bucket: isBucket ? readBucketHeader(bytes, valueStart) : undefined,
  };
}

/** Steps through a branch page. @throws BoltError CORRUPT */
export function* branchElements(bytes: Uint8Array): Generator<BranchElement> {
  const count = readU16(bytes, PAGE_COUNT);
  refuseBrokenElements(bytes, false);
  for (let index = 0; index < count; index++) {
    const element = elementAt(0, index);
    const start = element + readU32(bytes, element + BRANCH_POS);
    yield { index, key: bytes.subarray(start, start + readU32(bytes, element + BRANCH_KEY_SIZE)), child: readU64(bytes, element + BRANCH_CHILD) };
  }
}
