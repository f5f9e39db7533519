import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { gateway } from "../../runtime/testing/testing.ts";

const folder = mkdtempSync(path.join(tmpdir(), "sluice-rule-tests-"));
after(() => rmSync(folder, { recursive: true }));

function rule(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, `import { defineRule, respond } from "sluice";\nexport default defineRule({\n${text}\n});\n`);
  return file;
}

const NOON = Date.UTC(2026, 2, 1, 12);
const HOUR = 3_600_000;

const silentAsked: string[] = [];
const clocked = await gateway({
  rules: rule(
    "clocked.ts",
    `  async onRequest(req, ctx) {
    if (req.path === "/now") return respond(200, { now: ctx.now(), date: new Date().toISOString() });
    if (req.path === "/kv") return respond(200, String(await ctx.kv.increment("visits", { ttl: "1m" })));
    if (req.path === "/limited") {
      const limit = await ctx.limit("per-user", { key: req.headers.get("x-user") ?? "", rate: "2/1m" });
      return respond(limit.allowed ? 200 : 429, "");
    }
    if (req.path === "/slow") {
      await ctx.kv.set("slow", true);
      await new Promise((done) => setTimeout(done, 60_000));
      return respond(200, "late");
    }
  },
  onOriginResponse(res) { res.cache({ lifetime: "5m", tags: ["pages"] }); },`,
  ),
  now: "2026-03-01T12:00:00Z",
  cache: {},
  upstreams: { site: ({ target }) => `page ${target}`, gone: ({ target }) => (silentAsked.push(target), { fails: "silence" }) },
  routes: [
    { match: { path: "/silent" }, upstream: "gone" },
    { upstream: "site", cache: {} },
  ],
});

test("time stands still where it is set, and moves when it is told to", async () => {
  assert.deepEqual((await clocked.request("/now")).json(), { now: NOON, date: "2026-03-01T12:00:00.000Z" });
  clocked.clock.advance("1h");
  assert.deepEqual((await clocked.request("/now")).json(), { now: NOON + HOUR, date: "2026-03-01T13:00:00.000Z" });
  clocked.clock.set(new Date(NOON));
  assert.equal((await clocked.request("/now")).json<{ now: number }>().now, NOON);
  assert.equal(clocked.clock.now(), NOON);
  assert.throws(() => clocked.clock.advance("soon" as "1s"), /found "soon", expected milliseconds/);
  assert.throws(() => clocked.clock.set("yesterday"), /found the time "yesterday"/);
});

test("values live as long as the clock says, are seen from outside, and can be there before", async () => {
  assert.equal((await clocked.request("/kv")).text(), "1");
  assert.equal((await clocked.request("/kv")).text(), "2");
  assert.equal(await clocked.store.kv.get("visits"), 2);
  clocked.clock.advance("61s");
  assert.equal(await clocked.store.kv.get("visits"), null);
  await clocked.store.kv.set("visits", 41, { ttl: "10s" });
  assert.equal((await clocked.request("/kv")).text(), "42");
  assert.equal(await clocked.store.kv.delete("visits"), true);
  assert.equal((await clocked.request("/kv")).text(), "1");
});

test("a limit tells what is left of it, charges nothing for that, and refills with the clock", async () => {
  const ask = (user: string) => clocked.request("/limited", { headers: { "x-user": user } });
  assert.equal(await clocked.store.limit("per-user", "ann"), null);
  assert.equal((await ask("ann")).status, 200);
  for (let i = 0; i < 3; i++) assert.equal((await clocked.store.limit("per-user", "ann"))?.remaining, 1);
  await ask("ann");
  assert.deepEqual(await clocked.store.limit("per-user", "ann"), { allowed: false, remaining: 0, resetMs: 60_000, retryAfterMs: 0 });
  assert.equal((await ask("ann")).status, 429);
  assert.equal((await clocked.store.limit("per-user", "bob"))?.remaining, 2);
  clocked.clock.advance("1m");
  assert.equal((await ask("ann")).status, 200);
});

