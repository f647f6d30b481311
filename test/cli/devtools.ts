/**
 * Drives a headless Chromium through its DevTools protocol: as much of a WebSocket client as that takes, over node:http, because the oldest supported
 * Node has none of its own.
 */
import { spawn, spawnSync, type ChildProcessByStdio } from "node:child_process";
import { randomBytes } from "node:crypto";
import { request } from "node:http";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { tempPath } from "../support/temp.js";

const PROGRAMS = ["chromium", "chromium-browser", "google-chrome"];
// Limits for what hangs: conditions are waited for, and a busy machine may take its time.
const START_LIMIT_MS = 120_000;
const WAIT_MS = 60_000;

/** The browser's program, or why there is none. */
export function findBrowser(): { readonly program: string } | { readonly missing: string } {
  for (const program of PROGRAMS) if (spawnSync(program, ["--version"]).status === 0) return { program };
  const missing = "no chromium (Debian: chromium)";
  if (process.env["HEXBOLT_REQUIRE_BROWSER"] !== undefined) throw new Error(missing);
  return { missing };
}

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly error?: { readonly message: string };
  readonly result?: unknown;
  readonly params?: unknown;
}

/** Sends text messages, which a client must mask, and receives those of a server, which are not. */
class WebSocketClient {
  readonly #socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #message: Buffer[] = [];
  onMessage: (text: string) => void = () => undefined;

