/**
 * The image store on a database in this process: a transaction a call. Writing calls that are under way at the same time
 * share one commit (`DB.batch`), so many puts cost few flushes; each still succeeds or fails alone.
 */
import { immediateSignal, withinLimits } from "./call.js";
import { givenUp, throwIfGivenUp } from "./errors.js";
import { ownChange, ownDelete, ownPut, ownTarget } from "./own.js";
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
    this.#options = options.namespace === undefined ? {} : { namespace: options.namespace };
  }

  /** Creates the image or replaces all of it; resolves when it is durable. */
  async put(name: string, target: Descriptor, options?: PutOptions): Promise<void> {
    const own = ownTarget(target);
    const ownOptions = ownPut(options);
    await this.#write(options, (store) => store.put(name, own, ownOptions));
  }

  /** Creates the image; resolves when it is durable. @throws ImageExistsError */
  async create(name: string, target: Descriptor, options?: PutOptions): Promise<Image> {
    const own = ownTarget(target);
    const ownOptions = ownPut(options);
    return this.#write(options, (store) => store.create(name, own, ownOptions));
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
    const own = ownDelete(options);
    await this.#write(options, (store) => store.delete(name, own));
  }

  /** Runs a change in the next shared commit. Once it is in there it cannot be called back, so the signal counts until then. */
  #write<T>(options: CallOptions | undefined, change: (store: TxImageStore) => T): Promise<T> {
    return withinLimits(options, undefined, async (signal) => {
      throwIfGivenUp(signal);
      let hasBegun = false;
      const result = this.#db.batch((tx) => {
        throwIfGivenUp(signal);
        hasBegun = true;
        return change(new TxImageStore(tx, this.#options));
      });
      return signal === undefined ? result : untilGivenUp(result, signal, () => hasBegun);
    });
  }
}

/** Rejects as soon as the signal comes, unless the change is under way: then as that ends. */
function untilGivenUp<T>(result: Promise<T>, signal: AbortSignal, hasBegun: () => boolean): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      if (!hasBegun()) reject(givenUp(signal));
    };
    signal.addEventListener("abort", giveUp, { once: true });
    result.then(resolve, reject).finally(() => signal.removeEventListener("abort", giveUp));
  });
}
