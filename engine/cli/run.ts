/** From a command line to an exit status: finds the command, parses, runs, and turns errors into lines on standard error. */
import { systemCode } from "../base/errors.js";
import { BoltError } from "../index.js";
import { parseArguments } from "./args.js";
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE, Failure, UsageError, type Command } from "./command.js";
import { allCommands, commandsNear } from "./commands.js";
import { visible } from "./go-text.js";
import { commandHelp, groupHelp } from "./help.js";
import { ClosedPipe, withoutClosedPipe, writeJson, type Io } from "./io.js";
import { didYouMean } from "./suggest.js";
import { paintFor } from "./terminal.js";

/** `images` is a program of its own, with its own help. */
const IMAGES = { name: "images", summary: "list and change containerd images: see `hexbolt images --help`" };
/** Groups of commands, longer names first. */
const GROUPS: readonly string[] = ["surgery freelist", "surgery meta", "surgery"];

/** A command, and the words behind its name. */
interface Found {
  readonly command: Command;
  readonly rest: readonly string[];
}

/** The one of some commands that a command line names; of two the one with more words. */
export function commandAmong(commands: readonly Command[], argv: readonly string[]): Found | undefined {
  let found: Command | undefined;
  for (const command of commands) {
    const words = command.name.split(" ");
    const isNamed = words.every((word, i) => argv[i] === word);
    if (isNamed && words.length > (found?.name.split(" ").length ?? 0)) found = command;
  }
  return found && { command: found, rest: argv.slice(found.name.split(" ").length) };
}

/** The command that a command line names, and the words behind it. */
export async function findCommand(argv: readonly string[]): Promise<Found | undefined> {
  return commandAmong(await commandsNear(argv[0] ?? ""), argv);
}

/**
 * Runs a command line.
 * @param argv what follows the program's name
 * @returns the exit status
 */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const [first] = argv;
  if (first === "images") return runImages(argv.slice(1), io);
  const found = await findCommand(argv);
  try {
    if (found === undefined) return await showHelp(argv, io);
    const args = parseArguments(found.rest, found.command);
    if (args.has("help")) {
      io.stdout.write(commandHelp(found.command));
      return EXIT_OK;
    }
    return await found.command.run(args, io);
  } catch (error) {
    return reportError(error, found?.command, argv, io);
  }
}

async function runImages(argv: readonly string[], io: Io): Promise<number> {
  const { imagesCommand } = await import("../../images/cli.js");
  return imagesCommand(argv, withoutClosedPipe(io));
}

/** Help for the program or a group, and the error for a command that is none. */
async function showHelp(argv: readonly string[], io: Io): Promise<number> {
  const wantsHelp = (word: string | undefined): boolean => word === "help" || word === "--help" || word === "-h";
  const words = argv.filter((word) => !wantsHelp(word));
  if (argv[0] === "--version" || argv[0] === "-v") throw new UsageError("it is `hexbolt version`");
  const named = await findCommand(words);
  if (wantsHelp(argv[0]) && named !== undefined) {
    io.stdout.write(commandHelp(named.command));
    return EXIT_OK;
  }
  const group = GROUPS.find((name) => name.split(" ").every((word, i) => words[i] === word)) ?? "";
  const rest = words.slice(group === "" ? 0 : group.split(" ").length);
  const all = [...await allCommands(), IMAGES];
  if (rest.length > 0) throw new UsageError(unknownCommand(group, rest[0]!, all));
  const isAsked = argv.length > words.length;
  (isAsked ? io.stdout : io.stderr).write(groupHelp(group, all));
  return isAsked ? EXIT_OK : EXIT_USAGE;
}

function unknownCommand(group: string, word: string, commands: readonly { readonly name: string }[]): string {
  const before = group === "" ? "" : `${group} `;
  const names = new Set(commands.filter(({ name }) => name.startsWith(before)).map(({ name }) => name.slice(before.length).split(" ")[0]!));
  return `unknown command ${JSON.stringify(`${before}${word}`)}${didYouMean(word, names, before)}`;
}

