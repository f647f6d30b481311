/** Stores that are each wrong in one way that an author of one could miss: what the conformance suite must notice. */
import { setImmediate as turn } from "node:timers/promises";
import { ImageExistsError, ImageNotFoundError, ImagesError, isNotFound } from "../../images/errors.js";
import { parseFilters } from "../../images/filters.js";
import { ownChange, ownStrings, ownTarget } from "../../images/own.js";
import type { Descriptor, EditableImageStore, Image, ListOptions } from "../../images/index.js";

/** Members in place of those of a store that is right. */
export type Wrong = (right: EditableImageStore) => Partial<EditableImageStore>;
export type WrongStores = Readonly<Record<string, Wrong>>;
type Strings = Readonly<Record<string, string>>;

/** The store with some members in place of its own. What callers give is copied first: that alone is nowhere wrong. */
export function wronged(right: EditableImageStore, wrong: Wrong): EditableImageStore {
  const members = wrong(right);
  const of = <K extends keyof EditableImageStore>(member: K): EditableImageStore[K] => members[member] ?? right[member].bind(right) as EditableImageStore[K];
  return {
    put: (name, target, options) => of("put")(name, ownTarget(target), { ...options, labels: ownStrings(options?.labels) }),
    get: of("get"),
    list: (options) => of("list")(options && { ...options }),
    delete: (name, options) => of("delete")(name, options && { ...options }),
    create: (name, target, options) => of("create")(name, ownTarget(target), { ...options, labels: ownStrings(options?.labels) }),
    update: (name, change, options) => of("update")(name, ownChange(change), options && { ...options }),
  };
}

/** What is there; undefined where nothing is. */
async function found(store: EditableImageStore, name: string): Promise<Image | undefined> {
  return store.get(name).catch(() => undefined);
}

/** A store that keeps each image under another name than it was given. */
const renaming = (rename: (name: string) => string): Wrong => (right) => ({
  put: (name, ...rest) => right.put(rename(name), ...rest),
  get: async (name, ...rest) => ({ ...await right.get(rename(name), ...rest), name }),
  delete: (name, ...rest) => right.delete(rename(name), ...rest),
});

/** A store that shows images otherwise than they are. */
const showing = (show: (image: Image) => Image): Wrong => (right) => ({
  get: async (...call) => show(await right.get(...call)),
  list: async (...call) => (await right.list(...call)).map(show),
  create: async (...call) => show(await right.create(...call)),
  update: async (...call) => show(await right.update(...call)),
});

/** A store that puts something else than it is given. */
const putting = (change: (given: Descriptor) => Descriptor): Wrong => (right) => ({ put: (name, target, options) => right.put(name, change(target), options) });

const filtering = (list: (right: EditableImageStore, filters: readonly string[], options: ListOptions) => Promise<Image[]>): Wrong => (right) => ({
  list: (options = {}) => options.filters === undefined ? right.list(options) : list(right, options.filters, options),
});

const rewritten = (change: (filter: string) => string): Wrong => filtering((right, filters, options) => right.list({ ...options, filters: filters.map(change) }));

const afresh = (right: EditableImageStore): EditableImageStore["update"] => async (name, change, options) => {
  const image = await right.update(name, change, options);
  await right.delete(name);
  return right.create(name, image.target, { labels: image.labels });
};

/** A store that gives what it keeps itself: of equal parts the same object. */
const sharing = (share: (image: Image, same: <T>(part: T) => T) => Image): Wrong => {
  const parts = new Map<string, unknown>();
  const same = <T>(part: T): T => {
    const key = JSON.stringify(part, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value)) as string | undefined ?? "";
    if (!parts.has(key)) parts.set(key, part);
    return parts.get(key) as T;
  };
  return showing((image) => share(image, same));
};

