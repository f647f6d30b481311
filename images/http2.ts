/**
 * Node's http2, loaded when the first connection is made: to import it takes five milliseconds, and an image store in a file never
 * needs it.
 */
import { createRequire } from "node:module";

let loaded: typeof import("node:http2") | undefined;

/** Gives the module. */
export function http2(): typeof import("node:http2") {
  return loaded ??= createRequire(import.meta.url)("node:http2") as typeof import("node:http2");
}
