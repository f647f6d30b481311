/**
 * The image store over the network: the same interface on a server of this package or on a real containerd's socket.
 *
 * With a namespace it speaks containerd's present service. Without one it means the server's one store: the present
 * service with the namespace `default`, as ctr does, and for a `put` without labels and time the early service `containerd.v1.Images`,
 * which takes any descriptor; whichever of the two a server lacks, the other does the work.
 */
import { callTimeoutMs, withinLimits } from "./call.js";
import { CorruptImagesError, ImageNotFoundError, ImagesError, invalid, isExists, isNotFound, notFound, quote } from "./errors.js";
import { parseFilters } from "./filters.js";
import { requireMs, requireOptions } from "./options.js";
import { makeImage } from "./make.js";
import { ownStored, ownTarget, ownTime } from "./own.js";
import { patienceOf } from "./grpc-connection.js";
import { GrpcClient } from "./grpc-client.js";
import { GrpcError, Status, fromGrpcError } from "./grpc-status.js";
import {
  decodeCorrupt, decodeImageField, decodeImages, encodeCreate, encodeDelete, encodeImageField, encodeName, encodeTexts, encodeUpdate,
} from "./messages.js";
import { parseAddress } from "./address.js";
import { NoUtf8Error, ProtobufError } from "./protobuf.js";
import { isShortEnough, validateEarlyImage, validateNamespace, validateText } from "./validate.js";
import { CORRUPT_TRAILER, EARLY_SERVICE, NAMESPACE_HEADER, PRESENT_SERVICE } from "./services.js";
import type { Reply } from "./grpc-client.js";
import type {
  CallOptions, DeleteOptions, Descriptor, EditableImageStore, Image, ImageChange, ListOptions, PutOptions, UpdateOptions,
} from "./types.js";

/** How to talk to a server. */
export interface ConnectOptions {
  /** The containerd namespace. */
  readonly namespace?: string | undefined;
  /** Milliseconds a call may take where the call names no limit of its own; default 30,000; Infinity: no limit. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Makes the store on a server; the connection is made at the first call.
 * @param address `unix:///run/containerd/containerd.sock`, a socket's path, or `127.0.0.1:5000`
 */
export function connectImages(address: string, options: ConnectOptions = {}): RemoteImageStore {
  return new RemoteImageStore(address, options);
}

const DEFAULT_TIMEOUT_MS = 30_000;
/** Two clients that create and delete one name in turn could keep a put from ever finding it one way or the other. */
const PUT_ATTEMPTS = 10;

/** Images on a server. A lost connection is made anew at the next call. */
export class RemoteImageStore implements EditableImageStore {
  readonly #client: GrpcClient;
  readonly #namespace: string | undefined;
  readonly #timeoutMs: number;
  /** The service that the server of one connection lacks, and has another for. The server of the next connection may have it. */
  #lacking: { readonly service: string; readonly connection: number } | undefined;

  constructor(address: string, options: ConnectOptions = {}) {
    requireOptions(options, ["namespace", "timeoutMs"]);
    if (options.namespace !== undefined) validateNamespace(options.namespace);
    this.#namespace = options.namespace;
    this.#timeoutMs = requireMs("timeoutMs", options.timeoutMs ?? DEFAULT_TIMEOUT_MS, 1);
    this.#client = new GrpcClient(parseAddress(address), patienceOf(this.#timeoutMs));
  }

  /** Creates the image or replaces all of it. */
  async put(name: string, target: Descriptor, options?: PutOptions): Promise<void> {
    validate(name, target, options?.labels);
    const { labels, sourceDateEpoch } = ownStored(options);
    const image = makeImage(name, ownTarget(target), labels);
    await this.#within(options, async (limits) => {
      const ask = (service: string): Promise<Reply> =>
        service === EARLY_SERVICE ? this.#call(service, "Put", encodeImageField({ name, target: image.target }, true), limits) : this.#createOrReplace(image, sourceDateEpoch, limits);
      // The early service knows neither labels nor times, and stores no times.
      const [first, second] = sourceDateEpoch === undefined ? [EARLY_SERVICE, PRESENT_SERVICE] : [PRESENT_SERVICE, EARLY_SERVICE];
      messageOf(await (Object.keys(labels ?? {}).length > 0 ? ask(PRESENT_SERVICE) : this.#either(first, second, ask)));
    });
  }

