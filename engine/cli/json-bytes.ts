/**
 * Bytes in JSON, exactly: a string where they are UTF-8, else an object with their hexadecimal digits. `{"hex": "00ff"}` and a string
 * never stand for the same bytes twice over: what is UTF-8 is always written as a string, unless a format was asked for.
 */
import { formatBytes, hex, utf8Text } from "./go-text.js";

/** Bytes as JSON carries them. */
export type JsonBytes = string | { readonly hex: string };

/** Gives the JSON form of bytes. */
export function toJsonBytes(bytes: Uint8Array): JsonBytes {
  return utf8Text(bytes) ?? { hex: hex(bytes) };
}

/** Bytes printed in a format that was asked for, as JSON carries them: the text under the format's name. */
export type FormattedBytes = { readonly [format: string]: string };

/**
 * Gives the JSON form of bytes in one of the FORMATS: `{"redacted": "<redacted len:…>"}`. Without a format, and for `bytes`, it is that of the
 * bytes themselves. `{"hex": …}` is one thing either way: the digits.
 */
export function toFormattedJson(bytes: Uint8Array, format: string | undefined): JsonBytes | FormattedBytes {
  const printed = format === undefined ? bytes : formatBytes(bytes, format);
  return typeof printed === "string" && format !== undefined ? { [format]: printed } : toJsonBytes(bytes);
}

/** Reads the JSON form of bytes; also `{"base64": …}`, for files made by other programs. @throws Error for anything else */
export function fromJsonBytes(value: unknown, what: string): Buffer {
  if (typeof value === "string") {
    if (!value.isWellFormed()) throw new Error(`${what} is a string with half a surrogate pair, which is not text`);
    return Buffer.from(value, "utf8");
  }
  if (typeof value === "object" && value !== null && Object.keys(value).length === 1) {
    if ("hex" in value && typeof value.hex === "string" && /^(?:[0-9a-fA-F]{2})*$/.test(value.hex)) return Buffer.from(value.hex, "hex");
    if ("base64" in value && typeof value.base64 === "string" && /^[A-Za-z0-9+/]*={0,2}$/.test(value.base64)) return Buffer.from(value.base64, "base64");
  }
  throw new Error(`${what} must be a string or {"hex": "…"}`);
}
