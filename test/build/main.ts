/** Runs the last step of `npm run build`, from the compiler's output in dist/modules/. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./build.js";

build(join(dirname(fileURLToPath(import.meta.url)), "../../../.."));
