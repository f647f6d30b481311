/**
 * The leases of an image server, in memory. containerd's clients take one before they tag an image and give it
 * back after; here it keeps nothing alive, so all there is to do is to know its name: until it is deleted,
 * expires if a label says when, or a thousand others have come since. A client that vanishes thus leaves nothing for good.
 */
import { filled } from "./change.js";
import { invalid } from "./errors.js";
import { parseGoRfc3339 } from "./go-time.js";
import { GrpcError, Status } from "./grpc-status.js";
import { randomHex } from "./random.js";
import { validateStrings } from "./validate.js";
import type { Lease } from "./messages.js";

const LEASES_MAX = 1000;
/** Bytes of a lease, so few that the answer to List has room for all. */
const LEASE_BYTES_MAX = 16_384;
/** What a label takes of them besides its characters: an empty one takes memory, too. */
const LABEL_BYTES = 100;
/** The label in which a client says when a lease ends by itself. */
const EXPIRE_LABEL = "containerd.io/gc.expire";

/** Leases by namespace and id. */
export class Leases {
  readonly #leases = new Map<string, Lease>();

  /**
   * Creates a lease; without an id it gets one. When there are too many, the oldest is dropped.
   * @throws GrpcError ALREADY_EXISTS; ImagesError INVALID for labels that are none, or a lease that is too long
   */
  create(namespace: string, id: string, labels: Readonly<Record<string, string>>): Lease {
    validateStrings("labels", labels);
    requireShort(id, labels);
    this.#dropExpired();
    const lease = { id: id === "" ? randomHex(12) : id, createdAt: new Date(), labels: filled(labels) ?? {} };
    const key = keyOf(namespace, lease.id);
    if (this.#leases.has(key)) throw new GrpcError(Status.ALREADY_EXISTS, `lease ${JSON.stringify(lease.id)}: already exists`);
    this.#leases.set(key, lease);
    // A map keeps the order in which its entries came.
    const [oldest] = this.#leases.keys();
    if (this.#leases.size > LEASES_MAX && oldest !== undefined) this.#leases.delete(oldest);
    return lease;
  }

  /** Deletes a lease. @throws GrpcError NOT_FOUND */
  delete(namespace: string, id: string): void {
    if (!this.#leases.delete(keyOf(namespace, id))) {
      throw new GrpcError(Status.NOT_FOUND, `lease ${JSON.stringify(id)}: not found`);
    }
  }

  /** Lists a namespace's leases in byte order of their ids. */
  list(namespace: string): Lease[] {
    this.#dropExpired();
    const prefix = keyOf(namespace, "");
    const found = Array.from(this.#leases).filter(([key]) => key.startsWith(prefix)).map(([, lease]) => lease);
    return found.sort((a, b) => Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)));
  }

  #dropExpired(): void {
    const now = Date.now();
    for (const [key, lease] of this.#leases) {
      // A text that is no time says nothing, as to containerd.
      const expiresAt = parseGoRfc3339(lease.labels[EXPIRE_LABEL] ?? "");
      if (expiresAt !== undefined && expiresAt <= now) this.#leases.delete(key);
    }
  }
}

/** A namespace has no slash in it, so the two parts stay apart. */
function keyOf(namespace: string, id: string): string {
  return `${namespace}/${id}`;
}

function requireShort(id: string, labels: Readonly<Record<string, string>>): void {
  let byteCount = Buffer.byteLength(id);
  for (const [key, value] of Object.entries(labels)) byteCount += LABEL_BYTES + Buffer.byteLength(key) + Buffer.byteLength(value);
  if (byteCount > LEASE_BYTES_MAX) throw invalid(`the lease's id and labels take ${byteCount} bytes, each label ${LABEL_BYTES} besides its own: at most ${LEASE_BYTES_MAX}`);
}
