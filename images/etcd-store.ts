/**
 * The image store on an etcd cluster, for those who outgrow one machine: one key an image, every change one transaction
 * that compares what was read with what is there.
 *
 * Keys: `<prefix>/images/<name>`, with a namespace `<prefix>/namespaces/<namespace>/images/<name>`. Values: JSON with the
 * descriptor (the size as a decimal text, since it may exceed 2^53), labels, times, and the id of the write. The id tells
 * a write that was carried out without an answer from one of somebody else.
 *
 * Keeps true: a call that resolved is in the cluster's majority; a list is one revision's, however many pages it takes.
 */
import { isUtf8 } from "node:buffer";
import { applyChange, stamped } from "./change.js";
import { CorruptImagesError, ImagesError, corruptImage, exists, invalid, notFound, quote } from "./errors.js";
import { EtcdChange } from "./etcd-change.js";
import { ended } from "./etcd-gateway.js";
import { CompactedError, EtcdKv, broken, encodeKey } from "./etcd-kv.js";
import { decodeRecord } from "./etcd-record.js";
import { parseFilters } from "./filters.js";
import { makeImage } from "./make.js";
import { requireOptions } from "./options.js";
import { ownChange, ownStored, ownTarget, ownTime } from "./own.js";
import { TurnsByName } from "./turns.js";
import { validateEarlyImage, validateImage, validateName, validateNamespace, validateText } from "./validate.js";
import type { CorruptImage } from "./errors.js";
import type { ImageKeys } from "./etcd-change.js";
import type { GatewayCall, GatewayOptions } from "./etcd-gateway.js";
import type { Entry } from "./etcd-kv.js";
import type {
  CallOptions, DeleteOptions, Descriptor, EditableImageStore, Image, ImageChange, ListOptions, PutOptions, UpdateOptions,
} from "./types.js";

/** Where the images lie in which cluster. */
export interface EtcdOptions extends GatewayOptions {
  /** The keys begin with it; default `/hexbolt`. */
  readonly prefix?: string | undefined;
  /** Keeps images of different namespaces apart, and checks them as containerd does. */
  readonly namespace?: string | undefined;
  /** Images read at once by `list`; default 500. */
  readonly pageSize?: number | undefined;
}

/** A list whose revision is compacted away is begun anew, so often at most. */
const COMPACTIONS_MAX = 50;

/** Images in etcd. Nothing is kept open: there is nothing to close. */
export class EtcdImageStore implements EditableImageStore {
  readonly #kv: EtcdKv;
  readonly #prefix: string;
  /** Where the images' fences are: see etcd-change.ts. */
  readonly #fences: string;
  readonly #namespace: string | undefined;
  readonly #pageSize: number;
  readonly #turns = new TurnsByName();

  constructor(options: EtcdOptions) {
    requireOptions(options, ["endpoints", "attemptMs", "headers", "namespace", "pageSize", "prefix", "timeoutMs"]);
    const { namespace, prefix = "/hexbolt", pageSize = 500 } = options;
    if (namespace !== undefined) validateNamespace(namespace);
    if (typeof prefix !== "string") throw new TypeError("prefix is a string, with which the keys begin");
    if (!Number.isSafeInteger(pageSize) || pageSize < 1) throw invalid(`pageSize ${pageSize} is not a positive integer`);
    this.#kv = new EtcdKv(options);
    this.#namespace = namespace;
    const root = namespace === undefined ? prefix : `${prefix}/namespaces/${namespace}`;
    this.#prefix = `${root}/images/`;
    this.#fences = `${root}/fences/`;
    this.#pageSize = pageSize;
  }

  /** Creates the image or replaces all of it; resolves when a majority has it. */
  async put(name: string, target: Descriptor, options?: PutOptions): Promise<void> {
    const { labels, sourceDateEpoch } = ownStored(options);
    const image = this.#valid(name, ownTarget(target), labels);
    await this.#change(name, options, (there) => stamped(image, createdAtOf(name, there), sourceDateEpoch));
  }