  constructor(socket: Socket, head: Buffer) {
    this.#socket = socket;
    socket.on("data", (part: Buffer) => this.#take(part));
    if (head.length > 0) this.#take(head);
  }

  send(text: string): void {
    const payload = Buffer.from(text);
    const mask = randomBytes(4);
    const head = payload.length < 126 ? Buffer.from([0x81, 0x80 | payload.length]) : Buffer.alloc(10);
    if (payload.length >= 126) {
      head[0] = 0x81;
      head[1] = 0x80 | 127;
      head.writeBigUInt64BE(BigInt(payload.length), 2);
    }
    this.#socket.write(Buffer.concat([head, mask, payload.map((byte, i) => byte ^ mask[i % 4]!)]));
  }

  end(): void {
    this.#socket.destroy();
  }

  #take(part: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, part]);
    for (;;) {
      const [first, second] = this.#bytes;
      if (first === undefined || second === undefined) return;
      const short = second & 0x7f;
      const start = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (this.#bytes.length < start) return;
      const size = short === 126 ? this.#bytes.readUInt16BE(2) : short === 127 ? Number(this.#bytes.readBigUInt64BE(2)) : short;
      if (this.#bytes.length < start + size) return;
      this.#message.push(this.#bytes.subarray(start, start + size));
      this.#bytes = this.#bytes.subarray(start + size);
      if ((first & 0x80) === 0) continue;
      const text = Buffer.concat(this.#message.splice(0)).toString("utf8");
      if ((first & 0x0f) <= 1 && text !== "") this.onMessage(text);
    }
  }
}

function connect(address: string): Promise<WebSocketClient> {
  return new Promise((resolve, reject) => {
    const url = new URL(address.replace(/^ws:/, "http:"));
    const headers = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": randomBytes(16).toString("base64") };
    const upgrade = request(url, { headers });
    upgrade.once("upgrade", (_, socket, head) => resolve(new WebSocketClient(socket as Socket, head)));
    upgrade.once("response", (response) => reject(new Error(`no upgrade: ${response.statusCode}`)));
    upgrade.once("error", reject);
    upgrade.end();
  });
}

/** A page in a browser of its own. */
export class BrowserPage {
  readonly #child: ChildProcessByStdio<null, null, Readable>;
  readonly #socket: WebSocketClient;
  readonly #waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  /** What the page's script threw or the browser refused. */
  readonly errors: string[] = [];
  #count = 0;

  private constructor(child: ChildProcessByStdio<null, null, Readable>, socket: WebSocketClient) {
    this.#child = child;
    this.#socket = socket;
    socket.onMessage = (text) => this.#take(JSON.parse(text) as Reply);
  }

  /** Starts a browser and opens an address. */
  static async open(program: string, address: string): Promise<BrowserPage> {
    const child = spawn(program, [
      "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--window-size=1300,900", "--remote-debugging-port=0", `--user-data-dir=${tempPath("browser")}`, "about:blank",
    ], { stdio: ["ignore", "ignore", "pipe"] });
    const endpoint = await endpointOf(child);
    const socket = await connect(await pageOf(`http://${new URL(endpoint).host}/json/list`));
    const page = new BrowserPage(child, socket);
    for (const domain of ["Runtime", "Page", "Log"]) await page.command(`${domain}.enable`);
    await page.command("Page.navigate", { url: address });
    return page;
  }

  #take(reply: Reply): void {
    if (reply.method === "Runtime.exceptionThrown" || reply.method === "Log.entryAdded") this.errors.push(JSON.stringify(reply.params));
    const waiting = this.#waiting.get(reply.id ?? -1);
    if (waiting === undefined) return;
    this.#waiting.delete(reply.id ?? -1);
    if (reply.error === undefined) waiting.resolve(reply.result);
    else waiting.reject(new Error(reply.error.message));
  }

  /** Sends a command of the protocol. */
  command(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.#count;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  /** Gives the value of an expression in the page. */
  async evaluate(expression: string): Promise<unknown> {
    const reply = await this.command("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true }) as { readonly result: { readonly value?: unknown }; readonly exceptionDetails?: unknown };
    if (reply.exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(reply.exceptionDetails)}`);
    return reply.result.value;
  }

  /** Waits until an expression is true. */
  async until(expression: string): Promise<void> {
    const deadline = performance.now() + WAIT_MS;
    while ((await this.evaluate(`Boolean(${expression})`)) !== true) {
      if (performance.now() > deadline) throw new Error(`never came true: ${expression}\n${String(await this.evaluate("document.body.innerText"))}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Presses and releases the mouse in the middle of the first element that the expression gives. */
  async click(expression: string): Promise<void> {
    await this.until(expression);
    const place = await this.evaluate(`(() => { const box = (${expression}); box.scrollIntoView({ block: "center" }); const { x, y, width, height } = box.getBoundingClientRect(); return { x: x + width / 2, y: y + height / 2 }; })()`) as { x: number; y: number };
    for (const type of ["mousePressed", "mouseReleased"]) await this.command("Input.dispatchMouseEvent", { type, ...place, button: "left", clickCount: 1 });
  }

  /** Clicks at a place inside the element that the expression gives. */
  async clickAt(expression: string, x: number, y: number): Promise<void> {
    const box = await this.evaluate(`(() => { const { x, y } = (${expression}).getBoundingClientRect(); return { x, y }; })()`) as { x: number; y: number };
    for (const type of ["mousePressed", "mouseReleased"]) await this.command("Input.dispatchMouseEvent", { type, x: box.x + x, y: box.y + y, button: "left", clickCount: 1 });
  }

  /** Types into the field that has the focus. */
  async type(text: string): Promise<void> {
    await this.command("Input.insertText", { text });
  }

  /** A picture of the page as PNG. */
  async screenshot(): Promise<Buffer> {
    const { data } = await this.command("Page.captureScreenshot", { format: "png" }) as { readonly data: string };
    return Buffer.from(data, "base64");
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    await Promise.race([this.command("Browser.close").catch(() => undefined), new Promise((resolve) => setTimeout(resolve, 2000))]);
    this.#socket.end();
    if (this.#child.exitCode === null) setTimeout(() => this.#child.kill("SIGKILL"), 3000).unref();
    await ended;
  }
}

/** The address of the browser's page, which may come a moment after the browser. */
async function pageOf(list: string): Promise<string> {
  for (;;) {
    const targets = await (await fetch(list)).json() as readonly { readonly type: string; readonly webSocketDebuggerUrl: string }[];
    const page = targets.find(({ type }) => type === "page");
    if (page !== undefined) return page.webSocketDebuggerUrl;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function endpointOf(child: ChildProcessByStdio<null, null, Readable>): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(() => { child.kill("SIGKILL"); reject(new Error(`the browser does not start: ${text.slice(-500)}`)); }, START_LIMIT_MS);
    child.stderr.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      const endpoint = /DevTools listening on (ws:\S+)\s/.exec(text)?.[1];
      if (endpoint === undefined) return;
      clearTimeout(timer);
      resolve(endpoint);
    });
    child.once("exit", () => { clearTimeout(timer); reject(new Error(`the browser has ended: ${text.slice(-500)}`)); });
  });
}
