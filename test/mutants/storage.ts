/** Mutants of engine/storage: short reads and writes, syncs, locks, files that take another's place. */
import type { Mutant } from "./mutant.js";

const FILE = "engine/storage/file-storage.ts";

export const storageMutants: readonly Mutant[] = [
  {
    name: "a short write is ignored", file: "engine/storage/transfer.ts",
    find: "while (!queue.isEmpty) queue.advance(writeOnce(", replace: "if (!queue.isEmpty) queue.advance(writeOnce(",
    harm: "a part of a commit is not in the file", tests: ["engine/storage/transfer"],
  },
  {
    name: "a short asynchronous write is ignored", file: "engine/storage/transfer.ts",
    find: "while (!queue.isEmpty) queue.advance(await", replace: "if (!queue.isEmpty) queue.advance(await",
    harm: "a part of a commit is not in the file", tests: ["engine/storage/transfer"],
  },
  {
    name: "a short read is taken for the whole", file: "engine/storage/transfer.ts",
    find: "if (count === 0) break;\n    done += count;", replace: "done += count;\n    break;",
    harm: "a sound file is called damaged", tests: ["engine/storage/transfer"],
  },
  {
    name: "a write that moves nothing is tried for ever", file: "engine/storage/transfer.ts",
    find: "if (byteCount <= 0) throw", replace: "if (byteCount < 0) throw",
    harm: "the program hangs", tests: ["engine/storage/transfer"],
  },
  {
    name: "sync does not reach the system", file: FILE,
    find: "fdatasyncSync(fd);", replace: "",
    harm: "a power cut takes back acknowledged commits", tests: ["engine/storage/file-sync"],
  },
  {
    name: "the asynchronous sync does not reach the system", file: FILE,
    find: "fdatasync(fd, (error) => (error === null ? resolve() : reject(error)));", replace: "setImmediate(resolve, fd);",
    harm: "a power cut takes back acknowledged commits of updateAsync and batch", tests: ["engine/storage/file-sync"],
  },
  {
    name: "the name of a new file is not made durable", file: FILE,
    find: "    syncFolder(this.#newIn);\n", replace: "",
    harm: "a power cut takes a new database away, with acknowledged commits in it", tests: ["engine/storage/file-sync", "engine/storage/file-storage"],
  },
  {
    name: "a file of one sector passes for one whose name is durable", file: FILE,
    find: "stats.size <= SECTOR_SIZE", replace: "stats.size === 0",
    harm: "a power cut takes away a database whose making had stopped there, with acknowledged commits in it", tests: ["engine/storage/file-sync"],
  },
  {
    name: "every lock is granted", file: FILE,
    find: 'return this.#lockMethod === "none" || tryLock(fd, mode);', replace: 'return this.#lockMethod === "none" || tryLock(fd, mode) || true;',
    harm: "two processes write to one file and destroy it", tests: ["engine/storage/file-lock"],
  },
  {
    name: "a file is closed under its asynchronous writes", file: FILE,
    find: "if (this.#inFlightCount === 0 && this.#descriptor !== undefined) closeSync(", replace: "if (this.#descriptor !== undefined) closeSync(",
    harm: "the rest of a write goes into another file", tests: ["engine/storage/file-storage"],
  },
  {
    name: "syncs are started by the descriptor that the others report to", file: "engine/storage/sync-starter.ts",
    find: "openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY)", replace: "fd",
    harm: "that writing back has failed is told to a call that nobody waits for, and a commit is acknowledged", tests: ["engine/storage/file-storage"],
  },
  {
    name: "a copy is renamed before it is durable", file: "engine/storage/atomic-file.ts",
    find: "    fill(storage);\n    storage.sync();\n", replace: "    fill(storage);\n",
    harm: "after a power cut a half written file stands where a whole one was", tests: ["crash/copies"],
  },
  {
    name: "a backup is renamed before it is durable", file: "engine/storage/atomic-file.ts",
    find: "    await storage.syncAsync();\n", replace: "",
    harm: "after a power cut a half written backup stands where a whole one was", tests: ["crash/copies"],
  },
  {
    name: "the new name of a copy is not made durable", file: "engine/storage/atomic-file.ts",
    find: "() => destination.syncNames());", replace: "() => undefined);",
    harm: "a power cut takes back a backup that was reported as done", tests: ["crash/copies"],
  },
  {
    name: "a failed copy stays under its temporary name", file: "engine/storage/atomic-file.ts",
    find: "  quietly(() => destination.remove());\n", replace: "",
    harm: "failed backups fill the disk", tests: ["engine/db/backup", "engine/db/compact", "engine/tx/copy"],
  },
  {
    name: "a database in use is replaced", file: "engine/storage/atomic-file.ts",
    find: 'if (!present.lock("exclusive")) throw', replace: 'if (!present.lock("exclusive") && path === "") throw',
    harm: "whoever has it open goes on writing to a file without a name", tests: ["engine/db/target"],
  },
  {
    name: "a free name is given by a rename", file: "engine/storage/atomic-file.ts",
    find: "linkSync(this.#temporary, this.path);", replace: "renameSync(this.#temporary, this.path);",
    harm: "a database that is made there in that moment loses its name, and what is committed to it", tests: ["engine/db/target"],
  },
  {
    name: "a file is unlocked before it is replaced", file: "engine/storage/atomic-file.ts",
    find: 'if (process.platform === "win32") present?.close();', replace: "present?.close();",
    harm: "who waits for its lock commits to a file that loses its name", tests: ["engine/db/target"],
  },
  {
    name: "threads write copies under one temporary name", file: "engine/storage/atomic-file.ts",
    find: "`${kept}.${randomUUID().slice(0, 13)}.tmp`", replace: "`${kept}.${process.pid}.tmp`",
    harm: "half of a copy gets the name of a whole one", tests: ["engine/storage/atomic-file"],
  },
  {
    name: "descriptors of syncs under way are not counted", file: "engine/storage/sync-starter.ts",
    find: "    else SyncStarter.#leftOpenCount++;", replace: "",
    harm: "a loop that opens, writes and closes runs out of descriptors", tests: ["engine/db/closing"],
  },
];
