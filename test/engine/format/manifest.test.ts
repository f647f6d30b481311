/** The commit manifest: what is written is read, what is not whole is told from what is not there, and the checksum is CRC-32. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as zlib from "node:zlib";
import fc from "fast-check";
import { crc32, crc32ByTable } from "../../../engine/format/checksum.js";
import { closeMark, crcOf, decodeManifest, encodeManifest, type Manifest, rangesOf, wasClosed } from "../../../engine/format/manifest.js";
import { AssertionError } from "../../../engine/base/assert.js";
import { atOnce } from "../../../engine/base/turns.js";
import { encodeMeta, decodeMeta } from "../../../engine/format/meta.js";
import { seedOfRun } from "../../support/random.js";

const META = { pageSize: 4096, root: 3, sequence: 0n, freelist: 2, highWaterMark: 1000, txid: 12n };
/** Where a manifest begins, and bytes that it may not touch at the end of the page. */
const START = 96;
const CLOSE_MARK_SIZE = 16;

/** Ranges in ascending order, made of gaps and lengths. */
const ranges = fc.array(fc.tuple(fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 2 ** 44 })), fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 2 ** 31 }))), { maxLength: 60 })
  .map((pairs) => {
    let end = 2;
    return pairs.map(([gap, length]) => {
      const start = end + gap;
      end = start + length;
      return { start, length };
    });
  });
const manifest: fc.Arbitrary<Manifest> = fc.record({
  txid: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  ranges,
  pagesCrc: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
}, { noNullPrototype: true });

function pageWithMeta(pageSize = 4096): Uint8Array {
  const page = new Uint8Array(pageSize);
  encodeMeta(page, 0, META);
  return page;
}

test("a manifest is read back as it was written, and leaves the meta and the close mark alone", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  fc.assert(fc.property(manifest, (written) => {
    const page = pageWithMeta();
    const mark = closeMark(page.length, 12n);
    page.set(mark.bytes, mark.offset);
    encodeManifest(page, written);
    assert.deepEqual(decodeManifest(page), written);
    assert.deepEqual(decodeMeta(page, 0), META);
    assert.ok(wasClosed(page, 12n));
  }), { seed, numRuns: 200 });
});

test("a page without a manifest has none", () => {
  assert.equal(decodeManifest(pageWithMeta()), undefined);
  assert.equal(decodeManifest(new Uint8Array(100)), undefined);
  assert.equal(decodeManifest(pageWithMeta(512)), undefined);
});

test("a manifest with any bit of it wrong is torn, or is none", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  fc.assert(fc.property(manifest, fc.nat(), fc.nat({ max: 7 }), (written, which, bit) => {
    const page = pageWithMeta();
    encodeManifest(page, written);
    let end = page.length - CLOSE_MARK_SIZE;
    while (page[end - 1] === 0) end--;
    const at = START + (which % (end - START));
    page[at]! ^= 1 << bit;
    assert.equal(decodeManifest(page), at < START + 4 ? undefined : "torn", `bit ${bit} of byte ${at}`);
  }), { seed, numRuns: 500 });
});

test("a manifest of which only the first sector reached the disk is torn", () => {
  const page = pageWithMeta();
  const many = Array.from({ length: 300 }, (_, i) => ({ start: 10 + 7 * i, length: 3 }));
  encodeManifest(page, { txid: 5n, ranges: many, pagesCrc: 1 });
  page.fill(0, 512);
  assert.equal(decodeManifest(page), "torn");
});

test("sizes from a damaged page are not believed", () => {
  for (const size of [4096, 2 ** 31, 2 ** 32 - 1]) {
    const page = pageWithMeta();
    encodeManifest(page, { txid: 5n, ranges: [], pagesCrc: 1 });
    Buffer.from(page.buffer).writeUInt32LE(size, START + 24);
    assert.equal(decodeManifest(page), "torn");
  }
});

test("a commit in more ranges than fit has no manifest, and all that fit end before the close mark, and before its sector where it has one", () => {
  for (const pageSize of [512, 1024, 4096]) {
    let fitting = 0;
    const behind = pageSize === 512 ? CLOSE_MARK_SIZE : 512;
    for (let count = 1; ; count++) {
      const page = pageWithMeta(pageSize);
      const written = new Uint8Array(pageSize);
      const all = rangesOf(Array.from({ length: count }, (_, i) => ({ position: 2 ** 44 * (i + 1) * pageSize, chunks: [written] })), pageSize);
      if (all === undefined) break;
      fitting = count;
      encodeManifest(page, { txid: 5n, ranges: all, pagesCrc: 1 });
      assert.deepEqual(decodeManifest(page), { txid: 5n, ranges: all, pagesCrc: 1 });
      assert.ok(page.subarray(-behind).every((byte) => byte === 0));
    }
    assert.ok(fitting >= (pageSize - START - behind - 28) / 20 - 2, `${fitting} ranges fit into ${pageSize} bytes`);
    const tooMany = Array.from({ length: pageSize / 2 }, (_, i) => ({ start: 2 * i + 2, length: 1 }));
    assert.throws(() => encodeManifest(pageWithMeta(pageSize), { txid: 5n, ranges: tooMany, pagesCrc: 1 }), AssertionError);
  }
});

test("what a commit wrote is summed up as page ranges and one checksum over all bytes", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  const write = fc.record({ gap: fc.nat({ max: 5 }), chunks: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }), fill: fc.nat({ max: 255 }) });
  fc.assert(fc.property(fc.array(write, { maxLength: 6 }), (parts) => {
    let pgid = 2;
    const expected: { start: number; length: number }[] = [];
    const writes = parts.map(({ gap, chunks, fill }) => {
      const start = pgid + gap;
      const length = chunks.reduce((sum, count) => sum + count, 0);
      const last = expected.at(-1);
      if (last !== undefined && gap === 0) last.length += length;
      else expected.push({ start, length });
      pgid = start + length;
      return { position: start * 1024, chunks: chunks.map((count) => Buffer.alloc(count * 1024, fill)) };
    });
    const all = Buffer.concat(writes.flatMap(({ chunks }) => chunks));
    assert.deepEqual(rangesOf(writes, 1024), expected);
    assert.equal(atOnce(crcOf(writes)), crc32ByTable(all));
  }), { seed, numRuns: 50 });
});

test("the close mark counts for its own transaction only", () => {
  const page = pageWithMeta();
  assert.ok(!wasClosed(page, 0n));
  const { bytes, offset } = closeMark(page.length, 12n);
  assert.equal(offset + bytes.length, page.length);
  page.set(bytes, offset);
  assert.ok(wasClosed(page, 12n));
  assert.ok(!wasClosed(page, 10n));
  page[page.length - 9]! ^= 1;
  assert.ok(!wasClosed(page, 12n));
});

test("CRC-32 has its published value, goes on over parts, and by the table equals zlib's", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  assert.equal(crc32ByTable(Buffer.from("123456789")), 0xcbf43926);
  assert.equal(crc32(Buffer.from("123456789")), 0xcbf43926);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 100 }), (a, b) => {
    const whole = crc32ByTable(Buffer.concat([a, b]));
    assert.equal(crc32ByTable(b, crc32ByTable(a)), whole);
    assert.equal(crc32(b, crc32(a)), whole);
    if (typeof zlib.crc32 === "function") assert.equal(zlib.crc32(Buffer.concat([a, b])), whole);
    else assert.equal(Buffer.from(zlib.gzipSync(Buffer.concat([a, b]))).readUInt32LE(zlib.gzipSync(Buffer.concat([a, b])).length - 8), whole);
  }), { seed, numRuns: 200 });
});
