/** `hexbolt info`: the page size, as bbolt prints it, and on request the rest that the meta pages tell. */
import { BoltError } from "../index.js";
import { FREELIST_NOT_STORED, type Meta } from "../format/meta.js";
import { EXIT_OK, type Command } from "./command.js";
import { writeJson } from "./io.js";
import { viewRaw } from "./open-file.js";
import type { RawFile } from "./raw-file.js";

interface Info {
  readonly path: string;
  readonly pageSize: number;
  readonly fileSize: number;
  readonly pageCount: number;
  /** Undefined when they are not stored or, and then `freelistFault` says why, when their list cannot be read. */
  readonly freePageCount: number | undefined;
  readonly freelistFault?: string;
  readonly txid: bigint;
  readonly root: number;
  readonly freelist: number | undefined;
  readonly metas: readonly { readonly page: number; readonly txid: bigint | undefined; readonly valid: boolean; readonly active: boolean }[];
}

/** A freelist that cannot be read is no reason to tell nothing: this command is what somebody with a broken file begins with. */
function freePagesOf(file: RawFile, meta: Meta): Pick<Info, "freePageCount" | "freelistFault"> {
  try {
    return { freePageCount: file.freeIds(meta)?.length };
  } catch (error) {
    if (!(error instanceof BoltError) || error.code !== "CORRUPT") throw error;
    return { freePageCount: undefined, freelistFault: error.message };
  }
}

/** Collects what the meta pages and the freelist tell. */
export function infoOf(file: RawFile): Info {
  const meta = file.activeMeta();
  const active = file.validMetas()[0]?.page;
  return {
    path: file.path, pageSize: meta.pageSize, fileSize: file.size, pageCount: meta.highWaterMark, ...freePagesOf(file, meta),
    txid: meta.txid, root: meta.root, freelist: meta.freelist,
    metas: file.metas.map((fields, page) => ({ page, txid: fields?.txid, valid: fields?.fault === undefined && fields !== undefined, active: page === active })),
  };
}

function lines(info: Info, file: RawFile): string {
  const metas = file.metas.map((fields, page) => {
    if (fields === undefined) return `Meta ${page}:    cut off`;
    const freelist = fields.freelist === FREELIST_NOT_STORED ? "not stored" : `<pgid=${fields.freelist}>`;
    const state = fields.fault === undefined ? (info.metas[page]?.active === true ? "active" : "older") : `invalid (${fields.fault})`;
    return `Meta ${page}:    ${state}, txn ${fields.txid}, root <pgid=${fields.root}>, freelist ${freelist}`;
  });
  return `File Size: ${info.fileSize}\nPages:     ${info.pageCount}\nFree:      ${info.freelistFault ?? info.freePageCount ?? "not stored"}\nTxn ID:    ${info.txid}\n${metas.join("\n")}\n`;
}

/** The command. */
export const infoCommand: Command = {
  name: "info", summary: "print basic information about a file", usage: "FILE",
  details: "Prints the page size. --all adds file size, pages, transaction and both meta pages.",
  example: "hexbolt info --all app.db",
  options: [{ name: "all", short: "a", help: "print all there is, not the page size alone" }],
  minimum: 1, maximum: 1,
  run: (args, io) => viewRaw(io, args.at(0), "live", (file, out) => {
    const info = infoOf(file);
    if (args.json) writeJson(out, info);
    else out.write(`Page Size: ${info.pageSize}\n${args.has("all") ? lines(info, file) : ""}`);
    return EXIT_OK;
  }),
};
