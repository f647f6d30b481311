/** Reads a file or the standard input block by block, or line by line, whatever the lines' length. */
import { closeSync, openSync, readSync } from "node:fs";
import type { Io } from "./io.js";

const BLOCK_SIZE = 65_536;
const LINE_FEED = 10;

/** Steps through a file, `-` for the standard input, a block at a time. */
export function* blocksOf(path: string, io: Io): Generator<Buffer> {
  const descriptor = path === "-" ? undefined : openSync(path, "r");
  try {
    for (;;) {
      const block = Buffer.allocUnsafe(BLOCK_SIZE);
      const count = descriptor === undefined ? io.readInput(block) : readSync(descriptor, block);
      if (count === 0) return;
      yield block.subarray(0, count);
    }
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Steps through the lines of a file, `-` for the standard input, without their line breaks. */
export function* linesOf(path: string, io: Io): Generator<Buffer> {
  let begun: Buffer[] = [];
  for (const block of blocksOf(path, io)) {
    let start = 0;
    for (let end; (end = block.indexOf(LINE_FEED, start)) !== -1; start = end + 1) {
      const line = block.subarray(start, end);
      yield begun.length === 0 ? line : Buffer.concat([...begun, line]);
      begun = [];
    }
    if (start < block.length) begun.push(block.subarray(start));
  }
  if (begun.length > 0) yield Buffer.concat(begun);
}
