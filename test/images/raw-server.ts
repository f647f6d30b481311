/** Speaks HTTP/2 to a client frame by frame, also wrongly. */
import { once } from "node:events";
import { createServer } from "node:net";
import type { Socket } from "node:net";
import { frame } from "../../images/grpc-frame.js";

const PREFACE_BYTES = 24;
const HEADER_BYTES = 9;
const ACK = 1;
const END_STREAM = 1;
const END_HEADERS = 4;

/** The types of frames. */
export const FRAME = { DATA: 0, HEADERS: 1, SETTINGS: 4, PING: 6, GOAWAY: 7, WINDOW_UPDATE: 8, CONTINUATION: 9 } as const;

/** Makes a frame. */
export function rawFrame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

function headerText(text: string): Buffer {
  if (text.length >= 127) throw new Error("only short texts are encoded here");
  return Buffer.from([text.length, ...Buffer.from(text)]);
}

/** Encodes headers one by one, without a table. */
export function rawHeaders(headers: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(headers.flatMap(([name, value]) => [Buffer.of(0), headerText(name), headerText(value)]));
}

/** The frames that begin an answer with a status of 200. */
export function rawBegin(stream: number): Buffer {
  return rawFrame(FRAME.HEADERS, END_HEADERS, stream, rawHeaders([[":status", "200"], ["content-type", "application/grpc"]]));
}

/** The frames that end an answer: an empty message, and that all went well. */
export function rawEnd(stream: number): Buffer {
  return Buffer.concat([
    rawFrame(FRAME.DATA, 0, stream, frame(Buffer.alloc(0))), rawFrame(FRAME.HEADERS, END_HEADERS | END_STREAM, stream, rawHeaders([["grpc-status", "0"]])),
  ]);
}

/** The frame that says that a connection ends: of its calls those up to this one may have been carried out. */
export function rawGoaway(lastStream: number, code: number): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(lastStream, 0);
  payload.writeUInt32BE(code, 4);
  return rawFrame(FRAME.GOAWAY, 0, 0, payload);
}

/** A server whose every word is the test's. */
export interface RawServer {
  /** Connections that were made, pings that came. */
  readonly seen: { connections: number; pings: number };
  /** Hears of every call whose request is whole. */
  onCall: (socket: Socket, stream: number) => void;
  answersPings: boolean;
  close(): void;
}

/** Listens on a socket's path. */
export async function rawServer(path: string): Promise<RawServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    raw.seen.connections++;
    let bytes = Buffer.alloc(0);
    let isGreeted = false;
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (!isGreeted && bytes.length >= PREFACE_BYTES) {
        isGreeted = true;
        bytes = bytes.subarray(PREFACE_BYTES);
        socket.write(rawFrame(FRAME.SETTINGS, 0, 0));
      }
      while (isGreeted && bytes.length >= HEADER_BYTES) {
        const length = bytes.readUIntBE(0, 3);
        if (bytes.length < HEADER_BYTES + length) return;
        const [type, flags, stream] = [bytes.readUInt8(3), bytes.readUInt8(4), bytes.readUInt32BE(5)];
        const payload = bytes.subarray(HEADER_BYTES, HEADER_BYTES + length);
        bytes = bytes.subarray(HEADER_BYTES + length);
        if (type === FRAME.SETTINGS && (flags & ACK) === 0) socket.write(rawFrame(FRAME.SETTINGS, ACK, 0));
        if (type === FRAME.PING && (flags & ACK) === 0) {
          raw.seen.pings++;
          if (raw.answersPings) socket.write(rawFrame(FRAME.PING, ACK, 0, payload));
        }
        if ((type === FRAME.DATA || type === FRAME.HEADERS) && (flags & END_STREAM) !== 0) raw.onCall(socket, stream);
      }
    });
  });
  const raw: RawServer = {
    seen: { connections: 0, pings: 0 },
    onCall: () => undefined,
    answersPings: true,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
  server.listen(path);
  await once(server, "listening");
  return raw;
}
