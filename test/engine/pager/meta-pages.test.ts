/** Making a file, with the power cut at every operation; finding the two meta pages. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStorage, open } from "../../../engine/index.js";
import { encodeMeta, type Meta } from "../../../engine/format/meta.js";
import { initialise, isUnfinished, isUninitialised, readMetaSlots, validMetas } from "../../../engine/pager/meta-pages.js";
import { PowerCut, SimulatedDisk } from "../../../engine/testing.js";
import { rawProblems } from "../../support/raw-check.js";
import { seedOfRun } from "../../support/random.js";

const META: Meta = { pageSize: 4096, root: 3, sequence: 0n, freelist: 2, highWaterMark: 4, txid: 0n };

/** Opens a database on the disk, uses it, and opens it again. */
function expectUsable(disk: SimulatedDisk, pageSize: number): void {
  const db = open("x", { storage: disk, pageSize });
  assert.equal(db.pageSize, pageSize);
  assert.deepEqual(db.view((tx) => [...tx.buckets()]), []);
  assert.equal(db.recovery, undefined, "nothing was lost: there was no transaction");
  db.update((tx) => { tx.createBucket("b").put("k", "v"); });
  assert.deepEqual(db.view((tx) => [...tx.check()]), []);
  db.close();
  const again = open("x", { storage: disk });
  assert.equal(again.view((tx) => tx.bucket("b")?.get("k")?.toString()), "v");
  again.close();
  assert.deepEqual(rawProblems(Buffer.from(disk.bytes())), []);
}

/** Opens a disk whose power is cut after so many operations; gives false when they were enough. */
function cutOpening(disk: SimulatedDisk, operationCount: number, pageSize: number): boolean {
  disk.cutAfter(operationCount);
  try {
    open("x", { storage: disk, pageSize });
    return false;
  } catch (error) {
    assert.ok(error instanceof Error);
    assert.ok(error.cause instanceof PowerCut || error instanceof PowerCut, error.message);
    return true;
  }
}

for (const pageSize of [1024, 4096, 65_536]) {
  test(`a file whose making is interrupted opens, wherever that was and whatever the disk kept (page size ${pageSize})`, (t) => {
    const seed = seedOfRun();
    t.diagnostic(`SEED=${seed}`);
    let images = 0;
    let operationCount = 0;
    for (; ; operationCount++) {
      const disk = new SimulatedDisk({ seed });
      if (!cutOpening(disk, operationCount, pageSize)) break;
      for (const image of disk.crashImages(25)) {
        expectUsable(image, pageSize);
        images++;
      }
    }
    assert.ok(operationCount >= 6 && images > 30, `${images} images at ${operationCount} operations`);
  });
}

test("a file whose finishing is interrupted as well opens", (t) => {
  const seed = seedOfRun();
  t.diagnostic(`SEED=${seed}`);
  let images = 0;
  for (let first = 0; ; first++) {
    const disk = new SimulatedDisk({ seed });
    if (!cutOpening(disk, first, 1024)) break;
    for (const half of disk.crashImages(6)) {
      for (let second = 0; ; second++) {
        const retried = new SimulatedDisk({ seed, bytes: half.bytes() });
        if (!cutOpening(retried, second, 1024)) break;
        for (const image of retried.crashImages(6)) {
          expectUsable(image, 1024);
          images++;
        }
      }
    }
  }
  assert.ok(images > 100, `${images} images`);
});

for (const failure of ["error", "lost"] as const) {
  test(`a file whose first sector could not be synced (${failure}) opens, wherever its finishing is interrupted`, (t) => {
    const seed = seedOfRun();
    t.diagnostic(`SEED=${seed}`);
    let images = 0;
    for (let operationCount = 0; ; operationCount++) {
      const disk = new SimulatedDisk({ seed });
      disk.inject({ failure, on: "sync" });
      assert.throws(() => open("x", { storage: disk, pageSize: 1024 }), { code: "IO" });
      assert.equal(disk.size(), 512);
      if (!cutOpening(disk, operationCount, 1024)) break;
      for (const image of disk.crashImages(25)) {
        expectUsable(image, 1024);
        images++;
      }
    }
    assert.ok(images > 30, `${images} images`);
  });
}

