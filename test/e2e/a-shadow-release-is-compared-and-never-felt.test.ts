import assert from "node:assert/strict";
import { test } from "node:test";
import type { SeenShadow } from "../../runtime/control/shadow.ts";
import { addedUp, type ShadowStatus } from "../../runtime/proxy/shadow-status.ts";
import { ask, type Gateway, openStage, type Stage, startEchoOrigin } from "./deploy-stage.ts";
import { until } from "../support/until.ts";

const SERVING = `import { defineRule, respond } from "sluice";

export default defineRule({
  async onRequest(req, ctx) {
    const seen = await ctx.kv.increment("seen");
    if (req.path === "/count") return respond(200, String(seen));
    req.headers.set("x-in", "serving");
  },
});
`;

async function comparedOn(stage: Stage, gateway: Gateway): Promise<ShadowStatus | null> {
  const seen = (await stage.api(gateway, "/v1/shadow")).value as unknown as SeenShadow;
  return addedUp(seen.gateways.flatMap(({ compared }) => compared ?? []));
}

/** Until all that were asked for have come to something. */
async function comparedAll(stage: Stage, gateway: Gateway, requests: number): Promise<ShadowStatus> {
  let sum: ShadowStatus | null = null;
  await until(async () => {
    sum = await comparedOn(stage, gateway);
    return sum !== null && sum.compared + sum.notCompared + sum.dropped >= requests;
  });
  return sum!;
}

test("a shadow release that decides otherwise, throws, loops and would write is compared, and nobody feels it", { timeout: 180_000 }, async (t) => {
  const origin = await startEchoOrigin(t);
  const stage = openStage(t, {
    upstreams: { origin: { targets: [origin] } },
    routes: [{ match: { path: "/cached" }, upstream: "origin", cache: { default: "1m" } }, { upstream: "origin" }],
  });
  const gateway = await stage.gateway("edge");
  stage.rule("shop.ts", SERVING);
  assert.equal((await stage.sluice(gateway, ["deploy", "--wait"])).code, 0);
  const served = (await ask(gateway, "/")).release;
  const itself = await stage.sluice(gateway, ["deploy", "--shadow"]);
  assert.deepEqual([itself.code, itself.err.split(":")[0]], [1, "SHADOW_REFUSED"], "there is nothing to compare");

  const shadowing = async (change: (code: string) => string): Promise<void> => {
    stage.rule("shop.ts", change(SERVING));
    const begun = await stage.sluice(gateway, ["deploy", "--shadow", "--share", "100%"]);
    assert.equal(begun.code, 0, begun.out + begun.err);
    assert.match(begun.out, /comparing +0/);
  };
  let asked = 1;
  const visit = async (target: string): Promise<void> => {
    const said = await ask(gateway, target);
    asked++;
    assert.deepEqual([said.status, said.release, said.text], [200, served, target === "/count" ? String(asked) : "serving"], "the client sees nothing of it");
  };

  await shadowing((code) =>
    code
      .replace('"serving"', 'req.path === "/other" ? "shadow" : "serving"')
      .replace(
        'if (req.path === "/count")',
        'if (req.path === "/away") return respond(403);\n    if (req.path === "/throws") throw new Error("a shadow throws");\n    if (req.path === "/loops") for (;;);\n    if (req.path === "/writes") await ctx.kv.set("seen", 1000);\n    if (req.path === "/count")',
      ),
  );
  for (const target of ["/", "/count", "/other?who=a-secret", "/away", "/throws", "/loops", "/writes", "/count", "/cached", "/cached"]) await visit(target);
  const { equal, different, failed, notCompared, dropped, examples, kinds } = await comparedAll(stage, gateway, 10);
  assert.deepEqual({ equal, different, failed, notCompared, dropped }, { equal: 5, different: 2, failed: 2, notCompared: 1, dropped: 0 });
  assert.deepEqual(
    examples.map(({ kind, path, what, place }) => `${path} ${kind}: ${what.join("; ").replace(/\d+ ms of CPU.*/, "CPU")} (${place})`).toSorted(),
    [
      "/away different: answered by: upstream → rule; status: 200 → 403 (rules/shop.ts:4:9)",
      "/loops failed: used CPU (rules/shop.ts:4:9)",
      "/other different: request header x-in (rules/shop.ts:11:17)",
      "/throws failed: a shadow throws (rules/shop.ts:7:39)",
    ],
  );
  assert.ok(
    kinds.some(({ kind }) => kind === "not compared: call kv kv.set"),
    JSON.stringify(kinds),
  );
  assert.equal(JSON.stringify(examples).includes("secret"), false);

  const status = await stage.sluice(gateway, ["status"]);
  assert.match(status.out, /^shadow: release [0-9a-f]{12}, 100% of the requests$/m);
  assert.match(status.out, /e\.g\. GET \/away different: answered by: upstream → rule; status: 200 → 403 {2}\(shop\.ts rules\/shop\.ts:4:9\)/);
  assert.match((await stage.sluice(gateway, ["releases"])).out, /^shadow +[0-9a-f]{12} /m);
  const health = (await stage.api(gateway, "/v1/status")).value as unknown as { quarantined: string[]; workers: { sandbox: { restarts: number } }[] };
  assert.deepEqual([health.quarantined, health.workers[0]!.sandbox.restarts], [[], 0], "its failures are its own");

  await shadowing((code) =>
    code.replace(
      'if (req.path === "/count")',
      'if (req.path === "/waits") await new Promise((resolve) => setTimeout(resolve, 4500));\n    if (req.path === "/count")',
    ),
  );
  await Promise.all(Array.from({ length: 240 }, () => visit("/waits")));
  await until(async () => ((await comparedOn(stage, gateway))?.dropped ?? 0) > 0);

  await shadowing((code) => code.replace("/count", "/counted"));
  const workers = async () => (await stage.api(gateway, "/v1/status")).value["workers"] as { pid: number; state: string }[];
  const [lost] = await workers();
  process.kill(lost!.pid, "SIGKILL");
  await until(async () => (await workers()).some(({ pid, state }) => pid !== lost!.pid && state === "serving"));
  await until(async () => {
    await visit("/");
    return ((await comparedOn(stage, gateway))?.equal ?? 0) > 0;
  });

  assert.equal((await stage.sluice(gateway, ["deploy", "--wait"])).code, 0);
  await until(async () => (await stage.api(gateway, "/v1/shadow")).value["terms"] === null);
  assert.notEqual((await ask(gateway, "/")).release, served, "promoted, and compared with nothing any more");
  const off = await stage.sluice(gateway, ["deploy", "--shadow", "off"]);
  assert.deepEqual([off.code, off.out.trim()], [0, "there was no shadow release"]);
});
