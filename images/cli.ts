/**
 * `hexbolt images`: the image store from the command line, on a file, a server or etcd. Writes results to stdout and
 * faults to stderr, a line each and one of what to do; ends with 0 (done), 1 (failed) or 2 (wrong usage).
 */
import { parseArgs } from "node:util";
import { CorruptImagesError, ImagesError } from "./errors.js";
import { imageDetails, imageJson, imageTable, printable } from "./cli-output.js";
import { filled } from "./change.js";
import { UsageError, fromCommandLine, report } from "./cli-io.js";
import { namespacesOfFile, serveTarget, withTarget } from "./cli-target.js";
import { makeImage } from "./make.js";
import { validateNamespace } from "./validate.js";
import { isInt64, narrow } from "./varint.js";
import type { CommandIo } from "./cli-io.js";
import type { Descriptor, Image, ListOptions } from "./types.js";

const HELP = `Usage: hexbolt images COMMAND TARGET [ARGUMENTS] [OPTIONS]

Commands
  ls TARGET [FILTER ...]         list images in name order; FILTER as ctr's, e.g. 'name~=nginx' or labels.env==prod
  get TARGET NAME                show one image
  put TARGET NAME --digest DIGEST --size BYTES [--media-type TYPE] [--label KEY=VALUE ...]
                                 create the image or replace it; default TYPE: an OCI image manifest's
  rm TARGET NAME [NAME ...]      delete images
  namespaces FILE                list the containerd namespaces of a database file
  serve FILE ADDRESS             serve a file's images over gRPC until interrupted, for ctr and other clients;
                                 a FILE that is not there is made, which is told

TARGET and ADDRESS
  FILE                           a database file: hexbolt's, or containerd's meta.db
  unix:///run/x.sock             a server's unix socket; the path alone will do when the socket is there
  127.0.0.1:5000                 a server on TCP; tcp:// or http:// may stand before it
  etcd+http://HOST:PORT,HOST:PORT   an etcd cluster; etcd+https:// too

Options
  -n, --namespace NAME           the containerd namespace; default: $CONTAINERD_NAMESPACE, else "default" where
                                 namespaces are used (the early layout v1/images uses none; a new file
                                 without a namespace gets that layout); serve: what every client gets
      --json                     JSON instead of text
  -q, --quiet                    ls: names alone
      --timeout MS               give up a call after so long
  -h, --help                     this text

Examples
  hexbolt images ls /var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db -n k8s.io
  hexbolt images put images.db example.com/app:1 --digest sha256:… --size 1234
  hexbolt images serve images.db unix:///tmp/images.sock

Exit status: 0 done, 1 failed, 2 wrong usage
`;

const DEFAULT_MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json";

interface Options {
  readonly namespace: string | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly timeoutMs: number | undefined;
  readonly digest: string | undefined;
  readonly size: string | undefined;
  readonly mediaType: string | undefined;
  readonly labels: readonly string[];
}

type Command = (values: readonly string[], options: Options, io: CommandIo) => Promise<number>;

/**
 * Runs one command.
 * @param argv what follows `hexbolt images`
 * @returns the exit status
 */
export async function imagesCommand(argv: readonly string[], io: CommandIo): Promise<number> {
  try {
    const { values, positionals } = parse(argv);
    const [name, ...rest] = positionals;
    if (values.help === true || name === "help") return print(io, HELP);
    if (name === undefined) throw new UsageError("which command?");
    const command = COMMANDS.get(name);
    if (command === undefined) throw new UsageError(`unknown command ${JSON.stringify(name)}`);
    requireOptionsOf(name, Object.keys(values));
    return await command(rest, optionsOf(values), io);
  } catch (error) {
    return report(error, argv.includes("--json"), io);
  }
}

const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ["ls", list], ["list", list], ["get", get], ["put", put], ["rm", remove], ["delete", remove],
  ["namespaces", namespaces], ["serve", serve],
]);

/** What every command takes: how to write, and what not to tell. */
const COMMON_OPTIONS: readonly string[] = ["json", "quiet"];
const STORE_OPTIONS: readonly string[] = ["namespace", "timeout"];
const OPTIONS: ReadonlyMap<string, readonly string[]> = new Map([
  ["put", [...STORE_OPTIONS, "digest", "size", "media-type", "label"]], ["namespaces", []], ["serve", ["namespace"]],
]);

/** @throws UsageError for an option of other commands: passed over, it would seem to be a condition or a limit */
function requireOptionsOf(command: string, given: readonly string[]): void {
  const own = OPTIONS.get(command) ?? STORE_OPTIONS;
  const foreign = given.find((name) => !COMMON_OPTIONS.includes(name) && !own.includes(name));
  if (foreign !== undefined) throw new UsageError(`${command} has no option --${foreign}`);
}

async function list(values: readonly string[], options: Options, io: CommandIo): Promise<number> {
  const [target, ...filters] = values;
  const wish: ListOptions = { timeoutMs: options.timeoutMs, filters };
  try {
    const images = await withTarget(needed(target, "TARGET"), "read", options, io, (store) => store.list(wish));
    return print(io, listed(images, options, io));
  } catch (error) {
    // What is whole is shown all the same.
    if (error instanceof CorruptImagesError) print(io, listed(error.images, options, io));
    throw error;
  }
}

function listed(images: readonly Image[], options: Options, io: CommandIo): string {
  if (options.quiet) return nameLines(images.map(({ name }) => name), options, io);
  return options.json ? json(images.map(imageJson)) : imageTable(images);
}

