/**
 * The same on a real file system whose power is cut: ext4 or XFS in an image file that lies in an XFS, which copies files in one instant (a reflink). Such
 * a copy, made while the process writes, is what the disk holds if the power goes at that moment: what the system still had in its memory is missing.
 * The copy is mounted, as after the cut, and examined. Then the process is killed, and the next one goes on either after the cut, or after the kill alone,
 * where much of what it finds is still only in the system's memory.
 *
 * A disk's own memory is not part of this: what the system has handed to the disk is on it.
 */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { detach, makeImage, mountImage, run } from "../support/loop-disk.js";
import { Random } from "../support/random.js";
import { tempPath } from "../support/temp.js";
import { ROUNDS_A_FILE } from "./rounds.js";
import { momentOf, NOTHING_SAID, runAndKill, Victim } from "./victim.js";

/** File systems that can be tried. */
export const FILE_SYSTEMS = ["ext4", "xfs"] as const;
/** One of them. */
export type FileSystem = (typeof FILE_SYSTEMS)[number];

/** What the cuts came to. */
export interface PowerCutReport {
  rounds: number;
  /** Commits that were reported before a cut. */
  acknowledged: number;
  /** Rounds in which some of what was under way was found done. */
  underWayFound: number;
  /** Rounds in which the file was not there yet, or not opened yet. */
  whileMade: number;
  /** Rounds in which the newest commit lacked pages, and the state before it was opened. */
  torn: number;
}

/** The least that an XFS takes, and some. */
const DISK_SIZE = 320 << 20;
const ROOM_SIZE = 8 * 2 ** 30;

/** A file system in an image file that can be copied in an instant. */
class Disk {
  readonly #room: Room;
  readonly #image: string;
  readonly #type: FileSystem;
  readonly #folder: string;

  /** @param image a file in the room, with a file system of the type */
  constructor(room: Room, image: string, type: FileSystem) {
    this.#room = room;
    this.#image = image;
    this.#type = type;
    this.#folder = `${image}.mounted`;
  }

  /** Where the victim's file lies while the disk is mounted. */
  get file(): string {
    return join(this.#folder, "file.db");
  }

  mount(): void {
    // A file system and its copy have one identifier, and XFS minds.
    mountImage(this.#image, this.#folder, this.#type === "xfs" ? "loop,nouuid" : "loop");
  }

  /** Gives a disk, not mounted, that holds what this one holds now, without what the system has not written to it yet. */
  copy(): Disk {
    const image = this.#room.newImage();
    run("cp", "--reflink=always", this.#image, image);
    return new Disk(this.#room, image, this.#type);
  }

  remove(): void {
    detach(this.#folder);
    rmSync(this.#image);
  }
}

/** The file system that the images lie in. */
class Room {
  readonly #image = tempPath("room");
  readonly #folder = `${this.#image}.mounted`;
  #imageCount = 0;

  /** @throws Error where no file systems can be made or mounted */
  constructor() {
    makeImage(this.#image, "xfs", ROOM_SIZE, "-m", "reflink=1");
    mountImage(this.#image, this.#folder);
  }

  newImage(): string {
    return join(this.#folder, `${++this.#imageCount}.image`);
  }

  /** Gives a new disk, empty and mounted. */
  makeDisk(type: FileSystem): Disk {
    const image = this.newImage();
    makeImage(image, type, DISK_SIZE);
    const disk = new Disk(this, image, type);
    disk.mount();
    return disk;
  }

  /** With every disk in it. */
  remove(): void {
    for (let i = 1; i <= this.#imageCount; i++) detach(join(this.#folder, `${i}.image.mounted`));
    detach(this.#folder);
    rmSync(this.#image);
  }
}

/** One process, one cut. Gives the disk that the next process finds. */
async function cutOnce(victim: Victim, disk: Disk, random: Random, report: PowerCutReport): Promise<Disk> {
  const isNew = !existsSync(disk.file);
  let before = NOTHING_SAID;
  let cut = disk;
  const after = await runAndKill({ ...victim.order, path: disk.file }, momentOf(random, random.below(isNew ? 2 : 6) === 0), (said) => {
    before = said;
    cut = disk.copy();
  });
  if (isNew && !before.isOpened) report.whileMade++;
  // To examine a file is to open and to close it; the next process shall find it as the cut has left it.
  const examined = cut.copy();
  examined.mount();
  if (existsSync(examined.file)) {
    const { acknowledged, isUnderWayFound, lostTxid } = victim.examine(examined.file, before, after);
    report.acknowledged += acknowledged;
    if (isUnderWayFound) report.underWayFound++;
    if (lostTxid !== undefined) report.torn++;
  } else {
    victim.assertNotMade(before);
  }
  examined.remove();
  if (random.below(2) === 0) {
    cut.remove();
    return disk;
  }
  disk.remove();
  cut.mount();
  return cut;
}

/** Why there can be no cuts here; undefined where there can. */
export function whyNoPowerCuts(type: FileSystem): string | undefined {
  let room: Room | undefined;
  try {
    room = new Room();
    room.makeDisk(type).copy();
    return undefined;
  } catch (error) {
    return `no file systems can be made, mounted and copied here: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    room?.remove();
  }
}

/**
 * Runs rounds.
 * @throws Error naming seed and round where something was lost
 */
export async function powerCutRounds(seed: number, roundCount: number, type: FileSystem, onRound?: (report: PowerCutReport) => void): Promise<PowerCutReport> {
  const random = new Random(seed);
  const report: PowerCutReport = { rounds: 0, acknowledged: 0, underWayFound: 0, whileMade: 0, torn: 0 };
  const room = new Room();
  try {
    let disk = room.makeDisk(type);
    let victim = new Victim(random, disk.file);
    for (let round = 0; round < roundCount; round++) {
      if (round > 0 && round % ROUNDS_A_FILE === 0) {
        disk.remove();
        disk = room.makeDisk(type);
        victim = new Victim(random, disk.file);
      }
      try {
        disk = await cutOnce(victim, disk, random, report);
      } catch (error) {
        throw new Error(`seed ${seed}, round ${round}, ${type}, ${JSON.stringify(victim.order)}: ${String(error)}`, { cause: error });
      }
      report.rounds++;
      onRound?.(report);
    }
  } finally {
    room.remove();
  }
  return report;
}