  /** Creates the image. @throws ImageExistsError */
  async create(name: string, target: Descriptor, options?: PutOptions): Promise<Image> {
    validate(name, target, options?.labels);
    const { labels, sourceDateEpoch } = ownStored(options);
    const message = encodeCreate(makeImage(name, target, labels), sourceDateEpoch);
    return this.#within(options, async (limits) => this.#image(await this.#call(PRESENT_SERVICE, "Create", message, limits)));
  }

  /** Changes the image. @throws ImageNotFoundError */
  async update(name: string, change: ImageChange, options?: UpdateOptions): Promise<Image> {
    validate(name, change.target, change.labels);
    for (const field of change.fields) requireShort("field", field.slice(field.indexOf(".") + 1));
    const message = encodeUpdate(makeImage(name, change.target, change.labels), change.fields, ownTime(options?.sourceDateEpoch));
    return this.#within(options, async (limits) => this.#image(await this.#call(PRESENT_SERVICE, "Update", message, limits)));
  }

  /** Reads one image. @throws ImageNotFoundError */
  async get(name: string, options?: CallOptions): Promise<Image> {
    requireKnown(name);
    return this.#within(options, async (limits) => this.#image(await this.#readOrDelete("Get", encodeName(name), limits)));
  }

  /** Reads the images, or those that a filter matches. @throws CorruptImagesError, which carries those that are whole */
  async list(options?: ListOptions): Promise<Image[]> {
    const filters = options?.filters ?? [];
    const matches = parseFilters(filters);
    const message = encodeTexts(filters);
    const reply = await this.#within(options, (limits) => this.#readOrDelete("List", message, limits));
    // The early service knows no filters: what it lists is filtered here, and the rest once more to no effect.
    if (reply.error?.status === Status.DATA_LOSS && reply.message !== undefined) {
      const { corrupt, count } = decoded(Buffer.from(String(reply.trailers[CORRUPT_TRAILER] ?? ""), "base64"), decodeCorrupt);
      const { images, broken } = decoded(reply.message, decodeImages);
      throw new CorruptImagesError([...corrupt, ...broken], images.filter(matches), { cause: reply.error, count: count + broken.length });
    }
    const { images, broken } = decoded(messageOf(reply), decodeImages);
    const found = images.filter(matches);
    if (broken.length > 0) throw new CorruptImagesError(broken, found);
    return found;
  }

  /** Deletes one image. @throws ImageNotFoundError */
  async delete(name: string, options?: DeleteOptions): Promise<void> {
    requireKnown(name);
    const digest = options?.digest;
    await this.#within(options, async (limits) => {
      // containerd before 1.7 does not know the condition and would delete whatever is there: looking first keeps it from
      // that; only a later one, and our server, do both in one step.
      if (digest !== undefined) {
        const image = this.#image(await this.#readOrDelete("Get", encodeName(name), limits));
        if (image.target.digest !== digest) throw new ImageNotFoundError(`image ${quote(name)}: not found with digest ${digest}`);
      }
      messageOf(await this.#readOrDelete("Delete", encodeDelete(name, digest), limits));
    });
  }

  /** Ends the connection; calls under way fail with UNAVAILABLE. */
  close(): void {
    this.#client.close();
  }