/** Names, a line each. They are escaped on a terminal alone: another program gets them as they are. */
function nameLines(names: readonly string[], options: Options, io: CommandIo): string {
  if (options.json) return `${JSON.stringify(names)}\n`;
  return names.map((name) => `${io.stdout.isTerminal === true ? printable(name) : name}\n`).join("");
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

async function get(values: readonly string[], options: Options, io: CommandIo): Promise<number> {
  const [target, name, ...rest] = values;
  none(rest);
  const wanted = needed(name, "NAME");
  const image = await withTarget(needed(target, "TARGET"), "read", options, io, (store) => store.get(wanted, { timeoutMs: options.timeoutMs }));
  return print(io, options.json ? json(imageJson(image)) : imageDetails(image));
}

async function put(values: readonly string[], options: Options, io: CommandIo): Promise<number> {
  const [target, name, ...rest] = values;
  none(rest);
  const wanted = needed(name, "NAME");
  const descriptor: Descriptor = {
    mediaType: options.mediaType ?? DEFAULT_MEDIA_TYPE,
    digest: needed(options.digest, "--digest"),
    size: sizeOf(needed(options.size, "--size")),
  };
  const labels = labelsOf(options.labels);
  await withTarget(needed(target, "TARGET"), "write", options, io, (store) => store.put(wanted, descriptor, { timeoutMs: options.timeoutMs, labels }));
  return print(io, options.json ? json(imageJson(makeImage(wanted, descriptor, filled(labels)))) : "");
}

/** Deletes every name that can be deleted; the status says whether all could. */
async function remove(values: readonly string[], options: Options, io: CommandIo): Promise<number> {
  const [target, ...names] = values;
  needed(names[0], "NAME");
  return withTarget(needed(target, "TARGET"), "change", options, io, async (store) => {
    let status = 0;
    const deleted: string[] = [];
    try {
      for (const name of names) {
        try {
          await store.delete(name, { timeoutMs: options.timeoutMs });
          deleted.push(name);
          if (!options.json) io.stdout.write(nameLines([name], options, io));
        } catch (error) {
          if (!(error instanceof ImagesError)) throw error;
          status = report(error, options.json, io);
        }
      }
    } finally {
      // Also where the store itself fails in the middle.
      if (options.json) io.stdout.write(nameLines(deleted, options, io));
    }
    return status;
  });
}

async function namespaces(values: readonly string[], options: Options, io: CommandIo): Promise<number> {
  const [file, ...rest] = values;
  none(rest);
  const names = await namespacesOfFile(needed(file, "FILE"));
  return print(io, nameLines(names, options, io));
}

async function serve(values: readonly string[], options: Options, io: CommandIo): Promise<number> {
  const [file, address, ...rest] = values;
  none(rest);
  await serveTarget(needed(file, "FILE"), needed(address, "ADDRESS"), options.namespace, io);
  return 0;
}

type Values = ReturnType<typeof parse>["values"];

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: withNegativeSize(argv),
      allowPositionals: true,
      options: {
        namespace: { type: "string", short: "n" },
        json: { type: "boolean" },
        quiet: { type: "boolean", short: "q" },
        timeout: { type: "string" },
        digest: { type: "string" },
        size: { type: "string" },
        "media-type": { type: "string" },
        label: { type: "string", multiple: true },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    // Of what Node says the first sentence; the others are of no use here.
    throw new UsageError(error instanceof Error ? error.message.split(/\.? To specify|\n/)[0] ?? "" : String(error));
  }
}

/** `--size -1` as `--size=-1`: the parser takes what begins with a dash for an option. */
function withNegativeSize(argv: readonly string[]): string[] {
  const args = [...argv];
  const at = args.indexOf("--size");
  if (at >= 0 && /^-\d+$/.test(args[at + 1] ?? "")) args.splice(at, 2, `--size=${args[at + 1]}`);
  return args;
}

function optionsOf(values: Values): Options {
  const timeoutMs = values.timeout === undefined ? undefined : Number(values.timeout);
  if (timeoutMs !== undefined && !(timeoutMs > 0 && timeoutMs < Infinity)) throw new UsageError(`--timeout ${values.timeout} is no positive number of milliseconds`);
  const { namespace } = values;
  if (namespace !== undefined) fromCommandLine(() => validateNamespace(namespace));
  return {
    namespace, json: values.json ?? false, quiet: values.quiet ?? false, timeoutMs,
    digest: values.digest, size: values.size, mediaType: values["media-type"], labels: values.label ?? [],
  };
}

function sizeOf(text: string): number | bigint {
  if (!/^-?\d+$/.test(text)) throw new UsageError(`--size ${text} is no whole number`);
  const size = BigInt(text);
  if (!isInt64(size)) throw new UsageError(`--size ${text} is no 64-bit number`);
  return narrow(size);
}

function labelsOf(labels: readonly string[]): Record<string, string> | undefined {
  if (labels.length === 0) return undefined;
  return Object.fromEntries(labels.map((label) => {
    const equals = label.indexOf("=");
    if (equals < 1) throw new UsageError(`--label ${label} is not KEY=VALUE`);
    return [label.slice(0, equals), label.slice(equals + 1)];
  }));
}

function needed(value: string | undefined, what: string): string {
  if (value === undefined || value === "") throw new UsageError(`${what} is missing`);
  return value;
}

function none(rest: readonly string[]): void {
  if (rest.length > 0) throw new UsageError(`unexpected ${JSON.stringify(rest[0])}`);
}

function print(io: CommandIo, text: string): number {
  io.stdout.write(text);
  return 0;
}
