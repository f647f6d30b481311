/** Rooms: who waits, and that nobody waits beside room that would do. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Room } from "../../images/grpc-rooms.js";
import { Random, seedOfRun } from "../support/random.js";

const WHOLE = 100;
const SHARE = WHOLE / 4;

/** A connection as this test remembers it: the bytes of the calls that were let on, and those that wait. */
class Connection {
  readonly room: Room;
  readonly held: number[] = [];
  readonly waiting: { readonly expectedBytes: number; go(): void }[] = [];

  constructor(whole: Room) {
    this.room = whole.share();
  }

  get taken(): number {
    return this.held.reduce((sum, byteCount) => sum + byteCount, 0);
  }

  call(expectedBytes: number, hasRoom: () => boolean): void {
    const call = {
      expectedBytes,
      go: () => {
        assert.equal(this.waiting.shift(), call, "out of turn");
        assert.ok(this.taken === 0 || hasRoom(), "without room");
        this.held.push(expectedBytes);
        this.room.take(expectedBytes);
      },
    };
    this.waiting.push(call);
    this.room.enter(call);
  }
}

test("calls go on in their order, no more than fit, and none waits that has room", () => {
  const seed = seedOfRun();
  const random = new Random(seed);
  for (let round = 0; round < 50; round++) {
    const whole = new Room(WHOLE);
    const connections = Array.from({ length: 7 }, () => new Connection(whole));
    const fits = ({ taken }: Connection, byteCount: number): boolean =>
      taken + byteCount <= SHARE && connections.reduce((sum, other) => sum + other.taken, byteCount) <= WHOLE;
    for (let step = 0; step < 200; step++) {
      const connection = random.pick(connections);
      const choice = random.below(4);
      if (choice < 2) {
        const byteCount = 1 + random.below(30);
        connection.call(byteCount, () => fits(connection, byteCount));
      } else if (choice === 2 && connection.held.length > 0) {
        connection.room.give(connection.held.splice(random.below(connection.held.length), 1)[0]!);
      } else if (connection.waiting.length > 0) {
        connection.room.leave(connection.waiting.splice(random.below(connection.waiting.length), 1)[0]!);
      }
      for (const each of connections) {
        const [next] = each.waiting;
        assert.ok(next === undefined || (each.taken > 0 && !fits(each, next.expectedBytes)), `SEED=${seed}: round ${round}, step ${step}: a call waits beside room`);
      }
    }
    for (const connection of connections) while (connection.held.length > 0) connection.room.give(connection.held.pop()!);
    assert.deepEqual(connections.map(({ waiting }) => waiting.length), connections.map(() => 0));
    assert.ok(whole.has(WHOLE));
  }
});

test("room of the whole comes to the connections in turns", () => {
  const whole = new Room(WHOLE);
  const full = Array.from({ length: 3 }, () => whole.share());
  for (const room of full) room.take(SHARE);
  const order: string[] = [];
  const rooms = ["a", "b"].map((name) => ({ name, room: whole.share() }));
  for (const { room } of rooms) room.take(SHARE / 2);
  for (const { name, room } of rooms) for (const number of [1, 2]) room.enter({ expectedBytes: 5, go: () => {
    order.push(`${name}${number}`);
    room.take(5);
  } });
  assert.deepEqual(order, []);
  full[0]!.give(SHARE);
  assert.deepEqual(order, ["a1", "b1", "a2", "b2"]);
});
