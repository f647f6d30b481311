/**
 * The viewer's server. It listens on a loopback address alone, answers only who knows the token in the address, and only requests that
 * name this very host (a page elsewhere cannot reach it through a name that it makes point here). Without `--write` it has nothing that writes.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { systemCode } from "../base/errors.js";
import { BoltError, type Bucket } from "../index.js";
import { Failure } from "./command.js";
import { findBucket } from "./bucket-path.js";
import { toJson, type Io } from "./io.js";
import { updateFile } from "./open-file.js";
import { bucketPathOf, checkAnswer, entriesAnswer, fromHex, infoAnswer, mapAnswer, pageAnswer, statsAnswer, valueAnswer, type Query } from "./view-data.js";
import { pageHtml } from "./view-html.js";
import { SCRIPT } from "./view-script.js";
import { STYLE } from "./view-style.js";

/** Bytes of a request's body, at most. */
const MAX_BODY = 32 << 20;
/** Parameters of a change: path, key, value, was. */
const PARAMETERS_MAX = 10;
/** Bytes of a request's headers, at most: keys of 32 KiB, and the names of buckets in buckets, stand in the address in hexadecimal. */
const MAX_HEADERS = 1 << 20;

/** How the viewer is set up. */
export interface ViewerOptions {
  readonly path: string;
  readonly host: string;
  readonly port: number;
  readonly canWrite: boolean;
}

/** A running viewer. */
export interface Viewer {
  readonly address: string;
  close(): Promise<void>;
}

type Answer = (query: Query) => unknown;

interface Content {
  readonly type: string;
  readonly body: string;
}

const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "cache-control": "no-store", "referrer-policy": "no-referrer", "x-content-type-options": "nosniff", "cross-origin-resource-policy": "same-origin",
};

function send(response: ServerResponse, status: number, { body, type }: Content, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { ...HEADERS, ...headers, "content-type": type, "content-length": Buffer.byteLength(body) });
  response.end(body);
}

function sendText(response: ServerResponse, status: number, text: string, headers?: Readonly<Record<string, string>>): void {
  send(response, status, { type: "text/plain; charset=utf-8", body: `${text}\n` }, headers);
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, { type: "application/json; charset=utf-8", body: toJson(value) });
}

/** Statuses of what a question can be wrong with; any other Failure is of something that is not there, any other BoltError of the file. */
const STATUSES: Readonly<Record<string, number>> = {
  BAD_REQUEST: 400, BUCKET_REQUIRED: 400, KEY_REQUIRED: 400, KEY_TOO_LARGE: 400, VALUE_TOO_LARGE: 400, INCOMPATIBLE_VALUE: 400, IN_USE: 409, CHANGED: 409,
};

function errorStatus(error: unknown): { readonly status: number; readonly code: string; readonly message: string } {
  if (error instanceof Failure || error instanceof BoltError) return { status: STATUSES[error.code] ?? (error instanceof Failure ? 404 : 500), code: error.code, message: error.message };
  return { status: 500, code: "FAILED", message: error instanceof Error ? error.message : String(error) };
}

async function bodyOf(request: IncomingMessage): Promise<Query> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BODY) throw new Failure("BAD_REQUEST", "the request is too large");
    parts.push(part);
  }
  const text = Buffer.concat(parts).toString("utf8");
  if (text.split("&", PARAMETERS_MAX + 1).length > PARAMETERS_MAX) throw new Failure("BAD_REQUEST", "the request has too many parameters");
  return new URLSearchParams(text);
}

function cannotListen(error: Error, host: string, port: number): Failure {
  return new Failure(systemCode(error) ?? "FAILED", `the viewer cannot listen on port ${port} of ${host}: ${error.message}`, "name another --port, or none: then it is any that is free");
}

class ViewerServer {
  readonly #options: ViewerOptions;
  readonly #token: string = randomBytes(18).toString("base64url");
  readonly #files: Readonly<Record<string, Content>>;
  readonly #answers: Readonly<Record<string, Answer>>;
  readonly #changes: Readonly<Record<string, Answer>>;
  #hosts: ReadonlySet<string> = new Set();

