/**
 * Serves an image store over gRPC on a unix socket, or on TCP for this machine alone. There are no passwords in the
 * protocol: who may talk to the store is who may open the socket (mode 0600), and on TCP whoever is on this machine.
 */
import { isMainThread } from "node:worker_threads";
import { formatAddress, isLoopback, requireSocketPath } from "./address.js";
import { ImagesError, invalid, quote } from "./errors.js";
import { requireMs, requireOptions } from "./options.js";
import { GrpcServer } from "./grpc-server.js";
import { loadHttp2 } from "./http2.js";
import { imageServices } from "./services.js";
import { socketPath, takeSocketPath } from "./socket-file.js";
import type { ListenOptions } from "node:net";
import type { GivenLimits } from "./grpc-limits.js";
import type { SocketFile } from "./socket-file.js";
import type { StoreSource } from "./services.js";

/** Where to listen: `path`, or `host` (default 127.0.0.1) and `port` (default 0, any that is free). */
export interface ServeOptions {
  /** A unix socket, made with mode 0600. A dead socket in its place is replaced, a live one is not. */
  readonly path?: string | undefined;
  /** A loopback address. */
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  /** How much a client may cost; what is not named has a default. */
  readonly limits?: GivenLimits | undefined;
}

/** A server that listens. */
export interface ImagesServer {
  /** Where, in the form that `connectImages` takes. */
  readonly address: string;
  /** The TCP port; undefined on a unix socket. */
  readonly port: number | undefined;
  /**
   * Takes no more calls, lets those under way finish, and resolves when all connections have ended.
   * @param options.graceMs after this long what is still open is cut off; default 10,000, Infinity: never
   */
  close(options?: { readonly graceMs?: number | undefined }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const DEFAULT_GRACE_MS = 10_000;

/**
 * Starts a server and resolves when it listens.
 * @param store one store for every namespace, or a function that gives the store of a namespace
 * @throws ImagesError INVALID for an address that is not allowed, UNAVAILABLE for one that is taken
 */
export async function serveImages(store: StoreSource, options: ServeOptions = {}): Promise<ImagesServer> {
  requireOptions(options, ["host", "limits", "path", "port"]);
  const { host: givenHost, limits, path, port: givenPort } = options;
  const host = givenHost ?? "127.0.0.1";
  if (path !== undefined) {
    if (givenHost !== undefined || givenPort !== undefined) throw invalid("a server listens on a path or on a host and port");
    requireSocketPath(path);
  } else {
    if (!isLoopback(host)) throw invalid(`host ${quote(host)} is not this machine's loopback, and the protocol has no passwords`);
    requirePort(givenPort);
  }
  // Before anything is waited for: the program may go to another folder.
  const place = path === undefined ? undefined : socketPath(path);
  await loadHttp2();
  const server = new GrpcServer(imageServices(store), limits);
  let file: SocketFile | undefined;
  try {
    if (place === undefined) await listen(server, { host, port: givenPort ?? 0 }, `${host}:${givenPort ?? 0}`);
    else file = await takeSocketPath(place, (name) => listen(server, { path: name }, place.given));
  } catch (error) {
    server.http.close();
    throw error;
  }
  const bound = server.http.address();
  const port = place === undefined && typeof bound === "object" ? bound?.port : undefined;
  const address = formatAddress(place !== undefined ? { path: place.socket } : { host, port: port ?? 0 });
  let closing: Promise<void> | undefined;
  const close = async (closeOptions?: { readonly graceMs?: number | undefined }): Promise<void> => {
    const graceMs = requireMs("graceMs", closeOptions?.graceMs ?? DEFAULT_GRACE_MS, 0);
    if (closing === undefined) file?.remove();
    return closing ??= server.close(graceMs);
  };
  return { address, port, close, [Symbol.asyncDispose]: close };
}

function requirePort(port: number | undefined): void {
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) throw invalid(`port ${String(port)} is not a number from 0 to 65535`);
}

/** @param shown the address, as its owner knows it */
function listen(server: GrpcServer, where: ListenOptions, shown: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.http.once("error", (error: Error) => {
      const message = where.path === undefined ? error.message : error.message.replaceAll(where.path, shown);
      reject(new ImagesError("UNAVAILABLE", `cannot listen on ${shown}: ${message}`, { cause: error }));
    });
    withPrivateFiles(() => server.http.listen(where, resolve));
  });
}

/** A socket is made inside `listen`: nobody else may open it from its first moment on. A worker thread has no file mask of its own. */
function withPrivateFiles(run: () => void): void {
  if (!isMainThread) return run();
  const mask = process.umask(0o177);
  try {
    run();
  } finally {
    process.umask(mask);
  }
}
