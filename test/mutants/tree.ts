/** Mutants of engine/tree: search, separators, splitting, merging, changed pages, cursors. */
import type { Mutant } from "./mutant.js";

const REBALANCE = "engine/tree/rebalance.ts";
const SEARCH = "engine/tree/search.ts";
const EDIT = "engine/tree/leaf-edit.ts";

export const treeMutants: readonly Mutant[] = [
  {
    name: "the next page of a walk counts as one that views lead to", file: "engine/tree/tree-cursor.ts",
    find: "    this.pageTicket++;\n    this.isKept = false;", replace: "    this.pageTicket++;",
    harm: "views show another page's bytes once the cache needs room", tests: ["engine/tx/small-cache"],
  },
  {
    name: "a large value is looked at before it is read", file: "engine/tree/pages.ts",
    find: "if (valueSize >= pages.pageSize) pages.complete(bytes);", replace: "if (valueSize > pages.pageSize) pages.complete(bytes);",
    harm: "memory that holds anything is given out as a value", tests: ["engine/tx/large-values"],
  },
  {
    name: "a large value that nobody read is moved as it is in memory", file: REBALANCE,
    find: "if (lonePage !== undefined) this.#pages.complete(this.#arena.sources[lonePage.source]!);", replace: "",
    harm: "memory that holds anything is written as a value", tests: ["engine/tree/rebalance"],
  },
  {
    name: "a large leaf becomes the root as it is in memory", file: REBALANCE,
    find: "    pages.complete(page.bytes);\n", replace: "",
    harm: "memory that holds anything is written as a value", tests: ["engine/tx/large-values"],
  },
  {
    name: "a large value that was replaced counts as kept", file: "engine/tree/spill.ts",
    find: " || node.column(from, SOURCE) !== lonePage.source || node.column(from, OFFSET) !== lonePage.offset", replace: "",
    harm: "the old value comes back with the commit", tests: ["engine/pager/placement", "engine/tree/tree"],
  },
  {
    name: "search goes past a key whose first bytes are equal", file: SEARCH,
    find: "if (index[words + middle]! < word) low = middle + 1;", replace: "if (index[words + middle]! <= word) low = middle + 1;",
    harm: "keys that are there are not found", tests: ["engine/tree/search"],
  },
  {
    name: "search leaves out the last key", file: SEARCH,
    find: "let high = count;", replace: "let high = Math.max(0, count - 1);",
    harm: "the last key of a page is not found, and put twice", tests: ["engine/tree/search"],
  },
  {
    name: "search goes to the child behind", file: SEARCH,
    find: "return foundExact(result) || index === 0 ? index : index - 1;", replace: "return index;",
    harm: "keys are looked for and put in the wrong leaf", tests: ["engine/tree/search"],
  },
  {
    name: "a branch proves something behind its last key", file: SEARCH,
    find: "childOf(result) + 1 < (index[at]! & INDEX_COUNT_MASK)", replace: "childOf(result) + 1 <= (index[at]! & INDEX_COUNT_MASK)",
    harm: "keys that share no prefix with the others are not found", tests: ["engine/tree/proved"],
  },
  {
    name: "what a branch proves is believed of a damaged leaf", file: SEARCH,
    find: "const isEqual = proved === 0 || isBranch ||", replace: "const isEqual = proved >= 0 || isBranch ||",
    harm: "in a damaged file another key's value is given out", tests: ["engine/tree/proved"],
  },
  {
    name: "a changed first key is not told to the parent", file: REBALANCE,
    find: "for (const [i, child] of children) if (!child.hasFirstKey(frame, i)) return undefined;", replace: "",
    harm: "separators are wrong: Go's next write corrupts the file", tests: ["engine/tree/rebalance", "engine/tree/tree", "engine/model"],
  },
  {
    name: "a replaced branch is not given up", file: REBALANCE,
    find: "    this.#releaser.release(pgid, 1);\n", replace: "",
    harm: "every commit loses pages", tests: ["engine/tree/rebalance", "engine/tree/tree", "engine/model"],
  },
  {
    name: "the overflow pages of a replaced leaf are not given up", file: REBALANCE,
    find: "this.#releaser.release(dirty.pgid, dirty.pageCount);", replace: "this.#releaser.release(dirty.pgid, 1);",
    harm: "replaced large values lose pages", tests: ["engine/tree/rebalance", "engine/db/shrink"],
  },
  {
    name: "small pages are never merged", file: REBALANCE,
    find: "return node.shrunk && node.byteSize <=", replace: "return node.shrunk && node.byteSize < 0 *",
    harm: "a file keeps its size whatever is deleted", tests: ["engine/tree/rebalance"],
  },
  {
    name: "a leaf shares with the fuller neighbour", file: REBALANCE,
    find: "      room = size;\n", replace: "",
    harm: "leaves overflow again sooner: more pages are written", tests: ["engine/tree/rebalance"],
  },
  {
    name: "two leaves share although both become full", file: REBALANCE,
    find: "2 * this.#pages.pageSize * MAX_SHARED_FILL", replace: "2 * this.#pages.pageSize",
    harm: "nearly every further put has a leaf share again", tests: ["engine/tree/rebalance"],
  },
  {
    name: "emptied pages stay", file: REBALANCE,
    find: "} else if (child.count === 0) {", replace: "} else if (child.count < 0) {",
    harm: "an empty page in a tree makes Go panic", tests: ["engine/tree/rebalance"],
  },
  {
    name: "a root with one child stays", file: REBALANCE,
    find: "while (root instanceof Node && root.isBranch && root.count <= 1) {", replace: "while (root instanceof Node && root.isBranch && root.count < 1) {",
    harm: "a branch with one child makes Go panic", tests: ["engine/tree/rebalance"],
  },
  {
    name: "merging forgets the children of the branch that goes", file: REBALANCE,
    find: "for (const child of source.children!) target.children!.push(child);", replace: "for (const _ of source.children!) target.children!.push(undefined);",
    harm: "changes below a merged branch are lost", tests: ["engine/tree/rebalance", "engine/tree/tree", "engine/model"],
  },
  {
    name: "a page that nodes point into is not pinned", file: REBALANCE,
    find: "    pages.pin(frame);\n    this.#arena.frames.add(frame);\n", replace: "",
    harm: "a large transaction writes other pages' bytes", tests: ["engine/tx/small-cache"],
  },
  {
    name: "memory of new values goes with the last but one of them", file: "engine/tree/arena.ts",
    find: "if (count === 1) this.#giveUp(source);", replace: "if (count === 1 || count === 2) this.#giveUp(source);",
    harm: "a large transaction that overwrites its own values commits nothing in place of others", tests: ["engine/tree/arena"],
  },
  {
    name: "memory of new values is counted as empty while it is filled", file: "engine/tree/arena.ts",
    find: "      chunk.elementCount++;\n", replace: "",
    harm: "a large transaction loses values that it has put", tests: ["engine/tree/arena"],
  },
  {
    name: "what is likely to be replaced lies beside what stays", file: "engine/tree/arena.ts",
    find: "const chunk = isOverwrite && this.#byteChunkCount > KEPT_CHUNKS ? this.#overwriteChunk : this.#newChunk;", replace: "const chunk = isOverwrite && size < 0 ? this.#overwriteChunk : this.#newChunk;",
    harm: "a transaction that overwrites some values often takes the memory of all that was put", tests: ["engine/tree/arena"],
  },
  {
    name: "fillPercent is ignored", file: "engine/tree/paginate.ts",
    find: "const threshold = Math.floor(pageSize * fill);", replace: "const threshold = Math.floor(pageSize * (fill > 0 ? MAX_FILL_PERCENT : fill));",
    harm: "pages have no room left: every later insertion splits one", tests: ["engine/tree/paginate"],
  },
  {
    name: "a page is closed with one element though two fit", file: "engine/tree/paginate.ts",
    find: "next > (to - from < 2 ? pageSize : threshold)", replace: "next > threshold",
    harm: "values of a quarter of a page and more have a page each: the file is twice as large", tests: ["engine/tree/paginate"],
  },
  {
    name: "a branch page may have one child", file: "engine/tree/paginate.ts",
    find: "const MIN_BRANCH_COUNT = 2;", replace: "const MIN_BRANCH_COUNT = 1;",
    harm: "a branch with one child makes Go panic", tests: ["engine/tree/paginate"],
  },
  {
    name: "a page may be too full by an element header", file: "engine/tree/paginate.ts",
    find: "if (rest <= pageSize && end - from <= MAX_ELEMENT_COUNT) return", replace: "if (rest <= pageSize + PAGE_HEADER_SIZE && end - from <= MAX_ELEMENT_COUNT) return",
    harm: "a page with a few bytes too many takes two", tests: ["engine/tree/paginate"],
  },
  {
    name: "sorted insertion anywhere is taken for the end", file: "engine/tree/tree.ts",
    find: "this.#changes.leaves.set(descent.leaf, leaf);\n    if (descent.rightmost) this.#edge = leaf;", replace: "this.#changes.leaves.set(descent.leaf, leaf);\n    this.#edge = leaf;",
    harm: "keys are put into the wrong leaf and not found again", tests: ["engine/tree/tree", "engine/model"],
  },
  {
    name: "a changed leaf is not known to its branches", file: "engine/tree/tree.ts",
    find: "    this.#registerPath(leaf, this.#changes.branches);\n", replace: "",
    harm: "acknowledged changes are not in the file", tests: ["engine/tree/tree"],
  },
  {
    name: "an inserted key goes behind its place", file: "engine/tree/node.ts",
    find: "if (this.compareKey(middle, key) < 0) low = middle + 1;", replace: "if (this.compareKey(middle, key) <= 0) low = middle + 1;",
    harm: "keys are twice in a page", tests: ["engine/tree/node"],
  },
  {
    name: "a split node keeps its size", file: "engine/tree/node.ts",
    find: "    this.byteSize -= right.byteSize - PAGE_HEADER_SIZE;\n", replace: "",
    harm: "pages are cut in the wrong places", tests: ["engine/tree/node"],
  },
  {
    name: "a view changes with its page", file: "engine/tree/dirty-leaf.ts",
    find: "const isDone = !pages.isEscaped(frame) && (", replace: "const isDone = (",
    harm: "what a transaction was given changes under it", tests: ["engine/tx/half-done"],
  },
  {
    name: "removing leaves the bytes behind", file: EDIT,
    find: "    if (growth < 0) bytes.fill(0, end + growth, end);\n", replace: "",
    harm: "deleted bytes stay in the file, behind the data of their page", tests: ["engine/tree/leaf-edit"],
  },
  {
    name: "an edit takes more than the page has", file: EDIT,
    find: "end + ELEMENT_SIZE + dataSize > page + pages.pageSize) return false;", replace: "end + dataSize > page + pages.pageSize) return false;",
    harm: "an insertion overwrites the next page in memory", tests: ["engine/tree/leaf-edit"],
  },
  {
    name: "the key index does not follow a removal", file: EDIT,
    find: "  index.copyWithin(word, word + 1, at + INDEX_KEYS + count);\n", replace: "",
    harm: "after a deletion keys are not found", tests: ["engine/tree/leaf-edit"],
  },
  {
    name: "a longer value is taken for one like the others", file: EDIT,
    find: "    forgetSizes(index, index[frame & pages.frameMask]!);\n", replace: "",
    harm: "of the keys behind it other bytes are given out, or they are not found", tests: ["engine/tree/leaf-edit", "engine/tree/tree"],
  },
  {
    name: "a new element is taken for one like the others", file: EDIT,
    find: "  if (index[at + INDEX_OVERFLOW] !== sizes) forgetSizes(index, at);\n", replace: "",
    harm: "of the keys behind it other bytes are given out, or they are not found", tests: ["engine/tree/leaf-edit", "engine/tree/tree"],
  },
  {
    name: "values are not compared in size with the first", file: "engine/format/page-index.ts",
    find: " && readU32(bytes, element + LEAF_VALUE_SIZE) === valueSize;", replace: ";",
    harm: "of small values of many sizes other bytes are given out", tests: ["engine/format/page-index", "engine/tree/tree"],
  },
  {
    name: "a child's page id is not written into its branch", file: "engine/tree/page-image.ts",
    find: "for (const [i, { pgid }] of this.children) writeU64(bytes, elementAt(page, i) + BRANCH_CHILD, pgid);", replace: "void elementAt;",
    harm: "acknowledged changes are not reachable", tests: ["engine/tree/tree", "engine/tx/commit"],
  },
  {
    name: "a new separator is the last key of its page", file: "engine/tree/spill.ts",
    find: "node.set(i, child.column(from, SOURCE), child.column(from, OFFSET), child.column(from, KEY_SIZE), 0, 0);",
    replace: "node.set(i, child.column(plan.to - 1, SOURCE), child.column(plan.to - 1, OFFSET), child.column(plan.to - 1, KEY_SIZE), 0, 0);",
    harm: "keys are not found after a split", tests: ["engine/tree/spill"],
  },
  {
    name: "a change that was broken off is not noticed", file: "engine/tree/arena.ts",
    find: "    this.#isChanging = true;\n", replace: "",
    harm: "a stack that overflows in a put leaves a page half changed, and it is committed", tests: ["engine/full-stack"],
  },
  {
    name: "a cursor does not notice changes", file: "engine/tree/tree-cursor.ts",
    find: "return this.#version === this.tree.version;", replace: "return this.#version >= 0;",
    harm: "a cursor skips elements, or gives one twice, when its transaction writes", tests: ["engine/tx/cursor"],
  },
  {
    name: "a cursor in a gap does not notice changes", file: "engine/tree/tree-cursor.ts",
    find: "return this.#version === gapVersion(this.tree.version);", replace: "return this.#version < BROKEN;",
    harm: "a cursor skips elements after a deletion, when something else was put or deleted behind it", tests: ["engine/tx/cursor"],
  },
  {
    name: "a cursor goes back from a gap by one too few", file: "engine/tree/tree-cursor.ts",
    find: "const i = direction > 0 ? this.#index : this.#index - 1;", replace: "const i = direction > 0 ? this.#index : Math.max(0, this.#index - 2);",
    harm: "prev after a deletion passes by an element", tests: ["engine/tx/cursor"],
  },
  {
    name: "a removal at a cursor's place takes a leaf that has become nodes for the page it was", file: "engine/tree/tree-cursor.ts",
    find: "const isSameLeaf = leaf.image === image &&", replace: "const isSameLeaf = true ||",
    harm: "a cursor reads a frame that has been given back", tests: ["engine/tx/cursor"],
  },
  {
    name: "a cursor follows pages in a circle", file: "engine/tree/tree-cursor.ts",
    find: "if (found && hasEdge && this.#edge.compare(", replace: "if (found && hasEdge && this.#count < 0 && this.#edge.compare(",
    harm: "walking a damaged file never ends", tests: ["engine/tree/tree-cursor"],
  },
  {
    name: "a failed move to another leaf leaves its place current", file: "engine/tree/tree-cursor.ts",
    find: "    this.#version = BROKEN;\n    const found", replace: "    const found",
    harm: "a walk that is asked again after a failed read skips a page", tests: ["engine/tx/failed-reads"],
  },
  {
    name: "a leaf that is filled again stays among the emptied ones", file: "engine/tree/tree.ts",
    find: "    noteFilled(leaf);\n", replace: "",
    harm: "a walk passes by what the transaction has put", tests: ["engine/tx/emptied-leaves"],
  },
  {
    name: "a branch with one emptied child is taken for empty", file: "engine/tree/dirty-branch.ts",
    find: "    if (branch.emptied.includes(0)) return;\n", replace: "",
    harm: "a walk passes by pages that were not touched", tests: ["engine/tx/emptied-leaves"],
  },
  {
    name: "an emptied leaf keeps its memory until the commit", file: "engine/tree/dirty-leaf.ts",
    find: "      if (pageElementCount(this.#pages, this.image) === 1) return this.#leaveFrame();\n", replace: "",
    harm: "a transaction that deletes much takes the memory of all of it", tests: ["engine/tree/dirty-leaf"],
  },
  {
    name: "an emptied leaf that is filled again does not become a page", file: "engine/tree/dirty-leaf.ts",
    find: "this.isEmpty && size <= pages.pageSize", replace: "this.isEmpty && size < 0",
    harm: "a key that is deleted and put in turns takes the memory of all its values", tests: ["engine/tree/dirty-leaf"],
  },
  {
    name: "an emptied leaf that has given its frame back goes on using it", file: "engine/tree/dirty-leaf.ts",
    find: "    this.image = NO_IMAGE;\n    this.nodes[0] ??=", replace: "    this.nodes[0] ??=",
    harm: "what is put again is written into the page of another", tests: ["engine/tree/dirty-leaf"],
  },
  {
    name: "the page of a large value that was replaced stays in memory", file: "engine/tree/dirty-leaf.ts",
    find: "    if (this.lonePage !== undefined && this.pageCount > 1) this.#leaveFrame();\n", replace: "",
    harm: "a transaction that overwrites such values takes their memory once more", tests: ["engine/tree/dirty-leaf"],
  },
  {
    name: "memory of a large value that was viewed and replaced serves another page", file: "engine/tree/dirty-leaf.ts",
    find: "      this.#pages.markEscaped(frame);\n", replace: "",
    harm: "a view changes while its transaction is open", tests: ["engine/tx/large-values"],
  },
  {
    name: "a value that is replaced gives up the page of its neighbours", file: "engine/tree/dirty-leaf.ts",
    find: "this.lonePage !== undefined && this.pageCount > 1", replace: "this.pageCount > 0",
    harm: "values that stay are lost", tests: ["engine/tree/dirty-leaf"],
  },
  {
    name: "a leaf that is emptied takes the whole slab along that its page was in", file: "engine/tree/arena.ts",
    find: "(this.#elementCounts.get(source) ?? 0) + 1", replace: "1",
    harm: "keys of neighbours are lost", tests: ["engine/tree/dirty-leaf"],
  },
  {
    name: "a leaf that has become nodes keeps its page when it is emptied", file: "engine/tree/dirty-leaf.ts",
    find: "    else this.#leaveFrame();\n", replace: "",
    harm: "a transaction that deletes what it has viewed takes the memory of all of it", tests: ["engine/tree/dirty-leaf"],
  },
  {
    name: "a leaf that has become nodes becomes a page again", file: "engine/tree/dirty-leaf.ts",
    find: "this.#source < 0 && ", replace: "",
    harm: "a value that grows out of its page and is deleted in turns takes memory with every turn", tests: ["engine/tree/dirty-leaf"],
  },
  {
    name: "a deleted bucket keeps the memory of what was put into it", file: "engine/tx/bucket-state.ts",
    find: "      bucket.tree.forget();\n", replace: "",
    harm: "a bucket that is filled and deleted in turns takes the memory of all its values", tests: ["engine/tx/bucket-state"],
  },
  {
    name: "memory of a large value that was replaced is kept", file: "engine/tree/arena.ts",
    find: "    this.#leafPages.delete(source);\n    this.sources[source] = NOTHING;\n", replace: "    this.#leafPages.delete(source);\n",
    harm: "a transaction that overwrites large values takes the memory of all of them", tests: ["engine/tree/arena"],
  },
  {
    name: "of many elements with equal index words only the first are searched", file: "engine/tree/search.ts",
    find: "  if (high - low === FEW_EQUAL) high = endOfEqual(index, words, high, count, word);\n", replace: "",
    harm: "keys that are there are not found, and are put a second time", tests: ["engine/tree/search"],
  },
];
