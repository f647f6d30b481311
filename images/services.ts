/**
 * The gRPC services of an image server, on any `ImageStore`:
 *
 * - `containerd.services.images.v1.Images`: what ctr and containerd's clients speak; the header `containerd-namespace`
 *   chooses the namespace;
 * - `containerd.v1.Images`: the service of early 2017 (Get, Put, List, Delete), without namespaces;
 * - `containerd.services.leases.v1.Leases`, `…version.v1.Version` and `…introspection.v1.Introspection`: what `ctr images tag` and `ctr version` call beside it.
 *   A lease keeps content from being collected; there is no content here, so a lease is remembered and nothing more.
 */
import { setImmediate } from "node:timers";
import { GrpcError, Status, toGrpcError } from "./grpc-status.js";
import { CorruptImagesError, ImagesError, exists, invalid, notFound, throwIfGivenUp } from "./errors.js";
import { applyChange } from "./change.js";
import { parseFilters, parseLeaseFilters } from "./filters.js";
import { Leases } from "./leases.js";
import {
  decodeCreate, decodeCreateLease, decodeDelete, decodeImageField, decodeName, decodeTexts, decodeUpdate, encodeCorrupt, encodeImageField,
  encodeImages, encodeLeases, encodeName,
} from "./messages.js";
import { ProtobufError, TooManyFieldsError, withFieldLimit } from "./protobuf.js";
import { TurnsByName } from "./turns.js";
import { validateImage, validateName, validateNamespace } from "./validate.js";
import type { Filter } from "./filters.js";
import type { Answer, CallContext, Handler } from "./grpc-server.js";
import type { Lease } from "./messages.js";
import type { EditableImageStore, Image, ImageChange, ImageStore, PutOptions, UpdateOptions } from "./types.js";

/** The service of containerd 1.0 and later. */
export const PRESENT_SERVICE = "containerd.services.images.v1.Images";
/** The service of early 2017. */
export const EARLY_SERVICE = "containerd.v1.Images";
/** The header that names the namespace. */
export const NAMESPACE_HEADER = "containerd-namespace";
/** The trailer in which List says which images are damaged: see `encodeCorrupt`. */
export const CORRUPT_TRAILER = "hexbolt-corrupt-bin";

const LEASES_SERVICE = "containerd.services.leases.v1.Leases";
const VERSION_SERVICE = "containerd.services.version.v1.Version";
const INTROSPECTION_SERVICE = "containerd.services.introspection.v1.Introspection";
/** Bytes of the trailer that names damaged images: gRPC's C core takes 8 KiB of headers together, and base64 makes four bytes of three. */
const CORRUPT_BYTES_MAX = 3000;
const EMPTY: Answer = { message: Buffer.alloc(0) };

/** One store for every namespace, or a store for each. */
export type StoreSource = ImageStore | ((namespace: string) => ImageStore);

/** Makes the handlers of all services by their path. */
export function imageServices(source: StoreSource): Map<string, Handler> {
  const leases = new Leases();
  const uuid = crypto.randomUUID();
  const methods: [string, Handler][] = [
    [`${PRESENT_SERVICE}/Get`, (request, call) => get(request, present(source, call), call, false)],
    [`${PRESENT_SERVICE}/List`, (request, call) => list(decodeTexts(request), present(source, call), call, false)],
    [`${PRESENT_SERVICE}/Create`, (request, call) => create(request, present(source, call), call)],
    [`${PRESENT_SERVICE}/Update`, (request, call) => update(request, present(source, call), call)],
    [`${PRESENT_SERVICE}/Delete`, (request, call) => remove(request, present(source, call), call)],
    [`${EARLY_SERVICE}/Get`, (request, call) => get(request, early(source, call), call, true)],
    [`${EARLY_SERVICE}/List`, (_request, call) => list([], early(source, call), call, true)],
    [`${EARLY_SERVICE}/Put`, (request, call) => put(request, early(source, call), call)],
    [`${EARLY_SERVICE}/Delete`, (request, call) => remove(request, early(source, call), call)],
    [`${LEASES_SERVICE}/Create`, (request, call) => {
      const wish = decodeCreateLease(request);
      return { message: encodeLeases([leases.create(namespaceOf(call), wish.id, wish.labels)]) };
    }],
    [`${LEASES_SERVICE}/Delete`, (request, call) => {
      leases.delete(namespaceOf(call), decodeName(request));
      return EMPTY;
    }],
    [`${LEASES_SERVICE}/List`, (request, call) => listLeases(decodeTexts(request), leases.list(namespaceOf(call)), call)],
    [`${VERSION_SERVICE}/Version`, () => ({ message: encodeName("hexbolt") })],
    [`${INTROSPECTION_SERVICE}/Server`, () => ({ message: encodeName(uuid) })],
  ];
  return new Map(methods.map(([path, handler]) => [`/${path}`, decoding(handler)]));
}

