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
import { applyChange, withoutEmptyValues } from "./change.js";
import { CorruptImagesError, ImagesError, corruptImage, exists, invalid, notFound, quote } from "./errors.js";
import { EtcdError, EtcdGateway, ended, isObject } from "./etcd-gateway.js";
import { decodeRecord, encodeRecord, isWrittenBy } from "./etcd-record.js";
import { parseFilters } from "./filters.js";
import { ownChange, ownDelete, ownPut, ownTarget } from "./own.js";
import { randomHex } from "./random.js";
import { TurnsByName } from "./turns.js";
import { validateEarlyTarget, validateImage, validateName, validateNamespace, validateStrings, validateText } from "./validate.js";
import type { CorruptImage } from "./errors.js";
import type { GatewayCall, GatewayOptions, GatewayReply } from "./etcd-gateway.js";
import type {
  CallOptions, DeleteOptions, Descriptor, EditableImageStore, Image, ImageChange, ListOptions, PutOptions,
} from "./types.js";

/** Where the images lie in which cluster. */
export interface EtcdOptions extends GatewayOptions {
  /** The keys begin with it; default `/hexbolt`. */
  readonly prefix?: string;
  /** Keeps images of different namespaces apart, and checks them as containerd does. */
  readonly namespace?: string;
  /** Images read at once by `list`; default 500. */
  readonly pageSize?: number;
}

/** One key as it was read. */
interface Entry {
  readonly key: Buffer;
  readonly value: Buffer;
  /** Decimal: the revision of its last change. */
  readonly revision: string;
}

/** Changes that other stores make in between are looked at again, so often at most. */
const CONFLICTS_MAX = 50;
const OUT_OF_RANGE = 11;
const INVALID_ARGUMENT = 3;

/** Images in etcd. Nothing is kept open: there is nothing to close. */
export class EtcdImageStore implements EditableImageStore {
  readonly #gateway: EtcdGateway;
  readonly #prefix: string;
  readonly #namespace: string | undefined;
  readonly #pageSize: number;
  readonly #turns = new TurnsByName();

  constructor(options: EtcdOptions) {
    const { namespace, prefix = "/hexbolt", pageSize = 500 } = options;
    if (namespace !== undefined) validateNamespace(namespace);
    if (!Number.isSafeInteger(pageSize) || pageSize < 1) throw invalid(`pageSize ${pageSize} is not a positive integer`);
    this.#gateway = new EtcdGateway(options);
    this.#namespace = namespace;
    this.#prefix = namespace === undefined ? `${prefix}/images/` : `${prefix}/namespaces/${namespace}/images/`;
    this.#pageSize = pageSize;
  }

