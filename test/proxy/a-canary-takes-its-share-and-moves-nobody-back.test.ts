import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../runtime/clock.ts";
import { CanaryMeasure } from "../../runtime/proxy/canary-measure.ts";
import { HookTable } from "../../runtime/proxy/hook-plan.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import { takeInputs } from "../../runtime/proxy/gateway-inputs.ts";
import { CANARY_COOKIE, ReleaseChoice } from "../../runtime/proxy/release-choice.ts";
import { Routing } from "../../runtime/proxy/routing.ts";
import { Limiter } from "../../runtime/ratelimit/ratelimit.ts";
import { createMemoryStore } from "../../runtime/store/store.ts";
import { marking, openWorker, TERMS } from "./several-releases.ts";

const limiter = new Limiter({
  store: createMemoryStore({ clock: systemClock }),
  clock: systemClock,
  events: { charged: () => undefined, degraded: () => undefined },
});
const table = (id: string): HookTable => new HookTable(id, null, new Routing([], [], limiter), () => undefined);
const [current, canary] = [table("000000000001"), table("000000000002")];

function choice(share: number, more: { tag?: string; key?: string; visitor?: string | null } = {}): ReleaseChoice {
  const { visitor = null, ...terms } = more;
  return new ReleaseChoice(
    canary,
    () => current,
    { ...TERMS, release: canary.releaseId, share, ...terms },
    new CanaryMeasure(1, systemClock, true),
    () => visitor,
  );
}

function chosen(by: ReleaseChoice, address: string, cookie = "", scheme: "http" | "https" = "http"): { on: boolean; cookie: string } {
  const made = by.choose(takeInputs(new Fields(cookie === "" ? [] : ["cookie", cookie])), { address, scheme, trusted: false });
  const fields = new Fields();
  made.answer(fields, 1);
  return { on: made.onCanary, cookie: fields.get("set-cookie") ?? "" };
}

const addresses = Array.from({ length: 20_000 }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);

test("5 % of the clients are on it, and a larger share keeps all of them", () => {
  const on = (share: number): Set<string> => {
    const by = choice(share);
    return new Set(addresses.filter((address) => chosen(by, address).on));
  };
  const [few, more] = [on(500), on(2500)];
  assert.ok(Math.abs(few.size / addresses.length - 0.05) < 0.006, String(few.size));
  assert.ok(Math.abs(more.size / addresses.length - 0.25) < 0.012, String(more.size));
  assert.deepEqual(
    [...few].filter((address) => !more.has(address)),
    [],
  );
  assert.equal(on(0).size, 0);
  assert.equal(on(10_000).size, addresses.length);
});

test("another canary draws others; another gateway with the same terms the same", () => {
  const of = (by: ReleaseChoice): string[] => addresses.filter((address) => chosen(by, address).on);
  const first = of(choice(500));
  assert.deepEqual(of(choice(500)), first);
  const second = new Set(of(choice(500, { tag: "t2" })));
  assert.ok(first.filter((address) => second.has(address)).length < first.length * 0.15);
});

test("the cookie keeps a client where it was when its address changes, and is set once", () => {
  const by = choice(500);
  const [inside, outside] = [addresses.find((address) => chosen(by, address).on)!, addresses.find((address) => !chosen(by, address).on)!];
  const { cookie } = chosen(by, inside);
  assert.match(cookie, /^sluice_canary=[\w.-]+; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax$/);
  const pair = cookie.split(";")[0]!;
  assert.deepEqual(chosen(by, outside, `a=b; ${pair}`), { on: true, cookie: "" });
  assert.match(chosen(by, inside, "", "https").cookie, /; SameSite=Lax; Secure$/);
  // Forged, of other gateways, or of the canary before: as if there were none.
  for (const odd of [`${pair}x`, `${CANARY_COOKIE}=t1-0.AAAA`, `${CANARY_COOKIE}=`, pair.replace("t1-", "t1-1")])
    assert.equal(chosen(by, outside, odd).on, false, odd);
  const foreign = chosen(choice(500, { key: "8".repeat(64) }), inside).cookie.split(";")[0]!;
  assert.notEqual(chosen(by, outside, foreign).cookie, "");
  assert.notEqual(chosen(choice(500, { tag: "t2" }), outside, pair).cookie, "");
});

test("what a shared cache was told to keep goes out without the cookie", () => {
  const answered = (...list: string[]): Fields => {
    const made = choice(500).choose(takeInputs(new Fields()), { address: "192.0.2.1", scheme: "http", trusted: false });
    const fields = new Fields([...list]);
    made.answer(fields, 1);
    return fields;
  };
  const given = (...list: string[]): boolean => answered(...list).has("set-cookie");
  const expires = ["expires", "Fri, 01 Jan 2100 00:00:00 GMT"];
  const offered = [
    ["cache-control", "public"],
    ["cache-control", "s-maxage=5"],
    ["cache-control", "max-age=60"],
    ["cache-control", "must-revalidate", "cache-control", "Max-Age=060"],
    ["cache-control", 'private="x-user", max-age=60'],
    expires,
    ["cache-control", "private", "cdn-cache-control", "max-age=60"],
    ["cache-control", "no-store", "surrogate-control", "max-age=60"],
    ["cdn-cache-control", "no-store", "sluice-cache-control", "max-age=60"],
  ];
  for (const list of offered) assert.equal(given(...list), false, list.join(" "));
  const kept = [
    [],
    ["cache-control", "no-cache"],
    ["cache-control", "max-age=0", ...expires],
    ["cache-control", "private, max-age=60", ...expires],
    ["cache-control", "max-age=60,no-store"],
    ["cache-control", "private", "cdn-cache-control", "no-store"],
  ];
  for (const list of kept) {
    assert.equal(given(...list), true, list.join(" "));
    // A cache may keep what says nothing, or give it out again once it is validated.
    assert.match(answered(...list).joined("cache-control") ?? "", /(?:^|, ?)(?:private|no-store)(?:,|$)/, list.join(" "));
  }
  assert.equal(answered("cache-control", "no-cache").joined("cache-control"), "no-cache, private");
  assert.equal(answered("cache-control", "private, max-age=60").joined("cache-control"), "private, max-age=60");
  assert.equal(answered("cache-control", "public").joined("cache-control"), "public");
});

