/** What is known of the tests on runtimes other than Node: tests that fail there, each with its reason, and files that say nothing about a runtime. */

/** The releases of Node with long support, after the one that the package begins with. */
export const NODE_MAJORS: readonly number[] = [22, 24, 26];

/** The runtimes by the names under which they are asked for. */
export const RUNTIMES: readonly string[] = [...NODE_MAJORS.map((major) => `node${major}`), "bun", "deno"];

/** A test that fails on a runtime. */
export interface KnownFailure {
  readonly runtime: "bun" | "deno";
  readonly file: string;
  /** How its name begins; undefined where the whole process may end in the middle of the file. */
  readonly test: string | undefined;
  readonly reason: string;
  /** It may pass as well: what it depends on is a matter of time. */
  readonly sometimes?: boolean;
}

/** Files that are not run on some runtimes. */
export interface UnfitFiles {
  readonly runtimes: readonly string[];
  /** How their paths begin. */
  readonly file: string;
  readonly reason: string;
}

const HTTP2_OF_DENO = "the HTTP/2 of Deno 2.9 ends the process now and then, by an assertion of its own, when a connection is closed";

const REFUSED_EARLY_ON_DENO = "the HTTP/2 client of Deno never ends a call that the server refuses while it is being sent";

/** Tests that fail, and why. */
export const KNOWN: readonly KnownFailure[] = [
  { runtime: "bun", file: "engine/under-us.test.js", test: "threads that open one file exclude each other", reason: "Bun leaves the files of a terminated worker open, and so its lock taken, until the process ends" },
  { runtime: "deno", file: "engine/db/compact.test.js", test: "no half file", reason: "starts a program with Node's flags" },
  { runtime: "deno", file: "engine/storage/file-storage.test.js", test: "a new file by a relative path", reason: "starts a program with Node's flags" },
  { runtime: "deno", file: "engine/storage/file-storage.test.js", test: "a write that the system cuts short", reason: "starts a program with Node's flags" },
  { runtime: "deno", file: "engine/storage/file-storage.test.js", test: "where the file cannot be opened a second time", reason: "starts a program with Node's flags" },
  { runtime: "deno", file: "engine/under-us.test.js", test: "threads that open one file exclude each other", sometimes: true, reason: "Deno closes the files of a terminated worker some time later" },
  { runtime: "deno", file: "engine/db/fake-timers.test.js", test: "batch and updateAsync", reason: "the mock timers of Deno take the place of those of node:timers, too" },
  { runtime: "bun", file: "images/grpc-server.test.js", test: "clients that do nothing", reason: "Bun 1.4 leaves the connection of an HTTP/2 session open that a server destroys" },
  { runtime: "deno", file: "images/grpc-server.test.js", test: "a client whose server goes away", reason: "imports a module in a program that is given as text" },
  { runtime: "deno", file: "images/grpc-server.test.js", test: "requests that do not end", reason: REFUSED_EARLY_ON_DENO },
  { runtime: "bun", file: "images/server.test.js", test: "thousands of calls at once", sometimes: true, reason: "the HTTP/2 of Bun 1.4 needs longer than the deadline for thousands of calls on one connection" },
  ...["images/fuzz.test.js", "images/local.test.js", "images/remote.test.js"].map((file): KnownFailure => ({ runtime: "deno", file, test: undefined, sometimes: true, reason: HTTP2_OF_DENO })),
];

/** Files that are left out, and why. */
export const UNFIT: readonly UnfitFiles[] = [
  { runtimes: RUNTIMES, file: "tidy.test.js", reason: "looks at sources, runs none" },
  { runtimes: RUNTIMES, file: "package-types.test.js", reason: "about compilers" },
  { runtimes: RUNTIMES, file: "cli/view-page.test.js", reason: "drives a browser, in a step of its own" },
  { runtimes: ["bun", "deno"], file: "package.test.js", reason: "about npm and Node's resolution" },
  { runtimes: ["bun", "deno"], file: "docs/", reason: "runs the documents' examples with the flags of Node" },
  { runtimes: ["bun", "deno"], file: "run.test.js", reason: "about the runner of Node's tests" },
  { runtimes: ["bun", "deno"], file: "runtimes.test.js", reason: "about this list" },
  { runtimes: ["bun", "deno"], file: "bench/", reason: "about a program of Node" },
  { runtimes: ["bun", "deno"], file: "build/", reason: "about the build, which Node runs" },
  { runtimes: ["node22", "node26", "bun", "deno"], file: "crash/", reason: "a minute of simulation, which meets no runtime: once is enough" },
  { runtimes: ["deno"], file: "cli/", reason: "starts programs through a shell and with signals, which Deno reports in ways of its own" },
  { runtimes: ["deno"], file: "engine/storage/simulated-disk-guide.test.js", reason: "imports the package by its own name, which Deno does from an npm package alone" },
  { runtimes: ["deno"], file: "images/server.test.js", reason: REFUSED_EARLY_ON_DENO },
  { runtimes: ["deno"], file: "images/cli.test.js", reason: HTTP2_OF_DENO },
];
