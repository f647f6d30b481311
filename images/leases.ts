/**
 * The leases of an image server, in memory. containerd's clients take one before they tag an image and give it
 * back after; here it keeps nothing alive, so all there is to do is to know its name: until it is deleted,
 * or expires if a label says when, and of a bounded number.
 */
import { filled } from "./change.js";
import { GrpcError, Status } from "./grpc-status.js";
import { randomHex } from "./random.js";
import type { Lease } from "./messages.js";

const LEASES_MAX = 1000;
/** The label in which a client says when a lease ends by itself. */
const EXPIRE_LABEL = "containerd.io/gc.expire";

/** Leases by namespace and id. */
export class Leases {
  readonly #leases = new Map<string, Lease>();

  /** Creates a lease; without an id it gets one. @throws GrpcError ALREADY_EXISTS, RESOURCE_EXHAUSTED */
  create(namespace: string, id: string, labels: Readonly<Record<string, string>>): Lease {
    this.#dropExpired();
    const lease = { id: id === "" ? randomHex(12) : id, createdAt: new Date(), labels: filled(labels) ?? {} };
    const key = keyOf(namespace, lease.id);
    if (this.#leases.has(key)) throw new GrpcError(Status.ALREADY_EXISTS, `lease ${JSON.stringify(lease.id)}: already exists`);
    if (this.#leases.size >= LEASES_MAX) throw new GrpcError(Status.RESOURCE_EXHAUSTED, `there are ${LEASES_MAX} leases already`);
    this.#leases.set(key, lease);
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
      const expiresAt = Date.parse(lease.labels[EXPIRE_LABEL] ?? "");
      if (expiresAt <= now) this.#leases.delete(key);
    }
  }
}

/** A namespace has no slash in it, so the two parts stay apart. */
function keyOf(namespace: string, id: string): string {
  return `${namespace}/${id}`;
}
