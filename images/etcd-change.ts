/**
 * A change of one image in etcd: what is there is read, what to do is decided, and one transaction does it if that is still
 * there. Otherwise it is decided anew.
 *
 * The hard part is a request whose answer is lost: it may have been carried out, or may be later, by a member that stood
 * still. Two things keep that harmless:
 *
 * 1. A transaction can be carried out once, however often and however late it arrives. One on an image that is there compares
 *    the revision of its last change, which never comes back. One that makes an image compares, besides, the image's fence: a key
 *    that every delete changes in its own transaction. So a create that was sent before a delete does nothing after it.
 * 2. Where a repeated transaction does not hold any more, the keys' history says whether an earlier copy was carried out: it
 *    would be the first change after what was read, with this call's id. If it was not, it never will be, and the change is decided anew
 *    on what is there now, as after any conflict. Where the history was compacted away, nobody can tell, and the error says so.
 */
import { pause } from "./call.js";
import { ImagesError, quote } from "./errors.js";
import { ended } from "./etcd-gateway.js";
import { encodeRecord, encodeWriteId, isWrittenBy } from "./etcd-record.js";
import { CompactedError } from "./etcd-kv.js";
import { randomHex } from "./random.js";
import type { GatewayCall } from "./etcd-gateway.js";
import type { Entry, EtcdKv, Transaction } from "./etcd-kv.js";
import type { Image } from "./types.js";

/** The keys of one image, in base64. */
export interface ImageKeys {
  readonly image: string;
  /** Changed by every delete of the image. Many images share one. */
  readonly fence: string;
}

/** The first wait after a conflict and the longest, in milliseconds: half of it is left to chance, so that not all come back at once. */
const PAUSE_MS = 4;
const PAUSE_MS_MAX = 250;

/** One image's change. */
export class EtcdChange {
  readonly #kv: EtcdKv;
  readonly #name: string;
  readonly #keys: ImageKeys;
  readonly #call: GatewayCall;
  readonly #id: string = randomHex(12);

  constructor(kv: EtcdKv, name: string, keys: ImageKeys, call: GatewayCall) {
    this.#kv = kv;
    this.#name = name;
    this.#keys = keys;
    this.#call = call;
  }

  /**
   * Makes the change.
   * @param decide says what becomes of what is there: an image, or nothing, which deletes it
   * @returns what `decide` gave last
   */
  async make<Become extends Image | undefined>(decide: (there: Entry | undefined) => Become): Promise<Become> {
    for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
      const there = await this.#look();
      const become = decide(there.image);
      const { succeeded, uncertain } = await this.#kv.transact(this.#transaction(there, become), this.#call);
      if (succeeded || (uncertain && await this.#wasMade(there, become === undefined))) return become;
      await pause(pauseMs * (0.5 + Math.random() / 2), this.#call.signal);
      if (this.#call.signal.aborted) throw ended(this.#call, `image ${quote(this.#name)} is changed by others all the time`);
    }
  }

  async #look(): Promise<State> {
    const { entries: [image, fence], revision } = await this.#kv.look([this.#keys.image, this.#keys.fence], this.#call);
    return { revision, image, fence: revisionOf(fence), hasOurs: this.#isOurs(image) || this.#isOurs(fence) };
  }

  #transaction(there: State, become: Image | undefined): Transaction {
    const { image: key, fence } = this.#keys;
    const fenceValue = encodeWriteId(this.#id).toString("base64");
    return {
      compare: there.image === undefined
        ? [
          { key, target: "CREATE", result: "EQUAL", create_revision: "0" },
          { key: fence, target: "MOD", result: "EQUAL", mod_revision: String(there.fence) },
        ]
        : [{ key, target: "MOD", result: "EQUAL", mod_revision: String(there.image.revision) }],
      success: become === undefined
        ? [{ request_delete_range: { key } }, { request_put: { key: fence, value: fenceValue } }]
        : [{ request_put: { key, value: encodeRecord(become, this.#id).toString("base64") } }],
    };
  }

  /** Whether a transaction on `before`, which does not hold any more, was carried out. @throws ImagesError UNAVAILABLE when nobody can tell */
  async #wasMade(before: State, isDelete: boolean): Promise<boolean> {
    try {
      const now = await this.#look();
      if (now.hasOurs) return true;
      return before.image === undefined ? await this.#wasCreated(before, now) : await this.#wasFirst(before, before.image, now, isDelete);
    } catch (error) {
      if (!(error instanceof ImagesError)) throw error;
      const why = error instanceof CompactedError ? "its history was compacted away since" : error.message;
      throw new ImagesError(error.code, `image ${quote(this.#name)}: it is unknown whether the change was made: an answer was lost, and ${why}`, { cause: error });
    }
  }

  /** Ours would have begun the image's life that was there before the first delete. */
  async #wasCreated(before: State, now: State): Promise<boolean> {
    const end = now.fence === before.fence
      ? now.revision
      : await this.#firstChange(this.#keys.fence, before.fence, before.revision, now.fence) - 1n;
    const last = await this.#at(this.#keys.image, end);
    return this.#isOurs(last === undefined ? undefined : await this.#at(this.#keys.image, last.created));
  }

  /** Ours would have been the first change after `image`. A delete leaves its id in the fence, with the same revision. */
  async #wasFirst(before: State, image: Entry, now: State, isDelete: boolean): Promise<boolean> {
    const end = now.image?.revision ?? now.revision;
    const change = await this.#firstChange(this.#keys.image, image.revision, before.revision, end);
    const written = await this.#at(isDelete ? this.#keys.fence : this.#keys.image, change);
    return written?.revision === change && this.#isOurs(written);
  }

  /**
   * The revision of a key's first change after it was last changed at `revision`.
   * @param low a revision at which that was still its last change
   * @param high one at which it was not
   */
  async #firstChange(key: string, revision: bigint, low: bigint, high: bigint): Promise<bigint> {
    while (high - low > 1n) {
      const middle = (low + high) / 2n;
      if (revisionOf(await this.#at(key, middle)) === revision) low = middle;
      else high = middle;
    }
    return high;
  }

  #at(key: string, revision: bigint): Promise<Entry | undefined> {
    return this.#kv.get(key, this.#call, revision);
  }

  #isOurs(entry: Entry | undefined): boolean {
    return entry !== undefined && isWrittenBy(entry.value, this.#id);
  }
}

/** What was there at one revision. */
interface State {
  readonly revision: bigint;
  readonly image: Entry | undefined;
  /** The revision of the fence's last change, 0 before the first. */
  readonly fence: bigint;
  /** The image or the fence was last changed by this call. */
  readonly hasOurs: boolean;
}

function revisionOf(entry: Entry | undefined): bigint {
  return entry?.revision ?? 0n;
}
