/**
 * The protobuf wire format, as far as the image messages need it: varints, 32- and 64-bit values, length-delimited fields.
 * Writing leaves out zero values, as proto3 does; reading skips what it does not know and refuses what is broken.
 *
 * @see https://protobuf.dev/programming-guides/encoding/
 */

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

/** Gathers the fields of one message. */
export class MessageWriter {
  readonly #pieces: Uint8Array[] = [];

  /** Writes a 64-bit integer; 0 is left out. */
  integer(field: number, value: number | bigint): this {
    if (value === 0 || value === 0n) return this;
    this.#pieces.push(varint((field << 3) | VARINT), varint(value));
    return this;
  }

  /** Writes a boolean; false is left out. */
  boolean(field: number, value: boolean): this {
    return this.integer(field, value ? 1 : 0);
  }

  /** Writes a text; the empty one is left out. */
  text(field: number, value: string): this {
    return value === "" ? this : this.bytes(field, Buffer.from(value));
  }

  /** Writes an element of a repeated text: the empty one too. */
  element(field: number, value: string): this {
    return this.bytes(field, Buffer.from(value));
  }

  /** Writes bytes, which may be a message: also when they are none, because presence says something. */
  bytes(field: number, value: Uint8Array): this {
    this.#pieces.push(varint((field << 3) | BYTES), varint(value.length), value);
    return this;
  }

  /** Writes a map of texts: one message with key 1 and value 2 an entry. */
  map(field: number, value: Readonly<Record<string, string>> | undefined): this {
    for (const [key, entry] of Object.entries(value ?? {})) {
      this.bytes(field, new MessageWriter().text(1, key).text(2, entry).finish());
    }
    return this;
  }

  /** Gives the message. */
  finish(): Buffer {
    return Buffer.concat(this.#pieces);
  }
}

/** Encodes an unsigned varint; a negative value in its 64-bit two's complement, ten bytes long. */
function varint(value: number | bigint): Buffer {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
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
    const tag = this.#varint();
    const number = Number(tag >> 3n);
    if (number < 1 || number > 2 ** 29 - 1) throw new ProtobufError(`field number ${number} is none`);
    switch (Number(tag & 7n)) {
      case VARINT:
        return { number, integer: this.#varint(), bytes: undefined };
      case FIXED64:
        return { number, integer: this.#take(8).readBigUInt64LE(), bytes: undefined };
      case BYTES:
        return { number, integer: undefined, bytes: this.#take(Number(this.#varint())) };
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

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads a text field. @throws ProtobufError when it is no text in UTF-8 */
export function textOf(field: Field): string {
  try {
    return decoder.decode(bytesOf(field));
  } catch (error) {
    if (error instanceof ProtobufError) throw error;
    throw new NoUtf8Error(`field ${field.number} is no UTF-8`, { cause: error });
  }
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
