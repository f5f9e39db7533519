import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { AUDIT_FILE, readAudit } from "../../runtime/control/audit.ts";
import { startRedis } from "../store/redis-server.ts";
import { ask, openStage, saying, startEchoOrigin, type Gateway } from "./deploy-stage.ts";
import { until } from "../support/until.ts";

test("two gateways on one Redis: both or none; one that was away catches up; without Redis the last good release serves", async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const stage = openStage(t, { store: { redis: redis.url } });
  const [one, two] = await Promise.all([stage.gateway("one"), stage.gateway("two")]);
  stage.rule("say.ts", saying("first"));
  const first = await stage.sluice(one, ["deploy", "--wait"]);
  assert.equal(first.code, 0, first.out + first.err);
  assert.deepEqual([(await ask(one)).text, (await ask(two)).text], ["first", "first"]);
  assert.equal(first.out.match(/ serving +1 /g)?.length, 2, first.out);

  // The second gateway does not have the secret that this rule wants.
  stage.config({ secrets: { key: { file: "./key" } } });
  for (const folder of [path.join(stage.dir, "project"), one.dir]) writeFileSync(path.join(folder, "key"), "of all but one");
  stage.rule("say.ts", saying("secret").replace("onRequest", 'secrets: ["key"], onRequest'));
  const stopped = await stage.sluice(one, ["deploy", "--wait"]);
  assert.equal(stopped.code, 1);
  assert.match(stopped.out, /was not activated anywhere: .*: its config does not fit this gateway: secrets\.key\.file: "\.\/key" cannot be read \(ENOENT\)/);
  assert.deepEqual([(await ask(one)).text, (await ask(two)).text], ["first", "first"]);
  const audited = readAudit(path.join(two.dir, ".sluice", AUDIT_FILE)).entries;
  assert.ok(audited.some(({ action, outcome, reason }) => action === "prepare" && outcome === "refused" && reason.includes("secrets.key")));

  // A gateway that is away does not hold up the others, and catches up when it returns: with the rules and with the config.
  await two.end("SIGTERM");
  stage.config({ vars: { word: "second" } });
  stage.rule("say.ts", saying("").replace("onRequest()", "onRequest(req, ctx)").replace('""', "String(ctx.vars.word)"));
  const second = await stage.sluice(one, ["deploy", "--wait"]);
  assert.equal(second.code, 0, second.out + second.err);
  const back = await stage.gateway("two");
  assert.equal((await ask(back)).text, "second");

  // With Redis gone both serve on, and one that starts anew serves the last good release from its disk.
  await redis.kill();
  assert.equal((await ask(one)).text, "second");
  await back.end("SIGTERM");
  const alone = await stage.gateway("two");
  assert.equal((await ask(alone)).text, "second");
  // Redis comes back empty: it is given back what serves, and the next deploy goes on from there.
  await redis.restart();
  await until(async () => ((await stage.api(one, "/v1/releases")).value["head"] as { epoch: number } | null)?.epoch === 2);
  stage.rule("say.ts", saying("third"));
  await until(async () => ((await stage.api(one, "/v1/status")).value["deployed"] as { gateways: { live: boolean }[] }).gateways.length === 2);
  const third = await stage.sluice(alone, ["deploy", "--wait"]);
  assert.equal(third.code, 0, third.out + third.err);
  assert.deepEqual([(await ask(one)).text, (await ask(alone)).text], ["third", "third"]);
});

test("deploys in a row under load: no request fails, none runs on two releases", async (t) => {
  const origin = await startEchoOrigin(t);
  const stage = openStage(t, { workers: 2, upstreams: { origin: { targets: [origin] } } });
  const gateway = await stage.gateway("edge");
  const rule = (word: string): string =>
    `import { defineRule } from "sluice";
    export default defineRule({
      onRequest(req) { req.headers.set("x-in", "${word}"); },
      onResponse(res) { res.headers.set("x-out", "${word}"); },
    });`;
  for (const word of ["a", "b"]) {
    stage.rule("mark.ts", rule(word));
    const done = await stage.sluice(gateway, ["deploy", "--wait"]);
    assert.equal(done.code, 0, done.out + done.err);
  }
  const { value } = await stage.api(gateway, "/v1/releases");
  const ids = (value["releases"] as { id: string }[]).map(({ id }) => id);
  const load = startLoad(gateway);
  const DEPLOYS = 12;
  const tookMs: number[] = [];
  for (let i = 0; i < DEPLOYS; i++) {
    const begun = await stage.api(gateway, "/v1/rollouts", { release: ids[i % 2 === 0 ? 1 : 0], base: 2 + i, kind: "rollback" });
    assert.equal(begun.status, 202, JSON.stringify(begun.value));
    let now = begun.value;
    await until(async () => {
      now = (await stage.api(gateway, `/v1/rollouts/${String(begun.value["number"])}`)).value;
      return now["state"] !== "preparing" && now["state"] !== "active";
    });
    assert.equal(now["state"], "serving", JSON.stringify(now));
    tookMs.push(Number(now["tookMs"]));
  }
  const { requests, failures, torn, seen } = await load.stop();
  assert.deepEqual([failures, torn], [[], []]);
  assert.deepEqual([...seen].sort(), ["a", "b"]);
  assert.ok(requests > DEPLOYS * 10, `${requests} requests`);
  t.diagnostic(`${DEPLOYS} deploys under load, ${requests} requests: the slowest deploy took ${Math.max(...tookMs)} ms`);
});

interface Load {
  stop(): Promise<{ requests: number; failures: string[]; torn: string[]; seen: Set<string> }>;
}

/** Eight clients on kept connections, one request after the other. */
function startLoad({ port }: Gateway): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const failures: string[] = [];
  const torn: string[] = [];
  const seen = new Set<string>();
  let requests = 0;
  const running = { going: true };
  const once = (): Promise<void> =>
    new Promise((resolve) => {
      const fail = (why: string): void => {
        failures.push(why);
        resolve();
      };
      request({ host: "127.0.0.1", port, agent }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
        response.on("end", () => {
          requests++;
          seen.add(text);
          if (response.statusCode !== 200) fail(`status ${response.statusCode}`);
          else if (text !== response.headers["x-out"]) torn.push(`${text} and ${String(response.headers["x-out"])}`);
          resolve();
        });
        response.on("error", (error) => fail(error.message));
      })
        .on("error", (error) => fail(error.message))
        .end();
    });
  const clients = Array.from({ length: 8 }, async () => {
    while (running.going) {
      await once();
      // Two cores carry gateway, load and deploys: what is shown here is correctness.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });
  return {
    async stop() {
      running.going = false;
      await Promise.all(clients);
      agent.destroy();
      return { requests, failures, torn, seen };
    },
  };
}
