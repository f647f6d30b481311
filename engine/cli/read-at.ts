/** Reading from a file at a position. */
import { readSync } from "node:fs";

/** Node takes no length from 2^31 on, and a page with a large value is longer. */
const CALL_SIZE = 2 ** 30;

/** Reads until `target` is full or the file ends, at most `callSize` bytes a call; gives the number of bytes read. */
export function readAt(descriptor: number, target: Uint8Array, position: number, callSize: number = CALL_SIZE): number {
  let done = 0;
  while (done < target.length) {
    const count = readSync(descriptor, target, done, Math.min(callSize, target.length - done), position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}
