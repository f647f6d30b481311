/**
 * A caller's objects as they are when the call is made, for use after it has waited: the caller may have changed them by then. A value of the wrong kind is
 * kept as it is, to be refused later.
 */
import { makeDescriptor } from "./make.js";
import { isRecord } from "./validate.js";
import type { Descriptor, ImageChange, PutOptions } from "./types.js";

type Strings = Readonly<Record<string, string>>;

/** The options of a call that are stored with an image. */
export type StoredOptions = Pick<PutOptions, "labels" | "sourceDateEpoch">;

/** Copies a descriptor. */
export function ownTarget(target: Descriptor): Descriptor {
  if (typeof target !== "object" || target === null) return target;
  const { annotations, digest, mediaType, size } = target;
  return makeDescriptor(mediaType, digest, size, ownStrings(annotations));
}

/** Copies a change. */
export function ownChange(change: ImageChange): ImageChange {
  if (typeof change !== "object" || change === null) return change;
  const { fields, labels, target } = change;
  return { target: ownTarget(target), labels: ownStrings(labels), fields: Array.isArray(fields) ? [...fields] : fields };
}

/** Copies the options that are stored. @throws TypeError for a time that is none */
export function ownStored(options: StoredOptions = {}): StoredOptions {
  return { labels: ownStrings(options.labels), sourceDateEpoch: ownTime(options.sourceDateEpoch) };
}

/** Copies a time. @throws TypeError for one that is none: it could not be refused later, for what it means by then may be a time */
export function ownTime(time: Date | undefined): Date | undefined {
  if (time === undefined) return undefined;
  if (!(time instanceof Date) || Number.isNaN(time.getTime())) throw new TypeError("sourceDateEpoch is a valid Date");
  return new Date(time);
}

/** Copies labels or annotations. */
export function ownStrings(strings: Strings | undefined): Strings | undefined {
  return isRecord(strings) ? { ...strings } : strings;
}