/** What is wrong with names, lists and descriptors. */
export const WRONG_CONTENT: WrongStores = {
  "names without the spaces around them": renaming((name) => name.trim()),
  "names in another form of Unicode": renaming((name) => name.normalize("NFC")),
  "names in lower case": renaming((name) => name.toLowerCase()),
  "names as paths of files": renaming((name) => name.replace(/\/+/g, "/").replaceAll("../", "")),
  "names decoded as of an address": renaming((name) => { try { return decodeURIComponent(name); } catch { return name; } }),
  "names that end at a zero byte": renaming((name) => name.split("\0")[0]!),
  "halves of surrogate pairs replaced": renaming((name) => name.toWellFormed()),
  "members of every object as images": (right) => ({ get: async (name, ...rest) => (name in {} ? { name, target: { mediaType: "", digest: "", size: 0 } } : right.get(name, ...rest)) }),
  "a list in the order of JavaScript strings": (right) => ({ list: async (...call) => (await right.list(...call)).sort((a, b) => (a.name < b.name ? -1 : 1)) }),
  "a list in the order of a dictionary": (right) => ({ list: async (...call) => (await right.list(...call)).sort((a, b) => a.name.localeCompare(b.name)) }),
  "a list of the first page": (right) => ({ list: async (...call) => (await right.list(...call)).slice(0, 1000) }),
  "a list without annotations": (right) => ({ list: async (...call) => (await right.list(...call)).map(({ target: { annotations: _, ...target }, ...image }) => ({ ...image, target })) }),
  "a list without labels": (right) => ({ list: async (...call) => (await right.list(...call)).map(({ labels: _, ...image }) => image) }),
  "a list without times": (right) => ({ list: async (...call) => (await right.list(...call)).map(({ createdAt: _, updatedAt: __, ...image }) => image) }),
  "images shared with callers": sharing((image, same) => same(image)),
  "descriptors shared with callers": sharing((image, same) => ({ ...image, target: same(image.target) })),
  "labels shared with callers": sharing((image, same) => ({ ...image, ...(image.labels && { labels: same(image.labels) }) })),
  "annotations shared with callers": sharing((image, same) => ({ ...image, target: { ...image.target, ...(image.target.annotations && { annotations: same(image.target.annotations) }) } })),
  "times shared with callers": sharing((image, same) => ({ ...image, ...(image.createdAt && { createdAt: same(image.createdAt) }) })),
  "empty labels in place of none": showing((image) => ({ labels: {}, ...image })),
  "times as text": showing((image) => ({ ...image, createdAt: image.createdAt?.toISOString() as never })),
  "sizes as doubles": putting((target) => ({ ...target, size: Number(target.size) === 2 ** 63 ? target.size : BigInt.asIntN(64, BigInt(Math.trunc(Number(target.size)) || 0)) })),
  "sizes of 32 bits": putting((target) => ({ ...target, size: Number(BigInt.asIntN(32, BigInt(Math.trunc(Number(target.size)) || 0))) })),
  "no annotations": putting(({ annotations: _, ...target }) => target),
  "no digests but sha256": putting((target) => ({ ...target, digest: target.digest.replace(/^sha(?:384|512):.*/, "") })),
  "labels cut to what there is room for": (right) => ({ put: (name, target, options) => right.put(name, target, { ...options, labels: cut(options?.labels) }) }),
};

function cut(labels: Strings | undefined): Strings | undefined {
  return labels && Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, value.slice(0, 4000).toWellFormed()]));
}

