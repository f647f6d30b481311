/**
 * What the store needs of etcd's key-value service, through the gateway: read a key now or at an earlier revision, read a
 * range, read some keys at one revision, and a transaction.
 *
 * Keeps true: an answer is checked before it is believed; what etcd refuses is an ImagesError.
 */
import { ImagesError } from "./errors.js";
import { EtcdError, EtcdGateway } from "./etcd-gateway.js";
import { isRecord } from "./validate.js";
import type { GatewayCall, GatewayOptions } from "./etcd-gateway.js";
import type { CallOptions } from "./types.js";

/** One key as it was read. */
export interface Entry {
  readonly key: Buffer;
  readonly value: Buffer;
  /** The revision of its last change. */
  readonly revision: bigint;
  /** The revision at which it was made, after which it was not deleted. */
  readonly created: bigint;
}

/** What some keys held at one revision: the keys' entries in their order, undefined for what is not there. */
export interface Snapshot {
  readonly revision: bigint;
  readonly entries: readonly (Entry | undefined)[];
}

/** How a transaction went. */
export interface Outcome {
  readonly succeeded: boolean;
  /** It was sent more than once, and an earlier time may have been carried out too. */
  readonly uncertain: boolean;
}

/** A transaction in the gateway's words; keys and values in base64. */
export interface Transaction {
  readonly compare: readonly object[];
  readonly success: readonly object[];
}

/** A revision that was asked for is compacted away. */
export class CompactedError extends ImagesError {}

const OUT_OF_RANGE = 11;
const INVALID_ARGUMENT = 3;
/** Said of a change whose answer did not come. */
const DOUBT = "; it is unknown whether the change was made";

/** A key as the gateway wants it. */
export function encodeKey(key: Uint8Array | string): string {
  return Buffer.from(key).toString("base64");
}

/** The key-value service of a cluster. */
export class EtcdKv {
  readonly #gateway: EtcdGateway;

  constructor(options: GatewayOptions) {
    this.#gateway = new EtcdGateway(options);
  }

  /** Does a call: all of its requests share one time limit. */
  within<T>(options: CallOptions | undefined, work: (call: GatewayCall) => Promise<T>): Promise<T> {
    return this.#gateway.within(options, work);
  }

  /** Reads one key, as it is or as it was at a revision. @throws CompactedError */
  async get(key: string, call: GatewayCall, revision?: bigint): Promise<Entry | undefined> {
    return entryOf(await this.#post("kv/range", { key, revision: revision?.toString() }, call), key);
  }

  /**
   * Reads a page of a range: the entries, its revision, and whether there are more.
   * @throws CompactedError
   */
  async range(range: object, call: GatewayCall): Promise<{ readonly entries: readonly Entry[]; readonly revision: bigint; readonly more: boolean }> {
    const body = await this.#post("kv/range", range, call);
    return { entries: entriesOf(body), revision: revisionOf(body), more: body["more"] === true };
  }

  /** Reads some keys at one revision. */
  async look(keys: readonly string[], call: GatewayCall): Promise<Snapshot> {
    return snapshotOf(await this.#post("kv/txn", { success: keys.map((key) => ({ request_range: { key } })) }, call), keys);
  }

  /** Does a transaction, if what it compares holds. */
  async transact(transaction: Transaction, call: GatewayCall): Promise<Outcome> {
    const { body, uncertain } = await this.#send("kv/txn", transaction, call, DOUBT);
    return { succeeded: body["succeeded"] === true, uncertain };
  }

  async #post(path: string, request: object, call: GatewayCall): Promise<Readonly<Record<string, unknown>>> {
    return (await this.#send(path, request, call, "")).body;
  }

  async #send(path: string, request: object, call: GatewayCall, doubt: string): ReturnType<EtcdGateway["post"]> {
    try {
      return await this.#gateway.post(path, request, call, doubt);
    } catch (error) {
      throw error instanceof EtcdError ? refused(error) : error;
    }
  }
}

function snapshotOf(body: Readonly<Record<string, unknown>>, keys: readonly string[]): Snapshot {
  const responses: unknown = body["responses"];
  if (!Array.isArray(responses) || responses.length !== keys.length) throw broken();
  const entries = keys.map((key, index) => {
    const response: unknown = responses[index];
    const range = isRecord(response) ? response["response_range"] : undefined;
    if (!isRecord(range)) throw broken();
    return entryOf(range, key);
  });
  return { revision: revisionOf(body), entries };
}

/** Reads the entries of a range response; a number that is 0 and bytes that are none are left out by the gateway. */
function entriesOf(body: Readonly<Record<string, unknown>>): Entry[] {
  const list: unknown = body["kvs"] ?? [];
  if (!Array.isArray(list)) throw broken();
  return list.map((item: unknown) => {
    if (!isRecord(item) || typeof item["key"] !== "string") throw broken();
    const value = typeof item["value"] === "string" ? item["value"] : "";
    return {
      key: Buffer.from(item["key"], "base64"), value: Buffer.from(value, "base64"),
      revision: numberOf(item["mod_revision"]), created: numberOf(item["create_revision"]),
    };
  });
}

/** The entry of a range that is one key. */
function entryOf(body: Readonly<Record<string, unknown>>, key: string): Entry | undefined {
  const entry = entriesOf(body)[0];
  if (entry !== undefined && encodeKey(entry.key) !== key) throw broken();
  return entry;
}

function revisionOf(body: Readonly<Record<string, unknown>>): bigint {
  const header = body["header"];
  return numberOf(isRecord(header) ? header["revision"] : undefined);
}

function numberOf(text: unknown): bigint {
  if (typeof text !== "string" || !/^\d{1,19}$/.test(text)) throw broken();
  return BigInt(text);
}

/** The error for an answer that etcd would not give. */
export function broken(): ImagesError {
  return new ImagesError("UNAVAILABLE", "the endpoint's answer is none of etcd's");
}

function refused(error: EtcdError): ImagesError {
  const message = `etcd refuses: ${error.message}`;
  if (error.status === OUT_OF_RANGE) return new CompactedError("UNAVAILABLE", message, { cause: error });
  // Of a request without a token, or with one from before the users' rights were changed, etcd says that too: it is no argument of the call's.
  const isInvalid = error.status === INVALID_ARGUMENT && !/user name is empty|revision of auth store is old/.test(error.message);
  return new ImagesError(isInvalid ? "INVALID" : "UNAVAILABLE", message, { cause: error });
}
