/** What a command is: its words for help and parsing, and what it does with a parsed command line. Errors that end a command. */
import type { Arguments } from "./args.js";
import type { Io } from "./io.js";

/** An option of a command. All take `--name`, `-name` (as Go programs do), and `=value` or the next argument as value. */
export interface OptionSpec {
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  /** What the value is called in help; left out: the option takes none. */
  readonly value?: string;
  readonly help: string;
  readonly choices?: readonly string[];
}

/** A command of the program. */
export interface Command {
  /** One word or, for commands of a group, several. */
  readonly name: string;
  readonly summary: string;
  /** The arguments, as help shows them behind the name. */
  readonly usage: string;
  /** Further lines of help. */
  readonly details?: string;
  readonly example: string;
  readonly options: readonly OptionSpec[];
  /** How many arguments there must be, and may be. */
  readonly minimum: number;
  readonly maximum: number;
  /** Runs in a thread of its own, so that Ctrl-C can end it at any moment and clean up. */
  readonly makesFile?: boolean;
  /** The exit status where the reader of the output goes away in the middle; default 0. For commands that print only what makes them fail. */
  readonly statusOfCutOutput?: number;
  /** @returns the exit status */
  run(args: Arguments, io: Io): number | Promise<number>;
}

/** The exit statuses. */
export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/** A command line that cannot be understood: exit status 2. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
}

/** A command that could not do what was asked: exit status 1. The message says what, `hint` what to do about it. */
export class Failure extends Error {
  override readonly name: string = "Failure";
  readonly code: string;
  readonly hint: string | undefined;

  constructor(code: string, message: string, hint?: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

/** The option that every command takes beside `--help`. */
export const JSON_OPTION: OptionSpec = { name: "json", help: "write JSON, one value a line where there are many" };

/** How bytes are printed, as bbolt names it. */
export const FORMATS: readonly string[] = ["auto", "ascii-encoded", "hex", "bytes", "redacted"];

/** The option for how bytes are printed. @param what that is, with its verb: "keys are" */
export function formatOption(what: string, fallback: string = "auto"): OptionSpec {
  return { name: "format", short: "f", value: "FORMAT", choices: FORMATS, help: `how ${what} printed: ${FORMATS.join("|")}; default ${fallback}; with --json as {"FORMAT": "…"}` };
}

/** How bytes are given. */
export const PARSE_FORMATS: readonly string[] = ["ascii-encoded", "hex"];

/** The option for a key given in another form than text. */
export const PARSE_OPTION: OptionSpec = { name: "parse-format", value: "FORMAT", choices: PARSE_FORMATS, help: "what BUCKET is: ascii-encoded (default) or hex" };

/** The option for buckets on the way to a key. */
export const BUCKET_OPTION: OptionSpec = { name: "bucket-format", value: "FORMAT", choices: PARSE_FORMATS, help: "what the BUCKETs are: ascii-encoded (default) or hex" };

/** The option for where a new file goes. */
export const OUTPUT_OPTION: OptionSpec = { name: "output", short: "o", value: "NEW", help: "the file to write; it must not be there yet" };
