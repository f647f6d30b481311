/**
 * gRPC's framing of a message in an HTTP/2 body: a byte of flags (1 = compressed), the length (u32, big-endian), the message.
 * A call here has one message each way, of at most 16 MiB; the limit counts before memory of the announced length is taken.
 */
import { GrpcError, Status } from "./grpc-status.js";

/** The longest message that is sent or taken: containerd's own limit. */
export const MESSAGE_BYTES_MAX: number = 16 * 1024 * 1024;

/** What a frame has before its message. */
export const HEADER_BYTES = 5;
const NOTHING = Buffer.alloc(0);

/** Puts a message in its frame. @throws GrpcError RESOURCE_EXHAUSTED when it is too long */
export function frame(message: Uint8Array): Buffer {
  if (message.length > MESSAGE_BYTES_MAX) throw tooLong(message.length);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

/** Gathers the one message of a body from the chunks in which it comes, however small, in memory of the size of what has come. */
export class MessageReader {
  #bytes: Buffer = NOTHING;
  #byteCount = 0;
  /** Bytes of frame header and message; known once the header is here. */
  #expected: number | undefined;

  /** Takes a chunk. @throws GrpcError for a frame that cannot be, a message that is too long, or more than one */
  push(chunk: Buffer): void {
    this.#append(chunk);
    if (this.#expected === undefined && this.#byteCount >= HEADER_BYTES) this.#expected = HEADER_BYTES + messageLength(this.#bytes);
    if (this.#expected !== undefined && this.#byteCount > this.#expected) {
      throw new GrpcError(Status.INTERNAL, "the body goes on after its one message");
    }
  }

  #append(chunk: Buffer): void {
    const byteCount = this.#byteCount + chunk.length;
    if (this.#byteCount === 0) {
      // Most messages are one chunk.
      this.#bytes = chunk;
    } else {
      if (byteCount > this.#bytes.length) {
        const larger = Buffer.allocUnsafe(Math.max(byteCount, 2 * this.#bytes.length));
        this.#bytes.copy(larger, 0, 0, this.#byteCount);
        this.#bytes = larger;
      }
      chunk.copy(this.#bytes, this.#byteCount);
    }
    this.#byteCount = byteCount;
  }

  /** Whether anything has come. */
  get isEmpty(): boolean {
    return this.#byteCount === 0;
  }

  /** Gives the message once the body has ended. @throws GrpcError INTERNAL when the body was cut off */
  finish(): Buffer {
    if (this.#byteCount === 0) throw new GrpcError(Status.INTERNAL, "the body ends without a message");
    if (this.#byteCount !== this.#expected) throw new GrpcError(Status.INTERNAL, "the body ends inside a message");
    return this.#bytes.subarray(HEADER_BYTES, this.#byteCount);
  }
}

function messageLength(header: Buffer): number {
  const flags = header.readUInt8(0);
  if (flags === 1) throw new GrpcError(Status.INTERNAL, "the message is compressed, and no encoding was agreed");
  if (flags !== 0) throw new GrpcError(Status.INTERNAL, `the frame's flags 0x${flags.toString(16)} are unknown`);
  const length = header.readUInt32BE(1);
  if (length > MESSAGE_BYTES_MAX) throw tooLong(length);
  return length;
}

function tooLong(length: number): GrpcError {
  return new GrpcError(Status.RESOURCE_EXHAUSTED, `message of ${length} bytes is larger than the limit of ${MESSAGE_BYTES_MAX}`);
}
