/** What the tests of the viewer look at: a file with some of everything, and the streams of a command that nobody reads. */
import { MemoryOutput } from "../../engine/cli/io.js";
import type { Io } from "../../engine/cli/io.js";
import { open } from "../../engine/index.js";
import { encodeGoTime } from "../../images/go-time.js";
import { tempPath } from "../support/temp.js";

/** Streams in memory. */
export const io: Io = { stdout: new MemoryOutput(), stderr: new MemoryOutput(), env: {}, signal: new AbortController().signal, readInput: () => 0, temporary: () => undefined };

/** Names and keys as the viewer's addresses have them. */
export const hexOf = (text: string): string => Buffer.from(text).toString("hex");

/** Makes the file; gives its path. */
export function sampleFile(): string {
  const path = tempPath("viewed.db");
  const db = open(path);
  db.update((tx) => {
    const users = tx.createBucket("users");
    for (let i = 0; i < 450; i++) users.put(`user/${String(i).padStart(4, "0")}`, JSON.stringify({ id: i, name: `name ${i}` }));
    users.put("zz<script>alert(1)</script>", "<img src=x onerror=alert(1)>");
    const kinds = tx.createBucket("kinds");
    kinds.put("time", encodeGoTime(new Date(Date.UTC(2024, 1, 29, 12, 30, 15, 500))));
    kinds.put("varint", Buffer.from([0x80, 0x02]));
    kinds.put("counter", Buffer.from([0, 0, 0, 0, 0, 0, 1, 0]));
    kinds.put("windows", "a\r\nb");
    kinds.put("long", Buffer.alloc(100_000, "x"));
    kinds.createBucket("inner").createBucket("innermost").put("deep", "down");
  });
  db.close();
  return path;
}
