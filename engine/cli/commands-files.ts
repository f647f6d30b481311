/** The commands that work on whole files, in the order in which help lists them. */
import { backupCommand } from "./backup.js";
import { benchCommand } from "./bench.js";
import type { Command } from "./command.js";
import { compactCommand } from "./compact.js";
import { diffCommand } from "./diff.js";
import { exportCommand } from "./export.js";
import { importCommand } from "./import.js";
import { shrinkCommand } from "./shrink.js";

/** The commands. */
export const FILE_COMMANDS: readonly Command[] = [exportCommand, importCommand, diffCommand, compactCommand, backupCommand, shrinkCommand, benchCommand];
