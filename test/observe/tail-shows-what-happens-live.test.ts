import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { startSluice } from "../e2e/sluice-command.ts";
import { gateway, get, tailing, TOKEN, type TailedGateway } from "./tailed-gateway.ts";

const timeout = 60_000;

const RULES = {
  "shop.ts": `import { defineRule, respond } from "sluice";

interface Cart { items: string[] }

export default defineRule({
  when: { path: "/shop/*" },
  onRequest(req) {
    console.log("asked for", req.path);
    if (req.path === "/shop/broken") {
      const cart = undefined as unknown as Cart;
      return respond(200, String(cart.items.length));
    }
    return respond(req.path === "/shop/none" ? 404 : 200, "shop");
  },
});
`,
  "late.ts": `import { defineRule, respond } from "sluice";

export default defineRule({
  when: { path: "/late" },
  onFailure: "open",
  async onRequest() {
    await Promise.resolve();
    throw new Error("late at night");
  },
});
`,
  "other.ts": `import { defineRule, respond } from "sluice";

export default defineRule({
  when: { path: "/other" },
  onRequest: () => respond(200, "other"),
  onComplete() {
    console.warn("it is over");
  },
});
`,
};

async function shop(t: TestContext, more: object = {}): Promise<TailedGateway> {
  const origin = createServer((_request, response) => response.end("origin"));
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  t.after(() => origin.close());
  return gateway(t, { config: { upstreams: { site: { targets: [`http://127.0.0.1:${(origin.address() as AddressInfo).port}`] } }, ...more }, rules: RULES });
}

test("exchanges, console output and exceptions of all workers, with stacks of TypeScript lines", { timeout }, async (t) => {
  const served = await shop(t, { workers: 2 });
  const live = await tailing(t, [served]);
  assert.deepEqual(live.events, [{ type: "tail", workers: 2 }]);

  const fine = await get(served.port, "/plain?name=Ada&token=s3cret");
  const exchange = await live.event(({ id, type }) => id === fine.id && type === "exchange");
  assert.deepEqual([exchange["status"], exchange["from"], exchange["failed"], exchange["method"]], [200, "upstream", false, "GET"]);
  assert.match(String(exchange["path"]), /^\/plain\?name=~[0-9a-f]{8}&token=~[0-9a-f]{8}$/);

  const broken = await get(served.port, "/shop/broken");
  const line = await live.event(({ id, type }) => id === broken.id && type === "log");
  assert.deepEqual([line["rule"], line["level"], line["text"]], ["shop.ts", "info", "asked for /shop/broken"]);
  const thrown = await live.event(({ id, type }) => id === broken.id && type === "exception");
  assert.match(String(thrown["stack"]), /^TypeError: .*\n {4}at .*rules\/shop\.ts:11:\d+/);
  const failed = await live.event(({ id, type }) => id === broken.id && type === "exchange");
  assert.deepEqual([failed["status"], failed["code"], failed["rule"], failed["failed"]], [503, "RULE_THREW", "shop.ts", true]);

  const late = await get(served.port, "/late");
  assert.equal(late.status, 200);
  const passed = await live.event(({ id, type }) => id === late.id && type === "exception");
  assert.deepEqual([passed["outcome"], passed["kind"]], ["failed-open", "threw"]);
  assert.match(String(passed["stack"]), /rules\/late\.ts:8:/);

  const workers = new Set<unknown>();
  for (let i = 0; i < 200 && workers.size < 2; i++) {
    const { id } = await get(served.port, "/plain");
    workers.add((await live.event((event) => event["id"] === id))["worker"]);
  }
  assert.equal(workers.size, 2);
  assert.equal(await live.stop(), 0);
  assert.ok(!live.running.text().includes(served.folder), "a path of the host");
});