test("a genuine visitor counts before the address, and all of an IPv6 /64 is one client", () => {
  const visitors = Array.from({ length: 50 }, (_, i) => choice(5000, { visitor: `v${i}` }));
  for (const by of visitors) assert.equal(chosen(by, "192.0.2.1").on, chosen(by, "198.51.100.7").on);
  assert.equal(new Set(visitors.map((by) => chosen(by, "192.0.2.1").on)).size, 2);
  for (let i = 0; i < 50; i++) {
    const by = choice(5000, { tag: `x${i}` });
    assert.equal(chosen(by, "2001:db8:1:2::1").on, chosen(by, "2001:db8:1:2:ffff::9").on);
  }
});

test("an exchange stays on its release; log, header and cache tell which; promotion and rollback are one step", { timeout: 60_000 }, async (t) => {
  const [old, next] = [marking("old"), marking("next")];
  const staged = await openWorker(t, old, {
    config: { routes: [{ upstream: "site", cache: { default: "60s" } }] },
    origin: (request, response) => {
      if (request.url === "/cookies")
        response.setHeader("set-cookie", ["sluice_canary=t1-0.forged; Path=/", "mine=1", "=sluice_visitor=x", " sluice-preview=; Max-Age=0"]);
      response.end(String(request.headers["x-in"]));
    },
  });
  const { worker, ask, records, seen } = staged;
  const terms = await staged.canary(next, 5000);
  const by = choice(5000);
  const [inside, outside] = [addresses.find((address) => chosen(by, address).on)!, addresses.find((address) => !chosen(by, address).on)!];

  // The same URL, from the cache the second time: each side sees what its own release made.
  for (let i = 0; i < 2; i++) {
    const [a, b] = [await ask("/page", {}, inside), await ask("/page", {}, outside)];
    assert.deepEqual([a.text, a.headers["x-out"], a.headers["sluice-release"]], ["next", "next", next.id]);
    assert.deepEqual([b.text, b.headers["x-out"], b.headers["sluice-release"]], ["old", "old", old.id]);
    assert.equal(a.headers["set-cookie"]?.length, 1, "the cache keeps no cookie of the gateway");
  }
  assert.equal(seen.length, 2);
  assert.deepEqual(new Set(records.map(({ release, beside }) => `${release} ${beside}`)), new Set([`${old.id} `, `${next.id} canary`]));
  const explained = async (client: string): Promise<string> => {
    const ask = { method: "GET", scheme: "http", authority: "shop.example", target: "/page", headers: [], client } as const;
    const { beside, release } = await worker.explain(ask);
    return `${beside} ${release}`;
  };
  assert.deepEqual([await explained(inside), await explained(outside)], [`canary ${next.id}`, ` ${old.id}`]);
  assert.ok(worker.snapshot().observed.counters["sluice_canary_requests_total"]!.some(([labels]) => labels.join(" ") === `canary ${next.id} 2xx`));
  const [pair] = (await ask("/page", {}, inside)).headers["set-cookie"]![0]!.split(";");
  const back = await ask("/fresh", { cookie: `mine=1; ${pair}; sluice_visitor=x` }, outside);
  assert.deepEqual([back.headers["sluice-release"], back.headers["set-cookie"]], [next.id, undefined]);
  assert.equal(seen.at(-1)!.cookie, "mine=1", "no origin sees cookies of the gateway");

  const { "set-cookie": set = [] } = (await ask("/cookies", {}, inside)).headers;
  assert.deepEqual([set.length, set[0], set[1]!.split("=")[0]], [2, "mine=1", CANARY_COOKIE], "no origin sets cookies of the gateway");
  assert.notEqual(set[1]!.split(";")[0], "sluice_canary=t1-0.forged");
  for (let i = 0; i < 2; i++) await ask("/cookies", {}, outside);
  assert.deepEqual(
    staged.noted.filter(({ event }) => event === "origin-cookie-refused"),
    [{ event: "origin-cookie-refused", facts: { upstream: "site", cookie: "sluice_canary" } }],
  );

  // Whoever changes the page has changed it for both.
  const before = seen.length;
  await ask("/page", {}, outside, "POST");
  for (const from of [inside, outside]) await ask("/page", {}, from);
  assert.equal(seen.length, before + 3);
  worker.runCanary(null, { ...terms, share: 0, step: 4 });
  assert.equal((await ask("/own", {}, inside)).text, "old");
  worker.runCanary(null, { ...terms, share: 10_000, step: 5 });
  assert.equal((await ask("/own", {}, outside)).text, "next");
  worker.endCanary();
  assert.deepEqual([(await ask("/own", {}, inside)).text, (await ask("/own", {}, inside)).headers["set-cookie"]], ["old", undefined]);
  assert.throws(() => worker.promoteCanary(next.id), /no canary/);

  await staged.canary(next, 1);
  worker.promoteCanary(next.id);
  assert.equal((await ask("/own", {}, outside)).text, "next");
  // What all see is what the last release left there: nothing of the canary's own.
  assert.equal((await ask("/page", {}, outside)).text, "old");
});