test("cached answers are seen by their URL, age with the clock, and can be purged", async () => {
  await clocked.request("/products?page=1");
  const [entry, ...others] = clocked.store.cached("/products?page=1");
  assert.deepEqual([entry?.status, entry?.body, entry?.tags, others], [200, "page /products?page=1", ["pages"], []]);
  assert.ok(entry!.freshMs > 0 && entry!.freshMs <= 300_000);
  assert.deepEqual(clocked.store.cached("/products"), []);
  const again = await clocked.request("/products?page=1");
  assert.deepEqual([again.from, again.upstreamRequests], ["cache", []]);
  clocked.clock.advance("6m");
  assert.ok(clocked.store.cached("/products?page=1")[0]!.freshMs <= 0);
  await clocked.request("/products?page=1");
  await clocked.store.purge({ tag: "pages" });
  assert.deepEqual(clocked.store.cached("/products?page=1"), []);
  await assert.rejects(async () => clocked.store.purge({}), /exactly one of/);
});

test("a rule's timer and an upstream's time-out ring when the clock is moved past them", async () => {
  const slow = clocked.request("/slow");
  const silent = clocked.request("/silent");
  const both = Promise.allSettled([slow, silent]).then(() => true);
  const soon = () => new Promise<false>((resolve) => setTimeout(() => resolve(false), 1));
  // Both have come as far as to what they wait for: the front's own timers are behind them.
  while ((await clocked.store.kv.get("slow")) === null || silentAsked.length === 0) await soon();
  while (!(await Promise.race([both, soon()]))) clocked.clock.advance("1s");
  assert.equal((await slow).text(), "late");
  const { status, code, from } = await silent;
  assert.deepEqual([status, code, from], [504, "UPSTREAM_TIMEOUT", "gateway"]);
});

const drawing = `  onRequest(req, ctx) {
    return respond(200, { numbers: [ctx.random(), Math.random(), ctx.random()], id: crypto.randomUUID() });
  },`;
interface Drawn {
  readonly numbers: readonly number[];
  readonly id: string;
}

test("randomness is a number, numbers in turn, or made up from a seed and the same each time", async () => {
  const file = rule("drawing.ts", drawing);
  const draw = async (random: number | readonly number[] | { seed: number } | undefined): Promise<Drawn[]> => {
    const gw = await gateway({ rules: file, ...(random === undefined ? {} : { random }) });
    const drawn = [(await gw.request("/")).json<Drawn>(), (await gw.request("/")).json<Drawn>()];
    await gw.close();
    return drawn;
  };
  assert.deepEqual((await draw(0.25))[0]!.numbers, [0.25, 0.25, 0.25]);
  assert.deepEqual(
    (await draw([0.1, 0.9])).map(({ numbers }) => numbers),
    [
      [0.1, 0.9, 0.9],
      [0.1, 0.9, 0.9],
    ],
  );
  const seeded = await draw({ seed: 7 });
  assert.deepEqual(await draw({ seed: 7 }), seeded);
  assert.notDeepEqual(await draw({ seed: 8 }), seeded);
  assert.notDeepEqual(seeded[0], seeded[1]);
  assert.notDeepEqual(await draw(undefined), await draw(undefined));
  await assert.rejects(draw(1), /found 1, expected numbers from 0 up to, not including, 1/);
});

test("upstreams fail as they are told to; each is asked by its own name", async () => {
  const gw = await gateway({
    rules: rule("picking.ts", `  onRequest(req) { req.upstream = req.path.slice(1); },\n  onError(error) { return respond(599, error.code); },`),
    upstreams: {
      good: { status: 201, headers: { "x-many": ["a", "b"] }, body: { ok: true } },
      refused: { fails: "refused" },
      reset: () => ({ fails: "reset" }),
      plain: "text",
    },
  });
  const good = await gw.request("/good");
  assert.deepEqual([good.status, good.json(), good.headers.get("x-many"), good.upstream, good.from], [201, { ok: true }, "a, b", "good", "upstream"]);
  assert.deepEqual(
    (await gw.request("/plain")).upstreamRequests.map(({ upstream, method }) => `${method} ${upstream}`),
    ["GET plain"],
  );
  assert.equal((await gw.request("/refused")).text(), "UPSTREAM_CONNECT_FAILED");
  assert.equal((await gw.request("/reset")).text(), "UPSTREAM_RESET");
  assert.equal((await gw.request("/reset")).rule, "picking.ts");
});
