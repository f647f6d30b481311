/**
 * A unix socket's place in the file system: the path is taken when nothing lives there, and given up only while it is still ours.
 *
 * Keeps true: a path names one server's socket at a time, and whoever was told that it listens there has it. The socket is
 * made under a name of its own and then moved to the path: so it is known which file is ours, nobody can open it before it is private, and
 * closing, where the system deletes the name that a socket was made under, deletes nobody else's. A relative path stays where it was when the program goes to
 * another folder.
 */
import { chmodSync, existsSync, lstatSync, renameSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { dirname, isAbsolute, resolve } from "node:path";
import { SOCKET_PATH_BYTES_MAX } from "./address.js";
import { ImagesError, invalid, quote } from "./errors.js";
import { randomHex } from "./random.js";
import type { Stats } from "node:fs";

/** A path that is ours. */
export interface SocketFile {
  /** Deletes the socket, if the path still names it. */
  remove(): void;
}

/** A path as its owner wrote it, and what it names. */
export interface SocketPath {
  /** For messages. */
  readonly given: string;
  /** For the file system: absolute, and not normalised, since it may lead through a link and up again. */
  readonly file: string;
  /** For listening and connecting: absolute too, unless the system takes no path that long. */
  readonly socket: string;
}

/** Says what a path names now. */
export function socketPath(given: string): SocketPath {
  const file = isAbsolute(given) ? given : `${process.cwd()}/${given}`;
  return { given, file, socket: Buffer.byteLength(file) <= SOCKET_PATH_BYTES_MAX ? file : given };
}

/** Those of this program who look at a path and then take it, one behind the other: otherwise all would find it free. */
const takers = new Map<string, Promise<unknown>>();

/**
 * Makes a socket at a path, in the place of a dead one.
 * @param listen makes it under the name that it is given
 * @throws ImagesError UNAVAILABLE when another server has the path, INVALID when no socket is there
 */
export async function takeSocketPath(path: SocketPath, listen: (name: string) => Promise<void>): Promise<SocketFile> {
  const key = resolve(path.file);
  const before = takers.get(key);
  const taking = (async (): Promise<SocketFile> => {
    await before?.catch(() => undefined);
    return take(path, listen);
  })();
  takers.set(key, taking);
  try {
    return await taking;
  } finally {
    if (takers.get(key) === taking) takers.delete(key);
  }
}

async function take(path: SocketPath, listen: (name: string) => Promise<void>): Promise<SocketFile> {
  await requireDead(path, statOf(path.file));
  // Node would say EACCES, whatever the folder's owner.
  if (!existsSync(dirname(path.file))) throw new ImagesError("UNAVAILABLE", `cannot listen on ${path.given}: there is no folder ${quote(dirname(path.given))}`);
  const name = nameBeside(path);
  if (name === path) removeQuietly(path.file, () => true);
  await listen(name.socket);
  chmodSync(name.file, 0o600);
  const ours = lstatSync(name.file);
  if (name !== path) await moveTo(path, name);
  const isOurs = (): boolean => isSame(statOf(path.file), ours);
  if (!isOurs()) throw taken(path);
  return { remove: () => removeQuietly(path.file, isOurs) };
}

/** Where the folder may not be written any more, the server ends all the same, and the next one finds a dead socket. */
function removeQuietly(path: string, isOurs: () => boolean): void {
  try {
    if (isOurs()) unlinkSync(path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
  }
}

async function moveTo(path: SocketPath, name: SocketPath): Promise<void> {
  // Another program may have taken the path meanwhile. Between this look and the move it would have to be as quick.
  const there = statOf(path.file);
  await requireDead(path, there);
  if (!isSame(statOf(path.file), there)) throw taken(path);
  renameSync(name.file, path.file);
}

/** A name in the same folder. A path that leaves it no room, for the system takes about a hundred bytes, is its own. */
function nameBeside(path: SocketPath): SocketPath {
  const name = randomHex(8);
  const beside = (text: string): string => text.slice(0, text.lastIndexOf("/") + 1) + name;
  const socket = beside(path.socket);
  return Buffer.byteLength(socket) <= SOCKET_PATH_BYTES_MAX ? { given: path.given, file: beside(path.file), socket } : path;
}

function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

function isSame(left: Stats | undefined, right: Stats | undefined): boolean {
  return left?.ino === right?.ino && left?.dev === right?.dev;
}

/** Looks whether somebody answers. @throws ImagesError when something lives there, or it is no socket */
async function requireDead(path: SocketPath, found: Stats | undefined): Promise<void> {
  if (found === undefined) return;
  if (!found.isSocket()) throw invalid(`${path.given} is there and is no socket`);
  const fault = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    const probe = connect({ path: path.socket });
    probe.once("connect", () => {
      probe.destroy();
      resolve(undefined);
    });
    probe.once("error", resolve);
  });
  if (fault === undefined) throw taken(path);
  if (fault.code !== "ECONNREFUSED") {
    throw new ImagesError("UNAVAILABLE", `${path.given} is there and cannot be used: ${fault.message}`, { cause: fault });
  }
}

function taken(path: SocketPath): ImagesError {
  return new ImagesError("UNAVAILABLE", `another server listens on ${path.given}`);
}
