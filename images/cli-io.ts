/**
 * What the command says, and where: its streams, what went wrong, and what to do about it.
 */
import { BoltError } from "../engine/index.js";
import { ImagesError } from "./errors.js";

/** Where a command reads and writes besides its target. */
export interface CommandIo {
  /** `flush`, where what is written is gathered, lets it be seen. */
  readonly stdout: { readonly isTerminal?: boolean; write(text: string): unknown; flush?(): void };
  readonly stderr: { write(text: string): unknown };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Ends `serve`. */
  readonly signal?: AbortSignal;
}

/** What was typed is no command; the exit status is 2. */
export class UsageError extends Error {}

/** What is wrong with a file, and what to do about it. */
export class FileFault extends Error {
  readonly code: string;
  readonly hint: string | undefined;

  constructor(code: string, message: string, hint?: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

/** Gives what `make` makes of the command line. @throws UsageError for what is INVALID there */
export function fromCommandLine<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof ImagesError && error.code === "INVALID" ? new UsageError(error.message) : error;
  }
}

/** Says something that is no result. */
export function tell(io: CommandIo, message: string): void {
  io.stderr.write(`hexbolt images: ${message}\n`);
}

/** Writes an error as the other commands do: a line of text and one of what to do, or a line of JSON. @returns the exit status */
export function report(error: unknown, asJson: boolean, io: CommandIo): number {
  const message = error instanceof Error ? error.message : String(error);
  const isUsage = error instanceof UsageError;
  const hint = isUsage ? undefined : hintFor(error);
  if (asJson) {
    const code = isUsage ? "USAGE" : codeOf(error) ?? "UNEXPECTED";
    io.stderr.write(`${JSON.stringify({ error: { code, message, hint } })}\n`);
  } else {
    tell(io, message);
    if (isUsage) io.stderr.write("Try: hexbolt images --help\n");
    if (hint !== undefined) io.stderr.write(`  ${hint}\n`);
  }
  return isUsage ? 2 : 1;
}

/** The code of an error: the system's, the engine's or one of ours. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

const NOT_YOURS = "you may not do that there: look at owner and mode with ls -l, or run it as the file's owner";
const NO_DATABASE = "`hexbolt surgery meta validate` looks at the meta pages, `hexbolt surgery salvage` saves what can still be read";
/** What to do about what the system or the engine says of a file. */
const HINTS: ReadonlyMap<string | undefined, string> = new Map([
  ["EACCES", NOT_YOURS],
  ["EPERM", NOT_YOURS],
  ["EROFS", "that place can only be read: name a file elsewhere"],
  ["ENOSPC", "the disk is full: make room, or name a file on another one"],
  ["EDQUOT", "your share of the disk is used up: make room, or name a file on another one"],
  ["ENOTDIR", "a part of the path is a file where a folder should be"],
  ["ELOOP", "a symbolic link on the path leads to itself"],
  ["ENAMETOOLONG", "the name is longer than the file system takes"],
  ["EMFILE", "too many files are open: see ulimit -n"],
  ["INVALID", NO_DATABASE],
  ["VERSION_MISMATCH", NO_DATABASE],
  ["CHECKSUM", NO_DATABASE],
]);

function hintFor(error: unknown): string | undefined {
  if (error instanceof FileFault) return error.hint;
  // INVALID is a code of ours, too, and means an argument then.
  const own = error instanceof ImagesError ? undefined : HINTS.get(codeOf(error));
  return own ?? (error instanceof BoltError || error instanceof ImagesError ? HINTS.get(codeOf(error.cause)) : undefined);
}
