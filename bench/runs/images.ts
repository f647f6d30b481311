/** Runs over image metadata: 20,000 images of three small fields. Every image is compared with what was put. */
import { encodeVarint } from "../../images/varint.js";
import { mix } from "../data.js";
import type { Answer, Job } from "../job.js";
import type { ImageFields } from "../stores/store.js";
import { sumBytes } from "../verify.js";
import { directoryBytes, openJobStore, peakRss, settled } from "./context.js";
import type { Context } from "./context.js";

const MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json";
const HEX_WORDS = 8;

/** The name of image `index`: registries, repositories and tags as in the wild; in no order. */
export function imageName(seed: number, index: number): string {
  const salt = mix(index ^ seed);
  return `registry-${salt % 10}.example.com/team-${mix(salt + 1) % 100}/service-${index}:v${mix(salt + 2) % 1000}`;
}

/** The fields of image `index`. */
export function imageFields(seed: number, index: number): ImageFields {
  let digest = "sha256:";
  for (let word = 0; word < HEX_WORDS; word++) digest += mix(mix(index ^ seed) + 3 + word).toString(16).padStart(8, "0");
  return { digest, mediaType: MEDIA_TYPE, size: mix(index ^ seed) >>> 8 };
}

/** Puts all images, `batchSize` a transaction, then reads them back. */
export async function runImagesPut(context: Context): Promise<Answer> {
  const { job, store, stopwatch } = context;
  for (let first = 0; first < job.operationCount; first += job.batchSize) {
    const indexes = Array.from({ length: Math.min(job.batchSize, job.operationCount - first) }, (_, at) => first + at);
    const names = indexes.map((index) => imageName(job.seed, index));
    const fields = indexes.map((index) => imageFields(job.seed, index));
    stopwatch.start();
    await settled(store.images.put(names, fields));
    stopwatch.stop();
  }
  const peakRssBytes = peakRss();
  const version = store.version;
  await store.close();
  const fileBytes = directoryBytes(job.directory);
  context.store = await openJobStore(job);
  const verifier = await verifyList(context);
  if (job.settle) await context.store.settle?.();
  await context.store.close();
  return context.answer({ operations: job.operationCount, peakRssBytes, fileBytes, verifier, extra: {}, version });
}

/** Gets images in the order of the index file, each in a transaction of its own where the store has such. */
export async function runImagesGet(context: Context): Promise<Answer> {
  const { job, store, stopwatch } = context;
  const indexes = context.readIndexes().subarray(0, job.operationCount);
  const names = Array.from(indexes, (index) => imageName(job.seed, index));
  const verifier = new ImageVerifier(job);
  indexes.forEach((index, at) => verifier.check(index, names[at] ?? "", store.images.get(names[at] ?? "")));
  let passCount = 0;
  do {
    let found = 0;
    stopwatch.start();
    for (const name of names) if (store.images.get(name) !== undefined) found++;
    stopwatch.stop();
    passCount++;
    if (found !== names.length) throw new Error(`wrong result: ${found} of ${names.length} images found`);
  } while (stopwatch.elapsedMs < job.minimumMs);
  const peakRssBytes = peakRss();
  const version = store.version;
  await store.close();
  return context.answer({ operations: passCount * names.length, peakRssBytes, fileBytes: directoryBytes(job.directory), verifier, extra: {}, version });
}

/** Lists all images with their fields. */
export async function runImagesList(context: Context): Promise<Answer> {
  const { job, store, stopwatch } = context;
  const verifier = await verifyList(context);
  let passCount = 0;
  do {
    let count = 0;
    stopwatch.start();
    await settled(
      store.images.list((_name, fields) => {
        if (fields.digest.length > 0) count++;
      }),
    );
    stopwatch.stop();
    passCount++;
    if (count !== job.entryCount) throw new Error(`wrong result: a list gave ${count} of ${job.entryCount} images`);
  } while (stopwatch.elapsedMs < job.minimumMs);
  const peakRssBytes = peakRss();
  const version = store.version;
  await store.close();
  return context.answer({ operations: passCount * job.entryCount, peakRssBytes, fileBytes: directoryBytes(job.directory), verifier, extra: {}, version });
}

class ImageVerifier {
  readonly #seed: number;
  verified = 0;
  checksum = 0;

  constructor(job: Job) {
    this.#seed = job.seed;
  }

  check(index: number, name: string, fields: ImageFields | undefined): void {
    const expected = imageFields(this.#seed, index);
    const same =
      fields !== undefined &&
      name === imageName(this.#seed, index) &&
      expected.digest === fields.digest &&
      expected.mediaType === fields.mediaType &&
      expected.size === fields.size;
    if (!same) throw new Error(`wrong result: image ${name} is not what was put`);
    this.verified++;
    // Of the bytes as the native programs have them.
    this.checksum = (this.checksum + sumBytes(Buffer.from(fields.digest)) + sumBytes(encodeVarint(fields.size))) >>> 0;
  }
}

async function verifyList(context: Context): Promise<ImageVerifier> {
  const verifier = new ImageVerifier(context.job);
  const imageCount = context.job.operationCount > 0 && context.job.entryCount === 0 ? context.job.operationCount : context.job.entryCount;
  let previous = Buffer.alloc(0);
  await settled(
    context.store.images.list((name, fields) => {
      const bytes = Buffer.from(name);
      if (previous.compare(bytes) >= 0) throw new Error("wrong result: images out of order");
      previous = bytes;
      verifier.check(Number(/service-(\d+):/.exec(name)?.[1]), name, fields);
    }),
  );
  if (verifier.verified !== imageCount) throw new Error(`wrong result: ${verifier.verified} images of ${imageCount}`);
  return verifier;
}
