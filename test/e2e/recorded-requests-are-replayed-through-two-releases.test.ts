import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { request } from "node:http";
import path from "node:path";
import { test } from "node:test";
import type { Replay } from "../../runtime/cli/replay.ts";
import { AUDIT_FILE, readAudit } from "../../runtime/control/audit.ts";
import type { Recording } from "../../runtime/observe/recordings/recordings.ts";
import { type Gateway, openStage, startEchoOrigin } from "./deploy-stage.ts";
import { until } from "../support/until.ts";

const READER = "reader-token-0123456789";
const SHOP = `import { defineRule, redirect, respond } from "sluice";

export default defineRule({
  secrets: ["shopKey"],
  async onRequest(req, ctx) {
    if (req.path === "/sale") return redirect("/winter");
    if (req.query.get("beta") !== null) req.headers.set("x-in", "beta");
    if (req.path === "/flagged" && (await ctx.kv.get("flag")) !== null) return respond(200, "flagged");
    if (req.path === "/drawn" && ctx.random() < 0.5) return respond(200, "drawn");
  },
  onResponse(res, req) {
    if (req.path === "/plain") res.headers.set("x-shop", "1");
  },
});
`;

function get({ port }: Gateway, target: string, headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path: target, headers, agent: false }, (response) => {
      response.resume().on("end", () => resolve(response.statusCode ?? 0));
    })
      .on("error", reject)
      .end();
  });
}

test("recorded requests are played to the serving release and the next one, and those decided differently are listed", { timeout: 120_000 }, async (t) => {
  process.env["SHOP_KEY"] = "the-key-of-the-shop";
  const origin = await startEchoOrigin(t);
  const stage = openStage(t, { upstreams: { origin: { targets: [origin] } }, record: { share: "100%" }, secrets: { shopKey: { env: "SHOP_KEY" } } });
  writeFileSync(path.join(stage.dir, "reader"), READER);
  const gateway = await stage.gateway("edge", {
    admin: { host: "127.0.0.1", port: 0, tokens: [{ name: "reader", roles: ["read", "upload", "activate"], token: { file: path.join(stage.dir, "reader") } }] },
  });
  stage.rule("shop.ts", SHOP);
  assert.equal((await stage.sluice(gateway, ["deploy", "--wait"])).code, 0);

  const targets = [
    "/plain",
    "/sale?from=a-secret-mail",
    "/sale",
    "/basket?beta=a-secret-value",
    "/basket",
    "/flagged",
    ...Array.from({ length: 8 }, () => "/drawn"),
  ];
  for (const target of targets) await get(gateway, target, { cookie: "sid=a-secret-cookie", "user-agent": "replay test" });
  let kept: Recording[] = [];
  await until(async () => {
    kept = (await stage.api(gateway, "/v1/recordings")).value["recordings"] as Recording[];
    return kept.length >= targets.length;
  });
  assert.equal(JSON.stringify(kept).includes("secret"), false);
  assert.deepEqual(kept[0]!.headers, [["user-agent", "replay test"]]);

  const alike = await stage.sluice(gateway, ["plan", "--replay", "--json"]);
  assert.equal(alike.code, 0, alike.out + alike.err);
  const { replay: same } = JSON.parse(alike.out) as { replay: Replay };
  assert.deepEqual(
    [same.played, same.different, same.reproduced, same.comparable],
    [14, [], 14, 14],
    "with the clock, the random numbers and the replies of then",
  );

  stage.rule(
    "shop.ts",
    SHOP.replace("/winter", "/spring")
      .replace('"1")', '"1 " + ctx.secrets.shopKey)')
      .replace("onResponse(res, req)", "onResponse(res, req, ctx)")
      .replace('"x-in", "beta"', '"x-in", "gamma"')
      .replace(
        'if (req.path === "/flagged"',
        'if (req.path === "/basket") await ctx.fetch("https://prices.example.com/now");\n    if (req.path === "/flagged"',
      ),
  );
  const planned = await stage.sluice(gateway, ["plan", "--replay", "100", "--json"]);
  assert.equal(planned.code, 2, planned.out + planned.err);
  const { replay } = JSON.parse(planned.out) as { replay: Replay };
  assert.equal(replay.played, 14);
  assert.deepEqual(
    replay.different.map(({ target, differences }) => [
      target.replace(/~[0-9a-f]+/, "~"),
      differences.map(({ what, before, after, rule, place }) => `${what}: ${before} → ${after} (${rule} ${place})`),
    ]),
    [
      ["/plain", ["response header x-shop: 1 → 1 (secret shopKey) (shop.ts rules/shop.ts:13:44)"]],
      ["/sale?from=~", ["response header location: /winter → /spring (shop.ts rules/shop.ts:5:9)"]],
      ["/sale", ["response header location: /winter → /spring (shop.ts rules/shop.ts:5:9)"]],
      ["/basket?beta=~", ["call fetch GET https://prices.example.com/now: null → not made (shop.ts rules/shop.ts:5:9)"]],
      ["/basket", ["call fetch GET https://prices.example.com/now: null → not made (shop.ts rules/shop.ts:5:9)"]],
    ],
  );
  const told = await stage.sluice(gateway, ["plan", "--replay"]);
  assert.match(told.out, /replay: 14 recorded requests, 5 decided differently\n {2}~ GET \/sale\?from=~[0-9a-f]+, GET \/sale\n/);

  assert.equal((await stage.api(gateway, "/v1/recordings", undefined, READER)).value["code"], "ROLE_MISSING");
  assert.match((await stage.sluice(gateway, ["recordings"])).out, /^14 requests, .*\n {2}[0-9a-f]{12}: 14$/m);
  assert.equal((await stage.sluice(gateway, ["recordings", "purge"])).code, 0);
  assert.deepEqual((await stage.api(gateway, "/v1/recordings")).value["recordings"], []);
  const { entries } = readAudit(path.join(gateway.dir, ".sluice", AUDIT_FILE));
  const audited = entries.map(({ actor, action, outcome }) => `${actor}: ${action}: ${outcome}`);
  for (const line of ["admin: GET /v1/recordings: done", "reader: GET /v1/recordings: refused", "admin: POST /v1/recordings/purge: done"])
    assert.ok(audited.includes(line), line);
});
