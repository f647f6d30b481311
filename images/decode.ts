/**
 * Values out of bytes that lie in a larger piece of memory, without a view for each: a list of images decodes tens of thousands of
 * short strings, of which one kind is the same again and again.
 */

/** What stands in a text where bytes were no UTF-8, or where it was put itself. */
export const REPLACEMENT = "\ufffd";

/** The text that `decodeRepeated` gave last, and its bytes. */
let lastText = "";
let lastTextBytes: Buffer = Buffer.alloc(0);

/** Decodes UTF-8 from `start` to before `end`. Named, the encoding would cost Node a look-up. */
export function decodeText(bytes: Buffer, start: number, end: number): string {
  return bytes.toString(undefined, start, end);
}

/** `decodeText` for what is mostly the same as the last time: then comparing is all, and one string serves them all. */
export function decodeRepeated(bytes: Buffer, start: number, end: number): string {
  const size = end - start;
  let same = 0;
  if (size === lastTextBytes.length) while (same < size && bytes[start + same] === lastTextBytes[same]) same++;
  if (same === size && size === lastTextBytes.length) return lastText;
  lastTextBytes = copyBytes(bytes, start, end);
  lastText = lastTextBytes.toString();
  return lastText;
}

/** Copies the bytes from `start` to before `end`. */
export function copyBytes(bytes: Buffer, start: number, end: number): Buffer {
  return Buffer.from(bytes.subarray(start, end));
}

/** Gives bytes as hexadecimal digits. */
export function hex(bytes: Buffer, start: number, end: number): string {
  return bytes.toString("hex", start, end);
}
