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