  /** Creates the image or, where it is there, replaces it: in turns, for others may create and delete it meanwhile. */
  async #createOrReplace(image: Image, sourceDateEpoch: Date | undefined, limits: Limits): Promise<Reply> {
    for (let attempt = 1; ; attempt++) {
      const [method, message] = attempt % 2 === 1 ? ["Create", encodeCreate(image, sourceDateEpoch)] : ["Update", encodeUpdate(image, [], sourceDateEpoch)];
      const reply = await this.#call(PRESENT_SERVICE, method, message, limits);
      const error = reply.error && fromGrpcError(reply.error);
      if (!(isExists(error) || isNotFound(error))) return reply;
      if (attempt === PUT_ATTEMPTS) throw new ImagesError("UNAVAILABLE", `image ${quote(image.name)} is changed by others all the time`, { cause: error });
    }
  }

  /** Asks what both services understand alike: of the present one, or of the early one of a server that has no other. */
  #readOrDelete(method: "Get" | "List" | "Delete", message: Buffer, limits: Limits): Promise<Reply> {
    return this.#either(PRESENT_SERVICE, EARLY_SERVICE, (service) => this.#call(service, method, message, limits));
  }

  /** Asks one service or, where the server's one store is meant and the server lacks it, the other. */
  async #either(first: string, second: string, ask: (service: string) => Promise<Reply>): Promise<Reply> {
    if (this.#namespace !== undefined) return ask(PRESENT_SERVICE);
    if (this.#lacks(first)) return ask(second);
    const { connection } = this.#client;
    const reply = await ask(first);
    if (!isMissingService(reply)) return reply;
    const other = await ask(second);
    if (hasStatus(other) && !isMissingService(other)) this.#keepLacking(first, connection);
    return other;
  }

  #lacks(service: string): boolean {
    return this.#lacking?.service === service && this.#lacking.connection === this.#client.connection;
  }

  /** Remembers what a server lacks, if both of its answers came on the connection that was there before: otherwise another server may have given one of them. */
  #keepLacking(service: string, before: number | undefined): void {
    if (before !== undefined && before === this.#client.connection) this.#lacking = { service, connection: before };
  }

  async #call(service: string, method: string, message: Buffer, limits: Limits): Promise<Reply> {
    try {
      return await this.#client.call(`/${service}/${method}`, message, {
        headers: { [NAMESPACE_HEADER]: this.#namespace ?? "default" },
        signal: limits.signal,
        timeoutMs: limits.endsAt === Infinity ? undefined : Math.max(limits.endsAt - performance.now(), 1),
      });
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      // Only a message that is too long ends a call before it is sent.
      throw new ImagesError("INVALID", error.message, { cause: error });
    }
  }

  #image(reply: Reply): Image {
    const image = decoded(messageOf(reply), decodeImageField);
    if (image === undefined) throw new ImagesError("UNAVAILABLE", "the server's answer holds no image");
    return image;
  }

  #within<T>(options: CallOptions | undefined, call: (limits: Limits) => Promise<T>): Promise<T> {
    const timeoutMs = callTimeoutMs(options, this.#timeoutMs) ?? this.#timeoutMs;
    return withinLimits(options, timeoutMs, (signal) => call({ signal, endsAt: performance.now() + timeoutMs }));
  }
}

/** What can be told before anything is sent: that it can be sent as it is. The rest is the server's to refuse. */
function validate(name: string, target: Descriptor, labels: Image["labels"]): void {
  validateEarlyImage(name, target, labels);
  requireShort("digest", target.digest);
}

/** Refuses what is in the errors of servers, too, and is too long for one: an answer with 64 KiB of headers ends the connection for all of its calls. */
function requireShort(what: string, text: string): void {
  if (!isShortEnough(text)) throw invalid(`the ${what} ${quote(`${text.slice(0, 10)}…`)} is too long`);
}

/**
 * Checks a name that an image is looked for by. One that is too long is nowhere, and a server need not be asked: its error would have the name in it, as
 * above.
 */
function requireKnown(name: string): void {
  validateText(name);
  if (!isShortEnough(name)) throw notFound(name);
}

/** One limit for all the messages that a call takes. It ends by the clock that nobody sets. */
interface Limits {
  readonly signal: AbortSignal | undefined;
  readonly endsAt: number;
}

/** Whether a gRPC server has given the reply: that there is no such page may be the word of a proxy whose server begins anew. */
function hasStatus(reply: Reply): boolean {
  return reply.trailers["grpc-status"] !== undefined;
}

function isMissingService(reply: Reply): boolean {
  return hasStatus(reply) && reply.error?.status === Status.UNIMPLEMENTED;
}

function messageOf(reply: Reply): Buffer {
  if (reply.error !== undefined) throw fromGrpcError(reply.error);
  return reply.message ?? Buffer.alloc(0);
}

function decoded<T>(message: Buffer, decode: (message: Buffer) => T): T {
  try {
    return decode(message);
  } catch (error) {
    if (!(error instanceof ProtobufError)) throw error;
    if (error instanceof NoUtf8Error) throw new ImagesError("CORRUPT", `the server's answer cannot be kept as text: ${error.message}`, { cause: error });
    throw new ImagesError("UNAVAILABLE", `the server's answer is broken: ${error.message}`, { cause: error });
  }
}
