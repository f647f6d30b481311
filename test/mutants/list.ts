/** All mutants, and the table of them that docs/mutants.md shows. */
import { dbMutants } from "./db.js";
import { formatMutants } from "./format.js";
import type { Mutant } from "./mutant.js";
import { pagerMutants } from "./pager.js";
import { storageMutants } from "./storage.js";
import { treeMutants } from "./tree.js";
import { txMutants } from "./tx.js";

/** Every mutant. */
export const allMutants: readonly Mutant[] = [...pagerMutants, ...storageMutants, ...formatMutants, ...treeMutants, ...txMutants, ...dbMutants];

/** The rows of the table, one a mutant. */
export function tableRows(mutants: readonly Mutant[]): string[] {
  return mutants.map(({ name, file, harm, tests }) => `| ${name} | \`${file.replace("engine/", "")}\` | ${harm} | ${tests.map((test) => `\`${test}\``).join(", ")} |`);
}
