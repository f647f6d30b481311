/**
 * The freelist against a model that knows of every page who allocated it and who gave it up: what is handed out, and when.
 * The rules are those of the head of freelist.ts; the model tests each page against each reader.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readFreelistPage } from "../../../engine/format/freelist-page.js";
import { Freelist } from "../../../engine/pager/freelist.js";
import { seedOfRun } from "../../support/random.js";

/** A page given up by `freedBy`; `matured` when a later transaction has begun with it out of quarantine. */
interface Given {
  readonly allocatedBy: number;
  readonly freedBy: number;
  matured: boolean;
}

/** The plain model: no index, every question is answered by looking at everything. */
class Model {
  readonly free = new Set<number>();
  readonly pending = new Map<number, Given>();
  /** Pages in use, with who allocated them. */
  readonly used = new Map<number, number>();
  readonly readers: number[] = [];
  serial = 0;
  highWaterMark: number;

  constructor(highWaterMark: number, free: readonly number[]) {
    this.highWaterMark = highWaterMark;
    for (const pgid of free) this.free.add(pgid);
    for (let pgid = 2; pgid < highWaterMark; pgid++) if (!this.free.has(pgid)) this.used.set(pgid, 0);
  }

  /** Rules 2 and 3: gives the pages that have just become free. */
  settle(): number[] {
    const freed: number[] = [];
    for (const [pgid, { allocatedBy, freedBy, matured }] of this.pending) {
      if (matured && !this.readers.some((reader) => reader >= allocatedBy && reader < freedBy)) freed.push(pgid);
    }
    for (const pgid of freed) {
      this.pending.delete(pgid);
      this.free.add(pgid);
    }
    return freed;
  }

  begin(): void {
    for (const given of this.pending.values()) if (given.freedBy + 2 <= this.serial + 1) given.matured = true;
  }
}

type ReaderStep = { readonly kind: "open" } | { readonly kind: "close"; readonly which: number };
type Step = ReaderStep | {
  readonly kind: "write";
  /** Which pages in use to give up, and how many behind each. */
  readonly releases: readonly (readonly [number, number])[];
  readonly runs: readonly number[];
  readonly singles: number;
  readonly grown: number;
  readonly isStored: boolean;
  readonly meanwhile: readonly ReaderStep[];
  readonly ends: "commit" | "rollback";
};

const readerStep: fc.Arbitrary<ReaderStep> = fc.oneof(fc.constant({ kind: "open" as const }), fc.record({ kind: fc.constant("close" as const), which: fc.nat() }));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: readerStep },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      releases: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 3 })), { maxLength: 5 }),
      runs: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 }),
      singles: fc.nat({ max: 6 }),
      grown: fc.nat({ max: 3 }),
      isStored: fc.boolean(),
      meanwhile: fc.array(readerStep, { maxLength: 2 }),
      ends: fc.constantFrom("commit" as const, "commit" as const, "rollback" as const),
    }),
  },
);

class Comparison {
  readonly model: Model;
  readonly freelist: Freelist;
  /** Pages that the freelist has said nobody can reach any more. */
  readonly #discarded: number[] = [];

  constructor(highWaterMark: number, free: readonly number[]) {
    this.model = new Model(highWaterMark, free);
    this.freelist = new Freelist((pgid) => this.#discarded.push(pgid));
    this.freelist.load(Float64Array.from(free).sort(), new Float64Array(0), highWaterMark);
  }

  run(step: Step): void {
    if (step.kind === "write") this.#write(step);
    else this.#reader(step);
    this.#compare();
  }

  #reader(step: ReaderStep): void {
    const { model, freelist } = this;
    if (step.kind === "open") {
      freelist.addReader(model.serial);
      model.readers.push(model.serial);
    } else if (model.readers.length > 0) {
      const [reader] = model.readers.splice(step.which % model.readers.length, 1);
      freelist.removeReader(reader!);
    }
    this.#expectFreed();
  }

