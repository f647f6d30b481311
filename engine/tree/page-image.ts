/**
 * A changed page that stays one page, its bytes in a frame of the writer's: at commit it only gets its page id, and a branch those of its changed
 * children. What has to be cut, merged or removed is a Node instead (node.ts); `nodeOfImage` makes one of an image.
 */
import { compareBytes, readU32, writeU64 } from "../base/bytes.js";
import { BRANCH_CHILD, BRANCH_KEY_SIZE, BRANCH_POS, LEAF_KEY_SIZE, LEAF_POS, PAGE_ID, type Pgid } from "../format/constants.js";
import { elementAt } from "../format/page-index.js";
import type { Arena } from "./arena.js";
import { decodeBranch, decodeLeaf, type Node } from "./node.js";
import type { Pages } from "./pages.js";
import { pageElementCount, pageIsBranch } from "./search.js";

const NO_CHILDREN: ReadonlyMap<number, PageImage> = new Map();

/** A changed page that stays one. */
export class PageImage {
  readonly pages: Pages;
  readonly frame: number;
  /** Of a branch: the changed children, by element. */
  readonly children: ReadonlyMap<number, PageImage>;
  readonly pageCount = 1;
  /** Set when the pages are allocated. */
  pgid: Pgid = 0;

  constructor(pages: Pages, frame: number, children: ReadonlyMap<number, PageImage> = NO_CHILDREN) {
    this.pages = pages;
    this.frame = frame;
    this.children = children;
  }

  get isBranch(): boolean {
    return pageIsBranch(this.pages, this.frame);
  }

  get bytes(): Uint8Array {
    return this.pages.slabBytes[this.frame >>> this.pages.frameBits]!;
  }

  /** Where the first key stands in `bytes`. */
  get firstKeyStart(): number {
    const element = elementAt(this.pages.pageStart(this.frame), 0);
    return element + readU32(this.bytes, element + (this.isBranch ? BRANCH_POS : LEAF_POS));
  }

  get firstKeySize(): number {
    return readU32(this.bytes, elementAt(this.pages.pageStart(this.frame), 0) + (this.isBranch ? BRANCH_KEY_SIZE : LEAF_KEY_SIZE));
  }

  /** Whether the key of element `i` of a branch page is the first key of this page. */
  hasFirstKey(branch: number, i: number): boolean {
    const { pages } = this;
    const bytes = pages.slabBytes[branch >>> pages.frameBits]!;
    const element = elementAt(pages.pageStart(branch), i);
    const start = element + readU32(bytes, element + BRANCH_POS);
    return compareBytes(bytes, start, readU32(bytes, element + BRANCH_KEY_SIZE), this.bytes, this.firstKeyStart, this.firstKeySize) === 0;
  }

  /** Writes the page ids into the page: its own and those of the children. */
  complete(): void {
    const { bytes } = this;
    const page = this.pages.pageStart(this.frame);
    writeU64(bytes, page + PAGE_ID, this.pgid);
    for (const [i, { pgid }] of this.children) writeU64(bytes, elementAt(page, i) + BRANCH_CHILD, pgid);
  }
}

/** Makes a node of an image, its children those of the image. The image's frame stays as it is, for the node points into it. */
export function nodeOfImage(arena: Arena, { pages, frame, bytes, children }: PageImage): Node {
  const source = arena.slabSource(frame >>> pages.frameBits, bytes);
  const count = pageElementCount(pages, frame);
  if (!pageIsBranch(pages, frame)) return decodeLeaf(arena, source, bytes, pages.pageStart(frame), count);
  const node = decodeBranch(arena, source, bytes, pages.pageStart(frame), count);
  node.children = new Array<PageImage | undefined>(count).fill(undefined);
  for (const [i, child] of children) node.children[i] = child;
  return node;
}
