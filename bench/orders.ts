/** Orders of operations, made once and written to a file, so that JavaScript and Go stores run exactly the same ones. */
import { writeFileSync } from "node:fs";
import { mix, xorshift } from "./data.js";
import { isHole } from "./runs/write.js";
import type { Order } from "./workloads.js";

const ZIPF_EXPONENT = 0.99;

/** A small deterministic source of numbers. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = mix(seed) | 1;
  }

  /** A number from 0 to `limit` − 1; the bias of the remainder is below 0.3 % for the sizes used here. */
  below(limit: number): number {
    this.#state = xorshift(this.#state);
    return this.#state % limit;
  }

  fraction(): number {
    this.#state = xorshift(this.#state);
    return this.#state / 0x1_0000_0000;
  }
}

/** Makes twice `operationCount` entry indexes: one sequence to warm up with, one to time; `repeated` has the same in both. `shuffled` gives distinct ones, once. */
export function makeOrder(order: Order, entryCount: number, operationCount: number, seed: number): Uint32Array {
  const random = new Random(seed);
  const length = 2 * operationCount;
  switch (order) {
    case "none":
      return new Uint32Array(0);
    case "uniform":
      return Uint32Array.from({ length }, () => random.below(entryCount));
    case "repeated": {
      const once = Uint32Array.from({ length: operationCount }, () => random.below(entryCount));
      return Uint32Array.from({ length }, (_, at) => once[at % operationCount] ?? 0);
    }
    case "absent":
      return Uint32Array.from({ length }, () => entryCount + random.below(entryCount));
    case "kept":
      return Uint32Array.from({ length }, () => keptIndex(random, entryCount));
    case "shuffled":
      return shuffled(random, entryCount).subarray(0, operationCount);
    case "zipf":
      return zipf(random, entryCount, length);
  }
}

/** Writes an order as little-endian u32. */
export function writeOrder(path: string, indexes: Uint32Array): void {
  const bytes = Buffer.alloc(4 * indexes.length);
  indexes.forEach((index, at) => bytes.writeUInt32LE(index, 4 * at));
  writeFileSync(path, bytes);
}

function keptIndex(random: Random, entryCount: number): number {
  for (;;) {
    const index = random.below(entryCount);
    if (!isHole(index)) return index;
  }
}

function shuffled(random: Random, entryCount: number): Uint32Array {
  const indexes = Uint32Array.from({ length: entryCount }, (_, index) => index);
  for (let last = entryCount - 1; last > 0; last--) {
    const other = random.below(last + 1);
    const held = indexes[last] ?? 0;
    indexes[last] = indexes[other] ?? 0;
    indexes[other] = held;
  }
  return indexes;
}

/**
 * Zipf-distributed ranks by Gray's method, scattered over the key space so that popular keys are no neighbours.
 * @see Gray et al., Quickly Generating Billion-Record Synthetic Databases (1994)
 */
function zipf(random: Random, entryCount: number, length: number): Uint32Array {
  let zeta = 0;
  for (let rank = 1; rank <= entryCount; rank++) zeta += rank ** -ZIPF_EXPONENT;
  const zetaOfTwo = 1 + 0.5 ** ZIPF_EXPONENT;
  const alpha = 1 / (1 - ZIPF_EXPONENT);
  const eta = (1 - (2 / entryCount) ** (1 - ZIPF_EXPONENT)) / (1 - zetaOfTwo / zeta);
  return Uint32Array.from({ length }, () => {
    const fraction = random.fraction();
    const scaled = fraction * zeta;
    const rank = scaled < 1 ? 0 : scaled < zetaOfTwo ? 1 : Math.floor(entryCount * (eta * fraction - eta + 1) ** alpha);
    return mix(Math.min(rank, entryCount - 1)) % entryCount;
  });
}
