/**
 * A second opinion on a database file, written from docs/format.md alone: it shares no code with the engine, so a
 * mistake in the engine's own check() cannot hide behind itself. It reads the bytes of a closed (or quiet) file and
 * verifies what a Go writer relies on: rules 1 to 7 of docs/format.md and that pages are reachable or free, never both,
 * never neither, never twice.
 */

const META = 0x04, BRANCH = 0x01, LEAF = 0x02, FREELIST = 0x10;
const NOT_STORED = 0xffffffffffffffffn;

interface Meta {
  readonly pageSize: number;
  readonly root: number;
  readonly freelist: bigint;
  readonly highWater: number;
  readonly txid: bigint;
}

function fnv1a(bytes: Buffer): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash;
}

/** The largest page size that is read. */
const LARGEST_PAGE_SIZE = 1 << 24;

function readMeta(file: Buffer, at: number): Meta | undefined {
  if (file.length < at + 80) return undefined;
  const body = file.subarray(at + 16, at + 80);
  if (body.readUInt32LE(0) !== 0xed0cdaed || body.readUInt32LE(4) !== 2) return undefined;
  const checksum = body.readBigUInt64LE(56);
  if (checksum !== 0n && checksum !== fnv1a(body.subarray(0, 56))) return undefined;
  const pageSize = body.readUInt32LE(8);
  if (pageSize < 512 || pageSize > LARGEST_PAGE_SIZE || (pageSize & (pageSize - 1)) !== 0) return undefined;
  return {
    pageSize, root: Number(body.readBigUInt64LE(16)), freelist: body.readBigUInt64LE(32),
    highWater: Number(body.readBigUInt64LE(40)), txid: body.readBigUInt64LE(48),
  };
}

/** Gives the meta that counts: the valid one with the higher transaction id. */
function newestMeta(file: Buffer): Meta | undefined {
  const first = readMeta(file, 0);
  for (let size = first?.pageSize ?? 512; size <= (first?.pageSize ?? LARGEST_PAGE_SIZE); size *= 2) {
    const second = readMeta(file, size);
    if (second !== undefined) return first === undefined || second.txid > first.txid ? second : first;
  }
  return first;
}

function branchKey(page: Buffer, index: number): Buffer {
  const at = 16 + 16 * index;
  const start = at + page.readUInt32LE(at);
  return page.subarray(start, start + page.readUInt32LE(at + 4));
}

class Walk {
  readonly problems: string[] = [];
  readonly #file: Buffer;
  readonly #meta: Meta;
  readonly #owner: Uint8Array; // per page: 0 nobody, 1 reached, 2 free

  constructor(file: Buffer, meta: Meta) {
    this.#file = file;
    this.#meta = meta;
    this.#owner = new Uint8Array(meta.highWater);
    this.#owner.fill(1, 0, 2);
  }

