/**
 * Reads one module that the compiler has written, as far as joining needs it: what it imports, what it exports, which names it has at its top level.
 *
 * It knows the modules of this project, not the language: every import and export must be one of a few forms, else the module is refused. Statements
 * at the top level begin in column 0 and nothing else does, outside strings and comments: so the compiler writes.
 */

/** A change of the text: so many characters from `at` on give way to `text`. */
export interface Edit {
  readonly at: number;
  readonly length: number;
  readonly text: string;
}

/** A name that is imported from a module, and what it is called here; `*` is the whole module. */
export interface Binding {
  readonly name: string;
  readonly local: string;
}

/** An import or re-export of a whole module or of names in it; those of a re-export are exported as `local`. */
export interface Import {
  /** A module of the project as its path from the output folder on; or `node:…`. */
  readonly from: string;
  readonly bindings: readonly Binding[];
  readonly isReexport: boolean;
  /** The statement. */
  readonly at: number;
  readonly length: number;
  /** The specifier with its quotes. */
  readonly specifier: Edit;
}

/** What is known of a module. */
export interface Module {
  /** From the output folder on, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
  /** Names that are declared here and exported. */
  readonly exports: readonly string[];
  /** Names that are declared at the top level, exported or not. */
  readonly declared: readonly string[];
  /** The `export` of declarations. */
  readonly exportWords: readonly Edit[];
  /** Specifiers of dynamic imports, as paths from the output folder on. */
  readonly dynamicImports: readonly (Edit & { readonly from: string })[];
  /** Each `import.meta.url`. */
  readonly ownUrls: readonly Edit[];
  /** What a reader needs, who has the source map, and a machine does not: comments and indentation. They go. */
  readonly fillers: readonly Edit[];
}

/** A module's text as reading it needs it. */
export interface Bare {
  /** The text with blanks for comments and for the inside of strings, templates and regular expressions. Lengths, line breaks and quotes stay. */
  readonly bare: string;
  readonly fillers: readonly Edit[];
}

