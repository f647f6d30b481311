/**
 * Everything a user does with a database, done to a file that may be damaged: opened to read and to write, read in every way, checked, measured,
 * written to, committed, compacted, shrunk, opened again. See guard.ts for what may come of it.
 */
import { readFileSync, rmSync } from "node:fs";
import { BoltError, MemoryStorage, open, type DB, type OpenOptions, type ReadTx, type Tx } from "../../engine/index.js";
import { MAX_TXID } from "../../engine/format/meta.js";
import type { Random } from "../support/random.js";
import { rawProblems } from "../support/raw-check.js";
import { tempPath } from "../support/temp.js";
import { Fault, Guard } from "./guard.js";
import { copyContent, readAll, requireContent, type Budget, type Content } from "./reading.js";
import { writeSome } from "./writing.js";

/** What came of a file. */
export interface Verdict {
  /** Opened for writing. */
  readonly isAccepted: boolean;
  /** check() found nothing, also when opened for writing. */
  readonly isSound: boolean;
  readonly commitCount: number;
  readonly codes: readonly string[];
}

/** Lines that are read of one check; a file of many broken pages has one each. */
const MAX_CHECK_LINES = 20_000;
/** Copies go to a real file, which is made durable: too slow for each mutant. */
const COPY_ONE_IN = 30;
/** Shrinking is many commits. */
const SHRINK_ONE_IN = 4;
const SHRINK_BUDGET_MS = 60;
/** Files that the independent check is run on, in bytes. */
const RAW_CHECK_SIZE = 400_000;

class RolledBack extends Error {}

class Exercise {
  readonly #storage: MemoryStorage;
  readonly #random: Random;
  readonly #guard = new Guard();
  readonly #options: OpenOptions;

