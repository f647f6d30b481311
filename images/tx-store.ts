/**
 * Images inside a transaction of the caller: what is put, read and deleted here commits or rolls back with
 * everything else that the transaction does.
 *
 * Keeps true: an operation that throws leaves the image as it was, or the whole transaction is to be rolled back (the
 * engine's own errors); a damaged image never hides the others.
 */
import { isUtf8 } from "node:buffer";
import { BoltError } from "../engine/index.js";
import { CorruptImagesError, ImageNotFoundError, aboutImage, corruptImage, exists, notFound, quote } from "./errors.js";
import { decodeText, REPLACEMENT } from "./decode.js";
import { parseFilters } from "./filters.js";
import {
  IMAGES, SCHEMA, SCHEMA_VERSION, SCHEMA_VERSION_KEY, UnreadableImage, earlyLayout, namespacedLayout,
} from "./layout.js";
import { makeImage } from "./make.js";
import { ownTime } from "./own.js";
import { neverInitialised, requireLayoutOptions, requireOwnLayout } from "./namespaces.js";
import { applyChange, stamped } from "./change.js";
import { validateEarlyImage, validateImage, validateName, validateText } from "./validate.js";
import { encodeVarint } from "./varint.js";
import type { Bucket, ReadTx, Tx } from "../engine/index.js";
import type { CorruptImage } from "./errors.js";
import type { ImageBucket, Layout, NestedReader, ReadableBucket } from "./layout.js";
import type { LayoutOptions } from "./namespaces.js";
import type { StoredOptions } from "./own.js";
import type { Descriptor, Image, ImageChange } from "./types.js";

/** The image store on one transaction; writing needs a writable one. */
export class TxImageStore {
  readonly #tx: ReadTx | Tx;
  readonly #namespace: string | undefined;
  readonly #layout: Layout;
  /** The bucket of images in a read transaction, where it cannot change: found once. */
  #found: ReadableBucket | undefined;
  /** That of a write transaction, where it may be deleted or moved. */
  #foundToWrite: Bucket | undefined;
  /** The path of that. */
  #path: readonly Buffer[] | undefined;
  /** What reads in the bucket that was found. */
  #reader: NestedReader | undefined;

  constructor(tx: ReadTx | Tx, options: LayoutOptions = {}) {
    requireLayoutOptions(options);
    this.#tx = tx;
    this.#namespace = options.namespace;
    this.#layout = options.namespace === undefined ? earlyLayout : namespacedLayout;
  }

