/** Byte ranges, integers and key words, against Node's own Buffer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import {
  LookUpMemory, compareBytes, keyWord, readBigU64, readU16, readU32, readU64, toBytes, toLookUp, wordsOf, writeBigU64, writeU16, writeU32, writeU64,
} from "../../../engine/base/bytes.js";
import { seedOfRun } from "../../support/random.js";

const seed = seedOfRun();
const bytes = fc.uint8Array({ maxLength: 12 });

test("byte ranges compare as Buffer.compare does", (t) => {
  t.diagnostic(`SEED=${seed}`);
  fc.assert(fc.property(bytes, bytes, bytes, (prefix, a, b) => {
    const left = Buffer.concat([prefix, a]);
    const right = Buffer.concat([prefix, b]);
    assert.equal(Math.sign(compareBytes(left, 0, left.length, right, 0, right.length)), Buffer.compare(left, right));
    assert.equal(Math.sign(compareBytes(left, prefix.length, a.length, right, prefix.length, b.length)), Buffer.compare(a, b));
  }), { seed });
});

test("integers are written little-endian and read back at any offset", (t) => {
  t.diagnostic(`SEED=${seed}`);
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.nat(7), (value, at) => {
    const ours = new Uint8Array(16);
    const node = Buffer.alloc(16);
    writeBigU64(ours, at, value);
    node.writeBigUInt64LE(value, at);
    assert.deepEqual(Buffer.from(ours), node);
    assert.equal(readBigU64(ours, at), value);
    assert.equal(readU64(ours, at), Number(value));
    assert.equal(readU32(ours, at), node.readUInt32LE(at));
    assert.equal(readU16(ours, at), node.readUInt16LE(at));
    writeU32(ours, at, node.readUInt32LE(at + 4));
    assert.equal(readU32(ours, at), node.readUInt32LE(at + 4));
    writeU16(ours, at, 0xfffe);
    assert.equal(readU16(ours, at), 0xfffe);
  }), { seed });
});

test("page ids are exact up to the largest safe integer", () => {
  const target = new Uint8Array(8);
  for (const value of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 5, Number.MAX_SAFE_INTEGER]) {
    writeU64(target, 0, value);
    assert.equal(readBigU64(target, 0), BigInt(value));
    assert.equal(readU64(target, 0), value);
  }
});

test("words of keys sort as the keys do, and are equal only where four bytes cannot tell", (t) => {
  t.diagnostic(`SEED=${seed}`);
  fc.assert(fc.property(bytes, bytes, (a, b) => {
    const order = Buffer.compare(a, b);
    const difference = keyWord(a, 0, a.length) - keyWord(b, 0, b.length);
    if (difference !== 0) assert.equal(Math.sign(difference), order);
    const padded = (key: Uint8Array): string => Buffer.concat([key, Buffer.alloc(4)]).subarray(0, 4).toString("hex");
    assert.equal(difference === 0, padded(a) === padded(b));
  }), { seed });
});

test("long ranges compare as short ones do, wherever they differ", () => {
  for (const size of [8, 11, 12, 13, 16, 23, 79, 80, 81, 160, 200]) {
    const a = Buffer.from(Array.from({ length: size + 5 }, (_, i) => i & 0xff));
    assert.equal(compareBytes(a, 5, size, Uint8Array.from(a.subarray(5)), 0, size), 0);
    assert.ok(compareBytes(a, 5, size - 1, a, 5, size) < 0 && compareBytes(a, 5, size, a, 5, size - 1) > 0, "the shorter comes first");
    for (let at = 0; at < size; at++) {
      const b = Uint8Array.from(a.subarray(3));
      b[2 + at] = (b[2 + at]! + 128) & 0xff;
      const expected = Buffer.compare(a.subarray(5), b.subarray(2));
      assert.equal(Math.sign(compareBytes(a, 5, size, b, 2, size)), expected, `size ${size}, other at ${at}`);
    }
  }
});

test("a short string gives its own UTF-8, however many others were asked for in between", () => {
  const texts = Array.from({ length: 600 }, (_, i) => `${"digestäß€😀".slice(i % 9)}${i % 97}`).flatMap((text) => [text, "", "size", text.slice(0, 12)]);
  for (let round = 0; round < 2; round++) {
    for (const text of texts) assert.equal(Buffer.from(toBytes(text, "key")).toString("hex"), Buffer.from(text, "utf8").toString("hex"));
  }
});

test("an array of another realm is bytes, as one of this", () => {
  const foreign = runInNewContext("new Uint8Array([1, 2, 3, 4]).subarray(1, 3)") as Uint8Array;
  assert.equal(foreign instanceof Uint8Array, false);
  assert.deepEqual(toBytes(foreign, "key"), Uint8Array.of(2, 3));
  assert.deepEqual(toLookUp(foreign, "key", new LookUpMemory()), Uint8Array.of(2, 3));
  assert.throws(() => toBytes(runInNewContext("new Uint16Array(2)") as never, "key"), TypeError);
});

test("a key to look up is the UTF-8 of its text, whatever its length, and bytes are given as they are", () => {
  const texts = ["", "a", "twelve bytes", "thirteen text", "ä".repeat(13), "€".repeat(341), "😀".repeat(512), "half of a pair \ud83d", "\ude00 the other half of one"];
  for (const size of [12, 13, 100, 1023, 1024, 1025, 5000]) texts.push("x".repeat(size), "\uffff".repeat(size));
  for (let round = 0; round < 2; round++) {
    for (const text of texts) assert.deepEqual(Buffer.from(toLookUp(text, "key", new LookUpMemory())), Buffer.from(text, "utf8"));
  }
  const given = new Uint8Array(20);
  assert.equal(toLookUp(given, "key", new LookUpMemory()), given);
  for (const wrong of [undefined, null, 5, {}]) assert.throws(() => toLookUp(wrong as never, "key", new LookUpMemory()), { name: "TypeError", message: /^key must be/ });
});

test("unsigned 64-bit integers are read exactly around each limit of the ways to read them", () => {
  const bytes = new Uint8Array(16);
  for (const value of [0n, 1n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]) {
    writeBigU64(bytes, 3, value);
    assert.equal(readBigU64(bytes, 3), value);
  }
});

test("bytes and strings are taken, everything else is a TypeError that names the argument", () => {
  assert.deepEqual(Buffer.from(toBytes("kä", "key")), Buffer.from("6bc3a4", "hex"));
  const given = new Uint8Array([1]);
  assert.equal(toBytes(given, "key"), given);
  for (const wrong of [undefined, null, 5, {}, [1], new ArrayBuffer(1), new Uint16Array(1)]) {
    assert.throws(() => toBytes(wrong as never, "value"), { name: "TypeError", message: /^value must be/ });
  }
});

test("bytes whose memory was transferred are refused, empty ones are not", () => {
  const gone = new Uint8Array(4);
  structuredClone(gone, { transfer: [gone.buffer] });
  assert.throws(() => toBytes(gone, "value"), { name: "TypeError", message: /^value .*transferred/ });
  for (const empty of [new Uint8Array(0), Buffer.alloc(0), new Uint8Array(8).subarray(3, 3), new Uint8Array(8).subarray(8)]) assert.equal(toBytes(empty, "value").length, 0);
});

test("bytes that say of themselves how many they are are refused where they are more or fewer", () => {
  for (const length of [-5, NaN, 1.5, Infinity, 3, 3000]) {
    const odd = Object.defineProperty(new Uint8Array(4), "length", { value: length });
    assert.throws(() => toBytes(odd, "value"), { name: "TypeError", message: `value has a length of its own, ${length}` });
  }
});

test("bytes whose memory has shrunk away are refused", () => {
  const memory = Reflect.construct(ArrayBuffer, [16, { maxByteLength: 16 }]) as ArrayBuffer;
  const parts = [new Uint8Array(memory, 8, 8), Buffer.from(memory, 12)];
  // Where the runtime cannot do that, nothing can shrink.
  (memory as { resize?: (size: number) => void }).resize?.(4);
  for (const part of parts) {
    if (part.length > 0) assert.equal(toBytes(part, "key").length, part.length);
    else assert.throws(() => toBytes(part, "key"), { name: "TypeError", message: /^key .*shrunk/ });
  }
});

test("words are read little-endian wherever they stand, in a Buffer of Node's pool, too", () => {
  const pooled = Buffer.from("12 bytes and then some more of them", "latin1");
  for (const source of [pooled, new Uint8Array(pooled)]) {
    for (let at = 0; at < 8; at++) {
      for (const count of [0, 1, 5]) {
        assert.deepEqual([...wordsOf(source, at, count)], Array.from({ length: count }, (_, i) => pooled.readUInt32LE(at + 4 * i)), `${count} from ${at} on`);
      }
    }
  }
});
