/** The simulated disk step by step: chosen crashes, cuts, faults, counting, asynchronous operations. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { PowerCut, SECTOR_SIZE, SimulatedDisk, SystemError } from "../../../engine/testing.js";

function sectors(...values: readonly number[]): Uint8Array {
  return Uint8Array.from({ length: values.length * SECTOR_SIZE }, (_, index) => values[Math.floor(index / SECTOR_SIZE)] ?? 0);
}

/** One number a sector; every sector must be of one value. */
function values(bytes: Uint8Array): number[] {
  const found: number[] = [];
  for (let start = 0; start < bytes.length; start += SECTOR_SIZE) {
    const sector = bytes.subarray(start, start + SECTOR_SIZE);
    assert.equal(sector.length, SECTOR_SIZE);
    assert.ok(sector.every((byte) => byte === sector[0]), "a sector is torn within");
    found.push(sector[0] ?? 0);
  }
  return found;
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof SystemError && error.code === code;
}

test("what is synced survives every crash, what is not survives as chosen", () => {
  const disk = new SimulatedDisk();
  disk.write([sectors(1, 1)], 0);
  disk.sync();
  disk.write([sectors(2)], 0);
  disk.write([sectors(3)], SECTOR_SIZE);
  assert.deepEqual(values(disk.crash("none").bytes()), [1, 1]);
  assert.deepEqual(values(disk.crash("all").bytes()), [2, 3]);
  assert.deepEqual(values(disk.crash({ prefix: 1 }).bytes()), [2, 1]);
  assert.deepEqual(values(disk.crash({ keep: (operation) => operation.position > 0 }).bytes()), [1, 3]);
  assert.deepEqual(values(disk.bytes()), [2, 3]);
  assert.deepEqual(values(disk.durableBytes()), [1, 1]);
});

test("a write can be torn, and a later version of a sector lost while the earlier is kept", () => {
  const disk = new SimulatedDisk({ bytes: sectors(1, 1, 1, 1) });
  disk.write([sectors(2, 2), sectors(2)], 0);
  disk.write([sectors(3, 3)], SECTOR_SIZE);
  const lost = disk.operations[1];
  assert.deepEqual(values(disk.crash({ keep: (_, sector) => sector === 1 }).bytes()), [1, 3, 1, 1]);
  assert.deepEqual(values(disk.crash({ keep: (operation) => operation !== lost }).bytes()), [2, 2, 2, 1]);
  assert.deepEqual(values(disk.crash({ keep: (operation, sector) => (sector === 2 ? operation === lost : "zeros") }).bytes()), [0, 0, 3, 1]);
});

test("growth can be lost, half done, or done with zeros", () => {
  const disk = new SimulatedDisk({ bytes: sectors(1) });
  disk.truncate(4 * SECTOR_SIZE);
  disk.write([sectors(2, 2, 2)], SECTOR_SIZE);
  const isWrite = (kind: string): boolean => kind === "write";
  assert.deepEqual(values(disk.crash({ keep: ({ kind }) => !isWrite(kind) }).bytes()), [1, 0, 0, 0]);
  assert.deepEqual(values(disk.crash({ keep: ({ kind }, sector) => isWrite(kind) && sector < 3 }).bytes()), [1, 2, 2]);
  assert.deepEqual(values(disk.crash({ keep: ({ kind }, sector) => isWrite(kind) && sector === 2 }).bytes()), [1, 0, 2]);
  assert.deepEqual(values(disk.crash({ keep: ({ kind }) => isWrite(kind) && "zeros" }).bytes()), [1, 0, 0, 0]);
  assert.deepEqual(values(disk.crash("none").bytes()), [1]);
});

test("a cut file that grew again is whole, cut, or zero behind the cut", () => {
  const disk = new SimulatedDisk({ bytes: sectors(1, 1, 1) });
  disk.truncate(SECTOR_SIZE);
  disk.write([sectors(2)], 3 * SECTOR_SIZE);
  assert.deepEqual(values(disk.bytes()), [1, 0, 0, 2]);
  assert.deepEqual(values(disk.crash("all").bytes()), [1, 0, 0, 2]);
  assert.deepEqual(values(disk.crash({ prefix: 1 }).bytes()), [1]);
  assert.deepEqual(values(disk.crash({ keep: ({ kind }) => kind === "write" }).bytes()), [1, 1, 1, 2]);
});

