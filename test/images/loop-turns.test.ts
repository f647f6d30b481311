/** Calls that came at once begin a few at a time, and others are heard between them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { frame } from "../../images/grpc-frame.js";
import { GrpcServer } from "../../images/grpc-server.js";
import { loadHttp2 } from "../../images/http2.js";
import { LoopTurns } from "../../images/loop-turns.js";
import { hold, LoopRounds } from "../support/loop-rounds.js";
import { tempPath } from "../support/temp.js";
import { rawCall, rawSession } from "./raw-client.js";

const DEADLINE_EXCEEDED = 4;

/** Milliseconds, more than those in which calls may begin in one turn. */
const LONG = 10;

test("calls that take long have a turn of the event loop each, and the connections take turns", async () => {
  const turns = new LoopTurns();
  const [busy, other, third] = [{}, {}, {}];
  const order: string[] = [];
  const rounds = new LoopRounds();
  rounds.begin();
  const take = async (connection: object, name: string): Promise<void> => {
    await turns.take(connection);
    order.push(name);
    rounds.note();
    // What is done behind other promises counts, too.
    await Promise.resolve();
    hold(LONG);
  };
  const calls = ["busy 1", "busy 2", "busy 3"].map((name) => take(busy, name));
  calls.push(take(other, "other 1"), take(third, "third 1"), take(other, "other 2"));
  await Promise.all(calls);
  assert.deepEqual(order, ["busy 1", "other 1", "third 1", "busy 2", "other 2", "busy 3"]);
  assert.equal(rounds.end(), 6, rounds.noted.join());
});

test("calls that take no time are let on without end, and one that comes later is, too", async () => {
  const turns = new LoopTurns();
  const connection = {};
  let count = 0;
  for (const call of Array.from({ length: 1000 }, () => turns.take(connection))) void call.then(() => { count++; });
  await turns.take(connection);
  assert.equal(count, 1000);
  await turns.take({});
});

test("calls that have had a turn before have the next one ahead of those of their connection that have not", async () => {
  const turns = new LoopTurns();
  const [one, other] = [{}, {}];
  const order: string[] = [];
  const take = async (connection: object, name: string, isAgain: boolean): Promise<void> => {
    await turns.take(connection, isAgain);
    order.push(name);
  };
  await Promise.all([take(one, "new 1", false), take(one, "again 1", true), take(other, "other", false), take(one, "again 2", true), take(one, "new 2", false)]);
  assert.deepEqual(order, ["again 1", "other", "again 2", "new 1", "new 2"]);
});

test("calls whose deadline passes while another is carried out are not begun", async () => {
  const path = tempPath("turns.sock");
  let begunCount = 0;
  await loadHttp2();
  const server = new GrpcServer(new Map([["/s/long", () => {
    begunCount++;
    hold(200);
    return { message: Buffer.alloc(0) };
  }]]));
  server.http.listen(path);
  await once(server.http, "listening");
  const session = rawSession(path);
  const answers = await Promise.all(Array.from({ length: 6 }, () => rawCall(session, "/s/long", frame(Buffer.alloc(0)), { "grpc-timeout": "100m" })));
  assert.deepEqual(answers.slice(1).map(({ grpcStatus }) => grpcStatus), Array.from({ length: 5 }, () => DEADLINE_EXCEEDED));
  assert.equal(begunCount, 1);
  session.destroy();
  await server.close(0);
});
