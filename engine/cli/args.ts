/**
 * Parses a command line. Options may stand before, between and behind the arguments; `--` ends them. Both `--name` and `-name` are taken,
 * since bbolt's scripts use either.
 */
import { MAX_PAGE_SIZE, MIN_PAGE_SIZE } from "../format/constants.js";
import { isPageSize } from "../format/page-size.js";
import { UsageError, JSON_OPTION, type Command, type OptionSpec } from "./command.js";
import { didYouMean } from "./suggest.js";

const HELP: OptionSpec = { name: "help", short: "h", help: "show this text" };

/** A parsed command line. */
export class Arguments {
  readonly positionals: readonly string[];
  readonly #values: ReadonlyMap<string, readonly string[]>;

  /** @param values by option name, `""` for an option without a value */
  constructor(positionals: readonly string[], values: ReadonlyMap<string, readonly string[]>) {
    this.positionals = positionals;
    this.#values = values;
  }

  /** The argument at a place; the parser has seen to it that the ones a command needs are there. */
  at(index: number): string {
    return this.positionals[index]!;
  }

  /** Whether an option was given. */
  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** The value of an option; the last one counts. */
  text(name: string): string | undefined {
    return this.#values.get(name)?.at(-1);
  }

  /** All values of an option. */
  texts(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** A whole number given as an option. */
  integer(name: string, least: number, most: number = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : parseInteger(value, `--${name}`, least, most);
  }

  /** The size of a new file's pages, given as an option. */
  pageSize(name: string): number | undefined {
    const size = this.integer(name, MIN_PAGE_SIZE, MAX_PAGE_SIZE);
    if (size !== undefined && !isPageSize(size)) throw new UsageError(`--${name} must be a power of two, got ${size}`);
    return size;
  }

  /** A whole number that must be given as an option. */
  requiredInteger(name: string, least: number): number {
    const value = this.text(name);
    if (value === undefined || value === "") throw new UsageError(`--${name} is required`);
    return parseInteger(value, `--${name}`, least);
  }

  /** A number given as an option. */
  number(name: string, least: number, most: number): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const number = Number(value);
    if (value.trim() === "" || !(number >= least && number <= most)) throw new UsageError(`--${name} must be a number from ${least} to ${most}, got ${JSON.stringify(value)}`);
    return number;
  }

  /** Whether JSON is wanted. */
  get json(): boolean {
    return this.has("json");
  }
}

/**
 * Reads a whole number.
 * @throws UsageError naming `what`
 */
export function parseInteger(text: string, what: string, least: number, most: number = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text);
  if (/^[+-]?\d+$/.test(text) && Number.isSafeInteger(value) && value >= least && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `from ${least} on` : `from ${least} to ${most}`;
  throw new UsageError(`${what} must be a whole number ${range}, got ${JSON.stringify(text)}`);
}

/** The options that a command takes, those of all commands among them. */
export function optionsOf(command: Command): readonly OptionSpec[] {
  return [...command.options, JSON_OPTION, HELP];
}

/**
 * Parses what stands behind the command's name.
 * @throws UsageError
 */
export function parseArguments(argv: readonly string[], command: Command): Arguments {
  const options = optionsOf(command);
  const positionals: string[] = [];
  const values = new Map<string, string[]>();
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === "--") {
      positionals.push(...argv.slice(i + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      positionals.push(word);
      continue;
    }
    const { option, value } = matchOption(word, options);
    const isTaken = option.value !== undefined && value === undefined;
    if (isTaken && i + 1 >= argv.length) throw new UsageError(`--${option.name} needs a value (${option.value})`);
    record(values, option, isTaken ? argv[++i]! : value);
  }
  const parsed = new Arguments(positionals, values);
  if (!parsed.has("help")) checkCount(positionals.length, command);
  return parsed;
}

function matchOption(word: string, options: readonly OptionSpec[]): { readonly option: OptionSpec; readonly value: string | undefined } {
  const [, name = "", , value] = /^--?([^=]*)(=([\s\S]*))?$/.exec(word) ?? [];
  const isLetter = !word.startsWith("--");
  const option = options.find((candidate) => candidate.name === name || (isLetter && candidate.short === name));
  if (option === undefined) throw new UsageError(`there is no option ${word.split("=", 1)[0]}${didYouMean(name, options.map((candidate) => candidate.name), "--")}`);
  if (value !== undefined && option.value === undefined && !/^(?:true|false)$/.test(value)) throw new UsageError(`--${option.name} takes no value`);
  return { option, value };
}

function record(values: Map<string, string[]>, option: OptionSpec, value: string | undefined): void {
  if (option.value === undefined) {
    // Go's flags take -name=false.
    if (value === "false") values.delete(option.name);
    else values.set(option.name, [""]);
    return;
  }
  if (option.choices !== undefined && !option.choices.includes(value ?? "")) {
    throw new UsageError(`--${option.name} must be one of ${option.choices.join("|")}, got ${JSON.stringify(value)}`);
  }
  values.set(option.name, [...(values.get(option.name) ?? []), value ?? ""]);
}

function checkCount(count: number, command: Command): void {
  const words = count < command.minimum ? "not enough" : count > command.maximum ? "too many" : undefined;
  if (words !== undefined) throw new UsageError(`${words} arguments: it takes ${command.usage || "none"}`);
}
