/** `hexbolt inspect`: the tree of buckets, with the number of keys in each. */
import type { BucketStructure, ReadTx } from "../index.js";
import { EXIT_OK, Failure, type Command } from "./command.js";
import { goJson } from "./go-text.js";
import { viewFile } from "./open-file.js";
import { paintFor, type Paint } from "./terminal.js";

/** A bucket as bbolt's `inspect` shows it: `buckets` is left out where there are none. */
interface Shown {
  readonly name: string;
  readonly keyN: number;
  readonly buckets?: readonly Shown[];
}

/** The structure of the whole database. */
function structureOf(tx: ReadTx): BucketStructure {
  const cursor = tx.cursor();
  const root: BucketStructure = { name: "root", keyN: 0, buckets: [] };
  for (let at = cursor.first(); at !== undefined; at = cursor.next()) {
    const bucket = at.value === undefined ? tx.bucket(at.key) : undefined;
    if (bucket === undefined) root.keyN++;
    else root.buckets.push(bucket.inspect());
  }
  return root;
}

/** Levels of buckets that are written: what is deeper, JSON cannot be written of by calls that are nested so, nor read by anybody. */
const MAX_LEVELS = 1000;

function requireShallow(structure: BucketStructure): void {
  let level: readonly BucketStructure[] = [structure];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_LEVELS) throw new Failure("TOO_DEEP", `buckets nest more than ${MAX_LEVELS} deep`, "hexbolt export lists what is in them");
    level = level.flatMap(({ buckets }) => buckets);
  }
}

function shown({ buckets, keyN, name }: BucketStructure): Shown {
  return { name, keyN, ...(buckets.length === 0 ? {} : { buckets: buckets.map(shown) }) };
}

function treeLines({ buckets, keyN, name }: BucketStructure, paint: Paint, before: string, branch: string): string {
  const inside = branch === "" ? "" : before + (branch.startsWith("└") ? "   " : "│  ");
  const own = `${before}${branch}${paint.bold(JSON.stringify(name).slice(1, -1))} ${paint.dim(`${keyN} ${keyN === 1 ? "key" : "keys"}`)}\n`;
  return own + buckets.map((bucket, i) => treeLines(bucket, paint, inside, i === buckets.length - 1 ? "└─ " : "├─ ")).join("");
}

/** The command. */
export const inspectCommand: Command = {
  name: "inspect", summary: "show the tree of buckets", usage: "FILE",
  details: "Prints JSON, as bbolt does; --tree draws it.",
  example: "hexbolt inspect --tree app.db",
  options: [{ name: "tree", help: "a drawn tree instead of JSON" }],
  minimum: 1, maximum: 1,
  run: (args, io) => viewFile(io, args.at(0), (tx, out) => {
    const structure = structureOf(tx);
    requireShallow(structure);
    if (args.has("tree") && !args.json) out.write(treeLines(structure, paintFor(out, io.env), "", ""));
    else out.write(args.json ? `${JSON.stringify(shown(structure))}\n` : `${goJson(shown(structure))}\n`);
    return EXIT_OK;
  }),
};
