/**
 * Images in a store without nested buckets: three entries an image under `v1/images/<name>\0<field>`, in name order.
 * `list` is one scan; the three fields of an image follow each other.
 */
import { decodeVarint, encodeVarint } from "../../images/varint.js";
import type { ImageFields, ImageRecords, MaybePromise, Store } from "./store.js";

const PREFIX = "v1/images/";
const PREFIX_BYTES = PREFIX.length;
const NAME_END = 0;

/** Lays images out in the flat key space of `store`, which holds nothing else. */
export class FlatImages implements ImageRecords {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  put(names: readonly string[], fields: readonly ImageFields[]): MaybePromise<void> {
    const keys: Buffer[] = [];
    const values: Buffer[] = [];
    names.forEach((name, index) => {
      const image = fields[index];
      if (image === undefined) throw new Error("an image without fields");
      keys.push(fieldKey(name, "digest"), fieldKey(name, "mediatype"), fieldKey(name, "size"));
      values.push(Buffer.from(image.digest), Buffer.from(image.mediaType), encodeVarint(image.size));
    });
    return this.#store.write(keys, values);
  }

  get(name: string): ImageFields | undefined {
    const digest = this.#store.get(fieldKey(name, "digest"));
    const mediaType = this.#store.get(fieldKey(name, "mediatype"));
    const size = this.#store.get(fieldKey(name, "size"));
    if (digest === undefined || mediaType === undefined || size === undefined) return undefined;
    return fieldsOf(digest, mediaType, size);
  }

  list(visit: (name: string, fields: ImageFields) => void): MaybePromise<void> {
    let digest: Uint8Array | undefined;
    let mediaType: Uint8Array | undefined;
    return this.#store.scan({ start: undefined, reverse: false, limit: Infinity, views: false }, (key, value) => {
      const nameEnd = key.indexOf(NAME_END, PREFIX_BYTES);
      const field = key[nameEnd + 1];
      if (field === 0x64) digest = value;
      else if (field === 0x6d) mediaType = value;
      else if (digest !== undefined && mediaType !== undefined) {
        visit(asBuffer(key).toString("utf8", PREFIX_BYTES, nameEnd), fieldsOf(digest, mediaType, value));
      }
    });
  }
}

/** The bytes are ASCII: Latin-1 is the fastest way to a string. */
function fieldsOf(digest: Uint8Array, mediaType: Uint8Array, size: Uint8Array): ImageFields {
  const decoded = decodeVarint(size);
  if (decoded === undefined) throw new Error("wrong result: a size that is no varint");
  return { digest: asBuffer(digest).toString("latin1"), mediaType: asBuffer(mediaType).toString("latin1"), size: decoded };
}

function fieldKey(name: string, field: string): Buffer {
  return Buffer.from(`${PREFIX}${name}\0${field}`);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
