/**
 * Damaged protobuf messages and gRPC frames, any number of them: what comes from a network may be anything, and must end with a message or with
 * the one typed error of its layer, in little time. Mutants know the wire format: besides bits, bytes and cuts they change tags, lengths and
 * varints, nest messages in themselves, and cut frames into pieces at any place.
 */
import assert from "node:assert/strict";
import { frame, MessageReader } from "../../images/grpc-frame.js";
import { GrpcError } from "../../images/grpc-status.js";
import {
  decodeCorrupt, decodeCreate, decodeCreateLease, decodeDelete, decodeImage, decodeImageField, decodeImages, decodeTexts, decodeUpdate, encodeDelete,
  encodeImageField, encodeImages, encodeTexts, encodeUpdate,
} from "../../images/messages.js";
import { ProtobufError } from "../../images/protobuf.js";
import { SAMPLE_IMAGE } from "../images/sample-image.js";
import { Random } from "../support/random.js";

/** What came of the messages. */
export interface MessageTally {
  messages: number;
  frames: number;
  /** Refused with the typed error. */
  refused: number;
  slowestMs: number;
}

/** No message of a few hundred bytes may take longer, on a busy machine either. */
const MAX_MS = 1000;

const SEEDS: readonly Buffer[] = [
  encodeImageField(SAMPLE_IMAGE), encodeImages([SAMPLE_IMAGE, SAMPLE_IMAGE]), encodeUpdate(SAMPLE_IMAGE, ["labels.env", "target"], new Date(1)), encodeDelete("a", "sha256:x"), encodeTexts(["a", ""]), Buffer.alloc(0),
];
const DECODERS: readonly ((bytes: Buffer) => unknown)[] = [decodeImage, decodeImageField, decodeImages, decodeCreate, decodeUpdate, decodeDelete, decodeTexts, decodeCreateLease, decodeCorrupt];
/** Varints at the borders: of 32, 53, 63 and 64 bits, too long ones, ones without an end. */
const VARINTS: readonly Buffer[] = ["00", "7f", "ffffffff0f", "ffffffffffffff0f", "ffffffffffffffff7f", "ffffffffffffffffff01", "ffffffffffffffffffff01", "ffffffffff"]
  .map((hex) => Buffer.from(hex, "hex"));

/** Makes and tries mutants of messages; each is known by the seed and its number. */
export class MessageFuzzer {
  readonly tally: MessageTally = { messages: 0, frames: 0, refused: 0, slowestMs: 0 };
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Tries one. @throws Error where it ends with anything but a message or the typed error, or takes too long */
  try(number: number): void {
    const random = new Random(Math.imul(this.#seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b));
    const isFrame = random.below(4) === 0;
    const message = mutate(random.pick(SEEDS), random);
    const bytes = isFrame ? mutate(frame(message), random) : message;
    const begin = performance.now();
    try {
      if (isFrame) readFrame(bytes, random);
      else random.pick(DECODERS)(bytes);
    } catch (error) {
      const isTyped = isFrame ? error instanceof GrpcError : error instanceof ProtobufError;
      if (!isTyped) throw new Error(`message ${number} of seed ${this.#seed}, ${bytes.toString("hex")}: ${String(error)}`, { cause: error });
      this.tally.refused++;
    }
    const ms = performance.now() - begin;
    assert.ok(ms < MAX_MS, `message ${number} of seed ${this.#seed} took ${ms} ms: ${bytes.toString("hex")}`);
    this.tally.slowestMs = Math.max(this.tally.slowestMs, ms);
    if (isFrame) this.tally.frames++;
    else this.tally.messages++;
  }
}

/** Hands the bytes over in pieces; then the message must be what stands behind the header, no byte of it changed. */
function readFrame(bytes: Buffer, random: Random): void {
  const reader = new MessageReader();
  for (let at = 0; at < bytes.length;) {
    const length = 1 + random.below(bytes.length - at);
    reader.push(bytes.subarray(at, at + length));
    at += length;
  }
  assert.ok(frame(reader.finish()).equals(bytes), "the message is the bytes that came");
}

function mutate(bytes: Buffer, random: Random): Buffer {
  let result = Buffer.from(bytes);
  for (let round = random.below(4); round > 0; round--) {
    const at = random.below(result.length + 1);
    const before = result.subarray(0, at);
    switch (random.below(8)) {
      case 0: if (at < result.length) result[at] = random.below(256); break;
      case 1: if (at < result.length) result[at] = (result[at] ?? 0) ^ (1 << random.below(8)); break;
      case 2: result = Buffer.from(before); break;
      case 3: result = Buffer.concat([before, result.subarray(at >> 1)]); break;
      case 4: result = Buffer.concat([before, random.pick(VARINTS), result.subarray(at)]); break;
      case 5: result = Buffer.concat([before, random.pick(VARINTS), result.subarray(at + 1)]); break;
      // A field that holds the message itself, again and again.
      case 6: for (let depth = random.below(20); depth > 0 && result.length < 4000; depth--) result = Buffer.concat([Buffer.from([0x0a | (random.below(3) << 3), result.length % 128]), result]); break;
      default: result = Buffer.concat([before, random.pick(SEEDS), result.subarray(at)]);
    }
  }
  return result;
}
