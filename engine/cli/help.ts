/** The help texts. */
import { optionsOf } from "./args.js";
import type { Command } from "./command.js";

/** Help for one command. */
export function commandHelp(command: Command): string {
  const options = optionsOf(command).map(({ help, name, short, value }) => {
    const flag = `${short === undefined ? "    " : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`;
    return `  ${flag.padEnd(26)} ${help}`;
  });
  return `${sentence(command.summary)}

Usage: hexbolt ${command.name} [OPTIONS] ${command.usage}`.trimEnd() + `
${command.details === undefined ? "" : `\n${command.details}\n`}
Options
${options.join("\n")}

Example
  ${command.example.split("\n").join("\n  ")}
`;
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}

/** Help for the program, or for a group of commands such as `surgery`. */
export function groupHelp(group: string, commands: readonly { readonly name: string; readonly summary: string }[]): string {
  const shown = commands.filter(({ name }) => group === "" || name.startsWith(`${group} `));
  const width = Math.max(...shown.map(({ name }) => name.length));
  const intro = group === "" ? "hexbolt: looks into, checks, repairs and changes bolt and bbolt database files.\n\nUsage: hexbolt COMMAND [OPTIONS] [ARGUMENTS]" : `Usage: hexbolt ${group} COMMAND [OPTIONS] FILE`;
  const rest = group === "" ? `
Every command takes --help, which shows an example, and --json. A file that another process writes can be read all the same.
Exit status: 0 success; 1 not found, not sound, different or not possible; 2 wrong usage; 130, 143, 129 ended by SIGINT, SIGTERM, SIGHUP.
` : "";
  return `${intro}\n\nCommands\n${shown.map(({ name, summary }) => `  ${name.padEnd(width)}   ${summary}`).join("\n")}\n${rest}`;
}
