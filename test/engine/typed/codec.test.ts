/** Codecs: what goes in comes out, bytes sort as the values do, and what is not theirs is refused. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { bytes, date, float64, int64, json, tuple, uint32, uint64, utf8, type Codec } from "../../../engine/index.js";

const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
console.log(`# seed ${seed}`);
const options = { seed, numRuns: 500 };

const encode = <T>(codec: Codec<T>, value: T): Buffer => Buffer.from(codec.encode(value) as Uint8Array);
const decode = <T>(codec: Codec<T>, stored: Buffer): T => codec.decode(stored);

const compareNumbers = (a: number | bigint, b: number | bigint): number => (a < b ? -1 : a > b ? 1 : 0);
/** The order of float64: −0 before 0, NaN last. */
const compareFloats = (a: number, b: number): number => {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return compareNumbers(a, b) || Number(Object.is(b, -0)) - Number(Object.is(a, -0));
};
/** The order of code points. */
const compareText = (a: string, b: string): number => {
  const left = [...a], right = [...b];
  for (let i = 0; i < left.length && i < right.length; i++) {
    const order = left[i]!.codePointAt(0)! - right[i]!.codePointAt(0)!;
    if (order !== 0) return order;
  }
  return left.length - right.length;
};

const uint64s = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 300n }), fc.constantFrom(0n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n));
const int64s = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: -300n, max: 300n }), fc.constantFrom(-(2n ** 63n), -1n, 0n, 2n ** 63n - 1n));
const uint32s = fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: 0, max: 300 }), fc.constantFrom(0, 2 ** 31, 2 ** 32 - 1));
const floats = fc.oneof(fc.double(), fc.double({ min: -3, max: 3 }), fc.constantFrom(0, -0, Infinity, -Infinity, NaN, Number.MIN_VALUE, -Number.MIN_VALUE, Number.MAX_VALUE));
const dates = fc.date({ min: new Date(-8.64e15), max: new Date(8.64e15), noInvalidDate: true });
/** Text of few different characters, zero bytes among them: so that one is often the beginning of another. */
const texts = fc.oneof(fc.string({ unit: fc.constantFrom("\0", "\x01", "a", "ÿ", "\uffff", "😀") }), fc.string({ unit: "binary" }));
const blobs = fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.array(fc.constantFrom(0, 1, 255), { maxLength: 6 }).map((list) => Uint8Array.from(list)));

function roundTripsInOrder<T>(name: string, codec: Codec<T>, values: fc.Arbitrary<T>, compare: (a: T, b: T) => number): void {
  test(`${name}: comes back as it went in`, () => {
    fc.assert(fc.property(values, (value) => assert.deepEqual(decode(codec, encode(codec, value)), value)), options);
  });
  test(`${name}: bytes sort as the values`, () => {
    fc.assert(fc.property(values, values, (a, b) => assert.equal(Math.sign(Buffer.compare(encode(codec, a), encode(codec, b))), Math.sign(compare(a, b)))), options);
  });
}

const raw: Codec<Uint8Array> = { encode: (value) => value, decode: (stored) => Uint8Array.from(stored) };

