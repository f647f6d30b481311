/** Where output cannot go: a full disk is told, a reader that has gone is not, and the exit status says what it would have. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { open } from "../../engine/index.js";
import { initDB, TxImageStore } from "../../images/index.js";
import { fixtureCopy, fixtureOriginal } from "../support/fixtures.js";
import { tempPath } from "../support/temp.js";

const PROGRAM = fileURLToPath(new URL("../../engine/cli/main.js", import.meta.url));
const isLinux = process.platform === "linux";

/** Runs a line of shell, in which `$H` is the program. */
function shell(line: string): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const run = spawnSync("bash", ["-c", `H() { "${process.execPath}" "${PROGRAM}" "$@"; }; ${line}`], { encoding: "utf8", timeout: 60_000 });
  return { status: run.status, stdout: run.stdout, stderr: run.stderr };
}

test("a full disk at the very end of the output is status 1 and told", { skip: isLinux ? false : "/dev/full is Linux's" }, () => {
  const file = fixtureOriginal("one-key");
  for (const command of [`export "${file}"`, `check "${file}"`, `pages "${file}"`, "version", `images ls "${fixtureOriginal("containerd-meta")}"`]) {
    const { status, stderr } = shell(`H ${command} > /dev/full`);
    assert.equal(status, 1, command);
    assert.match(stderr, /ENOSPC.*\n.*the disk is full/, command);
  }
});

test("a server whose address cannot be told ends, and leaves no socket", { skip: isLinux ? false : "/dev/full is Linux's" }, () => {
  const socket = tempPath("images.sock");
  for (const command of [`view "${fixtureOriginal("one-key")}"`, `images serve "${tempPath("images.db")}" "unix://${socket}"`]) {
    const { status, stderr } = shell(`H ${command} > /dev/full`);
    assert.equal(status, 1, command);
    assert.match(stderr, /ENOSPC/, command);
  }
  assert.ok(!existsSync(socket));
});

test("a command whose errors nobody reads does its work all the same", { skip: isLinux ? false : "a pipe that is closed like this" }, () => {
  const path = fixtureCopy("one-key");
  const target = tempPath("backup.db");
  const db = open(path);
  // The file is in use, which is told on standard error: a pipe whose reader is gone by then.
  const { stdout } = shell(`exec 3>&1; { sleep 0.3; H backup "${path}" "${target}"; echo $? >&3; } 2>&1 >/dev/null | true`);
  db.close();
  assert.equal(stdout, "0\n");
  assert.ok(existsSync(target));
});

test("diff and check whose reader goes away in the middle still say by their status what they found", () => {
  const [first, second] = [tempPath("first.db"), tempPath("second.db")];
  for (const [path, value] of [[first, "a"], [second, "b"]] as const) {
    const db = open(path, { noSync: true });
    db.update((tx) => {
      const bucket = tx.createBucket("b");
      for (let i = 0; i < 5000; i++) bucket.put(`key ${i}`, value.repeat(40));
    });
    db.close();
  }
  const { stdout } = shell(`H diff "${first}" "${second}" | head -1 >/dev/null; echo "\${PIPESTATUS[0]}"; H export "${first}" | head -1 >/dev/null; echo "\${PIPESTATUS[0]}"`);
  assert.equal(stdout, "1\n0\n");
});

test("a list of images whose reader goes away is no fault, and ends as it would have; a server that nobody hears ends", { skip: isLinux ? false : "a pipe that is closed like this" }, () => {
  const path = tempPath("listed.db");
  const db = open(path, { noSync: true });
  initDB(db);
  db.update((tx) => {
    const images = new TxImageStore(tx);
    for (let i = 0; i < 3000; i++) images.put(`docker.io/library/an-image-with-a-long-name:${i}`, { mediaType: "m", digest: `sha256:${"0".repeat(64)}`, size: i });
  });
  db.close();
  const list = (options: string): string => `H images ls "${path}" ${options} | head -1 >/dev/null; echo "\${PIPESTATUS[0]}"`;
  for (const options of ["", "--quiet", "--json"]) assert.deepEqual(shell(list(options)), { status: 0, stdout: "0\n", stderr: "" }, options);

  const server = shell(`exec 3>&1; { sleep 0.3; H images serve "${path}" "unix://${tempPath("unheard.sock")}"; echo $? >&3; } | true`);
  assert.deepEqual(server, { status: 0, stdout: "0\n", stderr: "" });

  const damaged = open(path);
  damaged.update((tx) => tx.bucket("v1")!.bucket("images")!.put("no image", "v"));
  damaged.close();
  const { stdout, stderr } = shell(list(""));
  assert.equal(stdout, "1\n");
  assert.match(stderr, /no image/);
});