const TOKEN = /\/\/[^\n]*|\/\*[^]*?\*\/|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[\w$#]+|\s+|[^]/y;
const TEMPLATE_PART = /(?:[^`\\$]|\\[^]|\$(?!\{))*(?:`|\$\{)/y;
const REGULAR_EXPRESSION = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
/** After these a slash divides; after anything else a regular expression begins. */
const OPERAND_END = /^(?:[)\]}"'`]|(?!(?:return|typeof|case|of|in|await|yield|void|else|do)$)[\w$#]+$)/;

function blank(text: string): string {
  return text.replace(/[^\n]/g, " ");
}

/** Tells code from what only looks like it. @throws Error when braces or templates do not end */
export function bareText(text: string): Bare {
  const fillers: Edit[] = [];
  let bare = "";
  let before = "";
  const open: ("{" | "${")[] = [];
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = bare.length;
    return pattern.exec(text)?.[0];
  };
  while (bare.length < text.length) {
    let token = take(TOKEN) ?? "";
    if (token === "{") open.push("{");
    let isTemplate = token === "`";
    if (token === "}") {
      const opener = open.pop();
      if (opener === undefined) throw new Error("a brace is closed that was not opened");
      isTemplate = opener === "${";
    }
    if (isTemplate) {
      bare += token;
      token = take(TEMPLATE_PART) ?? "";
      if (token === "") throw new Error("a template has no end");
      const isHole = token.endsWith("${");
      if (isHole) open.push("${");
      bare += blank(token.slice(0, isHole ? -2 : -1)) + (isHole ? "${" : "`");
      before = isHole ? "{" : "`";
    } else if (/^(?:\s|\/[/*])/.test(token)) {
      // Spaces behind the last line break of a token are indentation: it begins in code, not in a template.
      const indentation = token.startsWith("/") ? token.length : token.length - token.lastIndexOf("\n") - 1;
      if (token.startsWith("/")) fillers.push({ at: bare.length, length: token.length, text: "" });
      else if (indentation > 0 && indentation < token.length) fillers.push({ at: bare.length + token.length - indentation, length: indentation, text: "" });
      bare += blank(token);
    } else {
      if (token === "/" && !OPERAND_END.test(before)) token = take(REGULAR_EXPRESSION) ?? token;
      bare += /^["'/]./.test(token) ? token[0]! + blank(token.slice(1, -1)) + token.at(-1)! : token;
      before = token;
    }
  }
  if (open.length > 0) throw new Error("a brace is not closed");
  return { bare, fillers };
}

const IMPORT_FROM = /^(import|export)(?: \{([\w\s,$]*)\}| \* as ([\w$]+)| ([\w$]+)) from "( *)";$/;
const DECLARATION = /^(export )?(?:(?:async )?function\*? ?|class |const |let )([\w$]+)(?=[\s(=;{])/;

/** What the compiler declares for itself, several at once. */
const HELPERS = /^var ([\w$]+(?:, [\w$]+)*)(?=;| =)/;

/** A path from the output folder on: of the module that `specifier` names in the module `path`. */
function resolve(path: string, specifier: string): string {
  return specifier.startsWith(".") ? new URL(specifier, `file:///${path}`).pathname.slice(1) : specifier;
}

function bindingsOf(names: string | undefined, whole: string | undefined, standard: string | undefined): Binding[] {
  if (whole !== undefined) return [{ name: "*", local: whole }];
  if (standard !== undefined) return [{ name: "default", local: standard }];
  return (names ?? "").split(",").map((part) => part.trim()).filter((part) => part !== "").map((part) => {
    const [name = "", local = name] = part.split(/\s+as\s+/);
    return { name, local };
  });
}

/** The statements that begin in column 0: where, and their text without comments and strings. */
function* statements(bare: string): Generator<{ readonly at: number; readonly code: string }> {
  for (const { 0: word, index: at } of bare.matchAll(/^[^\s})\]`][\w$]*/gm)) {
    const end = word === "import" || word === "export" ? bare.indexOf(";", at) + 1 : 0;
    const lineEnd = bare.indexOf("\n", at);
    yield { at, code: bare.slice(at, Math.max(end, lineEnd < 0 ? bare.length : lineEnd)) };
  }
}

/** Whether a declaration goes on with a second name: behind a comma outside all brackets. */
function hasSecondName(bare: string, at: number): boolean {
  let depth = 0;
  for (const [character] of bare.slice(at).matchAll(/[([{,;)\]}]/g)) {
    if ("([{".includes(character)) depth++;
    else if (")]}".includes(character)) depth--;
    else if (depth === 0) return character === ",";
  }
  return false;
}

/** Reads a module. @param path from the output folder on @throws Error for what joining does not understand */
export function readModule(path: string, text: string): Module {
  const { bare, fillers } = bareText(text);
  const module = { path, text, fillers, imports: new Array<Import>(), exports: new Array<string>(), declared: new Array<string>(), exportWords: new Array<Edit>() };
  for (const { at, code } of statements(bare)) {
    const from = IMPORT_FROM.exec(code.split(";", 1)[0] + ";");
    const declaration = DECLARATION.exec(code);
    if (from !== null) {
      const [statement, word, names, whole, standard, gap = ""] = from;
      const specifierAt = at + statement.length - gap.length - 3;
      const specifier = text.slice(specifierAt + 1, specifierAt + 1 + gap.length);
      module.imports.push({
        from: resolve(path, specifier), bindings: bindingsOf(names, whole, standard), isReexport: word === "export", at, length: statement.length,
        specifier: { at: specifierAt, length: gap.length + 2, text: "" },
      });
      if (word === "export" && whole !== undefined) throw new Error(`${path} re-exports a whole module: ${statement}`);
    } else if (declaration !== null && !(/\b(?:const|let) /.test(declaration[0]) && hasSecondName(bare, at))) {
      const [, exportWord, name = ""] = declaration;
      module.declared.push(name);
      if (exportWord === undefined) continue;
      module.exports.push(name);
      module.exportWords.push({ at, length: exportWord.length, text: "" });
    } else if (HELPERS.test(code)) {
      module.declared.push(...HELPERS.exec(code)?.[1]?.split(", ") ?? []);
    } else if (/^export \{\s*\};/.test(code)) {
      module.exportWords.push({ at, length: code.indexOf(";") + 1, text: "" });
    } else if (/^(?:import|export|const|let|var|function|async|class)\b(?!\.)/.test(code)) {
      throw new Error(`${path} has a statement at its top level that cannot be joined: ${text.slice(at, at + 80).split("\n", 1)[0]}`);
    }
  }
  return { ...module, ...placesOf(path, text, bare) };
}

/** What depends on the place of the file: dynamic imports and the module's own URL. */
function placesOf(path: string, text: string, bare: string): Pick<Module, "dynamicImports" | "ownUrls"> {
  const dynamicImports = [...bare.matchAll(/\bimport\((.*?)\)/g)].map(({ 0: call, 1: argument = "", index }) => {
    const at = index + "import(".length;
    const specifier = text.slice(at, at + argument.length);
    if (!/^"[^"]+"$/.test(specifier)) throw new Error(`${path} imports what only running it tells: ${call}`);
    return { at, length: argument.length, text: "", from: resolve(path, specifier.slice(1, -1)) };
  });
  const ownUrls = [...bare.matchAll(/\bimport\.meta\b(\.url\b)?/g)].map(({ 0: found, 1: url, index }) => {
    if (url === undefined) throw new Error(`${path} asks for more of import.meta than its URL`);
    return { at: index, length: found.length, text: "" };
  });
  return { dynamicImports, ownUrls };
}
