/** What the bytes of a value may be: text, JSON, a number, a time. The viewer shows all that fit. */
import { decodeGoTime } from "../../images/go-time.js";
import { decodeVarint } from "../../images/varint.js";
import { hex, utf8Text } from "./go-text.js";

/** The forms in which a value can be shown; what it cannot be is undefined. */
interface Interpretation {
  readonly size: number;
  /** The first bytes. */
  readonly hex: string;
  readonly isCut: boolean;
  readonly text: string | undefined;
  /** Indented. */
  readonly json: string | undefined;
  readonly varint: string | undefined;
  readonly goTime: string | undefined;
  readonly uint64?: string;
  readonly uint64le?: string;
}

/** Bytes of a value that are sent to be shown. */
const SHOWN_SIZE = 65_536;
const MAX_VARINT_SIZE = 10;

/** Interprets a value. */
export function interpret(value: Uint8Array): Interpretation {
  const shown = value.subarray(0, SHOWN_SIZE);
  const isCut = shown.length < value.length;
  const text = isCut ? cutText(shown) : utf8Text(shown);
  const json = isCut || text === undefined ? undefined : jsonOf(text);
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  return {
    size: value.length, hex: hex(shown), isCut, text, json, varint: varintOf(value), goTime: decodeGoTime(value)?.toISOString(),
    ...(value.length === 8 ? { uint64: String(view.getBigUint64(0)), uint64le: String(view.getBigUint64(0, true)) } : {}),
  };
}

/** Text that may end in the middle of a character. */
function cutText(bytes: Uint8Array): string | undefined {
  for (let less = 0; less < 4; less++) {
    const text = utf8Text(bytes.subarray(0, bytes.length - less));
    if (text !== undefined) return text;
  }
  return undefined;
}

function jsonOf(text: string): string | undefined {
  if (!/^\s*[[{"]/.test(text)) return undefined;
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  return indented(text);
}

/** Deeper than anybody reads. The lines of one level are indented by what they are deep: some kilobytes of brackets would be hundreds of megabytes. */
const MAX_DEPTH = 100;

/** Indents JSON as it stands: what comes out of a parser may have other digits, another order, and no second one of a name. */
function indented(json: string): string | undefined {
  let result = "";
  let depth = 0;
  let last = "";
  const newLine = (): string => `\n${"  ".repeat(depth)}`;
  for (const [token] of json.matchAll(JSON_TOKENS)) {
    const isClosing = token === "}" || token === "]";
    const isFirst = last === "{" || last === "[";
    if (isClosing) depth--;
    if (isFirst !== isClosing) result += newLine();
    result += token;
    if (token === ":") result += " ";
    if (token === ",") result += newLine();
    if (token === "{" || token === "[") depth++;
    if (depth > MAX_DEPTH) return undefined;
    last = token;
  }
  return result;
}

/** Strings, punctuation, and what else is not space. */
const JSON_TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g;

/** A varint that the value is from its first byte to its last. */
function varintOf(value: Uint8Array): string | undefined {
  const isOne = value.length > 0 && value.length <= MAX_VARINT_SIZE && value.every((byte, i) => (byte >= 0x80) === (i < value.length - 1));
  const number = isOne ? decodeVarint(value) : undefined;
  return number === undefined ? undefined : String(number);
}
