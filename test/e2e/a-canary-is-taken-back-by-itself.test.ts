import assert from "node:assert/strict";
import http from "node:http";
import path from "node:path";
import { test } from "node:test";
import type { CanaryAnswer } from "../../runtime/cli/canary.ts";
import { AUDIT_FILE, readAudit } from "../../runtime/control/audit.ts";
import { startRedis } from "../store/redis-server.ts";
import { openStage, saying, type Gateway, type Stage } from "./deploy-stage.ts";
import { until } from "../support/until.ts";

const CONFIG = { trustedProxies: ["127.0.0.1"], workers: 2 };
const THROWING = saying("new").replace("{ return", "{ throw new Error('on purpose'); return");

interface Said {
  readonly status: number;
  readonly text: string;
  readonly release: string;
  readonly cookie: string;
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });

/** As client number `n`. */
function ask({ port }: Gateway, n: number, headers: Readonly<Record<string, string>> = {}): Promise<Said> {
  const from = `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;
  return new Promise((resolve, reject) => {
    http
      .get({ host: "127.0.0.1", port, path: "/", agent, headers: { "x-forwarded-for": from, ...headers } }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
        response
          .on("end", () =>
            resolve({
              status: response.statusCode ?? 0,
              text,
              release: String(response.headers["sluice-release"] ?? ""),
              cookie: String(response.headers["set-cookie"] ?? ""),
            }),
          )
          .on("error", reject);
      })
      .on("error", reject);
  });
}

let client = 0;

/** New clients, eight at a time, until it holds. */
async function crowd(gateway: Gateway, ended: () => Promise<boolean>, saw: (said: Said) => void): Promise<void> {
  await until(async () => {
    for (const said of await Promise.all(Array.from({ length: 40 }, () => ask(gateway, client++)))) saw(said);
    return ended();
  });
}

async function canary(stage: Stage, gateway: Gateway): Promise<CanaryAnswer> {
  return (await stage.api(gateway, "/v1/canary")).value as unknown as CanaryAnswer;
}

test("a rule that throws is taken back by itself, and nobody else notices; a sound one is looked at, stepped, promoted", { timeout: 120_000 }, async (t) => {
  t.after(() => agent.destroy());
  const stage = openStage(t, CONFIG);
  const gateway = await stage.gateway("edge");
  stage.rule("say.ts", saying("old"));
  const refused = await stage.sluice(gateway, ["deploy", "--canary"]);
  assert.match(refused.err, /CANARY_REFUSED: found nothing that was ever deployed, .*: deploy one without --canary first/);
  assert.equal((await stage.sluice(gateway, ["deploy", "--wait"])).code, 0);
  const old = (await ask(gateway, 0)).release;

  stage.rule("say.ts", THROWING);
  const dry = await stage.sluice(gateway, ["deploy", "--canary", "20%", "--dry-run"]);
  assert.match(dry.out, /could be activated everywhere; nothing was changed/);
  const begun = await stage.sluice(gateway, ["deploy", "--canary", "20%", "--json"]);
  assert.equal(begun.code, 0, begun.out + begun.err);
  const { release } = JSON.parse(begun.out) as { release: string };
  await until(async () => (await canary(stage, gateway)).running !== null);
  const second = await stage.sluice(gateway, ["deploy"]);
  assert.match(second.err, /CANARY_RUNNING/);

  const answers = { good: 0, bad: 0 };
  let onCanary = 0;
  await crowd(
    gateway,
    async () => (await canary(stage, gateway)).running === null,
    (said) => {
      if (said.release === old) assert.deepEqual([said.status, said.text], [200, "old"]);
      else onCanary++;
      answers[said.status === 200 ? "good" : "bad"]++;
    },
  );
  assert.equal(answers.bad, onCanary);
  assert.ok(answers.bad < answers.good, JSON.stringify(answers));
  const { last } = await canary(stage, gateway);
  assert.deepEqual([last?.release, last?.outcome, last?.because], [release, "rolled-back", "breach"]);
  const [step] = last!.pictures;
  const exceptions = step!.metrics.find(({ metric }) => metric === "exceptions")!;
  assert.equal(exceptions.outcome, "breach");
  assert.ok(exceptions.increase!.low > exceptions.limit && step!.canary.units > 0 && step!.current.units > step!.canary.units, JSON.stringify(step));
  const audited = readAudit(path.join(gateway.dir, ".sluice", AUDIT_FILE)).entries.find(({ action }) => action === "canary rollback");
  assert.match(audited!.reason, /^exceptions: 100 % of the clients instead of 0 %, at least/);
  assert.match(String(audited!.facts["metrics"]), /at least [\d.]+ % more/);
  for (let i = 0; i < 40; i++) assert.equal((await ask(gateway, i)).text, "old");

  // Anybody with a token sees it still; nobody else does.
  const preview = await stage.sluice(gateway, ["releases", "preview", release.slice(0, 6), "--for", "10m"]);
  assert.equal(preview.code, 0, preview.out + preview.err);
  const [, token] = /^sluice-preview: (\S+)$/m.exec(preview.out) ?? [];
  const looked = await ask(gateway, 1, { "sluice-preview": token! });
  assert.deepEqual([looked.status, looked.release], [503, release]);
  const stolen = await ask(gateway, 1, { "sluice-preview": token!.replace(release, old) });
  assert.deepEqual([stolen.status, stolen.release], [403, old]);
  await until(async () =>
    readAudit(path.join(gateway.dir, ".sluice", AUDIT_FILE)).entries.some(({ action, outcome }) => action === "preview" && outcome === "refused"),
  );

  // A sound one: its step is over when enough clients were seen, and then it waits or is promoted.
  stage.rule("say.ts", saying("newer"));
  const waiting = stage.sluice(gateway, ["deploy", "--steps", "20%,50%", "--step-duration", "1s", "--minimum-sample", "20", "--wait"]);
  await until(async () => (await canary(stage, gateway)).running !== null);
  const seen = new Set<string>();
  await crowd(
    gateway,
    async () => (await canary(stage, gateway)).running?.canary.at === 1,
    ({ text }) => void seen.add(text),
  );
  assert.deepEqual([...seen].sort(), ["newer", "old"]);
  await until(async () => (await canary(stage, gateway)).running?.picture !== null);
  const shown = await stage.sluice(gateway, ["status"]);
  assert.match(shown.out, /\(epoch 5\)/);
  assert.match(shown.out, /canary [0-9a-f]{12}: 20% → \[50%\]\n.*clients/);
  assert.match(shown.out, new RegExp(`${old} \\+ [0-9a-f]{12} \\(50%\\)`));
  const promoted = await stage.sluice(gateway, ["promote", "--wait"]);
  assert.equal(promoted.code, 0, promoted.out + promoted.err);
  for (let i = 0; i < 40; i++) assert.equal((await ask(gateway, i)).text, "newer");
  const waited = await waiting;
  assert.equal(waited.code, 0, waited.out + waited.err);
  assert.match(waited.out, /canary [0-9a-f]{12} was promoted: promote was asked for/);
  assert.equal((await stage.sluice(gateway, ["promote"])).code, 1);
});

test("gateways on one Redis give each client the same answer: late ones, restarted ones, and with Redis gone", { timeout: 180_000 }, async (t) => {
  t.after(() => agent.destroy());
  const redis = await startRedis();
  t.after(() => redis.stop());
  const stage = openStage(t, { ...CONFIG, workers: 1, store: { redis: redis.url } });
  const [one, two] = await Promise.all([stage.gateway("one"), stage.gateway("two")]);
  stage.rule("say.ts", saying("old"));
  assert.equal((await stage.sluice(one, ["deploy", "--wait"])).code, 0);
  stage.rule("say.ts", saying("new"));
  const begun = await stage.sluice(two, ["deploy", "--canary", "50%", "--json"]);
  assert.equal(begun.code, 0, begun.out + begun.err);
  const clients = Array.from({ length: 40 }, (_, n) => n);
  const split = async (gateway: Gateway): Promise<string> => (await Promise.all(clients.map((n) => ask(gateway, n)))).map(({ text }) => text[0]).join("");
  const takesPart = async (gateway: Gateway): Promise<boolean> => (await split(gateway)).includes("n");
  await until(async () => (await takesPart(one)) && (await takesPart(two)));
  const same = await split(one);
  assert.ok(same.includes("o") && same.includes("n"), same);
  assert.equal(await split(two), same);
  const late = await stage.gateway("late");
  assert.equal(await split(late), same);

  // A cookie and a preview of one gateway count on the others.
  const [inside, outside] = [same.indexOf("n"), same.indexOf("o")];
  const [cookie] = (await ask(one, inside)).cookie.split(";");
  assert.equal((await ask(late, outside, { cookie: cookie! })).text, "new");
  const { release } = JSON.parse(begun.out) as { release: string };
  const { value } = await stage.api(two, `/v1/releases/${release}/preview`, {});
  assert.equal((await ask(late, outside, { "sluice-preview": String(value["value"]) })).text, "new");

  await redis.kill();
  assert.deepEqual([await split(one), await split(two)], [same, same]);
  await late.end("SIGTERM");
  const restarted = await stage.gateway("late");
  assert.equal(await split(restarted), same);
  // Redis comes back empty and is given back what runs; then somebody takes the canary back, everywhere.
  await redis.restart();
  await until(async () => (await stage.api(two, "/v1/canary")).status === 200 && (await canary(stage, two)).running !== null);
  await until(
    async () => ((await stage.api(one, "/v1/status")).value["deployed"] as { gateways: { live: boolean }[] }).gateways.filter(({ live }) => live).length === 3,
  );
  const back = await stage.sluice(one, ["rollback", "--wait"]);
  assert.equal(back.code, 0, back.out + back.err);
  for (const gateway of [one, two, restarted]) assert.equal(await takesPart(gateway), false);
});
