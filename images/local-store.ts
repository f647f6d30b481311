/**
 * The image store on a database in this process: a transaction a call. Writing calls that are under way at the same time
 * share one commit (`DB.batch`), so many puts cost few flushes; each still succeeds or fails alone.
 */
import { immediateSignal, withinLimits } from "./call.js";
import { givenUp, throwIfGivenUp } from "./errors.js";
import { ownChange, ownStrings, ownTarget } from "./own.js";
import { requireLayoutOptions } from "./namespaces.js";
import { TxImageStore } from "./tx-store.js";
import type { DB } from "../engine/index.js";
import type { LayoutOptions } from "./namespaces.js";
import type {
  CallOptions, DeleteOptions, Descriptor, EditableImageStore, Image, ImageChange, ListOptions, PutOptions,
} from "./types.js";

/** Images in a local database, a transaction a call. The database stays the caller's to close. */
export class LocalImageStore implements EditableImageStore {
  readonly #db: DB;
  readonly #options: LayoutOptions;

  /** @param options without a namespace the early layout is used, which needs `initDB` first */
  constructor(db: DB, options: LayoutOptions = {}) {
    requireLayoutOptions(options);
    this.#db = db;
    this.#options = { namespace: options.namespace };
  }

  /** Creates the image or replaces all of it; resolves when it is durable. */
  async put(name: string, target: Descriptor, options?: PutOptions): Promise<void> {
    const own = ownTarget(target);
    const labels = ownStrings(options?.labels);
    await this.#write(options, (store) => store.put(name, own, { labels }));
  }

  /** Creates the image; resolves when it is durable. @throws ImageExistsError */
  async create(name: string, target: Descriptor, options?: PutOptions): Promise<Image> {
    const own = ownTarget(target);
    const labels = ownStrings(options?.labels);
    return this.#write(options, (store) => store.create(name, own, { labels }));
  }

  /** Changes the image; resolves when that is durable. @throws ImageNotFoundError */
  async update(name: string, change: ImageChange, options?: CallOptions): Promise<Image> {
    const own = ownChange(change);
    return this.#write(options, (store) => store.update(name, own));
  }

  /** Reads one image. @throws ImageNotFoundError */
  async get(name: string, options?: CallOptions): Promise<Image> {
    throwIfGivenUp(immediateSignal(options));
    return this.#db.view((tx) => new TxImageStore(tx, this.#options).get(name));
  }

  /** Reads the images from one snapshot. @throws CorruptImagesError, which carries those that are whole */
  async list(options?: ListOptions): Promise<Image[]> {
    throwIfGivenUp(immediateSignal(options));
    return this.#db.view((tx) => new TxImageStore(tx, this.#options).list(options));
  }

  /** Deletes the image; resolves when that is durable. @throws ImageNotFoundError */
  async delete(name: string, options?: DeleteOptions): Promise<void> {
    const digest = options?.digest;
    await this.#write(options, (store) => store.delete(name, { digest }));
  }

  /** Runs a change in the next shared commit. Once it is in there it cannot be called back, so the signal counts until then. */
  #write<T>(options: CallOptions | undefined, change: (store: TxImageStore) => T): Promise<T> {
    return withinLimits(options, undefined, async (signal) => {
      throwIfGivenUp(signal);
      if (signal === undefined) return this.#db.batch((tx) => change(new TxImageStore(tx, this.#options)));
      return new Promise<T>((resolve, reject) => new WaitingChange({ change, signal, resolve, reject }).enter(this.#db, this.#options));
    });
  }
}

/** A call that waits for the end of its change. */
interface WaitingCall<T> {
  readonly change: (store: TxImageStore) => T;
  readonly signal: AbortSignal;
  readonly resolve: (result: T) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A change among those that wait for the writer, who may be busy for long. Of a call that is given up before its change has begun nothing stays in
 * memory: the batch holds this object, and this object then nothing.
 */
class WaitingChange<T> {
  #call: WaitingCall<T> | undefined;
  #hasBegun = false;

  constructor(call: WaitingCall<T>) {
    this.#call = call;
    call.signal.addEventListener("abort", () => this.#giveUp(), { once: true });
  }

  /** Joins the next shared commit. */
  enter(db: DB, options: LayoutOptions): void {
    db.batch((tx) => this.#run(new TxImageStore(tx, options)))
      // There is a result: of a call that is still there the change was run.
      .then((result) => this.#call?.resolve(result as T), (error: unknown) => this.#call?.reject(error));
  }

  /** A change that is under way decides the call itself. */
  #giveUp(): void {
    if (this.#call === undefined || this.#hasBegun) return;
    this.#call.reject(givenUp(this.#call.signal));
    this.#call = undefined;
  }

  /** A batch may run it more than once. What was given up does nothing, instead of failing: that would make the others run again. */
  #run(store: TxImageStore): T | undefined {
    if (this.#call === undefined) return undefined;
    throwIfGivenUp(this.#call.signal);
    this.#hasBegun = true;
    return this.#call.change(store);
  }
}
