/**
 * Finds out what a command's TARGET is (file, socket, address, etcd) and opens the store on it.
 */
import { rmSync, statSync } from "node:fs";
import { BoltError, open, openMemory } from "../engine/index.js";
import { formatAddress, parseAddress } from "./address.js";
import { EtcdImageStore } from "./etcd-store.js";
import { ImagesError } from "./errors.js";
import { SCHEMA } from "./layout.js";
import { LocalImageStore } from "./local-store.js";
import { connectImages } from "./remote-store.js";
import { serveImages, type ImagesServer } from "./server.js";
import { hasEarlyLayout, initDB, listNamespaces } from "./namespaces.js";
import type { DB } from "../engine/index.js";
import type { EditableImageStore } from "./types.js";
import type { StoreSource } from "./services.js";

/** Where a command reads and writes besides its target. */
export interface CommandIo {
  /** `flush`, where what is written is gathered, lets it be seen. */
  readonly stdout: { write(text: string): unknown; flush?(): void };
  readonly stderr: { write(text: string): unknown };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Ends `serve`. */
  readonly signal?: AbortSignal;
}

type Env = CommandIo["env"];

/** What was typed is no command; the exit status is 2. */
export class UsageError extends Error {}

const DEFAULT_NAMESPACE = "default";
const STALE_ATTEMPTS = 10;
/** Another short command, a put say, is over by then: it is waited for. Who holds a file for longer has a socket. */
const LOCK_WAIT_MS = 1000;

/** What a command does with its target: `change` needs a file that is there, `write` makes it. */
export type Mode = "read" | "change" | "write";

/** What the command line says of the target. */
export interface TargetOptions {
  readonly namespace: string | undefined;
  /** Milliseconds. */
  readonly timeoutMs: number | undefined;
}

/** Opens the store on a target, runs `use`, closes. */
export async function withTarget<T>(target: string, mode: Mode, options: TargetOptions, env: Env, use: (store: EditableImageStore) => Promise<T>): Promise<T> {
  const { namespace } = options;
  const wanted = namespace ?? namespaceOf(env);
  const etcd = /^etcd\+(https?):\/\/(.+)$/.exec(target);
  if (etcd !== null) {
    const endpoints = (etcd[2] ?? "").split(",").map((host) => `${etcd[1]}://${host}`);
    return use(new EtcdImageStore({ endpoints, ...named(wanted) }));
  }
  const address = addressOf(target);
  if (address !== undefined) {
    const store = connectImages(address, named(wanted));
    try {
      return await use(store);
    } finally {
      store.close();
    }
  }
  if (mode !== "write") requireFile(target);
  return mode === "read" ? readFile(target, (db) => use(localStore(db, namespace, env))) : writeFile(target, options, env, use);
}

/** Lists the containerd namespaces of a database file. */
export async function namespacesOfFile(path: string): Promise<string[]> {
  requireNoAddress(path);
  requireFile(path);
  return readFile(path, async (db) => db.view(listNamespaces));
}

/** Serves a file until the signal comes. */
export async function serveTarget(path: string, address: string, namespace: string | undefined, io: CommandIo): Promise<void> {
  requireNoAddress(path);
  const endpoint = parseAddress(address);
  const isNew = statSync(path, { throwIfNoEntry: false }) === undefined;
  const db = openLocked(path);
  let server: ImagesServer | undefined;
  try {
    server = await serveImages(sourceOf(db, namespace), endpoint.path === undefined
      ? { host: endpoint.host, port: endpoint.port }
      : { path: endpoint.path });
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

function removed(path: string): boolean {
  try {
    rmSync(path, { force: true });
    return true;
  } catch {
    // An empty file that stays is less than what the command has to say.
    return false;
  }
}

/** A file in the early layout, or a namespace that was asked for, is one store; any other file has one for each namespace. */
function sourceOf(db: DB, namespace: string | undefined): StoreSource {
  if (namespace !== undefined) return new LocalImageStore(db, { namespace });
  if (db.view(hasEarlyLayout)) return new LocalImageStore(db);
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
  const found = statSync(target, { throwIfNoEntry: false });
  if (found !== undefined) return found.isSocket() ? `unix:${target}` : undefined;
  if (ADDRESS.test(target)) return formatAddress(parseAddress(target));
  const scheme = URL_SCHEME.exec(target)?.[1];
  if (scheme === undefined) return undefined;
  throw new UsageError(`${target}: a target is a file, unix:, tcp://, http://, etcd+http:// or etcd+https://, and not ${scheme}://`);
}

/** A file may be called anything, but one that is not there and is called like an address was not meant to be made. */
function requireNoAddress(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined ? ADDRESS.test(path) || URL_SCHEME.test(path) : found.isSocket()) throw new UsageError(`${path} is an address, and a file is needed here (a new file of that name is ./${path})`);
}

function requireFile(path: string): void {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) throw new ImagesError("NOT_FOUND", `${path}: there is no such file`);
}

