/**
 * gRPC's status codes, and what they mean to an image store in both directions. Also the small texts of the protocol's
 * headers: the percent-encoded message and the timeout.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md; containerd errdefs/grpc.go
 */
import { BoltError } from "../engine/index.js";
import { ImageExistsError, ImageNotFoundError, ImagesError } from "./errors.js";
import type { ErrorCause, ImagesErrorCode } from "./errors.js";

/** The status codes by name. */
export const Status = {
  OK: 0, CANCELLED: 1, UNKNOWN: 2, INVALID_ARGUMENT: 3, DEADLINE_EXCEEDED: 4, NOT_FOUND: 5, ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7, RESOURCE_EXHAUSTED: 8, FAILED_PRECONDITION: 9, ABORTED: 10, OUT_OF_RANGE: 11, UNIMPLEMENTED: 12,
  INTERNAL: 13, UNAVAILABLE: 14, DATA_LOSS: 15, UNAUTHENTICATED: 16,
} as const;

/** One of gRPC's status codes: 0 (OK) to 16. */
export type StatusCode = (typeof Status)[keyof typeof Status];

/** A call that ended with a status other than OK. */
export class GrpcError extends Error {
  override readonly name: string = "GrpcError";
  readonly status: StatusCode;

  constructor(status: StatusCode, message: string, options?: ErrorCause) {
    super(message, options);
    this.status = status;
  }
}

const STATUS_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(Status).map(([name, code]) => [code, name]));

function statusName(status: number): string {
  return STATUS_NAMES.get(status) ?? `status ${status}`;
}

/** Reads the number in a `grpc-status` header; what is none of the codes counts as UNKNOWN. */
export function parseStatus(text: string): StatusCode {
  const known = Object.values(Status).find((code) => String(code) === text);
  return known ?? Status.UNKNOWN;
}

const STATUS_OF: Readonly<Record<ImagesErrorCode, StatusCode>> = {
  EXISTS: Status.ALREADY_EXISTS,
  NOT_FOUND: Status.NOT_FOUND,
  INVALID: Status.INVALID_ARGUMENT,
  CORRUPT: Status.DATA_LOSS,
  UNAVAILABLE: Status.UNAVAILABLE,
  CANCELLED: Status.CANCELLED,
  DEADLINE_EXCEEDED: Status.DEADLINE_EXCEEDED,
};

/** Says with which status a server answers an error. A status that came from another server is passed on. */
export function toGrpcError(error: unknown): GrpcError {
  if (error instanceof GrpcError) return error;
  if (!(error instanceof Error)) return new GrpcError(Status.UNKNOWN, String(error), { cause: error });
  if (error instanceof ImagesError) {
    const status = error.cause instanceof GrpcError ? error.cause.status : STATUS_OF[error.code];
    return new GrpcError(status, error.message, { cause: error });
  }
  return new GrpcError(error instanceof BoltError ? engineStatus(error) : Status.INTERNAL, error.message, { cause: error });
}

function engineStatus(error: BoltError): StatusCode {
  switch (error.code) {
    case "DATABASE_READ_ONLY":
    case "TX_NOT_WRITABLE":
      return Status.FAILED_PRECONDITION;
    case "DATABASE_NOT_OPEN":
    case "IO":
    case "STALE_SNAPSHOT":
    case "TX_WRITER_BUSY":
      return Status.UNAVAILABLE;
    case "MAX_SIZE_REACHED":
      return Status.RESOURCE_EXHAUSTED;
    case "CORRUPT":
      return Status.DATA_LOSS;
    default:
      return Status.INTERNAL;
  }
}

/** Says what a server's status means to the caller of an image store; the status itself is the cause. */
export function fromGrpcError(error: GrpcError): ImagesError {
  const options = { cause: error };
  switch (error.status) {
    case Status.NOT_FOUND:
      return new ImageNotFoundError(error.message, options);
    case Status.ALREADY_EXISTS:
      return new ImageExistsError(error.message, options);
    case Status.INVALID_ARGUMENT:
    case Status.FAILED_PRECONDITION:
    case Status.OUT_OF_RANGE:
      return new ImagesError("INVALID", error.message, options);
    case Status.DATA_LOSS:
      return new ImagesError("CORRUPT", error.message, options);
    case Status.CANCELLED:
      return new ImagesError("CANCELLED", error.message, options);
    case Status.DEADLINE_EXCEEDED:
      return new ImagesError("DEADLINE_EXCEEDED", error.message, options);
    default:
      return new ImagesError("UNAVAILABLE", `${statusName(error.status)}: ${error.message}`, options);
  }
}

/** gRPC's C core takes 8 KiB of headers together: a message with a long name in it is cut, and leaves room for the other trailers. */
const STATUS_TEXT_BYTES_MAX = 2048;

/** Encodes a message for the `grpc-message` header: printable ASCII as it is, other bytes as %XX; as many whole characters as fit. */
export function encodeMessage(message: string): string {
  let text = "";
  for (const character of message) {
    const encoded = /^[ -$&-~]$/.test(character) ? character : percentEncode(character);
    if (text.length + encoded.length > STATUS_TEXT_BYTES_MAX) break;
    text += encoded;
  }
  return text;
}

function percentEncode(character: string): string {
  return Array.from(Buffer.from(character), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
}

/** Decodes a `grpc-message` header; a stray % stays as it is. */
export function decodeMessage(text: string): string {
  const parts = text.split(/((?:%[0-9A-Fa-f]{2})+)/);
  return parts.map((part, index) => (index % 2 === 1 ? Buffer.from(part.replaceAll("%", ""), "hex").toString() : part)).join("");
}

const TIMEOUT_UNITS: Readonly<Record<string, number>> = {
  H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001,
};

/** Reads a `grpc-timeout` header into milliseconds. @throws GrpcError INTERNAL when it is none, as Go's server says */
export function parseTimeout(text: string): number {
  const parts = /^(\d{1,8})([HMSmun])$/.exec(text);
  const unit = TIMEOUT_UNITS[parts?.[2] ?? ""];
  if (parts === null || unit === undefined) throw new GrpcError(Status.INTERNAL, `malformed grpc-timeout: ${JSON.stringify(text)}`);
  return Number(parts[1]) * unit;
}

/** Writes milliseconds as a `grpc-timeout` header: at most eight digits. */
export function formatTimeout(milliseconds: number): string {
  return milliseconds < 1e8 ? `${Math.ceil(milliseconds)}m` : `${Math.ceil(milliseconds / 1000)}S`;
}
