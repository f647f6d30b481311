/** The commands that look into a file, against the original bolt's command, the fixtures' descriptions and texts of bbolt. */
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { describe, test } from "node:test";
import { open } from "../../engine/index.js";
import { fixtureCopy, fixtureOriginal, readFixture } from "../support/fixtures.js";
import { tempPath } from "../support/temp.js";
import { BoltCommand } from "./boltdb-cli.js";
import { here, jsonLinesHere, outputHere } from "./command.js";

const FILES = ["nested-5", "binary-keys", "heavy-deletes", "pagesize-1024", "containerd-meta", "overflow-values"];
const bolt = new BoltCommand();

describe("beside the original bolt's command", { skip: bolt.skip }, () => {
  for (const name of FILES) {
    test(`${name}: info, stats, check, dump and page print the same`, async () => {
      const path = fixtureOriginal(name);
      for (const argv of [["info"], ["stats"], ["check"]]) {
        // The original opens for writing: it gets a file of its own.
        const theirs = bolt.run([...argv, fixtureCopy(name)]);
        const ours = await here([...argv, path]);
        assert.equal(ours.stdout, theirs.stdout, argv[0]);
        assert.equal(ours.status, theirs.status, argv[0]);
      }
      const ids = ["0", "1", "2", "3", "4"];
      assert.equal(await outputHere(["dump", path, ...ids]), bolt.run(["dump", path, ...ids]).stdout);
      // bbolt tells of overflow pages too, and does not quote values.
      const ours = (await outputHere(["page", path, "0", "1"])).replace(/^Overflow pages: .*\n/gm, "");
      assert.equal(ours, bolt.run(["page", path, "0", "1"]).stdout);
    });

    test(`${name}: pages lists what the file holds`, async () => {
      // The original's own command commits first, which moves the freelist: what it lists is compared with what it left behind.
      const path = fixtureCopy(name);
      const theirs = bolt.run(["pages", path]).stdout.trimEnd().split("\n");
      const ours = (await outputHere(["pages", path])).trimEnd().split("\n");
      assert.deepEqual(ours.slice(0, 4), theirs.slice(0, 4));
      const kinds = (lines: readonly string[]): string[] => lines.filter((line) => /leaf|branch/.test(line));
      assert.deepEqual(kinds(ours), kinds(theirs));
    });
  }
});

test("pages: free pages, an overflow, the freelist's own count", async () => {
  const path = fixtureOriginal("overflow-values");
  const { meta } = readFixture("overflow-values");
  const lines = (await outputHere(["pages", path])).split("\n");
  assert.equal(lines[0], "ID       TYPE       ITEMS  OVRFLW");
  assert.equal(lines[1], "======== ========== ====== ======");
  assert.equal(lines[2], `0        meta       0      ${" ".repeat(6)}`);
  assert.equal(lines.filter((line) => / free /.test(line)).length, meta?.freeCount);
  assert.ok(lines.some((line) => line.startsWith(`${meta?.freelist ?? ""} `.padEnd(9)) && line.includes(`freelist   ${meta?.freeCount ?? ""}`)));
  const rows = await jsonLinesHere(["pages", path]) as { readonly id: number; readonly overflow?: number }[];
  const covered = rows.reduce((sum, row) => sum + 1 + (row.overflow ?? 0), 0);
  assert.equal(String(covered), meta?.highWater);
  assert.ok(rows.some((row) => (row.overflow ?? 0) > 0));
});

test("pages of a file that does not store its free pages finds them", async () => {
  const path = fixtureOriginal("no-freelist-sync");
  const free = (await jsonLinesHere(["pages", path]) as { readonly id: number; readonly type: string }[]).filter((row) => row.type === "free").map((row) => row.id);
  const stored = fixtureCopy("no-freelist-sync");
  open(stored).close();
  assert.ok(free.length > 0);
  const { freePageCount } = (await jsonLinesHere(["info", stored]))[0] as { readonly freePageCount: number };
  // Storing them takes a few pages and leaves the same to be found.
  assert.ok(Math.abs(freePageCount - free.length) <= 3, `${freePageCount} and ${free.length}`);
});

function sampleFile(): string {
  const path = tempPath("sample.db");
  const db = open(path);
  db.update((tx) => {
    const users = tx.createBucket("users");
    users.put("alice", "value1");
    users.put(Buffer.from([0, 255]), Buffer.from([1, 2]));
    users.put("multi", "line\n");
    users.createBucket("inner").put("deep", "down");
    tx.createBucket("empty");
  });
  db.close();
  return path;
}