  /** Creates the image or replaces all of it; resolves when a majority has it. */
  async put(name: string, target: Descriptor, options?: PutOptions): Promise<void> {
    const image = this.#valid(name, ownTarget(target), ownPut(options).labels);
    await this.#inTurn(name, options, (call) => this.#change(name, call, undefined, (before) => {
      // What is no image is replaced like one: that is how it is repaired.
      const old = before === undefined ? undefined : decodeRecord(name, before.value);
      return typeof old !== "object" || old.createdAt === undefined ? image : { ...image, createdAt: old.createdAt };
    }));
  }

  /** Creates the image. @throws ImageExistsError */
  async create(name: string, target: Descriptor, options?: PutOptions): Promise<Image> {
    const image = this.#valid(name, ownTarget(target), ownPut(options).labels);
    return this.#inTurn(name, options, (call) => this.#change(name, call, undefined, (before) => {
      if (before !== undefined) throw exists(name);
      return image;
    }));
  }

  /** Changes the image. @throws ImageNotFoundError */
  async update(name: string, change: ImageChange, options?: CallOptions): Promise<Image> {
    validateName(name);
    const own = ownChange(change);
    return this.#inTurn(name, options, async (call) => this.#change(name, call, await this.#read(name, call), (before) => {
      if (before === undefined) throw notFound(name);
      const old = decode(name, before);
      const { target, labels } = applyChange(old, own);
      const image = this.#valid(name, target, labels);
      return old.createdAt === undefined ? image : { ...image, createdAt: old.createdAt };
    }));
  }

  /** Reads one image from the majority. @throws ImageNotFoundError; ImagesError CORRUPT for a value that is no image */
  async get(name: string, options?: CallOptions): Promise<Image> {
    validateText(name);
    const entry = await this.#gateway.within(options, (call) => this.#read(name, call));
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
    for (const { key, value } of await this.#gateway.within(options, (call) => this.#all(call))) {
      const name = key.subarray(Buffer.byteLength(this.#prefix)).toString();
      const image = decodeRecord(name, value);
      if (typeof image === "string") corrupt.push({ name, reason: image });
      else if (matches(image)) images.push(image);
    }
    if (corrupt.length > 0) throw new CorruptImagesError(corrupt, images);
    return images;
  }

  /** Deletes one image. @throws ImageNotFoundError */
  async delete(name: string, options?: DeleteOptions): Promise<void> {
    validateText(name);
    const { digest } = ownDelete(options);
    await this.#inTurn(name, options, (call) => this.#delete(name, digest, call));
  }

  /** Does a change when the earlier ones of that name by this store are done: they would only be each other's conflicts. */
  #inTurn<T>(name: string, options: CallOptions | undefined, work: (call: GatewayCall) => Promise<T>): Promise<T> {
    return this.#gateway.within(options, async (call) => {
      const end = await this.#turns.take(name, call.signal).catch(() => {
        throw ended(call, `the changes of image ${quote(name)} before this one have not ended`);
      });
      try {
        return await work(call);
      } finally {
        end();
      }
    });
  }

  async #delete(name: string, digest: string | undefined, call: GatewayCall): Promise<void> {
    let uncertain = false;
    for (let attempt = 0; attempt < CONFLICTS_MAX; attempt++) {
      const entry = await this.#read(name, call);
      if (entry === undefined) {
        // Gone after a delete of ours that nobody answered: it was ours, as far as anyone can tell.
        if (uncertain) return;
        throw notFound(name);
      }
      if (digest !== undefined && decode(name, entry).target.digest !== digest) throw notFound(name);
      const key = entry.key.toString("base64");
      const outcome = await this.#transaction(key, {
        compare: [{ key, target: "MOD", result: "EQUAL", mod_revision: entry.revision }],
        success: [{ request_delete_range: { key } }],
        failure: [],
      }, call);
      if (outcome.succeeded) return;
      uncertain ||= outcome.uncertain;
    }
    throw tooManyConflicts(name);
  }

  /**
   * Writes what `decide` makes of what is there, if that is still there then; otherwise looks again.
   * @param before what is taken to be there at first: nothing, which costs a new image a single request
   */
  async #change(
    name: string, call: GatewayCall, before: Entry | undefined, decide: (before: Entry | undefined) => Image,
  ): Promise<Image> {
    const writeId = randomHex(12);
    const key = this.#keyOf(name);
    let known = before;
    for (let attempt = 0; attempt < CONFLICTS_MAX; attempt++) {
      const image = stamped(decide(known));
      const value = encodeRecord(image, writeId).toString("base64");
      const outcome = await this.#transaction(key, {
        compare: [known === undefined
          ? { key, target: "CREATE", result: "EQUAL", create_revision: "0" }
          : { key, target: "MOD", result: "EQUAL", mod_revision: known.revision }],
        success: [{ request_put: { key, value } }],
        failure: [{ request_range: { key } }],
      }, call);
      if (outcome.succeeded) return image;
      // An attempt that was carried out without an answer: the key holds what this call wrote.
      if (outcome.entry !== undefined && isWrittenBy(outcome.entry.value, writeId)) return image;
      known = outcome.entry;
    }
    throw tooManyConflicts(name);
  }

  async #read(name: string, call: GatewayCall): Promise<Entry | undefined> {
    const key = this.#keyOf(name);
    const { body } = await this.#post("kv/range", { key }, call);
    return entryOf(body, key);
  }

  /** Reads all keys of the revision that the first page came from; begins anew when that was compacted away meanwhile. */
  async #all(call: GatewayCall): Promise<Entry[]> {
    const end = Buffer.from(this.#prefix);
    // The end of the range: the first key that no longer begins with the prefix, whose last byte is a slash.
    end.writeUInt8(end.readUInt8(end.length - 1) + 1, end.length - 1);
    const range = { range_end: end.toString("base64"), limit: String(this.#pageSize) };
    for (let attempt = 0; attempt < CONFLICTS_MAX; attempt++) {
      const entries: Entry[] = [];
      let key = Buffer.from(this.#prefix);
      let revision: string | undefined;
      try {
        for (;;) {
          const { body } = await this.#gateway.post("kv/range", {
            ...range, key: key.toString("base64"), ...(revision === undefined ? {} : { revision }),
          }, call);
          const page = entriesOf(body);
          if (page.some((entry) => !entry.key.toString().startsWith(this.#prefix))) throw broken();
          entries.push(...page);
          const last = page.at(-1);
          if (body["more"] !== true || last === undefined) return entries;
          revision ??= revisionOf(body);
          key = Buffer.concat([last.key, Buffer.of(0)]);
        }
      } catch (error) {
        if (!(error instanceof EtcdError)) throw error;
        if (error.status !== OUT_OF_RANGE) throw refused(error);
      }
    }
    throw new ImagesError("UNAVAILABLE", "the list's revision was compacted away each time");
  }

  async #transaction(key: string, body: unknown, call: GatewayCall): Promise<Outcome> {
    const { body: answer, uncertain } = await this.#post("kv/txn", body, call);
    const responses: unknown = answer["responses"];
    const first: unknown = Array.isArray(responses) ? responses[0] : undefined;
    const range: unknown = isObject(first) ? first["response_range"] : undefined;
    return { succeeded: answer["succeeded"] === true, entry: isObject(range) ? entryOf(range, key) : undefined, uncertain };
  }

  async #post(path: string, body: unknown, call: GatewayCall): Promise<GatewayReply> {
    try {
      return await this.#gateway.post(path, body, call);
    } catch (error) {
      throw error instanceof EtcdError ? refused(error) : error;
    }
  }

  #keyOf(name: string): string {
    return Buffer.from(this.#prefix + name).toString("base64");
  }

  #valid(name: string, target: Descriptor, labels: Image["labels"]): Image {
    if (this.#namespace !== undefined) {
      validateImage(name, target, labels);
    } else {
      validateName(name);
      validateEarlyTarget(target);
      validateStrings("labels", labels);
      validateStrings("annotations", target.annotations);
    }
    return labels === undefined ? { name, target } : { name, target, labels };
  }
}

