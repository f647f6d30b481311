/** Mutants of engine/tx: commits, buckets, the end of a transaction, check(). */
import type { Mutant } from "./mutant.js";

const COMMIT = "engine/tx/commit.ts";
const PLACEMENT = "engine/pager/placement.ts";
const BUCKET = "engine/tx/bucket-state.ts";

export const txMutants: readonly Mutant[] = [
  {
    name: "the root page of a new bucket is not patched in", file: COMMIT,
    find: "for (const { source, offset, plan } of this.#patches) writeU64(", replace: "for (const { source, offset, plan } of this.#patches.slice(1)) writeU64(",
    harm: "a bucket's content is not reachable", tests: ["engine/tx/commit"],
  },
  {
    name: "the inline limit is forgotten", file: COMMIT,
    find: "root.byteSize > this.#pager.meta.pageSize / MAX_INLINE_FRACTION", replace: "root.byteSize > this.#pager.meta.pageSize",
    harm: "files differ from what Go writes, and pages hold few buckets", tests: ["engine/tx/commit"],
  },
  {
    name: "a bucket inside an inline bucket", file: COMMIT,
    find: "if (root.column(i, FLAGS) === BUCKET_FLAG) return false;", replace: "",
    harm: "Go's check does not see the nested bucket's pages, and its writer loses them", tests: ["engine/tx/commit", "engine/tx/bucket"],
  },
  {
    name: "the old freelist page is not given up", file: COMMIT,
    find: "if (meta.freelist !== undefined) freelist.release(meta.freelist, freelistPageCount);", replace: "",
    harm: "every commit loses a page", tests: ["engine/tx/commit"],
  },
  {
    name: "a page that is kept may be listed as free", file: COMMIT,
    find: 'if (freelist.isFree(id)) throw corrupt(id, "already freed");', replace: 'if (id < 0) throw corrupt(id, "already freed");',
    harm: "in a damaged file the next commits overwrite a value that is in use, and nobody is told", tests: ["engine/tx/large-values"],
  },
  {
    name: "a large page that is kept is given up as well", file: COMMIT,
    find: "if (!isKept) freelist.release(pgid, pageCount);", replace: "if (pageCount > 0) freelist.release(pgid, pageCount);",
    harm: "the next commits overwrite a value that is in use", tests: ["engine/pager/placement"],
  },
  {
    name: "leaves are placed with the branch pages", file: PLACEMENT,
    find: "(page.isBranch || page === root ? upper : leaves)", replace: "upper",
    harm: "branch pages scatter over a large file: twice the writes a commit", tests: ["engine/pager/placement"],
  },
  {
    name: "pages side by side may go beyond maxSize", file: PLACEMENT,
    find: "isShrinking || this.highWaterMark * pageSize * 2 > maxSize", replace: "isShrinking",
    harm: "a commit is refused that fits into the holes of the file", tests: ["engine/pager/placement"],
  },
  {
    name: "a bucket of which the name is not removed is committed", file: BUCKET,
    find: "      this.tree.remove(name, BUCKET_FLAG);\n    });\n  }\n\n  /** Makes a change", replace: "    });\n    this.tree.remove(name, BUCKET_FLAG);\n  }\n\n  /** Makes a change",
    harm: "the name leads to pages that are free, and the next commits overwrite them", tests: ["engine/tx/failed-reads"],
  },
  {
    name: "a new sequence alone is not stored", file: COMMIT,
    find: "if (bucket.isSequenceNew) this.#putHeader(bucket, tree.root, tree.inline);", replace: "",
    harm: "nextSequence gives the same number twice", tests: ["engine/tx/bucket", "engine/tx/commit", "engine/model"],
  },
  {
    name: "a failed commit leaves the transaction in place", file: COMMIT,
    find: "  tx.pager.endWrite({ step, cause });\n", replace: "",
    harm: "after one full disk there is no further write transaction", tests: ["engine/faults"],
  },
  {
    name: "pages behind the old mark are not counted", file: PLACEMENT,
    find: "this.highWaterMark += pageCount;", replace: "this.highWaterMark += 1;",
    harm: "the next commit overwrites the end of a large value", tests: ["engine/tx/commit"],
  },
  {
    name: "an asynchronous write may fail in silence", file: "engine/tx/storing.ts",
    find: 'if (result.status === "rejected") throw new StepError(group[i]!, result.reason);', replace: "void [i, result];",
    harm: "a commit is acknowledged that is not in the file", tests: ["engine/faults", "engine/db/queue"],
  },
  {
    name: "a deleted bucket keeps the pages of its nested buckets", file: BUCKET,
    find: "for (const child of bucket.#childrenToDismantle()) waiting.push(child);", replace: "",
    harm: "deleting a bucket loses pages", tests: ["engine/tx/bucket"],
  },
  {
    name: "a moved bucket forgets what was changed in it", file: BUCKET,
    find: "    target.#noteChild(childId(name), child);\n", replace: "",
    harm: "changes made before a move are lost", tests: ["engine/tx/move"],
  },
  {
    name: "a bucket can be moved into itself", file: BUCKET,
    find: 'if (bucket === child) throw boltError("SAME_BUCKETS"', replace: 'if (bucket === undefined) throw boltError("SAME_BUCKETS"',
    harm: "the bucket and all in it are lost", tests: ["engine/tx/move"],
  },
  {
    name: "handles of a deleted bucket go on writing", file: BUCKET,
    find: "      bucket.isDeleted = true;\n", replace: "",
    harm: "writes are accepted that nobody will find", tests: ["engine/tx/bucket", "engine/misuse"],
  },
  {
    name: "a half deleted bucket is committed", file: BUCKET,
    find: "      this.tx.damage = error as Error;\n", replace: "",
    harm: "in a damaged file pages in use are stored as free", tests: ["engine/tx/half-done"],
  },
  {
    name: "a transaction can be used while it is committed", file: "engine/tx/tx-state.ts",
    find: "if (!this.isOpen || this.isCommitting) throw", replace: "if (!this.isOpen) throw",
    harm: "what is written during an asynchronous commit is lost without an error", tests: ["engine/tx/ending", "engine/misuse"],
  },
  {
    name: "a managed transaction can be committed by hand", file: "engine/tx/tx.ts",
    find: 'if (this.#state.isManaged) throw boltError("TX_MANAGED");\n    this.#state.requireWritable();', replace: "this.#state.requireWritable();",
    harm: "half of an update is committed though its function then throws", tests: ["engine/tx/tx", "engine/tx/ending", "engine/misuse"],
  },
  {
    name: "check() does not look for lost pages", file: "engine/tx/check.ts",
    find: "if (!reachable.has(pgid) && !freed.has(pgid)) yield", replace: "if (!reachable.has(pgid) && !freed.has(pgid) && pgid < 0) yield",
    harm: "lost pages are not reported", tests: ["engine/tx/check"],
  },
  {
    name: "check() does not look for pages that are free and in use", file: "engine/tx/check.ts",
    find: "for (const pgid of freed) if (reachable.has(pgid)) yield", replace: "for (const pgid of freed) if (reachable.has(pgid) && pgid < 0) yield",
    harm: "the worst kind of damage is not reported", tests: ["engine/tx/check"],
  },
  {
    name: "a copy has one meta page", file: "engine/tx/copy.ts",
    find: "meta.txid - 1n }]) encodeMeta(", replace: "meta.txid - 1n }].slice(0, 1)) encodeMeta(",
    harm: "a backup with one damaged sector cannot be opened", tests: ["engine/tx/copy", "engine/db/backup"],
  },
  {
    name: "a cursor steps on a key twice", file: "engine/tx/place.ts",
    find: "return this.cursor.seek(key) && (this.compareKey(key) !== 0 || this.cursor.next());", replace: "return this.cursor.seek(key);",
    harm: "a loop that writes while it walks never ends", tests: ["engine/tx/cursor"],
  },
  {
    name: "neighbours are copied ahead in a write transaction", file: "engine/tx/place.ts",
    find: "if (this.#keepsKey || cursor.frame < 0", replace: "if (cursor.frame < 0",
    harm: "an iterator gives values that were replaced before it came to them", tests: ["engine/tx/copies"],
  },
  {
    name: "elements that share bytes are copied at once", file: "engine/tx/place.ts",
    find: "start >= this.#runEdge && end <= this.#runTo;", replace: "start >= this.#runFrom && end <= this.#runTo;",
    harm: "who changes one copy changes another", tests: ["engine/tx/copies"],
  },
  {
    name: "a scan does not look where its page leaves the range", file: "engine/tx/range.ts",
    find: "this.#cursor.prepareSteps() && this.#isPageInside();", replace: "this.#cursor.prepareSteps();",
    harm: "ranges give keys that are not in them", tests: ["engine/tx/range"],
  },
  {
    name: "an iterator passes over what could not be read", file: "engine/tx/range.ts",
    find: "if (!isCorrupt(error)) scan.stepBack();", replace: "",
    harm: "a walk that goes on after a failed read misses a key", tests: ["engine/tx/failed-reads"],
  },
  {
    name: "a cursor is on a key that it has not shown", file: "engine/tx/cursor.ts",
    find: 'if (!isCorrupt(error)) this.#state = "failed";', replace: "",
    harm: "after a failed read a deletion takes the neighbour of the key that is meant", tests: ["engine/tx/failed-reads"],
  },
  {
    name: "an inline bucket lies beside what callers get", file: "engine/tx/bucket-state.ts",
    find: "copyToKeep(tree.bytes, valueStart, tree.valueSize)", replace: "copyOut(tree.bytes, valueStart, tree.valueSize)",
    harm: "a value that is transferred to another thread takes the pairs beside it out of the next commit", tests: ["engine/tx/transferred"],
  },
  {
    name: "names of buckets lie beside what callers get", file: "engine/tx/bucket-state.ts",
    find: "isOwned ? name : copyToKeep(name, 0, name.length)", replace: "isOwned ? name : copyOut(name, 0, name.length)",
    harm: "after a value was transferred to another thread a commit writes a bucket without a name", tests: ["engine/tx/transferred"],
  },
  {
    name: "cursors keep their key beside what callers get", file: "engine/tx/place.ts",
    find: "this.#key = copyToKeep(bytes, keyStart, keySize);", replace: "this.#key = copyOut(bytes, keyStart, keySize);",
    harm: "after a value was transferred to another thread a cursor deletes nothing, or goes elsewhere", tests: ["engine/tx/transferred"],
  },
  {
    name: "the engine's memory can be transferred", file: "engine/base/memory.ts",
    find: "    markAsUntransferable(memory.buffer);\n", replace: "",
    harm: "a view that is transferred to another thread takes the cache with it", tests: ["engine/base/memory", "engine/tx/transferred"],
  },
  {
    name: "copies lie side by side where there is no pool", file: "engine/base/memory.ts",
    find: "return HAS_POOL && size < Buffer.poolSize >>> 1;", replace: "return size > 0;",
    harm: "a value that is transferred to another thread takes others with it", tests: ["engine/base/memory", "engine/tx/transferred"],
  },
  {
    name: "names of new buckets lie beside what callers get", file: "engine/tx/bucket-state.ts",
    find: "this, copyToKeep(name, 0, name.length), 0n);", replace: "this, copyOut(name, 0, name.length), 0n);",
    harm: "after a value was transferred to another thread a commit writes a bucket without a name", tests: ["engine/tx/transferred"],
  },
  {
    name: "a check goes on when its transaction is over", file: "engine/tx/tx.ts",
    find: "      yield problem;\n      this.#state.requireOpen();\n", replace: "      yield problem;\n",
    harm: "problems are reported that the database does not have", tests: ["engine/tx/ending"],
  },
];
