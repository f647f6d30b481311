/**
 * Rounds of: start a process that writes to a real file, kill it at a random moment with SIGKILL, open the file. What the process has
 * reported is there, what it had under way is there wholly or not at all, the file is sound, and its lock is free.
 *
 * The seed determines what is written and the moments, but not how far a process has come by then.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { open } from "../../engine/index.js";
import { contentOf } from "../support/content.js";
import { ModelBucket, ModelTx } from "../support/model.js";
import { Random } from "../support/random.js";
import { rawProblems } from "../support/raw-check.js";
import { tempPath } from "../support/temp.js";
import { BATCH_SIZE, type ChildOrder, countOf, transact } from "./work.js";

/** What the rounds came to. */
export interface KillReport {
  rounds: number;
  /** Commits that were reported, by processes that were then killed. */
  acknowledged: number;
  /** Rounds in which the commit under way was found done; in the others it was not there. */
  underWayFound: number;
  /** Rounds in which the process was killed before it had a new file open. */
  whileMade: number;
  /** The longest that a lock was still held after its process had died, in milliseconds: by a helper process that was just taking it. */
  lockWaitMs: number;
}

/** A file lives for some rounds. */
const ROUNDS_A_FILE = 12;
/** How long a helper of the lock may outlive the process that has just started it. */
const HELPER_WAIT_MS = 5_000;

/** What a killed process had said. */
interface Said {
  /** It has had the database open at all. */
  readonly isOpened: boolean;
  /** It had the database open, and so its lock, when it died. */
  readonly heldLock: boolean;
  readonly acknowledged: number;
}

/** Runs the process and kills it. `killAfterMs` counts from its start or, where it is to get that far, from the moment at which it has written `lineCount` lines. */
async function runAndKill(order: ChildOrder, lineCount: number, killAfterMs: number): Promise<Said> {
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
  await Promise.race([delay(killAfterMs), closed]);
  child.kill("SIGKILL");
  await closed;
  assert.equal(child.signalCode, "SIGKILL", `the process ended by itself: ${errors}`);
  const lines = output.split("\n").slice(0, -1);
  const numbers = lines.filter((line) => line !== "closing").map((line) => Number(line.replace("open ", "")));
  return { isOpened: lines.length > 0, heldLock: lines.length > 0 && lines.at(-1) !== "closing", acknowledged: Math.max(0, ...numbers) };
}

/** One file, and the contents that it may have. */
class Victim {
  readonly order: ChildOrder;
  /** Acknowledged, over all rounds. */
  #count = 0;
  #model = new ModelBucket();

  constructor(random: Random) {
    this.order = {
      path: tempPath("kill.db"), seed: random.below(2 ** 31), manner: random.pick(["update", "updateAsync", "batch"]), pageSize: random.pick([1024, 4096]),
      noFreelistSync: random.below(3) === 0, durability: random.pick(["two-sync", "two-sync", "one-sync"]), reopenEvery: 8 + random.below(60),
    };
  }

  /** Opens the file after a kill and compares. */
  examine(said: Said, report: KillReport): void {
    const { path, manner, noFreelistSync } = this.order;
    if (!existsSync(path)) {
      assert.ok(!said.isOpened && this.#count === 0, "the file is gone");
      return;
    }
    const begin = performance.now();
    // A lock that the dead process held is free. One that it was just taking may be held by its helper, for as long as that runs.
    const db = open(path, { timeout: said.heldLock ? 0 : HELPER_WAIT_MS, noFreelistSync });
    if (!said.heldLock) report.lockWaitMs = Math.max(report.lockWaitMs, performance.now() - begin);
    try {
      assert.equal(db.recovery?.lostTxid, undefined, "the kernel has lost nothing");
      const found = db.view((tx) => countOf(tx));
      const acknowledged = Math.max(this.#count, said.acknowledged);
      const underWay = manner === "batch" ? BATCH_SIZE : 1;
      assert.ok(found >= acknowledged && found <= acknowledged + underWay, `${acknowledged} transactions were reported, ${found} are there`);
      if (found > acknowledged) report.underWayFound++;
      report.acknowledged += acknowledged - this.#count;
      this.#advance(found);
      db.view((tx) => {
        assert.equal(contentOf(tx).sha256, contentOf(this.#model).sha256, `content after ${found} transactions`);
        assert.deepEqual([...tx.check()], []);
      });
    } finally {
      db.close();
    }
    assert.deepEqual(rawProblems(readFileSync(path)), []);
  }

  #advance(count: number): void {
    for (; this.#count < count; this.#count++) {
      const tx = new ModelTx(this.#model);
      transact(tx, this.order.seed, this.#count);
      this.#model = tx.root;
    }
  }
}

/**
 * Runs rounds.
 * @throws Error naming seed and round where something was lost; a copy of the file is kept and named
 */
export async function killRounds(seed: number, roundCount: number, onRound?: (report: KillReport) => void): Promise<KillReport> {
  const random = new Random(seed);
  const report: KillReport = { rounds: 0, acknowledged: 0, underWayFound: 0, whileMade: 0, lockWaitMs: 0 };
  let victim = new Victim(random);
  for (let round = 0; round < roundCount; round++) {
    if (round > 0 && round % ROUNDS_A_FILE === 0) {
      rmSync(victim.order.path, { force: true });
      victim = new Victim(random);
    }
    const isNew = !existsSync(victim.order.path);
    const fromStart = isNew ? random.below(2) === 0 : random.below(6) === 0;
    // As many commits as that on any machine, however slow its disk is; how many more is a matter of time.
    const lineCount = fromStart ? 0 : 1 + random.below(10);
    const said = await runAndKill(victim.order, lineCount, fromStart ? 20 + random.below(130) : random.below(100));
    if (isNew && !said.isOpened) report.whileMade++;
    try {
      victim.examine(said, report);
    } catch (error) {
      const kept = join(tmpdir(), `hexbolt-kill-${seed}-${round}.db`);
      if (existsSync(victim.order.path)) copyFileSync(victim.order.path, kept);
      throw new Error(`seed ${seed}, round ${round}, ${JSON.stringify(victim.order)}: ${String(error)}\nthe file: ${kept}`, { cause: error });
    }
    report.rounds++;
    onRound?.(report);
  }
  return report;
}
