/** The commands for broken files, in the order in which help lists them. */
import type { Command } from "./command.js";
import { salvageCommand } from "./salvage.js";
import { freelistAbandonCommand, freelistRebuildCommand, metaUpdateCommand, metaValidateCommand } from "./surgery-meta.js";
import { clearPageCommand, clearPageElementsCommand, copyPageCommand, revertMetaPageCommand } from "./surgery-pages.js";

/** The commands. */
export const SURGERY_COMMANDS: readonly Command[] = [
  salvageCommand, revertMetaPageCommand, copyPageCommand, clearPageCommand, clearPageElementsCommand,
  freelistAbandonCommand, freelistRebuildCommand, metaValidateCommand, metaUpdateCommand,
];
