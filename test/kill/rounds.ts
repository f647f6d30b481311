/**
 * Rounds of: start a process that writes to a real file, kill it at a random moment with SIGKILL, open the file. What the process has
 * reported is there, what it had under way is there wholly or not at all, the file is sound, and its lock is free.
 */
import assert from "node:assert/strict";
import { copyFileSync, existsSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../support/random.js";
import { tempPath } from "../support/temp.js";
import { momentOf, runAndKill, Victim } from "./victim.js";

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
export const ROUNDS_A_FILE = 12;

async function killOnce(victim: Victim, random: Random, report: KillReport): Promise<void> {
  const { path } = victim.order;
  const isNew = !existsSync(path);
  const said = await runAndKill(victim.order, momentOf(random, random.below(isNew ? 2 : 6) === 0));
  if (isNew && !said.isOpened) report.whileMade++;
  if (!existsSync(path)) {
    victim.assertNotMade(said);
    return;
  }
  const { acknowledged, isUnderWayFound, lostTxid, lockWaitMs } = victim.examine(path, said, said);
  assert.equal(lostTxid, undefined, "the kernel has lost nothing");
  report.acknowledged += acknowledged;
  if (isUnderWayFound) report.underWayFound++;
  report.lockWaitMs = Math.max(report.lockWaitMs, lockWaitMs);
}

/**
 * Runs rounds.
 * @throws Error naming seed and round where something was lost; a copy of the file is kept and named
 */
export async function killRounds(seed: number, roundCount: number, onRound?: (report: KillReport) => void): Promise<KillReport> {
  const random = new Random(seed);
  const report: KillReport = { rounds: 0, acknowledged: 0, underWayFound: 0, whileMade: 0, lockWaitMs: 0 };
  let victim = new Victim(random, tempPath("kill.db"));
  for (let round = 0; round < roundCount; round++) {
    if (round > 0 && round % ROUNDS_A_FILE === 0) {
      rmSync(victim.order.path, { force: true });
      victim = new Victim(random, tempPath("kill.db"));
    }
    try {
      await killOnce(victim, random, report);
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
