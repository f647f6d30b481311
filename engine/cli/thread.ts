/** The thread in which the program runs a command that makes a file. */
import { parentPort, workerData } from "node:worker_threads";
import { runHere, tellWarnings, type Message, type Setting } from "./program.js";

tellWarnings();
const port = parentPort!;
const send = (message: Message): void => port.postMessage(message);
const status = await runHere(workerData as Setting, new AbortController().signal, (path) => send({ kind: "temporary", path }));
send({ kind: "end", status });
