/**
 * A process that writes to a file until it is killed, what it has said by then, and whether a file holds that.
 *
 * The seed determines what is written, but not how far a process has come by a moment.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { open } from "../../engine/index.js";
import { contentOf } from "../support/content.js";
import { ModelBucket, ModelTx } from "../support/model.js";
import type { Random } from "../support/random.js";
import { rawProblems } from "../support/raw-check.js";
import { BATCH_SIZE, type ChildOrder, countOf, transact } from "./work.js";

/** How long a helper of the lock may outlive the process that has just started it. */
const HELPER_WAIT_MS = 5_000;

/** What a process has said up to a moment. */
export interface Said {
  /** It has had the database open at all. */
  readonly isOpened: boolean;
  /** It had the database open, and so its lock, at its last word. */
  readonly heldLock: boolean;
  /** Transactions that are durable: it committed them, or all of them before. */
  readonly acknowledged: number;
  /** Transactions that it has seen: those, and those that it found when it opened the file. */
  readonly seen: number;
}

/** What a process has said that has not written anything yet. */
export const NOTHING_SAID: Said = { isOpened: false, heldLock: false, acknowledged: 0, seen: 0 };

function saidIn(output: string): Said {
  const lines = output.split("\n").slice(0, -1);
  const acknowledged = Math.max(0, ...lines.filter((line) => /^\d/.test(line)).map(Number));
  const found = Math.max(0, ...lines.filter((line) => line.startsWith("open ")).map((line) => Number(line.slice(5))));
  return { isOpened: lines.length > 0, heldLock: lines.length > 0 && lines.at(-1) !== "closing", acknowledged, seen: Math.max(acknowledged, found) };
}

/** The moment of a kill: so many milliseconds after the process was started or, where it is to get that far, has written so many lines. */
export interface Moment {
  readonly lineCount: number;
  readonly ms: number;
}

/**
 * Any moment of a process's work.
 * @param whileOpening whether it shall be in its beginning
 */
export function momentOf(random: Random, whileOpening: boolean): Moment {
  // As many commits as that on any machine, however slow its disk is; how many more is a matter of time.
  return whileOpening ? { lineCount: 0, ms: 20 + random.below(130) } : { lineCount: 1 + random.below(10), ms: random.below(random.pick([1, 100])) };
}

/**
 * Runs the process and kills it.
 * @param atMoment is called when the moment has come, with what the process, which goes on meanwhile, has said before
 */
export async function runAndKill(order: ChildOrder, { lineCount, ms }: Moment, atMoment?: (said: Said) => void): Promise<Said> {
  const child = spawn(process.execPath, ["--no-warnings", fileURLToPath(new URL("./child.js", import.meta.url)), JSON.stringify(order)], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => { output += text; });
  child.stderr.setEncoding("utf8").on("data", (text: string) => { errors += text; });
  const closed = once(child, "close");
  const hasWritten = new Promise<void>((resolve) => {
    const look = (): void => { if (output.split("\n").length > lineCount) resolve(); };
    child.stdout.on("data", look);
    look();
  });
  await Promise.race([hasWritten, closed]);
  await Promise.race([delay(ms), closed]);
  try {
    atMoment?.(saidIn(output));
  } finally {
    child.kill("SIGKILL");
    await closed;
  }
  assert.equal(child.signalCode, "SIGKILL", `the process ended by itself: ${errors}`);
  return saidIn(output);
}

/** What a file was found to hold. */
export interface Examined {
  /** Transactions that were reported since the last examination. */
  readonly acknowledged: number;
  /** Some of the transactions under way are there. */
  readonly isUnderWayFound: boolean;
  /** A commit whose pages are not there, so that the state before it was opened. */
  readonly lostTxid: bigint | undefined;
  /** How long the lock was still held after its process had died, in milliseconds. */
  readonly lockWaitMs: number;
}

/** One file, and the contents that it may have. */
export class Victim {
  readonly order: ChildOrder;
  /** Transactions that the file last examined held. */
  #count = 0;
  /** Transactions that a process has seen: some of them may have been in the system's memory alone. */
  #seen = 0;
  #model = new ModelBucket();

  constructor(random: Random, path: string) {
    this.order = {
      path, seed: random.below(2 ** 31), manner: random.pick(["update", "updateAsync", "batch"]), pageSize: random.pick([1024, 4096]),
      noFreelistSync: random.below(3) === 0, durability: random.pick(["two-sync", "two-sync", "one-sync"]), reopenEvery: 8 + random.below(60),
    };
  }

  /** Says that there is no file, which is well where nobody has had it open. */
  assertNotMade(said: Said): void {
    assert.ok(!said.isOpened && this.#count === 0, "the file is gone");
  }

  /**
   * Opens the file, which holds every transaction that is durable, of those under way each wholly or not at all, and is sound.
   * @param path where the file lies now
   * @param before what was said before the moment whose file this is
   * @param after what was said in all
   */
  examine(path: string, before: Said, after: Said): Examined {
    const begin = performance.now();
    // A lock that the dead process held is free. One that it was just taking may be held by its helper, for as long as that runs.
    const db = open(path, { timeout: after.heldLock ? 0 : HELPER_WAIT_MS, noFreelistSync: this.order.noFreelistSync });
    const lockWaitMs = after.heldLock ? 0 : performance.now() - begin;
    const lostTxid = db.recovery?.lostTxid;
    const known = this.#count;
    const durable = Math.max(known, before.acknowledged);
    this.#seen = Math.max(this.#seen, known, after.seen);
    try {
      const found = db.view((tx) => countOf(tx));
      const most = this.#seen + (this.order.manner === "batch" ? BATCH_SIZE : 1);
      assert.ok(found >= durable && found <= most, `${durable} transactions were reported, ${found} are there, and there can be ${most}`);
      this.#advance(found);
      db.view((tx) => {
        assert.equal(contentOf(tx).sha256, contentOf(this.#model).sha256, `content after ${found} transactions`);
        assert.deepEqual([...tx.check()], []);
      });
    } finally {
      db.close();
    }
    assert.deepEqual(rawProblems(readFileSync(path)), []);
    return { acknowledged: durable - known, isUnderWayFound: this.#count > durable, lostTxid, lockWaitMs };
  }

  #advance(count: number): void {
    for (; this.#count < count; this.#count++) {
      const tx = new ModelTx(this.#model);
      transact(tx, this.order.seed, this.#count);
      this.#model = tx.root;
    }
  }
}
