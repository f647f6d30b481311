/**
 * A caller's objects as they are when the call is made, for use after it has waited: the caller may have changed them by then. A value of the wrong kind is
 * kept as it is, to be refused later.
 */
import { makeDescriptor } from "./make.js";
import { isRecord } from "./validate.js";
import type { Descriptor, ImageChange } from "./types.js";

type Strings = Readonly<Record<string, string>>;

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

/** Copies labels or annotations. */
export function ownStrings(strings: Strings | undefined): Strings | undefined {
  return isRecord(strings) ? { ...strings } : strings;
}
