/**
 * Where a server listens: a unix socket or a host and port, in the forms that people write.
 */
import { invalid, quote } from "./errors.js";

/** A unix socket (`path`) or a TCP address (`host`, `port`). */
export type Endpoint =
  | { readonly path: string; readonly host?: undefined; readonly port?: undefined }
  | { readonly path?: undefined; readonly host: string; readonly port: number };

/**
 * Reads an address: `unix:///run/x.sock`, `unix:x.sock`, a path with a `/` in it, `127.0.0.1:5000`, `[::1]:5000`,
 * `tcp://…` or `http://…`.
 * @throws ImagesError INVALID
 */
export function parseAddress(address: string): Endpoint {
  const unix = /^unix:(?:\/\/)?(.+)$/.exec(address)?.[1];
  if (unix !== undefined) return { path: requireSocketPath(unix) };
  const tcp = /^(?:tcp:\/\/|http:\/\/)?(\[[0-9A-Fa-f:.]+\]|[^/:[\]]+):(\d{1,5})\/?$/.exec(address);
  if (tcp !== null) {
    const port = Number(tcp[2]);
    if (port < 1 || port > 65_535) throw invalid(`address ${quote(address)}: a port is a number from 1 to 65535`);
    return { host: (tcp[1] ?? "").replace(/^\[|\]$/g, ""), port };
  }
  if (address.includes("/") && !address.includes("://")) return { path: requireSocketPath(address) };
  throw invalid(`address ${quote(address)} is neither a unix socket nor host:port`);
}

/**
 * Bytes of a socket's path that the system takes with a zero behind it; of a longer one Node would use the beginning. Linux also takes one more byte and no
 * zero, but Go connects to no such path.
 */
export const SOCKET_PATH_BYTES_MAX: number = process.platform === "linux" ? 107 : 103;

/** Checks a socket's path. @throws ImagesError INVALID */
export function requireSocketPath(path: string): string {
  if (typeof path !== "string") throw new TypeError("a socket's path is a string");
  if (path === "" || path.includes("\0")) throw invalid(`${quote(path)} is no path of a socket`);
  if (process.platform !== "win32" && Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    throw invalid(`the socket's path ${quote(path)} has ${Buffer.byteLength(path)} bytes, and the system takes ${SOCKET_PATH_BYTES_MAX}: give a shorter one`);
  }
  return path;
}

/** Writes an endpoint as `parseAddress` reads it. */
export function formatAddress(endpoint: Endpoint): string {
  if (endpoint.path !== undefined) return `unix:${endpoint.path}`;
  return endpoint.host.includes(":") ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`;
}

/** Tells whether a host is this machine's loopback. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}