test("filters hold: by status, path, method, rule and errors", { timeout }, async (t) => {
  const served = await shop(t);
  const [status, path, method, rule, errors] = await Promise.all([
    tailing(t, [served], "--status", "404,5xx"),
    tailing(t, [served], "--path", "/shop/*"),
    tailing(t, [served], "--method", "post"),
    tailing(t, [served], "--rule", "other"),
    tailing(t, [served], "--errors"),
  ]);
  for (const target of ["/plain", "/shop/fine", "/shop/none", "/shop/broken", "/other", "/late"]) await get(served.port, target);
  await get(served.port, "/plain", "POST");
  // Whatever was to be shown before these has been.
  const last = await get(served.port, "/shop/broken", "POST");
  const other = await get(served.port, "/other");
  for (const live of [status, path, method, errors]) await live.event(({ id, type }) => id === last.id && type === "exchange");
  await rule.event(({ id, type }) => id === other.id && type === "log");
  const seen = (live: typeof status) =>
    live.events.slice(1).map((event) => `${String(event["type"])} ${String(event["path"] ?? event["text"] ?? event["message"])}`);
  const thrown = "exception TypeError: Cannot read properties of undefined (reading 'items')";
  const brokenWhole = ["log asked for /shop/broken", thrown, "exchange /shop/broken"];
  assert.deepEqual(seen(status), ["log asked for /shop/none", "exchange /shop/none", ...brokenWhole, ...brokenWhole]);
  assert.deepEqual(seen(path), [
    "log asked for /shop/fine",
    "exchange /shop/fine",
    "log asked for /shop/none",
    "exchange /shop/none",
    ...brokenWhole,
    ...brokenWhole,
  ]);
  assert.deepEqual(seen(method), ["exchange /plain", ...brokenWhole]);
  assert.deepEqual(seen(rule), ["exchange /other", "log it is over", "exchange /other", "log it is over"]);
  assert.deepEqual(seen(errors), [thrown, "exchange /shop/broken", "exception late at night", thrown, "exchange /shop/broken"]);
});

test("two gateways in one terminal, one of which ends", { timeout }, async (t) => {
  const [first, second] = await Promise.all([shop(t), shop(t)]);
  const live = await tailing(t, [first, second]);
  const one = await get(first.port, "/other");
  const two = await get(second.port, "/other");
  assert.equal((await live.event(({ id }) => id === one.id))["gateway"], new URL(first.admin).host);
  assert.equal((await live.event(({ id }) => id === two.id))["gateway"], new URL(second.admin).host);
  await first.stop();
  await live.event(({ problems }) => JSON.stringify(problems ?? "").includes(first.admin));
  const three = await get(second.port, "/other");
  await live.event(({ id }) => id === three.id);
});

test("a worker that dies is told, and the one in its place is followed", { timeout }, async (t) => {
  const served = await shop(t);
  const live = await tailing(t, [served]);
  const { workers } = await served.status();
  process.kill(workers[0]!.pid, "SIGKILL");
  await live.event(({ type, event }) => type === "worker" && event === "lost");
  await live.event(({ type, event }) => type === "worker" && event === "joined");
  const { id } = await get(served.port, "/other");
  await live.event((event) => event["id"] === id);
});

test("in a terminal strangers' words stay words, and a filter that cannot be is told", { timeout }, async (t) => {
  const served = await shop(t);
  const text = startSluice(served.folder, ["tail", "--admin", served.admin], undefined, { SLUICE_ADMIN_TOKEN: TOKEN });
  t.after(() => text.stop());
  await text.printed(/following 1 worker$/m);
  await get(served.port, "/shop/%1b[2J");
  await get(served.port, "/shop/broken");
  await text.printed(/threw shop\.ts onRequest \(failed-closed\).*\n {4}TypeError.*\n {4}at .*rules\/shop\.ts:11:/);
  assert.ok(!text.text().includes("\x1b"), "colours where no terminal is");
  const wrong = startSluice(served.folder, ["tail", "--admin", served.admin, "--status", "6xx"], undefined, { SLUICE_ADMIN_TOKEN: TOKEN });
  assert.equal(await wrong.exit, 2);
  assert.match(wrong.text(), /found status="6xx", expected a status \(404\), a class \(5xx\) or a range \(400-499\)/);
});