test("a write of part of a sector takes the rest of it along as the cache had it", () => {
  const disk = new SimulatedDisk();
  disk.write([Uint8Array.of(1, 1, 1, 1)], 0);
  disk.write([Uint8Array.of(2)], 2);
  const second = disk.operations[1];
  assert.deepEqual([...disk.crash({ keep: (operation) => operation === second }).bytes()], [1, 1, 2, 1]);
  assert.deepEqual([...disk.crash({ prefix: 1 }).bytes()], [1, 1, 1, 1]);
});

test("a crashed disk is a disk of its own, which can crash again; the old one goes on", () => {
  const disk = new SimulatedDisk({ bytes: sectors(1) });
  disk.write([sectors(2)], 0);
  const crashed = disk.crash("all");
  crashed.write([sectors(3)], 0);
  assert.deepEqual(values(crashed.crash("none").bytes()), [2]);
  assert.deepEqual(values(crashed.crash("all").bytes()), [3]);
  crashed.sync();
  assert.deepEqual(values(crashed.crash("none").bytes()), [3]);
  assert.deepEqual(values(disk.crash("none").bytes()), [1]);
  assert.equal(crashed.operations.length, 2);
  assert.equal(crashed.label, "all");
});

test("the same seed gives the same crashes, another seed others", () => {
  const run = (seed: number): string[] => {
    const disk = new SimulatedDisk({ seed });
    for (let index = 0; index < 8; index++) disk.write([sectors(1, 2, 3)], index * SECTOR_SIZE);
    return [...Array.from({ length: 20 }, () => disk.crash()), ...disk.crashImages(100)].map((image) => `${image.seed} ${values(image.bytes()).join("")}`);
  };
  assert.deepEqual(run(1), run(1));
  assert.notDeepEqual(run(1), run(2));
});

test("random crashes reach every mixture of fates", () => {
  const disk = new SimulatedDisk({ seed: 3, bytes: sectors(1, 1, 1) });
  disk.write([sectors(2, 2, 2)], 0);
  const seen = new Set<string>();
  for (let count = 0; count < 2000; count++) seen.add(values(disk.crash().bytes()).join(""));
  assert.equal(seen.size, 27);
});

test("crashImages lists each choice once, the orderly ones first, and ends when there are no more", () => {
  const disk = new SimulatedDisk({ bytes: sectors(1, 1) });
  assert.deepEqual([...disk.crashImages(50)].map((image) => image.label), ["none"]);
  disk.write([sectors(2)], 0);
  disk.write([sectors(3)], SECTOR_SIZE);
  const labels = [...disk.crashImages(1000)].map((image) => image.label);
  assert.deepEqual(labels.slice(0, 4), ["none", "all", "prefix 1", "all without write 0"]);
  const images = [...disk.crashImages(1000)].map((image) => values(image.bytes()).join(""));
  assert.equal(images.length, 9);
  assert.equal(new Set(images).size, 9);
  assert.equal([...disk.crashImages(5)].length, 5);
  assert.equal([...disk.crashImages(0)].length, 0);
});

test("of more choices than crashImages may give it gives some of each kind", () => {
  const disk = new SimulatedDisk({ bytes: sectors(...Array.from({ length: 300 }, () => 1)) });
  for (let i = 0; i < 300; i += 2) disk.write([sectors(2, 2)], i * SECTOR_SIZE);
  const labels = [...disk.crashImages(40)].map((image) => image.label);
  assert.equal(labels.length, 40);
  const countOf = (form: RegExp): number => labels.filter((label) => form.test(label)).length;
  assert.deepEqual(labels.slice(0, 2), ["none", "all"]);
  assert.deepEqual([countOf(/^prefix/), countOf(/^(?:before|all w|only)/), countOf(/^random/)], [10, 20, 8]);
  assert.ok(countOf(/write (?:[0-9]|[1-6][0-9])\b/) > 0 && countOf(/write (?:[89][0-9]|1[0-9][0-9])\b/) > 0, labels.join());
});

