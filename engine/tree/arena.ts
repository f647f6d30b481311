/**
 * The memory of one write transaction: new keys and values, and the element columns of its nodes. Taken by bumping a pointer,
 * given back all at once at the end, when the database keeps some chunks of it for the next transaction. Large values have buffers of their own,
 * which can go earlier.
 *
 * An element names its bytes by source and offset; `sources` holds the slabs of clean pages (pinned), the arena's own chunks and those buffers.
 */
import { copyBytes } from "../base/bytes.js";
import { boltError } from "../base/errors.js";
import { NoMemoryError, requireMemory } from "../base/memory.js";
import { SpareMemory } from "../base/spare-memory.js";
import { ELEMENT_SIZE, MAX_DEPTH, PAGE_HEADER_SIZE } from "../format/constants.js";

const BYTES_CHUNK = 1 << 18;
/** From here on a value gets a buffer of its own. */
const OWN_BUFFER = 1 << 16;
/** Chunks that are kept for the next transaction. */
const KEPT_CHUNKS = 16;
const COLUMNS_CHUNK = 1 << 16;
/** From here on columns have an array of their own: so have those of all nodes of a large leaf but one, and go with them. */
const OWN_COLUMNS = 1 << 10;
/** Where the key of the only element of a leaf page stands. */
const ONLY_KEY = PAGE_HEADER_SIZE + ELEMENT_SIZE;

const NOTHING = new Uint8Array(0);

/** The branches of one way down: page ids, element indexes and counts. Each database has its own: a page may be read from a storage that is another one. */
class Path {
  readonly pgids: Float64Array = new Float64Array(MAX_DEPTH);
  readonly indexes: Int32Array = new Int32Array(MAX_DEPTH);
  readonly counts: Int32Array = new Int32Array(MAX_DEPTH);

  note(depth: number, pgid: number, index: number, count: number): void {
    this.pgids[depth] = pgid;
    this.indexes[depth] = index;
    this.counts[depth] = count;
  }
}

/** A chunk of bytes that is being filled. */
class Chunk {
  source = -1;
  used: number = BYTES_CHUNK;
  elementCount = 0;
  /** Serves the next transaction too. */
  isKept = true;
}

/** The memory of a write transaction. */
export class Arena {
  /** The way of the last descent. */
  readonly path: Path = new Path();
  readonly sources: Uint8Array[] = [];
  /** Pinned frames of the cache: those that nodes point into, and those of the writer's own. Whoever ends the transaction discards them. */
  readonly frames: Set<number> = new Set();
  /** The source and offset that the last `store`, `slabSource` or `columns` took. */
  source = 0;
  offset = 0;

