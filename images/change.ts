/**
 * containerd's update: a field mask says which parts of an image take new values. Pure; every store that
 * can change an image uses it, so that they all mean the same.
 *
 * @see containerd metadata/images.go, imageStore.Update
 */
import { invalid, quote } from "./errors.js";
import { makeDescriptor, makeImage } from "./make.js";
import { requireRecord, validateStrings } from "./validate.js";
import type { Descriptor, Image, ImageChange } from "./types.js";

type Strings = Readonly<Record<string, string>>;

/**
 * Gives the image after the change; the times are left to the store.
 * @throws ImagesError INVALID for a field that cannot be changed; TypeError for labels or annotations that are no object
 */
export function applyChange(image: Image, change: ImageChange): Image {
  requireRecord("labels", change.labels);
  requireRecord("annotations", change.target?.annotations);
  let { target, labels }: { target: Descriptor; labels?: Strings } = image;
  if (change.fields.length === 0) ({ target, labels } = change);
  for (const field of change.fields) {
    if (field === "labels") {
      labels = change.labels;
    } else if (field.startsWith("labels.")) {
      const key = field.slice("labels.".length);
      // Also of an entry that is taken away, of which nothing would be left to check.
      validateStrings("labels", { [key]: "" });
      labels = withEntry(labels, key, change.labels);
    } else if (field === "target") {
      // A target is replaced whole: a new size with an old digest would be nobody's content.
      target = change.target;
    } else if (field === "annotations") {
      target = withAnnotations(target, change.target.annotations);
    } else if (field.startsWith("annotations.")) {
      const key = field.slice("annotations.".length);
      target = withAnnotations(target, withEntry(target.annotations, key, change.target.annotations));
    } else {
      throw invalid(`cannot update field ${quote(field)} of image ${quote(image.name)}`);
    }
  }
  return makeImage(image.name, target, labels, image.createdAt, image.updatedAt);
}

/** Gives the image as it is stored: with its times, and without empty label and annotation values, which containerd does not store. */
export function stamped(image: Image, createdAt: Date | undefined, updatedAt: Date = new Date()): Image {
  const { labels, name, target } = image;
  return makeImage(name, withAnnotations(target, filled(target.annotations)), filled(labels), createdAt ?? updatedAt, updatedAt);
}

/** Without the empty values; undefined when nothing is left. */
export function filled(strings: Strings | undefined): Strings | undefined {
  const entries = Object.entries(strings ?? {}).filter(([, value]) => value !== "");
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function withAnnotations(target: Descriptor, annotations: Strings | undefined): Descriptor {
  return makeDescriptor(target.mediaType, target.digest, target.size, annotations);
}

/** Takes one entry over; a key without a value in `from` is taken away, as an empty value is. */
function withEntry(strings: Strings | undefined, key: string, from: Strings | undefined): Strings {
  const value = from !== undefined && Object.hasOwn(from, key) ? from[key] : undefined;
  const entries = Object.entries(strings ?? {}).filter(([name]) => name !== key);
  if (value !== undefined && value !== "") entries.push([key, value]);
  return Object.fromEntries(entries);
}
