/**
 * Where the commands are: those that show or change entries are at hand, the others are loaded when one of theirs is asked for. Loading all of them takes
 * longer than to get a value.
 */
import { bucketsCommand } from "./buckets.js";
import type { Command } from "./command.js";
import { deleteCommand } from "./delete.js";
import { getCommand } from "./get.js";
import { infoCommand } from "./info.js";
import { inspectCommand } from "./inspect.js";
import { keysCommand } from "./keys.js";
import { putCommand } from "./put.js";
import { statsCommand } from "./stats.js";
import { versionCommand } from "./version.js";

/** Commands that are loaded together. */
interface Shelf {
  /** The first word of each of their names. */
  readonly words: readonly string[];
  load(): Promise<readonly Command[]>;
}

const ENTRIES: readonly Command[] = [infoCommand, bucketsCommand, keysCommand, getCommand, putCommand, deleteCommand, inspectCommand, statsCommand];
const ABOUT: readonly Command[] = [versionCommand];

/** In the order in which help lists them. */
const SHELVES: readonly Shelf[] = [
  { words: wordsOf(ENTRIES), load: async () => ENTRIES },
  { words: ["pages", "page", "page-item", "dump", "map", "view", "check"], load: async () => (await import("./commands-pages.js")).PAGE_COMMANDS },
  { words: ["export", "import", "diff", "compact", "backup", "shrink", "bench"], load: async () => (await import("./commands-files.js")).FILE_COMMANDS },
  { words: ["surgery"], load: async () => (await import("./commands-surgery.js")).SURGERY_COMMANDS },
  { words: wordsOf(ABOUT), load: async () => ABOUT },
];

function wordsOf(commands: readonly Command[]): string[] {
  return commands.map(({ name }) => name.split(" ", 1)[0] ?? "");
}

/** Gives the commands whose names may begin with a word; none where there are none. */
export async function commandsNear(word: string): Promise<readonly Command[]> {
  return await SHELVES.find(({ words }) => words.includes(word))?.load() ?? [];
}

/** Gives all commands, in the order in which help lists them. */
export async function allCommands(): Promise<readonly Command[]> {
  return (await Promise.all(SHELVES.map((shelf) => shelf.load()))).flat();
}
