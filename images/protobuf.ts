/**
 * The protobuf wire format, as far as the image messages need it: varints, 32- and 64-bit values, length-delimited fields.
 * Writing leaves out zero values, as proto3 does; reading skips what it does not know and refuses what is broken.
 *
 * @see https://protobuf.dev/programming-guides/encoding/
 */
import { isUtf8 } from "node:buffer";

/** The bytes are no message: cut off, an impossible tag or length, text that is no UTF-8. */
export class ProtobufError extends Error {}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const GROUP_START = 3;
const GROUP_END = 4;
const FIXED32 = 5;

/** Groups in groups that are skipped: as deep as Go's decoder goes. */
const GROUP_DEPTH_MAX = 100;

/** A message of few fields takes so many bytes; longer ones grow. */
const FIRST_SIZE = 128;
/** Bytes of the longest varint. */
const VARINT_MAX = 10;

/** Gathers the fields of one message. */
export class MessageWriter {
  #bytes = Buffer.allocUnsafe(FIRST_SIZE);
  #size = 0;

  /** Writes a 64-bit integer; 0 is left out. */
  integer(field: number, value: number | bigint): this {
    if (value === 0 || value === 0n) return this;
    this.#varint((field << 3) | VARINT);
    this.#varint(value);
    return this;
  }

  /** Writes a text; the empty one is left out. */
  text(field: number, value: string): this {
    return value === "" ? this : this.element(field, value);
  }

  /** Writes an element of a repeated text: the empty one too. */
  element(field: number, value: string): this {
    const size = Buffer.byteLength(value);
    this.#begin(field, size);
    this.#bytes.write(value, this.#size);
    this.#size += size;
    return this;
  }

  /** Writes bytes, which may be a message: also when they are none, because presence says something. */
  bytes(field: number, value: Uint8Array): this {
    this.#begin(field, value.length);
    this.#bytes.set(value, this.#size);
    this.#size += value.length;
    return this;
  }

  /** Writes a map of texts: one message with key 1 and value 2 an entry. */
  map(field: number, value: Readonly<Record<string, string>> | undefined): this {
    for (const [key, entry] of Object.entries(value ?? {})) {
      this.bytes(field, new MessageWriter().text(1, key).text(2, entry).finish());
    }
    return this;
  }

