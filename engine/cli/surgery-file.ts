/**
 * The file that an operation works on: a copy. The original is read under a lock and never written.
 *
 * Whatever an operation changes, the copy loses the commit manifests and close marks that hexbolt keeps in the unused part of meta pages: they
 * vouch for pages as they were, and a database opened with them would take the operation for damage and undo it.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { META_SIZE } from "../format/meta.js";
import { MAGIC, type Pgid } from "../format/constants.js";
import type { Arguments } from "./args.js";
import { EXIT_OK, UsageError } from "./command.js";
import { writeJson, type Io } from "./io.js";
import { copyFile, refuseOriginal, OWNER_WRITES, withNewFile } from "./new-file.js";
import { holdLock, namedWhole, requireDatabase } from "./open-file.js";
import { RawFile } from "./raw-file.js";

/** The copy, open for reading page by page and for writing. */
export class SurgeryFile extends RawFile {
  readonly #writer: number;

  constructor(path: string) {
    super(path, false);
    this.#writer = openSync(path, "r+");
  }

  override close(): void {
    closeSync(this.#writer);
    super.close();
  }

  /** Writes a page, with its overflow pages, to a place inside the file. @throws Failure OUT_OF_RANGE */
  writePage(pgid: Pgid, bytes: Uint8Array): void {
    const pageSize = this.needPageSize();
    this.requirePages(pgid, Math.ceil(bytes.length / pageSize));
    this.patch(pgid * pageSize, bytes);
  }

  /** Writes bytes to a place inside the file. */
  patch(position: number, bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.length) done += writeSync(this.#writer, bytes, done, bytes.length - done, position + done);
  }

  /** Clears what the meta pages hold beside the metas. */
  forgetManifests(): void {
    const pageSize = this.pageSize;
    if (pageSize === undefined) return;
    for (const page of [0, 1]) {
      if (this.metas[page]?.magic !== MAGIC || (page + 1) * pageSize > this.size) continue;
      this.patch(page * pageSize + META_SIZE, Buffer.alloc(pageSize - META_SIZE));
    }
  }
}

/** Where the copy goes: `--output`, or the argument behind the original, as bbolt 1.3 has it. */
export function outputOf(args: Arguments): string {
  if (args.has("output") && args.positionals.length > 1) throw new UsageError("too many arguments: with --output it takes FILE");
  const path = args.text("output") ?? args.positionals[1];
  if (path === undefined || path === "") throw new UsageError("output database path wasn't given, specify output database file path with --output option");
  return path;
}

/** What bbolt says where free pages may be wrong now. */
export const FREELIST_WARNING = "Please consider executing `hexbolt surgery freelist abandon ...`\n";

/**
 * Copies a file and operates on the copy, which gets its name when all went well.
 * @param operate changes the copy and gives the text to print
 */
export async function withCopy(args: Arguments, io: Io, operate: (file: SurgeryFile) => string): Promise<number> {
  const source = args.at(0);
  const target = outputOf(args);
  requireDatabase(source);
  refuseOriginal(source, target);
  const { lock } = holdLock(io, source, "refuse");
  try {
    const text = await withNewFile(io, target, (temporary) => {
      copyFile(io, source, temporary);
      const file = new SurgeryFile(temporary);
      try {
        file.forgetManifests();
        return operate(file);
      } catch (error) {
        throw namedWhole(error, source);
      } finally {
        file.close();
      }
    }, source, OWNER_WRITES);
    if (args.json) writeJson(io.stdout, { ok: true, output: target, message: text.trimEnd() });
    else io.stdout.write(text);
    return EXIT_OK;
  } finally {
    lock?.close();
  }
}
