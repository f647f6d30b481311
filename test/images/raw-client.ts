/** Speaks HTTP/2 to a server by hand, also wrongly, and says how it answered. */
import { connect as connectHttp2, constants } from "node:http2";
import { connect as connectSocket } from "node:net";
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, OutgoingHttpHeaders, Settings } from "node:http2";
import { parseAddress } from "../../images/address.js";

/** How a call ended. */
export interface RawAnswer {
  readonly httpStatus: number | undefined;
  readonly grpcStatus: number | undefined;
  readonly grpcMessage: string;
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders;
  readonly resetCode: number;
}

/** Opens a connection; errors on it end its calls and nothing else. @param settings what it tells the server at once: without a window it takes headers only */
export function rawSession(address: string, settings: Settings = {}): ClientHttp2Session {
  const endpoint = parseAddress(address);
  const session = connectHttp2("http://localhost", {
    settings,
    createConnection: () => connectSocket(endpoint.path === undefined ? { host: endpoint.host, port: endpoint.port } : { path: endpoint.path }),
  });
  session.on("error", () => undefined);
  return session;
}

/** Begins a call with headers that the caller may bend. */
export function rawStream(session: ClientHttp2Session, path: string, headers: OutgoingHttpHeaders = {}): ClientHttp2Stream {
  const stream = session.request({
    ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers", "containerd-namespace": "default", ...headers,
  });
  stream.on("error", () => undefined);
  return stream;
}

/** Waits for a call's end. */
export function rawAnswer(stream: ClientHttp2Stream): Promise<RawAnswer> {
  return new Promise((resolve) => {
    let headers: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    const chunks: Buffer[] = [];
    stream.on("response", (received) => { headers = received; });
    stream.on("trailers", (received) => { trailers = received; });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.once("close", () => {
      const all = { ...headers, ...trailers };
      const status = all["grpc-status"];
      resolve({
        httpStatus: headers[":status"] === undefined ? undefined : Number(headers[":status"]),
        grpcStatus: status === undefined ? undefined : Number(status),
        grpcMessage: decodeURIComponent(String(all["grpc-message"] ?? "")),
        body: Buffer.concat(chunks),
        trailers: all,
        resetCode: stream.rstCode ?? constants.NGHTTP2_NO_ERROR,
      });
    });
  });
}

/** Makes one call with a whole body. */
export function rawCall(session: ClientHttp2Session, path: string, body: Uint8Array, headers: OutgoingHttpHeaders = {}): Promise<RawAnswer> {
  const stream = rawStream(session, path, headers);
  stream.end(body);
  return rawAnswer(stream);
}
