/** Mutants of engine/pager: syncs, the order of a commit, quarantine, readers, recovery, the making of a file. */
import type { Mutant } from "./mutant.js";

const FILE = "engine/pager/pager.ts";
const STEPS = "engine/pager/commit-steps.ts";
const FREELIST = "engine/pager/freelist.ts";
const FREELIST_ENCODER = "engine/pager/freelist-encoder.ts";
const METAS = "engine/pager/meta-pages.ts";
const RECOVERY = "engine/pager/recovery.ts";
const CACHE = "engine/pager/page-cache.ts";
const INDEXES = "engine/pager/key-indexes.ts";
const OVERFLOW = "engine/pager/overflow-pages.ts";
const SET = "engine/pager/page-set.ts";

export const pagerMutants: readonly Mutant[] = [
  {
    name: "no sync of a commit's pages", file: STEPS,
    find: 'if (durability === "two-sync" || ranges === undefined) steps.push(SYNC);', replace: "",
    harm: "after a power cut the newest meta leads to pages that are not there", tests: ["crash/crash"],
  },
  {
    name: "no sync of the meta page", file: STEPS,
    find: 'steps.push(meta, SYNC);', replace: "steps.push(meta);",
    harm: "a power cut takes back an acknowledged commit", tests: ["crash/crash"],
  },
  {
    name: "one sync always", file: STEPS,
    find: 'if (durability === "two-sync" || ranges === undefined)', replace: "if (ranges === undefined)",
    harm: "other programs open a commit of which pages are missing", tests: ["crash/crash"],
  },
  {
    name: "a new file whose last sync failed keeps its second meta page", file: "engine/pager/meta-pages.ts",
    find: "    quietly(() => storage.write([page.fill(0)], pageSize));\n", replace: "",
    harm: "the first commit goes over the only meta page that the disk has", tests: ["engine/pager/meta-pages"],
  },
  {
    name: "the first commit trusts what opening found", file: FILE,
    find: "pager.#isDurable = isNew || isDurable;", replace: "pager.#isDurable = true;",
    harm: "after a killed process and a power cut pages of an acknowledged commit are missing, and nobody notices",
    tests: ["engine/pager/recovery", "crash/crash"],
  },
  {
    name: "a close mark speaks for the other meta page, too", file: RECOVERY,
    find: "isClosed && isOwnState(older, newest)", replace: "isClosed",
    harm: "where the undoing of a failed commit was not durable, the next commit writes over its pages while the disk has its meta",
    tests: ["engine/pager/recovery"],
  },
  {
    name: "the page that undoes a failed commit is not written again", file: FILE,
    find: "if (!isOwnState(decodeMeta(page, 0), this.meta))", replace: "if (page.length === 0)",
    harm: "where a failed sync dropped it, the next commit writes over the failed one's pages while the disk has its meta", tests: ["engine/pager/recovery"],
  },
  {
    name: "the other meta page is written again whatever it holds", file: FILE,
    find: "if (!isOwnState(decodeMeta(page, 0), this.meta)) steps", replace: "steps",
    harm: "where the newest meta never reached the disk, a power cut meanwhile takes back an acknowledged commit", tests: ["engine/pager/recovery"],
  },
  {
    name: "the meta before the pages", file: STEPS,
    find: "  return steps;\n", replace: '  return steps.sort((a, b) => Number(b.kind === "meta") - Number(a.kind === "meta"));\n',
    harm: "after a power cut the newest meta leads to pages that are not there", tests: ["crash/crash"],
  },
  {
    name: "a sync that was begun counts as the sync of the pages", file: STEPS,
    find: 'ranges === undefined) steps.push(SYNC);', replace: 'ranges === undefined) steps.push({ kind: "startSync" });',
    harm: "the meta may be durable before the pages are", tests: ["crash/crash"],
  },
  {
    name: "the meta over the newest one", file: STEPS,
    find: "position: metaPageOf(txid)", replace: "position: metaPageOf(txid - 1n)",
    harm: "a power cut while the meta is written leaves the state before the last, or none", tests: ["crash/crash"],
  },
  {
    name: "the file does not grow", file: STEPS,
    find: 'grownSize === undefined ? [] : [{ kind: "truncate", size: grownSize }]', replace: "grownSize === undefined ? [] : []",
    harm: "the file ends before the high-water mark: Go dies reading it", tests: ["engine/pager/growth", "engine/db/growth", "engine/tx/commit"],
  },
  {
    name: "no quarantine when a file is opened", file: "engine/pager/stored-freelist.ts",
    find: "return (ids) => without(ids, freeBefore, meta.highWaterMark);", replace: "return (ids) => without(ids, freeBefore, 0);",
    harm: "the first commit overwrites the state before the last: a bad meta then loses everything", tests: ["crash/crash"],
  },
  {
    name: "no quarantine when a file without a stored freelist is opened", file: "engine/pager/stored-freelist.ts",
    find: "return (ids) => ids.filter((pgid) => reachable.has(pgid));", replace: "return (ids) => ids.filter(() => reachable === undefined);",
    harm: "as before, with noFreelistSync", tests: ["crash/crash"],
  },
  {
    name: "a failed sync does not poison", file: FILE,
    find: 'if (failure.step.kind === "sync") this.#poisonWith(failure.cause);', replace: "",
    harm: "later commits are acknowledged on top of pages that the system has dropped", tests: ["engine/faults"],
  },
  {
    name: "the meta of a failed commit stays", file: FILE,
    find: "if (this.#isMetaWritten) this.#restoreMeta(failure.cause);", replace: "",
    harm: "a commit that was reported as failed is there after reopening", tests: ["engine/faults"],
  },
  {
    name: "the restored meta is not synced", file: FILE,
    find: "if (!this.options.noSync) this.storage.sync();\n    } catch {", replace: "} catch {",
    harm: "a commit that was reported as failed comes back with a power cut", tests: ["engine/faults", "engine/isolation"],
  },
  {
    name: "a rollback keeps the freelist's changes", file: FILE,
    find: "    this.freelist.rollback();\n", replace: "",
    harm: "pages are lost, or given out while they are in use", tests: ["engine/isolation", "engine/tx/ending"],
  },
  {
    name: "readers are never forgotten", file: FILE,
    find: "this.freelist.removeReader(snapshot.serial);", replace: "void snapshot;",
    harm: "after the first reader the file grows for ever", tests: ["engine/db/shrink", "engine/db/growth"],
  },
  {
    name: "a file that was cut is not noticed", file: FILE,
    find: "if (size < this.#fileSize) throw corrupt(", replace: "if (size < 0) throw corrupt(",
    harm: "commits go into a file whose other pages are gone", tests: ["engine/under-us"],
  },
  {
    name: "transaction ids wrap around", file: FILE,
    find: "if (this.meta.txid === MAX_TXID) throw", replace: "if (this.meta.txid > MAX_TXID) throw",
    harm: "the commit after transaction 2^64 - 1 is lost at the next opening", tests: ["fuzz/found"],
  },
  {
    name: "freed pages are used one transaction too early", file: FREELIST,
    find: "const QUARANTINE = 2;", replace: "const QUARANTINE = 1;",
    harm: "a power cut leaves no whole state where the newest meta is torn", tests: ["engine/pager/freelist", "crash/crash"],
  },
  {
    name: "freed pages are free at once", file: FREELIST,
    find: "if (this.#freed.length > 0) this.#quarantine.push({ serial, pgids: this.#freed });",
    replace: "for (const pgid of this.#freed) if (this.#pending.delete(pgid)) this.#free.add(pgid);",
    harm: "the next commit overwrites the state that a power cut goes back to, and what readers read", tests: ["engine/pager/freelist"],
  },
  {
    name: "readers hold no pages", file: FREELIST,
    find: "if (reader < allocatedBy) {", replace: "if (reader < allocatedBy || reader >= 0) {",
    harm: "an open reader sees pages of later transactions", tests: ["engine/isolation"],
  },
  {
    name: "pages wait for the wrong reader", file: FREELIST,
    find: "if (this.#readerSerials[middle]! < serial) low = middle + 1;", replace: "if (this.#readerSerials[middle]! <= serial) low = middle + 1;",
    harm: "pages wait for readers that cannot see them, and not for those that can", tests: ["engine/pager/freelist", "engine/isolation"],
  },
  {
    name: "pages taken at the high-water mark are not noted", file: FREELIST,
    find: "      this.#allocatedBy.set(grownFrom, grownTo, serial);\n", replace: "",
    harm: "with a reader open every commit makes the file larger", tests: ["engine/pager/freelist", "engine/db/growth"],
  },
  {
    name: "a rollback keeps what it was handed out", file: FREELIST,
    find: "for (const runs of [this.#allocated, this.#cut]) {", replace: "for (const runs of [this.#cut]) {",
    harm: "each rollback loses pages", tests: ["engine/isolation", "engine/pager/freelist"],
  },
  {
    name: "a rollback keeps what was given up", file: FREELIST,
    find: "for (const pgid of this.#freed) this.#pending.delete(pgid);", replace: "",
    harm: "pages in use are stored as free", tests: ["engine/pager/freelist", "engine/isolation"],
  },
  {
    name: "the stored freelist leaves out pages that wait", file: FREELIST_ENCODER,
    find: "free.writeUnion(pending, ", replace: "free.writeUnion(free, ",
    harm: "after reopening pages are neither in use nor free", tests: ["engine/pager/freelist"],
  },
  {
    name: "a commit that failed leaves its freelist for the next one to go on from", file: FREELIST_ENCODER,
    find: "  rollback(): void {\n    this.#next = undefined;", replace: "  rollback(): void {\n    this.commit();",
    harm: "pages in use are stored as free", tests: ["engine/pager/freelist"],
  },
  {
    name: "the freelist before last is written over too early", file: FREELIST_ENCODER,
    find: "this.#spare = this.#stored?.memory;", replace: "this.#spare = this.#next?.memory;",
    harm: "the next freelist is copied from itself", tests: ["engine/pager/freelist"],
  },
  {
    name: "pages cut from the end of the file stay in the freelist that is made from the one before", file: FREELIST,
    find: "[...this.#allocated, ...this.#cut]", replace: "[...this.#allocated]",
    harm: "the next transaction is handed pages that the file does not have", tests: ["engine/pager/freelist"],
  },
  {
    name: "the freelist lists what is added where the last change was", file: FREELIST_ENCODER,
    find: "if (from === stored.length || readU64(stored, from) >= id) return from;", replace: "if (from === stored.length || readU64(stored, from) >= 0) return from;",
    harm: "the list is not in order, and Go refuses the file or hands pages out twice", tests: ["engine/pager/freelist-encoder"],
  },
  {
    name: "pages that wait after opening are free as well", file: FREELIST,
    find: "this.#free.addAscending(without(ids, waiting))", replace: "this.#free.addAscending(ids)",
    harm: "the first commit overwrites the state before the last", tests: ["engine/pager/freelist"],
  },
  {
    name: "runs of pages that were free on opening are not found", file: SET,
    find: "      chunk.noneBefore.fill(0);\n", replace: "",
    harm: "free pages are never used: the file grows", tests: ["engine/pager/page-set"],
  },
  {
    name: "a page is given up twice", file: FREELIST,
    find: 'if (this.#free.has(id) || !this.#pending.add(id)) throw corrupt(id, "already freed");', replace: "this.#pending.add(id);",
    harm: "in a damaged file one page is handed out for two purposes", tests: ["engine/pager/freelist", "engine/hostile"],
  },
  {
    name: "runs of free pages are taken one too short", file: SET,
    find: "if (before + head >= length) return w * 32 - before;", replace: "if (before + head + 1 >= length) return w * 32 - before;",
    harm: "a large value overwrites the page behind its place", tests: ["engine/pager/page-set", "engine/pager/freelist"],
  },
  {
    name: "runs of free pages are not found again", file: SET,
    find: "if (end - start >= RUN_SIZES[size]! && start < chunk.noneBefore[size]!) chunk.noneBefore[size] = start;", replace: "",
    harm: "free pages are never used: the file grows", tests: ["engine/pager/page-set", "engine/pager/freelist"],
  },
  {
    name: "the first sector of a file that is finished is not made durable", file: METAS,
    find: "if (storage.size() <= SECTOR_SIZE) {\n    storage", replace: "if (storage.size() < SECTOR_SIZE) {\n    storage",
    harm: "a power cut leaves a file that cannot be opened, or takes it away", tests: ["engine/pager/meta-pages", "engine/storage/file-sync"],
  },
  {
    name: "a new file without its first sync", file: METAS,
    find: "0n)], 0);\n    storage.sync();", replace: "0n)], 0);",
    harm: "a power cut leaves a file that cannot be opened", tests: ["crash/crash", "engine/pager/meta-pages"],
  },
  {
    name: "a new file without its second sync", file: METAS,
    find: "storage.write([pages], FREELIST_PAGE * pageSize);\n  storage.sync();", replace: "storage.write([pages], FREELIST_PAGE * pageSize);",
    harm: "a power cut leaves a file whose root page is missing", tests: ["crash/crash", "engine/pager/meta-pages"],
  },
  {
    name: "a half made file is not finished", file: METAS,
    find: 'return typeof meta0 !== "string" && typeof meta1 === "string" && meta0.txid === 0n', replace: 'return typeof meta0 !== "string" && typeof meta1 !== "string" && meta0.txid === 0n',
    harm: "a power cut while a file is made leaves one that cannot be opened", tests: ["crash/crash", "engine/pager/meta-pages"],
  },
  {
    name: "the older meta counts", file: METAS,
    find: "(a.txid > b.txid ? -1 : 1)", replace: "(a.txid > b.txid ? 1 : -1)",
    harm: "reopening goes back a transaction", tests: ["engine/pager/meta-pages", "engine/fixtures"],
  },
  {
    name: "meta 1 is looked for in files of small pages only", file: METAS,
    find: "pageSize <= LARGEST_READABLE_PAGE_SIZE; pageSize *= 2", replace: "pageSize <= 4096; pageSize *= 2",
    harm: "a file of 16 KiB pages with a damaged first meta is refused", tests: ["engine/pager/meta-pages"],
  },
  {
    name: "manifests are not compared", file: RECOVERY,
    find: 'return pagesMatch(storage, pageSize, manifest) ? undefined : "pages that it wrote are not there";', replace: "return undefined;",
    harm: "after a disk has lied the newest commit is opened, with pages missing", tests: ["crash/crash", "engine/pager/recovery"],
  },
  {
    name: "a torn manifest counts as none", file: RECOVERY,
    find: 'if (manifest === "torn" && pgid === metaPageOf(txid)) return "its meta page is not whole";', replace: "",
    harm: "with one sync a commit is trusted of which nobody knows whether it is whole", tests: ["engine/pager/torn-manifest"],
  },
  {
    name: "the sum of a commit's pages is not compared", file: RECOVERY,
    find: "return crc === pagesCrc;", replace: "return crc === pagesCrc || storage.size() > 0;",
    harm: "a commit whose pages are stale is taken for whole", tests: ["engine/pager/recovery", "crash/crash"],
  },
  {
    name: "a meta is believed beyond the end of the file", file: RECOVERY,
    find: "if (meta.highWaterMark * meta.pageSize > fileSize) {", replace: "if (meta.highWaterMark * meta.pageSize < 0 * fileSize) {",
    harm: "a truncated file is opened and fails much later", tests: ["engine/fixtures"],
  },
  {
    name: "a run inside of a word is taken one too short", file: SET,
    find: "starts &= starts >>> step;\n    covered += step;", replace: "starts &= starts >>> step;\n    covered += step + 1;",
    harm: "a large value overwrites the page behind its place", tests: ["engine/pager/page-set", "engine/pager/freelist"],
  },
  {
    name: "a key index that moves leaves its words behind", file: INDEXES,
    find: "if (from !== 0) index.copyWithin(at, from, from + index[from - 1]!);", replace: "",
    harm: "after a put into a page, keys of the page that are there are not found", tests: ["engine/pager/key-indexes", "engine/tree/leaf-edit"],
  },
  {
    name: "two key indexes in one place", file: INDEXES,
    find: "this.#ends[slab] = at - 1 + size;", replace: "this.#ends[slab] = at;",
    harm: "keys are looked for in another page's index", tests: ["engine/pager/key-indexes"],
  },
  {
    name: "key indexes may grow beyond the cache's limit", file: CACHE,
    find: "if (this.memorySize > this.#capacity) this.#giveBackExcess();", replace: "",
    harm: "the process takes a quarter more memory than it was told", tests: ["engine/pager/page-cache"],
  },
  {
    name: "a large page takes the frames of a whole slab", file: CACHE,
    find: "this.#newSlab(bytes, 1, LARGE)", replace: "this.#newSlab(bytes, this.#slotCount, LARGE)",
    harm: "many values of a few pages take twice their memory, and end the process at last", tests: ["engine/pager/large-pages"],
  },
  {
    name: "memory of a large page whose value nobody read remembers it", file: CACHE,
    find: "      this.#overflowPages.forget(this.slabBytes[slab]!);\n", replace: "",
    harm: "the end of an old value is written over a new one in memory, and into the file", tests: ["engine/pager/overflow-pages"],
  },
  {
    name: "a large value's key may be beyond the first page", file: OVERFLOW,
    find: "keyEnd <= pageSize && ", replace: "",
    harm: "keys are compared with memory that holds anything", tests: ["engine/pager/overflow-pages"],
  },
  {
    name: "smaller values are left out, too", file: OVERFLOW,
    find: "LEAF_VALUE_SIZE) >= pageSize;", replace: "LEAF_VALUE_SIZE) >= pageSize / 2;",
    harm: "values end in memory that holds anything", tests: ["engine/pager/overflow-pages"],
  },
  {
    name: "pinned pages are evicted", file: "engine/pager/frames.ts",
    find: "if (this.pgid(frame) === EMPTY || state & PINNED) return NO_FRAME;", replace: "if (this.pgid(frame) === EMPTY) return NO_FRAME;",
    harm: "a large transaction writes other pages' bytes", tests: ["engine/pager/page-cache", "engine/pager/large-pages"],
  },
  {
    name: "frames with views into them are used again", file: CACHE,
    find: "if ((state & ESCAPED) === 0) this.#freeFrames.push(frame);", replace: "if ((state & ESCAPED) >= 0) this.#freeFrames.push(frame);",
    harm: "a view changes while its transaction is open", tests: ["engine/pager/page-cache", "engine/reads"],
  },
  {
    name: "a changed page keeps what stood behind its data", file: CACHE,
    find: "if ((this.#frames.state(frame) & ENCODED) === 0) this.slabBytes[frame >>> this.frameBits]!.fill(0, start + size, start + this.pageSize);", replace: "void [start, size];",
    harm: "bytes of other pages get into the file behind a page's end", tests: ["engine/pager/page-cache", "engine/tree/leaf-edit"],
  },
  {
    name: "maxSize is ignored", file: "engine/pager/growth.ts",
    find: "if (needed > maxSize) throw", replace: "if (needed < 0) throw",
    harm: "the file outgrows the limit that was set", tests: ["engine/pager/growth"],
  },
  {
    name: "live read does not look whether the writer moved on", file: "engine/pager/meta-watch.ts",
    find: "return this.#seen.equals(this.#noted);", replace: "return true;",
    harm: "a live reader mixes pages of two states", tests: ["engine/pager/meta-watch"],
  },
  {
    name: "live read does not ask whether metas that cannot be true have moved", file: "engine/pager/pager.ts",
    find: "        watch.requireUnmoved();\n", replace: "",
    harm: "a sound file is called damaged", tests: ["engine/live-read-moves"],
  },
  {
    name: "after a failed sync the next one says that all is durable", file: "engine/pager/pager.ts",
    find: "  sync(): void {\n    this.#requireUnpoisoned();\n", replace: "  sync(): void {\n",
    harm: "what the system has forgotten is reported as durable", tests: ["engine/faults"],
  },
  {
    name: "a live reader watches the metas alone", file: "engine/format/manifest.ts",
    find: "export const WATCHED_SIZE = 128;", replace: "export const WATCHED_SIZE = 80;",
    harm: "a snapshot of a commit that failed goes on in the one that follows it", tests: ["engine/live-read-moves"],
  },
  {
    name: "a transaction begins however little room the stack has", file: "engine/pager/pager.ts",
    find: "    requireStack();\n", replace: "",
    harm: "deep in a recursion the writer's place is taken for ever", tests: ["engine/full-stack"],
  },
  {
    name: "a file that was emptied is marked as closed", file: "engine/pager/pager.ts",
    find: "      if (this.storage.size() < this.#fileSize) return;\n", replace: "",
    harm: "the file cannot be made a database again", tests: ["engine/db/closing"],
  },
];
