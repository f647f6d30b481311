/**
 * Lets single calls of the system fail. To be imported before the command, whose modules take the system's functions when they are loaded and keep them.
 * On Bun and Deno, where that does not reach everybody who imports them, nothing fails.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const NAMES = ["fsyncSync", "rmSync"] as const;

let toFail: { readonly name: string; readonly nth: number } | undefined;
let count = 0;

for (const name of NAMES) {
  const original = fs[name];
  Object.assign(fs, { [name]: (...parameters: unknown[]): void => {
    const syscall = name.slice(0, -4);
    if (toFail?.name === name && ++count === toFail.nth) throw Object.assign(new Error(`EIO: i/o error, ${syscall}`), { code: "EIO", syscall });
    Reflect.apply(original, fs, parameters);
  } });
}
syncBuiltinESMExports();

/** Runs while the nth call of a function fails, and no other. */
export async function failing<T>(name: (typeof NAMES)[number], nth: number, work: () => Promise<T>): Promise<T> {
  toFail = { name, nth };
  count = 0;
  try {
    return await work();
  } finally {
    toFail = undefined;
  }
}