  /** Gives the message; nothing can be added then. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#size);
  }

  /** Writes what stands before a length-delimited field, and makes room for it. */
  #begin(field: number, size: number): void {
    this.#varint((field << 3) | BYTES);
    this.#varint(size);
    this.#reserve(size);
  }

  /** Writes an unsigned varint; a negative value in its 64-bit two's complement, ten bytes long. */
  #varint(value: number | bigint): void {
    this.#reserve(VARINT_MAX);
    const bytes = this.#bytes;
    // Tags, lengths and most sizes: a bigint a byte costs ten times as much.
    if (typeof value === "number" && value >= 0 && value < 2 ** 31) {
      let rest = value;
      for (; rest >= 0x80; rest >>>= 7) bytes[this.#size++] = (rest & 0x7f) | 0x80;
      bytes[this.#size++] = rest;
      return;
    }
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest >= 0x80n; rest >>= 7n) bytes[this.#size++] = Number(rest & 0x7fn) | 0x80;
    bytes[this.#size++] = Number(rest);
  }

  #reserve(size: number): void {
    if (this.#size + size <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#size + size, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.#size);
    this.#bytes = larger;
  }
}

/** A message that may be whole, but has more fields than are read. */
export class TooManyFieldsError extends ProtobufError {}

/** Fields that may be read yet, where that is bounded. */
let fieldsLeft = Infinity;

/**
 * Runs a function that reads messages at once: of more fields than so many, those of messages inside a message counted, each next one is refused. A
 * message of millions of empty fields would keep everybody else waiting for seconds.
 */
export function withFieldLimit<T>(limit: number, decode: () => T): T {
  fieldsLeft = limit;
  try {
    return decode();
  } finally {
    fieldsLeft = Infinity;
  }
}

/** One field as it stood in the message. */
export interface Field {
  readonly number: number;
  /** The value of a varint or a fixed field; undefined for a length-delimited one. */
  readonly integer: bigint | undefined;
  /** The content of a length-delimited field, a view into the message; undefined for the others. */
  readonly bytes: Buffer | undefined;
}

/**
 * Reads the fields of a message in their order; groups, which no message here has, are skipped whole.
 * @throws ProtobufError at the first broken one
 */
export function* readFields(message: Uint8Array): IterableIterator<Field> {
  const reader = new FieldReader(Buffer.from(message.buffer, message.byteOffset, message.byteLength));
  while (!reader.isAtEnd) {
    const field = reader.next(0);
    if (typeof field === "object") yield field;
  }
}

/** A position in a message. */
class FieldReader {
  readonly #bytes: Buffer;
  #position = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#position === this.#bytes.length;
  }

  /** Reads a field, or skips a group, or comes to the end of the group `insideGroup`, which is in `depth` groups. */
  next(depth: number, insideGroup = 0): Field | "group" | "end" {
    if (--fieldsLeft < 0) throw new TooManyFieldsError("a request may not have so many fields");
    const tag = this.#length();
    const number = Math.floor(tag / 8);
    if (number < 1 || number > 2 ** 29 - 1) throw new ProtobufError(`field number ${number} is none`);
    switch (tag % 8) {
      case VARINT:
        return { number, integer: this.#varint(), bytes: undefined };
      case FIXED64:
        return { number, integer: this.#take(8).readBigUInt64LE(), bytes: undefined };
      case BYTES:
        return { number, integer: undefined, bytes: this.#take(this.#length()) };
      case FIXED32:
        return { number, integer: BigInt(this.#take(4).readUInt32LE()), bytes: undefined };
      case GROUP_START:
        if (depth === GROUP_DEPTH_MAX) throw new ProtobufError(`more than ${GROUP_DEPTH_MAX} groups in each other`);
        while (this.next(depth + 1, number) !== "end");
        return "group";
      case GROUP_END:
        if (number !== insideGroup) throw new ProtobufError(`group ${number} ends and did not begin`);
        return "end";
      default:
        throw new ProtobufError(`field ${number} has a wire type that is not in use`);
    }
  }

  /** Reads a tag or a length: short ones without a bigint. What a number does not hold exactly is too large for either. */
  #length(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#bytes[this.#position + shift / 7];
      if (byte === undefined) break;
      value |= (byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      this.#position += shift / 7 + 1;
      return value;
    }
    return Number(this.#varint());
  }

  #varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#position++];
      if (byte === undefined) throw new ProtobufError("the message ends inside a varint");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new ProtobufError("a varint has more than ten bytes");
  }

  #take(length: number): Buffer {
    const start = this.#position;
    if (length > this.#bytes.length - start) throw new ProtobufError("a field is longer than its message");
    this.#position += length;
    return this.#bytes.subarray(start, this.#position);
  }
}

/** A text field whose bytes are no UTF-8: the message is whole, but this text cannot be kept. */
export class NoUtf8Error extends ProtobufError {}

/** Reads a text field. @throws ProtobufError when it is no text in UTF-8 */
export function textOf(field: Field): string {
  const bytes = bytesOf(field);
  if (!isUtf8(bytes)) throw new NoUtf8Error(`field ${field.number} is no UTF-8`);
  return bytes.toString();
}

/** Reads a field that is bytes or a message. @throws ProtobufError for another wire type */
export function bytesOf(field: Field): Buffer {
  if (field.bytes === undefined) throw new ProtobufError(`field ${field.number} has the wrong wire type`);
  return field.bytes;
}

/** Reads an int64 field. @throws ProtobufError for another wire type */
export function integerOf(field: Field): bigint {
  if (field.integer === undefined) throw new ProtobufError(`field ${field.number} has the wrong wire type`);
  return BigInt.asIntN(64, field.integer);
}