  /**
   * Creates the image or replaces all of it: target, annotations and labels become what is given; its creation time stays.
   * @throws ImagesError INVALID, CORRUPT (a plain key has the name); NOT_FOUND when the early layout was not initialised
   */
  put(name: string, target: Descriptor, options: StoredOptions = {}): void {
    const image = makeImage(name, target, options.labels, undefined, ownTime(options.sourceDateEpoch));
    this.#validate(image);
    const images = this.#imagesToWrite(name);
    aboutOneImage(name, () => {
      if (!this.#layout.create(images, name, image)) this.#layout.write(images.createBucketIfNotExists(name), image);
    });
  }

  /** Creates the image and returns it. @throws ImageExistsError when the name is taken, otherwise as `put` */
  create(name: string, target: Descriptor, options: StoredOptions = {}): Image {
    const given = makeImage(name, target, options.labels);
    this.#validate(given);
    const image = this.#stamped(given, undefined, options.sourceDateEpoch);
    const images = this.#imagesToWrite(name);
    if (!aboutOneImage(name, () => this.#layout.create(images, name, image))) throw exists(name);
    return image;
  }

  /** Changes what `change.fields` names and returns the image. @throws ImageNotFoundError, otherwise as `put` */
  update(name: string, change: ImageChange, options: Pick<StoredOptions, "sourceDateEpoch"> = {}): Image {
    validateName(name);
    const images = this.#imagesThere(writable(this.#tx), name);
    if (images === undefined) throw this.#missing(name);
    // Where all of it is replaced, it need not be readable: that is how it is repaired.
    const before = this.#read(name, images, change.fields.length === 0 ? () => ({ name, target: change.target }) : this.#layout.read);
    const changed = applyChange(before, change);
    this.#validate(changed);
    const image = this.#stamped(changed, before.createdAt, options.sourceDateEpoch);
    return aboutOneImage(name, () => {
      const bucket = images.createBucketIfNotExists(name);
      this.#layout.write(bucket, image);
      return this.#layout.read(name, bucket);
    });
  }

  /** Reads one image. @throws ImageNotFoundError; ImagesError CORRUPT, naming the image */
  get(name: string): Image {
    validateText(name);
    const images = this.#images(name);
    if (images === undefined) throw this.#missing(name);
    return this.#read(name, images);
  }

  /**
   * Reads all images in byte order of their names, or those that a filter matches.
   * @throws CorruptImagesError when some are damaged: it names them and carries the others
   * @throws ImageNotFoundError when the early layout was not initialised; a namespace without images is empty
   */
  list(options: { readonly filters?: readonly string[] | undefined } = {}): Image[] {
    const matches = parseFilters(options.filters ?? []);
    const images = this.#images();
    if (images === undefined) {
      if (this.#namespace !== undefined) return [];
      throw new ImageNotFoundError(neverInitialised(this.#tx));
    }
    const found: Image[] = [];
    const corrupt: CorruptImage[] = [];
    const reader = images.nestedReader();
    for (let there = reader.first(); there; there = reader.next()) {
      const name = reader.readName(decodeText);
      try {
        // A name is a string here: bytes that are no UTF-8 would come back as another name.
        if (name.includes(REPLACEMENT) && !isUtf8(reader.name())) throw new UnreadableImage("its name is no UTF-8");
        const image = this.#layout.read(name, bucketOf(reader, images));
        if (matches(image)) found.push(image);
      } catch (error) {
        if (!isDamage(error)) throw error;
        corrupt.push({ name, reason: error.message });
      }
    }
    if (corrupt.length > 0) throw new CorruptImagesError(corrupt, found);
    return found;
  }

  /**
   * Deletes one image.
   * @throws ImageNotFoundError when it is not there, or has another digest than the one asked for
   */
  delete(name: string, options: { readonly digest?: string | undefined } = {}): void {
    validateText(name);
    const images = this.#imagesThere(writable(this.#tx), name);
    if (images === undefined) throw this.#missing(name);
    if (options.digest !== undefined && this.#read(name, images).target.digest !== options.digest) {
      throw new ImageNotFoundError(`image ${quote(name)}: not found with digest ${options.digest}`);
    }
    aboutOneImage(name, () => images.deleteBucket(name));
  }

  /** The bucket of images to read in. `name`: the only one that is looked for. */
  #images(name?: string): ReadableBucket | undefined {
    requireOwnLayout(this.#tx, this.#namespace, name);
    if (this.#tx.writable) return imagesBucket(this.#tx, this.#namespace);
    return this.#found ??= imagesBucket(this.#tx, this.#namespace);
  }

  /** The bucket of images to write in, where there is one; never one of the other layout. */
  #imagesThere(tx: Tx, name?: string): Bucket | undefined {
    requireOwnLayout(tx, this.#namespace, name);
    return imagesBucket(tx, this.#namespace);
  }

  #read(name: string, images: ReadableBucket, read: Layout["read"] = this.#layout.read): Image {
    return aboutOneImage(name, () => {
      const reader = this.#readerOf(images);
      if (!reader.find(name)) throw notFound(name);
      return read(name, bucketOf(reader, images));
    });
  }

  #readerOf(images: ReadableBucket): NestedReader {
    return images === this.#found ? (this.#reader ??= images.nestedReader()) : images.nestedReader();
  }

  /** The bucket of images for writing: a namespace's is made where it is missing, the early layout's is not. */
  #imagesToWrite(name: string): Bucket {
    const tx = writable(this.#tx);
    if (this.#foundToWrite?.isAt(this.#pathToWrite()) === true) return this.#foundToWrite;
    const images = this.#imagesThere(tx);
    if (images !== undefined) return (this.#foundToWrite = images);
    const namespace = this.#namespace;
    if (namespace === undefined) throw this.#missing(name);
    return aboutOneImage(name, () => {
      const fresh = tx.bucket(SCHEMA) === undefined;
      const schema = tx.createBucketIfNotExists(SCHEMA);
      if (fresh) schema.put(SCHEMA_VERSION_KEY, encodeVarint(SCHEMA_VERSION));
      return schema.createBucketIfNotExists(namespace).createBucketIfNotExists(IMAGES);
    });
  }

  #pathToWrite(): readonly Buffer[] {
    return (this.#path ??= (this.#namespace === undefined ? [SCHEMA, IMAGES] : [SCHEMA, this.#namespace, IMAGES]).map((name) => Buffer.from(name)));
  }

  /** Gives the image the times that the layout stores. */
  #stamped(image: Image, createdAt: Date | undefined, sourceDateEpoch: Date | undefined): Image {
    const updatedAt = ownTime(sourceDateEpoch);
    return this.#namespace === undefined ? makeImage(image.name, image.target, image.labels) : stamped(image, createdAt, updatedAt);
  }

  #validate(image: Image): void {
    (this.#namespace === undefined ? validateEarlyImage : validateImage)(image.name, image.target, image.labels);
  }

  #missing(name: string): ImageNotFoundError {
    return this.#namespace === undefined
      ? new ImageNotFoundError(`image ${quote(name)}: not found: ${neverInitialised(this.#tx)}`)
      : notFound(name);
  }
}

const PLAIN_KEY = "a plain key stands where its bucket belongs";

/** The bucket of images, or undefined; a writable transaction gives a writable bucket. */
function imagesBucket(tx: Tx, namespace: string | undefined): Bucket | undefined;
function imagesBucket(tx: ReadTx | Tx, namespace: string | undefined): ReadableBucket | undefined;
function imagesBucket(tx: ReadTx | Tx, namespace: string | undefined): ReadableBucket | undefined {
  const schema: ReadableBucket | undefined = tx.bucket(SCHEMA);
  return (namespace === undefined ? schema : schema?.bucket(namespace))?.bucket(IMAGES);
}

function writable(tx: ReadTx | Tx): Tx {
  if (isWritable(tx)) return tx;
  // Says first, as the engine's own members do, when the transaction is over.
  tx.bucket(SCHEMA);
  throw new BoltError("TX_NOT_WRITABLE", "tx not writable");
}

function isWritable(tx: ReadTx | Tx): tx is Tx {
  return tx.writable;
}

/** The bucket of the image that the reader is on, read in place where that can be. */
function bucketOf(reader: NestedReader, images: ReadableBucket): ImageBucket {
  if (reader.enter()) return reader;
  const bucket = reader.isBucket ? images.bucket(reader.name()) : undefined;
  if (bucket === undefined) throw new UnreadableImage(PLAIN_KEY);
  return bucket;
}

/** Damage of one image, which must not hide the others; any other error ends the call. */
function isDamage(error: unknown): error is Error {
  return error instanceof UnreadableImage || (error instanceof BoltError && error.code === "CORRUPT");
}

/** Runs one image's part of a call: what the engine or the layout says there is said about this image. */
function aboutOneImage<T>(name: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw error instanceof UnreadableImage ? corruptImage(name, error.message, error) : aboutImage(name, error);
  }
}
