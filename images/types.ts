/**
 * What an image is and what a store of images does. Types only: every implementation (transaction, local,
 * remote, etcd, or your own) is held to `ImageStore` by one test suite, `hexbolt/images/conformance`.
 */

/** Where an image's content starts: the media type, the digest and the size of its first blob. */
export interface Descriptor {
  readonly mediaType: string;
  /** `algorithm:hex`, for example `sha256:…`. */
  readonly digest: string;
  /** Bytes, an int64: a number, or a bigint where a number would not be exact. Both are taken, always. */
  readonly size: number | bigint;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A name and what it stands for. */
export interface Image {
  readonly name: string;
  readonly target: Descriptor;
  /** Absent where none are stored. The early layout keeps none. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Absent where it is not stored. */
  readonly createdAt?: Date;
  /** Absent where it is not stored. */
  readonly updatedAt?: Date;
}

/** Taken by every call. */
export interface CallOptions {
  /** Gives the call up: what was not yet done is not done, the promise rejects with `CANCELLED` or `DEADLINE_EXCEEDED`. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds the call may take, Infinity for no limit; a remote server is told (`grpc-timeout`). */
  readonly timeoutMs?: number | undefined;
}

/** Taken by calls that change an image. */
export interface UpdateOptions extends CallOptions {
  /**
   * The time that is stored as that of the change in place of the present one, so that a build comes out the same each time; of a new image also as that of its
   * creation. To containerd before 1.7, and where no times are stored, it means nothing.
   */
  readonly sourceDateEpoch?: Date | undefined;
}

/** Taken by calls that write an image. */
export interface PutOptions extends UpdateOptions {
  /** The image's labels after the call: without them it has none. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** Taken by `list`. */
export interface ListOptions extends CallOptions {
  /** containerd's filters, for example `name~=/nginx/` or `labels.env==prod`; an image that one of them matches is listed. */
  readonly filters?: readonly string[] | undefined;
}

/** Taken by `delete`. */
export interface DeleteOptions extends CallOptions {
  /** Delete only while the image still has this digest; otherwise `NOT_FOUND`. */
  readonly digest?: string | undefined;
}

/** Images by name. One contract; `put` replaces, `list` is in byte order of the names. */
export interface ImageStore {
  /** Creates the image or replaces all of it; its creation time stays. */
  put(name: string, target: Descriptor, options?: PutOptions): Promise<void>;
  /** Reads one image. @throws ImageNotFoundError */
  get(name: string, options?: CallOptions): Promise<Image>;
  /** Reads all images, or those that a filter matches, in byte order of their names. */
  list(options?: ListOptions): Promise<Image[]>;
  /** Deletes one image. @throws ImageNotFoundError */
  delete(name: string, options?: DeleteOptions): Promise<void>;
}

/**
 * A store that also creates and changes in one step, as containerd's service needs it. All of this package's stores do;
 * `serveImages` makes do without it for a store that does not, one change at a time.
 */
export interface EditableImageStore extends ImageStore {
  /** Creates the image. @throws ImageExistsError */
  create(name: string, target: Descriptor, options?: PutOptions): Promise<Image>;
  /** Changes the image and returns what it became. @throws ImageNotFoundError */
  update(name: string, change: ImageChange, options?: UpdateOptions): Promise<Image>;
}

/**
 * A change of an image: `image` holds the new values, `fields` says which of them count, in containerd's words: `labels`,
 * `labels.KEY`, `target`, `annotations`, `annotations.KEY`. No fields: all of the image.
 */
export interface ImageChange {
  readonly target: Descriptor;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly fields: readonly string[];
}
