/**
 * Makes docs/reference.md from the docstrings: every name that the entry points export, with its declaration and its members. It reads the
 * declarations that the compiler writes, whose shape is regular: top-level names at the margin, members indented by four, comments in front.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { repositoryRoot } from "../support/fixtures.js";

const ENTRY_POINTS: readonly { readonly name: string; readonly file: string }[] = [
  { name: "hexbolt", file: "engine/index" },
  { name: "hexbolt/images", file: "images/index" },
  { name: "hexbolt/images/conformance", file: "images/conformance" },
  { name: "hexbolt/testing", file: "engine/testing" },
];

/** How to make the page anew: in its head, and in the message of the test that holds it. */
export const REFERENCE_COMMAND = "npm run build && node dist/test/docs/write-reference.js";

/** One exported name. */
interface Declaration {
  readonly name: string;
  readonly kind: string;
  /** Without members: those of classes and interfaces are listed one by one. */
  readonly signatures: readonly string[];
  readonly description: string;
  readonly members: readonly Member[];
}

interface Member {
  readonly signature: string;
  readonly description: string;
}

/** Gives the whole page. */
export function referencePage(): string {
  const lines = [
    "# Reference", "",
    `Made from the docstrings by \`${REFERENCE_COMMAND}\`; a test holds it up to date. [The API page](api.md) tells the same as a story, [the guide](guide/README.md) by examples.`,
  ];
  for (const { name, file } of ENTRY_POINTS) {
    lines.push("", `## \`${name}\``);
    for (const declaration of exportsOf(file).sort((a, b) => (a.name < b.name ? -1 : 1))) lines.push("", ...render(declaration));
  }
  return `${lines.join("\n")}\n`;
}

function declarationFile(file: string): string {
  return readFileSync(join(repositoryRoot, "dist", `${file}.d.ts`), "utf8");
}

/** Follows the exports of an entry point to where each is declared, and adds what it declares itself. */
function exportsOf(file: string): Declaration[] {
  const text = declarationFile(file);
  const found = [...text.matchAll(/^export (?:type )?\{([^}]*)\} from "(.+)\.js";/gm)].flatMap(([, names = "", target = ""]) => {
    const source = declarationFile(join(dirname(file), target));
    return names.split(",").map((name) => name.trim().replace(/^type /, "")).filter((name) => name !== "").map((name) => declarationOf(source, name));
  });
  const own = [...text.matchAll(/^export (?:declare )?(?:abstract )?(?:function|class|const|interface|type) (\w+)/gm)].map(([, name = ""]) => name);
  return [...found, ...[...new Set(own)].map((name) => declarationOf(text, name))];
}

function declarationOf(text: string, name: string): Declaration {
  const lines = text.split("\n");
  const pattern = new RegExp(`^export (?:declare )?(?:abstract )?(function|class|const|interface|type) ${name}\\b`);
  const starts = lines.flatMap((line, i) => (pattern.test(line) ? [i] : []));
  const [first] = starts;
  if (first === undefined) throw new Error(`the declaration of ${name} is not found`);
  const kind = pattern.exec(lines[first]!)![1]!;
  const hasMembers = (kind === "class" || kind === "interface") && lines[first]!.endsWith("{");
  return {
    name,
    kind,
    signatures: starts.map((start) => (hasMembers ? lines[start]!.slice(0, -1).trim() : wholeStatement(lines, start, ""))).map((line) => line.replace(/^export (?:declare )?/, "")),
    description: describe(commentBefore(lines, first)),
    members: hasMembers ? membersOf(lines, first + 1) : [],
  };
}

/** Joins the lines of a declaration up to where its braces are closed. */
function wholeStatement(lines: readonly string[], start: number, indent: string): string {
  let end = start;
  while (!lines[end]!.endsWith(";") || (end > start && !lines[end]!.startsWith(`${indent}}`) && lines[start]!.endsWith("{"))) {
    if (++end === lines.length) throw new Error(`no end of: ${lines[start]}`);
    // An interface ends with a bare brace.
    if (lines[end] === `${indent}}`) break;
  }
  return lines.slice(start, end + 1).map((line, i) => (i === 0 ? line.trimStart() : line)).join("\n");
}

/** The lines of the comment that ends right before a line. */
function commentBefore(lines: readonly string[], at: number): string[] {
  if (!lines[at - 1]?.trimEnd().endsWith("*/")) return [];
  let start = at - 1;
  while (!lines[start]!.trimStart().startsWith("/**")) start--;
  return lines.slice(start, at).map((line) => line.trim().replace(/^\/\*\*/, "").replace(/\*\/$/, "").replace(/^\* ?/, "").trim()).filter((line) => line !== "");
}

/** One paragraph: the text, then what the tags say. */
function describe(comment: readonly string[]): string {
  const text = comment.join(" ")
    .replace(/@throws\b/g, "**Throws**").replace(/@returns\b/g, "**Returns**").replace(/@see\b/g, "**See**").replace(/@param ([\w.]+)/g, "**`$1`**:");
  return text.split(/(`[^`]*`)/).map((part, i) => (i % 2 === 0 ? part.replaceAll("<", "&lt;") : part)).join("").trim();
}

function membersOf(lines: readonly string[], start: number): Member[] {
  const members: Member[] = [];
  for (let i = start; lines[i] !== undefined && lines[i] !== "}"; i++) {
    const line = lines[i]!;
    if (!/^ {4}[^\s*/]/.test(line)) continue;
    const statement = wholeStatement(lines, i, "    ");
    i += statement.split("\n").length - 1;
    const comment = commentBefore(lines, i - statement.split("\n").length + 1);
    const isHidden = /^(?:#private|private |set )/.test(statement) || comment.some((text) => text.includes("@internal"));
    if (!isHidden) members.push({ signature: memberSignature(statement, lines), description: describe(comment) });
  }
  return members;
}

/** On one line; an accessor as the property that it looks like. */
function memberSignature(statement: string, lines: readonly string[]): string {
  const signature = statement.replace(/;$/, "").replace(/\s+/g, " ");
  const accessor = /^get (\w+)\(\)/.exec(signature)?.[1];
  if (accessor === undefined) return signature;
  const canBeSet = lines.some((line) => line.startsWith(`    set ${accessor}(`));
  return signature.replace(/^get (\w+)\(\)/, canBeSet ? "$1" : "readonly $1");
}

function render({ kind, members, name, signatures, description }: Declaration): string[] {
  const lines = [`### ${name}`, ""];
  if (kind === "class" || kind === "interface") lines.push(`${kind}${description === "" ? "" : `. ${description}`}`);
  else lines.push(...(description === "" ? [] : [description, ""]), "```ts signatures", ...signatures, "```");
  if (kind === "interface" && / extends /.test(signatures[0]!)) lines.push("", "```ts signatures", ...signatures, "```");
  if (members.length > 0) lines.push("", ...members.map((member) => `- \`${member.signature}\`${member.description === "" ? "" : ` — ${member.description}`}`));
  return lines;
}