describe("codecs", () => {
  roundTripsInOrder("uint32", uint32, uint32s, compareNumbers);
  roundTripsInOrder("uint64", uint64, uint64s, compareNumbers);
  roundTripsInOrder("int64", int64, int64s, compareNumbers);
  roundTripsInOrder("float64", float64, floats, compareFloats);
  roundTripsInOrder("date", date, dates, (a, b) => a.getTime() - b.getTime());
  roundTripsInOrder("utf8", utf8, texts, compareText);
  roundTripsInOrder("tuple of text, bytes and a number", tuple(utf8, raw, int64), fc.tuple(texts, blobs, int64s), (a, b) => compareText(a[0], b[0]) || Buffer.compare(a[1], b[1]) || compareNumbers(a[2], b[2]));
  roundTripsInOrder("tuple within a tuple", tuple(tuple(utf8, utf8), float64, tuple(uint32, date), utf8), fc.tuple(fc.tuple(texts, texts), floats, fc.tuple(uint32s, dates), texts), (a, b) =>
    compareText(a[0][0], b[0][0]) || compareText(a[0][1], b[0][1]) || compareFloats(a[1], b[1]) || a[2][0] - b[2][0] || a[2][1].getTime() - b[2][1].getTime() || compareText(a[3], b[3]));

  test("uint64 is big-endian, as Go programs store sequences", () => {
    assert.equal(encode(uint64, 258n).toString("hex"), "0000000000000102");
  });

  test("every NaN is one key, behind Infinity; -0 is right before 0", () => {
    const negativeNaN = new DataView(new ArrayBuffer(8));
    negativeNaN.setBigUint64(0, 0xfff8_0000_0000_0001n);
    assert.deepEqual(encode(float64, negativeNaN.getFloat64(0)), encode(float64, NaN));
    assert.ok(Buffer.compare(encode(float64, NaN), encode(float64, Infinity)) > 0);
    assert.ok(Object.is(decode(float64, encode(float64, -0)), -0));
    assert.ok(Buffer.compare(encode(float64, -0), encode(float64, 0)) < 0);
    assert.ok(Buffer.compare(encode(float64, -0), encode(float64, -Number.MIN_VALUE)) > 0);
  });

  test("a Date and an array of another realm are taken as those of this one", () => {
    const [time, foreign] = runInNewContext("[new Date(5), Uint8Array.of(1, 2)]") as [Date, Uint8Array];
    assert.deepEqual(decode(date, encode(date, time)), new Date(5));
    assert.deepEqual(encode(bytes, foreign), Buffer.of(1, 2));
    assert.throws(() => date.encode(Object.create(Date.prototype) as Date), { name: "TypeError", message: "date takes a valid Date, got an object" });
  });

  test("json comes back as JSON has it", () => {
    fc.assert(fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => assert.deepEqual(decode(json(), Buffer.from(json().encode(value) as string)), JSON.parse(JSON.stringify(value)))), options);
  });

  test("a tuple with a hole is refused as one with undefined in its place, and so is a prefix that is no array", () => {
    for (const codec of [tuple(utf8, utf8), tuple(uint32, utf8)]) {
      for (const wrong of ["ada", new Set(["ada"]), 5, {}]) assert.throws(() => Reflect.apply(codec.encodePrefix!, codec, [wrong]), { name: "TypeError", message: /array of at most [02-9] parts/ });
      for (const holed of [[, "x"], ["x", ,], new Array(2)]) assert.throws(() => Reflect.apply(codec.encode, codec, [holed]), { name: "TypeError", message: /part [01]/ });
    }
  });

  test("the beginning of a tuple is the beginning of its bytes, of those with the same first parts only", () => {
    const codec = tuple(utf8, raw, uint32);
    fc.assert(fc.property(texts, texts, blobs, blobs, uint32s, (text, otherText, blob, otherBlob, number) => {
      const whole = encode(codec, [text, blob, number]);
      const startsWith = (parts: readonly unknown[]): boolean => whole.subarray(0, Buffer.from(codec.encodePrefix!(parts) as Uint8Array).length).equals(codec.encodePrefix!(parts) as Uint8Array);
      assert.ok(startsWith([]) && startsWith([text]) && startsWith([text, blob]) && startsWith([text, blob, number]));
      assert.equal(startsWith([otherText]), otherText === text);
      assert.equal(startsWith([text, otherBlob]), Buffer.compare(blob, otherBlob) === 0);
    }), options);
  });

  test("whatever bytes a decoder meets, it gives a value that encodes to them, or throws a TypeError", () => {
    const codecs: readonly Codec<unknown>[] = [utf8, bytes, uint32, uint64, int64, date, tuple(utf8, uint32), tuple(raw, raw), tuple()];
    fc.assert(fc.property(blobs, (stored) => {
      for (const codec of codecs) {
        let value: unknown;
        try {
          value = codec.decode(Buffer.from(stored));
        } catch (error) {
          assert.ok(error instanceof TypeError, String(error));
          continue;
        }
        assert.deepEqual(Buffer.from(codec.encode(value) as Uint8Array), Buffer.from(stored));
      }
    }), { ...options, numRuns: 2000 });
  });

  const refused: readonly [string, Codec<unknown>, readonly unknown[]][] = [
    ["uint32", uint32, [-1, 2 ** 32, 1.5, NaN, 1n, "1", null, undefined]],
    ["uint64", uint64, [-1n, 2n ** 64n, 1, "1", null]],
    ["int64", int64, [2n ** 63n, -(2n ** 63n) - 1n, 1, null]],
    ["float64", float64, ["1", 1n, null, undefined]],
    ["date", date, [new Date(NaN), 0, "2020-01-01", null]],
    ["utf8", utf8, [1, null, undefined, "\ud800", "a\udc00b", Buffer.from("x")]],
    ["bytes", bytes, ["x", [1], null, new ArrayBuffer(1)]],
    ["json", json(), [undefined, () => 1, Symbol("x"), 1n]],
    ["tuple", tuple(utf8, uint32) as Codec<unknown>, [["a"], ["a", 1, 2], ["a", "b"], "a", null]],
  ];
  for (const [name, codec, values] of refused) {
    test(`${name} refuses what is not its own`, () => {
      for (const value of values) assert.throws(() => codec.encode(value), TypeError);
    });
  }
});