  #write(step: Extract<Step, { kind: "write" }>): void {
    const { model, freelist } = this;
    freelist.begin(model.serial + 1);
    model.begin();
    this.#expectFreed();
    const released = this.#release(step.releases);
    const taken = this.#allocate(step);
    for (const reader of step.meanwhile) this.#reader(reader);
    if (step.ends === "rollback") {
      freelist.rollback();
      for (const pgid of taken) model.free.add(pgid);
      for (const [pgid, allocatedBy] of released) model.used.set(pgid, allocatedBy);
      return;
    }
    if (step.isStored) this.#requireEncoded([...model.free, ...model.pending.keys(), ...released.keys()]);
    const grownTo = model.highWaterMark + step.grown;
    freelist.commit(model.serial + 1, model.highWaterMark, grownTo);
    model.serial++;
    for (; model.highWaterMark < grownTo; model.highWaterMark++) taken.push(model.highWaterMark);
    for (const pgid of taken) model.used.set(pgid, model.serial);
    for (const [pgid, allocatedBy] of released) model.pending.set(pgid, { allocatedBy, freedBy: model.serial, matured: false });
  }

  /** Gives up pages; with who allocated each. Until the end of the transaction they count as pending in the freelist, in the model as neither. */
  #release(releases: readonly (readonly [number, number])[]): Map<number, number> {
    const { used } = this.model;
    const released = new Map<number, number>();
    for (const [which, length] of releases) {
      const start = [...used.keys()][which % used.size];
      if (start === undefined) return released;
      let end = start;
      while (used.has(end) && end - start < length) released.set(end, used.get(end++)!);
      this.freelist.release(start, end - start);
      for (let pgid = start; pgid < end; pgid++) used.delete(pgid);
      assert.throws(() => this.freelist.release(start, 1), { code: "CORRUPT", message: `page ${start}: already freed` });
    }
    return released;
  }

  #allocate({ runs, singles }: { runs: readonly number[]; singles: number }): number[] {
    const { model, freelist } = this;
    const taken: number[] = [];
    const take = (start: number, length: number): void => {
      for (let pgid = start; pgid < start + length; pgid++) {
        assert.ok(model.free.delete(pgid), `page ${pgid} may be handed out to transaction ${model.serial + 1}`);
        taken.push(pgid);
      }
    };
    for (const length of runs) {
      const start = freelist.allocateRun(length);
      if (start !== undefined) take(start, length);
      else for (const pgid of model.free) assert.ok(!Array.from({ length }, (_, i) => pgid + i).every((id) => model.free.has(id)), "there was no such run");
    }
    const expected = Math.min(singles, model.free.size);
    const before = taken.length;
    for (const { start, length } of freelist.allocateRuns(singles)) take(start, length);
    assert.equal(taken.length - before, expected);
    return taken;
  }

  #expectFreed(): void {
    const sorted = (ids: readonly number[]): number[] => [...ids].sort((a, b) => a - b);
    assert.deepEqual(sorted(this.#discarded.splice(0)), sorted(this.model.settle()), "exactly the pages that nobody can reach any more become free");
  }

  /** Rule 4: free and pending together, in order. */
  #requireEncoded(ids: readonly number[]): void {
    const page = this.freelist.encodePage(7, 1, 4096);
    assert.equal(page.length, 8192);
    assert.deepEqual([...readFreelistPage(page, 7)], [...ids].sort((a, b) => a - b));
    assert.equal(page.findLastIndex((byte) => byte !== 0) < 16 + 8 * ids.length, true, "zeros are behind the last id");
  }

  #compare(): void {
    const { model, freelist } = this;
    assert.equal(freelist.freeCount, model.free.size);
    assert.equal(freelist.pendingCount, model.pending.size);
    const stored = [...freelist.storedIds()];
    assert.deepEqual(stored, [...model.free, ...model.pending.keys()].sort((a, b) => a - b), "rule 4: free and pending together, in order");
    assert.equal(freelist.storedCount, stored.length);
    for (let pgid = 2; pgid < model.highWaterMark; pgid++) assert.equal(freelist.isFree(pgid), !model.used.has(pgid), "rule 1");
  }
}

for (const [what, highWaterMark] of [["", 40], [", of hundreds too, few of which a transaction changes", 340]] as const) {
  test(`pages are handed out when the rules allow it and not before${what}`, (t) => {
    const seed = seedOfRun();
    t.diagnostic(`SEED=${seed}`);
    fc.assert(fc.property(fc.uniqueArray(fc.integer({ min: 2, max: 39 }), { maxLength: 20 }), fc.array(step, { maxLength: 60 }), (free, steps) => {
      const rest = Array.from({ length: highWaterMark - 40 }, (_, i) => 40 + i);
      const comparison = new Comparison(highWaterMark, [...free, ...rest]);
      for (const next of steps) comparison.run(next);
    }), { seed, numRuns: 200 });
  });
}

/** A freelist with nothing free below page 100, and one write transaction after the other. */
function session(): { freelist: Freelist; write: (change: () => void) => void; serial: () => number } {
  const freelist = new Freelist(() => {});
  let serial = 0;
  return {
    freelist,
    serial: () => serial,
    write: (change) => {
      freelist.begin(serial + 1);
      change();
      freelist.commit(++serial, 100, 100);
    },
  };
}

test("a page freed by transaction 1 is handed out from transaction 3 on", () => {
  const { freelist, write } = session();
  write(() => freelist.release(10, 2));
  write(() => assert.equal(freelist.allocateRun(1), undefined));
  write(() => assert.equal(freelist.allocateRun(2), 10));
});

test("a page freed by tx 5 is not handed out while the reader at tx 4 is open", () => {
  const { freelist, write, serial } = session();
  while (serial() < 4) write(() => {});
  freelist.addReader(4);
  write(() => freelist.release(10, 1));
  for (let i = 0; i < 5; i++) write(() => assert.deepEqual(freelist.allocateRuns(1), []));
  freelist.removeReader(4);
  write(() => assert.deepEqual(freelist.allocateRuns(1), [{ start: 10, length: 1 }]));
});