interface ErrorFacts {
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
}

function factsOf(error: unknown): ErrorFacts {
  if (error instanceof Failure) return { code: error.code, message: error.message, hint: error.hint };
  if (error instanceof BoltError) return { code: error.code, message: error.message, hint: hintFor(error) };
  // Whatever the system says of a file.
  const code = systemCode(error);
  if (code !== undefined) return { code, message: (error as Error).message, hint: SYSTEM_HINTS[code] };
  // What V8 says where Node has its own error with a code.
  if (error instanceof RangeError && error.message === "Invalid string length") return { code: "ERR_STRING_TOO_LONG", message: error.message, hint: SYSTEM_HINTS["ERR_STRING_TOO_LONG"] };
  // Nothing that a user does should lead here.
  const message = error instanceof Error ? error.message : String(error);
  return { code: "UNEXPECTED", message: `unexpected: ${message}`, hint: "this is a fault of hexbolt: please report it with the command line; HEXBOLT_TRACE=1 shows where it comes from" };
}

/** What to do about what the system says. */
const SYSTEM_HINTS: Readonly<Record<string, string>> = {
  EACCES: "you may not do that there: look at owner and mode with ls -l, or run it as the file's owner",
  EPERM: "you may not do that there: look at owner and mode with ls -l, or run it as the file's owner",
  EROFS: "that place can only be read: name a file elsewhere",
  ENOSPC: "the disk is full: make room, or name a file on another one",
  EDQUOT: "your share of the disk is used up: make room, or name a file on another one",
  ENOTDIR: "a part of the path is a file where a folder should be",
  ELOOP: "a symbolic link on the path leads to itself",
  ENAMETOOLONG: "the name is longer than the file system takes",
  EMFILE: "too many files are open: see ulimit -n",
  ERR_STRING_TOO_LONG: "a value is longer than a text can be: `hexbolt get --raw` writes its bytes",
};

function hintFor({ cause, code, detail, message }: BoltError): string | undefined {
  const systemHint = code === "IO" ? SYSTEM_HINTS[systemCode(cause) ?? ""] : undefined;
  if (systemHint !== undefined) return systemHint;
  if (code === "CORRUPT") return "`hexbolt check` tells more, `hexbolt surgery salvage` saves what can still be read";
  if (code === "INVALID" || code === "CHECKSUM" || code === "VERSION_MISMATCH") return "`hexbolt surgery meta validate` looks at the meta pages, `hexbolt surgery salvage` saves what can still be read";
  if (code === "STALE_SNAPSHOT") return "the other process committed again and again before all was read: try again, or hold it meanwhile with kill -STOP and kill -CONT";
  return detail === undefined || message.includes(detail) ? undefined : detail;
}

/** Writes what ended a command to standard error. @returns the exit status */
export function reportError(error: unknown, command: Command | undefined, argv: readonly string[], io: Io): number {
  if (error instanceof ClosedPipe) return command?.statusOfCutOutput ?? EXIT_OK;
  const program = command === undefined ? "hexbolt" : `hexbolt ${command.name}`;
  const isJson = argv.some((word) => /^--?json$/.test(word));
  if (error instanceof UsageError) {
    if (isJson) writeJson(io.stderr, { error: { code: "USAGE", message: error.message } });
    else io.stderr.write(`${program}: ${visible(error.message)}\nTry: ${program} --help\n`);
    return EXIT_USAGE;
  }
  const { code, hint, message } = factsOf(error);
  if (code === "UNEXPECTED" && io.env["HEXBOLT_TRACE"] === "1" && error instanceof Error) io.stderr.write(`${error.stack ?? ""}\n`);
  if (isJson) writeJson(io.stderr, { error: { code, message, hint } });
  else {
    const text = visible(message.startsWith("Error ") ? message : `Error: ${message}`);
    io.stderr.write(`${paintFor(io.stderr, io.env).bad(text)}\n${hint === undefined ? "" : `  ${visible(hint)}\n`}`);
  }
  return EXIT_FAILED;
}
