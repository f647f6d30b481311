/** The entry point `hexbolt/testing`: a disk that loses power and fails, for the tests of applications. */
export { PowerCut, SimulatedDisk, type SimulatedDiskOptions } from "./storage/simulated-disk.js";
export type { CrashChoice, KeepSector, Operation, OperationKind } from "./storage/crash-plan.js";
export type { Failure, Fault } from "./storage/faults.js";
export { type ErrnoName, SystemError } from "./storage/system-error.js";
export { type LockMode, SECTOR_SIZE, type Storage } from "./storage/storage.js";
