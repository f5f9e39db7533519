import assert from "node:assert/strict";
import { test } from "node:test";
import { SlowBody } from "../support/slow-body.ts";
import { FRESH, Gateways } from "./gateways.ts";

async function torn(breakOff: (body: SlowBody) => void, body = new SlowBody()): Promise<void> {
  const gateways = new Gateways(2);
  await gateways.settle();
  const asks = [gateways.ask(0), gateways.ask(0), gateways.ask(1)];
  const outcomes = Promise.allSettled(asks);
  await gateways.settle();
  gateways.fetches[0]!.answer({ fields: FRESH, body });
  await gateways.settle();
  body.send("half of ");
  breakOff(body);
  await gateways.settle();
  // The other gateway waited for the whole, and asks for itself.
  for (const fetch of gateways.fetches.slice(1)) fetch.answer({ fields: FRESH, body: "the whole" });
  const [first, second, third] = await gateways.of(outcomes);
  assert.deepEqual([first!.status, second!.status], ["rejected", "rejected"], "those who had the beginning are told that it broke off");
  assert.equal(third!.status === "fulfilled" && third!.value.text, "the whole");
  gateways.answer(() => ({ fields: FRESH, body: "the whole" }));
  for (const cache of [0, 1]) assert.equal((await gateways.of(gateways.ask(cache))).text, "the whole");
  assert.equal(gateways.caches[0]!.status().counts.torn, 1);
  gateways.close();
}

test("when the origin breaks off", () => torn((body) => body.tear()));

test("when it ends before its declared length", () => torn((body) => body.end(), new SlowBody(100)));

test("nor stored when only the connection's end ends it, which may have come too early", async () => {
  const gateways = new Gateways(1);
  class Unframed extends SlowBody {
    readonly endsWithConnection = true;
  }
  for (let i = 0; i < 2; i++) {
    const ask = gateways.ask(0);
    await gateways.settle();
    const body = new Unframed();
    gateways.fetches[i]!.answer({ fields: FRESH, body });
    await gateways.settle();
    body.send("who knows");
    body.end();
    assert.equal((await gateways.of(ask)).text, "who knows");
  }
  gateways.close();
});

test("too large for the cache on its way: who has the beginning gets the rest, nobody else waits for it", async () => {
  const gateways = new Gateways(1, { maxObjectBytes: 10 });
  const ask = gateways.ask(0);
  await gateways.settle();
  const body = new SlowBody();
  gateways.fetches[0]!.answer({ fields: FRESH, body });
  await gateways.settle();
  body.send("0123456789");
  body.send("and more");
  body.end();
  assert.equal((await gateways.of(ask)).text, "0123456789and more");
  const asks = [gateways.ask(0), gateways.ask(0)];
  await gateways.settle();
  assert.equal(gateways.fetches.length, 3);
  for (const fetch of gateways.fetches.slice(1)) fetch.answer({ fields: FRESH, body: "large again" });
  await gateways.of(Promise.all(asks));
  assert.equal(gateways.caches[0]!.status().entries, 1, "the marker");
  gateways.close();
});

test("many at once hold no more than their share of the memory; the rest is passed on and not stored", async () => {
  const gateways = new Gateways(1, { memoryBytes: 100_000, maxObjectBytes: 10_000 });
  const bodies: SlowBody[] = [];
  const asks = Array.from({ length: 20 }, (_, i) => gateways.ask(0, { target: `/${i}` }));
  await gateways.settle();
  for (const fetch of gateways.fetches) {
    const body = new SlowBody();
    bodies.push(body);
    fetch.answer({ fields: FRESH, body });
  }
  await gateways.settle();
  for (const body of bodies) body.send("x".repeat(8000));
  for (const body of bodies) body.end();
  for (const { text } of await gateways.of(Promise.all(asks))) assert.equal(text.length, 8000);
  const { stored } = gateways.caches[0]!.status().counts;
  assert.ok(stored > 0 && stored <= 6, `${stored} stored`);
  const again = gateways.ask(0, { target: "/again" });
  await gateways.settle();
  gateways.fetches.at(-1)!.answer({ fields: FRESH, body: "room again" });
  await gateways.of(again);
  assert.equal(gateways.caches[0]!.status().counts.stored, stored + 1);
  gateways.close();
});