test("crash images are those of the moment they were asked for", () => {
  const disk = new SimulatedDisk({ bytes: sectors(1, 1) });
  disk.write([sectors(2)], 0);
  const found: number[][] = [];
  const images = disk.crashImages(2);
  disk.write([sectors(8)], 0);
  for (const image of images) {
    found.push(values(image.bytes()));
    disk.write([sectors(9)], SECTOR_SIZE);
    disk.sync();
  }
  assert.deepEqual(found, [[1, 1], [2, 1]]);
});

test("a change of the size has two fates", () => {
  const disk = new SimulatedDisk({ bytes: sectors(1) });
  disk.truncate(2 * SECTOR_SIZE);
  assert.deepEqual([...disk.crashImages(100)].map((image) => image.size()), [SECTOR_SIZE, 2 * SECTOR_SIZE]);
});

test("the power goes out at the operation asked for, and nothing works after it", async () => {
  const disk = new SimulatedDisk();
  disk.cutAfter(2);
  disk.write([sectors(1)], 0);
  disk.sync();
  assert.equal(disk.isCut, false);
  assert.equal(disk.size(), SECTOR_SIZE);
  assert.throws(() => disk.write([sectors(2)], 0), PowerCut);
  assert.equal(disk.isCut, true);
  assert.throws(() => disk.read(new Uint8Array(1), 0), PowerCut);
  assert.throws(() => disk.sync(), PowerCut);
  assert.throws(() => disk.truncate(0), PowerCut);
  assert.throws(() => disk.size(), PowerCut);
  assert.throws(() => disk.lock(), PowerCut);
  await assert.rejects(disk.writeAsync([sectors(1)], 0), PowerCut);
  await assert.rejects(disk.syncAsync(), PowerCut);
  disk.close();
  assert.deepEqual(disk.operations.map(({ kind }) => kind), ["write", "sync"]);
  const crashed = disk.crash("all");
  assert.deepEqual(values(crashed.bytes()), [1]);
  crashed.write([sectors(3)], 0);
});

test("operations are counted in order with what was asked for", () => {
  const disk = new SimulatedDisk();
  disk.write([new Uint8Array(3), new Uint8Array(4)], 10);
  disk.read(new Uint8Array(100), 5);
  disk.truncate(2);
  disk.sync();
  disk.write([Uint8Array.of(1)], 0);
  assert.deepEqual(disk.operations, [
    { kind: "write", index: 0, position: 10, length: 7 },
    { kind: "read", index: 1, position: 5, length: 100 },
    { kind: "truncate", index: 2, position: 2, length: 0 },
    { kind: "sync", index: 3, position: 0, length: 0 },
    { kind: "write", index: 4, position: 0, length: 1 },
  ]);
  assert.deepEqual(disk.pending.map(({ index }) => index), [4]);
});

test("the n-th operation of a kind fails, the others do not", () => {
  const disk = new SimulatedDisk();
  disk.inject({ failure: "error", on: "write", nth: 2, times: 2, code: "ENOSPC" });
  disk.inject({ failure: "error", nth: 6 });
  disk.write([sectors(1)], 0);
  disk.sync();
  assert.throws(() => disk.write([sectors(2)], 0), hasCode("ENOSPC"));
  assert.throws(() => disk.write([sectors(2)], 0), hasCode("ENOSPC"));
  disk.write([sectors(4)], 0);
  assert.throws(() => disk.truncate(0), hasCode("EIO"));
  assert.deepEqual(values(disk.bytes()), [4]);
  disk.truncate(0);
});

test("faults that are cleared do not come", () => {
  const disk = new SimulatedDisk();
  disk.inject({ failure: "error", times: Infinity });
  assert.throws(() => disk.sync(), hasCode("EIO"));
  assert.throws(() => disk.read(new Uint8Array(1), 0), hasCode("EIO"));
  disk.clearFaults();
  disk.sync();
});

