/**
 * A place in a bucket that stays right while the same transaction puts and deletes: it knows its key, and where the tree has changed since
 * the last move, or a move has failed, it finds the key's place again. What cursors and iterators are made of.
 */
import { BUCKET_FLAG } from "../format/constants.js";
import { compareBytes, copyBytes } from "../base/bytes.js";
import { bufferAt, copyFrom, copyOut, copyToKeep, isPooled, TINY_SIZE } from "../base/memory.js";
import { requireValue } from "../tree/pages.js";
import { TreeCursor } from "../tree/tree-cursor.js";
import type { BucketState } from "./bucket-state.js";

/** Bytes of the second run: the first is the entry that was asked for. */
const FIRST_RUN_SIZE = 256;
/** A third of Buffer.poolSize: runs are taken from Node's pool, and so little of it is left over. */
const MAX_RUN_SIZE = 2720;

/** A place in a bucket. */
export class Place {
  readonly bucket: BucketState;
  readonly cursor: TreeCursor;
  /** It is moved from the last key to the first: neighbours that are copied with an entry are those before it. */
  isBackward = false;
  /** The key it is on: kept only in a write transaction, where the element may go away. */
  #key: Uint8Array | undefined;
  readonly #keepsKey: boolean;
  /** It went past an end: only its key says where it is. */
  #isLost = false;
  // The run: neighbours that were copied at once, and where they are now. See copyPair.
  #runTicket = -1;
  #runFrom = 0;
  #runTo = 0;
  #runMemory: ArrayBufferLike | undefined;
  #runShift = 0;
  #runIsBackward = false;
  /** Up to here the run was handed out: no byte of it is a second time. */
  #runEdge = 0;
  /** Bytes of the next run; 0: the entry alone. */
  #runSize = 0;

  constructor(bucket: BucketState) {
    this.bucket = bucket;
    this.cursor = new TreeCursor(bucket.tree);
    this.#keepsKey = bucket.tx.isWritable;
    bucket.tx.stats.cursorCount++;
  }

  first(): boolean {
    this.#runSize = 0;
    return this.#arrive(this.cursor.first());
  }

  last(): boolean {
    this.#runSize = 0;
    return this.#arrive(this.cursor.last());
  }

  /** Goes to the first key that is not less. */
  seek(key: Uint8Array): boolean {
    this.#runSize = 0;
    return this.#arrive(this.cursor.seek(key));
  }

  /** Goes to the first key that is greater than the one it is on. False at the end: then it stays where it is. */
  next(): boolean {
    const cursor = this.cursor;
    const found = this.#isThere() ? cursor.next() : cursor.isInGap() ? cursor.leaveGap(1) : this.#findNext(this.#key ?? cursor.edgeKey());
    if (found) return this.#arrive(true);
    if (this.#keepsKey) this.#isLost = true;
    else cursor.last();
    return false;
  }

  /** Goes to the last key that is less than the one it is on. False at the start: then it stays where it is, though that key may have been deleted. */
  previous(): boolean {
    const cursor = this.cursor;
    const found = this.#isThere() ? cursor.previous() : cursor.isInGap() ? cursor.leaveGap(-1) : cursor.seekBefore(this.#key ?? cursor.edgeKey());
    if (found) return this.#arrive(true);
    if (this.#keepsKey) this.#isLost = true;
    else cursor.first();
    return false;
  }

  /** Goes to the last key less than `key`. */
  seekBefore(key: Uint8Array): boolean {
    return this.#arrive(this.cursor.seekBefore(key));
  }

  #findNext(key: Uint8Array): boolean {
    return this.cursor.seek(key) && (this.compareKey(key) !== 0 || this.cursor.next());
  }

  #arrive(found: boolean): boolean {
    this.#isLost = !found;
    if (found && this.#keepsKey) this.#keepKey();
    return found;
  }

  /** Where the last key was, if this one is as long (measured with keys of 200 bytes: walks in a write transaction take 0.8 of the time). */
  #keepKey(): void {
    const { bytes, keyStart, keySize } = this.cursor;
    const key = this.#key;
    if (key === undefined || key.length !== keySize) this.#key = copyToKeep(bytes, keyStart, keySize);
    else copyBytes(key, 0, bytes, keyStart, keySize);
  }

