/** `hexbolt view`: a page in the browser to look around in a file. */
import { EXIT_OK, UsageError, type Command } from "./command.js";
import { writeJson } from "./io.js";
import { viewRaw } from "./open-file.js";

const LOOPBACK: readonly string[] = ["127.0.0.1", "::1", "localhost"];

/** The command. */
export const viewCommand: Command = {
  name: "view", summary: "look around in a file with a browser", usage: "FILE",
  details: "Prints an address on this machine and serves it until Ctrl-C. The address holds a secret; requests without it get no answer.\nThe file is read live: the process that writes it is not disturbed, and the page shows what it commits.",
  example: "hexbolt view app.db",
  options: [
    { name: "port", value: "PORT", help: "default: any that is free" }, { name: "host", value: "HOST", choices: LOOPBACK, help: "127.0.0.1 (default), ::1 or localhost" },
    { name: "write", help: "also change and delete keys; each change takes the file's lock for a moment" },
  ],
  minimum: 1, maximum: 1,
  run: async (args, io) => {
    const path = args.at(0);
    const port = args.integer("port", 0, 65_535) ?? 0;
    // A file that is none should be said so here, not in the browser.
    viewRaw(io, path, "live", (file) => file.activeMeta());
    if (io.signal.aborted) throw new UsageError("interrupted");
    const host = args.text("host") ?? "127.0.0.1";
    // Loaded here alone: a server, its page and what that shows would be half of what every other command has to wait for.
    const { startViewer } = await import("./view-server.js");
    const viewer = await startViewer({ path, host: host === "localhost" ? "127.0.0.1" : host, port, canWrite: args.has("write") }, io);
    try {
      if (args.json) writeJson(io.stdout, { address: viewer.address });
      else io.stdout.write(`${viewer.address}\n`);
      io.stdout.flush();
      if (io.stderr.isTerminal) io.stderr.write("Open the address in a browser; Ctrl-C ends.\n");
      await new Promise<void>((resolve) => {
        if (io.signal.aborted) resolve();
        io.signal.addEventListener("abort", () => resolve(), { once: true });
      });
    } finally {
      await viewer.close();
    }
    return EXIT_OK;
  },
};
