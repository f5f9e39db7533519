import assert from "node:assert/strict";
import { test } from "node:test";
import { GatewayError } from "../../runtime/errors.ts";
import { SlowBody } from "../support/slow-body.ts";
import { FRESH, Gateways } from "./gateways.ts";

test("in one worker: all get the answer while it arrives", async () => {
  const gateways = new Gateways(1);
  const asks = Array.from({ length: 1000 }, () => gateways.ask(0));
  await gateways.settle();
  assert.equal(gateways.fetches.length, 1);
  const body = new SlowBody();
  gateways.fetches[0]!.answer({ fields: FRESH, body });
  await gateways.settle();
  body.send("in ");
  const late = gateways.ask(0);
  await gateways.settle();
  body.send("pieces");
  body.end();
  for (const { text } of await gateways.of(Promise.all([...asks, late]))) assert.equal(text, "in pieces");
  assert.equal(gateways.fetches.length, 1);
  gateways.close();
});

test("on several gateways: the others wait for what the first one brings", async () => {
  const gateways = new Gateways(4);
  await gateways.settle();
  const asks = Array.from({ length: 400 }, (_, i) => gateways.ask(i % 4));
  await gateways.settle();
  assert.equal(gateways.fetches.length, 1);
  gateways.fetches[0]!.answer({ fields: FRESH, body: "once" });
  const got = await gateways.of(Promise.all(asks));
  assert.deepEqual([...new Set(got.map(({ text }) => text))], ["once"]);
  assert.equal(gateways.fetches.length, 1);
  gateways.close();
});

test("whose answers vary: one fetch for each variant", async () => {
  const gateways = new Gateways(2);
  await gateways.settle();
  gateways.answer((_, fields) => ({ fields: { ...FRESH, vary: "x-device" }, body: fields.get("x-device") ?? "none" }));
  const asks = Array.from({ length: 60 }, (_, i) => gateways.ask(i % 2, { fields: { "x-device": ["phone", "desk", "watch"][i % 3]! } }));
  const got = await gateways.of(Promise.all(asks));
  for (const [i, { text }] of got.entries()) assert.equal(text, ["phone", "desk", "watch"][i % 3]);
  assert.equal(gateways.fetches.length, 3);
  gateways.close();
});

test("waits no longer than the lock's time for a slow leader: another takes its place", async () => {
  const gateways = new Gateways(1);
  const asks = Array.from({ length: 10 }, () => gateways.ask(0));
  await gateways.settle();
  gateways.clock.advance(5000);
  await gateways.settle();
  assert.equal(gateways.fetches.length, 2, "one of those who waited asks, the others wait for it");
  gateways.fetches[1]!.answer({ fields: FRESH, body: "second" });
  await gateways.settle();
  gateways.fetches[0]!.answer({ fields: FRESH, body: "first, late" });
  const texts = (await gateways.of(Promise.all(asks))).map(({ text }) => text);
  assert.deepEqual([texts[0], [...new Set(texts.slice(1))]], ["first, late", ["second"]]);
  assert.equal(gateways.caches[0]!.status().counts.replacedLeaders, 1);
  gateways.close();
});

test("waits no longer for a gateway that holds the lock and does not come back", async () => {
  const gateways = new Gateways(2);
  await gateways.settle();
  const first = gateways.ask(0);
  await gateways.settle();
  const second = gateways.ask(1);
  await gateways.settle();
  assert.equal(gateways.fetches.length, 1);
  gateways.clock.advance(5100);
  await gateways.settle();
  assert.equal(gateways.fetches.length, 2);
  for (const fetch of gateways.fetches) fetch.answer({ fields: FRESH, body: "well" });
  assert.deepEqual(
    (await gateways.of(Promise.all([first, second]))).map(({ text }) => text),
    ["well", "well"],
  );
  gateways.close();
});

test("does not queue for what can't be stored: the marker lets each ask at once, on every gateway", async () => {
  const gateways = new Gateways(2);
  await gateways.settle();
  gateways.answer(() => ({ fields: { "cache-control": "no-store" }, body: "mine" }));
  await gateways.of(gateways.ask(0));
  gateways.answer(() => ({ fields: { "cache-control": "no-store" }, body: "mine" }));
  const before = gateways.fetches.length;
  const got = await gateways.of(Promise.all(Array.from({ length: 20 }, (_, i) => gateways.ask(i % 2))));
  assert.equal(gateways.fetches.length - before, 20);
  assert.match(got[19]!.fields.get("cache-status") ?? "", /fwd=uri-miss; detail=no-store$/);
  gateways.close();
});

test("goes on without the store when that is lost", async () => {
  const gateways = new Gateways(2);
  await gateways.settle();
  gateways.store.fail(new GatewayError("STORE_UNAVAILABLE", "gone"));
  gateways.answer(() => ({ fields: FRESH, body: "still here" }));
  const got = await gateways.of(Promise.all(Array.from({ length: 20 }, (_, i) => gateways.ask(i % 2))));
  assert.deepEqual([...new Set(got.map(({ text }) => text))], ["still here"]);
  assert.equal(gateways.fetches.length, 2, "one for each gateway");
  gateways.close();
});
