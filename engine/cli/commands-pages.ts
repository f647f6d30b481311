/** The commands that look at pages, in the order in which help lists them. */
import { checkCommand } from "./check.js";
import type { Command } from "./command.js";
import { dumpCommand } from "./dump.js";
import { mapCommand } from "./map.js";
import { pageItemCommand } from "./page-item.js";
import { pageCommand } from "./page.js";
import { pagesCommand } from "./pages.js";
import { viewCommand } from "./view.js";

/** The commands. */
export const PAGE_COMMANDS: readonly Command[] = [pagesCommand, pageCommand, pageItemCommand, dumpCommand, mapCommand, viewCommand, checkCommand];