  constructor(bytes: Uint8Array, random: Random) {
    this.#storage = new MemoryStorage(bytes);
    this.#random = random;
    this.#options = {
      storage: this.#storage, noFreelistSync: random.below(6) === 0, durability: random.below(4) === 0 ? "one-sync" : "two-sync",
      ...(random.below(3) === 0 ? { cacheSize: random.pick([0, 20_000, 1 << 20]) } : {}),
    };
  }

  run(): Verdict {
    const content = this.#readOnly();
    const { isSound } = this.#guard;
    let commitCount = 0;
    const db = this.#guard.attempt("open", () => open("x", this.#options));
    if (db !== undefined) {
      try {
        commitCount = this.#write(db, content);
      } finally {
        this.#guard.attempt("close", () => db.close());
      }
      this.#again(content, isSound && this.#guard.isSound);
    }
    return { isAccepted: db !== undefined, isSound: this.#guard.isSound, commitCount, codes: [...this.#guard.codes] };
  }

  #budget(): Budget {
    return { elements: this.#random.below(12) === 0 ? 5000 : 250 };
  }

  /** Runs check() to its end. */
  #check(tx: ReadTx | Tx, when: string): string[] {
    const lines: string[] = [];
    try {
      for (const line of tx.check()) {
        if (typeof line !== "string" || line.length === 0) throw new Fault(`${when}: a line that says nothing`);
        if (lines.push(line) === MAX_CHECK_LINES) break;
      }
    } catch (error) {
      throw error instanceof Fault ? error : new Fault(`${when}: check() threw ${String(error)}`, { cause: error });
    }
    return lines;
  }

  #readOnly(): Content | undefined {
    const guard = this.#guard;
    const db = guard.attempt("open, read-only", () => open("x", { ...this.#options, readOnly: true }));
    if (db === undefined) return undefined;
    try {
      return guard.attempt("view", () => db.view((tx) => {
        guard.isSound = this.#check(tx, "read-only").length === 0;
        const content = this.#read(tx);
        const { size } = tx;
        guard.soundly(size <= this.#storage.size(), () => `size ${size} of a file of ${this.#storage.size()} bytes`);
        for (let i = 0; i < 6; i++) guard.attempt("page", () => tx.page(this.#random.below(Math.ceil(size / db.pageSize) + 3)));
        guard.attempt("stats", () => db.stats());
        if (this.#random.below(COPY_ONE_IN) === 0) this.#copied("copyTo", (path) => tx.copyTo(path), content);
        if (this.#random.below(COPY_ONE_IN) === 0) this.#copied("compact", (path) => db.compact(path), content);
        return content;
      }));
    } finally {
      guard.attempt("close, read-only", () => db.close());
    }
  }

  #read(tx: ReadTx): Content {
    return readAll(tx, this.#guard, this.#budget());
  }

  /** Has the engine write another file; that of a sound one must be sound and hold the same. */
  #copied(what: string, write: (path: string) => void, content: Content): void {
    const path = tempPath("copy.db");
    const isDone = this.#guard.attempt(what, () => { write(path); return true; });
    if (isDone === undefined) return;
    const copy = this.#guard.attempt(`open after ${what}`, () => open("copy", { storage: new MemoryStorage(readFileSync(path)), readOnly: true }));
    rmSync(path);
    if (copy === undefined) return;
    this.#guard.attempt(`view after ${what}`, () => copy.view((tx) => {
      const lines = this.#check(tx, what);
      this.#guard.soundly(lines.length === 0, () => `a sound file, and after ${what}: ${lines[0]}`);
      if (this.#guard.isSound) requireContent(tx, content, what);
    }));
    copy.close();
  }

  /** A sound file must hold the content, be sound still, and sound to a check that shares no code with the engine. */
  #requireSound(db: DB, content: Content, when: string): void {
    this.#guard.attempt(when, () => db.view((tx) => {
      const lines = this.#check(tx, when);
      if (lines.length > 0) throw new Fault(`${when}: was sound, now: ${lines.slice(0, 3).join("; ")}`);
      requireContent(tx, content, when);
    }));
    if (this.#storage.size() > RAW_CHECK_SIZE || this.#random.below(3) > 0) return;
    // An inline bucket larger than this engine would write is no fault of the file: Go reads and rewrites it too.
    const problems = rawProblems(this.#storage.bytes()).filter((line) => !/: an inline bucket of \d+ bytes$/.test(line));
    if (problems.length > 0) throw new Fault(`${when}: check() finds nothing, the independent one ${problems.slice(0, 3).join("; ")}`);
  }

  /** Opened for writing: checks and reads again, then writes, commits and rolls back. Gives the number of commits. */
  #write(db: DB, content: Content | undefined): number {
    const guard = this.#guard;
    const { isSound } = guard;
    const read = guard.attempt("view", () => db.view((tx) => {
      const lines = this.#check(tx, "opened for writing");
      guard.soundly(lines.length === 0, () => `sound when read-only, and opened for writing: ${lines[0]}`);
      guard.isSound = lines.length === 0;
      return guard.isSound === isSound && content !== undefined ? content : this.#read(tx);
    }));
    let present = read ?? { sequence: 0n, entries: new Map(), gone: new Set(), isWhole: false };
    let commitCount = 0;
    for (let i = 1 + this.#random.below(3); i > 0; i--) {
      const rollsBack = this.#random.below(6) === 0;
      const changed = copyContent(present);
      const isCommitted = guard.attempt("update", () => this.#update(db, changed, rollsBack));
      // Refused in order only behind the last transaction id there can be.
      if (guard.codes.has("MAX_SIZE_REACHED") && db.view((tx) => tx.id) === MAX_TXID) continue;
      guard.soundly(isCommitted === !rollsBack, () => "an update of a sound file neither committed nor rolled back");
      if (isCommitted === true) { commitCount++; present = changed; }
      if (guard.isSound) this.#requireSound(db, present, rollsBack ? "after a rollback" : "after a commit");
      else guard.attempt("view", () => db.view((tx) => { this.#check(tx, "after a commit to a damaged file"); this.#read(tx); }));
    }
    if (this.#random.below(SHRINK_ONE_IN) === 0) this.#shrink(db, present);
    guard.attempt("stats", () => db.stats());
    if (content !== undefined && guard.isSound) Object.assign(content, present);
    return commitCount;
  }

  /** A smaller file, or a damaged one that is refused; what is in a sound one stays. */
  #shrink(db: DB, content: Content): void {
    const guard = this.#guard;
    const result = guard.attempt("shrink", () => db.shrink({ budgetMs: SHRINK_BUDGET_MS }));
    if (result !== undefined) guard.soundly(result.sizeAfter === this.#storage.size(), () => `shrink says ${result.sizeAfter} bytes, the file has ${this.#storage.size()}`);
    if (guard.isSound) this.#requireSound(db, content, "after shrinking");
    else guard.attempt("view", () => db.view((tx) => { this.#check(tx, "after shrinking a damaged file"); this.#read(tx); }));
  }

  #update(db: DB, content: Content, rollsBack: boolean): boolean {
    try {
      db.update((tx) => {
        writeSome(tx, content, this.#random, this.#guard);
        if (this.#random.below(3) === 0) this.#check(tx, "inside a write transaction");
        if (this.#guard.isSound && this.#random.below(4) === 0) requireContent(tx, content, "inside the write transaction");
        if (rollsBack) throw new RolledBack("on purpose");
      });
      return true;
    } catch (error) {
      if (error instanceof RolledBack) return false;
      throw error;
    }
  }

  /** Opened once more after all is closed. */
  #again(content: Content | undefined, isSound: boolean): void {
    const db = this.#guard.attempt("open again", () => open("x", { storage: this.#storage, readOnly: true }));
    if (db === undefined) return;
    if (isSound && content !== undefined) this.#requireSound(db, content, "opened again");
    else this.#guard.attempt("view again", () => db.view((tx) => { this.#check(tx, "opened again"); this.#read(tx); }));
    db.close();
  }
}

/**
 * Does everything to a file.
 * @throws Fault where the engine does what it never may
 */
export function exercise(bytes: Uint8Array, random: Random): Verdict {
  try {
    return new Exercise(bytes, random).run();
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault(error instanceof BoltError ? `${error.code}: ${error.message}` : String(error), { cause: error });
  }
}
