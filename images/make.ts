/** Images and descriptors as stores give them: what there is not is no property, and those there are have the same order everywhere. */
import type { Descriptor, Image } from "./types.js";

type Strings = Readonly<Record<string, string>>;

/** Makes a descriptor. */
export function makeDescriptor(mediaType: string, digest: string, size: number | bigint, annotations?: Strings): Descriptor {
  return annotations === undefined ? { mediaType, digest, size } : { mediaType, digest, size, annotations };
}

/** Makes an image. */
export function makeImage(name: string, target: Descriptor, labels?: Strings, createdAt?: Date, updatedAt?: Date): Image {
  return {
    name,
    target,
    ...(labels === undefined ? {} : { labels }),
    ...(createdAt === undefined ? {} : { createdAt }),
    ...(updatedAt === undefined ? {} : { updatedAt }),
  };
}
