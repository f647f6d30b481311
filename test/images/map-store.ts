/** A plain image store in a Map: the least that `ImageStore` asks for, to serve and to compare with. */
import { ImageNotFoundError, throwIfGivenUp } from "../../images/errors.js";
import { ownStrings } from "../../images/own.js";
import { narrow } from "../../images/varint.js";
import { validateImage, validateText } from "../../images/validate.js";
import type { CallOptions, Descriptor, Image, ImageStore, PutOptions } from "../../images/types.js";

/** Images in memory; every call waits a turn of the event loop, as one with real work would. */
export class MapImageStore implements ImageStore {
  readonly #images = new Map<string, Image>();

  async put(name: string, target: Descriptor, options?: PutOptions): Promise<void> {
    const { digest, mediaType, size } = target;
    const labels = ownStrings(options?.labels);
    await turn(options);
    validateImage(name, { mediaType, digest, size }, labels);
    const image = { name, target: { mediaType, digest, size: narrow(BigInt(size)) } };
    this.#images.set(name, labels === undefined ? image : { ...image, labels });
  }

  async get(name: string, options?: CallOptions): Promise<Image> {
    await turn(options);
    const image = this.#images.get(name);
    if (image === undefined) throw new ImageNotFoundError(`image ${name}: not found`);
    return structuredClone(image);
  }

  async list(options?: CallOptions): Promise<Image[]> {
    await turn(options);
    return structuredClone([...this.#images.values()]).sort((left, right) => Buffer.compare(Buffer.from(left.name), Buffer.from(right.name)));
  }

  async delete(name: string, options?: CallOptions): Promise<void> {
    await turn(options);
    validateText(name);
    if (!this.#images.delete(name)) throw new ImageNotFoundError(`image ${name}: not found`);
  }
}

async function turn(options: CallOptions | undefined): Promise<void> {
  throwIfGivenUp(options?.signal);
  await new Promise((resolve) => { setImmediate(resolve); });
}
