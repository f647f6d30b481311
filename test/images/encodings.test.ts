/** Go's varint and time, the protocol's small texts, addresses, the validation: each against values from the real thing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatAddress, isLoopback, parseAddress } from "../../images/address.js";
import { decodeGoTime, encodeGoTime } from "../../images/go-time.js";
import { GrpcError, Status, decodeMessage, encodeMessage, formatTimeout, fromGrpcError, parseTimeout, toGrpcError } from "../../images/grpc-status.js";
import { ImageNotFoundError, ImagesError, aboutImage, isExists, isNotFound } from "../../images/errors.js";
import { decodeDelete, decodeImageField, decodeName, decodeUpdate, encodeImageField, encodeName, encodeTexts, encodeUpdate } from "../../images/messages.js";
import { MessageWriter, ProtobufError } from "../../images/protobuf.js";
import { validateDigest, validateImage, validateName, validateNamespace } from "../../images/validate.js";
import { decodeVarint, encodeVarint } from "../../images/varint.js";
import { BoltError } from "../../engine/index.js";
import { SAMPLE_IMAGE } from "./sample-image.js";
import type { Descriptor } from "../../images/index.js";

const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
const random = { seed, numRuns: 500 };
const INVALID = { code: "INVALID" };

/** Value and bytes as Go's binary.PutVarint wrote them. */
const VARINTS: readonly [number | bigint, string][] = [
  [0, "00"], [-1, "01"], [1, "02"], [63, "7e"], [-64, "7f"], [64, "8001"], [300, "d804"], [1n << 62n, "80808080808080808001"],
  [2 ** 53 - 1, "feffffffffffff1f"], [2n ** 53n, "8080808080808020"], [-(2n ** 63n), "ffffffffffffffffff01"], [2n ** 63n - 1n, "feffffffffffffffff01"],
];

test("a varint is Go's, over all of int64", () => {
  for (const [value, hex] of VARINTS) {
    assert.equal(encodeVarint(value).toString("hex"), hex, String(value));
    assert.equal(decodeVarint(Buffer.from(hex, "hex")), value, hex);
  }
});

test(`any int64 goes through a varint unchanged (SEED=${seed})`, () => {
  fc.assert(fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.nat(63), (wide, shift) => {
    const value = wide >> BigInt(shift);
    const decoded = decodeVarint(encodeVarint(value));
    assert.equal(BigInt(decoded ?? 0), value);
    assert.equal(typeof decoded, Number.isSafeInteger(Number(value)) ? "number" : "bigint");
  }), random);
});

test("a varint that ends too early or overflows is refused; what follows one is ignored, as in Go", () => {
  for (const hex of ["", "80", "ffffff", "ffffffffffffffffff", "ffffffffffffffffff02", "ffffffffffffffffffff01"]) {
    assert.equal(decodeVarint(Buffer.from(hex, "hex")), undefined, hex);
  }
  assert.equal(decodeVarint(Buffer.from("7eff", "hex")), 63);
  for (const value of [1.5, 2 ** 53, Number.NaN, 2n ** 63n]) assert.throws(() => encodeVarint(value), RangeError);
});

test("a time is Go's MarshalBinary", () => {
  // From a real containerd's database: 2026-11-24T05:23:33.627 UTC or so.
  const stored = Buffer.from("010000000ee297075619300012ffff", "hex");
  const time = decodeGoTime(stored);
  assert.equal(time?.toISOString().slice(0, 10), "2026-11-24");
  assert.equal(encodeGoTime(new Date("2024-02-29T12:34:56.789Z")).toString("hex"), "010000000edd7270f02f072f40ffff");
  assert.equal(decodeGoTime(Buffer.from("0100000000000000000000000000" + "00", "hex"))?.getTime(), -62_135_596_800_000);
  for (const hex of ["", "01", "030000000ee297075619300012ffff", "010000000ee2970756193000", "010000000ee29707563b9aca00ffff", "017fffffffffffffff00000000ffff"]) {
    assert.equal(decodeGoTime(Buffer.from(hex, "hex")), undefined, hex);
  }
  assert.throws(() => encodeGoTime(new Date(Number.NaN)), RangeError);
});