test("buckets, keys and get print in every format", async () => {
  const path = sampleFile();
  assert.equal(await outputHere(["buckets", path]), "empty\nusers\n");
  assert.equal(await outputHere(["buckets", path, "users"]), "inner\n");
  assert.equal(await outputHere(["keys", path, "users"]), "00ff\nalice\ninner\nmulti\n");
  assert.equal(await outputHere(["keys", "-format=hex", path, "users"]), "00ff\n616c696365\n696e6e6572\n6d756c7469\n");
  assert.equal(await outputHere(["keys", path, "users", "inner", "-f", "ascii-encoded"]), '"deep"\n');
  assert.equal(await outputHere(["keys", path, "users", "--prefix", "a"]), "alice\n");
  assert.equal(await outputHere(["get", path, "users", "alice"]), "value1\n");
  assert.equal(await outputHere(["get", "--format", "ascii-encoded", path, "users", "multi"]), '"line\\n"\n');
  assert.equal(await outputHere(["get", path, "users", "multi"]), "6c696e650a\n");
  assert.equal(await outputHere(["get", path, "users", "multi", "--format", "bytes"]), "line\n\n");
  assert.equal(await outputHere(["get", path, "users", "multi", "--raw"]), "line\n");
  assert.equal(await outputHere(["get", "--parse-format", "hex", path, "users", "00ff"]), "0102\n");
  assert.equal(await outputHere(["get", path, "users", "inner", "deep"]), "down\n");
  assert.deepEqual(await jsonLinesHere(["get", path, "users", "00ff", "--parse-format=hex"]), [{ key: { hex: "00ff" }, value: "\x01\x02" }]);
  assert.deepEqual(await jsonLinesHere(["keys", path, "users"]), [
    { key: { hex: "00ff" }, bucket: false }, { key: "alice", bucket: false }, { key: "inner", bucket: true }, { key: "multi", bucket: false },
  ]);
});

test("what is not there: status 1, bbolt's words, and a suggestion", async () => {
  const path = sampleFile();
  const key = await here(["get", path, "users", "alcie"]);
  assert.equal(key.status, 1);
  assert.equal(key.stdout, "");
  assert.match(key.stderr, /^Error key not found for key: "alcie" hex: "616c636965"\n.*did you mean "alice"/);
  const bucket = await here(["keys", path, "user"]);
  assert.equal(bucket.status, 1);
  assert.match(bucket.stderr, /bucket not found: "user"; did you mean "users"\?/);
  const file = await here(["info", path.replace(/sample\.db$/, "smaple.db")]);
  assert.equal(file.status, 1);
  assert.match(file.stderr, /file not found: .*did you mean "\d+-sample\.db"/);
  const asBucket = await here(["get", path, "users", "inner"]);
  assert.match(asBucket.stderr, /it is a bucket/);
  const json = await here(["get", path, "users", "nope", "--json"]);
  assert.equal((JSON.parse(json.stderr) as { error: { code: string } }).error.code, "KEY_NOT_FOUND");
});

test("page shows leaves, branches, freelists and what cannot be read", async () => {
  const path = sampleFile();
  const rows = await jsonLinesHere(["pages", path]) as { readonly id: number; readonly type: string; readonly count?: number }[];
  const leaf = rows.find((row) => row.type === "leaf" && row.count === 4)!;
  const shown = await outputHere(["page", path, String(leaf.id), "900"]);
  assert.match(shown, new RegExp(`^Page ID:    ${leaf.id}\nPage Type:  leaf\nTotal Size: 4096 bytes\nOverflow pages: 0\nItem Count: 4\n\n00ff: 0102\n"alice": value1\n"inner": <pgid=0,seq=0>\n"multi": 6c696e650a\n\n`));
  assert.match(shown, /\n=+\nPrinting page 900 failed: .*Continuing\.\.\.\n$/);
  assert.equal(await outputHere(["page-item", path, String(leaf.id), "1"]), "alice\nvalue1\n");
  assert.equal(await outputHere(["page-item", "--key-only", path, String(leaf.id), "0"]), "00ff\n");
  const beyond = await here(["page-item", path, String(leaf.id), "9"]);
  assert.equal(beyond.status, 1);
  assert.match(beyond.stderr, /leafPageElement: expected item index less than 4, but got 9\./);
  assert.equal((await here(["page-item", "--key-only", "--value-only", path, "3", "0"])).status, 2);
  const branch = (await jsonLinesHere(["pages", fixtureOriginal("tree-3-level")]) as { readonly id: number; readonly type: string }[]).find((row) => row.type === "branch")!;
  assert.match(await outputHere(["page", fixtureOriginal("tree-3-level"), String(branch.id)]), /Page Type: {2}branch\n[\s\S]*Item Count: \d+\n\n"[0-9a-f]+": <pgid=\d+>\n/);
  assert.ok((await outputHere(["page", "--all", path])).split("Page ID:").length > 4);
  assert.equal((await here(["page", "--all", path, "3"])).status, 2);
  assert.equal((await here(["page", path])).status, 2);
});