test("a reader at the transaction that freed a page does not keep it", () => {
  const { freelist, write } = session();
  write(() => freelist.release(10, 1));
  freelist.addReader(1);
  write(() => {});
  write(() => assert.equal(freelist.allocateRun(1), 10));
});

test("pages that were allocated and freed between two readers are kept for neither", () => {
  const { freelist, write, serial } = session();
  write(() => freelist.release(10, 4));
  write(() => {});
  freelist.addReader(serial());
  write(() => assert.equal(freelist.allocateRun(4), 10));
  write(() => freelist.release(10, 4));
  freelist.addReader(serial());
  write(() => {});
  write(() => assert.equal(freelist.allocateRun(4), 10));
});

test("two readers of one snapshot keep its pages until both have ended", () => {
  const { freelist, write } = session();
  freelist.addReader(0);
  freelist.addReader(0);
  write(() => freelist.release(10, 1));
  write(() => {});
  freelist.removeReader(0);
  write(() => assert.equal(freelist.allocateRun(1), undefined));
  freelist.removeReader(0);
  write(() => assert.equal(freelist.allocateRun(1), 10));
});

test("a long reader does not let a file grow: pages that come and go after it are used again", () => {
  const { freelist } = session();
  freelist.addReader(0);
  let highWaterMark = 100;
  let inUse: number[] = [];
  for (let serial = 1; serial <= 200; serial++) {
    freelist.begin(serial);
    for (const pgid of inUse) freelist.release(pgid, 1);
    const grownFrom = highWaterMark;
    inUse = freelist.allocateRuns(5).flatMap(({ start, length }) => Array.from({ length }, (_, i) => start + i));
    while (inUse.length < 5) inUse.push(highWaterMark++);
    freelist.commit(serial, grownFrom, highWaterMark);
  }
  assert.ok(highWaterMark <= 115, `the pages of three transactions are enough, the mark is ${highWaterMark}`);
});

test("a freelist that is made from the one before leaves out what is cut from the end of the file", () => {
  const freelist = new Freelist(() => {});
  const ids = Array.from({ length: 200 }, (_, i) => 10 + i);
  freelist.load(Float64Array.of(...ids, 297, 298, 299), new Float64Array(0), 300);
  freelist.begin(1);
  freelist.encodePage(7, 0, 4096);
  freelist.commit(1, 300, 300);
  freelist.begin(2);
  assert.equal(freelist.cutTail(300), 297);
  assert.deepEqual([...readFreelistPage(freelist.encodePage(7, 0, 4096), 7)], ids);
  freelist.rollback();
  freelist.begin(2);
  freelist.release(5, 1);
  assert.deepEqual([...readFreelistPage(freelist.encodePage(7, 0, 4096), 7)], [5, ...ids, 297, 298, 299]);
});

test("what a file lists as free is refused when it cannot be", () => {
  const load = (ids: readonly number[], waiting: readonly number[] = []): void => {
    new Freelist(() => {}).load(Float64Array.from(ids), Float64Array.from(waiting), 50);
  };
  assert.throws(() => load([1, 4]), { code: "CORRUPT", message: "page 1: listed as free, but out of bounds: 50" });
  assert.throws(() => load([50]), { code: "CORRUPT", message: /^page 50: .*out of bounds/ });
  assert.throws(() => load([2, 49, 51, 60]), { code: "CORRUPT", message: "page 51: listed as free, but out of bounds: 50" });
  assert.throws(() => load([4, 4, 5]), { code: "CORRUPT", message: "page 4: already freed" });
  assert.throws(() => load([3, 4, 4, 5], [4, 4]), { code: "CORRUPT", message: "page 4: already freed" });
  load([2, 49]);
  load([]);
});

test("pages that the tree before the newest reaches wait one transaction after opening", () => {
  const freelist = new Freelist(() => {});
  freelist.load(Float64Array.of(10, 11, 12), Float64Array.of(11), 50);
  assert.deepEqual([freelist.freeCount, freelist.pendingCount], [2, 1]);
  freelist.begin(1);
  assert.deepEqual(freelist.allocateRuns(9), [{ start: 10, length: 1 }, { start: 12, length: 1 }]);
  freelist.commit(1, 50, 50);
  freelist.begin(2);
  assert.equal(freelist.allocateRun(1), 11);
});

test("a transaction may take more pages than a map can have keys while a reader is open, and each is known as its own", () => {
  const discarded: number[] = [];
  const freelist = new Freelist((pgid) => discarded.push(pgid));
  const mark = 2 ** 24 + 40;
  freelist.addReader(0);
  freelist.begin(1);
  freelist.commit(1, 7, mark);

  freelist.begin(2);
  for (const pgid of [6, 7, 2 ** 24 + 1, mark - 1, mark]) freelist.release(pgid, 1);
  freelist.commit(2, mark, mark);
  freelist.begin(4);
  assert.deepEqual(discarded, [7, 2 ** 24 + 1, mark - 1], "the reader cannot reach what came after it");
  assert.equal(freelist.pendingCount, 2, "and the pages next to them wait for it");
});