test(`any time goes through unchanged, also before 1970 (SEED=${seed})`, () => {
  fc.assert(fc.property(fc.date({ min: new Date(-62_135_596_800_000), max: new Date(253_402_300_799_999), noInvalidDate: true }), (time) => {
    assert.equal(decodeGoTime(encodeGoTime(time))?.getTime(), time.getTime());
  }), random);
});

test("messages in headers are percent-encoded and come back", () => {
  assert.equal(encodeMessage("a b%\n☃"), "a b%25%0A%E2%98%83");
  assert.equal(decodeMessage("100% sure %E2%98%83 %zz"), "100% sure ☃ %zz");
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => {
    assert.equal(decodeMessage(encodeMessage(text)), Buffer.from(text).toString());
    assert.match(encodeMessage(text), /^[ -~]*$/);
  }), random);
});

test("timeouts are read in every unit and written in eight digits", () => {
  assert.deepEqual(["1H", "2M", "3S", "4m", "5000u", "6000000n"].map(parseTimeout), [3_600_000, 120_000, 3000, 4, 5, 6]);
  for (const text of ["", "1", "m", "-1m", "123456789m", "1.5S", "1x"]) assert.throws(() => parseTimeout(text), { status: Status.INTERNAL });
  assert.deepEqual([formatTimeout(0.2), formatTimeout(99_999_999), formatTimeout(2 ** 31 - 1)], ["1m", "99999999m", "2147484S"]);
});

test("errors keep their meaning over the network and back", () => {
  for (const code of ["EXISTS", "NOT_FOUND", "INVALID", "CORRUPT", "UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED"] as const) {
    const error = toGrpcError(new ImagesError(code, "image \"x\""));
    const back = fromGrpcError(error);
    assert.equal(back.code, code);
    assert.ok(back.message.includes('image "x"'));
    assert.equal(back.cause, error);
    // A server that passes another server's answer on does not change it.
    assert.equal(toGrpcError(fromGrpcError(new GrpcError(Status.PERMISSION_DENIED, "no"))).status, Status.PERMISSION_DENIED);
  }
  assert.equal(toGrpcError(new BoltError("DATABASE_READ_ONLY", "database is in read-only mode")).status, Status.FAILED_PRECONDITION);
  assert.equal(toGrpcError(new BoltError("IO", "disk")).status, Status.UNAVAILABLE);
  assert.equal(toGrpcError("text").status, Status.UNKNOWN);
});

test("a group, of whatever is in it, is skipped; one that does not end, or begin, is broken", () => {
  const name = Buffer.from("0a0161", "hex");
  // Group 5 with a varint, a text, a group 6 and in it both fixed kinds.
  const group = Buffer.from("2b" + "0801" + "120178" + "33" + "090000000000000000" + "0d00000000" + "34" + "2c", "hex");
  for (const message of [[group, name], [name, group], [group, group, name]]) assert.equal(decodeName(Buffer.concat(message)), "a");
  for (const broken of ["2b", "2b0801", "2c", "2b34", "2b332c34", "2b0f2c", "2b12ff2c"]) {
    assert.throws(() => decodeName(Buffer.concat([name, Buffer.from(broken, "hex")])), ProtobufError, broken);
  }
  const deep = (depth: number): Buffer => Buffer.concat([Buffer.alloc(depth, 0x2b), Buffer.alloc(depth, 0x2c), name]);
  assert.equal(decodeName(deep(100)), "a");
  assert.throws(() => decodeName(deep(100_000)), ProtobufError);
});

test("a message that is there twice is merged", () => {
  const part = (image: Partial<Descriptor>): Buffer => encodeImageField({ name: "", target: { mediaType: "", digest: "", size: 0, ...image } });
  const image = decodeImageField(Buffer.concat([part({ digest: "d", size: 1 }), part({ mediaType: "m", size: 2 }), encodeImageField({ name: "n", target: { mediaType: "", digest: "", size: 0 } })]));
  assert.deepEqual(image, { name: "n", target: { mediaType: "m", digest: "d", size: 2 } });
});

