/** `hexbolt dump`: pages in hexadecimal, 16 bytes a line; lines equal to the one before are shown once, as `*`. */
import { EXIT_OK, UsageError, type Command } from "./command.js";
import { hex } from "./go-text.js";
import { writeJson } from "./io.js";
import { viewRaw } from "./open-file.js";
import { pageIds, SEPARATOR } from "./page.js";

const LINE_SIZE = 16;

/** The lines of a page that lies at `address` of its file. */
function hexLines(page: Buffer, address: number): string {
  let text = "";
  let isSkipping = false;
  for (let at = 0; at < page.length; at += LINE_SIZE) {
    const position = (address + at).toString(16).padStart(7, "0");
    const isLast = at + LINE_SIZE >= page.length;
    if (at > 0 && !isLast && page.compare(page, at - LINE_SIZE, at, at, at + LINE_SIZE) === 0) {
      if (!isSkipping) text += `${position} *\n`;
      isSkipping = true;
      continue;
    }
    text += `${position} ${hex(page.subarray(at, at + LINE_SIZE)).replace(/.{4}(?=.)/g, "$& ")}\n`;
    isSkipping = false;
  }
  return text;
}

/** The command. */
export const dumpCommand: Command = {
  name: "dump", summary: "print pages in hexadecimal", usage: "FILE PAGEID...",
  example: "hexbolt dump app.db 0",
  options: [],
  minimum: 1, maximum: Infinity,
  run: (args, io) => {
    const ids = pageIds(args.positionals.slice(1));
    if (ids.length === 0) throw new UsageError("page id required");
    return viewRaw(io, args.at(0), "live", (file, out) => {
      const pageSize = file.needPageSize();
      for (const [i, pgid] of ids.entries()) {
        file.requirePages(pgid, 1);
        const bytes = file.readBytes(pgid * pageSize, pageSize);
        if (args.json) writeJson(out, { id: pgid, hex: hex(bytes) });
        else out.write(`${i > 0 ? SEPARATOR : ""}${hexLines(bytes, pgid * pageSize)}\n`);
      }
      return EXIT_OK;
    });
  },
};
