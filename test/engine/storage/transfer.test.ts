/** The loops over short calls, against calls that move as few bytes as a system may. */
import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { SystemError } from "../../../engine/storage/system-error.js";
import { type CallLimits, readWhole, writeWhole, writeWholeAsync } from "../../../engine/storage/transfer.js";
import { seedOfRun } from "../../support/random.js";

const seed = seedOfRun();

const limitsArbitrary = fc.record({ chunkCount: fc.integer({ min: 1, max: 3 }), byteCount: fc.integer({ min: 1, max: 9 }), joinedSize: fc.integer({ min: 1, max: 12 }) });
const chunksArbitrary = fc.array(fc.uint8Array({ maxLength: 12 }), { maxLength: 12 });
/** How many bytes each call moves at most, used round and round. */
const shortnessArbitrary = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 });

/** A file whose writes stop short and which checks that no call is given more than the limits allow. */
class ShortFile {
  readonly bytes: Uint8Array = new Uint8Array(256);
  readonly #shortness: readonly number[];
  readonly #limits: CallLimits;
  #callCount = 0;

  constructor(shortness: readonly number[], limits: CallLimits) {
    this.#shortness = shortness;
    this.#limits = limits;
  }

  write(batch: readonly Uint8Array[], position: number): number {
    assert.ok(batch.length > 0 && batch.length <= this.#limits.chunkCount, `a batch of ${batch.length} chunks`);
    const joined = Buffer.concat(batch);
    assert.ok(joined.length > 0 && joined.length <= this.#limits.byteCount, `a batch of ${joined.length} bytes`);
    assert.ok(batch.length === 1 || joined.length <= this.#limits.joinedSize, `${joined.length} bytes joined`);
    const part = joined.subarray(0, this.#nextCount());
    this.bytes.set(part, position);
    return part.length;
  }

  read(part: Uint8Array, position: number): number {
    assert.ok(part.length > 0 && part.length <= this.#limits.byteCount, `a read of ${part.length} bytes`);
    const found = this.bytes.subarray(position, position + Math.min(part.length, this.#nextCount()));
    part.set(found);
    return found.length;
  }

  #nextCount(): number {
    return this.#shortness[this.#callCount++ % this.#shortness.length] ?? 1;
  }
}

function expectedBytes(chunks: readonly Uint8Array[], position: number): Uint8Array {
  const expected = new Uint8Array(256);
  expected.set(Buffer.concat(chunks), position);
  return expected;
}

test(`all bytes of a write arrive however short the calls are (seed ${seed})`, async () => {
  await fc.assert(fc.asyncProperty(chunksArbitrary, limitsArbitrary, shortnessArbitrary, fc.integer({ min: 0, max: 50 }), async (chunks, limits, shortness, position) => {
    const file = new ShortFile(shortness, limits);
    writeWhole(chunks, position, (batch, at) => file.write(batch, at), limits);
    assert.deepEqual(file.bytes, expectedBytes(chunks, position));
    const asyncFile = new ShortFile(shortness, limits);
    await writeWholeAsync(chunks, position, async (batch, at) => asyncFile.write(batch, at), limits);
    assert.deepEqual(asyncFile.bytes, expectedBytes(chunks, position));
  }), { seed });
});

test(`a read is filled however short the calls are, up to the end (seed ${seed})`, () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 200, max: 270 }), limitsArbitrary, shortnessArbitrary, (length, position, limits, shortness) => {
    const file = new ShortFile(shortness, limits);
    for (let index = 0; index < 256; index++) file.bytes[index] = index;
    const target = new Uint8Array(length).fill(77);
    const count = readWhole(target, position, (part, at) => file.read(part, at), limits);
    assert.equal(count, Math.max(0, Math.min(length, 256 - position)));
    for (let index = 0; index < length; index++) assert.equal(target[index], index < count ? position + index : 77);
  }), { seed });
});

test("a write of which nothing is done is an error, not an endless loop", async () => {
  const isEio = (error: unknown): boolean => error instanceof SystemError && error.code === "EIO";
  assert.throws(() => writeWhole([new Uint8Array(1)], 0, () => 0), isEio);
  await assert.rejects(writeWholeAsync([new Uint8Array(1)], 0, async () => 0), isEio);
});
