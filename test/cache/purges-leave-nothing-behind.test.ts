import assert from "node:assert/strict";
import { test } from "node:test";
import { placeOfUrl, type PurgeOrder } from "../../runtime/cache/cache.ts";
import { GatewayError } from "../../runtime/errors.ts";
import { SlowBody } from "../support/slow-body.ts";
import { FRESH, Gateways } from "./gateways.ts";

const order = (kind: PurgeOrder["kind"], value = "", soft = false): PurgeOrder => ({ kind, value, soft });
const tagged = (tags: string) => ({ fields: { ...FRESH, "cache-tag": tags, etag: '"1"' }, body: tags });

async function filled(count = 2): Promise<Gateways> {
  const gateways = new Gateways(count);
  await gateways.settle();
  gateways.answer((target) => tagged(`all, ${target.includes("news") ? "news" : "shop"}`));
  for (const target of ["/news/1", "/news/2?a=1", "/shop"]) for (let i = 0; i < count; i++) await gateways.of(gateways.ask(i, { target }));
  assert.equal(gateways.fetches.length, 3);
  return gateways;
}

/** Which of the three are asked for again, on every gateway. */
async function gone(gateways: Gateways): Promise<string[]> {
  const before = gateways.fetches.length;
  for (const target of ["/news/1", "/news/2?a=1", "/shop"]) for (let i = 0; i < gateways.caches.length; i++) await gateways.of(gateways.ask(i, { target }));
  return [...new Set(gateways.fetches.slice(before).map(({ target }) => target))];
}

test("by tag, URL, prefix, and all: on every gateway, in memory and in the store", async () => {
  for (const [purge, expected] of [
    [order("tag", "news"), ["/news/1", "/news/2?a=1"]],
    [order("tag", "none"), []],
    [order("url", placeOfUrl("https://shop.example:443/news/1")!), ["/news/1"]],
    [order("prefix", placeOfUrl("shop.example/news/")!), ["/news/1", "/news/2?a=1"]],
    [order("all"), ["/news/1", "/news/2?a=1", "/shop"]],
  ] as const) {
    const gateways = await filled();
    const report = await gateways.of(gateways.caches[0]!.purge(purge));
    assert.deepEqual(report, { done: 2, members: 2, reason: "" });
    assert.deepEqual(await gone(gateways), expected, purge.kind);
    gateways.close();
  }
});

test("ten thousand entries of one tag go at once", async () => {
  const gateways = new Gateways(1, { memoryBytes: 1e9 });
  await gateways.settle();
  gateways.answer(() => tagged("all"));
  for (let i = 0; i < 10_000; i++) await gateways.ask(0, { target: `/${i}` });
  await gateways.of(gateways.caches[0]!.purge(order("tag", "all")));
  const before = gateways.fetches.length;
  for (let i = 0; i < 10_000; i += 500) await gateways.of(gateways.ask(0, { target: `/${i}` }));
  assert.equal(gateways.fetches.length - before, 20);
  gateways.close();
});

test("softly: stale, validated by the origin, and there when the origin fails", async () => {
  const gateways = await filled(1);
  await gateways.of(gateways.caches[0]!.purge(order("all", "", true)));
  gateways.answer(() => ({ status: 304, fields: FRESH }));
  const got = await gateways.of(gateways.ask(0, { target: "/shop" }));
  assert.deepEqual([got.text, gateways.fetches.at(-1)!.fields.get("if-none-match")], ["all, shop", '"1"']);
  gateways.close();
});

test("what was on its way when the purge came is not kept", async () => {
  const gateways = new Gateways(2);
  await gateways.settle();
  const ask = gateways.ask(0);
  await gateways.settle();
  const body = new SlowBody();
  gateways.fetches[0]!.answer({ fields: { ...FRESH, "surrogate-key": "old" }, body });
  await gateways.settle();
  body.send("old");
  await gateways.of(gateways.caches[1]!.purge(order("tag", "old")));
  // Who comes after the purge does not join what began before it.
  const later = gateways.ask(0);
  await gateways.settle();
  assert.equal(gateways.fetches.length, 2);
  body.end();
  gateways.fetches[1]!.answer({ fields: { "cache-control": "no-store" }, body: "newer" });
  assert.equal((await gateways.of(later)).text, "newer");
  assert.equal((await gateways.of(ask)).text, "old");
  gateways.answer(() => ({ fields: FRESH, body: "new" }));
  for (const cache of [0, 1]) assert.equal((await gateways.of(gateways.ask(cache))).text, "new");
  gateways.close();
});

test("without the store the caller is told, and its own gateway has purged", async () => {
  const gateways = await filled(2);
  gateways.store.fail(new GatewayError("STORE_UNAVAILABLE", "gone"));
  const report = await gateways.of(gateways.caches[0]!.purge(order("all")));
  assert.match(report.reason, /the store could not be told: gone/);
  const before = gateways.fetches.length;
  await gateways.of(gateways.ask(0, { target: "/shop" }));
  assert.equal(gateways.fetches.length - before, 1);
  gateways.close();
});

test("a gateway that does not say that it purged is missed in the report", async () => {
  const gateways = new Gateways(2, { members: 3 });
  await gateways.settle();
  const report = await gateways.of(gateways.caches[0]!.purge(order("all")));
  assert.deepEqual([report.done, report.members], [2, 3]);
  assert.match(report.reason, /1 of 3 workers have not said/);
  gateways.close();
});

test("after a gap, what the log of purges names is gone", async () => {
  const gateways = await filled(2);
  // The order is numbered and logged; its message reaches nobody.
  const publish = gateways.store.publish;
  gateways.store.publish = async () => undefined;
  await gateways.of(gateways.caches[1]!.purge(order("tag", "news")));
  gateways.store.publish = publish;
  const before = gateways.fetches.length;
  await gateways.of(gateways.ask(0, { target: "/news/1" }));
  assert.equal(gateways.fetches.length, before, "gateway 0 has not heard of it");
  gateways.store.fail(new GatewayError("STORE_UNAVAILABLE", "away"));
  gateways.store.fail(null);
  await gateways.settle();
  await gateways.of(gateways.ask(0, { target: "/news/1" }));
  assert.equal(gateways.fetches.length, before + 1);
  gateways.close();
});

test("an unsafe request makes its URL's answers invalid everywhere, with all their variants", async () => {
  const gateways = new Gateways(2);
  await gateways.settle();
  let version = 1;
  gateways.answer((_, fields) => ({ fields: { ...FRESH, vary: "x-device" }, body: `${fields.get("x-device")} ${version}` }));
  const all = async () => {
    const got: string[] = [];
    for (const cache of [0, 1])
      for (const device of ["phone", "desk"]) got.push((await gateways.of(gateways.ask(cache, { fields: { "x-device": device } }))).text);
    return got;
  };
  assert.deepEqual(await all(), ["phone 1", "desk 1", "phone 1", "desk 1"]);
  version = 2;
  await gateways.of(gateways.ask(0, { method: "POST" }));
  await gateways.settle();
  assert.deepEqual(await all(), ["phone 2", "desk 2", "phone 2", "desk 2"]);
  gateways.close();
});

test("URLs are named as people write them", () => {
  assert.equal(placeOfUrl("https://Shop.Example/a?b#c"), "//shop.example/a?b");
  assert.equal(placeOfUrl("shop.example:8080/a"), "//shop.example:8080/a");
  for (const text of ["", "/a", "ftp://shop.example/", "http://"]) assert.equal(placeOfUrl(text), null, text);
});
