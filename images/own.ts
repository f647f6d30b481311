/**
 * A caller's objects as they are when the call is made, for use after it has waited: the caller may have changed them by then. A value of the wrong kind is
 * kept as it is, to be refused later.
 */
import { isRecord } from "./validate.js";
import type { DeleteOptions, Descriptor, Image, ImageChange, PutOptions } from "./types.js";

/** Copies a descriptor. */
export function ownTarget(target: Descriptor): Descriptor {
  if (typeof target !== "object" || target === null) return target;
  const { annotations, digest, mediaType, size } = target;
  return { mediaType, digest, size, ...(annotations === undefined ? {} : { annotations: ownStrings(annotations) }) };
}

/** Copies what is to be written with an image. */
export function ownPut(options: Pick<PutOptions, "labels"> | undefined): Pick<Image, "labels"> {
  return options?.labels === undefined ? {} : { labels: ownStrings(options.labels) };
}

/** Copies a change. */
export function ownChange(change: ImageChange): ImageChange {
  if (typeof change !== "object" || change === null) return change;
  const { fields, target } = change;
  return { ...ownPut(change), target: ownTarget(target), fields: Array.isArray(fields) ? [...fields] : fields };
}

/** Copies the condition of a delete. */
export function ownDelete(options: DeleteOptions | undefined): Pick<DeleteOptions, "digest"> {
  return options?.digest === undefined ? {} : { digest: options.digest };
}

function ownStrings(strings: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return isRecord(strings) ? { ...strings } : strings;
}
