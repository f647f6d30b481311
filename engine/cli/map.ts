/** `hexbolt map`: a picture of the file: every page by kind and bucket, how full it is, what is free. */
import { basename } from "node:path";
import { EXIT_OK, type Command } from "./command.js";
import { writeJson, type Io } from "./io.js";
import { mapSvg, mapText } from "./map-picture.js";
import { withNewText } from "./new-file.js";
import { viewRaw } from "./open-file.js";
import { countKinds, KINDS, makePageMap, pathOf } from "./page-map.js";
import { hasColour } from "./terminal.js";

/** The command. */
export const mapCommand: Command = {
  name: "map", summary: "draw every page of a file", usage: "FILE",
  details: "On a terminal coloured blocks, piped one letter a page: M meta, F freelist, B branch, L leaf, o overflow, . free,\np pending (free, and still needed by the state before), ! nothing leads to it. --svg writes a picture to look at in a browser.",
  example: "hexbolt map app.db --output app.svg",
  options: [
    { name: "svg", help: "write SVG to the standard output" },
    { name: "output", short: "o", value: "NEW.svg", help: "write SVG to a new file; with --json the standard output tells which" },
  ],
  minimum: 1, maximum: 1, makesFile: true,
  run: async (args, io) => {
    const path = args.at(0);
    const target = args.text("output");
    const draw = (to: Io): number => viewRaw(to, path, "live", (file, out) => {
      const map = makePageMap(file);
      if (target !== undefined || (args.has("svg") && !args.json)) {
        out.write(mapSvg(map, basename(path)));
      } else if (args.json) {
        const { buckets, fills, kinds, owners, pageCount, pageSize, txid } = map;
        writeJson(out, { pageSize, pageCount, txid, counts: countKinds(map), buckets: buckets.map((bucket) => ({ path: pathOf(bucket).map(({ text }) => text), pages: bucket.pageCount })) });
        for (let id = 0; id < pageCount; id++) {
          const owner = owners[id]!;
          writeJson(out, { id, kind: KINDS[kinds[id]!], ...(owner < 0 ? {} : { bucket: owner, fill: fills[id] }) });
        }
      } else {
        out.write(mapText(map, out.columns, hasColour(out, io.env)));
      }
      return EXIT_OK;
    });
    return target === undefined ? draw(io) : withNewText(args, io, target, draw);
  },
};
