import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { after, test } from "node:test";
import { QA_COOKIE, signQaToken } from "../../runtime/experiments/assign/assign.ts";
import type { Assignment } from "../../runtime/experiments/assign/plan.ts";
import { setLive } from "../../runtime/experiments/live/live.ts";
import { type Answer, Browser, CHROME, experiment, ExperimentsGateway, IPHONE, visitorOfEach } from "./experiments-gateway.ts";
import { until } from "../support/until.ts";

const HALVES = "variants: { control: 50, bold: 50 }";
/** Names its variant in a header, control's too, so that everybody is seen. */
const SHOWN = `apply: { control: { headers: { "x-variant": "control" } }, bold: { headers: { "x-variant": "bold" } } }`;
const SECRET = "a secret of at least thirty-two letters";

const gateway = await ExperimentsGateway.open({
  modules: {
    plain: experiment(
      "plain",
      `when: { path: "/plain*" }, ${HALVES}, ${SHOWN}, goals: {
      bought: { when: { method: "POST", path: "/buy" }, value: { json: "/total" } },
      looked: { when: { path: "/look" } },
      signed: { tracked: "value" },
    }`,
    ),
    small: experiment("small", `when: { path: "/small" }, unit: header("x-user"), ${HALVES}, ${SHOWN}, traffic: "10%"`),
    headed: experiment("headed", `when: { path: "/headed" }, unit: header("x-user"), ${HALVES}, ${SHOWN}`),
    mobile: experiment("mobile", `when: { path: "/mobile" }, device: "mobile", ${HALVES}, ${SHOWN}`),
    members: experiment(
      "members",
      `when: { path: "/members" }, audience: (req) => req.headers.get("x-member") === "yes", unit: (req) => req.headers.get("x-user"), ${HALVES}, ${SHOWN}`,
    ),
    broken: experiment("broken", `when: { path: "/broken" }, audience: (req) => { throw new Error("no") }, ${HALVES}, ${SHOWN}`),
    curious: experiment("curious", `when: { path: "/curious" }, audience: (req) => { req.headers.set("x-a", "b"); return true }, ${HALVES}, ${SHOWN}`),
    consent: experiment("consent", `when: { path: "/consent" }, consent: { cookie: { agreed: "yes" } }, ${HALVES}, ${SHOWN}`),
    stateless: experiment("stateless", `when: { path: "/stateless" }, consent: "stateless", unit: cookie("sid"), ${HALVES}, ${SHOWN}`),
    account: experiment("account", `when: { path: "/account" }, unit: claim("sub", { secret: "jwt" }), fallbackUnit: "visitor", ${HALVES}, ${SHOWN}`),
    unreadable: experiment("unreadable", `when: { path: "/unreadable" }, unit: claim("sub", { secret: "broken" }), ${HALVES}, ${SHOWN}`),
    tracker: `export default defineRule({ when: { path: "/signup" }, onRequest(req, ctx) { ctx.track("signed", 7); return respond(200, "signed up") } })`,
    lost: `export default defineRule({ when: { path: "/lost" }, onRequest(req, ctx) { return respond(200, ctx.experiment(req.path.slice(1)).variant) } })`,
  },
  secrets: { jwt: SECRET, broken: "{ no key" },
  origins: {
    site: ({ target, headers }) =>
      target === "/buy"
        ? { status: headers["x-fail"] === undefined ? 200 : 500, headers: { "content-type": headers["x-type"] ?? "application/json" }, body: '{"total":12.5}' }
        : { headers: { "content-type": "text/html", "x-target": target }, body: "page" },
  },
});
after(() => gateway.close());

const variantOf = (res: Answer): string => String(res.headers["x-variant"]);
const seat = gateway.worker.core.experiments!;

async function variants(target: string, headers: Readonly<Record<string, string>> = {}): Promise<ReadonlySet<string>> {
  gateway.counted.length = 0;
  const seen = new Set<string>();
  for (let i = 0; i < 24; i++) seen.add(variantOf(await new Browser(gateway, headers).ask(target)));
  return seen;
}

test("bots see control and are not counted", async () => {
  assert.deepEqual(
    await variants("/plain", { "user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)" }),
    new Set(["control"]),
  );
  assert.deepEqual(gateway.counted, []);
});

