/**
 * The image store on a database in this process: a transaction a call. Writing calls that are under way at the same time
 * share one commit (`DB.batch`), so many puts cost few flushes; each still succeeds or fails alone.
 *
 * Keeps true: what a call is told, a refusal too, it is told of a state that is durable.
 */
import { BoltError } from "../engine/index.js";
import { immediateSignal, withinLimits } from "./call.js";
import { ImagesError, givenUp, throwIfGivenUp } from "./errors.js";
import { ownChange, ownStored, ownTarget, ownTime } from "./own.js";
import { requireLayoutOptions } from "./namespaces.js";
import { TxImageStore } from "./tx-store.js";
import type { DB, Tx } from "../engine/index.js";
import type { LayoutOptions } from "./namespaces.js";
import type {
  CallOptions, DeleteOptions, Descriptor, EditableImageStore, Image, ImageChange, ListOptions, PutOptions, UpdateOptions,
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
    const stored = ownStored(options);
    await this.#write(options, (store) => store.put(name, own, stored));
  }

  /** Creates the image; resolves when it is durable. @throws ImageExistsError */
  async create(name: string, target: Descriptor, options?: PutOptions): Promise<Image> {
    const own = ownTarget(target);
    const stored = ownStored(options);
    return this.#write(options, (store) => store.create(name, own, stored));
  }

  /** Changes the image; resolves when that is durable. @throws ImageNotFoundError */
  async update(name: string, change: ImageChange, options?: UpdateOptions): Promise<Image> {
    const own = ownChange(change);
    const sourceDateEpoch = ownTime(options?.sourceDateEpoch);
    return this.#write(options, (store) => store.update(name, own, { sourceDateEpoch }));
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
      if (signal === undefined) return given(await this.#db.batch((tx) => outcomeOf(tx, () => change(new TxImageStore(tx, this.#options)))));
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
    db.batch((tx) => this.#run(tx, options))
      // There is an outcome: of a call that is still there the change was run.
      .then((outcome) => this.#call?.resolve(given(outcome!)))
      .catch((error: unknown) => this.#call?.reject(error));
  }

  /** A change that is under way decides the call itself. */
  #giveUp(): void {
    if (this.#call === undefined || this.#hasBegun) return;
    this.#call.reject(givenUp(this.#call.signal));
    this.#call = undefined;
  }

  /**
   * A batch may run it more than once, and what an earlier run has done is undone then. What was given up does nothing, instead of failing: that would make
   * the others run again.
   */
  #run(tx: Tx, options: LayoutOptions): Outcome<T> | undefined {
    this.#hasBegun = false;
    if (this.#call?.signal.aborted === true) this.#giveUp();
    if (this.#call === undefined) return undefined;
    this.#hasBegun = true;
    const { change } = this.#call;
    return outcomeOf(tx, () => change(new TxImageStore(tx, options)));
  }
}

/** What a change in a shared commit came to: its result, or why it was refused. */
type Outcome<T> = { readonly result: T } | { readonly refusal: ImagesError };

/** Transactions in which a call has gone well: they are to be committed. */
const toCommit = new WeakSet<Tx>();

/**
 * Makes a change in a transaction that others share. A refusal that has changed nothing is kept until after the commit: thrown out of the batch it would
 * make all the others run again. Where no call has gone well before it, though, it is thrown: alone it needs no commit, and no disk that has room for one.
 */
function outcomeOf<T>(tx: Tx, change: () => T): Outcome<T> {
  try {
    const result = change();
    toCommit.add(tx);
    return { result };
  } catch (error) {
    if (!toCommit.has(tx) || !hasChangedNothing(error)) throw error;
    return { refusal: error };
  }
}

/** Gives the result of a change whose transaction is committed. @throws ImagesError the refusal */
function given<T>(outcome: Outcome<T>): T {
  if ("refusal" in outcome) throw outcome.refusal;
  return outcome.result;
}

const REFUSALS: ReadonlySet<string> = new Set(["EXISTS", "NOT_FOUND", "INVALID"]);

/**
 * Whether an error is the answer of a look at names and arguments, which comes before anything is changed. What the engine has refused may come in the middle of
 * a change, but for the bucket that is not there to be deleted.
 */
function hasChangedNothing(error: unknown): error is ImagesError {
  if (!(error instanceof ImagesError) || !REFUSALS.has(error.code)) return false;
  return error.cause === undefined || (error.cause instanceof BoltError && error.cause.code === "BUCKET_NOT_FOUND");
}
