/**
 * What may be stored, by containerd's rules: a name, a digest of a known algorithm in full length, a positive size, a
 * media type, labels up to 4096 bytes, a namespace that is safe as a path component. The early layout never checked
 * more than the name, and files with sizes such as -1 exist, so it gets `validateEarlyImage`.
 *
 * @see containerd metadata/images.go (validateImage), labels/validate.go, identifiers/validate.go; go-digest Digest.Validate
 */
import { invalid, quote } from "./errors.js";
import { isInt64 } from "./varint.js";
import type { Descriptor } from "./types.js";

const HEX_LENGTHS: ReadonlyMap<string, number> = new Map([["sha256", 64], ["sha384", 96], ["sha512", 128]]);
const LABEL_BYTES_MAX = 4096;
/** What a key of a bolt file may have. */
const KEY_BYTES_MAX = 32_768;
const NAMESPACE_LENGTH_MAX = 76;
const NAMESPACE_FORM = /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/;

/** Checks an image's name: a string, not empty, that UTF-8 can hold, not longer than a key can be. */
export function validateName(name: string): void {
  validateText(name);
  if (name === "") throw invalid("image name must not be empty");
  if (!isShortEnough(name)) throw invalid(`an image name may have ${KEY_BYTES_MAX} bytes, this one has ${Buffer.byteLength(name)}`);
}

/** Whether an image can have the name, as far as its length goes. */
export function isShortEnough(name: string): boolean {
  return Buffer.byteLength(name) <= KEY_BYTES_MAX;
}

/** Checks a name that an image is looked for by: a string that UTF-8 can hold. */
export function validateText(name: string): void {
  if (typeof name !== "string") throw new TypeError("an image name is a string");
  requireWhole("image name", name);
}

/** UTF-8 has no bytes for half a character: two such texts would be stored as one. */
function requireWhole(what: string, text: string): void {
  if (!text.isWellFormed()) throw invalid(`${what} ${quote(text)} is not text: it has half a surrogate pair`);
}

/** Checks that a descriptor can be stored at all: strings, a size within int64. */
function validateEarlyTarget(target: Descriptor): void {
  if (typeof target !== "object" || target === null) throw new TypeError("an image's target is a descriptor");
  if (typeof target.digest !== "string") throw new TypeError("a descriptor's digest is a string");
  if (typeof target.mediaType !== "string") throw new TypeError("a descriptor's mediaType is a string");
  if (typeof target.size !== "number" && typeof target.size !== "bigint") {
    throw new TypeError("a descriptor's size is a number or a bigint");
  }
  if (!isInt64(target.size)) throw invalid(`target size ${target.size} is not a 64-bit integer; above 2^53 - 1 give a bigint`);
}

/** Checks a descriptor as containerd does before it stores one. */
function validateTarget(target: Descriptor): void {
  validateEarlyTarget(target);
  validateDigest(target.digest);
  if (target.size <= 0) throw invalid("target size must be greater than zero");
  if (target.mediaType === "") throw invalid("target media type must be set");
}

/** Checks `algorithm:hex` with an algorithm that is known and all of its hex digits, in lower case. */
export function validateDigest(digest: string): void {
  const colon = digest.indexOf(":");
  const hexLength = HEX_LENGTHS.get(digest.slice(0, Math.max(colon, 0)));
  const fault = colon <= 0 || colon === digest.length - 1 ? "invalid checksum digest format"
    : hexLength === undefined ? "unsupported digest algorithm"
    : digest.length - colon - 1 !== hexLength ? "invalid checksum digest length"
    : /^[0-9a-f]+$/.test(digest.slice(colon + 1)) ? undefined
    : "invalid checksum digest format";
  if (fault !== undefined) throw invalid(`target digest ${quote(digest)} invalid: ${fault}`);
}

/** Whether something can be an object of strings. What is iterated over, as an array or a Map, has its entries elsewhere than in properties. */
export function isRecord(strings: unknown): strings is Readonly<Record<string, unknown>> {
  return typeof strings === "object" && strings !== null && !(Symbol.iterator in strings);
}

/** Checks that labels or annotations, where there are any, are an object. @throws TypeError */
export function requireRecord(what: "labels" | "annotations", strings: unknown): void {
  if (strings !== undefined && !isRecord(strings)) throw new TypeError(`${what} are an object of strings, not null, an array, a Map or another iterable`);
}

/** Checks labels or annotations: an object of strings, keys that can be stored; of labels also the length of key and value. */
export function validateStrings(what: "labels" | "annotations", strings: Readonly<Record<string, string>> | undefined): void {
  requireRecord(what, strings);
  for (const [key, value] of Object.entries(strings ?? {})) {
    if (typeof value !== "string") throw new TypeError(`${what}: the value of ${quote(key)} is a string`);
    requireWhole(`${what}: key`, key);
    requireWhole(`${what}: value`, value);
    if (what === "labels" && Buffer.byteLength(key) + Buffer.byteLength(value) > LABEL_BYTES_MAX) {
      throw invalid(`labels: key and value are longer than ${LABEL_BYTES_MAX} bytes, key: ${key.slice(0, 10)}`);
    }
    // An empty value is not stored, so its key may be any.
    if (value === "") continue;
    if (key === "") throw invalid(`${what}: a key must not be empty`);
    if (Buffer.byteLength(key) > KEY_BYTES_MAX) throw invalid(`${what}: a key is longer than ${KEY_BYTES_MAX} bytes, key: ${key.slice(0, 10)}`);
  }
}

/** Checks that a whole image can be stored at all. */
export function validateEarlyImage(name: string, target: Descriptor, labels: Readonly<Record<string, string>> | undefined): void {
  validateName(name);
  validateEarlyTarget(target);
  validateStrings("labels", labels);
  validateStrings("annotations", target.annotations);
}

/** Checks a whole image as containerd does before it stores one. */
export function validateImage(name: string, target: Descriptor, labels: Readonly<Record<string, string>> | undefined): void {
  validateName(name);
  validateStrings("labels", labels);
  validateTarget(target);
  validateStrings("annotations", target.annotations);
}

/** Checks a namespace: letters and digits, joined by single `.`, `_` or `-`, at most 76 characters. */
export function validateNamespace(namespace: string): void {
  if (typeof namespace !== "string") throw new TypeError("a namespace is a string");
  if (namespace === "") throw invalid("namespace must not be empty");
  if (namespace.length > NAMESPACE_LENGTH_MAX) {
    throw invalid(`namespace ${quote(namespace)} is longer than ${NAMESPACE_LENGTH_MAX} characters`);
  }
  if (!NAMESPACE_FORM.test(namespace)) throw invalid(`namespace ${quote(namespace)} must match ${NAMESPACE_FORM.source}`);
}
