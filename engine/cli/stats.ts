/** `hexbolt stats`: pages, keys and bytes of the top-level buckets, added up. */
import { requireListed } from "../base/errors.js";
import { EXIT_OK, PARSE_OPTION, type Command } from "./command.js";
import type { BucketStats } from "../index.js";
import { parseBytes } from "./go-text.js";
import { writeJson } from "./io.js";
import { viewFile } from "./open-file.js";

type Sum = { -readonly [K in keyof BucketStats]: BucketStats[K] };

/** Adds up statistics: of the depth the greatest counts. @see bbolt BucketStats.Add */
function sumStats(all: Iterable<BucketStats>): BucketStats {
  const sum: Sum = {
    branchPageN: 0, branchOverflowN: 0, leafPageN: 0, leafOverflowN: 0, keyN: 0, depth: 0, branchAlloc: 0, branchInuse: 0,
    leafAlloc: 0, leafInuse: 0, bucketN: 0, inlineBucketN: 0, inlineBucketInuse: 0,
  };
  for (const stats of all) {
    for (const name of Object.keys(sum) as (keyof Sum)[]) sum[name] = name === "depth" ? Math.max(sum.depth, stats.depth) : sum[name] + stats[name];
  }
  return sum;
}

/** Whole percent as Go gets them, with 32-bit floats. */
function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.trunc(Math.fround(Math.fround(Math.fround(part) * 100) / Math.fround(whole)));
}

function report(count: number, s: BucketStats): string {
  return `Aggregate statistics for ${count} buckets

Page count statistics
\tNumber of logical branch pages: ${s.branchPageN}
\tNumber of physical branch overflow pages: ${s.branchOverflowN}
\tNumber of logical leaf pages: ${s.leafPageN}
\tNumber of physical leaf overflow pages: ${s.leafOverflowN}
Tree statistics
\tNumber of keys/value pairs: ${s.keyN}
\tNumber of levels in B+tree: ${s.depth}
Page size utilization
\tBytes allocated for physical branch pages: ${s.branchAlloc}
\tBytes actually used for branch data: ${s.branchInuse} (${percent(s.branchInuse, s.branchAlloc)}%)
\tBytes allocated for physical leaf pages: ${s.leafAlloc}
\tBytes actually used for leaf data: ${s.leafInuse} (${percent(s.leafInuse, s.leafAlloc)}%)
Bucket statistics
\tTotal number of buckets: ${s.bucketN}
\tTotal number on inlined buckets: ${s.inlineBucketN} (${percent(s.inlineBucketN, s.bucketN)}%)
\tBytes used for inlined buckets: ${s.inlineBucketInuse} (${percent(s.inlineBucketInuse, s.leafInuse)}%)
`;
}

/** The command. */
export const statsCommand: Command = {
  name: "stats", summary: "count pages, keys and bytes", usage: "FILE [PREFIX]",
  details: "Adds up the top-level buckets whose names start with PREFIX, or all of them, each with everything nested in it.",
  example: "hexbolt stats app.db",
  options: [{ ...PARSE_OPTION, help: "what PREFIX is: ascii-encoded (default) or hex" }],
  minimum: 1, maximum: 2,
  run: (args, io) => viewFile(io, args.at(0), (tx, out) => {
    const prefix = parseBytes(args.positionals[1] ?? "", args.text("parse-format"));
    const all: BucketStats[] = [];
    for (const name of tx.buckets()) {
      if (name.subarray(0, prefix.length).equals(prefix)) all.push(requireListed(tx.bucket(name), name).stats());
    }
    const sum = sumStats(all);
    if (args.json) writeJson(out, { buckets: all.length, ...sum });
    else out.write(report(all.length, sum));
    return EXIT_OK;
  }),
};
