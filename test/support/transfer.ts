/** What `postMessage(bytes, [bytes.buffer])` does to the memory behind bytes: where the runtime lets it, it is gone. */
export function transfer(bytes: Uint8Array): void {
  try {
    structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] });
  } catch {
    // Refused: nothing has happened to it.
  }
}