  run(): void {
    const { freelist, highWater, pageSize, root } = this.#meta;
    if (this.#file.length < highWater * pageSize) this.problems.push(`file of ${this.#file.length} bytes ends below page ${highWater}`);
    this.#tree(root, true);
    if (freelist === NOT_STORED) return;
    this.#freelist(Number(freelist));
    for (let pgid = 2; pgid < highWater; pgid++) {
      if (this.#owner[pgid] === 0) this.problems.push(`page ${pgid}: neither reachable nor free`);
    }
  }

  /** Claims a page with its overflow and gives its bytes. */
  #claim(pgid: number, kinds: number): Buffer | undefined {
    const { highWater, pageSize } = this.#meta;
    if (pgid < 2 || pgid >= highWater) { this.problems.push(`page ${pgid}: out of bounds`); return undefined; }
    const start = pgid * pageSize;
    const overflow = this.#file.readUInt32LE(start + 12);
    const flags = this.#file.readUInt16LE(start + 8);
    if (Number(this.#file.readBigUInt64LE(start)) !== pgid) this.problems.push(`page ${pgid}: its header names another page`);
    if ((flags & kinds) === 0 || (flags & (flags - 1)) !== 0 || flags === META) { this.problems.push(`page ${pgid}: flags ${flags}`); return undefined; }
    if (pgid + overflow >= highWater) { this.problems.push(`page ${pgid}: overflow beyond the high-water mark`); return undefined; }
    for (let page = pgid; page <= pgid + overflow; page++) this.#take(page, 1);
    return this.#file.subarray(start, start + (1 + overflow) * pageSize);
  }

  #take(page: number, owner: number): void {
    if (this.#owner[page] !== 0) this.problems.push(`page ${page}: ${this.#owner[page] === owner ? "twice" : "reachable and free"}`);
    this.#owner[page] = owner;
  }

  #freelist(pgid: number): void {
    const page = this.#claim(pgid, FREELIST);
    if (page === undefined) return;
    const short = page.readUInt16LE(10);
    const count = short === 0xffff ? Number(page.readBigUInt64LE(16)) : short;
    let previous = 1;
    for (let i = 0; i < count; i++) {
      const free = Number(page.readBigUInt64LE((short === 0xffff ? 24 : 16) + 8 * i));
      if (free <= previous) this.problems.push(`freelist: ${free} after ${previous}`);
      if (free >= this.#meta.highWater) this.problems.push(`freelist: ${free} is out of bounds`);
      else this.#take(free, 2);
      previous = free;
    }
  }

  /** Walks the page of a tree, all of whose keys must be below `bound`, and gives its first key. */
  #tree(pgid: number, isRoot: boolean, bound?: Buffer): Buffer | undefined {
    const page = this.#claim(pgid, BRANCH | LEAF);
    if (page === undefined) return undefined;
    return page.readUInt16LE(8) === LEAF ? this.#leaf(page, pgid, isRoot, false, bound) : this.#branch(page, pgid, bound);
  }

  #branch(page: Buffer, pgid: number, bound: Buffer | undefined): Buffer | undefined {
    const count = page.readUInt16LE(10);
    if (count < 2) this.problems.push(`page ${pgid}: a branch with ${count} children`);
    let first: Buffer | undefined;
    let previous: Buffer | undefined;
    for (let i = 0; i < count; i++) {
      const key = branchKey(page, i);
      const child = Number(page.readBigUInt64LE(16 + 16 * i + 8));
      const childKey = this.#tree(child, false, i + 1 < count ? branchKey(page, i + 1) : bound);
      if (childKey === undefined || !childKey.equals(key)) this.problems.push(`page ${pgid}: key ${i} is not the first key of page ${child}`);
      if (previous !== undefined && Buffer.compare(previous, key) >= 0) this.problems.push(`page ${pgid}: key ${i} is out of order`);
      previous = key;
      first ??= key;
    }
    return first;
  }

  #leaf(page: Buffer, pgid: number, isRoot: boolean, isInline: boolean, bound?: Buffer): Buffer | undefined {
    const count = page.readUInt16LE(10);
    if (count === 0 && !isRoot) this.problems.push(`page ${pgid}: an empty leaf that is no bucket's root`);
    let first: Buffer | undefined;
    let previous: Buffer | undefined;
    for (let i = 0; i < count; i++) {
      const at = 16 + 16 * i;
      const start = at + page.readUInt32LE(at + 4);
      const end = start + page.readUInt32LE(at + 8);
      const key = page.subarray(start, end);
      const valueEnd = end + page.readUInt32LE(at + 12);
      if (valueEnd > page.length || key.length === 0) { this.problems.push(`page ${pgid}: element ${i} does not fit`); return first; }
      if (previous !== undefined && Buffer.compare(previous, key) >= 0) this.problems.push(`page ${pgid}: key ${i} is out of order`);
      if (page.readUInt32LE(at) === 1) {
        if (isInline) this.problems.push(`page ${pgid}: a bucket inside an inline bucket`);
        this.#bucket(page.subarray(end, valueEnd), pgid);
      }
      previous = key;
      first ??= key;
    }
    if (previous !== undefined && bound !== undefined && Buffer.compare(previous, bound) >= 0) this.problems.push(`page ${pgid}: its last key belongs to a later page`);
    return first;
  }

  #bucket(value: Buffer, pgid: number): void {
    const root = Number(value.readBigUInt64LE(0));
    if (root !== 0) { this.#tree(root, true); return; }
    const page = value.subarray(16);
    if (page.length < 16 || page.readUInt16LE(8) !== LEAF) { this.problems.push(`page ${pgid}: an inline bucket that is no leaf`); return; }
    if (page.length > this.#meta.pageSize / 4) this.problems.push(`page ${pgid}: an inline bucket of ${page.length} bytes`);
    this.#leaf(page, pgid, true, true);
  }
}

/**
 * Checks the bytes of a database file.
 * @returns one line a problem; an empty list for a sound file
 */
export function rawProblems(file: Uint8Array): string[] {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const meta = newestMeta(bytes);
  if (meta === undefined) return ["no valid meta page"];
  if (meta.highWater > 2 ** 28) return [`high-water mark ${meta.highWater}`];
  const walk = new Walk(bytes, meta);
  try {
    walk.run();
  } catch (error) {
    walk.problems.push(`cannot be read: ${String(error)}`);
  }
  return walk.problems;
}
