/** Keys in no order, and numbers drawn at random, the same in every run: for the scripts that measure one thing beside the benchmark. */

/** The key of entry `i`, 16 bytes; one number after the other gives keys all over the tree. */
export function scatteredKey(i) {
  const key = Buffer.alloc(16);
  key.writeUInt32BE(Math.imul(i, 2654435761) >>> 0);
  key.writeUInt32BE(i, 4);
  return key;
}

let seed = 12_345;

/** Draws a number from 0 to `bound` - 1. */
export function below(bound) {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  return Math.floor((seed / 2 ** 32) * bound);
}
