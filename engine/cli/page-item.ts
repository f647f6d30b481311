/** `hexbolt page-item`: key and value of one element of a leaf page. */
import { FLAG_LEAF } from "../format/constants.js";
import { pageTypeName } from "../format/page.js";
import { parseInteger } from "./args.js";
import { EXIT_OK, Failure, formatOption, UsageError, type Command } from "./command.js";
import { writeBytes } from "./go-text.js";
import { writeJson } from "./io.js";
import { toFormattedJson } from "./json-bytes.js";
import { viewRaw } from "./open-file.js";
import { leafElement, refuseBrokenElements, type LeafElement } from "./page-elements.js";
import type { RawPage } from "./raw-file.js";

/** @throws Failure when the page is no leaf or has no such element */
function elementOfPage({ bytes, header }: RawPage, index: number): LeafElement {
  if (index >= header.count) throw new Failure("NO_SUCH_ITEM", `leafPageElement: expected item index less than ${header.count}, but got ${index}.`);
  if (header.flags !== FLAG_LEAF) throw new Failure("NOT_A_LEAF", `leafPageElement: expected page type of 'leaf', but got '${pageTypeName(header.flags)}'`);
  refuseBrokenElements(bytes, true);
  return leafElement(bytes, index);
}

/** The command. */
export const pageItemCommand: Command = {
  name: "page-item", summary: "print key and value of an element of a leaf page", usage: "FILE PAGEID ITEMID",
  example: "hexbolt page-item --key-only app.db 5 0",
  options: [
    { name: "key-only", help: "print only the key" },
    { name: "value-only", help: "print only the value" },
    formatOption("they are"),
  ],
  minimum: 3, maximum: 3,
  run: (args, io) => {
    if (args.has("key-only") && args.has("value-only")) throw new UsageError("The --key-only or --value-only flag may be set, but not both.");
    const pgid = parseInteger(args.at(1), "a page id", 0);
    const index = parseInteger(args.at(2), "an item id", 0);
    return viewRaw(io, args.at(0), "live", (file, out) => {
      const { key, value } = elementOfPage(file.page(pgid), index);
      const format = args.text("format");
      const wanted = { ...(args.has("value-only") ? {} : { key }), ...(args.has("key-only") ? {} : { value }) };
      if (args.json) writeJson(out, Object.fromEntries(Object.entries(wanted).map(([name, bytes]) => [name, toFormattedJson(bytes, format)])));
      else for (const bytes of Object.values(wanted)) writeBytes(out, bytes, format ?? "auto");
      return EXIT_OK;
    });
  },
};