test("visitors are counted where they see something that differs; HEAD is not", async () => {
  const visitors = await visitorOfEach(gateway, "/plain", variantOf, ["control", "bold"]);
  gateway.counted.length = 0;
  await visitors["bold"]!.ask("/plain", { method: "HEAD" });
  await visitors["bold"]!.ask("/plain/deeper");
  await visitors["control"]!.ask("/elsewhere");
  assert.deepEqual(gateway.counted, ["plain=bold"]);
});

test("outside the traffic everybody sees control, uncounted", async () => {
  gateway.counted.length = 0;
  for (let i = 0; i < 60; i++) await new Browser(gateway).ask("/small", { headers: { "x-user": `u${i}` } });
  const share = gateway.counted.filter((line) => line.startsWith("small=")).length;
  assert.ok(share > 0 && share < 30, String(share));
});

test("a device decides", async () => {
  assert.deepEqual(await variants("/mobile"), new Set(["control"]));
  assert.deepEqual(await variants("/mobile", { "user-agent": IPHONE }), new Set(["control", "bold"]));
});

test("an audience and a unit may be code, which looks and changes nothing", async () => {
  assert.deepEqual(await variants("/members", { "x-user": "u1" }), new Set(["control"]));
  assert.deepEqual(gateway.counted, []);
  assert.equal((await variants("/members", { "x-member": "yes", "x-user": "u1" })).size, 1);
  const seen = new Set<string>();
  for (let i = 0; i < 24; i++) seen.add(variantOf(await new Browser(gateway).ask("/members", { headers: { "x-member": "yes", "x-user": `u${i}` } })));
  assert.deepEqual(seen, new Set(["control", "bold"]));
  assert.deepEqual(await variants("/members", { "x-member": "yes" }), new Set(["control"]));
  assert.deepEqual(await variants("/broken"), new Set(["control"]));
  assert.deepEqual(await variants("/curious"), new Set(["control"]));
});

test("without consent there is neither cookie nor count", async () => {
  const visitor = new Browser(gateway);
  gateway.counted.length = 0;
  await visitor.ask("/consent");
  assert.deepEqual([[...visitor.cookies], gateway.counted], [[], []]);
  visitor.cookies.set("agreed", "yes");
  await visitor.ask("/consent");
  assert.ok(visitor.cookies.has("sluice_visitor"));
  assert.equal(gateway.counted.length, 1);
});

test("a unit that a client makes long is told apart by a digest, and has one variant", async () => {
  const { counting } = seat.parts;
  const units: (string | null)[] = [];
  const { exposed } = counting!;
  Object.assign(counting!, { exposed: (assignment: Assignment) => (units.push(assignment.countAs), true) });
  const [fits, long, other] = ["a".repeat(512), "a".repeat(513), `${"a".repeat(4000)}b`];
  for (const unit of [fits, long, other, long]) {
    await new Browser(gateway).ask("/headed", { headers: { "x-user": unit } });
    await new Browser(gateway).ask("/stateless", { headers: { cookie: `sid=${unit}` } });
  }
  Object.assign(counting!, { exposed });
  const digest = (text: string): string => createHash("sha256").update(text).digest("base64url");
  const expected = [fits, digest(long), digest(other), digest(long)];
  assert.deepEqual(
    units,
    expected.flatMap((unit) => [`header:x-user:${unit}`, `cookie:sid:${unit}`]),
  );
});

test("stateless: nothing is kept in the browser, and the unit is what the request carries", async () => {
  gateway.counted.length = 0;
  const nobody = new Browser(gateway);
  assert.equal(variantOf(await nobody.ask("/stateless")), "control");
  const seen = new Map<string, string>();
  for (let i = 0; i < 24; i++) {
    const visitor = new Browser(gateway);
    visitor.cookies.set("sid", `s${i}`);
    seen.set(`s${i}`, variantOf(await visitor.ask("/stateless")));
    assert.deepEqual([...visitor.cookies.keys()], ["sid"]);
  }
  assert.deepEqual(new Set(seen.values()), new Set(["control", "bold"]));
  assert.equal(gateway.counted.length, 24);
});