/** How a transaction went; `entry` is what a failed one found instead. */
interface Outcome {
  readonly succeeded: boolean;
  readonly entry: Entry | undefined;
  readonly uncertain: boolean;
}

function decode(name: string, entry: Entry): Image {
  const image = decodeRecord(name, entry.value);
  if (typeof image === "string") throw corruptImage(name, image);
  return image;
}

function stamped(image: Image): Image {
  const updatedAt = new Date();
  return { ...withoutEmptyValues(image), createdAt: image.createdAt ?? updatedAt, updatedAt };
}

/** Reads the entries of a range response; a number that is 0 and bytes that are none are left out by the gateway. */
function entriesOf(body: Readonly<Record<string, unknown>>): Entry[] {
  const list: unknown = body["kvs"] ?? [];
  if (!Array.isArray(list)) throw broken();
  return list.map((item: unknown) => {
    if (!isObject(item) || typeof item["key"] !== "string" || typeof item["mod_revision"] !== "string") throw broken();
    const value = typeof item["value"] === "string" ? item["value"] : "";
    return { key: Buffer.from(item["key"], "base64"), value: Buffer.from(value, "base64"), revision: item["mod_revision"] };
  });
}

/** The entry of a range that is one key, in base64. */
function entryOf(body: Readonly<Record<string, unknown>>, key: string): Entry | undefined {
  const entry = entriesOf(body)[0];
  if (entry !== undefined && entry.key.toString("base64") !== key) throw broken();
  return entry;
}

function revisionOf(body: Readonly<Record<string, unknown>>): string {
  const header = body["header"];
  if (!isObject(header) || typeof header["revision"] !== "string") throw broken();
  return header["revision"];
}

function broken(): ImagesError {
  return new ImagesError("UNAVAILABLE", "the endpoint's answer is none of etcd's");
}

function refused(error: EtcdError): ImagesError {
  const code = error.status === INVALID_ARGUMENT ? "INVALID" : "UNAVAILABLE";
  return new ImagesError(code, `etcd refuses: ${error.message}`, { cause: error });
}

function tooManyConflicts(name: string): ImagesError {
  return new ImagesError("UNAVAILABLE", `image ${quote(name)} is changed by others all the time`);
}
