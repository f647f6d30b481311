/** Source maps, as far as joining needs them: the mappings of compiled modules are read, moved, and written into one map. */

/** A source map, version 3, as the compiler writes it. */
export interface SourceMap {
  readonly version: 3;
  readonly file: string;
  readonly sources: readonly string[];
  readonly sourcesContent?: readonly string[];
  readonly names: readonly string[];
  readonly mappings: string;
}

/** A place in the output, or with four numbers and more also where it comes from: column, source, line, column, name. All count from 0. */
export type Segment = readonly number[];

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const DIGIT_BITS = 5;
const MORE = 1 << DIGIT_BITS;

/** Reads mappings into the segments of each output line, all numbers absolute. */
export function decodeMappings(mappings: string): Segment[][] {
  const last = [0, 0, 0, 0, 0];
  return mappings.split(";").map((line) => {
    last[0] = 0;
    return line === "" ? [] : line.split(",").map((segment) => decodeNumbers(segment).map((delta, field) => (last[field] = last[field]! + delta)));
  });
}

function decodeNumbers(text: string): number[] {
  const numbers: number[] = [];
  let value = 0;
  let shift = 0;
  for (const character of text) {
    const digit = DIGITS.indexOf(character);
    if (digit < 0) throw new Error(`no digit of a source map: ${character}`);
    value |= (digit & (MORE - 1)) << shift;
    shift += DIGIT_BITS;
    if ((digit & MORE) !== 0) continue;
    numbers.push((value & 1) === 0 ? value >> 1 : -(value >> 1));
    value = shift = 0;
  }
  return numbers;
}

function encodeNumber(number: number): string {
  let rest = number < 0 ? (-number << 1) | 1 : number << 1;
  let text = "";
  do {
    const digit = rest & (MORE - 1);
    rest >>>= DIGIT_BITS;
    text += DIGITS[rest > 0 ? digit | MORE : digit]!;
  } while (rest > 0);
  return text;
}

/** Makes a map, output line by output line. */
export class MapWriter {
  readonly #sources: string[] = [];
  readonly #contents: string[] = [];
  readonly #names: string[] = [];
  readonly #lines: string[] = [];
  readonly #last: number[] = [0, 0, 0, 0, 0];

  /** Takes the sources of a map in. @returns a function that adds a line with segments of that map */
  from(map: SourceMap, pathOf: (source: string) => string): (segments: readonly Segment[]) => void {
    const firstSource = this.#sources.length;
    const firstName = this.#names.length;
    if (map.sourcesContent?.length !== map.sources.length) throw new Error(`${map.file}: its source map does not carry its sources`);
    this.#sources.push(...map.sources.map(pathOf));
    this.#contents.push(...map.sourcesContent);
    this.#names.push(...map.names);
    return (segments) => this.#add(segments.map(([column = 0, source, line = 0, sourceColumn = 0, name]) =>
      source === undefined ? [column] : [column, source + firstSource, line, sourceColumn, ...(name === undefined ? [] : [name + firstName])]));
  }

  /** Adds lines that come from no source. */
  skip(lineCount: number): void {
    for (let i = 0; i < lineCount; i++) this.#add([]);
  }

  #add(segments: readonly Segment[]): void {
    this.#last[0] = 0;
    this.#lines.push(segments.map((segment) => segment.map((value, field) => {
      const delta = value - this.#last[field]!;
      this.#last[field] = value;
      return encodeNumber(delta);
    }).join("")).join(","));
  }

  /** The map's text. */
  toString(file: string): string {
    const map: SourceMap = { version: 3, file, sources: this.#sources, sourcesContent: this.#contents, names: this.#names, mappings: this.#lines.join(";") };
    return JSON.stringify(map);
  }
}