function token(claims: object, secret = SECRET): string {
  const body = [{ alg: "HS256", typ: "JWT" }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  return `${body}.${createHmac("sha256", secret).update(body).digest("base64url")}`;
}

test("a claim is believed when its token verifies, and a login moves nobody", async () => {
  for (let i = 0; i < 12; i++) {
    const visitor = new Browser(gateway);
    const before = variantOf(await visitor.ask("/account"));
    const authorization = `Bearer ${token({ sub: `user-${i}` })}`;
    assert.equal(variantOf(await visitor.ask("/account", { headers: { authorization } })), before, "the variant from before the login");
    visitor.cookies.delete("sluice_visitor");
    assert.equal(variantOf(await visitor.ask("/account", { headers: { authorization } })), before, "… also under the account alone");
  }
  const seen = new Set<string>();
  for (let i = 0; i < 24; i++)
    seen.add(variantOf(await new Browser(gateway).ask("/account", { headers: { authorization: `Bearer ${token({ sub: "one" })}` } })));
  assert.equal(seen.size, 1);
  for (let i = 0; i < 24; i++)
    seen.add(variantOf(await new Browser(gateway).ask("/account", { headers: { authorization: `Bearer ${token({ sub: "one" }, "forged".repeat(8))}` } })));
  assert.equal(seen.size, 2, "a forged token is nobody, so each is a visitor of its own");
});

test("a claim whose key cannot be read is nobody's, and breaks no page", async () => {
  gateway.counted.length = 0;
  const res = await new Browser(gateway).ask("/unreadable", { headers: { authorization: `Bearer ${token({ sub: "one" })}` } });
  assert.deepEqual([res.status, variantOf(res), gateway.counted], [200, "control", []]);
  assert.equal(gateway.notes.filter((note) => note.includes("experiment unreadable")).length, 1);
});

test("a QA link forces variants wherever its tester goes, counts nothing, and is seen by nobody behind the gateway", async () => {
  const nowMs = Date.now();
  const link = signQaToken({ variants: { plain: "bold", mobile: "bold" }, expiresAtMs: nowMs + 60_000 }, seat.keys, nowMs);
  const tester = new Browser(gateway);
  gateway.counted.length = 0;
  const res = await tester.ask(`/plain?a=1&${QA_COOKIE}=${link}&b=2`);
  assert.deepEqual([variantOf(res), res.headers["x-target"]], ["bold", "/plain?a=1&b=2"]);
  assert.equal(gateway.records.at(-1)!.target, "/plain?a=1&b=2");
  assert.equal(variantOf(await tester.ask("/mobile", { headers: { referer: `http://shop.example/plain?a=1&${QA_COOKIE}=${link}` } })), "bold");
  assert.equal(gateway.asked.at(-1)!.headers["referer"], "http://shop.example/plain?a=1");
  assert.equal(gateway.asked.at(-1)!.headers.cookie, undefined);
  assert.deepEqual(gateway.counted, []);
  await tester.ask(`/plain?${QA_COOKIE}=`);
  assert.ok(!tester.cookies.has(QA_COOKIE));

  const expired = signQaToken({ variants: { mobile: "bold" }, expiresAtMs: nowMs - 1 }, seat.keys, nowMs - 60_000);
  for (const wrong of [expired, `${link.slice(0, -2)}xx`, "nonsense"])
    assert.equal(variantOf(await new Browser(gateway).ask(`/mobile?${QA_COOKIE}=${wrong}`)), "control");
});

test("goals count for who was assigned elsewhere, with the value that the page tells, and not behind an error", async () => {
  const visitors = await visitorOfEach(gateway, "/plain", variantOf, ["control", "bold"]);
  gateway.counted.length = 0;
  const res = await visitors["bold"]!.ask("/buy", { method: "POST", body: "x" });
  assert.equal(res.text, '{"total":12.5}');
  await visitors["control"]!.ask("/look");
  await visitors["control"]!.ask("/buy", { method: "POST", body: "x", headers: { "x-fail": "1" } });
  for (const type of ["text/event-stream", "application/jsonl", "Application/Vnd.Shop+JSON; charset=utf-8"])
    await visitors["bold"]!.ask("/buy", { method: "POST", body: "x", headers: { "x-type": type } });
  await visitors["bold"]!.ask("/signup");
  const stranger = new Browser(gateway);
  await stranger.ask("/look");
  assert.deepEqual(gateway.counted, [
    'goal:plain.bought=bold 200 {"total":12.5}',
    "goal:plain.looked=control 200",
    "goal:plain.bought=control 500",
    "goal:plain.bought=bold 200",
    "goal:plain.bought=bold 200",
    'goal:plain.bought=bold 200 {"total":12.5}',
    "track:plain.signed=bold 7",
  ]);
  assert.deepEqual([...stranger.cookies], [], "a goal makes nobody a visitor");
});

test("an experiment that no release has is a mistake in the rule", async () => {
  const res = await new Browser(gateway).ask("/lost");
  assert.deepEqual([res.status, res.headers["sluice-error"]], [503, "RULE_THREW"]);
});

test("stop and ship reach a running worker, and a restart of the experiment too", async () => {
  const { bold } = await visitorOfEach(gateway, "/plain", variantOf, ["control", "bold"]);
  const entry = { reason: "checkout fails", by: "test", atUnixMs: Date.now() };
  const decide = async (state: Parameters<typeof setLive>[2]["state"]): Promise<void> =>
    void (await setLive(gateway.store, "plain", { ...entry, state }, null));
  await decide({ kind: "stopped" });
  await until(async () => variantOf(await bold!.ask("/plain")) === "control");
  gateway.counted.length = 0;
  assert.deepEqual(await variants("/plain"), new Set(["control"]));
  assert.deepEqual(gateway.counted, []);
  assert.equal((await bold!.ask("/plain")).headers["cache-control"], undefined, "the same for all: caches may keep it");
  const link = signQaToken({ variants: { plain: "bold" }, expiresAtMs: Date.now() + 60_000 }, seat.keys, Date.now());
  const forced = await new Browser(gateway).ask(`/plain?${QA_COOKIE}=${link}`);
  assert.deepEqual([variantOf(forced), forced.headers["cache-control"]], ["bold", "private, no-cache"], "but not what a tester is shown");
  await decide({ kind: "shipped", variant: "bold" });
  await until(async () => variantOf(await new Browser(gateway).ask("/plain")) === "bold");
  assert.deepEqual(await variants("/plain"), new Set(["bold"]));
  assert.deepEqual(gateway.counted, []);
  await decide({ kind: "running" });
  await until(async () => (await variants("/plain")).size === 2);
  assert.equal(variantOf(await bold!.ask("/plain")), "bold");
});

test("explain says which variants a request would get and why, and counts nothing", async () => {
  const { bold } = await visitorOfEach(gateway, "/plain", variantOf, ["control", "bold"]);
  gateway.counted.length = 0;
  const cookie = [...bold!.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  const explain = async (headers: readonly string[]) => {
    const ask = { method: "GET", scheme: "http", authority: "shop.example", target: "/plain", headers, client: "192.0.2.1" } as const;
    const { matched, steps } = await gateway.worker.explain(ask);
    assert.deepEqual(
      matched.map(({ name }) => name),
      ["plain.ts"],
    );
    return steps.flatMap((step) => (step.step === "experiments" ? step.variants : []));
  };
  assert.deepEqual(await explain(["user-agent", CHROME, "cookie", cookie]), [
    { experiment: "plain", variant: "bold", reason: "sticky", why: "the unit has seen it before (its cookie says so)", counted: true },
  ]);
  const [bot] = await explain(["user-agent", "Googlebot/2.1", "cookie", cookie]);
  assert.deepEqual([bot?.variant, bot?.reason, bot?.counted], ["control", "bot", false]);
  assert.deepEqual(gateway.counted, []);
});

test("log lines and tail name what a visitor was exposed to", async () => {
  const { bold } = await visitorOfEach(gateway, "/plain", variantOf, ["control", "bold"]);
  await bold!.ask("/plain");
  await bold!.ask("/elsewhere");
  assert.deepEqual(
    gateway.records.slice(-2).map(({ variants: seen }) => seen),
    ["plain=bold", ""],
  );
});
