/** `hexbolt backup`: a verified copy of one state of a database, also while another process writes it. */
import { statSync } from "node:fs";
import { EXIT_OK, OUTPUT_OPTION, type Command } from "./command.js";
import { writeJson } from "./io.js";
import { refuseOriginal, withNewFile } from "./new-file.js";
import { LiveTries, openForReading, requireDatabase, type Reading } from "./open-file.js";
import { outputOf } from "./surgery-file.js";
import { Progress } from "./terminal.js";

async function backUp({ db, isLive }: Pick<Reading, "db" | "isLive">, path: string): Promise<bigint> {
  for (const tries = new LiveTries(isLive); ;) {
    try {
      return (await db.backup(path)).txid;
    } catch (error) {
      tries.requireAnother(error);
    }
  }
}

function copyUnchecked({ db }: Reading, path: string): bigint {
  return db.view((tx) => {
    tx.copyTo(path);
    return tx.id;
  });
}

/** The command. */
export const backupCommand: Command = {
  name: "backup", summary: "copy a database, also one that is in use", usage: "FILE [NEW]",
  details: "The copy is one committed state, page for page; it is checked and made durable before it gets its name.\nThe copy can fail if another process commits to the file without pause for half a minute: stop it meanwhile with kill -STOP.",
  example: "hexbolt backup app.db --output app-backup.db",
  options: [OUTPUT_OPTION, { name: "no-check", help: "do not check the copy: for a database that is not sound" }],
  minimum: 1, maximum: 2, makesFile: true,
  run: async (args, io) => {
    const source = args.at(0);
    const target = outputOf(args);
    const size = requireDatabase(source);
    refuseOriginal(source, target);
    const progress = new Progress(io, "copying", size);
    const txid = await withNewFile(io, target, async (temporary) => {
      const reading = openForReading(io, source, progress);
      try {
        return args.has("no-check") ? copyUnchecked(reading, temporary) : await backUp(reading, temporary);
      } finally {
        progress.end();
        reading.close();
      }
    }, source);
    const after = statSync(target).size;
    if (args.json) writeJson(io.stdout, { output: target, size: after, txid });
    else io.stdout.write(`${target}: transaction ${txid}, ${after} bytes\n`);
    return EXIT_OK;
  },
};
