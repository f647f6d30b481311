/**
 * `npm run build`: compiles to dist/modules/, then makes dist/ of it with build.ts, itself just compiled. Builds of one checkout wait for each other: one
 * that reads while another writes would take half a file for a whole one.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const lock = join(root, "dist", "building");
const WAIT_MS = 100;
const WAITS = 1200;

/** Whether the build that made the lock has ended without removing it. */
function isStale() {
  try {
    process.kill(Number(readFileSync(lock, "utf8")), 0);
    return false;
  } catch (error) {
    return error.code === "ESRCH";
  }
}

async function takeLock() {
  mkdirSync(join(root, "dist"), { recursive: true });
  for (let waits = 0; ; waits++) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx" });
      process.on("exit", () => rmSync(lock, { force: true }));
      return;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      if (waits === WAITS) throw new Error(`another build does not end; if there is none, remove ${lock}`);
      if (isStale()) rmSync(lock, { force: true });
      else await setTimeout(WAIT_MS);
    }
  }
}

await takeLock();
const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
const { status } = spawnSync(process.execPath, [compiler, "-p", "tsconfig.json", "--outDir", "dist/modules"], { cwd: root, stdio: "inherit" });
if (status === 0) (await import(pathToFileURL(join(root, "dist/modules/test/build/build.js")).href)).build(root);
process.exitCode = status ?? 1;
