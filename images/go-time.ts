/**
 * Go's binary form of a time, in which containerd stores `createdat` and `updatedat`: version 1, seconds since the
 * year 1 (i64, big-endian), nanoseconds (u32), zone offset in minutes (i16, -1 = UTC): 15 bytes. Version 2 adds a byte
 * of zone seconds. A Date keeps milliseconds, so times are cut down to them when read.
 *
 * @see Go time, Time.MarshalBinary
 */

/** Seconds from the first of January of the year 1 to that of 1970. */
const EPOCH_SECONDS = 62_135_596_800n;

/** Tells whether a time is Go's zero time, which stands for one that was never set. */
export function isGoZeroTime(time: Date): boolean {
  return time.getTime() === -1000 * Number(EPOCH_SECONDS);
}

/** Encodes a time in UTC. @throws RangeError for an invalid Date */
export function encodeGoTime(time: Date): Buffer {
  const milliseconds = time.getTime();
  if (Number.isNaN(milliseconds)) throw new RangeError("an invalid Date cannot be stored");
  const seconds = Math.floor(milliseconds / 1000);
  const bytes = Buffer.alloc(15);
  bytes.writeUInt8(1, 0);
  bytes.writeBigInt64BE(BigInt(seconds) + EPOCH_SECONDS, 1);
  bytes.writeUInt32BE((milliseconds - seconds * 1000) * 1_000_000, 9);
  bytes.writeInt16BE(-1, 13);
  return bytes;
}

/**
 * Decodes a time.
 * @returns undefined when the bytes are no time or lie outside what a Date holds
 */
export function decodeGoTime(bytes: Uint8Array): Date | undefined {
  const version = bytes[0];
  if (!(version === 1 && bytes.length === 15) && !(version === 2 && bytes.length === 16)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const seconds = Number(view.getBigInt64(1) - EPOCH_SECONDS);
  const nanoseconds = view.getUint32(9);
  if (nanoseconds >= 1_000_000_000) return undefined;
  const time = new Date(seconds * 1000 + Math.floor(nanoseconds / 1_000_000));
  return Number.isNaN(time.getTime()) ? undefined : time;
}
