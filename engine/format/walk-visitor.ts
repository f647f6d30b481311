/**
 * What a walk over the pages of a tree tells, and of what. Visits, ranges, stacks and bytes are the walk's own and change with
 * its next step: a visitor copies what it keeps. Buckets stay.
 */
import type { Pgid } from "./constants.js";

/** A key where it stands; valid during the call that it was given to. */
export interface KeyRange {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly size: number;
}

/** A bucket on the walk. */
export interface WalkedBucket {
  readonly name: Buffer;
  /** undefined: the bucket that the walk started from. */
  readonly parent: WalkedBucket | undefined;
  /** 0: inline. */
  readonly root: Pgid;
  /** Which of its parent's buckets it is, in key order, from 0. */
  readonly ordinal: number;
  /** Levels of its own tree seen so far; all of them once one of its nested buckets is visited. */
  readonly levels: number;
  /** Levels of the trees of the buckets around it, together; final once it is visited. */
  readonly levelsAbove: number;
}

/** A branch or leaf page; valid during the call. */
export interface PageVisit {
  readonly pgid: Pgid;
  readonly isLeaf: boolean;
  /** The page with its overflow pages, unless `needsKeysOnly`; of a broken overflow what can be told to belong to it. */
  readonly bytes: Uint8Array;
  /** Elements that can be looked at: the header's count, 0 when so many do not fit. */
  readonly count: number;
  readonly overflow: number;
  /** Elements whose key lies outside the page. */
  readonly unreadable: ReadonlySet<number> | undefined;
  readonly bucket: WalkedBucket;
  /** Page ids from the bucket's root to this page. */
  readonly stack: readonly Pgid[];
  /** The key of the branch element that led here; undefined for a root, or when it cannot be read. */
  readonly minKey: KeyRange | undefined;
  /** The key that all keys of the page must be below; undefined when there is none. */
  readonly maxKey: KeyRange | undefined;
}

/** An inline bucket inside the leaf `pgid`; valid during the call. */
export interface InlineVisit {
  readonly pgid: Pgid;
  /** The inline page: header, elements, data. */
  readonly bytes: Uint8Array;
  readonly count: number;
  readonly unreadable: ReadonlySet<number> | undefined;
  readonly bucket: WalkedBucket;
  /** Page ids from the root of the bucket around it to the leaf. */
  readonly stack: readonly Pgid[];
}

/** A branch element, before its child is looked at; valid during the call. */
export interface ChildReference {
  readonly child: Pgid;
  readonly index: number;
  readonly key: KeyRange | undefined;
  /** The bounds of the branch page itself. */
  readonly minKey: KeyRange | undefined;
  readonly maxKey: KeyRange | undefined;
  readonly stack: readonly Pgid[];
}

/** Something that cannot be; valid during the call. */
export interface Problem {
  readonly pgid: Pgid;
  readonly fault: string;
  readonly stack: readonly Pgid[];
  /** The page was visited before, and is not visited again. `minKey` is the key that led here this time. */
  readonly again: boolean;
  readonly minKey: KeyRange | undefined;
}

/** What a walk tells. */
export interface WalkVisitor {
  /** Of a leaf that holds one large value, the bytes may end behind the key: who follows references does not have to read all that a file holds. */
  readonly needsKeysOnly?: boolean;
  /** Behind the problems of the page and before its inline buckets and children. */
  readonly page?: (visit: PageVisit) => void;
  readonly inline?: (visit: InlineVisit) => void;
  readonly child?: (reference: ChildReference) => void;
  readonly problem: (problem: Problem) => void;
}
