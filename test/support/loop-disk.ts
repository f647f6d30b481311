/** Real file systems in image files, mounted through loop devices: it takes the right to mount, on Linux, and the programs that make file systems. */
import { spawnSync } from "node:child_process";
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

/** @throws Error with what the command said, where it did not end with 0 */
export function run(command: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr.trim()}`);
}

/** Makes an image file of `size` bytes, none of them written, with a file system of the type in it: `ext4`, `xfs`. */
export function makeImage(image: string, type: string, size: number, ...options: readonly string[]): void {
  writeFileSync(image, "");
  truncateSync(image, size);
  run(`mkfs.${type}`, "-q", ...options, image);
}

/** Mounts the image at a folder, which is made. */
export function mountImage(image: string, folder: string, options = "loop"): void {
  mkdirSync(folder, { recursive: true });
  run("mount", "-o", options, image, folder);
}

/** Unmounts what is mounted at the folder, as soon as nobody has a file of it open: helper programs and syncs under way may outlive their process a little. */
export async function unmount(folder: string): Promise<void> {
  for (let i = 0; i < 5000 && spawnSync("umount", [folder]).status !== 0; i++) await setTimeout(1);
}

/** Unmounts at once; the system lets go of it when the last open file is closed. */
export function detach(folder: string): void {
  spawnSync("umount", ["-l", folder]);
}