test("a short write writes its first part and throws; a short read returns fewer bytes", () => {
  const disk = new SimulatedDisk({ bytes: Uint8Array.of(1, 1, 1, 1, 1, 1) });
  disk.inject({ failure: "short", on: "write", byteCount: 3, code: "ENOSPC" });
  assert.throws(() => disk.write([Uint8Array.of(2, 2), Uint8Array.of(3, 3)], 0), hasCode("ENOSPC"));
  assert.deepEqual([...disk.bytes()], [2, 2, 3, 1, 1, 1]);
  disk.inject({ failure: "short", on: "read" });
  const target = new Uint8Array(6).fill(9);
  assert.equal(disk.read(target, 0), 3);
  assert.deepEqual([...target], [2, 2, 3, 9, 9, 9]);
  assert.equal(disk.read(target, 0), 6);
});

test("a full disk takes what fits and gives ENOSPC", () => {
  const disk = new SimulatedDisk({ capacity: 4 });
  assert.throws(() => disk.write([Uint8Array.of(1, 2), Uint8Array.of(3, 4, 5)], 0), hasCode("ENOSPC"));
  assert.deepEqual([...disk.bytes()], [1, 2, 3, 4]);
  assert.throws(() => disk.truncate(5), hasCode("ENOSPC"));
  assert.throws(() => disk.write([Uint8Array.of(1)], 100), hasCode("ENOSPC"));
  assert.equal(disk.size(), 4);
});

test("a sync that fails leaves everything to be synced", () => {
  const disk = new SimulatedDisk();
  disk.write([sectors(1)], 0);
  disk.inject({ failure: "error", on: "sync" });
  assert.throws(() => disk.sync(), hasCode("EIO"));
  assert.deepEqual(values(disk.crash("none").bytes()), []);
  disk.sync();
  assert.deepEqual(values(disk.crash("none").bytes()), [1]);
});

test("a sync that loses the dirty sectors fails once, then succeeds without them, while reads still show them", () => {
  const disk = new SimulatedDisk({ bytes: sectors(1, 1) });
  disk.write([sectors(2, 2)], 0);
  disk.inject({ failure: "lost" });
  assert.throws(() => disk.sync(), hasCode("EIO"));
  disk.sync();
  assert.deepEqual(values(disk.bytes()), [2, 2]);
  assert.deepEqual(values(disk.crash("all").bytes()), [1, 1]);
  disk.write([sectors(2)], 0);
  disk.sync();
  assert.deepEqual(values(disk.crash("none").bytes()), [2, 1]);
});

test("a sync that lies makes nothing durable; an honest one later does", () => {
  const disk = new SimulatedDisk();
  disk.write([sectors(1)], 0);
  disk.inject({ failure: "lie" });
  disk.sync();
  assert.deepEqual(values(disk.crash("none").bytes()), []);
  assert.deepEqual(disk.pending.map(({ kind }) => kind), ["write"]);
  disk.sync();
  assert.deepEqual(values(disk.crash("none").bytes()), [1]);
});

test("faults that cannot be are refused", () => {
  const disk = new SimulatedDisk();
  assert.throws(() => disk.inject({ failure: "lie", on: "write" }), TypeError);
  assert.throws(() => disk.inject({ failure: "short", on: "sync" }), TypeError);
  assert.throws(() => disk.inject({ failure: "error", nth: 0 }), TypeError);
  for (const byteCount of [-5, 1.5, NaN]) assert.throws(() => disk.inject({ failure: "short", byteCount }), { name: "TypeError", message: /byteCount/ });
  assert.throws(() => Reflect.apply(disk.inject, disk, [{ failure: "error", nht: 3 }]), { name: "TypeError", message: /no "nht"; it has .*nth/ });
  assert.throws(() => disk.inject({ failure: "error", times: 0 }), TypeError);
  assert.throws(() => Reflect.apply(disk.inject, disk, [{ failure: "error", code: "ENOPE" }]), { name: "TypeError", message: /ENOPE/ });
  disk.sync();
});