  readonly #pageSize: number;
  /** By slab: its source, if it has one yet. */
  readonly #slabSources: (number | undefined)[] = [];
  /**
   * Sources that can go before the end of the transaction, with the elements that are in them: large values by themselves, and chunks that are not kept. Slabs,
   * with the pages that nodes point into.
   */
  readonly #elementCounts = new Map<number, number>();
  /** Sources that are memory for the leaf page that the element will be alone on. */
  readonly #leafPages = new Set<number>();
  readonly #spareMemory = new SpareMemory();
  readonly #byteChunks: Uint8Array[] = [];
  #byteChunkCount = 0;
  #newChunk = new Chunk();
  /**
   * For values that take the place of others, once no chunk is kept any more: they are likely to be replaced again, and beside keys that stay no chunk would
   * ever be free of elements. Measured: 200,000 times a new key and one and the same key of 4 kB in one transaction took a process to 837 MiB, and take it to 119.
   */
  #overwriteChunk = new Chunk();
  #isChanging = false;
  readonly #columnChunks: Uint32Array[] = [];
  #columnChunk = -1;
  #columnsUsed = COLUMNS_CHUNK;

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
  }

  /**
   * A put or a deletion begins to change the tree. One that does not come to its end, because the stack was full or the program was broken off by a `vm`
   * timeout, leaves nobody knows what: then the transaction can only be rolled back.
   * @throws BoltError TX_CLOSED where that has happened
   */
  beginChange(): void {
    this.requireWhole();
    this.#isChanging = true;
  }

  endChange(): void {
    this.#isChanging = false;
  }

  /** A change threw an error. One that finds no memory has changed nothing. */
  changeFailed(error: unknown): void {
    if (error instanceof NoMemoryError) this.#isChanging = false;
  }

  /** @throws BoltError TX_CLOSED when a change has not come to its end */
  requireWhole(): void {
    if (this.#isChanging) throw boltError("TX_CLOSED", "a put or delete of this transaction was broken off in the middle, so it can only be rolled back");
  }

  /** Forgets everything; memory of ordinary size is kept for reuse. */
  reset(): void {
    this.#isChanging = false;
    for (const source of this.#leafPages) this.#spareMemory.keep(this.sources[source]!);
    this.sources.length = 0;
    this.frames.clear();
    this.#slabSources.length = 0;
    this.#leafPages.clear();
    this.#elementCounts.clear();
    this.#byteChunkCount = 0;
    this.#newChunk = new Chunk();
    this.#overwriteChunk = new Chunk();
    this.#columnChunks.length = Math.min(this.#columnChunks.length, KEPT_CHUNKS);
    this.#columnChunk = -1;
    this.#columnsUsed = COLUMNS_CHUNK;
  }

  /** The source number of a slab's bytes, for a page that nodes point into. When they do no more, `forget` says so, as of an element. */
  slabSource(slab: number, bytes: Uint8Array): number {
    let source = this.#slabSources[slab];
    if (source === undefined || this.sources[source] !== bytes) source = this.#slabSources[slab] = this.addSource(bytes);
    this.#elementCounts.set(source, (this.#elementCounts.get(source) ?? 0) + 1);
    return (this.source = source);
  }

  addSource(bytes: Uint8Array): number {
    return this.sources.push(bytes) - 1;
  }

  /** Copies a key and the value behind it, which may take the place of another one; `source` and `offset` say where they are. */
  store(key: Uint8Array, value: Uint8Array, isOverwrite = false): void {
    const size = key.length + value.length;
    if (size >= OWN_BUFFER && ONLY_KEY + size > this.#pageSize) {
      this.#beginOwn(this.#newLeafPage(size), ONLY_KEY);
      this.#leafPages.add(this.source);
    } else if (size >= OWN_BUFFER) {
      this.#beginOwn(requireMemory(size), 0);
    } else {
      const chunk = isOverwrite && this.#byteChunkCount > KEPT_CHUNKS ? this.#overwriteChunk : this.#newChunk;
      if (chunk.used + size > BYTES_CHUNK) this.#beginChunk(chunk);
      this.source = chunk.source;
      this.offset = chunk.used;
      chunk.used += size;
      chunk.elementCount++;
    }
    const target = this.sources[this.source]!;
    copyBytes(target, this.offset, key, 0, key.length);
    copyBytes(target, this.offset + key.length, value, 0, value.length);
  }

  #beginOwn(memory: Uint8Array, offset: number): void {
    this.source = this.addSource(memory);
    this.#elementCounts.set(this.source, 1);
    this.offset = offset;
  }

  /** Says that an element of a source is gone. Memory without elements is given up, not used again: a view of it may have been handed out. */
  forget(source: number): void {
    if (source === this.#newChunk.source) this.#newChunk.elementCount--;
    else if (source === this.#overwriteChunk.source) this.#overwriteChunk.elementCount--;
    else {
      const count = this.#elementCounts.get(source);
      if (count === 1) this.#giveUp(source);
      else if (count !== undefined) this.#elementCounts.set(source, count - 1);
    }
  }

  #giveUp(source: number): void {
    this.#elementCounts.delete(source);
    this.#leafPages.delete(source);
    this.sources[source] = NOTHING;
  }

  /**
   * Memory for an element that will be alone on a leaf page, as long as that page: so nothing is copied to encode it. Zeros are behind the element; before it
   * comes what `writePage` sets.
   */
  #newLeafPage(size: number): Uint8Array {
    const length = Math.ceil((ONLY_KEY + size) / this.#pageSize) * this.#pageSize;
    const page = this.#spareMemory.take(length) ?? requireMemory(length);
    page.fill(0, ONLY_KEY + size);
    return page;
  }

  /** The memory of a source that is a whole leaf page but for its headers; undefined for any other. */
  leafPage(source: number): Uint8Array | undefined {
    return this.#leafPages.has(source) ? this.sources[source] : undefined;
  }

  /** Takes room for `words` words of element columns; `offset` says where in the array it begins. */
  columns(words: number): Uint32Array {
    if (words >= OWN_COLUMNS) {
      this.offset = 0;
      return new Uint32Array(words);
    }
    if (this.#columnsUsed + words > COLUMNS_CHUNK) {
      this.#columnChunk++;
      this.#columnChunks[this.#columnChunk] ??= new Uint32Array(COLUMNS_CHUNK);
      this.#columnsUsed = 0;
    }
    this.offset = this.#columnsUsed;
    this.#columnsUsed += words;
    return this.#columnChunks[this.#columnChunk]!;
  }

  #beginChunk(chunk: Chunk): void {
    const i = this.#byteChunkCount;
    const isKept = i < KEPT_CHUNKS;
    // First: where there is none, nothing has changed.
    const memory = isKept ? (this.#byteChunks[i] ??= requireMemory(BYTES_CHUNK)) : requireMemory(BYTES_CHUNK);
    if (!chunk.isKept) {
      if (chunk.elementCount > 0) this.#elementCounts.set(chunk.source, chunk.elementCount);
      else this.#giveUp(chunk.source);
    }
    this.#byteChunkCount++;
    chunk.source = this.addSource(memory);
    chunk.used = chunk.elementCount = 0;
    chunk.isKept = isKept;
  }
}
