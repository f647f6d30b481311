/**
 * Where a command writes and reads. Output to the process's own descriptors is gathered and written in blocks, synchronously, so that a
 * long list neither waits in memory nor is cut off when the process ends.
 */
import { readSync, writeSync } from "node:fs";
import { systemCode } from "../base/errors.js";
import { sleep } from "../base/sleep.js";

/** Something to write to. */
export interface Output {
  readonly isTerminal: boolean;
  /** Characters a line of the terminal takes. */
  readonly columns: number;
  write(data: string | Uint8Array): void;
  /** Lets what was written be seen. */
  flush(): void;
}

/** What a command gets of the world around it. */
export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted when the user wants a command that runs on (`view`, `images serve`) to end. */
  readonly signal: AbortSignal;
  /** Reads up to `target.length` bytes of the standard input; 0 at its end. */
  readInput(target: Uint8Array): number;
  /** Told of a new file's temporary name before it is made, so that it can be removed from outside. */
  temporary(path: string): void;
}

/** The reader of the output has gone away: no reason to complain, as with `hexbolt keys … | head`. */
export class ClosedPipe extends Error {}

const BLOCK_SIZE = 65_536;
const RETRY_MS = 2;

/** A descriptor of the process. */
export class DescriptorOutput implements Output {
  readonly isTerminal: boolean;
  readonly columns: number;
  readonly #descriptor: number;
  readonly #isForErrors: boolean;
  #waiting: Buffer[] = [];
  /** Text behind what waits; joining strings is far cheaper than making a buffer a line. */
  #text = "";
  #waitingSize = 0;

  /** @param isForErrors writes at once, and what cannot be written is left out: nobody is there to be told, and the work goes on */
  constructor(descriptor: number, isTerminal: boolean, columns: number, isForErrors: boolean) {
    this.#descriptor = descriptor;
    this.isTerminal = isTerminal;
    this.columns = columns;
    this.#isForErrors = isForErrors;
  }

  write(data: string | Uint8Array): void {
    if (typeof data === "string") {
      this.#text += data;
    } else {
      this.#endText();
      this.#waiting.push(Buffer.from(data));
    }
    this.#waitingSize += data.length;
    if (this.#isForErrors || this.#waitingSize >= BLOCK_SIZE) this.flush();
  }

  #endText(): void {
    if (this.#text.length > 0) this.#waiting.push(Buffer.from(this.#text));
    this.#text = "";
  }

  /** Writes what was gathered. @throws ClosedPipe; the system's error, as for a full disk */
  flush(): void {
    this.#endText();
    const bytes = this.#waiting.length === 1 ? this.#waiting[0]! : Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingSize = 0;
    try {
      for (let at = 0; at < bytes.length;) at += this.#writeSome(bytes, at);
    } catch (error) {
      if (!this.#isForErrors) throw error;
    }
  }

  #writeSome(bytes: Buffer, at: number): number {
    try {
      return writeSync(this.#descriptor, bytes, at);
    } catch (error) {
      const code = systemCode(error);
      if (code === "EPIPE") throw new ClosedPipe("the reader of the output has gone", { cause: error });
      if (code !== "EAGAIN") throw error;
      // A pipe or terminal that somebody set to non-blocking, and is full.
      sleep(RETRY_MS);
      return 0;
    }
  }
}

/**
 * Gives what a program gets that reports its errors itself and knows no ClosedPipe: once the reader has gone, what is written is left out, so
 * that the program ends as it would have, and one that runs on is asked to end.
 */
export function withoutClosedPipe(io: Io): Io {
  const end = new AbortController();
  if (io.signal.aborted) end.abort();
  io.signal.addEventListener("abort", () => end.abort(), { once: true });
  const unlessGone = (write: () => void): void => {
    try {
      write();
    } catch (error) {
      if (!(error instanceof ClosedPipe)) throw error;
      end.abort();
    }
  };
  const { stdout } = io;
  return {
    ...io,
    signal: end.signal,
    stdout: {
      isTerminal: stdout.isTerminal,
      columns: stdout.columns,
      write: (data) => unlessGone(() => stdout.write(data)),
      flush: () => unlessGone(() => stdout.flush()),
    },
  };
}

/** Gathers output in memory: for what must be complete before any of it is shown. */
export class MemoryOutput implements Output {
  readonly isTerminal: boolean;
  readonly columns: number;
  readonly #parts: Buffer[] = [];

  constructor(like?: Output) {
    this.isTerminal = like?.isTerminal ?? false;
    this.columns = like?.columns ?? 80;
  }

  write(data: string | Uint8Array): void {
    this.#parts.push(Buffer.from(data));
  }

  flush(): void {
    // It is in memory already.
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** Reads some of the standard input, waiting for it. */
export function readStandardInput(target: Uint8Array): number {
  for (;;) {
    try {
      return readSync(0, target, 0, target.length, null);
    } catch (error) {
      const code = systemCode(error);
      if (code === "EOF") return 0;
      if (code !== "EAGAIN") throw error;
      sleep(RETRY_MS);
    }
  }
}

/** Gives a value as JSON; bigints become strings. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => (typeof item === "bigint" ? item.toString() : item));
}

/** Writes a value as one line of JSON. @see toJson */
export function writeJson(out: Output, value: unknown): void {
  out.write(`${toJson(value)}\n`);
}
