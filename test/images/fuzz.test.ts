/** Mutated messages and frames, thousands of them: each ends with a status or a typed error, none with a crash or a hang. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compileGoRegexp } from "../../images/go-regexp.js";
import { frame, MessageReader } from "../../images/grpc-frame.js";
import { GrpcError, Status } from "../../images/grpc-status.js";
import { ImagesError } from "../../images/errors.js";
import { parseFilters } from "../../images/filters.js";
import { serveImages } from "../../images/index.js";
import {
  decodeCorrupt, decodeCreate, decodeCreateLease, decodeDelete, decodeImage, decodeImageField, decodeImages, decodeTexts, decodeUpdate, encodeDelete,
  encodeImageField, encodeImages, encodeTexts, encodeUpdate,
} from "../../images/messages.js";
import { ProtobufError } from "../../images/protobuf.js";
import { EARLY_SERVICE, PRESENT_SERVICE, imageServices } from "../../images/services.js";
import { Random } from "../support/random.js";
import { MapImageStore } from "./map-store.js";
import { rawCall, rawSession } from "./raw-client.js";
import { SAMPLE_IMAGE as image } from "./sample-image.js";

const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);

const MESSAGES = [encodeImageField(image), encodeImages([image, image]), encodeUpdate(image, ["labels.env", "target"], new Date(1)), encodeDelete("a", "sha256:x"), encodeTexts(["a", ""])];

/** Changes a few bytes: flips, cuts, repeats, swaps lengths for wild ones. */
function mutate(bytes: Buffer, random: Random): Buffer {
  let result = Buffer.from(bytes);
  for (let round = 1 + random.below(3); round > 0 && result.length > 0; round--) {
    const at = random.below(result.length);
    switch (random.below(5)) {
      case 0: result[at] = random.below(256); break;
      case 1: result = result.subarray(0, at); break;
      case 2: result = Buffer.concat([result.subarray(0, at), result.subarray(at >> 1)]); break;
      case 3: result = Buffer.concat([result.subarray(0, at), Buffer.alloc(1 + random.below(11), 0xff), result.subarray(at)]); break;
      default: result[at] = (result[at] ?? 0) ^ (1 << random.below(8));
    }
  }
  return result;
}

test("a message comes back as it was", () => {
  assert.deepEqual(decodeImageField(encodeImageField(image)), image);
  assert.deepEqual(decodeImages(encodeImages([image, image])), { images: [image, image], broken: [] });
  assert.deepEqual(decodeUpdate(encodeUpdate(image, ["target"])), { image, fields: ["target"], sourceDateEpoch: undefined });
  assert.deepEqual(decodeDelete(encodeDelete("a", undefined)), { name: "a", digest: undefined });
  assert.deepEqual(decodeTexts(encodeTexts(["", "b"])), ["", "b"]);
});

test(`a mutated message decodes or is refused with a typed error (SEED=${seed})`, () => {
  const random = new Random(seed);
  const decoders = [decodeImage, decodeImageField, decodeImages, decodeCreate, decodeUpdate, decodeDelete, decodeTexts, decodeCreateLease, decodeCorrupt];
  let refused = 0;
  const count = 20_000;
  for (let step = 0; step < count; step++) {
    const bytes = mutate(MESSAGES[random.below(MESSAGES.length)] ?? Buffer.alloc(0), random);
    try {
      (decoders[random.below(decoders.length)] ?? decodeImage)(bytes);
    } catch (error) {
      assert.ok(error instanceof ProtobufError, `${bytes.toString("hex")}: ${String(error)}`);
      refused++;
    }
  }
  assert.ok(refused > count / 20 && refused < count, `${refused} were refused`);
});

test(`a mutated frame, in pieces, is a message or a status (SEED=${seed})`, () => {
  const random = new Random(seed);
  for (let step = 0; step < 5000; step++) {
    const bytes = mutate(frame(MESSAGES[0] ?? Buffer.alloc(0)), random);
    const reader = new MessageReader();
    try {
      for (let at = 0; at < bytes.length;) {
        const length = 1 + random.below(bytes.length - at);
        reader.push(bytes.subarray(at, at + length));
        at += length;
      }
      reader.finish();
    } catch (error) {
      assert.ok(error instanceof GrpcError, String(error));
    }
  }
});

test(`mutated calls to every method leave the server serving (SEED=${seed})`, async (context) => {
  const random = new Random(seed);
  const paths = [...imageServices(new MapImageStore()).keys()];
  const server = await serveImages(new MapImageStore(), {});
  let session = rawSession(server.address);
  // A failure must end the run, too: an open session would keep it waiting.
  context.after(() => {
    session.destroy();
    return server.close();
  });
  const statuses = new Map<number | undefined, number>();
  for (let round = 0; round < 60; round++) {
    const answers = await Promise.all(Array.from({ length: 25 }, () => {
      const message = MESSAGES[random.below(MESSAGES.length)] ?? Buffer.alloc(0);
      const body = random.below(2) === 0 ? mutate(frame(message), random) : frame(mutate(message, random));
      return rawCall(session, paths[random.below(paths.length)] ?? "", body);
    }));
    for (const answer of answers) {
      assert.notEqual(answer.grpcStatus, undefined, `a call ended without a status, reset ${answer.resetCode}`);
      statuses.set(answer.grpcStatus, (statuses.get(answer.grpcStatus) ?? 0) + 1);
    }
  }
  assert.ok((statuses.get(Status.OK) ?? 0) > 0 && (statuses.get(Status.INTERNAL) ?? 0) > 0, "some go well, some do not");
  session.destroy();
  session = rawSession(server.address);
  assert.equal((await rawCall(session, `/${PRESENT_SERVICE}/List`, frame(Buffer.alloc(0)))).grpcStatus, Status.OK);
  assert.equal((await rawCall(session, `/${EARLY_SERVICE}/List`, frame(Buffer.alloc(0)))).grpcStatus, Status.OK);
});

test(`mutated filters and patterns parse or are refused with a typed error (SEED=${seed})`, () => {
  const random = new Random(seed);
  const texts = ['labels."a\\x41"==b,name~=/^x(?i:[[:alpha:]]+)\\\\b/', "name~=|a{2,3}(b|c)*?|,target.digest!=\"q\"", "name == x , labels.a.b"].map((text) => Buffer.from(text));
  for (let step = 0; step < 5000; step++) {
    const text = mutate(texts[random.below(texts.length)] ?? Buffer.alloc(0), random).toString();
    compileGoRegexp(text)?.("some text");
    try {
      parseFilters([text])(image);
    } catch (error) {
      assert.ok(error instanceof ImagesError && error.code === "INVALID", `${JSON.stringify(text)}: ${String(error)}`);
    }
  }
});
