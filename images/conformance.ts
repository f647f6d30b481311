/**
 * `hexbolt/images/conformance`: the one suite that every `ImageStore` passes, on node:test. Give it a way to make an empty
 * store; it registers its tests under the store's name.
 *
 * ```ts
 * imageStoreConformance({ name: "mine", create: async () => ({ store: new MyStore(), close: async () => {} }) });
 * ```
 */
import { describe, it } from "node:test";
import { conformanceCases } from "./conformance-cases.js";
import type { ImageStore } from "./types.js";

/** What is to be tested. */
export interface ConformanceOptions {
  /** Heads the tests. */
  readonly name: string;
  /** Makes an empty store; `close` runs when a test is over. */
  readonly create: () => Promise<{ readonly store: ImageStore; readonly close: () => Promise<void> }>;
  /** The store takes any int64 size, any digest and media type, as the early layout does. Default false: containerd's rules. */
  readonly anyDescriptor?: boolean | undefined;
  /** The store keeps labels and times, and has `create`, `update`, filters and conditional deletes. Default false. */
  readonly editable?: boolean | undefined;
  /**
   * Behind the store is a containerd before 1.7: `sourceDateEpoch` means nothing to it, and the digest of a conditional delete is checked beforehand.
   * Default false.
   */
  readonly formerContainerd?: boolean | undefined;
  /** Rules the random test; printed with it. */
  readonly seed?: number | undefined;
  /** Operations in the random test; default 150. */
  readonly operations?: number | undefined;
  /** A reason to skip the suite. */
  readonly skip?: string | false | undefined;
}

/** Registers the suite. */
export function imageStoreConformance(options: ConformanceOptions): void {
  describe(`image store: ${options.name}`, { skip: options.skip ?? false }, () => {
    for (const { name, test } of conformanceCases(options)) {
      it(name, async () => {
        const { store, close } = await options.create();
        try {
          await test(store);
        } finally {
          await close();
        }
      });
    }
  });
}
