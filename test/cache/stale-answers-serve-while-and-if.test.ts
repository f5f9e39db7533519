import assert from "node:assert/strict";
import { test } from "node:test";
import { GatewayError } from "../../runtime/errors.ts";
import { Gateways } from "./gateways.ts";

const status = (got: { fields: { get(name: string): string | undefined } }): string => got.fields.get("cache-status") ?? "";

test("while one fetch refreshes them behind everyone's back", async () => {
  const gateways = new Gateways(1);
  const fields = { "cache-control": "max-age=5, stale-while-revalidate=60", etag: '"1"' };
  gateways.answer(() => ({ fields, body: "old" }));
  await gateways.of(gateways.ask(0));
  gateways.clock.advance(6000);
  const before = gateways.fetches.length;
  const crowd = await Promise.all(Array.from({ length: 50 }, () => gateways.ask(0)));
  assert.deepEqual([...new Set(crowd.map(({ text }) => text))], ["old"]);
  await gateways.settle();
  assert.equal(gateways.fetches.length - before, 1);
  assert.equal(gateways.fetches.at(-1)!.fields.get("if-none-match"), '"1"');
  assert.match(status(await gateways.of(gateways.ask(0))), /^sluice; hit/);
  gateways.close();
});

test("if the origin fails, within their time and no longer", async () => {
  const gateways = new Gateways(1);
  gateways.answer(() => ({ fields: { "cache-control": "max-age=5, stale-if-error=60" }, body: "kept" }));
  await gateways.of(gateways.ask(0));
  gateways.clock.advance(6000);
  gateways.answer(() => ({ error: new GatewayError("UPSTREAM_RESET", "gone") }));
  const got = await gateways.of(gateways.ask(0));
  assert.deepEqual([got.status, got.text, got.from], [200, "kept", "cache"]);
  gateways.answer(() => ({ status: 503, body: "busy" }));
  assert.match(status(await gateways.of(gateways.ask(0))), /fwd=stale; fwd-status=503/);
  gateways.clock.advance(120_000);
  assert.equal((await gateways.of(gateways.ask(0))).status, 503);
  gateways.close();
});

test("a refresh that fails changes nothing, and is not tried again at once", async () => {
  const gateways = new Gateways(1);
  gateways.answer(() => ({ fields: { "cache-control": "max-age=5, stale-while-revalidate=600" }, body: "old" }));
  await gateways.of(gateways.ask(0));
  gateways.clock.advance(6000);
  gateways.answer(() => ({ status: 500, body: "ill" }));
  const before = gateways.fetches.length;
  for (let i = 0; i < 10; i++) {
    assert.equal((await gateways.ask(0)).text, "old");
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(gateways.fetches.length - before, 1);
  gateways.clock.advance(1100);
  assert.equal((await gateways.ask(0)).text, "old");
  await gateways.settle();
  assert.equal(gateways.fetches.length - before, 2);
  gateways.close();
});

test("what another gateway refreshed is taken from the store", async () => {
  const gateways = new Gateways(2);
  await gateways.settle();
  const fields = { "cache-control": "max-age=5, stale-while-revalidate=600" };
  gateways.answer(() => ({ fields, body: "first" }));
  for (const cache of [0, 1]) await gateways.of(gateways.ask(cache));
  gateways.clock.advance(6000);
  gateways.answer(() => ({ fields, body: "second" }));
  const before = gateways.fetches.length;
  for (const cache of [0, 1]) {
    await gateways.ask(cache);
    await gateways.settle();
  }
  assert.equal(gateways.fetches.length - before, 1);
  for (const cache of [0, 1]) assert.equal((await gateways.of(gateways.ask(cache))).text, "second");
  gateways.close();
});