test("a seed in place of the options is refused, as is all else that is no object", () => {
  for (const options of [42, "42", null, true]) assert.throws(() => Reflect.construct(SimulatedDisk, [options]), { name: "TypeError", message: /^options must be an object/ });
});

test("options and crashes that cannot be are refused", () => {
  assert.throws(() => Reflect.construct(SimulatedDisk, [{ sead: 1 }]), { name: "TypeError", message: /no option "sead".*seed/ });
  const disk = new SimulatedDisk();
  for (const seed of [0.5, NaN, "1"]) assert.throws(() => Reflect.construct(SimulatedDisk, [{ seed }]), { name: "TypeError", message: /^seed must be a whole number/ });
  for (const limit of [undefined, "x", -1]) assert.throws(() => Reflect.apply(disk.crashImages, disk, [limit]), { name: "TypeError", message: /^limit/ });
  for (const count of [-1, Infinity, 0.5]) assert.throws(() => disk.cutAfter(count), { name: "TypeError", message: /^cutAfter takes/ });
  for (const prefix of [-1, 0.5, "1"]) assert.throws(() => Reflect.apply(disk.crash, disk, [{ prefix }]), { name: "TypeError", message: /^prefix/ });
  assert.throws(() => Reflect.apply(disk.crash, disk, [{}]), { name: "TypeError", message: "keep takes a function" });
  const dirty = new SimulatedDisk();
  dirty.write([sectors(1)], 0);
  assert.throws(() => Reflect.apply(dirty.crash, dirty, [{ keep: () => "zero" }]), { name: "TypeError", message: /^keep says true, false or "zeros", not zero/ });
  for (const choice of ["x", null, 5]) assert.throws(() => Reflect.apply(disk.crash, disk, [choice]), { name: "TypeError", message: /"all", "none"/ });
});

test("an asynchronous write is seen at once, and a sync covers what was written before it, when it resolves", async () => {
  const disk = new SimulatedDisk();
  const writing = disk.writeAsync([sectors(1)], 0);
  assert.deepEqual(values(disk.bytes()), [1]);
  const syncing = disk.syncAsync();
  disk.write([sectors(2)], SECTOR_SIZE);
  assert.deepEqual(values(disk.crash("none").bytes()), []);
  await Promise.all([writing, syncing]);
  assert.deepEqual(values(disk.crash("none").bytes()), [1]);
  assert.deepEqual(values(disk.crash("all").bytes()), [1, 2]);
});

test("asynchronous syncs may overlap, and synchronous ones come between", async () => {
  const disk = new SimulatedDisk();
  disk.write([sectors(1)], 0);
  const first = disk.syncAsync();
  disk.write([sectors(2)], SECTOR_SIZE);
  const second = disk.syncAsync();
  disk.sync();
  disk.write([sectors(3)], 0);
  await Promise.all([first, second]);
  assert.deepEqual(values(disk.crash("none").bytes()), [1, 2]);
  assert.deepEqual(disk.pending.map(({ index }) => index), [5]);
});

test("a power cut before an asynchronous sync has ended keeps it from taking effect", async () => {
  const disk = new SimulatedDisk();
  disk.write([sectors(1)], 0);
  const syncing = disk.syncAsync();
  disk.cutAfter(0);
  await assert.rejects(syncing, PowerCut);
  assert.deepEqual(values(disk.crash("none").bytes()), []);
});

test("asynchronous operations reject with the faults injected", async () => {
  const disk = new SimulatedDisk();
  disk.inject({ failure: "error", on: "write", code: "ENOSPC" });
  await assert.rejects(disk.writeAsync([sectors(1)], 0), hasCode("ENOSPC"));
  await disk.writeAsync([sectors(1)], 0);
  disk.inject({ failure: "lost" });
  await assert.rejects(disk.syncAsync(), hasCode("EIO"));
  await disk.syncAsync();
  assert.deepEqual(values(disk.crash("all").bytes()), []);
});

test("the disk outlives close", () => {
  const disk = new SimulatedDisk();
  disk.write([sectors(1)], 0);
  disk.close();
  disk.close();
  assert.ok(disk.lock());
  assert.deepEqual(values(disk.bytes()), [1]);
});