/** Fields of one request. Those of clients have dozens. */
const FIELDS_MAX = 100_000;

/** A request that cannot be decoded is the protocol's fault, not the image's: INTERNAL, as Go's server says. */
function decoding(handler: Handler): Handler {
  return async (request, call) => {
    try {
      // Handlers decode before they wait for anything.
      return await withFieldLimit(FIELDS_MAX, () => handler(request, call));
    } catch (error) {
      if (error instanceof TooManyFieldsError) throw new GrpcError(Status.RESOURCE_EXHAUSTED, `${error.message}: at most ${FIELDS_MAX}`, { cause: error });
      if (!(error instanceof ProtobufError)) throw error;
      throw new GrpcError(Status.INTERNAL, `error unmarshalling request: ${error.message}`, { cause: error });
    }
  };
}

function namespaceOf(call: CallContext): string {
  // Of a header that comes more than once Node makes one text: containerd takes the first. Names and values stand here in turns.
  const at = call.rawHeaders.findIndex((text, index) => index % 2 === 0 && text === NAMESPACE_HEADER);
  const namespace = at < 0 ? "" : call.rawHeaders[at + 1]!;
  if (namespace === "") throw new GrpcError(Status.FAILED_PRECONDITION, "namespace is required: failed precondition");
  validateNamespace(namespace);
  return namespace;
}

function present(source: StoreSource, call: CallContext): ImageStore {
  const namespace = namespaceOf(call);
  return typeof source === "function" ? source(namespace) : source;
}

/** The early service knows no namespaces: it serves the one store; of many, the one that a header names after all. */
function early(source: StoreSource, call: CallContext): ImageStore {
  return typeof source === "function" ? source(namespaceOf(call)) : source;
}

async function get(request: Buffer, store: ImageStore, call: CallContext, isEarly: boolean): Promise<Answer> {
  const image = await store.get(decodeName(request), { signal: call.signal });
  return { message: encodeImageField(image, isEarly) };
}

/** As many at most as images are listed by, say, their names; a thousand would take a store of 50,000 images seconds, in one turn of the event loop. */
const FILTERS_PASSED_MAX = 200;

async function list(filters: readonly string[], store: ImageStore, call: CallContext, isEarly: boolean): Promise<Answer> {
  const matches = parseFilters(filters);
  // Patterns, and many filters, stay here: a store would try them on all images in one turn of the event loop.
  const passed = filters.length > FILTERS_PASSED_MAX || filters.some((filter) => filter.includes("~=")) ? [] : filters;
  try {
    // A store need not know filters: what it lists is filtered here, and the rest once more to no effect.
    const images = await store.list({ signal: call.signal, ...(passed.length === 0 ? {} : { filters: passed }) });
    return { message: encodeImages(await matching(images, matches, call.signal), isEarly) };
  } catch (error) {
    if (!(error instanceof CorruptImagesError)) throw error;
    // The status says that something is lost; what is not lost goes along for clients that read it.
    return {
      message: encodeImages(await matching(error.images, matches, call.signal), isEarly),
      error: toGrpcError(error),
      trailers: { [CORRUPT_TRAILER]: encodeCorrupt(error.corrupt, CORRUPT_BYTES_MAX).toString("base64") },
    };
  }
}

async function listLeases(filters: readonly string[], leases: readonly Lease[], call: CallContext): Promise<Answer> {
  return { message: encodeLeases(await matching(leases, parseLeaseFilters(filters), call.signal)) };
}

/** Filters in turns of the event loop: a pattern from a client costs the others nothing, and ends with its call. */
async function matching<T>(items: readonly T[], matches: Filter<T>, signal: AbortSignal): Promise<T[]> {
  const found: T[] = [];
  let begin = performance.now();
  for (const item of items) {
    if (performance.now() - begin > TURN_MS) {
      await new Promise((resolve) => { setImmediate(resolve); });
      throwIfGivenUp(signal);
      begin = performance.now();
    }
    if (matches(item)) found.push(item);
  }
  return found;
}