/** What is wrong with changes. */
export const WRONG_CHANGES: WrongStores = {
  "a put that merges labels": (right) => ({ put: async (name, target, options) => right.put(name, target, { ...options, labels: { ...(await found(right, name))?.labels, ...options?.labels } }) }),
  "a put without labels that keeps the old ones": (right) => ({ put: async (name, target, options) => right.put(name, target, { ...options, labels: options?.labels ?? (await found(right, name))?.labels }) }),
  "a put that keeps the old annotations": (right) => ({ put: async (name, target, options) => right.put(name, { annotations: (await found(right, name))?.target.annotations ?? {}, ...target }, options) }),
  "a put with a new time of creation": (right) => ({ put: async (name, ...rest) => { await right.delete(name).catch(() => undefined); await right.put(name, ...rest); } }),
  "a put with the old time": (right) => ({ put: async (name, target, options) => right.put(name, target, { sourceDateEpoch: (await found(right, name))?.updatedAt, ...options }) }),
  "a put without a given time": (right) => ({ put: (name, target, options) => right.put(name, target, { ...options, sourceDateEpoch: undefined }) }),
  "a put in two steps": (right) => ({ put: async (name, target, options) => {
    const before = await found(right, name);
    if (before !== undefined) await right.put(name, { ...target, digest: before.target.digest }, options);
    await right.put(name, target, options);
  } }),
  "a delete of all below a name": (right) => ({ delete: async (name, ...rest) => {
    await right.delete(name, ...rest);
    for (const image of await right.list()) if (image.name.startsWith(name)) await right.delete(image.name);
  } }),
  "a delete of all with the digest": (right) => ({ delete: async (name, ...rest) => {
    const image = await found(right, name);
    await right.delete(name, ...rest);
    for (const other of await right.list()) if (other.target.digest === image?.target.digest) await right.delete(other.name);
  } }),
  "a delete that passes over its condition": (right) => ({ delete: (name) => right.delete(name) }),
  "a delete that does not say that nothing was there": (right) => ({ delete: (...call) => right.delete(...call).catch((error: unknown) => { if (!isNotFound(error)) throw error; }) }),
  "a delete that looks at its condition beforehand": (right) => ({ delete: async (name, options) => {
    if (options?.digest !== undefined && (await right.get(name)).target.digest !== options.digest) throw new ImageNotFoundError(name);
    await right.delete(name, { signal: options?.signal });
  } }),
  "a create that replaces": (right) => ({ create: async (name, ...rest) => { await right.put(name, ...rest); return right.get(name); } }),
  "a create in two steps": (right) => ({ create: async (name, ...rest) => {
    if (await found(right, name) !== undefined) throw new ImageExistsError(name);
    await right.put(name, ...rest);
    return right.get(name);
  } }),
  "a create that gives back what it was given": (right) => ({ create: async (name, target, options) => ({ ...await right.create(name, target, options), target, ...(options?.labels && { labels: options.labels }) }) }),
  "a create without times": (right) => ({ create: async (...call) => { const { createdAt: _, updatedAt: __, ...image } = await right.create(...call); return image; } }),
  "a create without a given time": (right) => ({ create: (name, target, options) => right.create(name, target, { ...options, sourceDateEpoch: undefined }) }),
  "a create without checks": (right) => ({ create: async (name, target, options) => right.create(name, target, options).catch((error: unknown) => {
    if (error instanceof ImagesError && error.code === "INVALID") return { name, target };
    throw error;
  }) }),
};

/** What is wrong with updates. */
export const WRONG_UPDATES: WrongStores = {
  "an update that creates": (right) => ({ update: (name, change, options) => right.update(name, change, options).catch(() => right.create(name, change.target, { ...options, labels: change.labels })) }),
  "an update of all, whatever is named": (right) => ({ update: (name, change, options) => right.update(name, { ...change, fields: [] }, options) }),
  "an update of nothing where nothing is named": (right) => ({ update: (name, change, options) => change.fields.length === 0 ? right.get(name) : right.update(name, change, options) }),
  "an update of all that merges labels": (right) => ({ update: async (name, change, options) => right.update(name, { ...change, labels: change.fields.length > 0 ? change.labels : { ...(await found(right, name))?.labels, ...change.labels } }, options) }),
  "an update of all labels for one": updating((field) => (field.startsWith("labels.") ? "labels" : field)),
  "an update of a label up to its dot": updating((field) => (field.startsWith("labels.") ? field.split(".", 2).join(".") : field)),
  "an update of all annotations for one": updating((field) => (field.startsWith("annotations.") ? "annotations" : field)),
  "an update that knows no annotations": updating((field) => (field.startsWith("annotations") ? "unknown" : field)),
  "an update of a target that keeps the annotations": (right) => ({ update: async (name, change, options) =>
    right.update(name, { ...change, target: change.fields.includes("target") ? { ...change.target, annotations: (await found(right, name))?.target.annotations ?? {} } : change.target }, options) }),
  "an update field by field": (right) => ({ update: async (name, change, options) => {
    for (const field of change.fields) await right.update(name, { ...change, fields: [field] }, options);
    return change.fields.length === 0 ? right.update(name, change, options) : right.get(name);
  } }),
  "an update in two steps": (right) => ({ update: async (name, change, options) => {
    const { labels, target } = await right.get(name);
    await turn();
    const image = await right.update(name, change, options);
    const kept = Object.fromEntries(Object.entries(image.labels ?? {}).filter(([key]) => Object.hasOwn(labels ?? {}, key) || change.fields.length === 0 || change.fields.includes("labels") || change.fields.includes(`labels.${key}`)));
    return right.update(name, { target, labels: kept, fields: ["labels"] }, options);
  } }),
  "an update with a new time of creation": (right) => ({ update: afresh(right) }),
  "an update with the old time": (right) => ({ update: async (name, change, options) => right.update(name, change, { sourceDateEpoch: (await found(right, name))?.updatedAt, ...options }) }),
  "an update without a given time": (right) => ({ update: (name, change, options) => right.update(name, change, { ...options, sourceDateEpoch: undefined }) }),
  "an update that gives the image before": (right) => ({ update: async (name, ...rest) => { const before = await found(right, name); const after = await right.update(name, ...rest); return before ?? after; } }),
};

