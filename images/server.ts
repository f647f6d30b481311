/**
 * Serves an image store over gRPC on a unix socket, or on TCP for this machine alone. There are no passwords in the
 * protocol: who may talk to the store is who may open the socket (mode 0600), and on TCP whoever is on this machine.
 */
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { isMainThread } from "node:worker_threads";
import { formatAddress, isLoopback, requireSocketPath } from "./address.js";
import { ImagesError, invalid, quote } from "./errors.js";
import { GrpcServer } from "./grpc-server.js";
import { loadHttp2 } from "./http2.js";
import { imageServices } from "./services.js";
import type { ListenOptions } from "node:net";
import type { ServerLimits } from "./grpc-server.js";
import type { StoreSource } from "./services.js";

/** Where to listen: `path`, or `host` (default 127.0.0.1) and `port` (default 0, any that is free). */
export interface ServeOptions {
  /** A unix socket, made with mode 0600. A dead socket in its place is replaced, a live one is not. */
  readonly path?: string;
  /** A loopback address. */
  readonly host?: string;
  readonly port?: number;
  /** How much a client may cost; what is not named has a default. */
  readonly limits?: Partial<ServerLimits>;
}

/** A server that listens. */
export interface ImagesServer {
  /** Where, in the form that `connectImages` takes. */
  readonly address: string;
  /** The TCP port; undefined on a unix socket. */
  readonly port: number | undefined;
  /**
   * Takes no more calls, lets those under way finish, and resolves when all connections have ended.
   * @param options.graceMs after this long what is still open is cut off; default 10,000
   */
  close(options?: { readonly graceMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const DEFAULT_GRACE_MS = 10_000;

/**
 * Starts a server and resolves when it listens.
 * @param store one store for every namespace, or a function that gives the store of a namespace
 * @throws ImagesError INVALID for an address that is not allowed, UNAVAILABLE for one that is taken
 */
export async function serveImages(store: StoreSource, options: ServeOptions = {}): Promise<ImagesServer> {
  const { host: givenHost, limits, path, port: givenPort } = options;
  await loadHttp2();
  const server = new GrpcServer(imageServices(store), limits);
  if (path === undefined) {
    const host = givenHost ?? "127.0.0.1";
    if (!isLoopback(host)) throw invalid(`host ${quote(host)} is not this machine's loopback, and the protocol has no passwords`);
    await listen(server, { host, port: givenPort ?? 0 }, `${host}:${givenPort ?? 0}`);
  } else {
    if (givenHost !== undefined || givenPort !== undefined) throw invalid("a server listens on a path or on a host and port");
    requireSocketPath(path);
    await removeDeadSocket(path);
    await listen(server, { path }, path);
  }
  const bound = server.http.address();
  const port = typeof bound === "object" ? bound?.port : undefined;
  const address = path !== undefined ? formatAddress({ path }) : formatAddress({ host: givenHost ?? "127.0.0.1", port: port ?? 0 });
  let closing: Promise<void> | undefined;
  const close = (closeOptions?: { readonly graceMs?: number }): Promise<void> =>
    closing ??= server.close(closeOptions?.graceMs ?? DEFAULT_GRACE_MS);
  return { address, port, close, [Symbol.asyncDispose]: close };
}

function listen(server: GrpcServer, where: ListenOptions, shown: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      reject(new ImagesError("UNAVAILABLE", `cannot listen on ${shown}: ${error.message}`, { cause: error }));
    };
    server.http.once("error", failed);
    const listening = (): void => {
      server.http.off("error", failed);
      try {
        if (where.path !== undefined) chmodSync(where.path, 0o600);
        resolve();
      } catch (error) {
        server.http.close();
        failed(error as Error);
      }
    };
    withPrivateFiles(() => server.http.listen(where, listening));
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

/** Removes the socket that a killed server left behind. @throws ImagesError when something lives there, or it is no socket */
async function removeDeadSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw invalid(`${path} is there and is no socket`);
  const fault = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    const probe = connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(undefined);
    });
    probe.once("error", resolve);
  });
  if (fault === undefined) throw new ImagesError("UNAVAILABLE", `another server listens on ${path}`);
  if (fault.code !== "ECONNREFUSED") {
    throw new ImagesError("UNAVAILABLE", `${path} is there and cannot be used: ${fault.message}`, { cause: fault });
  }
  unlinkSync(path);
}
