/**
 * How much a walk by keys may come across. In a damaged file several names, or pages, can lead to one place, and from there to one more, so that a few
 * pages hold more than anybody can walk; a sound file holds each of its bytes once.
 */
import { BoltError } from "../base/errors.js";
import { ELEMENT_SIZE } from "./constants.js";

/** What is left of the bytes of a file. */
export class ContentBound {
  #left: number;

  constructor(fileSize: number) {
    this.#left = fileSize;
  }

  /**
   * Notes an element; of a bucket the value is what is in it, which is noted by itself.
   * @throws BoltError CORRUPT when all elements so far would not fit into the file
   */
  take(keySize: number, valueSize: number): void {
    this.#left -= ELEMENT_SIZE + keySize + valueSize;
    if (this.#left < 0) throw new BoltError("CORRUPT", "there are more keys and values than the file has bytes: pages of it are reached again and again");
  }
}
