/** `hexbolt buckets`: the names of the top-level buckets, or of those in a bucket. */
import { bucketNames, findBucket } from "./bucket-path.js";
import { EXIT_OK, formatOption, PARSE_OPTION, type Command } from "./command.js";
import { writeBytes } from "./go-text.js";
import { writeJson } from "./io.js";
import { toFormattedJson } from "./json-bytes.js";
import { viewFile } from "./open-file.js";

/** The command. */
export const bucketsCommand: Command = {
  name: "buckets", summary: "list the buckets", usage: "FILE [BUCKET...]",
  details: "Lists the top-level buckets, one name a line, or those inside the bucket at a path.",
  example: "hexbolt buckets app.db",
  options: [formatOption("names are", "bytes, on a terminal auto"), PARSE_OPTION],
  minimum: 1, maximum: Infinity,
  run: (args, io) => viewFile(io, args.at(0), (tx, out) => {
    const path = bucketNames(args, args.positionals.slice(1), "parse-format");
    const holder = path.length === 0 ? tx : findBucket(tx, path);
    for (const name of holder.buckets()) {
      if (args.json) writeJson(out, toFormattedJson(name, args.text("format")));
      else writeBytes(out, name, args.text("format") ?? (io.stdout.isTerminal ? "auto" : "bytes"));
    }
    return EXIT_OK;
  }),
};
