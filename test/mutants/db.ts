/** Mutants of engine/db: callbacks, queues, closing, backups, shrinking. */
import type { Mutant } from "./mutant.js";

const FILE = "engine/db/db.ts";

export const dbMutants: readonly Mutant[] = [
  {
    name: "a callback that returns a promise is committed", file: FILE,
    find: "      result = refusePromise(fn(tx));\n    } catch (error) {\n      if (state.isOpen)", replace: "      result = fn(tx);\n    } catch (error) {\n      if (state.isOpen)",
    harm: "half of the work is committed, the rest fails", tests: ["engine/misuse", "engine/db/db"],
  },
  {
    name: "an update whose function throws stays open", file: FILE,
    find: "      if (state.isOpen) this.#rollback(state);\n      throw error;\n    }\n    state.requireOpen();", replace: "      throw error;\n    }\n    state.requireOpen();",
    harm: "there is no further write transaction", tests: ["engine/db/db", "engine/misuse"],
  },
  {
    name: "close rolls back a commit that is on its way", file: FILE,
    find: "for (const state of this.#openTxs.list()) if (state.isOpen && !state.isCommitting) this.#rollback(state);", replace: "for (const state of this.#openTxs.list()) this.#rollback(state);",
    harm: "memory that is being written is used for something else", tests: ["engine/db/queue", "engine/misuse"],
  },
  {
    name: "closeAsync does not wait for batches", file: FILE,
    find: "    await this.#batch.drained();\n", replace: "",
    harm: "calls that were accepted are refused", tests: ["engine/db/queue"],
  },
  {
    name: "a lost commit is not replaced", file: FILE,
    find: "const isLost = this.#pager.recovery?.lostTxid !== undefined;", replace: "const isLost = this.#pager.recovery?.lostTxid === 0n;",
    harm: "other programs still open the commit that is not whole", tests: ["engine/pager/recovery", "crash/crash"],
  },
  {
    name: "going back to an older state is silent", file: "engine/db/events.ts",
    find: "  process.emitWarning(`${path}: went back", replace: "  if (path === \"\") process.emitWarning(`${path}: went back",
    harm: "nobody learns that a commit was lost", tests: ["engine/db/recovery-warning"],
  },
  {
    name: "one failing call fails its batch", file: "engine/db/batch.ts",
    find: "if (failing !== undefined && calls.length > 1) {", replace: "if (failing !== undefined && calls.length < 1) {",
    harm: "callers are told of an error that another one made", tests: ["engine/db/queue"],
  },
  {
    name: "a batch is acknowledged before its commit", file: "engine/db/batch.ts",
    find: "          const result = refusePromise(call.fn(tx));\n", replace: "          const result = refusePromise(call.fn(tx));\n          call.resolve(result);\n",
    harm: "a power cut takes back what a caller was told is durable", tests: ["engine/db/queue", "engine/faults", "engine/misuse"],
  },
  {
    name: "a hook of one call is called for all", file: "engine/db/batch.ts",
    find: "hooks: tx.takeCommitHooks()", replace: "hooks: []",
    harm: "callers whose commit is durable are told that it failed, and make it again", tests: ["engine/db/queue"],
  },
  {
    name: "who waited for a file that lost its name goes on with it", file: "engine/db/opening.ts",
    find: "|| hasItsName(file, path)) return file;", replace: "|| true) return file;",
    harm: "acknowledged commits go to a file without a name", tests: ["engine/db/target"],
  },
  {
    name: "a failing close hides why an opening failed", file: "engine/base/errors.ts",
    find: "    quietly(() => used.close());\n", replace: "    used.close();\n",
    harm: "the error names the disk, and not that the file is no database or in use", tests: ["engine/db/closing", "engine/db/target"],
  },
  {
    name: "a copy may replace its own database", file: "engine/db/target.ts",
    find: "if (own instanceof FileStorage && isAt(own, path)) throw inUse(path);", replace: "",
    harm: "commits after it go to a file without a name", tests: ["engine/db/target"],
  },
  {
    name: "the queue does not wait for a writer that is open", file: "engine/db/writer-queue.ts",
    find: "this.#isWaiting && this.#isFree(); )", replace: "this.#isWaiting; )",
    harm: "queued updates fail with TX_WRITER_BUSY", tests: ["engine/db/queue-turns"],
  },
  {
    name: "a backup is not checked", file: "engine/db/backup.ts",
    find: "  await verifyCopy(storage);\n", replace: "",
    harm: "a damaged database gets a backup that cannot be used", tests: ["engine/db/backup"],
  },
  {
    name: "shrinking cuts off what readers read", file: "engine/db/shrink.ts",
    find: "for (const { highWaterMark } of this.#host.openMetas()) mark = Math.max(mark, highWaterMark);", replace: "",
    harm: "an open reader meets the end of the file", tests: ["engine/db/shrink"],
  },
  {
    name: "shrinking cuts before the older meta knows", file: "engine/db/shrink.ts",
    find: "if (isSettled || commitCount === MAX_SETTLING_COMMITS) return olderMark;", replace: "if (isSettled || commitCount > 0) return pager.meta.highWaterMark;",
    harm: "a file with a torn meta page ends before its pages", tests: ["crash/copies", "engine/db/shrink"],
  },
  {
    name: "shrinking with noSync cuts before anything is durable", file: "engine/db/shrink.ts",
    find: "if (pager.options.noSync) pager.sync();", replace: "",
    harm: "a power cut leaves a file that ends before its pages", tests: ["crash/copies", "engine/db/shrink"],
  },
  {
    name: "a compacted copy loses sequences", file: "engine/db/compact.ts",
    find: "frame.tree.finishBucket(frame.source.sequence)", replace: "frame.tree.finishBucket(0n)",
    harm: "nextSequence gives the same numbers again", tests: ["engine/db/compact"],
  },
  {
    name: "those who wait for the writer's turn are taken last come, first served", file: "engine/db/writer-queue.ts",
    find: "this.#next = this.#behind.reverse();", replace: "this.#next = this.#behind;",
    harm: "changes are made in another order than they were asked for", tests: ["engine/db/queue"],
  },
  {
    name: "functions of a batch run in the context of who came first", file: "engine/base/caller-context.ts",
    find: "context.runInAsyncScope(fn, undefined, argument)", replace: "fn(argument)",
    harm: "what AsyncLocalStorage says of one user is written for another", tests: ["engine/db/queue"],
  },
  {
    name: "close leaves waiting where the one whose turn it is never ends", file: "engine/db/writer-queue.ts",
    find: "    while (this.#isWaiting) void this.#take()();\n", replace: "",
    harm: "calls that can never be made are never told so", tests: ["engine/db/closing"],
  },
  {
    name: "a commit is called failed when the storage cannot be closed behind it", file: FILE,
    find: "quietly(() => this.#pager.close());", replace: "this.#pager.close();",
    harm: "what is durable is done once more", tests: ["engine/db/closing"],
  },
  {
    name: "a batch whose strict check found something forgets its hooks", file: "engine/db/batch.ts",
    find: "        tx.onCommit(() => { isCommitted = true; });\n", replace: "",
    harm: "what was to follow the commit does not, though it stays", tests: ["engine/db/db"],
  },
];
