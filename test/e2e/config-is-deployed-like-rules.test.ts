import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { LAST_GOOD_FILE } from "../../runtime/control/last-good.ts";
import { ask, openStage, type Gateway } from "./deploy-stage.ts";
import { until } from "../support/until.ts";

/** Answers with the rule's view of the config; passes everything below /origin on. */
const SHOWS_THEME = `import { defineRule, respond } from "sluice";
export default defineRule({ when: { not: { path: "/origin/*" } }, onRequest(req, ctx) { return respond(200, String(ctx.vars.theme)); } });
`;

test("one gateway: a config is planned, deployed with the rules, survived by what runs, taken back, and remembered", async (t) => {
  const origin = await startHoldingOrigin(t);
  const base = { upstreams: { origin: { targets: [origin.url] } }, vars: { theme: "light" } };
  const stage = openStage(t, base);
  const gateway = await stage.gateway("edge");
  const [worker] = await workers(gateway);
  stage.rule("shows.ts", SHOWS_THEME);
  const first = await stage.sluice(gateway, ["deploy", "--wait"]);
  assert.equal(first.code, 0, first.out + first.err);
  assert.equal((await ask(gateway)).text, "light");
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/origin/socket`);
  await once(socket, "open");
  t.after(() => socket.terminate());

  // Rules and routes: no worker is replaced, and an exchange keeps the routes that it began with.
  stage.rule("shows.ts", `${SHOWS_THEME}// said again\nexport const twice = true;\n`);
  stage.config({ ...base, routes: [{ match: { path: "/origin/held" }, upstream: "origin" }] });
  const rules = await stage.sluice(gateway, ["deploy", "--wait"]);
  assert.equal(rules.code, 0, rules.out + rules.err);
  assert.deepEqual(await workers(gateway), [worker]);
  assert.equal((await ask(gateway, "/origin/page")).status, 404, "no route any more");
  assert.equal(await echoed(socket, "still there"), "still there");

  // Config: told key by key, in its own units; what runs meanwhile is not disturbed.
  const dark = {
    ...base,
    vars: { theme: "dark" },
    limits: { targetSize: "64B", drain: "60s" },
    workers: 2,
    upstreams: { origin: { ...base.upstreams.origin, timeouts: { firstByte: "20s" } } },
  };
  stage.config(dark);
  const planned = await stage.sluice(gateway, ["plan"]);
  assert.equal(planned.code, 2);
  assert.match(planned.out, /^ {2}~ config vars\.theme: "light" → "dark"$/m);
  assert.match(planned.out, /^ {2}\+ config limits\.targetSize: "64B"$/m);
  assert.match(planned.out, /^ {2}\+ config upstreams\.origin\.timeouts\.firstByte: "20s"$/m);
  assert.match(planned.out, /^ {2}listeners, workers, .* no deploy changes them\.$/m);
  assert.ok(!/config workers/.test(planned.out), planned.out);
  const held = await origin.hold(gateway);
  const second = await stage.sluice(gateway, ["deploy", "--wait"]);
  assert.equal(second.code, 0, second.out + second.err);
  assert.equal((await ask(gateway)).text, "dark");
  assert.equal((await ask(gateway, `/origin/${"x".repeat(64)}`)).status, 414);
  assert.equal((await stage.sluice(gateway, ["plan"])).code, 0, "the same input gives an empty plan");
  assert.equal(await echoed(socket, "on the old worker"), "on the old worker");
  socket.terminate();
  assert.equal(await held.finish(), "whole");
  const serving = (await statuses(gateway)).workers.filter(({ state }) => state === "serving");
  assert.equal(serving.length, 1, "the number of workers is the machine's own");
  assert.notEqual(serving[0]!.pid, worker);
  assert.ok(!origin.paths.some((path) => path.includes("sluice-probe")), "no origin is asked when a gateway proves that it serves");

  // What the machine's file says of a shared key counts for nothing any more, and is told.
  const file = path.join(gateway.dir, "sluice.config.json");
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, "utf8")) as object), ...dark, vars: { theme: "of this machine" } }));
  gateway.child.kill("SIGHUP");
  await until(async () => gateway.output().includes('"event":"reloaded"'));
  assert.equal((await ask(gateway)).text, "dark");
  assert.deepEqual((await statuses(gateway)).deployed.drift, ["vars.theme"]);
  assert.match(gateway.output(), /"event":"config-drift","keys":\["vars\.theme"\]/);
  assert.match(
    (await stage.sluice(gateway, ["status"])).out,
    /^config file: as it was read last .* it differs here from what was deployed, which counts, in vars\.theme$/m,
  );

  const back = await stage.sluice(gateway, ["rollback", "--wait"]);
  assert.equal(back.code, 0, back.out + back.err);
  assert.equal((await ask(gateway)).text, "light");
  assert.equal((await ask(gateway, `/origin/${"x".repeat(64)}`)).status, 404, "no limit, and the routes of that release");
  const light = await ask(gateway);

  await gateway.end("SIGTERM");
  const kept = JSON.parse(readFileSync(path.join(gateway.dir, ".sluice", LAST_GOOD_FILE), "utf8")) as { release: { config: { vars: unknown } } };
  assert.deepEqual(kept.release.config.vars, { theme: "light" });
  const restarted = await stage.gateway("edge", { vars: { theme: "of this machine" } });
  assert.deepEqual(await ask(restarted), light);
});

interface Statuses {
  readonly workers: readonly { readonly pid: number; readonly state: string }[];
  readonly deployed: { readonly drift: readonly string[] };
}

async function statuses({ admin }: Gateway): Promise<Statuses> {
  return (await (await fetch(`${admin}/v1/status`, { headers: { authorization: "Bearer a-token-for-tests-only" } })).json()) as Statuses;
}

async function workers(gateway: Gateway): Promise<number[]> {
  return (await statuses(gateway)).workers.map(({ pid }) => pid);
}

async function echoed(socket: WebSocket, text: string): Promise<string> {
  const answer = once(socket, "message") as Promise<[Buffer]>;
  socket.send(text);
  return (await answer)[0].toString();
}

/** Echoes on WebSockets; holds /origin/held back when half of it is sent. */
async function startHoldingOrigin(t: TestContext) {
  const paths: string[] = [];
  const held = Promise.withResolvers<ServerResponse>();
  const server = createServer((incoming, response) => {
    paths.push(incoming.url ?? "");
    if (incoming.url !== "/origin/held") return void response.end("origin");
    response.write("who");
    held.resolve(response);
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
    server.closeAllConnections();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    paths,
    async hold({ port }: Gateway) {
      const asked = request({ host: "127.0.0.1", port, path: "/origin/held", agent: false });
      const answered = once(asked, "response") as Promise<[IncomingMessage]>;
      asked.end();
      const [response] = await answered;
      return {
        async finish() {
          (await held.promise).end("le");
          let text = "";
          for await (const piece of response.setEncoding("utf8")) text += String(piece);
          return text;
        },
      };
    },
  };
}
