/**
 * Errors that look like the operating system's, for what a storage refuses by itself or simulates: they have the `code`, `errno` and `syscall` that
 * Node puts on the errors of real calls. `code` is the same on every system and what a caller goes by; `errno` is Node's on POSIX systems only.
 */
import { constants } from "node:os";

/** The name of a system error, as in errno.h. */
export type ErrnoName = keyof typeof constants.errno;

/** An error with the shape of those that node:fs throws. */
export class SystemError extends Error implements NodeJS.ErrnoException {
  override readonly name: string = "SystemError";
  readonly code: ErrnoName;
  /** Negative, as Node gives it on POSIX systems; on Windows Node has numbers of its own. */
  readonly errno: number;
  readonly syscall: string;

  constructor(code: ErrnoName, syscall: string, detail: string) {
    super(`${code}: ${detail}, ${syscall}`);
    this.code = code;
    this.errno = -constants.errno[code];
    this.syscall = syscall;
  }
}
