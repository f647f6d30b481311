/** What the cases of the conformance suite have in common: how they are gathered, and the images that they are made of. */
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { ImagesError } from "./errors.js";
import type { Descriptor, EditableImageStore, Image, ImageStore } from "./types.js";

/** One case of the suite: it gets an empty store and throws where the store is wrong. */
export interface Case {
  readonly name: string;
  readonly test: (store: ImageStore) => Promise<void>;
}

/** Takes in one case. */
export type Add = (name: string, test: Case["test"]) => void;

const MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json";

/** A descriptor that containerd takes and that its size tells from every other. */
export function descriptor(size: number): Descriptor {
  return { mediaType: MEDIA_TYPE, digest: `sha256:${size.toString(16).padStart(64, "0")}`, size };
}

/** The part of an image that every store keeps. */
export function essence(image: Image): { name: string; target: Descriptor } {
  return { name: image.name, target: image.target };
}

/** The store with the members that it says it has. */
export function editable(store: ImageStore): EditableImageStore {
  assert.ok("create" in store && "update" in store, "the store has create and update");
  return store as EditableImageStore;
}

/** Tells the store's own errors by their code. */
export function hasCode(code: ImagesError["code"]): (error: unknown) => boolean {
  return (error) => error instanceof ImagesError && error.code === code;
}

/** Signals of calls that are over before they begin: why, and what the call's error has as its code and name. */
export const GIVEN_UP: readonly (readonly [why: string, signal: AbortSignal, code: ImagesError["code"], name: string])[] = [
  ["was given up", AbortSignal.abort(), "CANCELLED", "AbortError"],
  ["was out of time", AbortSignal.abort(new DOMException("out of time", "TimeoutError")), "DEADLINE_EXCEEDED", "TimeoutError"],
];

/** Waits until a change has another time than one before, where times are stored in milliseconds. */
export function laterTime(): Promise<void> {
  return setTimeout(5);
}
