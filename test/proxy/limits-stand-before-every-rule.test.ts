import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { type RunningGateway, startGateway } from "../support/running-gateway.ts";
import { until } from "../support/until.ts";

const SLOW_MS = 60_000;

describe("a gateway with limits on its routes", () => {
  let gateway: RunningGateway;
  let asked = 0;
  let holding = false;
  let held = 0;
  const origin = createServer((_, res) => {
    asked++;
    if (holding) held++;
    else res.setHeader("ratelimit", '"origin";r=7;t=1').end("ok");
  });

  before(async () => {
    await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
    gateway = await startGateway({
      config: {
        workers: 2,
        trustedProxies: ["127.0.0.1"],
        upstreams: { site: { targets: [`http://127.0.0.1:${(origin.address() as AddressInfo).port}`] } },
        routes: [
          { match: { path: "/both" }, upstream: "site", limits: [{ name: "hourly", rate: "2/1h" }] },
          { match: { path: "/exact" }, upstream: "site", limits: [{ name: "ten", rate: "10/1h" }] },
          { match: { path: "/key" }, upstream: "site", limits: [{ name: "by-key", rate: "1/1h", key: [{ header: "X-Api-Key" }] }] },
          { match: { path: "/shadow" }, upstream: "site", limits: [{ name: "trial", rate: "1/1h", shadow: true }] },
          { match: { path: "/slow" }, upstream: "site", limits: [{ name: "running", rate: "1", algorithm: "concurrency", key: [] }] },
          { match: { path: "/free" }, upstream: "site" },
        ],
        rateLimits: [{ name: "everybody", rate: "1000/1s", key: [] }],
      },
      rules: {
        "seen.ts": `import { defineRule } from "sluice"\nexport default defineRule({ onRequest(req) { req.headers.set("x-seen", "yes") }, onResponse(res) { res.headers.set("x-limits", res.headers.get("ratelimit") ?? "none") } })`,
        "own.ts": `import { defineRule, respond } from "sluice"
export default defineRule({
  when: { path: "/rule" },
  async onRequest(req, ctx) {
    const limit = await ctx.limit("per-user", { key: req.headers.get("x-user") ?? "", rate: "2/1h" })
    if (!limit.allowed) return respond(429, limit.reason, limit.headers)
    return respond(200, limit, limit.headers)
  },
})`,
      },
    });
  });
  after(async () => {
    await gateway.stop();
    origin.close();
    origin.closeAllConnections();
  });
  const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(gateway.url + path, { headers: { connection: "close", ...headers } });

  test("lets exactly as many pass as the limit says, over all its workers, and asks the origin for no other", { timeout: SLOW_MS }, async () => {
    asked = 0;
    const answers = await Promise.all(Array.from({ length: 40 }, () => get("/exact")));
    const statuses = answers.map(({ status }) => status);
    assert.deepEqual([statuses.filter((status) => status === 200).length, statuses.filter((status) => status === 429).length], [10, 30]);
    assert.equal(asked, 10);
  });

  test("tells what is left, and when to come back", async () => {
    const first = await get("/both");
    assert.equal(first.headers.get("ratelimit-policy"), '"everybody";q=1000;w=1, "hourly";q=2;w=3600');
    assert.match(first.headers.get("ratelimit")!, /^"origin";r=7;t=1, "everybody";r=9\d\d;t=1, "hourly";r=1;t=1800$/);
    assert.match(first.headers.get("x-limits")!, /"hourly";r=1/, "rules see the fields");
    await get("/both");
    const refused = await get("/both");
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get("sluice-error"), "RATE_LIMITED");
    assert.equal(refused.headers.get("retry-after"), "1800");
    assert.match(refused.headers.get("ratelimit")!, /"hourly";r=0;t=1800/);
  });

  test("counts clients apart: by address, IPv6 by network, or by a header", async () => {
    const from = (address: string) => get("/both", { "x-forwarded-for": address }).then(({ status }) => status);
    assert.deepEqual([await from("192.0.2.1"), await from("192.0.2.1"), await from("192.0.2.1"), await from("192.0.2.2")], [200, 200, 429, 200]);
    assert.deepEqual(
      [await from("2001:db8::1"), await from("2001:db8::2"), await from("2001:db8:0:0:ffff::1"), await from("2001:db8:0:1::1")],
      [200, 200, 429, 200],
    );
    const key = (value: string) => get("/key", { "x-api-key": value }).then(({ status }) => status);
    assert.deepEqual([await key("a"), await key("a"), await key("b")], [200, 429, 200]);
  });

  test("refuses nobody in shadow, and says nothing of it", async () => {
    const answers = [await get("/shadow"), await get("/shadow"), await get("/shadow")];
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200],
    );
    assert.doesNotMatch(answers[2]!.headers.get("ratelimit-policy")!, /trial/);
    // By the store or by who knew already: that depends on which worker was asked.
    const counts = [...(await gateway.metrics()).matchAll(/^sluice_limit_checks_total\{limit="trial",reason="shadow",by="\w+"\} (\d+)$/gm)];
    assert.equal(
      counts.reduce((sum, [, count]) => sum + Number(count), 0),
      2,
    );
  });

  test("bounds what runs at once, and lets the next in when a client has left", { timeout: SLOW_MS }, async () => {
    holding = true;
    const leaving = new AbortController();
    const first = fetch(`${gateway.url}/slow`, { signal: leaving.signal }).catch(() => "left");
    await until(() => held === 1);
    assert.equal((await get("/slow")).status, 429);
    leaving.abort();
    assert.equal(await first, "left");
    holding = false;
    while ((await get("/slow")).status !== 200);
  });

  test("limits rules by keys of their own, over all workers", async () => {
    const user = (name: string) => get("/rule", { "x-user": name });
    const first = await user("ada");
    assert.deepEqual(await first.json(), {
      ...{ allowed: true, remaining: 1, resetMs: 1_800_000, retryAfterMs: 0, reason: "ok" },
      headers: { "ratelimit-policy": '"per-user";q=2;w=3600', ratelimit: '"per-user";r=1;t=1800' },
    });
    await user("ada");
    const refused = await user("ada");
    assert.deepEqual([refused.status, await refused.text(), refused.headers.get("retry-after")], [429, "over", "1800"]);
    assert.equal((await user("bob")).status, 200);
  });

  test("limits also what no route takes", async () => {
    const nowhere = await get("/nowhere");
    assert.deepEqual([nowhere.status, nowhere.headers.get("ratelimit-policy")], [404, '"everybody";q=1000;w=1']);
  });
});
