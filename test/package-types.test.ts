/**
 * The package's types as its users' compilers see them: projects of ES and of CommonJS modules, each way of resolving modules that TypeScript has for
 * packages with an exports map, the oldest TypeScript that is promised and the newest.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { npm, projectWithPackage } from "./package-install.js";
import { repositoryRoot } from "./support/fixtures.js";
import { tempPath } from "./support/temp.js";

const OLDEST = "5.4";

/** What a user writes. The comments that expect an error fail the compilation where there is none. */
const USE = `import { open, tuple, typed, utf8, uint32, uint64, BoltError, type DB, type Bucket, type Codec, type OpenOptions, type TypedBucket } from "hexbolt";
import { SimulatedDisk } from "hexbolt/testing";
import { LocalImageStore, type ImageStore } from "hexbolt/images";
import { imageStoreConformance } from "hexbolt/images/conformance";
const options: OpenOptions = { readOnly: false, timeout: 100 };
const db: DB = open("x.db", options);
const value: Buffer | undefined = db.view((tx) => tx.bucket("b")?.get("k"));
const same: DB = db.view((tx) => tx.db);
const bucket: Bucket = db.update((tx) => tx.createBucket("b"));
const counters = typed(bucket, { key: utf8, value: uint64 });
const counter: bigint | undefined = counters.get("hits");
const store: ImageStore = new LocalImageStore(db, {});
const disk = new SimulatedDisk();
const done: Promise<number> = db.updateAsync(async (tx) => tx.id > 1n ? 1 : 2);
const moves = typed(bucket, { key: tuple(utf8, uint32), value: tuple(uint32, uint32) });
const place: readonly [string, number] = ["game 1", 2];
moves.put(place, [1, 2] as const);
const game: string | undefined = moves.cursor().seek(place)?.key[0];
class Point { readonly #x = 1; get x(): number { return this.#x; } }
declare const point: Codec<Point>;
// @ts-${"expect-error"} it only looks like a point
typed(bucket, { key: utf8, value: point }).put("k", { x: 1 });
function putOne<K, V>(target: TypedBucket<K, V>, key: K, value: V): void { target.put(key, value); }
putOne(moves, ["game 1", 3], [1, 2]);
// @ts-${"expect-error"} a read transaction cannot write
db.view((tx) => tx.createBucket("b"));
// @ts-${"expect-error"} a counter is no text
counters.put("hits", "three");
// @ts-${"expect-error"} its parts are the other way round
moves.put([2, "game 1"] as const, [1, 2]);
export const all = [value, same, bucket, counter, store, disk, done, game, BoltError, imageStoreConformance];
`;

interface Way {
  readonly module: string;
  readonly moduleResolution: string;
  /** Compiled together: each is resolved by its own ending. */
  readonly files: readonly string[];
  /** Default es2023. */
  readonly lib?: string;
}

const WAYS: readonly Way[] = [
  { module: "node16", moduleResolution: "node16", files: ["use.mts", "use.cts"] },
  { module: "nodenext", moduleResolution: "nodenext", files: ["use.mts", "use.cts"] },
  { module: "esnext", moduleResolution: "bundler", files: ["use.ts", "use.mts"] },
  { module: "node16", moduleResolution: "node16", files: ["use.mts", "use.cts"], lib: "es2020" },
];

/** The way before exports maps, which newer compilers have given up. */
const FORMER_WAY: Way = { module: "commonjs", moduleResolution: "node10", files: ["use.ts"] };

/** Installs the oldest TypeScript, which takes the network: in CI, or where a folder is named that has it. */
function oldestCompiler(): { readonly program: string } | { readonly missing: string } {
  const folder = process.env["HEXBOLT_OLDEST_TYPESCRIPT"] ?? tempPath("typescript");
  const program = join(folder, "node_modules/typescript/lib/tsc.js");
  if (existsSync(program)) return { program };
  if (process.env["CI"] === undefined) return { missing: `set CI=true to install TypeScript ${OLDEST} and test with it` };
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), '{ "private": true }');
    npm(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", `typescript@${OLDEST}`], folder);
    return { program };
  } catch (error) {
    return { missing: `npm cannot install TypeScript ${OLDEST}: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}` };
  }
}

describe("the package's types", () => {
  let project = "";
  before(() => {
    project = projectWithPackage();
    for (const file of ["use.ts", "use.mts", "use.cts"]) writeFileSync(join(project, file), USE);
  });

  function check(program: string, { files, module, moduleResolution, lib = "es2023" }: Way): void {
    const config = join(project, `tsconfig.${moduleResolution}.${lib}.json`);
    writeFileSync(config, JSON.stringify({
      compilerOptions: {
        module, moduleResolution, target: lib === "es2023" ? "es2022" : lib, lib: lib === "es2023" ? [lib, "esnext.disposable"] : [lib], strict: true, noEmit: true, exactOptionalPropertyTypes: true, skipLibCheck: false,
        types: ["node"], typeRoots: [join(repositoryRoot, "node_modules/@types")],
      },
      files,
    }));
    const run = spawnSync(process.execPath, [program, "-p", config], { cwd: project, encoding: "utf8" });
    assert.equal(run.stdout, "");
    assert.equal(run.status, 0);
  }

  const nameOf = ({ files, lib = "", moduleResolution }: Way): string => [moduleResolution, ...files, lib].join(" ").trimEnd();
  for (const way of WAYS) {
    test(`resolve with the newest TypeScript, ${nameOf(way)}`, () => check(join(repositoryRoot, "node_modules/typescript/bin/tsc"), way));
  }

  const oldest = oldestCompiler();
  for (const way of [...WAYS, FORMER_WAY]) {
    test(`resolve with TypeScript ${OLDEST}, ${nameOf(way)}`, { skip: "missing" in oldest ? oldest.missing : false }, () => {
      if ("program" in oldest) check(oldest.program, way);
    });
  }
});
