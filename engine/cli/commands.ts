/** All commands, in the order that help lists them. */
import { backupCommand } from "./backup.js";
import { benchCommand } from "./bench.js";
import { bucketsCommand } from "./buckets.js";
import { checkCommand } from "./check.js";
import type { Command } from "./command.js";
import { compactCommand } from "./compact.js";
import { deleteCommand } from "./delete.js";
import { diffCommand } from "./diff.js";
import { dumpCommand } from "./dump.js";
import { exportCommand } from "./export.js";
import { getCommand } from "./get.js";
import { importCommand } from "./import.js";
import { infoCommand } from "./info.js";
import { inspectCommand } from "./inspect.js";
import { keysCommand } from "./keys.js";
import { mapCommand } from "./map.js";
import { pageItemCommand } from "./page-item.js";
import { pageCommand } from "./page.js";
import { pagesCommand } from "./pages.js";
import { putCommand } from "./put.js";
import { salvageCommand } from "./salvage.js";
import { shrinkCommand } from "./shrink.js";
import { statsCommand } from "./stats.js";
import { freelistAbandonCommand, freelistRebuildCommand, metaUpdateCommand, metaValidateCommand } from "./surgery-meta.js";
import { clearPageCommand, clearPageElementsCommand, copyPageCommand, revertMetaPageCommand } from "./surgery-pages.js";
import { versionCommand } from "./version.js";
import { viewCommand } from "./view.js";

/** The commands. */
export const COMMANDS: readonly Command[] = [
  infoCommand, bucketsCommand, keysCommand, getCommand, putCommand, deleteCommand, inspectCommand, statsCommand,
  pagesCommand, pageCommand, pageItemCommand, dumpCommand, mapCommand, viewCommand, checkCommand, exportCommand, importCommand, diffCommand, compactCommand, backupCommand, shrinkCommand, benchCommand,
  salvageCommand, revertMetaPageCommand, copyPageCommand, clearPageCommand, clearPageElementsCommand,
  freelistAbandonCommand, freelistRebuildCommand, metaValidateCommand, metaUpdateCommand, versionCommand,
];