  /** Creates the image. @throws ImageExistsError */
  async create(name: string, target: Descriptor, options?: PutOptions): Promise<Image> {
    const { labels, sourceDateEpoch } = ownStored(options);
    const image = this.#valid(name, ownTarget(target), labels);
    return this.#change(name, options, (there) => {
      if (there !== undefined) throw exists(name);
      return stamped(image, undefined, sourceDateEpoch);
    });
  }

  /** Changes the image. @throws ImageNotFoundError */
  async update(name: string, change: ImageChange, options?: UpdateOptions): Promise<Image> {
    validateName(name);
    const own = ownChange(change);
    const sourceDateEpoch = ownTime(options?.sourceDateEpoch);
    return this.#change(name, options, (there) => {
      if (there === undefined) throw notFound(name);
      const old = own.fields.length === 0 ? { name, target: own.target } : decode(name, there);
      const { target, labels } = applyChange(old, own);
      return stamped(this.#valid(name, target, labels), createdAtOf(name, there), sourceDateEpoch);
    });
  }

  /** Reads one image from the majority. @throws ImageNotFoundError; ImagesError CORRUPT for a value that is no image */
  async get(name: string, options?: CallOptions): Promise<Image> {
    validateText(name);
    const entry = await this.#kv.within(options, (call) => this.#kv.get(this.#keysOf(name).image, call));
    if (entry === undefined) throw notFound(name);
    return decode(name, entry);
  }

  /**
   * Reads all images of one revision in byte order of their names, page after page, or those that a filter matches.
   * @throws CorruptImagesError, which carries those that are whole
   */
  async list(options?: ListOptions): Promise<Image[]> {
    const matches = parseFilters(options?.filters ?? []);
    const images: Image[] = [];
    const corrupt: CorruptImage[] = [];
    for (const { key, value } of await this.#kv.within(options, (call) => this.#all(call))) {
      const bytes = key.subarray(Buffer.byteLength(this.#prefix));
      const name = bytes.toString();
      // Bytes that are no UTF-8 would come back as another name.
      const fault = bytes.length === 0 ? "its name is empty" : isUtf8(bytes) ? undefined : "its name is no UTF-8";
      const image = fault ?? decodeRecord(name, value);
      if (typeof image === "string") corrupt.push({ name, reason: image });
      else if (matches(image)) images.push(image);
    }
    if (corrupt.length > 0) throw new CorruptImagesError(corrupt, images);
    return images;
  }

  /** Deletes one image. @throws ImageNotFoundError */
  async delete(name: string, options?: DeleteOptions): Promise<void> {
    validateText(name);
    const digest = options?.digest;
    await this.#change(name, options, (there) => {
      if (there === undefined || (digest !== undefined && decode(name, there).target.digest !== digest)) throw notFound(name);
      return undefined;
    });
  }

  /** Makes a change when the earlier ones of that name by this store are made: they would only be each other's conflicts. */
  #change<Become extends Image | undefined>(
    name: string, options: CallOptions | undefined, decide: (there: Entry | undefined) => Become,
  ): Promise<Become> {
    return this.#kv.within(options, async (call) => {
      const end = await this.#turns.take(name, call.signal).catch(() => {
        throw ended(call, `the changes of image ${quote(name)} before this one have not ended`);
      });
      try {
        return await new EtcdChange(this.#kv, name, this.#keysOf(name), call).make(decide);
      } finally {
        end();
      }
    });
  }

  /** Reads all keys of the revision that the first page came from; begins anew when that was compacted away meanwhile. */
  async #all(call: GatewayCall): Promise<Entry[]> {
    const end = Buffer.from(this.#prefix);
    // The end of the range: the first key that no longer begins with the prefix, whose last byte is a slash.
    end.writeUInt8(end.readUInt8(end.length - 1) + 1, end.length - 1);
    const range = { range_end: end.toString("base64"), limit: String(this.#pageSize) };
    for (let attempt = 0; attempt < COMPACTIONS_MAX; attempt++) {
      try {
        return await this.#allOnce(range, call);
      } catch (error) {
        if (!(error instanceof CompactedError)) throw error;
      }
    }
    throw new ImagesError("UNAVAILABLE", "the list's revision was compacted away each time");
  }

  async #allOnce(range: object, call: GatewayCall): Promise<Entry[]> {
    const entries: Entry[] = [];
    let revision: bigint | undefined;
    let next: object = { key: encodeKey(this.#prefix) };
    for (;;) {
      const page = await this.#kv.range({ ...range, ...next }, call);
      if (page.entries.some((entry) => !entry.key.toString().startsWith(this.#prefix))) throw broken();
      entries.push(...page.entries);
      const last = page.entries.at(-1);
      if (!page.more || last === undefined) return entries;
      next = { key: encodeKey(Buffer.concat([last.key, Buffer.of(0)])), revision: String(revision ??= page.revision) };
    }
  }

  #keysOf(name: string): ImageKeys {
    return { image: encodeKey(this.#prefix + name), fence: encodeKey(this.#fences + fenceOf(name)) };
  }

  #valid(name: string, target: Descriptor, labels: Image["labels"]): Image {
    (this.#namespace === undefined ? validateEarlyImage : validateImage)(name, target, labels);
    return makeImage(name, target, labels);
  }
}

function decode(name: string, entry: Entry): Image {
  const image = decodeRecord(name, entry.value);
  if (typeof image === "string") throw corruptImage(name, image);
  return image;
}

/** The creation time that stays. What is no image has none, and is replaced like one: that is how it is repaired. */
function createdAtOf(name: string, entry: Entry | undefined): Date | undefined {
  const image = entry === undefined ? undefined : decodeRecord(name, entry.value);
  return typeof image === "object" ? image.createdAt : undefined;
}

/**
 * The name of an image's fence: one of 256, by a hash of the name (FNV-1a). A delete disturbs only those who create images
 * of the same fence at that moment, and there are never more fences, however many images come and go.
 */
function fenceOf(name: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return ((hash ^ (hash >>> 16)) & 0xff).toString(16).padStart(2, "0");
}