  /** Deletes the key it is on, in a write transaction; no error when it has gone. @throws BoltError INCOMPATIBLE_VALUE for a nested bucket */
  delete(): void {
    if (this.#isThere() && !this.isBucket && this.cursor.remove()) return;
    this.bucket.tree.remove(this.#key!, 0);
  }

  #isThere(): boolean {
    return this.cursor.isCurrent() && (!this.#keepsKey || !this.#isLost);
  }

  // ---- the element

  /** Gives copies of key and value. */
  copyPair(): [Buffer, Buffer] {
    const { keyStart, keySize, valueSize } = this.cursor;
    const valueStart = keyStart + keySize;
    const end = valueStart + valueSize;
    if (!this.#isNextInRun(keyStart, end) && !this.#copyRun(keyStart, end)) return [this.copyKey(), this.copyValue()];
    this.#runEdge = this.isBackward ? keyStart : end;
    const memory = this.#runMemory!;
    const shift = this.#runShift;
    return [bufferAt(memory, keyStart + shift, keySize), bufferAt(memory, valueStart + shift, valueSize)];
  }

  /** Whether the run has the entry, and has not given out a byte of it yet: a cursor may turn round, elements of a strange file may overlap. */
  #isNextInRun(start: number, end: number): boolean {
    if (this.cursor.pageTicket !== this.#runTicket || this.isBackward !== this.#runIsBackward) return false;
    return this.isBackward ? start >= this.#runFrom && end <= this.#runEdge : start >= this.#runEdge && end <= this.#runTo;
  }

  /**
   * Copies an entry with the neighbours that will be asked for next (measured: a scan of copies takes 0.7 of the time). First the entry
   * alone, then more and more of them. False where they cannot be copied at once: then every copy is made by itself.
   */
  #copyRun(start: number, end: number): boolean {
    const { cursor } = this;
    // In a write transaction a neighbour may be changed before it is asked for.
    if (this.#keepsKey || cursor.frame < 0 || end - start > MAX_RUN_SIZE || !isPooled(MAX_RUN_SIZE)) return false;
    this.#requireValue();
    const size = Math.max(end - start, this.#runSize);
    this.#runSize = this.#runSize === 0 ? FIRST_RUN_SIZE : Math.min(2 * this.#runSize, MAX_RUN_SIZE);
    this.#runIsBackward = this.isBackward;
    this.#runFrom = this.isBackward ? Math.min(start, Math.max(cursor.dataStart, end - size)) : start;
    this.#runTo = this.isBackward ? end : Math.max(end, Math.min(cursor.dataEnd, start + size));
    const copy = copyFrom(cursor.memory, this.#runFrom, this.#runTo - this.#runFrom);
    this.#runMemory = copy.buffer;
    this.#runShift = copy.byteOffset - this.#runFrom;
    this.#runTicket = cursor.pageTicket;
    return true;
  }

  /** Gives views of key and value. */
  viewPair(): [Uint8Array, Uint8Array] {
    const { keyStart, keySize, valueSize, frame, memory } = this.cursor;
    this.#requireValue();
    if (frame < 0) return [this.#ownView(keyStart, keySize), this.#ownView(keyStart + keySize, valueSize)];
    if (!this.cursor.isKept) this.cursor.keepPage();
    return [new Uint8Array(memory, keyStart, keySize), new Uint8Array(memory, keyStart + keySize, valueSize)];
  }

  get isBucket(): boolean {
    return this.cursor.flags === BUCKET_FLAG;
  }

  /** Compares the key it is on with another. */
  compareKey(key: Uint8Array): number {
    const { bytes, keyStart, keySize } = this.cursor;
    return compareBytes(bytes, keyStart, keySize, key, 0, key.length);
  }

  keyStartsWith(prefix: Uint8Array): boolean {
    const { bytes, keyStart, keySize } = this.cursor;
    return keySize >= prefix.length && compareBytes(bytes, keyStart, prefix.length, prefix, 0, prefix.length) === 0;
  }

  copyKey(): Buffer {
    return this.#copy(this.cursor.keyStart, this.cursor.keySize);
  }

  copyValue(): Buffer {
    const { keyStart, keySize, valueSize } = this.cursor;
    this.#requireValue();
    return this.#copy(keyStart + keySize, valueSize);
  }

  #requireValue(): void {
    const { tree, bytes, valueSize } = this.cursor;
    requireValue(tree.pages, bytes, valueSize);
  }

  #copy(start: number, size: number): Buffer {
    const { bytes, frame, memory } = this.cursor;
    return frame < 0 || size <= TINY_SIZE ? copyOut(bytes, start, size) : copyFrom(memory, start, size);
  }

  /** Gives a view of bytes that are the transaction's own. */
  #ownView(start: number, size: number): Uint8Array {
    const { bytes } = this.cursor;
    return new Uint8Array(bytes.buffer, bytes.byteOffset + start, size);
  }
}
