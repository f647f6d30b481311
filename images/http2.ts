/**
 * Node's http2, loaded when the first connection is made: to import it takes five milliseconds, and an image store in a file never needs it. By `import`,
 * which bundlers understand.
 */
type Http2 = typeof import("node:http2");

let loaded: Http2 | undefined;

/** Loads the module: to be awaited before anything here calls `http2`. */
export async function loadHttp2(): Promise<void> {
  loaded ??= await import("node:http2");
}

/** Gives the loaded module. */
export function http2(): Http2 {
  if (loaded === undefined) throw new Error("http2 is not loaded yet");
  return loaded;
}

/**
 * For `maxSessionMemory`, in megabytes: as much as can be said. Each end here has its own limits for what its calls take. Node's count is no measure of that: it
 * keeps what a call that was called off had yet to send, until the connection ends; and beyond it Node breaks off calls one by one, also those at whose answer
 * the server is already.
 */
export const SESSION_MEGABYTES_MAX: number = 2 ** 32 - 1;
