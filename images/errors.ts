/**
 * The errors of an image store: one class, one stable code each, the cause kept. Messages name the image and
 * may change; codes may not. What the engine throws about the database itself (closed, read-only, disk full)
 * passes through unchanged: it is not about an image.
 */
import { BoltError } from "../engine/index.js";
import type { Image } from "./types.js";

/**
 * What went wrong: `EXISTS` and `NOT_FOUND` about a name, `INVALID` an argument that no store takes, `CORRUPT` stored
 * bytes that are no image, `UNAVAILABLE` a server that cannot be reached or cannot serve now, `CANCELLED` and
 * `DEADLINE_EXCEEDED` a call that was given up.
 */
export type ImagesErrorCode =
  | "EXISTS" | "NOT_FOUND" | "INVALID" | "CORRUPT" | "UNAVAILABLE" | "CANCELLED" | "DEADLINE_EXCEEDED";

/** The error underneath. ErrorOptions by its members: the types of ES2020 do not know that name. */
export interface ErrorCause {
  readonly cause?: unknown;
}

/** Any failure of an image store. `code` is stable; `cause` is the error underneath, where there is one. */
export class ImagesError extends Error {
  override readonly name: string;
  readonly code: ImagesErrorCode;

  constructor(code: ImagesErrorCode, message: string, options?: ErrorCause) {
    super(message, options);
    this.name = NAMES[code];
    this.code = code;
  }
}

/** A call that was given up carries the name that the platform's own functions use, so one check serves both. */
const NAMES: Readonly<Record<ImagesErrorCode, string>> = {
  EXISTS: "ImageExistsError",
  NOT_FOUND: "ImageNotFoundError",
  INVALID: "ImagesError",
  CORRUPT: "ImagesError",
  UNAVAILABLE: "ImagesError",
  CANCELLED: "AbortError",
  DEADLINE_EXCEEDED: "TimeoutError",
};

/** The image was to be created and is there already. */
export class ImageExistsError extends ImagesError {
  constructor(message: string, options?: ErrorCause) {
    super("EXISTS", message, options);
  }
}

/** There is no such image, or the store was never initialised. */
export class ImageNotFoundError extends ImagesError {
  constructor(message: string, options?: ErrorCause) {
    super("NOT_FOUND", message, options);
  }
}

/** One damaged entry of a list: its name and what is wrong with it. */
export interface CorruptImage {
  readonly name: string;
  readonly reason: string;
}

/**
 * Thrown by `list` when some entries are damaged: says which, and carries the images that are whole, in order. A server names as many as its answer has
 * room for; the message says how many there are.
 */
export class CorruptImagesError extends ImagesError {
  readonly corrupt: readonly CorruptImage[];
  readonly images: readonly Image[];

  /** @param options.count how many are damaged, where `corrupt` does not name all of them */
  constructor(corrupt: readonly CorruptImage[], images: readonly Image[], options?: ErrorCause & { readonly count?: number }) {
    const shown = corrupt.slice(0, 10).map((entry) => `image ${quote(entry.name)}: ${entry.reason}`);
    const count = options?.count ?? corrupt.length;
    const rest = count > shown.length ? `; and ${count - shown.length} more` : "";
    super("CORRUPT", shown.join("; ") + rest, options);
    this.corrupt = corrupt;
    this.images = images;
  }
}

/** Tells whether an error, or a cause under it, says that an image is not there. */
export function isNotFound(error: unknown): boolean {
  return hasCode(error, "NOT_FOUND");
}

/** Tells whether an error, or a cause under it, says that an image is there already. */
export function isExists(error: unknown): boolean {
  return hasCode(error, "EXISTS");
}

/** Walks the causes: callers wrap errors, and the answer must survive that. The bound ends a cycle of causes. */
function hasCode(error: unknown, code: ImagesErrorCode): boolean {
  let current = error;
  for (let depth = 0; depth < 32 && current instanceof Error; depth++) {
    if (current instanceof ImagesError && current.code === code) return true;
    current = current.cause;
  }
  return false;
}

/** Quotes a name for a message; control characters are escaped, those that JSON leaves, too. */
export function quote(name: string): string {
  return JSON.stringify(name).replace(/[\x7f-\x9f]/g, (control) => `\\u00${control.charCodeAt(0).toString(16)}`);
}

/** Makes the error for an image that is not there. */
export function notFound(name: string, cause?: unknown): ImageNotFoundError {
  return new ImageNotFoundError(`image ${quote(name)}: not found`, causeOption(cause));
}

/** Makes the error for an image that is there already. */
export function exists(name: string, cause?: unknown): ImageExistsError {
  return new ImageExistsError(`image ${quote(name)}: already exists`, causeOption(cause));
}

/** Makes the error for a bad argument. */
export function invalid(message: string, cause?: unknown): ImagesError {
  return new ImagesError("INVALID", message, causeOption(cause));
}

/** Makes the error for stored bytes that are no image. */
export function corruptImage(name: string, reason: string, cause?: unknown): ImagesError {
  return new ImagesError("CORRUPT", `image ${quote(name)}: ${reason}`, causeOption(cause));
}

/** Makes the error for a call that its caller, or its deadline, gave up. */
export function givenUp(signal: AbortSignal): ImagesError {
  const reason: unknown = signal.reason;
  const timedOut = reason instanceof Error && reason.name === "TimeoutError";
  return timedOut
    ? new ImagesError("DEADLINE_EXCEEDED", "the call's deadline has passed", { cause: reason })
    : new ImagesError("CANCELLED", "the call was cancelled", { cause: reason });
}

/** Throws when the call was already given up: nothing was done then. */
export function throwIfGivenUp(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw givenUp(signal);
}

/** Says what an engine error means for one image; errors about the database itself are returned unchanged. */
export function aboutImage(name: string, error: unknown): unknown {
  if (!(error instanceof BoltError)) return error;
  switch (error.code) {
    case "BUCKET_NOT_FOUND":
      return notFound(name, error);
    case "BUCKET_EXISTS":
      return exists(name, error);
    case "INCOMPATIBLE_VALUE":
      return corruptImage(name, "a plain key stands where a bucket belongs, or the other way round", error);
    case "CORRUPT":
      return corruptImage(name, error.message, error);
    case "KEY_REQUIRED":
    case "KEY_TOO_LARGE":
    case "VALUE_TOO_LARGE":
    case "BUCKET_NAME_REQUIRED":
      return invalid(`image ${quote(name)}: ${error.message}`, error);
    default:
      return error;
  }
}

function causeOption(cause: unknown): ErrorCause | undefined {
  return cause === undefined ? undefined : { cause };
}
