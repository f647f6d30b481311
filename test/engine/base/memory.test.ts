/** Copies that callers get, and memory that the engine keeps. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { bufferAt, copyFrom, copyOut, copySmall, copyToKeep, newMemory, SMALL_SIZE } from "../../../engine/base/memory.js";
import { transfer } from "../../support/transfer.js";

/** What a copy may keep in memory: the pool of the runtime, which is larger from Node 26 on. */
const KEPT_AT_MOST = Math.max(65_536, Buffer.allocUnsafe(1).buffer.byteLength);

test("copies made one after the other share no byte, and keep little memory", () => {
  const source = Uint8Array.from({ length: 9000 }, (_, i) => i);
  const sizes = Array.from({ length: 300 }, (_, i) => (i * 37) % 1300);
  const copies = sizes.map((size, i) => copyFrom(source.buffer, i, size));
  copies.forEach((copy, i) => {
    assert.deepEqual([...copy], [...source.subarray(i, i + sizes[i]!)]);
    assert.ok(copy.buffer.byteLength <= KEPT_AT_MOST);
    copy.fill(i);
  });
  copies.forEach((copy, i) => assert.ok(copy.every((byte) => byte === (i & 0xff))));
});

test("a small copy has every byte of its range, whatever its size and wherever it begins, up to the end of the memory", () => {
  const source = Uint8Array.from({ length: 700 }, (_, i) => (i * 7) & 0xff);
  const words = new DataView(source.buffer);
  const ranges = Array.from({ length: SMALL_SIZE + 1 }, (_, size) => [0, 1, 2, 3, 501, source.length - size].map((start) => [start, size] as const)).flat();
  const copies = ranges.map(([start, size]) => copySmall(words, start, size));
  ranges.forEach(([start, size], i) => {
    assert.ok(Buffer.isBuffer(copies[i]!));
    assert.deepEqual([...copies[i]!], [...source.subarray(start, start + size)], `${size} bytes from ${start}`);
    copies[i]!.fill(0xff);
  });
  assert.ok(source.every((byte, i) => byte === ((i * 7) & 0xff)), "the source is as it was");
});

test("a Buffer on memory is one like any other", () => {
  const memory = Uint8Array.from({ length: 20 }, (_, i) => i).buffer;
  const buffer = bufferAt(memory, 3, 5);
  assert.ok(Buffer.isBuffer(buffer) && buffer.buffer === memory);
  assert.deepEqual(buffer, Buffer.of(3, 4, 5, 6, 7));
  assert.equal(buffer.toString("hex"), "0304050607");
});

test("what is copied out belongs to the caller, short or long", () => {
  for (const size of [0, 1, 48, 49, 5000]) {
    const source = Uint8Array.from({ length: size + 3 }, (_, i) => i);
    const copy = copyOut(source, 3, size);
    source.fill(0xff);
    assert.deepEqual([...copy], Array.from({ length: size }, (_, i) => (i + 3) & 0xff));
  }
});

/** Copies of all sizes, made in turns with what is kept. */
function copiesAndKept(): { readonly source: Uint8Array; readonly copies: Buffer[]; readonly kept: Uint8Array[] } {
  const source = Uint8Array.from({ length: 4000 }, (_, i) => i * 7);
  const words = new DataView(source.buffer);
  const copies: Buffer[] = [];
  const kept: Uint8Array[] = [];
  for (let size = 0; size < 1500; size = size < 40 ? size + 1 : size + 37) {
    copies.push(copyOut(source, size, size), copyFrom(source.buffer, size, size));
    if (size <= SMALL_SIZE) copies.push(copySmall(words, size, size));
    kept.push(copyToKeep(source, size, size), copyToKeep(source, size, size));
  }
  return { source, copies, kept };
}

const asInSource = (source: Uint8Array, copy: Uint8Array): void => assert.deepEqual([...copy], [...source.subarray(copy.length, 2 * copy.length)]);

test("what is kept lies in other memory than what callers get", () => {
  const { source, copies, kept } = copiesAndKept();
  const own = new Set(kept.map(({ buffer }) => buffer));
  assert.ok(copies.every(({ buffer }) => !own.has(buffer)));
  for (const copy of kept) asInSource(source, copy);
  for (const copy of copies) new Uint8Array(copy.buffer).fill(0xff);
  for (const copy of kept) asInSource(source, copy);
  assert.ok(own.size < kept.length / 2, "small ones stand side by side");
});

test("memory of the engine cannot be transferred to another thread", () => {
  const memory = newMemory(5000)!.fill(7);
  const kept = copyToKeep(memory, 0, 100);
  for (const own of [memory, kept]) {
    transfer(own);
    assert.ok(own.length > 0 && own.every((byte) => byte === 7));
  }
});

test("there is no memory of any size", () => {
  assert.equal(newMemory(2 ** 53 - 1), undefined);
  assert.throws(() => copyToKeep(new Uint8Array(1), 0, 2 ** 53 - 1), RangeError);
});

/** Sets how much memory Buffers share, until the test ends. */
function poolOf(size: number, t: TestContext): void {
  const before = Buffer.poolSize;
  Buffer.poolSize = size;
  // What is left of the old pool is used up first.
  for (let i = 0; i < 100; i++) Buffer.allocUnsafe(500);
  t.after(() => { Buffer.poolSize = before; });
}

for (const poolSize of [0, 1024, 8192, 1 << 20]) {
  test(`a copy that is transferred takes no other with it, with a pool of ${poolSize} bytes`, (t) => {
    poolOf(poolSize, t);
    for (let i = 0; i < 8; i++) copyOut(new Uint8Array(1000), 0, 1000);
    const { source, copies } = copiesAndKept();
    for (const copy of copies) {
      // It may have gone, or the runtime refuses or copies: then it is as it was.
      asInSource(source, copy);
      transfer(copy);
    }
  });
}