test("a condition or a mask that is there in parts is the whole of them", () => {
  const { digest } = SAMPLE_IMAGE.target;
  const part = (descriptor: Buffer): Buffer => new MessageWriter().bytes(3, descriptor).finish();
  const condition = Buffer.concat([
    encodeName("a"), part(new MessageWriter().text(2, digest).finish()), part(new MessageWriter().integer(3, 1).finish()),
  ]);
  assert.deepEqual(decodeDelete(condition), { name: "a", digest });
  const mask = Buffer.concat([encodeUpdate(SAMPLE_IMAGE, ["labels.x"]), new MessageWriter().bytes(2, encodeTexts(["annotations.q"])).finish()]);
  assert.deepEqual(decodeUpdate(mask).fields, ["labels.x", "annotations.q"]);
  const many = Array.from({ length: 200_000 }, () => "labels.x");
  assert.equal(decodeUpdate(encodeUpdate(SAMPLE_IMAGE, many)).fields.length, many.length);
});

test("isNotFound and isExists look through causes, and do not run in circles", () => {
  const cause = new ImageNotFoundError("image \"a\": not found");
  assert.ok(isNotFound(new Error("pull failed", { cause })));
  assert.ok(!isExists(new Error("pull failed", { cause })));
  const circle = new Error("a");
  circle.cause = circle;
  assert.ok(!isNotFound(circle));
  const wrapped = aboutImage("a", new BoltError("BUCKET_NOT_FOUND", "bucket not found"));
  assert.ok(isNotFound(wrapped) && wrapped instanceof Error && wrapped.cause instanceof BoltError);
});

test("addresses are read in the forms that people write", () => {
  for (const text of ["unix:///run/x.sock", "unix:/run/x.sock", "/run/x.sock"]) assert.deepEqual(parseAddress(text), { path: "/run/x.sock" });
  assert.deepEqual(parseAddress("./x.sock"), { path: "./x.sock" });
  for (const text of ["127.0.0.1:80", "tcp://127.0.0.1:80", "http://127.0.0.1:80/"]) assert.deepEqual(parseAddress(text), { host: "127.0.0.1", port: 80 });
  assert.deepEqual(parseAddress("[::1]:5000"), { host: "::1", port: 5000 });
  for (const text of ["", "host", "host:0", "host:70000", "unix:", "ftp://host:1"]) assert.throws(() => parseAddress(text), INVALID, text);
  for (const text of ["unix:/run/x.sock", "127.0.0.1:80", "[::1]:5000"]) assert.equal(formatAddress(parseAddress(text)), text);
  assert.deepEqual(["127.9.9.9", "::1", "localhost", "10.0.0.1", "127.evil.example"].map(isLoopback), [true, true, true, false, false]);
});

test("names, namespaces, digests and labels are checked as containerd checks them", () => {
  for (const good of ["default", "k8s.io", "a", "A-1_b.c", "x".repeat(76)]) validateNamespace(good);
  for (const bad of ["", ".", "a..b", "-a", "a-", "a/b", "ü", "x".repeat(77)]) assert.throws(() => validateNamespace(bad), INVALID, bad);
  for (const good of [`sha256:${"a".repeat(64)}`, `sha384:${"0".repeat(96)}`, `sha512:${"f".repeat(128)}`]) validateDigest(good);
  for (const bad of ["", ":", "sha256:", `:${"a".repeat(64)}`, `sha256:${"g".repeat(64)}`, `sha1:${"a".repeat(40)}`, `sha256:${"A".repeat(64)}`]) {
    assert.throws(() => validateDigest(bad), INVALID, bad);
  }
  for (const good of ["a", "ü☃😀", "a\u0000b"]) validateName(good);
  for (const bad of ["", "\ud800", "a\udfffb", "\udc00\ud800"]) assert.throws(() => validateName(bad), INVALID, JSON.stringify(bad));
  const target = { mediaType: "m", digest: `sha256:${"a".repeat(64)}`, size: 1 };
  validateImage("a", target, { k: "v".repeat(4095) });
  assert.throws(() => validateImage("a", target, { k: "☃".repeat(1366) }), INVALID);
  assert.throws(() => validateImage("a", target, { "": "v" }), INVALID);
});
