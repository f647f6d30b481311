/** Reads what the test runners of Node, Bun and Deno print: how many tests passed and were skipped, and the names of those that failed. */

/** Whose output it is: Node's TAP, or what `bun test` and `deno test` print without colours. */
export type Format = "tap" | "bun" | "deno";

/** What came of the tests of a file. */
export interface Counts {
  readonly passed: number;
  readonly skipped: number;
  /** Tests alone: a group that failed because one of its tests did is none. */
  readonly failed: readonly string[];
}

/** Counts the tests in a runner's output. */
export function countsOf(output: string, format: Format): Counts {
  const lines = output.split("\n").map((line) => line.trimEnd());
  if (format === "bun") return bunCounts(lines);
  return format === "deno" ? denoCounts(lines) : tapCounts(lines);
}

function tapCounts(lines: readonly string[]): Counts {
  let [passed, skipped] = [0, 0];
  const failed: string[] = [];
  for (const [at, line] of lines.entries()) {
    const match = /^ *(not ok|ok) \d+ - (.*?)(?: # ([A-Z]+).*)?$/.exec(line);
    if (match === null) continue;
    const end = lines.findIndex((detail, i) => i > at && detail.trim() === "...");
    const details = lines.slice(at + 1, end);
    if (details.some((detail) => /^\s*type: 'suite'$/.test(detail)) || details.some((detail) => /failureType: 'subtestsFailed'/.test(detail))) continue;
    if (match[3] === "SKIP") skipped++;
    else if (match[1] === "ok") passed++;
    else failed.push((match[2] ?? "").replaceAll("\\#", "#"));
  }
  return { passed, skipped, failed };
}

function bunCounts(lines: readonly string[]): Counts {
  const names = (mark: string): string[] => lines.filter((line) => line.startsWith(`(${mark}) `)).map((line) => line.slice(mark.length + 3).replace(/ \[[\d.]+m?s\]$/, "").replace(/^.* > /, ""));
  return { passed: names("pass").length, skipped: names("skip").length + names("todo").length, failed: names("fail") };
}

function denoCounts(lines: readonly string[]): Counts {
  let [passed, skipped] = [0, 0];
  const failed: string[] = [];
  const groups: string[] = [];
  for (const [at, line] of lines.entries()) {
    const [, indent, name, state] = /^( *)(\S.*?) \.\.\.(?: (ok|FAILED|ignored)(?: \(.*\))?)?$/.exec(line) ?? [];
    if (indent === undefined || name === undefined) continue;
    if (state === undefined) {
      // A group is announced by a line of its own, with its tests further in behind it; a test that writes is announced as well.
      if (lines[at + 1]?.startsWith(`${indent} `) === true) groups.push(indent + name);
    } else if (groups.at(-1) === indent + name) {
      groups.pop();
      // Of a group whose last test never ended, nothing but the group is said to have failed.
      if (state === "FAILED" && !line.includes("(due to ")) failed.push(name);
    } else if (state === "ok") passed++;
    else if (state === "ignored") skipped++;
    else failed.push(name);
  }
  return { passed, skipped, failed };
}
