/** Turns: who waits for whom, and who no longer does. */
import assert from "node:assert/strict";
import { setMaxListeners } from "node:events";
import { test } from "node:test";
import { Turns, TurnsByName } from "../../images/turns.js";

test("so many go on at once, the others in the order in which they came", async () => {
  const turns = new Turns(2);
  const begun: number[] = [];
  const all = [0, 1, 2, 3].map(async (i) => turns.take(undefined).then(() => begun.push(i)));
  await Promise.all(all.slice(0, 2));
  assert.deepEqual(begun, [0, 1]);
  turns.give();
  await all[2];
  assert.deepEqual(begun, [0, 1, 2]);
  turns.give();
  await all[3];
  assert.deepEqual(begun, [0, 1, 2, 3]);
});

test("who gives up is passed over, and who has given up beforehand gets no turn", async () => {
  const turns = new Turns(1);
  await turns.take(undefined);
  const giveUp = new AbortController();
  const second = turns.take(giveUp.signal);
  const third = turns.take(undefined);
  giveUp.abort();
  await assert.rejects(second, { code: "CANCELLED" });
  await assert.rejects(turns.take(giveUp.signal), { code: "CANCELLED" });
  turns.give();
  await third;
  turns.give();
  await assert.rejects(turns.take(AbortSignal.abort()), { code: "CANCELLED" });
  await turns.take(undefined);
});

test("turns of one name hold up nobody of another", async () => {
  const turns = new TurnsByName();
  const { signal } = new AbortController();
  const begun: string[] = [];
  const take = async (name: string, what: string): Promise<() => void> => turns.take(name, signal).finally(() => begun.push(what));
  const endFirst = await take("a", "first of a");
  const second = take("a", "second of a");
  const endOther = await take("b", "first of b");
  assert.deepEqual(begun, ["first of a", "first of b"]);
  endFirst();
  (await second)();
  endOther();
  (await take("a", "third of a"))();
  assert.deepEqual(begun, ["first of a", "first of b", "second of a", "third of a"]);
});

test("who gives up its turn of a name leaves it to the next", async () => {
  const turns = new TurnsByName();
  const giveUp = new AbortController();
  const end = await turns.take("a", giveUp.signal);
  const second = turns.take("a", giveUp.signal);
  const third = turns.take("a", new AbortController().signal);
  giveUp.abort();
  await assert.rejects(second, { code: "CANCELLED" });
  end();
  (await third)();
});

test("many who wait, of whom many give up, get their turns in order, and nothing of them stays", async () => {
  const turns = new Turns(1);
  await turns.take(undefined);
  const given: number[] = [];
  const refused: Promise<unknown>[] = [];
  const waiting: Promise<unknown>[] = [];
  const giveUp = new AbortController();
  setMaxListeners(0, giveUp.signal);
  for (let i = 0; i < 20_000; i++) {
    if (i % 2 === 0) waiting.push(turns.take(undefined).then(() => { given.push(i); turns.give(); }));
    else if (i % 20 === 1) refused.push(assert.rejects(turns.take(giveUp.signal), { code: "CANCELLED" }));
  }
  giveUp.abort();
  await Promise.all(refused);
  turns.give();
  await Promise.all(waiting);
  assert.deepEqual(given, Array.from({ length: 10_000 }, (_, i) => 2 * i));
  await turns.take(undefined);
});
