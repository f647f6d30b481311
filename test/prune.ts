/**
 * The last step of `npm run build`: deletes from dist/ what has no source any more. The compiler never removes a
 * stale output, and a stale file would be tested and packed. Pruning instead of emptying dist/ first keeps a build
 * harmless to whatever runs from dist/ meanwhile.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const OUTPUT_SUFFIX = /(?:\.d\.c?ts|\.js|\.js\.map)$/;

function prune(distFolder: string, sourceFolder: string): number {
  let removed = 0;
  for (const entry of readdirSync(distFolder, { recursive: true, encoding: "utf8" })) {
    if (!OUTPUT_SUFFIX.test(entry)) continue;
    if (existsSync(join(sourceFolder, entry.replace(OUTPUT_SUFFIX, ".ts")))) continue;
    rmSync(join(distFolder, entry), { force: true });
    removed++;
  }
  return removed;
}

const distFolder = join(dirname(fileURLToPath(import.meta.url)), "..");
const removed = prune(distFolder, join(distFolder, ".."));
if (removed > 0) process.stdout.write(`removed ${removed} stale files from dist/\n`);
