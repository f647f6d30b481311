/**
 * flock(2) on the database file itself, as Go bolt and bbolt take it: exclusive for a writer, shared for readers.
 *
 * Node has no such call. A lock of this kind belongs to the open file description, though, not to the process that
 * asked for it: a child that inherits our descriptor takes it for us and leaves, and the lock stays until our last
 * descriptor is closed: by `close`, by the end of the process, by kill -9. Node opens files close-on-exec, so children
 * that the application starts meanwhile do not inherit the descriptor and cannot keep the lock alive.
 *
 * Kept true: "taken" and "held" are what the system said. Whatever else a helper does (missing, killed, an error of the
 * file system) is an error that says so; nothing goes on unlocked in silence.
 *
 * Windows has no flock (windows-lock.ts has its way), and Solaris and AIX emulate it with locks that end with the helper: refused there.
 */
import { spawnSync } from "node:child_process";

import { systemCode } from "../base/errors.js";
import type { LockMode } from "./storage.js";

/** Where flock(2) belongs to the open file description. */
const PLATFORMS: ReadonlySet<string> = new Set(["linux", "android", "darwin", "freebsd", "openbsd", "netbsd"]);

/** A helper that hangs, say on a dead network file system, must not hang its caller for ever. */
const HELPER_TIMEOUT_MS = 30_000;

/** The descriptor's number in the helper. */
const CHILD_FD = 3;

/** LOCK_SH | LOCK_NB and LOCK_EX | LOCK_NB, the same numbers on every platform named above. */
const FLOCK_OPERATION: Readonly<Record<LockMode, number>> = { shared: 1 | 4, exclusive: 2 | 4 };

// Perl's and Python's own ways to exit on an error can give 1 or print warnings of their own, so both scripts keep
// 1 for "held" and leave by 2 where flock fails otherwise. Descriptors are opened for reading: flock asks for no more.
const PERL_SCRIPT = `open(my $file, "<&=", ${CHILD_FD}) or do { print STDERR "open: $!"; exit 2 };
flock($file, $ARGV[0]) and exit 0;
exit 1 if $!{EWOULDBLOCK};
print STDERR "flock: $!";
exit 2;`;

const PYTHON_SCRIPT = `import fcntl, sys
try:
    fcntl.flock(${CHILD_FD}, int(sys.argv[1]))
except BlockingIOError:
    sys.exit(1)
except OSError as error:
    sys.stderr.write("flock: %s" % error)
    sys.exit(2)`;

interface Helper {
  readonly command: string;
  arguments(mode: LockMode): readonly string[];
  /** busybox leaves by 1 for errors too, but then it prints one; util-linux and it are both silent about "held". */
  readonly heldIsSilent: boolean;
}

const HELPERS: readonly Helper[] = [
  { command: "flock", arguments: (mode) => [mode === "shared" ? "-s" : "-x", "-n", String(CHILD_FD)], heldIsSilent: true },
  { command: "perl", arguments: (mode) => ["-e", PERL_SCRIPT, String(FLOCK_OPERATION[mode])], heldIsSilent: false },
  { command: "python3", arguments: (mode) => ["-I", "-S", "-c", PYTHON_SCRIPT, String(FLOCK_OPERATION[mode])], heldIsSilent: false },
];

/** The helper that last gave an answer, so that later openings do not search again. */
let knownHelper: Helper | undefined;

/** No program that can take a flock was found, or the platform has none. Opening with `lock: "none"` is the way round it. */
export class LockHelperMissingError extends Error {
  override readonly name: string = "LockHelperMissingError";
  readonly code: "LOCK_HELPER_MISSING" = "LOCK_HELPER_MISSING";

  constructor(reason: string) {
    super(`cannot lock the file: ${reason}; lock: "none" opens it unlocked, at your own risk: nothing then keeps a second writer out`);
  }
}

/** A program that takes flocks was found, but none gave an answer: killed, timed out, or the file system refused. */
export class LockFailedError extends Error {
  override readonly name: string = "LockFailedError";
  readonly code: "LOCK_FAILED" = "LOCK_FAILED";

  constructor(failures: readonly string[]) {
    super(`cannot lock the file: ${failures.join("; ")}`);
  }
}

type Outcome = "taken" | "held" | "missing" | { readonly failure: string };

/**
 * Tries once to take the flock of an open file; an earlier lock of the same descriptor is converted.
 * @returns false when another open file description holds it
 * @throws LockHelperMissingError where no flock, perl or python3 can be run
 * @throws LockFailedError when they ran and could not tell
 * @see bbolt bolt_unix.go, flock
 */
export function tryLock(fd: number, mode: LockMode): boolean {
  if (!PLATFORMS.has(process.platform)) throw new LockHelperMissingError(`${process.platform} has no flock`);
  const failures: string[] = [];
  for (const helper of helpersInOrder()) {
    const outcome = runHelper(helper, fd, mode);
    if (outcome === "missing") continue;
    if (outcome === "taken" || outcome === "held") {
      knownHelper = helper;
      return outcome === "taken";
    }
    failures.push(outcome.failure);
  }
  if (failures.length > 0) throw new LockFailedError(failures);
  throw new LockHelperMissingError("no helper was found, none of the commands flock, perl and python3");
}

function helpersInOrder(): readonly Helper[] {
  const known = knownHelper;
  return known === undefined ? HELPERS : [known, ...HELPERS.filter((helper) => helper !== known)];
}

function runHelper(helper: Helper, fd: number, mode: LockMode): Outcome {
  const { command } = helper;
  try {
    const result = spawnSync(command, helper.arguments(mode), {
      stdio: ["ignore", "ignore", "pipe", fd],
      timeout: HELPER_TIMEOUT_MS,
      // A stopped process would never take a signal that can be waited with.
      killSignal: "SIGKILL",
      encoding: "utf8",
      // Messages in English, and no options of the user's in the perl that runs here.
      env: { ...process.env, LC_ALL: "C", PERL5OPT: "" },
    });
    // 127 is how a shell stub, or a busybox built without the applet, says that there is no such program.
    if (systemCode(result.error) === "ENOENT" || result.status === 127) return "missing";
    if (result.error !== undefined) return { failure: `${command}: ${result.error.message}` };
    const complaint = result.stderr.trim();
    if (result.status === 0) return "taken";
    if (result.status === 1 && (complaint === "" || !helper.heldIsSilent)) return "held";
    const end = result.signal === null ? `exit ${result.status}` : `killed by ${result.signal}`;
    return { failure: `${command}: ${complaint === "" ? end : `${end}, ${complaint}`}` };
  } catch (error) {
    // The permission model of Node throws here when child processes are not allowed.
    return { failure: `${command}: ${error instanceof Error ? error.message : String(error)}` };
  }
}