  constructor(options: ViewerOptions, io: Io) {
    const { canWrite, path } = options;
    this.#options = options;
    this.#files = {
      "": { type: "text/html; charset=utf-8", body: pageHtml(path, canWrite) },
      "view.js": { type: "text/javascript; charset=utf-8", body: SCRIPT },
      "view.css": { type: "text/css; charset=utf-8", body: STYLE },
    };
    this.#answers = {
      info: () => infoAnswer(path), entries: (query) => entriesAnswer(path, query), value: (query) => valueAnswer(path, query), stats: (query) => statsAnswer(path, query),
      map: () => mapAnswer(path), page: (query) => pageAnswer(path, query), check: () => checkAnswer(path, io),
    };
    this.#changes = canWrite ? { put: (query) => this.#put(query), delete: (query) => this.#delete(query) } : {};
  }

  #put(query: Query): unknown {
    const value = query.get("value");
    if (value === null) throw new Failure("BAD_REQUEST", "a value is needed, in hexadecimal: it may be empty, but not missing");
    return this.#change(query, (bucket, key) => bucket.put(key, fromHex(value)));
  }

  #delete(query: Query): unknown {
    return this.#change(query, (bucket, key) => bucket.delete(key));
  }

  /** Changes a key, if its value still is what the page has shown: `was`, 0x before its digits. */
  #change(query: Query, change: (bucket: Bucket, key: Buffer) => void): unknown {
    const names = bucketPathOf(query.get("path") ?? "");
    const key = fromHex(query.get("key") ?? "");
    const was = query.get("was");
    return updateFile(this.#options.path, (tx) => {
      const bucket = findBucket(tx, names);
      const value = bucket.get(key);
      if (was !== null && was !== (value && `0x${value.toString("hex")}`)) throw new Failure("CHANGED", "the value was changed or deleted meanwhile: nothing was done; click the key again to see what it is now");
      change(bucket, key);
      return { txid: tx.id };
    });
  }

  listen(): Promise<{ readonly server: Server; readonly address: string }> {
    const { host, port } = this.#options;
    const server = createServer({ maxHeaderSize: MAX_HEADERS }, (request, response) => {
      this.#handle(request, response).catch((error: unknown) => {
        const { code, message, status } = errorStatus(error);
        if (response.headersSent) response.destroy();
        else sendJson(response, status, { error: { code, message } });
      });
    });
    return new Promise((resolve, reject) => {
      server.once("error", (error: Error) => reject(cannotListen(error, host, port)));
      server.listen(port, host, () => {
        const { port: given } = server.address() as AddressInfo;
        const name = host.includes(":") ? `[${host}]` : host;
        // Browsers leave out the port that http has by itself.
        this.#hosts = new Set([name, "localhost"].flatMap((each) => (given === 80 ? [each, `${each}:80`] : [`${each}:${given}`])));
        resolve({ server, address: `http://${name}:${given}/${this.#token}/` });
      });
    });
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { host = "", origin } = request.headers;
    const isOurs = this.#hosts.has(host) && (origin === undefined || origin === `http://${host}`);
    const target = (request.url ?? "/").replace(/^\/+/, "/");
    if (!URL.canParse(target, "http://localhost")) throw new Failure("BAD_REQUEST", "the address of the request is none");
    const url = new URL(target, "http://localhost");
    const [, token = "", ...rest] = url.pathname.split("/");
    if (!isOurs || !this.#isToken(token)) return sendText(response, 403, "Forbidden: use the address that hexbolt view has printed.");
    const name = rest.join("/");
    if (request.method === "GET" || request.method === "HEAD") {
      // The page's links begin behind the last slash.
      if (rest.length === 0) return sendText(response, 308, "The address ends with a slash.", { location: `/${this.#token}/` });
      const file = own(this.#files, name);
      if (file !== undefined) return send(response, 200, file);
      const answer = name.startsWith("api/") ? own(this.#answers, name.slice(4)) : undefined;
      if (answer !== undefined) return sendJson(response, 200, answer(url.searchParams));
    }
    const change = request.method === "POST" && name.startsWith("api/") ? own(this.#changes, name.slice(4)) : undefined;
    if (change !== undefined) return sendJson(response, 200, change(await bodyOf(request)));
    if (request.method === "POST" && !this.#options.canWrite) sendText(response, 405, "Not allowed: the viewer changes files only with --write.", { allow: "GET, HEAD" });
    else sendText(response, 404, "Not found");
  }

  #isToken(given: string): boolean {
    const [a, b] = [Buffer.from(given), Buffer.from(this.#token)];
    return a.length === b.length && timingSafeEqual(a, b);
  }
}

/** Looks a name up among the record's own: `constructor` is none of them. */
function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** Starts a viewer. */
export async function startViewer(options: ViewerOptions, io: Io): Promise<Viewer> {
  const { address, server } = await new ViewerServer(options, io).listen();
  const close = (): Promise<void> => new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
  return { address, close };
}
