/**
 * Lets single calls of the system fail. To be imported before the command, whose modules take the system's functions when they are loaded and keep them.
 * On Bun and Deno, where that does not reach everybody who imports them, nothing fails.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const NAMES = ["fsyncSync", "linkSync", "rmSync"] as const;

let toFail: { readonly name: string; readonly nth: number; readonly isDone: boolean } | undefined;
let count = 0;

for (const name of NAMES) {
  const original = fs[name];
  Object.assign(fs, { [name]: (...parameters: unknown[]): void => {
    const syscall = name.slice(0, -4);
    const isToFail = toFail?.name === name && ++count === toFail.nth;
    if (isToFail && toFail?.isDone === true) Reflect.apply(original, fs, parameters);
    if (isToFail) throw Object.assign(new Error(`EIO: i/o error, ${syscall}`), { code: "EIO", syscall });
    Reflect.apply(original, fs, parameters);
  } });
}
syncBuiltinESMExports();

/**
 * Runs while the nth call of a function fails, and no other.
 * @param isDone whether the call does what it is to do, and says that it has failed
 */
export async function failing<T>(name: (typeof NAMES)[number], nth: number, work: () => Promise<T>, isDone = false): Promise<T> {
  toFail = { name, nth, isDone };
  count = 0;
  try {
    return await work();
  } finally {
    toFail = undefined;
  }
}
