/** Opens a database that somebody else has open, waits for its lock, and commits. Argument: the path. */
import { open } from "../../../engine/index.js";

const [, , path = ""] = process.argv;
console.log("waits");
const db = open(path, { timeout: 20_000 });
db.update((tx) => tx.createBucketIfNotExists("a").put("from", "the one that waited"));
db.close();
