/**
 * The lock on Windows, which has no flock: a writer opens the file without sharing it, so every other opening fails with EBUSY until it is closed, by
 * `close` or by the end of the process. A reader opens it shared, which a writer's opening does not get past.
 *
 * libuv has a flag for that, and Node hands it on. A runtime that does not rest on libuv may ignore it, so what was opened is tried out: kept true
 * is, as with flock, that "taken" is what the system said.
 *
 * What it does not do: Go's bbolt locks a range of bytes instead and opens shared. It gets no file that a writer has here, and no writer here gets a
 * file that bbolt has open; but a reader here does not keep bbolt from writing. So read-only openings watch the file as a live read does.
 */
import { closeSync, constants, openSync } from "node:fs";

import { systemCode } from "../base/errors.js";
import { LockHelperMissingError } from "./file-lock.js";
import type { LockMode } from "./storage.js";

/** UV_FS_O_EXLOCK of libuv's uv/win.h: share mode 0. Not among Node's constants. */
export const OPEN_UNSHARED = 0x10000000;

/** The calls that are made, so that Windows can be played elsewhere. */
export interface OpenCalls {
  open(path: string, flags: number, mode?: number): number;
  close(fd: number): void;
}

const SYSTEM: OpenCalls = { open: openSync, close: closeSync };

/** Opens a file; undefined where another opening shuts it. */
export function openUnlessShut(path: string, flags: number, mode: number | undefined, calls: OpenCalls = SYSTEM): number | undefined {
  try {
    return calls.open(path, flags, mode);
  } catch (error) {
    if (systemCode(error) === "EBUSY") return undefined;
    throw error;
  }
}

/**
 * Opens a file with the lock.
 * @returns the descriptor, undefined when another opening holds the file
 * @throws LockHelperMissingError where the runtime shares what should be unshared
 */
export function openLocked(path: string, flags: number, mode: number | undefined, lock: LockMode, calls: OpenCalls = SYSTEM): number | undefined {
  if (lock === "shared") return openUnlessShut(path, flags, mode, calls);
  const fd = openUnlessShut(path, flags | OPEN_UNSHARED, mode, calls);
  if (fd === undefined) return undefined;
  let second: number | undefined;
  try {
    second = openUnlessShut(path, constants.O_RDONLY, undefined, calls);
  } catch (error) {
    calls.close(fd);
    throw error;
  }
  if (second === undefined) return fd;
  calls.close(second);
  calls.close(fd);
  throw new LockHelperMissingError("this runtime does not open files unshared");
}
