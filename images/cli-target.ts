/**
 * Finds out what a command's TARGET is (file, socket, address, etcd) and opens the store on it.
 */
import { formatAddress, parseAddress } from "./address.js";
import { changeFile, makeFile, openToWrite, readFile, removed, statsOf } from "./cli-file.js";
import { UsageError, fromCommandLine, tell } from "./cli-io.js";
import { EtcdImageStore } from "./etcd-store.js";
import { SCHEMA } from "./layout.js";
import { LocalImageStore } from "./local-store.js";
import { connectImages } from "./remote-store.js";
import { serveImages, type ImagesServer } from "./server.js";
import { hasEarlyLayout, initDB, listNamespaces, shownNamespaces } from "./namespaces.js";
import type { DB } from "../engine/index.js";
import type { CommandIo } from "./cli-io.js";
import type { EditableImageStore } from "./types.js";
import type { StoreSource } from "./services.js";

const DEFAULT_NAMESPACE = "default";

/** What a command does with its target: `change` needs a file that is there, `write` makes it. */
export type Mode = "read" | "change" | "write";

/** What the command line says of the target. */
export interface TargetOptions {
  readonly namespace: string | undefined;
  /** Milliseconds. */
  readonly timeoutMs: number | undefined;
  /** Nothing is told but what was asked for. */
  readonly json: boolean;
  readonly quiet: boolean;
}

/** Says something about the file. */
type Note = (text: string) => void;

/** Opens the store on a target, runs `use`, closes. */
export async function withTarget<T>(target: string, mode: Mode, options: TargetOptions, io: CommandIo, use: (store: EditableImageStore) => Promise<T>): Promise<T> {
  const namespace = options.namespace ?? namespaceOf(io.env);
  const etcd = /^etcd\+(https?):\/\/(.*)$/.exec(target);
  if (etcd !== null) {
    if (etcd[2] === "") throw new UsageError(`${target} names no host: it is ${target}HOST:PORT`);
    const endpoints = (etcd[2] ?? "").split(",").map((host) => `${etcd[1]}://${host}`);
    return use(fromCommandLine(() => new EtcdImageStore({ endpoints, namespace })));
  }
  const address = addressOf(target);
  if (address !== undefined) {
    const store = connectImages(address, { namespace });
    try {
      return await use(store);
    } finally {
      store.close();
    }
  }
  const note: Note = (text) => {
    if (!options.json && !options.quiet) tell(io, `${target} ${text}`);
  };
  if (mode === "read") return readFile(target, (db) => use(localStore(db, namespace, note)));
  const change = (db: DB): Promise<T> => use(storeToWrite(db, namespace, note));
  const made = mode === "write" && statsOf(target) === undefined ? await makeFile(target, async (db) => ({ result: await change(db) })) : undefined;
  return made === undefined ? changeFile(target, options.timeoutMs, change) : made.result;
}

/** Lists the containerd namespaces of a database file. */
export async function namespacesOfFile(path: string): Promise<string[]> {
  requireNoAddress(path);
  return readFile(path, async (db) => db.view(listNamespaces));
}

/** Serves a file until the signal comes. */
export async function serveTarget(path: string, address: string, namespace: string | undefined, io: CommandIo): Promise<void> {
  requireNoAddress(path);
  const endpoint = fromCommandLine(() => parseAddress(address));
  const isNew = statsOf(path) === undefined && await makeFile(path, async () => true) === true;
  const db = openToWrite(path);
  let server: ImagesServer | undefined;
  try {
    server = await serveImages(sourceOf(db, namespace, (text) => tell(io, `${path} ${text}`)), endpoint);
    if (isNew) tell(io, `${path} was not there: it is a new database without images`);
    io.stdout.write(`serving ${path} on ${server.address}\n`);
    io.stdout.flush?.();
    await new Promise<void>((resolve) => {
      if (io.signal?.aborted === true) resolve();
      io.signal?.addEventListener("abort", () => resolve(), { once: true });
    });
  } finally {
    // What could not be served is not left behind, unless somebody has written there before it was locked. Windows may want it closed first.
    const isLeft = isNew && server === undefined && db.view((tx) => [...tx.buckets()].length === 0) && !removed(path);
    try {
      await server?.close();
    } finally {
      await db.closeAsync();
      if (isLeft) removed(path);
    }
  }
}

/** A file in the early layout, or a namespace that was asked for, is one store; any other file has one for each namespace. */
function sourceOf(db: DB, namespace: string | undefined, note: Note): StoreSource {
  if (namespace !== undefined) return new LocalImageStore(db, { namespace });
  const early = earlyStore(db, note);
  if (early !== undefined) return early;
  const stores = new Map<string, LocalImageStore>();
  return (name) => {
    const store = stores.get(name) ?? new LocalImageStore(db, { namespace: name });
    // Any client may name any namespace: only so many are kept.
    if (stores.size < 1000) stores.set(name, store);
    return store;
  };
}

const ADDRESS = /^(?:unix:|tcp:\/\/|http:\/\/)|^[^/]+:\d{1,5}$/;
const URL_SCHEME = /^([a-z][a-z\d+.-]*):\/\//;

/** The address that a target is, or undefined for a file. */
function addressOf(target: string): string | undefined {
  const found = statsOf(target);
  if (found !== undefined) return found.isSocket() ? `unix:${target}` : undefined;
  if (ADDRESS.test(target)) return formatAddress(fromCommandLine(() => parseAddress(target)));
  const scheme = URL_SCHEME.exec(target)?.[1];
  if (scheme === undefined) return undefined;
  throw new UsageError(`${target}: a target is a file, unix:, tcp://, http://, etcd+http:// or etcd+https://, and not ${scheme}://`);
}

/** A file may be called anything, but one that is not there and is called like an address was not meant to be made. */
function requireNoAddress(path: string): void {
  const found = statsOf(path);
  if (found === undefined ? ADDRESS.test(path) || URL_SCHEME.test(path) : found.isSocket()) throw new UsageError(`${path} is an address, and a file is needed here (a new file of that name is ./${path})`);
}

/** A new file gets the early layout, unless a namespace was asked for. */
function storeToWrite(db: DB, namespace: string | undefined, note: Note): LocalImageStore {
  if (namespace === undefined && db.view((tx) => tx.bucket(SCHEMA) === undefined)) initDB(db);
  return localStore(db, namespace, note);
}

function localStore(db: DB, namespace: string | undefined, note: Note): LocalImageStore {
  if (namespace !== undefined) return new LocalImageStore(db, { namespace });
  if (db.view((tx) => tx.bucket(SCHEMA) === undefined)) return new LocalImageStore(db);
  return earlyStore(db, note) ?? new LocalImageStore(db, { namespace: DEFAULT_NAMESPACE });
}

/** The store on the early layout, where a file has it; it tells of namespaces beside it. */
function earlyStore(db: DB, note: Note): LocalImageStore | undefined {
  if (!db.view(hasEarlyLayout)) return undefined;
  const names = db.view(shownNamespaces);
  if (names !== undefined) note(`holds images without a namespace, and the namespaces ${names} beside them: -n names one`);
  return new LocalImageStore(db);
}

/** The environment's namespace. Empty, it is not set, as for ctr. */
function namespaceOf(env: CommandIo["env"]): string | undefined {
  return env["CONTAINERD_NAMESPACE"] === "" ? undefined : env["CONTAINERD_NAMESPACE"];
}
