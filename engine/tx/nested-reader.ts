/**
 * Reads the inline buckets of a bucket where they lie: one object for all of them, in place of a bucket, a tree and a copy for each. For stores
 * that keep many small records as buckets.
 *
 * 1. It reads what is inline and unchanged only; of any other element `enter` gives false, and the bucket is opened in the ordinary way.
 * 2. What it gives is valid until the next call into the database; the bucket must not be changed during a walk.
 */
import { assert } from "../base/assert.js";
import { readU16, readU32, toLookUp, type BytesLike } from "../base/bytes.js";
import { bufferAt, copyOut } from "../base/memory.js";
import { BUCKET_FLAG, BUCKET_HEADER_SIZE, LEAF_KEY_SIZE, LEAF_POS, LEAF_VALUE_SIZE, PAGE_COUNT } from "../format/constants.js";
import { elementAt } from "../format/page-index.js";
import type { Pages } from "../tree/pages.js";
import { isInlineOfPairs } from "../tree/inline-page.js";
import { TreeCursor } from "../tree/tree-cursor.js";
import type { BucketState } from "./bucket-state.js";

/** Makes something of the bytes from `start` to before `end`, which it must not keep. */
export type Decode<T> = (bytes: Buffer, start: number, end: number) => T;

const NO_BYTES: Buffer = Buffer.alloc(0);

/** A walk over the elements of a bucket that looks into inline buckets. */
export class NestedReader {
  readonly #bucket: BucketState;
  /** For a walk; who only finds needs none. */
  #cursor: TreeCursor | undefined;
  // The element: set by first, next and find.
  /** The memory that the element is in, and the same as a Buffer, which can decode a part of itself. */
  #memory: Uint8Array = NO_BYTES;
  #bytes: Buffer = NO_BYTES;
  #nameStart = 0;
  #nameSize = 0;
  #valueSize = 0;
  #flags = 0;
  // The page of the inline bucket: set by enter.
  #page = 0;
  #count = 0;

  /** Comes from a bucket. @internal */
  constructor(bucket: BucketState) {
    this.#bucket = bucket;
    bucket.tx.stats.cursorCount++;
  }

  /** Goes to the first element; false when there is none. */
  first(): boolean {
    this.#bucket.requireReadable();
    this.#cursor ??= new TreeCursor(this.#bucket.tree);
    return this.#arrive(this.#cursor, this.#cursor.first());
  }

  /** Goes to the next element; false at the end. */
  next(): boolean {
    this.#bucket.requireReadable();
    const cursor = this.#cursor;
    assert(cursor?.isCurrent() === true, "the bucket was changed during a walk over its nested buckets");
    return this.#arrive(cursor, cursor.next());
  }

  /** Goes to the element of a name; false when there is none. Not part of a walk: `next` does not go on from here. */
  find(name: BytesLike): boolean {
    this.#bucket.requireReadable();
    const { tree } = this.#bucket;
    if (!tree.lookup(toLookUp(name, "bucket name", tree.pages.lookUpMemory))) return false;
    this.#useMemory(tree.bytes, tree.frame);
    this.#nameStart = tree.keyStart;
    this.#nameSize = tree.keySize;
    this.#valueSize = tree.valueSize;
    this.#flags = tree.flags;
    return true;
  }

  #arrive(cursor: TreeCursor, found: boolean): boolean {
    if (!found) return false;
    this.#useMemory(cursor.bytes, cursor.frame);
    this.#nameStart = cursor.keyStart;
    this.#nameSize = cursor.keySize;
    this.#valueSize = cursor.valueSize;
    this.#flags = cursor.flags;
    return true;
  }

  #useMemory(bytes: Uint8Array, frame: number): void {
    if (bytes === this.#memory) return;
    this.#memory = bytes;
    this.#bytes = bufferOn(this.#bucket.tree.pages, bytes, frame);
  }

  /** Whether the element is a nested bucket. */
  get isBucket(): boolean {
    return this.#flags === BUCKET_FLAG;
  }

  /** Gives a copy of the element's key. */
  name(): Buffer {
    return copyOut(this.#bytes, this.#nameStart, this.#nameSize);
  }

  /** Decodes the element's key. */
  readName<T>(decode: Decode<T>): T {
    return decode(this.#bytes, this.#nameStart, this.#nameStart + this.#nameSize);
  }

  /** Goes into the nested bucket; false when it cannot be read in place: then the ordinary way says what is wrong with it, if anything is. */
  enter(): boolean {
    const bytes = this.#bytes;
    const value = this.#nameStart + this.#nameSize;
    if (this.#flags !== BUCKET_FLAG || !isInlineOfPairs(bytes, value, this.#valueSize)) return false;
    // What the transaction has opened may have been changed, which its parent does not show before the commit.
    if (this.#bucket.children.size > 0 && this.#bucket.hasOpened(this.name())) return false;
    this.#page = value + BUCKET_HEADER_SIZE;
    this.#count = readU16(bytes, this.#page + PAGE_COUNT);
    return true;
  }

  /** Decodes the value of a key of the bucket that was entered; undefined when it is not there. */
  read<T>(key: Uint8Array, decode: Decode<T>): T | undefined {
    const bytes = this.#bytes;
    const page = this.#page;
    for (let i = 0; i < this.#count; i++) {
      const element = elementAt(page, i);
      if (readU32(bytes, element + LEAF_KEY_SIZE) !== key.length) continue;
      const start = element + readU32(bytes, element + LEAF_POS);
      let same = 0;
      while (same < key.length && bytes[start + same] === key[same]) same++;
      if (same < key.length) continue;
      const value = start + same;
      return decode(bytes, value, value + readU32(bytes, element + LEAF_VALUE_SIZE));
    }
    return undefined;
  }

  /** Nothing: an inline bucket holds no buckets. */
  bucket(_name: BytesLike): undefined {
    return undefined;
  }
}

/** Gives a Buffer on the same memory: that of a frame's slab, or the transaction's own where the frame is -1. */
export function bufferOn(pages: Pages, bytes: Uint8Array, frame: number): Buffer {
  if (frame >= 0) return bufferAt(pages.slabBuffers[frame >>> pages.frameBits]!, 0, bytes.length);
  return bufferAt(bytes.buffer, bytes.byteOffset, bytes.length);
}