for (const failure of ["error", "lost"] as const) {
  test(`a file whose making ended with a failed sync (${failure}) opens, wherever the first commit to it is interrupted`, (t) => {
    const seed = seedOfRun();
    t.diagnostic(`SEED=${seed}`);
    let images = 0;
    for (const nth of [1, 2, 3]) {
      for (let operationCount = 0, isCut = true; isCut; operationCount++) {
        const disk = new SimulatedDisk({ seed });
        disk.inject({ failure, on: "sync", nth });
        assert.throws(() => open("x", { storage: disk, pageSize: 1024 }), { code: "IO" });
        const db = open("x", { storage: disk });
        disk.cutAfter(operationCount);
        try {
          db.update((tx) => tx.createBucket("under way"));
        } catch (error) {
          assert.ok(disk.isCut, String(error));
        }
        isCut = disk.isCut;
        for (const image of disk.crashImages(25)) {
          const again = open("x", { storage: image });
          assert.deepEqual(again.view((tx) => [...tx.check()]), []);
          assert.ok(again.view((tx) => [...tx.buckets()].length) >= (isCut ? 0 : 1), "acknowledged");
          again.close();
          images++;
        }
      }
    }
    assert.ok(images > 60, `${images} images`);
  });
}

test("a finished file survives every crash without another write", () => {
  const disk = new SimulatedDisk();
  open("x", { storage: disk, pageSize: 4096 }).close();
  assert.deepEqual(disk.pending, [], "all of it is durable before open returns");
  const reader = open("x", { storage: disk.crash("none"), readOnly: true });
  assert.equal(reader.view((tx) => tx.id), 1n);
  reader.close();
});

test("a new file is what bolt makes: two metas, an empty freelist, an empty root", () => {
  const storage = new MemoryStorage();
  assert.ok(isUninitialised(storage));
  initialise(storage, 4096);
  assert.ok(!isUninitialised(storage));
  const slots = readMetaSlots(storage);
  assert.deepEqual(slots, [META, { ...META, txid: 1n }]);
  assert.ok(!isUnfinished(slots));
  assert.equal(storage.size(), 4 * 4096);
  assert.deepEqual(rawProblems(Buffer.from(storage.bytes())), []);
});

test("only an empty storage, or the zeros of an interrupted first sector, are a new file", () => {
  assert.ok(isUninitialised(new MemoryStorage(new Uint8Array(512))));
  assert.ok(!isUninitialised(new MemoryStorage(new Uint8Array(513))));
  assert.ok(!isUninitialised(new MemoryStorage(Buffer.from("notes"))));
  for (const bytes of [Buffer.from("notes"), Buffer.alloc(4096 * 4), Buffer.alloc(513)]) {
    const storage = new MemoryStorage(bytes);
    assert.throws(() => open("x", { storage }), { code: "INVALID" });
    assert.deepEqual(Buffer.from(storage.bytes()), bytes, "a file that is none of ours is left alone");
  }
});

test("a file that has had a transaction is not taken for unfinished when its meta 1 is damaged", () => {
  const slots = (meta0: Partial<Meta>): boolean => isUnfinished([{ ...META, ...meta0 }, "CHECKSUM"]);
  assert.ok(slots({}));
  assert.ok(!slots({ txid: 2n }));
  assert.ok(!slots({ root: 5 }));
  assert.ok(!slots({ highWaterMark: 9 }));
  assert.ok(!isUnfinished(["CHECKSUM", { ...META, txid: 1n }]));
});

test("meta 1 is found at every page size when meta 0 is damaged", () => {
  for (let pageSize = 512; pageSize <= 2 ** 24; pageSize *= 2) {
    const storage = new MemoryStorage();
    const page = new Uint8Array(512);
    encodeMeta(page, 0, { ...META, pageSize, txid: 7n });
    storage.write([page], pageSize);
    assert.deepEqual(readMetaSlots(storage), ["INVALID", { ...META, pageSize, txid: 7n }], `${pageSize}`);
  }
});

test("what looks like a meta 1 of another page size does not count", () => {
  const storage = new MemoryStorage();
  const page = new Uint8Array(512);
  encodeMeta(page, 0, { ...META, pageSize: 4096, txid: 9n });
  storage.write([page], 1024);
  assert.deepEqual(readMetaSlots(storage), ["INVALID", "INVALID"]);
  encodeMeta(page, 0, META);
  storage.write([page], 0);
  encodeMeta(page, 0, { ...META, pageSize: 1024, txid: 9n });
  storage.write([page], 4096);
  assert.deepEqual(readMetaSlots(storage), [META, "INVALID"]);
});

test("the newer of two valid metas comes first", () => {
  const older = { ...META, txid: 4n };
  const newer = { ...META, txid: 5n };
  assert.deepEqual(validMetas([older, newer]), [newer, older]);
  assert.deepEqual(validMetas([newer, older]), [newer, older]);
  assert.deepEqual(validMetas([older, "CHECKSUM"]), [older]);
  assert.deepEqual(validMetas(["INVALID", "CHECKSUM"]), []);
});