test("inspect draws the tree as bbolt's JSON", async () => {
  const path = sampleFile();
  assert.equal(await outputHere(["inspect", path]), `{
    "name": "root",
    "keyN": 0,
    "buckets": [
        {
            "name": "empty",
            "keyN": 0
        },
        {
            "name": "users",
            "keyN": 3,
            "buckets": [
                {
                    "name": "inner",
                    "keyN": 1
                }
            ]
        }
    ]
}
`);
  assert.equal(await outputHere(["inspect", "--tree", path]), "root 0 keys\n├─ empty 0 keys\n└─ users 3 keys\n   └─ inner 1 key\n");
});

test("page-item says what is wrong with a page, and once that it is an error", async () => {
  const { status, stderr } = await here(["page-item", fixtureOriginal("leaf-wrong-page-id"), "39", "0"]);
  assert.equal(status, 1);
  assert.match(stderr, /^Error: invalid value due to unexpected Page id: 51 != 39\n/);
});

test("a page that the file ought to have and has not is its damage; one that it never had is a wrong number", async () => {
  const path = fixtureOriginal("truncated-last-page");
  const pages = statSync(path).size / 4096;
  const code = async (pgid: number): Promise<unknown> => (JSON.parse((await here(["page-item", "--json", path, String(pgid), "0"])).stderr) as { readonly error: { readonly code: string } }).error.code;
  assert.deepEqual([await code(Math.floor(pages)), await code(100_000)], ["CORRUPT", "OUT_OF_RANGE"]);
});

test("check reports problems in bbolt's words, keys that are text as text", async () => {
  assert.deepEqual((await here(["check", fixtureOriginal("page-leaked")])).stdout, "page 52: unreachable unfreed\n1 errors found\ninvalid value\n");
  assert.equal((await here(["check", fixtureOriginal("page-leaked")])).status, 1);
  const order = (await here(["check", fixtureOriginal("key-order")])).stdout;
  assert.match(order, /key\[1\]=\(hex\)key-00152 on leaf page\(36\) needs to be > \(found <\) than previous element \(hex\)key-00153\./);
  for (const name of ["branch-cycle", "leaf-pos-outside", "bucket-cycle", "truncated-last-page", "bad-magic"]) {
    const run = await here(["check", fixtureOriginal(name)]);
    assert.equal(run.status, 1, name);
    assert.ok(run.stdout.length + run.stderr.length > 0, name);
  }
});

test("check --from-page looks at what the page reaches, and at nothing else", async () => {
  const path = fixtureOriginal("key-order");
  assert.equal((await here(["check", "--from-page", "36", path])).status, 1);
  const rows = await jsonLinesHere(["pages", path]) as { readonly id: number; readonly type: string }[];
  const branch = (await jsonLinesHere(["page", path, "52"]))[0] as { readonly items: readonly { readonly child: number }[] };
  const sound = branch.items.map(({ child }) => child).filter((child) => child !== 36).slice(0, 3);
  assert.equal(sound.length, 3);
  for (const id of sound) assert.equal(await outputHere(["check", "--from-page", String(id), path]), "OK\n");
  const leaked = await here(["check", "--from-page", String(rows.find((row) => row.type === "free")?.id), path]);
  assert.match(leaked.stdout, /reachable freed/);
  assert.match((await here(["check", "--from-page", "100000", path])).stderr, /page ID \(100000\) out of range \[2, \d+\)/);
});

test("a file that cannot be opened is looked at as far as it can be", async () => {
  const [marks, freelist, metas, magic] = ["high-water-0", "freelist-is-leaf", "bad-both-checksums", "bad-magic"].map(fixtureOriginal) as [string, string, string, string];
  const check = await here(["check", marks]);
  assert.equal(check.status, 1);
  assert.equal(check.stdout, "page 7: root of the tree is out of bounds: 0\n1 errors found\ninvalid value\n");
  assert.equal(check.stderr, "");
  assert.equal(await outputHere(["info", freelist]), "Page Size: 4096\n");
  assert.match(await outputHere(["info", "--all", freelist]), /Free: {6}page 32: invalid freelist page/);
  const pages = await outputHere(["page", "--all", metas]);
  assert.match(pages, /^Page ID: {4}0\nPage Type: {2}meta\n[^]*"key-00001"/);
  const refused = await here(["pages", magic]);
  assert.equal(refused.stdout, "");
  assert.match(refused.stderr, /invalid database/);
  assert.equal((await outputHere(["inspect", fixtureOriginal("binary-keys")])).includes("\\ufffd"), true);
});