function updating(change: (field: string) => string): Wrong {
  return (right) => ({ update: (name, given, options) => right.update(name, { ...given, fields: given.fields.map(change) }, options) });
}

/** What is wrong with filters. */
export const WRONG_FILTERS: WrongStores = {
  "filters that mean nothing": filtering((right) => right.list()),
  "the first filter alone": filtering((right, filters) => right.list({ filters: filters.slice(0, 1) })),
  "filters of which all must match": filtering(async (right, filters) => (await right.list()).filter((image) => filters.every((filter) => parseFilters([filter])(image)))),
  "commas between filters": filtering((right, filters) => right.list({ filters: filters.flatMap((filter) => filter.split(",")) })),
  "patterns that match from the start": rewritten((filter) => filter.replace(/~=\/([^/]*)\//g, "~=/^$1/")),
  "patterns without regard to case": rewritten((filter) => filter.replace(/~=\//g, "~=/(?i)")),
  "what is absent is not unequal": filtering(async (right, filters) => (await right.list({ filters })).filter((image) => !filters.includes("labels.env!=prod") || image.labels?.["env"] !== undefined)),
  "presence of an empty field": rewritten((filter) => (/[=~]/.test(filter) ? filter : "")),
  "no annotations in filters": rewritten((filter) => filter.replace(/^annotations/, "unknown")),
  "no media types in filters": rewritten((filter) => filter.replace("target.mediatype", "unknown")),
  "no dots in keys without quotes": rewritten((filter) => filter.replace(/^(labels\.\w+)\.[\w.]+/, "$1")),
  "an error for an unknown field": filtering((right, filters) => filters.some((filter) => /^\w/.test(filter) && !/^(?:name|target|labels|annotations)/.test(filter)) ? Promise.reject(new ImagesError("INVALID", "unknown")) : right.list({ filters })),
  "an error for a pattern that is none": filtering((right, filters) => filters.some((filter) => filter.includes("(")) ? Promise.reject(new ImagesError("INVALID", "pattern")) : right.list({ filters })),
  "nothing for an empty filter": filtering((right, filters) => filters.includes("") ? Promise.resolve([]) : right.list({ filters })),
  "nothing for no filters": filtering((right, filters) => filters.length === 0 ? Promise.resolve([]) : right.list({ filters })),
  "bad filters that match nothing": filtering((right, filters) => right.list({ filters }).catch(() => [])),
  "bad filters that are misuse": filtering((right, filters) => right.list({ filters }).catch((error: unknown) => { throw new TypeError("filter", { cause: error }); })),
};

/** A store that looks at the signal of a put a while after the call. */
function interrupted(end: (signal: AbortSignal, put: () => Promise<void>) => Promise<void>): Wrong {
  return (right) => ({ put: async (...call) => {
    const signal = call[2]?.signal;
    if (signal === undefined || signal.aborted) return right.put(...call);
    await turn();
    return end(signal, () => right.put(...call));
  } });
}

/** What is wrong with calls that end early. */
export const WRONG_ENDS: WrongStores = {
  "signals that mean nothing": (right) => ({ put: (name, target, options) => right.put(name, target, { ...options, signal: undefined }) }),
  "the reason of the signal thrown": (right) => ({ get: async (name, options) => { options?.signal?.throwIfAborted(); return right.get(name, options); } }),
  "the reason of a signal that aborts later thrown": interrupted((signal, put) => (signal.aborted ? Promise.reject(signal.reason as Error) : put())),
  "a call given up later that is told as done": interrupted(async (signal, put) => { if (!signal.aborted) await put(); }),
  "a time limit as somebody's cancelling": (right) => ({ list: async (options) => { if (options?.signal?.aborted === true) throw new ImagesError("CANCELLED", "cancelled"); return right.list(options); } }),
  "signals that mean nothing to create": (right) => ({ create: (name, target, options) => right.create(name, target, { ...options, signal: undefined }) }),
  "signals that mean nothing to update": (right) => ({ update: (name, change, options) => right.update(name, change, { ...options, signal: undefined }) }),
};
