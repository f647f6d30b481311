/**
 * Go's binary form of a time, in which containerd stores `createdat` and `updatedat`: version 1, seconds since the
 * year 1 (i64, big-endian), nanoseconds (u32), zone offset in minutes (i16, -1 = UTC): 15 bytes. Version 2 adds a byte
 * of zone seconds. A Date keeps milliseconds, so times are cut down to them when read.
 *
 * Also the text form in which a label says when a lease ends.
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

/** An hour may have one digit, a comma may stand before the fraction: Go takes both. */
const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d{1,2}):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))$/;

/**
 * Parses a time as Go's `time.Parse(time.RFC3339, text)` does. (Before Go 1.20 it also took offsets of 99 hours and a fraction without its second.)
 * @returns milliseconds since 1970, what is below one cut off; undefined for a text that Go refuses
 * @see Go time/format.go, parse
 */
export function parseGoRfc3339(text: string): number | undefined {
  const parts = RFC_3339.exec(text);
  if (parts === null) return undefined;
  const numberAt = (index: number): number => Number(parts[index] ?? 0);
  const [year, month, day, hour, minute, second] = [numberAt(1), numberAt(2), numberAt(3), numberAt(4), numberAt(5), numberAt(6)];
  const [zoneHours, zoneMinutes] = [numberAt(9), numberAt(10)];
  // People write offsets of 24 hours and of 60 minutes, says Go.
  if (hour > 23 || minute > 59 || second > 59 || zoneHours > 24 || zoneMinutes > 60) return undefined;
  const time = new Date(0);
  // Not Date.UTC, to which the year 99 is 1999.
  time.setUTCFullYear(year, month - 1, day);
  if (time.getUTCMonth() !== month - 1 || time.getUTCDate() !== day) return undefined;
  time.setUTCHours(hour, minute, second, Number((parts[7] ?? "").slice(0, 3).padEnd(3, "0")));
  const offsetMs = (zoneHours * 60 + zoneMinutes) * 60_000;
  return time.getTime() - (parts[8] === "-" ? -offsetMs : offsetMs);
}
