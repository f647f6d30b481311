/**
 * Where images lie in a database: in the early layout, `v1/images`, or in one of containerd's namespaces, `v1/<namespace>/images`.
 * A namespace may itself be called "images", and then lies where the early layout would.
 *
 * Keeps true: what one of the two has written is never read or written as the other.
 */
import { BoltError } from "../engine/index.js";
import { invalid, quote } from "./errors.js";
import { IMAGES, SCHEMA, SCHEMA_VERSION_KEY, TARGET_KEYS } from "./layout.js";
import { requireOptions } from "./options.js";
import { validateNamespace } from "./validate.js";
import type { DB, ReadTx, Tx } from "../engine/index.js";
import type { ReadableBucket } from "./layout.js";

/** Where a store's images lie. */
export interface LayoutOptions {
  /** Names the containerd namespace; without it the early layout `v1/images` is used. */
  readonly namespace?: string | undefined;
}

/** Checks where a store's images are to lie. @throws TypeError for an unknown option, ImagesError INVALID for a namespace that is none */
export function requireLayoutOptions(options: LayoutOptions): void {
  requireOptions(options, ["namespace"]);
  const { namespace } = options;
  if (namespace === undefined) return;
  validateNamespace(namespace);
  if (namespace === SCHEMA_VERSION_KEY.toString()) throw invalid(`namespace ${quote(namespace)} cannot be: containerd keeps the number of its schema under that key`);
}

/** Creates the early layout's buckets, `v1/images`; what is there stays. A namespace needs no such call. */
export function initDB(db: DB): void {
  db.update((tx) => {
    tx.createBucketIfNotExists(SCHEMA).createBucketIfNotExists(IMAGES);
  });
}

/**
 * Lists the containerd namespaces of a database in byte order.
 * An `images` bucket of the early layout lies in the same place and is left out.
 */
export function listNamespaces(tx: ReadTx | Tx): string[] {
  const names: string[] = [];
  const schema: ReadableBucket | undefined = tx.bucket(SCHEMA);
  schema?.forEach((name, value) => {
    if (value === undefined && !(name.toString() === IMAGES && hasEarlyLayout(tx))) names.push(name.toString());
  });
  return names;
}

/**
 * Tells whether a database holds the early layout: `v1/images` is there and is no namespace called "images".
 * An image may lack some of its keys.
 */
export function hasEarlyLayout(tx: ReadTx | Tx): boolean {
  const images = earlyBucket(tx);
  if (images === undefined) return false;
  let isEmpty = true;
  for (const name of images.buckets()) {
    if (isEarlyImage(images, name.toString())) return true;
    isEmpty = false;
  }
  return isEmpty;
}

/** A namespace's own labels: the one kind of which any key may be in a namespace's bucket. */
const LABELS = "labels";
const DIGEST = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-zA-Z=_-]{32,}$/;
/** What a namespace's bucket has in it. */
const KINDS: ReadonlySet<string> = new Set([LABELS, "images", "content", "snapshots", "containers", "leases", "sandboxes"]);

/**
 * Makes sure that a store finds its own layout in `v1/images`, if anything.
 * @param name the one image that is looked for, where nothing is to be made: of any other name than a kind's a namespace has none
 * @throws ImagesError INVALID for a namespace called "images" where the early layout is, and the other way round
 */
export function requireOwnLayout(tx: ReadTx | Tx, namespace: string | undefined, name?: string): void {
  if (namespace === IMAGES && hasEarlyLayout(tx)) {
    throw invalid(`namespace "${IMAGES}" cannot be in this database: ${SCHEMA}/${IMAGES} holds the images of the early layout, which is used without a namespace`);
  }
  if (namespace === undefined && (name === undefined || KINDS.has(name)) && beginsWithKind(tx) && !hasEarlyLayout(tx)) {
    throw invalid(`${SCHEMA}/${IMAGES} is containerd's namespace "${IMAGES}" and not the early layout: give { namespace }`);
  }
}

/** Says of a database without the early layout what it has instead. */
export function neverInitialised(tx: ReadTx | Tx): string {
  const shown = shownNamespaces(tx);
  if (shown === undefined) return "the image store was never initialised";
  return `the image store was never initialised without a namespace; there are the namespaces ${shown}: give one as { namespace }`;
}

/** Names some of the namespaces of a database for a message; undefined where there are none. */
export function shownNamespaces(tx: ReadTx | Tx): string | undefined {
  const names = listNamespaces(tx);
  if (names.length === 0) return undefined;
  return names.slice(0, NAMES_SHOWN).map(quote).join(", ") + (names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : "");
}

const NAMES_SHOWN = 10;

function earlyBucket(tx: ReadTx | Tx): ReadableBucket | undefined {
  return tx.bucket(SCHEMA)?.bucket(IMAGES);
}

/** Whether the first thing in `v1/images` is one that a namespace has. Only the first: a store of the early layout asks this in every call. */
function beginsWithKind(tx: ReadTx | Tx): boolean {
  return aside(() => {
    for (const name of earlyBucket(tx)?.buckets() ?? []) return KINDS.has(name.toString());
    return false;
  });
}

/** Whether a bucket in `v1/images` is an early image. A namespace's label may be called like one of an image's keys; a label "digest" that is one is none. */
function isEarlyImage(images: ReadableBucket, name: string): boolean {
  return aside(() => {
    const image = images.bucket(name);
    const has = (key: Buffer): boolean => image?.get(key) !== undefined;
    return name === LABELS ? DIGEST.test(String(image?.get("digest"))) : TARGET_KEYS.some(has);
  });
}

/** A damaged image says nothing, and hides no other: who reads it is told. */
function aside(ask: () => boolean): boolean {
  try {
    return ask();
  } catch (error) {
    if (error instanceof BoltError && error.code === "CORRUPT") return false;
    throw error;
  }
}
