/**
 * Runs the image command by itself: `node dist/images/main.js ls FILE`.
 */
import { imagesCommand } from "./cli.js";

const argv = process.argv.slice(2);
const stop = new AbortController();
// A server ends in order; whatever else a signal ends at once.
if (argv.includes("serve")) for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());

process.exitCode = await imagesCommand(argv, {
  stdout: { write: (text) => process.stdout.write(text) }, stderr: process.stderr, env: process.env, signal: stop.signal,
});