/** What one call may take of the event loop at once. */
const TURN_MS = 10;

async function put(request: Buffer, store: ImageStore, call: CallContext): Promise<Answer> {
  const image = required(decodeImageField(request, true));
  await serialised(store, image.name, call.signal, () => store.put(image.name, image.target, { signal: call.signal }));
  return EMPTY;
}

async function create(request: Buffer, store: ImageStore, call: CallContext): Promise<Answer> {
  const decoded = decodeCreate(request);
  const { name, target, labels } = required(decoded.image);
  validateImage(name, target, labels);
  const options: PutOptions = { signal: call.signal, labels, sourceDateEpoch: decoded.sourceDateEpoch };
  const image = isEditable(store)
    ? await store.create(name, target, options)
    : await serialised(store, name, call.signal, () => createOnPlain(store, name, target, options));
  return { message: encodeImageField(image) };
}

async function update(request: Buffer, store: ImageStore, call: CallContext): Promise<Answer> {
  const decoded = decodeUpdate(request);
  const { name, target, labels } = required(decoded.image);
  const change: ImageChange = { target, labels, fields: decoded.fields };
  const options = { signal: call.signal, sourceDateEpoch: decoded.sourceDateEpoch };
  const image = isEditable(store)
    ? await store.update(name, change, options)
    : await serialised(store, name, call.signal, () => updateOnPlain(store, name, change, options));
  return { message: encodeImageField(image) };
}

async function remove(request: Buffer, store: ImageStore, call: CallContext): Promise<Answer> {
  const { name, digest } = decodeDelete(request);
  const options = { signal: call.signal, digest };
  await serialised(store, name, call.signal, async () => {
    if (!isEditable(store) && digest !== undefined && (await store.get(name, options)).target.digest !== digest) {
      throw notFound(name);
    }
    throwIfGivenUp(call.signal);
    await store.delete(name, options);
  });
  return EMPTY;
}

function required(image: Image | undefined): Image {
  if (image === undefined || image.name === "") throw invalid("Image.Name required");
  validateName(image.name);
  return image;
}

function isEditable(store: ImageStore): store is EditableImageStore {
  return "create" in store && typeof store.create === "function" && "update" in store && typeof store.update === "function";
}

const turnsOf = new WeakMap<ImageStore, TurnsByName>();

/**
 * For a store without `create` and `update`: changes of one image run one behind the other, so that looking and then putting is one step. A
 * change whose call ends before its turn is not begun; one that never settles holds up the changes of its own image alone, for it may yet be made.
 */
async function serialised<T>(store: ImageStore, name: string, signal: AbortSignal, change: () => Promise<T>): Promise<T> {
  if (isEditable(store)) return change();
  const turns = turnsOf.get(store) ?? new TurnsByName();
  turnsOf.set(store, turns);
  const end = await turns.take(name, signal);
  try {
    throwIfGivenUp(signal);
    return await change();
  } finally {
    end();
  }
}

function isCode(error: unknown, code: ImagesError["code"]): boolean {
  return error instanceof ImagesError && error.code === code;
}

async function createOnPlain(store: ImageStore, name: string, target: Image["target"], options: PutOptions): Promise<Image> {
  const there = await store.get(name, options).then(() => true, (error: unknown) => {
    if (isCode(error, "CORRUPT")) return true;
    if (isCode(error, "NOT_FOUND")) return false;
    throw error;
  });
  if (there) throw exists(name);
  throwIfGivenUp(options.signal);
  await store.put(name, target, options);
  return store.get(name, options);
}

async function updateOnPlain(
  store: ImageStore, name: string, change: ImageChange, options: UpdateOptions & { readonly signal: AbortSignal },
): Promise<Image> {
  const before = await store.get(name, options).catch((error: unknown): Image => {
    // What is damaged can be replaced as a whole.
    if (change.fields.length === 0 && isCode(error, "CORRUPT")) return { name, target: change.target };
    throw error;
  });
  const image = applyChange(before, change);
  validateImage(name, image.target, image.labels);
  throwIfGivenUp(options.signal);
  await store.put(name, image.target, { ...options, labels: image.labels });
  return store.get(name, options);
}
