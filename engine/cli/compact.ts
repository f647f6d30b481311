/** `hexbolt compact`: a copy of a database without free pages. */
import { statSync } from "node:fs";
import { BoltError, type DB } from "../index.js";
import type { Arguments } from "./args.js";
import { EXIT_OK, OUTPUT_OPTION, UsageError, type Command } from "./command.js";
import { writeJson, type Io } from "./io.js";
import { refuseOriginal, withNewFile } from "./new-file.js";
import { openForReading, readRaw, requireDatabase, untilCurrent, usedSize } from "./open-file.js";
import { Progress } from "./terminal.js";

/**
 * Says what tells that the tree may not lead to all that there is: the copy has what it leads to, and of the rest nobody would hear. Not refused, for a
 * compacted copy is also the way to be rid of a wrong freelist.
 */
function lossesOf(path: string, db: DB): string[] {
  const losses: string[] = [];
  try {
    readRaw(path, true, (file) => file.freeIds(file.activeMeta()), db.recovery?.txid);
  } catch (error) {
    if (!(error instanceof BoltError && error.code === "CORRUPT")) throw error;
    losses.push(error.message);
  }
  const hasValues = db.view((tx) => {
    const cursor = tx.cursor();
    for (let at = cursor.first(); at !== undefined; at = cursor.next()) if (at.value !== undefined) return true;
    return false;
  });
  if (hasValues) losses.push("values lie outside of every bucket, where hardly any program puts one");
  return losses;
}

/** Says what a file of `before` bytes has become. @param more goes along with --json */
export function tellGain(args: Arguments, io: Io, before: number, path: string, more: object = {}): void {
  const after = statSync(path).size;
  if (args.json) writeJson(io.stdout, { before, after, gain: before / after, ...more });
  else io.stdout.write(`${before} -> ${after} bytes (gain=${(before / after).toFixed(2)}x)\n`);
}

/** The command. */
export const compactCommand: Command = {
  name: "compact", summary: "write a compacted copy", usage: "-o NEW FILE",
  details: "Copies all buckets, keys and sequences into a new file with full pages and none free. The original is left as it is.",
  example: "hexbolt compact -o small.db app.db",
  options: [
    OUTPUT_OPTION,
    { name: "tx-max-size", value: "BYTES", help: "bytes gathered before they are written; default 65536" },
    { name: "page-size", value: "BYTES", help: "of the new file; default as in the original, at most 4096" },
    { name: "no-sync", help: "accepted for compatibility with bbolt: the new file is made durable once, at the end, in any case" },
  ],
  minimum: 1, maximum: 1, makesFile: true,
  run: async (args, io) => {
    const source = args.at(0);
    const target = args.text("output");
    if (target === undefined || target === "") throw new UsageError("output file required");
    const txMaxSize = args.integer("tx-max-size", 0);
    const pageSize = args.pageSize("page-size");
    const before = requireDatabase(source);
    refuseOriginal(source, target);
    const progress = new Progress(io, "compacting", usedSize(source));
    await withNewFile(io, target, (temporary) => {
      const reading = openForReading(io, source, progress);
      try {
        const losses = untilCurrent(reading.isLive, () => {
          const found = lossesOf(source, reading.db);
          reading.db.compact(temporary, { txMaxSize, pageSize });
          return found;
        });
        for (const text of losses) io.stderr.write(`hexbolt: ${text}: content may be missing from the copy; \`hexbolt surgery salvage\` tells how much\n`);
      } finally {
        progress.end();
        reading.close();
      }
    }, source);
    tellGain(args, io, before, target);
    return EXIT_OK;
  },
};