/**
 * Reads a file. One that a running program holds, as containerd holds its meta.db, is read live, without its lock; when the
 * program writes too much meanwhile, the reading begins anew.
 */
async function readFile<T>(path: string, use: (db: DB) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    let db: DB | undefined;
    try {
      db = openToRead(path);
      return await use(db);
    } catch (error) {
      if (!isBolt(error, "STALE_SNAPSHOT") || attempt === STALE_ATTEMPTS) throw error;
    } finally {
      db?.close();
    }
  }
}

function openToRead(path: string): DB {
  try {
    return open(path, { readOnly: true });
  } catch (error) {
    if (!isBolt(error, "TIMEOUT")) throw error;
    return open(path, { readOnly: true, lock: "none" });
  }
}

async function writeFile<T>(path: string, { namespace, timeoutMs }: TargetOptions, env: Env, use: (store: EditableImageStore) => Promise<T>): Promise<T> {
  // What cannot be done leaves no new file: it is tried in memory first.
  if (statSync(path, { throwIfNoEntry: false }) === undefined) await changeAndClose(openMemory(), namespace, env, use);
  return changeAndClose(openLocked(path, timeoutMs), namespace, env, use);
}

async function changeAndClose<T>(
  db: DB, namespace: string | undefined, env: Env, use: (store: EditableImageStore) => Promise<T>,
): Promise<T> {
  try {
    // A new file gets the early layout, unless a namespace was asked for, here or in the environment.
    const isNew = !db.view((tx) => tx.bucket(SCHEMA) !== undefined);
    const wanted = namespace ?? (isNew ? namespaceOf(env) : undefined);
    if (isNew && wanted === undefined) initDB(db);
    return await use(localStore(db, wanted, env));
  } finally {
    await db.closeAsync();
  }
}

function openLocked(path: string, timeoutMs = LOCK_WAIT_MS): DB {
  try {
    return open(path, { timeout: Math.min(timeoutMs, LOCK_WAIT_MS) });
  } catch (error) {
    if (!isBolt(error, "TIMEOUT")) throw error;
    throw new ImagesError("UNAVAILABLE", `${path} is held by another program; give that program's socket instead`, { cause: error });
  }
}

function localStore(db: DB, namespace: string | undefined, env: Env): LocalImageStore {
  if (namespace !== undefined) return new LocalImageStore(db, { namespace });
  const isEarly = db.view((tx) => tx.bucket(SCHEMA) === undefined || hasEarlyLayout(tx));
  return isEarly ? new LocalImageStore(db) : new LocalImageStore(db, { namespace: namespaceOf(env) ?? DEFAULT_NAMESPACE });
}

/** The environment's namespace. Empty, it is not set, as for ctr. */
function namespaceOf(env: Env): string | undefined {
  return env["CONTAINERD_NAMESPACE"] === "" ? undefined : env["CONTAINERD_NAMESPACE"];
}

function named(namespace: string | undefined): { readonly namespace?: string } {
  return namespace === undefined ? {} : { namespace };
}

function isBolt(error: unknown, code: BoltError["code"]): boolean {
  return error instanceof BoltError && error.code === code;
}
